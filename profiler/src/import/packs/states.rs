//! Layers with states: gated delta networks and Kimi's delta attention, convolution and scan together.

use std::collections::BTreeMap;

use anyhow::Result;
use sim_core::operators::Operator;
use sim_core::operators::schema::CurveTable;

use super::super::aiconfigurator::columns::Wanted;
use super::super::aiconfigurator::measured;
use super::{Sources, rounded};

const TOKENS: [u32; 15] = [1, 4, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 24576, 32768];
const SEQS: [u32; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// A table of the source, and what it becomes.
struct Kind {
    table: &'static str,
    operators: [Operator; 2],
    name: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind { table: "gdn_perf", operators: [Operator::DeltaPrompt, Operator::DeltaDecode], name: "Gated delta networks" },
    Kind {
        table: "kda_perf",
        operators: [Operator::KimiDeltaPrompt, Operator::KimiDeltaDecode],
        name: "Kimi's delta attention",
    },
];

/// Curves of prompts over tokens and of decodes over requests.
pub(super) fn tables(sources: &mut Sources) -> Result<Vec<CurveTable>> {
    let mut made = vec![];
    for kind in &KINDS {
        let files = sources.package.read(kind.table, &sources.version)?;
        for (place, phase) in ["context", "generation"].into_iter().enumerate() {
            let wanted = Wanted {
                texts: &["phase"],
                counts: &["batch_size", "seq_len", "num_k_heads", "num_v_heads"],
                ..Wanted::default()
            };
            let measured = measured::read(&files, &wanted, |columns, row| {
                let is_prompt = place == 0;
                let (requests, tokens) = (columns.count("batch_size", row), columns.count("seq_len", row));
                let is_ours =
                    columns.text("phase", row) == phase && if is_prompt { requests == 1 } else { tokens <= 1 };
                let heads = [columns.count("num_k_heads", row), columns.count("num_v_heads", row)];
                let kernel = columns.text("kernel_source", row).to_owned();
                is_ours.then_some((heads, kernel, if is_prompt { tokens } else { requests }))
            })?;
            let curves = summed(measured.times);
            if !curves.is_empty() {
                made.push(table(kind, place, &curves, sources));
            }
        }
    }
    Ok(made)
}

type Curves = BTreeMap<[u32; 2], BTreeMap<u32, f64>>;

/// The convolution and the fastest of the scans, for each shape.
fn summed(times: BTreeMap<([u32; 2], String, u32), f64>) -> Curves {
    // By shape and count: the convolution's time, and the scan's.
    let mut parts: BTreeMap<([u32; 2], u32), [f64; 2]> = BTreeMap::new();
    for ((heads, kernel, count), time) in times {
        let part = usize::from(!kernel.contains("conv1d"));
        let slot = &mut parts.entry((heads, count)).or_insert([f64::INFINITY; 2])[part];
        *slot = slot.min(time);
    }
    let mut curves = Curves::new();
    for ((heads, count), [conv, scan]) in parts {
        if scan.is_finite() {
            let conv = if conv.is_finite() { conv } else { 0.0 };
            curves.entry(heads).or_default().insert(count, conv + scan);
        }
    }
    curves
}

fn table(kind: &Kind, place: usize, curves: &Curves, sources: &mut Sources) -> CurveTable {
    let counts: &[u32] = if place == 0 { &TOKENS } else { &SEQS };
    let operator = kind.operators[place];
    let (mut shapes, mut time_us) = (vec![], vec![]);
    for (heads, curve) in curves {
        let times: Vec<f64> = curve.values().copied().collect();
        let smooth: BTreeMap<u32, f64> = curve.keys().copied().zip(sources.tidier.curve(kind.name, &times)).collect();
        shapes.push(if operator.num_sizes() == 1 { vec![heads[1]] } else { heads.to_vec() });
        time_us.push(counts.iter().map(|count| smooth.get(count).map(|&time| rounded(time))).collect());
    }
    CurveTable {
        operator,
        format: String::new(),
        variant: String::new(),
        kernels: vec![],
        counts: counts.to_vec(),
        shapes,
        time_us,
    }
}
