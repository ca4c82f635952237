//! From times of single layers to the step tables of a profile.
//!
//! A pass is: the embedding; for each of the model's layers two norms, the query/key/value projection, the norms of
//! queries and keys where the model has them, the rotary embedding, attention, the output projection, the gate and up
//! projection, the activation, the down projection; the last norm; then for each request the logits and the sampler.
//! With several ranks there is an all-reduce after the embedding, attention and the MLP, which the folder does not have.
//! The sum has no gaps between kernels in it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use sim_core::profile::schema::{DecodeAttention, OverSeqs, OverTokens, PrefillAttention, Smoothing, StepTimeTables};

use super::csv::{Columns, Row, read};
use super::mixed::{Attention, Fit};
use crate::import::smooth;

/// How often a layer's kernel runs, in each of the model's layers or once a pass.
const PER_LAYER: [(&str, f64); 7] = [
    ("layernorm", 2.0),
    ("qkv_proj", 1.0),
    ("rotary_emb", 1.0),
    ("o_proj", 1.0),
    ("gate_up_proj", 1.0),
    ("act_fn", 1.0),
    ("down_proj", 1.0),
];
/// Qwen3's: the time of one call, the mean over queries and keys.
const QK_NORM: (&str, f64) = ("qk_norm", 2.0);
const ONCE: [&str; 2] = ["embedding", "final_layernorm"];
const HEAD: [&str; 2] = ["lm_head", "sampler"];

const DENSE: Columns = Columns { has_layer: true, counts: &["tokens"] };
const PER_SEQUENCE: Columns = Columns { has_layer: true, counts: &["sequences"] };
pub(super) const ATTENTION: Columns =
    Columns { has_layer: false, counts: &["prefill_chunk", "kv_prefill", "n_decode", "kv_decode"] };

/// Most points on an axis that are kept: beyond, every second one is left out.
const MAX_POINTS: usize = 160;

/// The tables of one tensor-parallel rank, as bytes of its files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Files<'a> {
    pub(crate) dense: &'a [u8],
    pub(crate) per_sequence: &'a [u8],
    pub(crate) attention: &'a [u8],
}

/// Tables of a whole pass, with what smoothing did.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) step_time: StepTimeTables,
    pub(super) smoothing: Vec<Smoothing>,
    /// How attention behaves when a pass holds decodes and prompt parts; `None` if hardly any was measured.
    pub(super) mixed: Option<Fit>,
    pub(super) num_mixed: usize,
}

/// The step tables of a model with `num_layers` layers; `reduced_us` is what the all-reduces of a pass of so many tokens
/// take, 0 on one rank.
///
/// # Errors
/// If a file is not what it should be, or lacks a layer or a kind of pass, or has a layer that is not counted.
pub(super) fn step_time(files: Files<'_>, num_layers: u32, reduced_us: &dyn Fn(u32) -> f64) -> Result<Tables> {
    let layers = f64::from(num_layers);
    let dense = by_layer(read(files.dense, DENSE).context("dense.csv")?).context("dense.csv")?;
    let head = by_layer(read(files.per_sequence, PER_SEQUENCE).context("per_sequence.csv")?);
    let head = head.context("per_sequence.csv")?;
    let norms = dense.contains_key(QK_NORM.0).then_some(QK_NORM);
    let body = PER_LAYER.into_iter().chain(norms).map(|(layer, times)| (layer, times * layers));
    let body = body.chain(ONCE.map(|layer| (layer, 1.0))).collect::<Vec<_>>();
    let (num_tokens, mut body_us) = sum(&dense, &body).context("dense.csv")?;
    num_tokens.iter().zip(&mut body_us).for_each(|(&tokens, time)| *time += reduced_us(tokens));
    let (num_seqs, head_us) = sum(&head, &HEAD.map(|layer| (layer, 1.0))).context("per_sequence.csv")?;
    let attention = Attention::new(&read(files.attention, ATTENTION).context("attention.csv")?);
    let decode = grid(&attention.decode, layers).context("attention.csv, passes without prompt parts")?;
    let prefill = grid(&attention.prefill, layers).context("attention.csv, passes without decodes")?;

    let (body_us, body_record) = smooth::curve("non_attention", &body_us);
    let (head_us, head_record) = smooth::curve("head", &head_us);
    let (decode_us, decode_record) = smooth::grid("decode_attention", &decode.times);
    let (prefill_us, prefill_record) = smooth::grid("prefill_attention", &prefill.times);
    let optional = |rows: Vec<Vec<f64>>| rows.into_iter().map(|row| row.into_iter().map(Some).collect()).collect();
    let mut step_time = StepTimeTables {
        non_attention: OverTokens { num_tokens, time_us: body_us, num_samples: None, spread_us: None },
        head: OverSeqs { num_seqs, time_us: head_us, num_samples: None, spread_us: None },
        decode_attention: DecodeAttention {
            num_seqs: decode.rows,
            context_tokens: decode.columns,
            time_us: optional(decode_us),
            num_samples: None,
            spread_us: None,
        },
        prefill_attention: PrefillAttention {
            chunk_tokens: prefill.rows,
            prefix_tokens: prefill.columns,
            time_us: optional(prefill_us),
            num_samples: None,
            spread_us: None,
        },
        verification_attention: vec![],
        span_attention: vec![],
        mixed_batch: None,
    };
    let (body, head) = (&step_time.non_attention, &step_time.head);
    let rest = |tokens, seqs| {
        (between(&body.num_tokens, &body.time_us, tokens) + between(&head.num_seqs, &head.time_us, seqs)) / layers
    };
    let mixed = attention.fit_decode_term(rest);
    step_time.mixed_batch = mixed.as_ref().map(|fit| fit.mixed_batch.clone());
    Ok(Tables {
        step_time,
        smoothing: vec![body_record, head_record, decode_record, prefill_record],
        mixed,
        num_mixed: attention.mixed.len(),
    })
}

/// Times of each layer over its count.
fn by_layer(rows: Vec<Row>) -> Result<BTreeMap<String, BTreeMap<u32, f64>>> {
    let mut layers: BTreeMap<String, BTreeMap<u32, f64>> = BTreeMap::new();
    for row in rows {
        let [count] = row.counts[..] else { bail!("a row has {} counts", row.counts.len()) };
        ensure!(count > 0, "{}: a time of 0 tokens or sequences", row.layer);
        let before = layers.entry(row.layer.clone()).or_default().insert(count, row.time_us);
        ensure!(before.is_none(), "{}: two times for {count}", row.layer);
    }
    Ok(layers)
}

/// The sum of layers, each so many times, over the counts that all of them have. There may be no others: their time
/// would be missing.
fn sum(layers: &BTreeMap<String, BTreeMap<u32, f64>>, wanted: &[(&str, f64)]) -> Result<(Vec<u32>, Vec<f64>)> {
    let other = layers.keys().find(|layer| !wanted.iter().any(|(name, _)| name == layer));
    if let Some(layer) = other {
        bail!(
            "layer {layer:?} is not one that is counted: {}",
            wanted.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        );
    }
    let mut tables = vec![];
    for &(layer, times) in wanted {
        let table = layers.get(layer);
        let known = || layers.keys().cloned().collect::<Vec<_>>().join(", ");
        tables.push((table.with_context(|| format!("no layer {layer:?}; there are {}", known()))?, times));
    }
    let Some((first, _)) = tables.first() else { return Ok((vec![], vec![])) };
    let is_everywhere = |count: &&u32| tables.iter().all(|(table, _)| table.contains_key(count));
    let counts = thinned(first.keys().filter(is_everywhere).copied().collect());
    ensure!(counts.len() >= 2, "the layers have {} counts in common; at least 2 are needed", counts.len());
    let time = |count: &u32| tables.iter().map(|(table, times)| table[count] * times).sum();
    let times = counts.iter().map(time).collect();
    Ok((counts, times))
}

/// The points of an axis, thinned from the second on until they are few enough; first and last stay.
fn thinned(mut points: Vec<u32>) -> Vec<u32> {
    while points.len() > MAX_POINTS {
        let last = points.len() - 1;
        let keep = |(i, point)| (i % 2 == 0 || i == last).then_some(point);
        points = points.into_iter().enumerate().filter_map(keep).collect();
    }
    points
}

/// The value at `x` on the line between its neighbours; the first or last one outside.
fn between(axis: &[u32], values: &[f64], x: u32) -> f64 {
    let next = axis.partition_point(|&point| point < x);
    let (Some(&end), Some(&upper)) = (axis.get(next), values.get(next)) else {
        return values.last().copied().unwrap_or(0.0);
    };
    let Some(before) = next.checked_sub(1) else { return upper };
    let (start, lower) = (axis[before], values[before]);
    lower + (upper - lower) * f64::from(x - start) / f64::from(end - start)
}

/// A table without gaps.
struct Grid {
    rows: Vec<u32>,
    columns: Vec<u32>,
    times: Vec<Vec<f64>>,
}

/// The largest table without gaps in `points`: the columns that at least nine tenths of the rows have, and the rows
/// that have all of those. Times are those of one layer; the table's are those of all.
fn grid(points: &BTreeMap<(u32, u32), f64>, layers: f64) -> Result<Grid> {
    let rows: BTreeSet<u32> = points.keys().map(|&(row, _)| row).collect();
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for &(_, column) in points.keys() {
        *counts.entry(column).or_default() += 1;
    }
    let is_common = |&(_, count): &(u32, usize)| count * 10 >= rows.len() * 9;
    let columns: Vec<u32> = counts.into_iter().filter(is_common).map(|(column, _)| column).collect();
    let is_whole = |row: &u32| columns.iter().all(|&column| points.contains_key(&(*row, column)));
    let rows: Vec<u32> = rows.into_iter().filter(is_whole).collect();
    ensure!(
        rows.len() >= 2 && columns.len() >= 2,
        "a table of {} × {} points; at least 2 × 2 are needed",
        rows.len(),
        columns.len()
    );
    let time = |row: u32| columns.iter().map(|&column| points[&(row, column)] * layers).collect();
    let times = rows.iter().map(|&row| time(row)).collect();
    Ok(Grid { rows, columns, times })
}
