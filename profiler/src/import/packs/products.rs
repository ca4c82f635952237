//! Matrix products.

use std::collections::BTreeMap;

use anyhow::Result;
use sim_core::operators::Operator;
use sim_core::operators::schema::CurveTable;

use super::super::aiconfigurator::columns::Wanted;
use super::super::aiconfigurator::measured;
use super::{Sources, rounded};

/// Tokens that a pack keeps of 74 that were measured.
const TOKENS: [u32; 34] = [
    1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512, 768, 1024, 1280, 1536,
    1792, 2048, 2560, 3072, 4096, 8192, 16384, 32768,
];
/// From this many tokens on a launch is short beside the product.
const LARGE: u32 = 4096;

/// n and k.
type Shape = (u32, u32);
/// Times by tokens.
type Curves = BTreeMap<Shape, BTreeMap<u32, f64>>;

/// A table for each number format.
pub(super) fn tables(sources: &mut Sources) -> Result<Vec<CurveTable>> {
    let files = sources.package.read("gemm_perf", &sources.version)?;
    let wanted = Wanted { texts: &["gemm_dtype"], counts: &["m", "n", "k"], ..Wanted::default() };
    let measured = measured::read(&files, &wanted, |columns, row| {
        let [n, k, m] = ["n", "k", "m"].map(|name| columns.count(name, row));
        ([n, k, m].iter().all(|&size| size > 0)).then(|| (columns.text("gemm_dtype", row).to_owned(), n, k, m))
    })?;
    let mut formats: BTreeMap<String, Curves> = BTreeMap::new();
    for ((format, n, k, m), time) in measured.times {
        formats.entry(format).or_default().entry((n, k)).or_default().insert(m, time);
    }
    for (format, curves) in &mut formats {
        for curve in curves.values_mut() {
            let times: Vec<f64> = curve.values().copied().collect();
            let smooth = sources.tidier.curve(&format!("Matrix products in {format}"), &times);
            curve.values_mut().zip(smooth).for_each(|(time, smooth)| *time = smooth);
        }
    }
    if let Some(tensor) = formats.get("fp8").cloned()
        && let Some(block) = formats.get_mut("fp8_block")
    {
        let (num_lowered, ratio) = without_launches(block, &tensor);
        sources.tidier.say(format!(
            "Products in fp8 with scales of blocks were measured outside CUDA graphs: {num_lowered} times that launches \
             decide are those with scales of tensors instead, {ratio:.2} times as long (the median from {LARGE} tokens on)."
        ));
    }
    Ok(formats.into_iter().map(|(format, curves)| table(format, &curves)).collect())
}

/// The source measures products with scales of blocks outside CUDA graphs, so that small ones take what their launches
/// take. Where a product with scales of tensors is shorter, it stands for them, by the ratio that large ones have.
fn without_launches(block: &mut Curves, tensor: &Curves) -> (u32, f64) {
    let mut ratios: Vec<f64> = Vec::new();
    for (shape, curve) in block.iter() {
        let pairs = curve.range(LARGE..).filter_map(|(m, time)| Some(time / tensor.get(shape)?.get(m)?));
        // Large matrices only: small ones are launches even then.
        ratios.extend(pairs.filter(|_| u64::from(shape.0) * u64::from(shape.1) >= 1 << 23));
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios.get(ratios.len() / 2).copied().unwrap_or(1.0).max(1.0);
    let mut num_lowered = 0;
    for (shape, curve) in block {
        for (m, time) in curve {
            if let Some(other) = tensor.get(shape).and_then(|other| other.get(m))
                && *time > ratio * other
            {
                *time = ratio * other;
                num_lowered += 1;
            }
        }
    }
    (num_lowered, ratio)
}

fn table(format: String, curves: &Curves) -> CurveTable {
    let row = |curve: &BTreeMap<u32, f64>| TOKENS.iter().map(|m| curve.get(m).map(|&time| rounded(time))).collect();
    CurveTable {
        operator: Operator::Product,
        format,
        variant: String::new(),
        kernels: vec![],
        counts: TOKENS.to_vec(),
        shapes: curves.keys().map(|&(n, k)| vec![n, k]).collect(),
        time_us: curves.values().map(row).collect(),
    }
}
