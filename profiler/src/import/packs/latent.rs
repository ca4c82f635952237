//! Blocks of latent attention with their projections, with an index and without.

use std::collections::BTreeMap;

use anyhow::Result;
use sim_core::operators::Operator;
use sim_core::operators::schema::{CurveTable, GridTable};

use super::super::aiconfigurator::columns::{Columns, Wanted};
use super::super::aiconfigurator::measured;
use super::grids::{Cells, grid};
use super::{Sources, rounded};

const PROMPTS: [u32; 14] = [1, 16, 64, 128, 256, 512, 1024, 2048, 4096, 6144, 8192, 12288, 16384, 32768];
const SEQS: [u32; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
/// The source's `step` is the context that a new token finds.
const STEPS: [u32; 9] = [2, 256, 1024, 2048, 4096, 8192, 16384, 32768, 131_072];

const WANTED: Wanted = Wanted {
    texts: &["architecture", "gemm_type", "kv_cache_dtype"],
    counts: &["num_heads", "batch_size", "isl", "step"],
    newer_counts: &[],
};

/// Format of the cache, of the projections.
type Table = (String, String);

/// One kind of block.
struct Kind {
    tables: [&'static str; 2],
    operators: [Operator; 2],
    /// The model that was measured and the heads of its index; others are left out.
    models: &'static [(&'static str, u32)],
    name: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        tables: ["mla_context_module_perf", "mla_generation_module_perf"],
        operators: [Operator::LatentPrompt, Operator::LatentDecode],
        models: &[("DeepseekV3ForCausalLM", 0)],
        name: "Latent attention",
    },
    Kind {
        tables: ["dsa_context_module_perf", "dsa_generation_module_perf"],
        operators: [Operator::SparsePrompt, Operator::SparseDecode],
        models: &[("DeepseekV32ForCausalLM", 64), ("GlmMoeDsaForCausalLM", 32)],
        name: "Sparse latent attention",
    },
];

impl Kind {
    fn table(&self, columns: &Columns, row: usize) -> Option<(Table, Vec<u32>)> {
        let index_heads = self.models.iter().find(|(model, _)| *model == columns.text("architecture", row))?.1;
        let heads = columns.count("num_heads", row);
        let shape = if self.operators[0].num_sizes() == 1 { vec![heads] } else { vec![heads, index_heads] };
        let table = (columns.text("kv_cache_dtype", row).to_owned(), columns.text("gemm_type", row).to_owned());
        (heads > 0).then_some((table, shape))
    }
}

/// Curves of prompts and grids of decodes, where the source has them.
pub(super) fn tables(sources: &mut Sources, curves: &mut Vec<CurveTable>, grids: &mut Vec<GridTable>) -> Result<()> {
    for kind in &KINDS {
        curves.extend(prompts(kind, sources)?);
        grids.extend(decodes(kind, sources)?);
    }
    Ok(())
}

fn prompts(kind: &Kind, sources: &mut Sources) -> Result<Vec<CurveTable>> {
    let files = sources.package.read(kind.tables[0], &sources.version)?;
    let measured = measured::read(&files, &WANTED, |columns, row| {
        let is_single = columns.count("batch_size", row) == 1 && columns.count("step", row) == 0;
        let (table, shape) = kind.table(columns, row).filter(|_| is_single)?;
        Some((table, shape, columns.count("isl", row)))
    })?;
    let mut tables: BTreeMap<Table, BTreeMap<Vec<u32>, BTreeMap<u32, f64>>> = BTreeMap::new();
    for ((table, shape, tokens), time) in measured.times {
        tables.entry(table).or_default().entry(shape).or_default().insert(tokens, time);
    }
    let mut made = vec![];
    for ((format, variant), mut by_shape) in tables {
        for curve in by_shape.values_mut() {
            let times: Vec<f64> = curve.values().copied().collect();
            let smooth = sources.tidier.curve(&format!("{} of prompts", kind.name), &times);
            curve.values_mut().zip(smooth).for_each(|(time, smooth)| *time = smooth);
        }
        let row =
            |curve: &BTreeMap<u32, f64>| PROMPTS.iter().map(|m| curve.get(m).map(|&time| rounded(time))).collect();
        made.push(CurveTable {
            operator: kind.operators[0],
            format,
            variant,
            kernels: vec![],
            counts: PROMPTS.to_vec(),
            time_us: by_shape.values().map(row).collect(),
            shapes: by_shape.into_keys().collect(),
        });
    }
    Ok(made)
}

fn decodes(kind: &Kind, sources: &mut Sources) -> Result<Vec<GridTable>> {
    let files = sources.package.read(kind.tables[1], &sources.version)?;
    let measured = measured::read(&files, &WANTED, |columns, row| {
        let (table, shape) = kind.table(columns, row)?;
        Some((table, shape, columns.count("batch_size", row), columns.count("step", row)))
    })?;
    let mut tables: BTreeMap<Table, BTreeMap<Vec<u32>, Cells>> = BTreeMap::new();
    for ((table, shape, num_seqs, context), time) in measured.times {
        tables.entry(table).or_default().entry(shape).or_default().insert((num_seqs, context), time);
    }
    let mut made = vec![];
    for ((format, variant), by_shape) in tables {
        let (mut shapes, mut time_us) = (vec![], vec![]);
        for (shape, cells) in by_shape {
            let name = format!("{} of decodes", kind.name);
            if let Some(times) = grid(&cells, [&SEQS, &STEPS], &name, &mut sources.tidier) {
                shapes.push(shape);
                time_us.push(times);
            }
        }
        if !shapes.is_empty() {
            made.push(GridTable {
                operator: kind.operators[1],
                format,
                variant,
                kernels: vec![],
                num_seqs: SEQS.to_vec(),
                context_tokens: STEPS.to_vec(),
                shapes,
                time_us,
            });
        }
    }
    Ok(made)
}
