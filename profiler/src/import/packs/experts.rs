//! Mixtures of experts.

use std::collections::BTreeMap;

use anyhow::Result;
use sim_core::operators::Operator;
use sim_core::operators::schema::CurveTable;

use super::super::aiconfigurator::columns::Wanted;
use super::super::aiconfigurator::measured;
use super::{Sources, rounded};

/// Tokens that a pack keeps of 27 that were measured.
const TOKENS: [u32; 21] =
    [1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096, 8192, 12288, 16384];
/// How tokens fall on experts: `power_law_1.01` lies between the two.
const VARIANTS: [&str; 2] = ["balanced", "power_law_1.2"];
/// Most ranks that experts are shared among.
const MAX_RANKS: u32 = 16;
const SHAPE: [&str; 6] = ["hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size"];

/// Times by shape and tokens.
type Curves = BTreeMap<[u32; 6], BTreeMap<u32, f64>>;

/// A table for each number format and distribution.
pub(super) fn tables(sources: &mut Sources) -> Result<Vec<CurveTable>> {
    let files = sources.package.read("moe_perf", &sources.version)?;
    let wanted = Wanted {
        texts: &["moe_dtype", "distribution"],
        counts: &["num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size"],
        ..Wanted::default()
    };
    let measured = measured::read(&files, &wanted, |columns, row| {
        let shape = SHAPE.map(|name| columns.count(name, row));
        let variant = columns.text("distribution", row);
        let is_kept = VARIANTS.contains(&variant) && shape[4].max(shape[5]) <= MAX_RANKS;
        let format = columns.text("moe_dtype", row).to_owned();
        is_kept.then(|| ((format, variant.to_owned()), shape, columns.count("num_tokens", row)))
    })?;
    let mut tables: BTreeMap<(String, String), Curves> = BTreeMap::new();
    for ((table, shape, tokens), time) in measured.times {
        tables.entry(table).or_default().entry(shape).or_default().insert(tokens, time);
    }
    let mut made = vec![];
    for ((format, variant), mut curves) in tables {
        for curve in curves.values_mut() {
            let times: Vec<f64> = curve.values().copied().collect();
            let smooth = sources.tidier.curve(&format!("Experts in {format}"), &times);
            curve.values_mut().zip(smooth).for_each(|(time, smooth)| *time = smooth);
        }
        let row = |curve: &BTreeMap<u32, f64>| TOKENS.iter().map(|m| curve.get(m).map(|&time| rounded(time))).collect();
        made.push(CurveTable {
            operator: Operator::Experts,
            format,
            variant,
            kernels: vec![],
            counts: TOKENS.to_vec(),
            shapes: curves.keys().map(|shape| shape.to_vec()).collect(),
            time_us: curves.values().map(row).collect(),
        });
    }
    Ok(made)
}
