//! What an operator must move and compute, and what that takes at least.

use super::experts::ExpertsOnRank;
use super::format::NumberFormat;
use super::gpu::Gpu;
use super::kinds::Operator;
use super::products;
use crate::math;

/// Bytes and operations.
#[derive(Debug, Clone, Copy)]
struct Work {
    bytes: f64,
    /// In 16 bits.
    operations: f64,
}

/// The least time in microseconds that `operator` can take on `gpu` by what its maker says, bounded by memory, arithmetic
/// or the links. `format` and `variant` are those of its table, `sizes` the shape; `count` is what times stand over
/// (tokens, requests, numbers), `context` the tokens that each request attends to, 0 but for grids. `None` if the shape or
/// the format is unknown, or the GPU has no units for the format.
pub(super) fn least_us(
    operator: Operator,
    [format, variant]: [&str; 2],
    sizes: &[u32],
    [count, context]: [u32; 2],
    gpu: &Gpu,
) -> Option<f64> {
    let [count, context] = [count, context].map(math::u32_to_f64);
    let of = |work: Work| math::max(work.bytes / gpu.memory_bandwidth, work.operations / gpu.bf16_flops) * 1e6;
    let time = match (operator, sizes) {
        (Operator::Product, &[n, k]) => products::roofline_us(count, (n, k), units(format, gpu)?, gpu),
        (Operator::Experts, sizes) => ExpertsOnRank::of_sizes(sizes)?.roofline_us(count, units(format, gpu)?, gpu),
        (Operator::PromptAttention | Operator::DecodeAttention, &[heads, kv_heads, head_dim, window]) => {
            let sizes = [heads, kv_heads, head_dim].map(math::u32_to_f64);
            let window = if window == 0 { f64::INFINITY } else { math::u32_to_f64(window) };
            of(attention(operator, sizes, [count, context, window], cache_bytes(format)))
        }
        (Operator::LatentPrompt | Operator::LatentDecode | Operator::SparsePrompt | Operator::SparseDecode, sizes) => {
            let heads = math::u32_to_f64(*sizes.first()?);
            let index_heads = math::u32_to_f64(sizes.get(1).copied().unwrap_or(0));
            let weights = NumberFormat::of_table(variant)?;
            units(variant, gpu)?;
            of(latent(operator, [heads, index_heads], [count, context], [weights.weight_bytes(), cache_bytes(format)]))
        }
        (
            Operator::DeltaPrompt | Operator::DeltaDecode | Operator::KimiDeltaPrompt | Operator::KimiDeltaDecode,
            sizes,
        ) => of(states(operator, math::u32_to_f64(*sizes.last()?), count)),
        (Operator::AllToAll, &[_, hidden_size, per_token]) => {
            4.0 * count * math::u32_to_f64(hidden_size) * math::u32_to_f64(per_token) / gpu.link_bandwidth * 1e6
        }
        (_, &[ranks]) => sent(operator, math::u32_to_f64(ranks)) * 2.0 * count / gpu.link_bandwidth * 1e6,
        _ => return None,
    };
    (time > 0.0).then_some(time)
}

/// The number format of a table of matrices; `None` if `gpu` has no units for it.
pub(super) fn units(format: &str, gpu: &Gpu) -> Option<NumberFormat> {
    let format = NumberFormat::of_table(format)?;
    let rate = match format {
        NumberFormat::Fp8 | NumberFormat::Fp8Block | NumberFormat::Int8 | NumberFormat::Mxfp4Fp8 => gpu.fp8_flops,
        NumberFormat::Nvfp4 => gpu.fp4_flops,
        NumberFormat::Bf16 | NumberFormat::Mxfp4 | NumberFormat::Int4 => gpu.bf16_flops,
    };
    (rate > 0.0).then_some(format)
}

fn cache_bytes(format: &str) -> f64 {
    if format == "fp8" { 1.0 } else { 2.0 }
}

/// Keys and values are read, queries and outputs read and written; two products of a query's and a key's length for each
/// pair, half of the square for a prompt.
fn attention(
    operator: Operator,
    [heads, kv_heads, dim]: [f64; 3],
    [count, context, window]: [f64; 3],
    cache: f64,
) -> Work {
    let (pairs, keys) = if operator == Operator::DecodeAttention {
        let read = count * math::min(context, window);
        (read, read)
    } else {
        let span = math::min(count, window);
        (count * span - 0.5 * span * span, count)
    };
    Work {
        bytes: 2.0 * keys * kv_heads * dim * cache + 4.0 * count * heads * dim,
        operations: 4.0 * pairs * heads * dim,
    }
}

/// A block with `DeepSeek-V3`'s widths: its projections, and 576 numbers for each token in the cache. An index, if there
/// is one, looks at all tokens in 128 numbers and lets 2048 be attended to.
fn latent(
    operator: Operator,
    [heads, index_heads]: [f64; 2],
    [count, context]: [f64; 2],
    [weight, cache]: [f64; 2],
) -> Work {
    const CHOSEN: f64 = 2048.0;
    let matrices = 7168.0 * (1536.0 + 576.0)
        + heads * (1536.0 * 192.0 + 512.0 * 256.0 + 128.0 * 7168.0)
        + index_heads * 128.0 * 1536.0;
    let is_prompt = matches!(operator, Operator::LatentPrompt | Operator::SparsePrompt);
    let seen = if is_prompt { 0.5 * count * count } else { count * context };
    let chosen = if index_heads == 0.0 { seen } else { math::min(seen, count * CHOSEN) };
    // A prompt's keys are made of the latent vectors; a decode multiplies with these themselves.
    let width = if is_prompt && index_heads == 0.0 { 320.0 } else { 1088.0 };
    let read = if is_prompt { count } else { chosen };
    Work {
        bytes: matrices * weight + 576.0 * read * cache + 4.0 * 7168.0 * count,
        operations: 2.0 * (count * matrices + chosen * heads * width + seen * index_heads * 128.0),
    }
}

/// States of 128 × 128 numbers of 32 bits for each head, read and written once by a decode; inputs and outputs.
fn states(operator: Operator, heads: f64, count: f64) -> Work {
    let is_decode = matches!(operator, Operator::DeltaDecode | Operator::KimiDeltaDecode);
    let state = heads * 128.0 * 128.0;
    let moved = if is_decode { 8.0 * count * state } else { 8.0 * state };
    Work { bytes: moved + 10.0 * count * heads * 128.0, operations: 6.0 * count * state }
}

/// How often each rank sends what all hold.
fn sent(operator: Operator, ranks: f64) -> f64 {
    let share = (ranks - 1.0) / ranks;
    if matches!(operator, Operator::AllReduce | Operator::NcclAllReduce) { 2.0 * share } else { share }
}
