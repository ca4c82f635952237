//! Latent attention without its projections: what of a measured block depends on what is attended to.
//!
//! Blocks were measured with their projections, in DeepSeek-V3's widths. The projections' products, measured by themselves,
//! are taken off: they depend on a pass's tokens, and other models have other widths.

use super::error::ComposeError;
use super::layers::{Parts, missing, mla_products, moving_us};
use super::rank::Ranks;
use crate::math;
use crate::models::shape::{IndexerShape, MlaShape};
use crate::operators::attention::{HeadsOnRank, work};
use crate::operators::format::NumberFormat;
use crate::operators::grid::TimeGrid;
use crate::operators::kinds::Operator;
use crate::operators::products::Products;
use crate::operators::schema::Pack;
use crate::operators::series::Series;

/// Width of DeepSeek-V3's residual stream, and of its compressed queries.
const HIDDEN_SIZE: u32 = 7168;
/// The least that a block's attention takes: of what is left of a block, a share of it.
const LEAST_SHARE: f64 = 0.15;
/// What attention of one request over no context takes at most: 16 to 24 us on a B200. More is metadata that the source
/// builds for each call and vLLM once for each pass: 59 us on an H200.
const MOST_LAUNCH_US: f64 = 22.0;

/// What depends on what is attended to.
#[derive(Debug)]
pub(super) struct LatentTimes {
    /// Of one prompt.
    pub(super) prompt: Series,
    /// Of requests with one new token.
    pub(super) decode: TimeGrid,
    /// Most tokens that are attended to; 0 for all.
    topk: f64,
    /// Elements that all queries of a rank multiply latents with.
    pub(super) query_width: f64,
}

impl LatentTimes {
    /// `chunk` new tokens over `prefix` earlier ones, in microseconds.
    pub(super) fn prefill_us(&self, chunk: u32, prefix: u32) -> f64 {
        let [new, earlier] = [chunk, prefix].map(math::u32_to_f64);
        let all = new + earlier;
        let alone = self.prompt.at(new);
        if prefix == 0 {
            return alone;
        }
        let share = 1.0 - work(earlier, self.topk) / work(all, self.topk);
        let read = self.decode.one_request_us(all);
        math::max(self.prompt.at(all) * share, math::max(alone, read))
    }
}

/// DeepSeek-V3's block, in which latent attention was measured.
const fn measured_block(num_heads: u32, indexer: Option<IndexerShape>) -> MlaShape {
    MlaShape {
        num_heads,
        q_lora_rank: Some(1536),
        kv_lora_rank: 512,
        qk_nope_head_dim: 128,
        qk_rope_head_dim: 64,
        v_head_dim: 128,
        has_output_gate: false,
        indexer,
    }
}

/// What a layer's attention takes on a rank.
///
/// # Errors
/// [`ComposeError::Operator`] if the pack has neither such blocks nor attention to stand for them.
pub(super) fn times(mla: &MlaShape, is_fp8: bool, parts: &Parts<'_>) -> Result<LatentTimes, ComposeError> {
    let heads = parts.ranks.share(mla.num_heads);
    let found = mla.indexer.map_or_else(
        || of_block(mla, heads, is_fp8, [Operator::LatentPrompt, Operator::LatentDecode], parts.pack),
        |_| {
            of_block(mla, heads, is_fp8, [Operator::SparsePrompt, Operator::SparseDecode], parts.pack)
                .or_else(|| of_block(mla, heads, is_fp8, [Operator::LatentPrompt, Operator::LatentDecode], parts.pack))
        },
    );
    let topk = mla.indexer.map_or(0.0, |index| math::u32_to_f64(index.topk));
    let found = found.or_else(|| of_heads(mla, heads, is_fp8, parts.pack));
    let (prompt, decode) = found.ok_or_else(|| missing(parts.pack, "latent attention"))?;
    let query_width = f64::from(heads) * f64::from(mla.kv_lora_rank);
    Ok(LatentTimes { prompt, decode, topk, query_width })
}

/// From blocks that were measured, in 16 bits where there are such.
fn of_block(
    mla: &MlaShape,
    heads: u32,
    is_fp8: bool,
    operators: [Operator; 2],
    pack: &Pack,
) -> Option<(Series, TimeGrid)> {
    let format = if is_fp8 { "fp8" } else { "bfloat16" };
    let index_heads = mla.indexer.map_or(0, |index| index.num_heads);
    let nearest = |shapes: &[alloc::vec::Vec<u32>]| {
        let far = |shape: &[u32]| {
            let own = shape.first().map_or(f64::INFINITY, |&own| math::ln(f64::from(own) / f64::from(heads)));
            let index = shape.get(1).map_or(0.0, |&own| f64::from(own.abs_diff(index_heads)));
            own * own + index * index
        };
        (0..shapes.len()).min_by(|&a, &b| far(&shapes[a]).total_cmp(&far(&shapes[b])))
    };
    let curve = |format: &str| {
        pack.curves
            .iter()
            .find(|table| table.operator == operators[0] && table.format == format && table.variant == "bfloat16")
    };
    let grid = |format: &str| {
        pack.grids
            .iter()
            .find(|table| table.operator == operators[1] && table.format == format && table.variant == "bfloat16")
    };
    let prompts = curve(format).or_else(|| curve("bfloat16"))?;
    let decodes = grid(format).or_else(|| grid("bfloat16"))?;
    let place = nearest(&prompts.shapes)?;
    let measured_heads = *prompts.shapes.get(place)?.first()?;
    let prompt = Series::of_row(&prompts.counts, prompts.time_us.get(place)?)?;
    let projections = projections(pack, measured_heads, mla.indexer)?;
    // Longer queries and values are more to compute.
    let width = |mla: &MlaShape| f64::from(mla.qk_nope_head_dim + mla.qk_rope_head_dim + mla.v_head_dim);
    let ratio = width(mla) / width(&measured_block(1, None)) * f64::from(heads) / f64::from(measured_heads);
    let prompt = prompt.map(|tokens, time| {
        let left = math::max(time - sum(&projections, tokens), LEAST_SHARE * time);
        if (ratio - 1.0).abs() < 1e-9 { left } else { left * ratio }
    });
    let place = nearest(&decodes.shapes)?;
    let decode = TimeGrid::of_rows(&decodes.num_seqs, &decodes.context_tokens, decodes.time_us.get(place)?)?;
    let decode = decode.map(|requests, _, time| math::max(time - sum(&projections, requests), LEAST_SHARE * time));
    let launch = decode.rows.first().and_then(|row| row.first()).copied().unwrap_or(0.0);
    let metadata = math::max(launch - MOST_LAUNCH_US, 0.0);
    Some((
        prompt.map(|_, time| math::max(time - metadata, LEAST_SHARE * time)),
        decode.map(|_, _, time| time - metadata),
    ))
}

fn sum(projections: &[Series], tokens: f64) -> f64 {
    projections.iter().map(|series| series.at(tokens)).sum()
}

/// The products of the measured block with so many heads.
fn projections(pack: &Pack, heads: u32, indexer: Option<IndexerShape>) -> Option<alloc::vec::Vec<Series>> {
    let block = measured_block(heads, indexer);
    let alone = Ranks { tensor: 1, data: 1, shares_experts: false };
    let products = Products::new(pack);
    let shapes = mla_products(&block, HIDDEN_SIZE, alone);
    shapes.into_iter().map(|shape| Some(products.find(shape, NumberFormat::Bf16)?.series)).collect()
}

/// Where no block was measured: a prompt's heads are computed as they are, a decode reads one wide head of latents.
fn of_heads(mla: &MlaShape, heads: u32, is_fp8: bool, pack: &Pack) -> Option<(Series, TimeGrid)> {
    let query = mla.qk_nope_head_dim + mla.qk_rope_head_dim;
    let whole = HeadsOnRank { num_heads: heads, num_kv_heads: heads, head_dim: query, span: 0, is_fp8 };
    // Keys hold the latents and the part with a position, values the latents again, read once.
    let latent = HeadsOnRank { num_heads: heads, num_kv_heads: 1, head_dim: mla.kv_lora_rank, span: 0, is_fp8 };
    let share = f64::from(mla.kv_lora_rank + mla.qk_rope_head_dim) / f64::from(2 * mla.kv_lora_rank);
    let launch = moving_us(0.0, &pack.gpu);
    let decode = latent.find(pack)?.decode.map(|_, _, time| math::max(time * share, launch));
    Some((whole.find(pack)?.prompt, decode))
}
