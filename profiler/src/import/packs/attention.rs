//! Attention of heads: whole prompts, and requests with one new token.

use std::collections::BTreeMap;

use anyhow::Result;
use sim_core::operators::schema::{CurveTable, GridTable};
use sim_core::operators::{Gpu, Operator};

use super::super::aiconfigurator::columns::{Columns, Wanted};
use super::super::aiconfigurator::measured;
use super::grids::{Cells, grid};
use super::{Sources, cold, rounded};

/// Heads, key heads, elements of a head, window.
type Shape = [u32; 4];

const PROMPTS: [u32; 16] = [16, 32, 64, 128, 256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 10240, 12288, 16384];
const SEQS: [u32; 12] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048];
const CONTEXTS: [u32; 12] = [2, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 32768, 131_072];

const WANTED: Wanted = Wanted {
    texts: &["kv_cache_dtype"],
    counts: &["batch_size", "isl", "num_heads", "num_key_value_heads", "head_dim", "step"],
    newer_counts: &["window_size"],
};

fn shape(columns: &Columns, row: usize) -> Shape {
    ["num_heads", "num_key_value_heads", "head_dim", "window_size"].map(|name| columns.count(name, row))
}

/// A curve table and a grid table for each number format of the cache.
pub(super) fn tables(
    sources: &mut Sources,
    gpu: &Gpu,
    curves: &mut Vec<CurveTable>,
    grids: &mut Vec<GridTable>,
) -> Result<()> {
    let files = sources.package.read("context_attention_perf", &sources.version)?;
    let prompts = measured::read(&files, &WANTED, |columns, row| {
        let is_single = columns.count("batch_size", row) == 1 && columns.count("step", row) == 0;
        let format = columns.text("kv_cache_dtype", row).to_owned();
        is_single.then(|| (format, shape(columns, row), columns.count("isl", row)))
    })?;
    let mut formats: BTreeMap<String, BTreeMap<Shape, BTreeMap<u32, f64>>> = BTreeMap::new();
    for ((format, shape, tokens), time) in prompts.times {
        formats.entry(format).or_default().entry(shape).or_default().insert(tokens, time);
    }
    for (format, mut by_shape) in formats {
        for curve in by_shape.values_mut() {
            let times: Vec<f64> = curve.values().copied().collect();
            let smooth = sources.tidier.curve("Attention of prompts", &times);
            curve.values_mut().zip(smooth).for_each(|(time, smooth)| *time = smooth);
        }
        let row =
            |curve: &BTreeMap<u32, f64>| PROMPTS.iter().map(|m| curve.get(m).map(|&time| rounded(time))).collect();
        curves.push(CurveTable {
            operator: Operator::PromptAttention,
            format,
            variant: String::new(),
            kernels: prompts.kernels.iter().cloned().collect(),
            counts: PROMPTS.to_vec(),
            shapes: by_shape.keys().map(|shape| shape.to_vec()).collect(),
            time_us: by_shape.values().map(row).collect(),
        });
    }
    grids.extend(decodes(sources, gpu)?);
    Ok(())
}

fn decodes(sources: &mut Sources, gpu: &Gpu) -> Result<Vec<GridTable>> {
    let files = sources.package.read("generation_attention_perf", &sources.version)?;
    let decodes = measured::read(&files, &WANTED, |columns, row| {
        // The context is `isl` tokens, 1 in all rows, and `step` more.
        let context = columns.count("isl", row).checked_add(columns.count("step", row))?;
        let format = columns.text("kv_cache_dtype", row).to_owned();
        Some((format, shape(columns, row), columns.count("batch_size", row), context))
    })?;
    let mut formats: BTreeMap<String, BTreeMap<Shape, Cells>> = BTreeMap::new();
    for ((format, shape, num_seqs, context), time) in decodes.times {
        formats.entry(format).or_default().entry(shape).or_default().insert((num_seqs, context), time);
    }
    let mut tables = vec![];
    for (format, by_shape) in formats {
        let bytes = if format == "fp8" { 1.0 } else { 2.0 };
        let (mut shapes, mut time_us) = (vec![], vec![]);
        for (shape, cells) in by_shape {
            let [_, kv_heads, head_dim, window] = shape;
            let bytes_per_token = 2.0 * f64::from(kv_heads) * f64::from(head_dim) * bytes;
            let cells = cold::raised(&cells, window, bytes_per_token, gpu);
            if let Some(times) = grid(&cells, [&SEQS, &CONTEXTS], "Attention of decodes", &mut sources.tidier) {
                shapes.push(shape.to_vec());
                time_us.push(times);
            }
        }
        tables.push(GridTable {
            operator: Operator::DecodeAttention,
            format,
            variant: String::new(),
            kernels: decodes.kernels.iter().cloned().collect(),
            num_seqs: SEQS.to_vec(),
            context_tokens: CONTEXTS.to_vec(),
            shapes,
            time_us,
        });
    }
    sources.tidier.say(cold::NOTE.to_owned());
    Ok(tables)
}
