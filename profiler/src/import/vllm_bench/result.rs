//! Results of `vllm bench serve --save-result`, and what of them a simulation is compared with. The file itself is read by
//! `sim_core::metrics::json_measured`.

use anyhow::{Context, Result, ensure};
use sim_core::metrics::json_measured::{MeasuredResult, latency_statistic};

use crate::import::fit::runs::{Latency, Metric, Statistic};

/// Longest file that is read.
pub(crate) const MAX_BYTES: usize = MeasuredResult::MAX_BYTES_OF_ALL;
/// Longest time, in milliseconds.
const MAX_TIME: f64 = 1e9;

/// What a result says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BenchResult {
    pub(crate) model_id: String,
    /// All of it.
    pub(crate) measured: MeasuredResult,
    /// The latencies it reports, in milliseconds.
    pub(crate) metrics: Vec<(Metric, f64)>,
}

/// Reads a file: one result, or one a line (`--append-result`).
///
/// # Errors
/// If it is not such a file, or a run in it reports no latency.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<BenchResult>> {
    let all = MeasuredResult::all_from_json(bytes);
    let all = all.map_err(|(number, error)| anyhow::Error::new(error).context(format!("result {number}")))?;
    (1..).zip(all).map(|(number, one)| result(one).with_context(|| format!("result {number}"))).collect()
}

fn result(measured: MeasuredResult) -> Result<BenchResult> {
    let model_id = measured.texts.get("model_id").cloned();
    let model_id = model_id.context("no model_id: is this a result of vllm bench serve --save-result?")?;
    let metrics = metrics(&measured)?;
    ensure!(!metrics.is_empty(), "no latency of ttft, tpot or e2el; give --percentile-metrics ttft,tpot,itl,e2el");
    Ok(BenchResult { model_id, measured, metrics })
}

/// Every `mean_ttft_ms`, `median_tpot_ms`, `p99_e2el_ms` of the latencies that are simulated.
fn metrics(result: &MeasuredResult) -> Result<Vec<(Metric, f64)>> {
    if let Some(name) = result.texts.keys().find(|name| metric(name).is_some()) {
        anyhow::bail!("{name} must be milliseconds from 0 to {MAX_TIME}");
    }
    let mut metrics = vec![];
    for (name, &value) in &result.numbers {
        let Some(metric) = metric(name) else { continue };
        ensure!((0.0..=MAX_TIME).contains(&value), "{name} must be milliseconds from 0 to {MAX_TIME}");
        // A latency of no request is reported as 0.
        if value > 0.0 {
            metrics.push((metric, value));
        }
    }
    Ok(metrics)
}

fn metric(name: &str) -> Option<Metric> {
    let (statistic, latency) = latency_statistic(name)?;
    let statistic = match statistic {
        "mean" => Statistic::Mean,
        "median" => Statistic::Quantile(0.5),
        other => {
            let percent = other.strip_prefix('p')?.parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p))?;
            Statistic::Quantile(percent / 100.0)
        }
    };
    Some(Metric { latency: Latency::of(latency)?, statistic, name: name.to_owned() })
}
