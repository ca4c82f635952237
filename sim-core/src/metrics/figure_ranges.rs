//! The figures of a run, and what they are where every pass takes as much less or more as a profile may be off.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::math;
use crate::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics};
use crate::metrics::python_float::JsonFloat;
use crate::metrics::python_json::write_string;

/// How far the figures of a run may be off, as the object `range` of a result file has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunRange {
    /// Of the time of every pass, at the fast end.
    pub low_factor: f64,
    /// At the slow end.
    pub high_factor: f64,
    /// What says so: a sentence.
    pub why: String,
    /// By the key of the result file: the smallest and the largest of the figures that were taken in.
    pub figures: Vec<(String, f64, f64)>,
}

impl RunRange {
    /// A range of which no figure is known yet.
    #[must_use]
    pub const fn new([low_factor, high_factor]: [f64; 2], why: String) -> Self {
        Self { low_factor, high_factor, why, figures: Vec::new() }
    }

    /// Takes in the figures of a run: the one that it is about, or one at an end. All must have the same options.
    pub fn include(&mut self, metrics: &BenchmarkMetrics, options: &BenchServeOptions) {
        let figures = figures(metrics, options);
        if self.figures.is_empty() {
            self.figures = figures.into_iter().map(|(key, value)| (key, value, value)).collect();
            return;
        }
        for (range, (_, value)) in self.figures.iter_mut().zip(figures) {
            (range.1, range.2) = (math::min(range.1, value), math::max(range.2, value));
        }
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = (JsonFloat(self.low_factor), JsonFloat(self.high_factor));
        write!(f, "{{\"low_factor\": {low}, \"high_factor\": {high}, \"why\": ")?;
        write_string(f, &self.why)?;
        f.write_str(", \"figures\": {")?;
        for (place, (key, low, high)) in self.figures.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { ", " })?;
            write_string(f, key)?;
            write!(f, ": [{}, {}]", JsonFloat(*low), JsonFloat(*high))?;
        }
        f.write_str("}}")
    }
}

/// The figures that depend on how long passes take, with their keys in the result file. Runs under the same options have
/// the same ones.
fn figures(metrics: &BenchmarkMetrics, options: &BenchServeOptions) -> Vec<(String, f64)> {
    let mut figures = Vec::new();
    let mut set = |key: String, value: f64| figures.push((key, value));
    set("duration".to_string(), metrics.duration);
    set("request_throughput".to_string(), metrics.request_throughput);
    if !options.goodput.is_empty() {
        set("request_goodput".to_string(), metrics.request_goodput);
    }
    set("output_throughput".to_string(), metrics.output_throughput);
    set("total_token_throughput".to_string(), metrics.total_token_throughput);
    for latency in &metrics.latencies {
        let key = latency.metric.key();
        set(format!("mean_{key}_ms"), latency.mean_ms);
        set(format!("median_{key}_ms"), latency.median_ms);
        for (percentile, value) in &latency.percentiles_ms {
            set(format!("p{percentile}_{key}_ms"), *value);
        }
    }
    figures
}
