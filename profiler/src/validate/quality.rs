//! Noise, smoothing, and errors where the profile was tried.

use serde::Serialize;
use sim_core::profile::Profile;
use sim_core::profile::schema::{ValidationRun, ValidationStep};

use crate::import::fit::runs::Latency;
use crate::measure::outliers::quantile;

/// Half of the samples of a middling point lie within this share of its median.
const MAX_SPREAD: f64 = 0.1;
/// Fewest samples of a point.
const MIN_SAMPLES: u32 = 8;
/// Largest mean change of a table that smoothing may make.
const MAX_SMOOTHING: f64 = 0.05;
/// Median error of held-out passes.
const MAX_STEP_ERROR: f64 = 0.05;

/// Samples and spread of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Noise {
    pub(crate) table: &'static str,
    /// Points that were measured.
    pub(crate) num_points: usize,
    /// Fewest and middling number of samples behind a point; `null` if the source does not say.
    pub(crate) min_samples: Option<u32>,
    pub(crate) median_samples: Option<f64>,
    /// Spread as a share of the shortest pass that holds the point: the middling and the largest. Terms are differences of
    /// passes, so a term's spread is a pass's, and a share of the term itself would say nothing where that is near 0.
    pub(crate) median_spread: Option<f64>,
    pub(crate) max_spread: Option<f64>,
}

impl Noise {
    pub(super) fn beyond_limits(&self) -> Vec<String> {
        let (table, percent) = (self.table, |share: f64| format!("{:.1} %", 100.0 * share));
        let spread = self.median_spread.filter(|&spread| spread > MAX_SPREAD).map(|spread| {
            format!("{table}: spread of a middling point is {}, more than {}", percent(spread), percent(MAX_SPREAD))
        });
        let samples = self.min_samples.filter(|&samples| samples < MIN_SAMPLES);
        let samples =
            samples.map(|samples| format!("{table}: a point has {samples} samples, fewer than {MIN_SAMPLES}"));
        spread.into_iter().chain(samples).collect()
    }
}

/// A table's points: their times, and samples and spreads if known.
struct Points {
    table: &'static str,
    /// What else the shortest pass takes.
    rest_us: f64,
    times: Vec<Option<f64>>,
    samples: Option<Vec<u32>>,
    spreads: Option<Vec<f64>>,
}

impl Points {
    /// Of the points that have a time: a place without one holds no sample.
    fn noise(&self) -> Noise {
        let known = |i: &usize| self.times[*i].is_some();
        let places: Vec<usize> = (0..self.times.len()).filter(known).collect();
        let samples =
            self.samples.as_ref().map(|samples| places.iter().filter_map(|&i| samples.get(i).copied()).collect());
        let samples: Option<Vec<u32>> = samples;
        let relative = |i: usize, spreads: &[f64]| Some(spreads.get(i)? / (self.rest_us + self.times[i]?));
        let spreads = self.spreads.as_ref().map(|spreads| {
            sorted(places.iter().filter_map(|&i| relative(i, spreads)).filter(|share| share.is_finite()))
        });
        Noise {
            table: self.table,
            num_points: places.len(),
            min_samples: samples.as_ref().and_then(|samples| samples.iter().min().copied()),
            median_samples: samples.and_then(|samples| quantile(&sorted(samples.into_iter().map(f64::from)), 0.5)),
            median_spread: spreads.as_ref().and_then(|spreads| quantile(spreads, 0.5)),
            max_spread: spreads.and_then(|spreads| spreads.last().copied()),
        }
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Each table's.
pub(super) fn noise(profile: &Profile) -> Vec<Noise> {
    let tables = &profile.step_time;
    let (body, head) = (&tables.non_attention, &tables.head);
    let (decode, prefill) = (&tables.decode_attention, &tables.prefill_attention);
    let first = |times: &[f64]| times.first().copied().unwrap_or(0.0);
    let (first_body, first_head) = (first(&body.time_us), first(&head.time_us));
    let curve = |table, rest_us, times: &[f64], samples: &Option<Vec<u32>>, spreads: &Option<Vec<f64>>| Points {
        table,
        rest_us,
        times: times.iter().copied().map(Some).collect(),
        samples: samples.clone(),
        spreads: spreads.clone(),
    };
    let decode = Points {
        table: "decode_attention",
        rest_us: first_body + first_head,
        times: decode.time_us.concat(),
        samples: decode.num_samples.as_ref().map(|rows| rows.concat()),
        spreads: decode.spread_us.as_ref().map(|rows| rows.concat()),
    };
    let prefill = Points {
        table: "prefill_attention",
        rest_us: first_body + first_head,
        times: prefill.time_us.concat(),
        samples: prefill.num_samples.as_ref().map(|rows| rows.concat()),
        spreads: prefill.spread_us.as_ref().map(|rows| rows.concat()),
    };
    let points = [
        curve("non_attention", first_head, &body.time_us, &body.num_samples, &body.spread_us),
        curve("head", first_body, &head.time_us, &head.num_samples, &head.spread_us),
        decode,
        prefill,
    ];
    points.iter().map(Points::noise).collect()
}

/// What smoothing did to a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Smoothed {
    pub(crate) table: String,
    pub(crate) num_changed: u32,
    pub(crate) max_relative_change: f64,
    pub(crate) mean_relative_change: f64,
    pub(crate) method: String,
}

impl Smoothed {
    pub(super) fn beyond_limit(&self) -> Option<String> {
        let (mean, limit) = (100.0 * self.mean_relative_change, 100.0 * MAX_SMOOTHING);
        (mean > limit).then(|| format!("{}: changed by {mean:.1} % on average, more than {limit:.0} %", self.table))
    }
}

pub(super) fn smoothing(profile: &Profile) -> Vec<Smoothed> {
    let smoothed = profile.smoothing.iter().map(|record| Smoothed {
        table: record.table.clone(),
        num_changed: record.num_changed,
        max_relative_change: record.max_relative_change,
        mean_relative_change: record.mean_relative_change,
        method: record.method.clone(),
    });
    smoothed.collect()
}

/// Errors of passes that were held out, and of runs that were repeated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Validation {
    pub(crate) num_steps: usize,
    /// Size of the relative error: middling, and at the 90th percentile.
    pub(crate) median_step_error: Option<f64>,
    pub(crate) p90_step_error: Option<f64>,
    /// By metric, in the order of the file.
    pub(crate) runs: Vec<RunErrors>,
}

/// Errors of one metric over all runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RunErrors {
    pub(crate) metric: String,
    pub(crate) num_runs: usize,
    /// Size of the relative error: mean, and largest.
    pub(crate) mean_error: f64,
    pub(crate) max_error: f64,
}

impl Validation {
    pub(super) fn beyond_limits(&self) -> Vec<String> {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let step = self.median_step_error.filter(|&error| error > MAX_STEP_ERROR).map(|error| {
            format!("held-out passes: middling error {}, more than {}", percent(error), percent(MAX_STEP_ERROR))
        });
        let run = |errors: &RunErrors| {
            let latency = Latency::ALL.into_iter().find(|latency| errors.metric.contains(latency.key()));
            let limit = latency.unwrap_or(Latency::Tpot).tolerance();
            let RunErrors { metric, mean_error, .. } = errors;
            (metric.starts_with("mean_") && *mean_error > limit).then(|| {
                format!("runs: {metric} is off by {} on average, more than {}", percent(*mean_error), percent(limit))
            })
        };
        step.into_iter().chain(self.runs.iter().filter_map(run)).collect()
    }
}

pub(super) fn validation(profile: &Profile) -> Validation {
    let step_error = |step: &ValidationStep| (step.predicted_us / step.measured_us - 1.0).abs();
    let steps = sorted(profile.validation.steps.iter().map(step_error));
    let mut metrics: Vec<&str> = vec![];
    for run in &profile.validation.runs {
        if !metrics.contains(&run.metric.as_str()) {
            metrics.push(&run.metric);
        }
    }
    let run_error = |run: &ValidationRun| (run.predicted / run.measured - 1.0).abs();
    let errors = |metric: &str| {
        let runs = profile.validation.runs.iter().filter(|run| run.metric == metric && run.measured > 0.0);
        let errors = sorted(runs.map(run_error));
        Some(RunErrors {
            metric: metric.to_owned(),
            num_runs: errors.len(),
            mean_error: errors.iter().sum::<f64>() / errors.len().max(1) as f64,
            max_error: errors.last().copied()?,
        })
    };
    Validation {
        num_steps: steps.len(),
        median_step_error: quantile(&steps, 0.5),
        p90_step_error: quantile(&steps, 0.9),
        runs: metrics.into_iter().filter_map(errors).collect(),
    }
}
