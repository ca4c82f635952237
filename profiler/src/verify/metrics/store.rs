//! The comparison as part of the profile it is about.

use sim_core::profile::Profile;
use sim_core::profile::schema::ValidationRun;

use super::per_request::Metric;
use super::report::{Report, WorkloadResult};

/// Writes `report`'s runs into `profile`'s validation. What was known of the same workload and metric is replaced,
/// everything else stays.
pub(crate) fn store(report: &Report, profile: &mut Profile) {
    let new: Vec<ValidationRun> = report.workloads.iter().flat_map(runs).collect();
    let runs = &mut profile.validation.runs;
    runs.retain(|old| !new.iter().any(|new| new.workload == old.workload && new.metric == old.metric));
    runs.extend(new);
}

/// Mean and 99th percentile of each metric that `vllm bench serve` knows, in its words and units, and the throughput.
fn runs(workload: &WorkloadResult) -> Vec<ValidationRun> {
    let run = |metric: String, pair: super::report::Pair, unit: f64| ValidationRun {
        workload: workload.description.clone(),
        metric,
        measured: pair.measured * unit,
        predicted: pair.simulated * unit,
    };
    let mut runs = vec![];
    for report in workload.metrics.iter().filter(|report| report.metric != Metric::Tgt && report.errors.is_some()) {
        let name = report.metric.name().to_lowercase();
        runs.push(run(format!("mean_{name}_ms"), report.mean_s, 1e3));
        runs.push(run(format!("p99_{name}_ms"), report.p99_s, 1e3));
    }
    runs.extend(workload.output_throughput.map(|pair| run("output_throughput".to_owned(), pair, 1.0)));
    runs
}
