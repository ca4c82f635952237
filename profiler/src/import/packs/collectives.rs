//! All-reduces of vLLM's own, and NCCL's collectives.

use std::collections::BTreeMap;

use anyhow::Result;
use sim_core::operators::Operator;
use sim_core::operators::schema::CurveTable;

use super::super::aiconfigurator::columns::Wanted;
use super::super::aiconfigurator::measured;
use super::{Sources, rounded};

/// Numbers of a message: from 128 to 2²⁹ by twos.
const FIRST: u32 = 7;
const LAST: u32 = 29;

const NCCL: [(&str, Operator); 3] = [
    ("all_reduce", Operator::NcclAllReduce),
    ("all_gather", Operator::AllGather),
    ("reduce_scatter", Operator::ReduceScatter),
];

/// A table for each kind.
pub(super) fn tables(sources: &mut Sources) -> Result<Vec<CurveTable>> {
    // Not measured anew for every version of vLLM: what an older one has still holds.
    let files = sources.package.read("custom_allreduce_perf", &sources.version)?;
    let wanted = Wanted { texts: &["allreduce_dtype"], counts: &["num_gpus", "message_size"], ..Wanted::default() };
    let measured = measured::read(&files, &wanted, |columns, row| {
        let is_ours =
            columns.text("allreduce_dtype", row) == "bfloat16" && columns.text("kernel_source", row).contains("graph");
        is_ours.then(|| (columns.count("num_gpus", row), columns.count("message_size", row)))
    })?;
    let mut made = vec![table(Operator::AllReduce, measured.times, sources)];
    let files = sources.package.read_nccl()?;
    let wanted =
        Wanted { texts: &["op_name", "nccl_dtype"], counts: &["num_gpus", "message_size"], ..Wanted::default() };
    for (name, operator) in NCCL {
        let measured = measured::read(&files, &wanted, |columns, row| {
            let is_ours = columns.text("op_name", row) == name && columns.text("nccl_dtype", row) == "half";
            is_ours.then(|| (columns.count("num_gpus", row), columns.count("message_size", row)))
        })?;
        made.push(table(operator, measured.times, sources));
    }
    made.retain(|table| !table.shapes.is_empty());
    Ok(made)
}

fn table(operator: Operator, times: BTreeMap<(u32, u32), f64>, sources: &mut Sources) -> CurveTable {
    let counts: Vec<u32> = (FIRST..=LAST).map(|power| 1 << power).collect();
    let mut by_gpus: BTreeMap<u32, BTreeMap<u32, f64>> = BTreeMap::new();
    for ((num_gpus, size), time) in times {
        by_gpus.entry(num_gpus).or_default().insert(size, time);
    }
    let (mut shapes, mut time_us) = (vec![], vec![]);
    for (num_gpus, curve) in by_gpus {
        let times: Vec<f64> = curve.values().copied().collect();
        let smooth: BTreeMap<u32, f64> =
            curve.keys().copied().zip(sources.tidier.curve("Collectives", &times)).collect();
        shapes.push(vec![num_gpus]);
        time_us.push(counts.iter().map(|size| smooth.get(size).map(|&time| rounded(time))).collect());
    }
    CurveTable {
        operator,
        format: "bfloat16".to_owned(),
        variant: String::new(),
        kernels: vec![],
        counts,
        shapes,
        time_us,
    }
}
