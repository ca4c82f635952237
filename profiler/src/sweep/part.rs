//! The results of some points in a file: what a shard writes, and a merge puts together.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use sim_core::math;
use sim_core::metrics::bench_serve::BenchmarkMetrics;

use super::base::{Points, hex};
use super::plan::Planned;
use crate::input_file::read_limited;
use crate::many::Summary;

/// Largest part read: a hundred points with some kilobytes each.
const MAX_BYTES: usize = 64 << 20;

/// The results of a part's points, in their order.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartFile {
    /// [`Planned::identity`].
    plan: String,
    first_point: usize,
    pub(crate) rows: Vec<Row>,
}

/// What came of a point.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// By the keys of `vllm bench serve`'s result file, in its order; empty if there is an error.
    pub(crate) figures: Vec<(String, Figure)>,
    /// Of the run: equal digests are equal runs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) digest: Option<String>,
    /// Why the point is refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) error: Option<String>,
}

/// A figure; a number that JSON does not have is none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Figure {
    Count(u64),
    Number(Option<f64>),
}

impl Row {
    /// Runs a point.
    pub(crate) fn of(points: &Points<'_>, point: usize) -> Self {
        match points.run(point) {
            Ok((Summary { metrics, digest, num_unfinished }, has_goodput)) => {
                let mut figures = figures(&metrics, has_goodput);
                figures.push(("num_unfinished".to_owned(), Figure::Count(math::usize_to_u64(num_unfinished))));
                Self { figures, digest: Some(hex(digest)), error: None }
            }
            Err(why) => Self { figures: vec![], digest: None, error: Some(why) },
        }
    }
}

impl PartFile {
    pub(crate) fn new(planned: &Planned, part: usize, rows: Vec<Row>) -> Self {
        Self { plan: planned.identity.clone(), first_point: planned.plan.points_of(part).start, rows }
    }

    /// The part in its file.
    ///
    /// # Errors
    /// If it cannot be read, is of another plan, or has other points than it should.
    pub(crate) fn read(planned: &Planned, part: usize) -> Result<Self> {
        let path = planned.path_of(part);
        let read = |path: &Path| -> Result<Self> {
            let file: Self = serde_json::from_slice(&read_limited(path, MAX_BYTES)?)?;
            ensure!(file.plan == planned.identity, "it is of another plan ({}, not {})", file.plan, planned.identity);
            let points = planned.plan.points_of(part);
            ensure!(
                file.first_point == points.start && file.rows.len() == points.len(),
                "it has {} points from {}, where {} from {} belong",
                file.rows.len(),
                file.first_point,
                points.len(),
                points.start
            );
            Ok(file)
        };
        read(&path).with_context(|| path.display().to_string())
    }
}

/// The figures of a run.
fn figures(metrics: &BenchmarkMetrics, has_goodput: bool) -> Vec<(String, Figure)> {
    let mut figures = vec![];
    let mut set = |key: &str, figure: Figure| figures.push((key.to_owned(), figure));
    let number = |number: f64| Figure::Number(Some(number).filter(|number| number.is_finite()));
    set("duration", number(metrics.duration));
    set("completed", Figure::Count(metrics.completed));
    set("failed", Figure::Count(metrics.failed));
    set("total_input_tokens", Figure::Count(metrics.total_input));
    set("total_output_tokens", Figure::Count(metrics.total_output));
    set("request_throughput", number(metrics.request_throughput));
    if has_goodput {
        set("request_goodput", number(metrics.request_goodput));
    }
    set("output_throughput", number(metrics.output_throughput));
    set("total_token_throughput", number(metrics.total_token_throughput));
    set("max_output_tokens_per_s", Figure::Count(metrics.max_output_tokens_per_s));
    set("max_concurrent_requests", Figure::Count(metrics.max_concurrent_requests));
    if let Some(totals) = &metrics.spec_decoding {
        set("spec_decode_acceptance_rate", number(totals.acceptance_rate().unwrap_or(0.0)));
        set("spec_decode_acceptance_length", number(totals.acceptance_length()));
        set("spec_decode_num_drafts", Figure::Count(totals.num_drafts));
        set("spec_decode_draft_tokens", Figure::Count(totals.num_draft_tokens));
        set("spec_decode_accepted_tokens", Figure::Count(totals.num_accepted_tokens));
    }
    for latency in &metrics.latencies {
        let key = latency.metric.key();
        set(&format!("mean_{key}_ms"), number(latency.mean_ms));
        set(&format!("median_{key}_ms"), number(latency.median_ms));
        set(&format!("std_{key}_ms"), number(latency.std_ms));
        for (percentile, value) in &latency.percentiles_ms {
            set(&format!("p{percentile}_{key}_ms"), number(*value));
        }
    }
    figures
}
