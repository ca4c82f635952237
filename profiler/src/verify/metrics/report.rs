//! What the comparison found: the JSON file's shape, and what the table and the plot are made from.
//!
//! Times are in seconds, errors in percent of the measured value; a request's measured value is the median over the
//! repeats.

use serde::Serialize;
use sim_core::metrics::distribution::{Distribution, Percentile};
use sim_core::profile::Profile;

use super::NamedScript;
use super::bootstrap::Resampling;
use super::errors::{MetricErrors, Sample, median, metric_errors, relative_percent};
use super::per_request::{Life, Metric, RequestTimes};
use super::run::Settings;
use crate::engine::EngineFacts;

/// Largest mean absolute error that passes, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Limits {
    /// Of the time to first token.
    pub(crate) ttft_percent: f64,
    /// Of the time per output token.
    pub(crate) tpot_percent: f64,
    /// Of the end-to-end latency.
    pub(crate) e2el_percent: f64,
}

impl Limits {
    /// Token generation time has none: its relative error is that of the time per output token.
    const fn of(self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Ttft => Some(self.ttft_percent),
            Metric::Tpot => Some(self.tpot_percent),
            Metric::Tgt => None,
            Metric::E2el => Some(self.e2el_percent),
        }
    }
}

/// Whether a metric passes, and by which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The mean absolute error is at most the limit.
    WithinLimit,
    /// It is above the limit, but at most the engine's noise against itself.
    WithinNoise,
    /// It is above both.
    Failed,
    /// The metric has no limit.
    NoLimit,
    /// No request has the metric.
    NotCompared,
}

impl Verdict {
    fn new(errors: Option<&MetricErrors>, limit_percent: Option<f64>) -> Self {
        let Some(errors) = errors else { return Self::NotCompared };
        let Some(limit) = limit_percent else { return Self::NoLimit };
        let error = errors.mean_absolute_error_percent.value;
        match errors.noise_percent {
            _ if error <= limit => Self::WithinLimit,
            Some(noise) if error <= noise.value => Self::WithinNoise,
            _ => Self::Failed,
        }
    }
}

/// A measured value and its simulated counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Pair {
    /// The engine's.
    pub(crate) measured: f64,
    /// The simulator's.
    pub(crate) simulated: f64,
    /// Relative error; 0 if both are 0.
    pub(crate) error_percent: f64,
}

impl Pair {
    pub(super) fn new(measured: f64, simulated: f64) -> Self {
        let is_same = measured.to_bits() == simulated.to_bits();
        let error_percent = if is_same { 0.0 } else { relative_percent(simulated, measured) };
        Self { measured, simulated, error_percent }
    }
}

/// One metric over the requests of one workload or of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct MetricReport {
    /// Which.
    pub(crate) metric: Metric,
    /// Requests that have it.
    pub(crate) num_requests: usize,
    /// Mean over the requests, in seconds.
    pub(crate) mean_s: Pair,
    /// 50th percentile of the requests' times, in seconds.
    pub(crate) p50_s: Pair,
    /// 90th percentile.
    pub(crate) p90_s: Pair,
    /// 99th percentile.
    pub(crate) p99_s: Pair,
    /// Errors of single requests; `null` if no request has the metric.
    pub(crate) errors: Option<MetricErrors>,
    /// The limit on the mean absolute error, in percent; `null` if the metric has none.
    pub(crate) limit_percent: Option<f64>,
    /// Whether it passes; decided over all workloads, information for a single one.
    pub(crate) verdict: Verdict,
}

impl MetricReport {
    fn new(metric: Metric, workloads: &[&WorkloadResult], settings: Settings) -> Self {
        let samples: Vec<Sample> = workloads.iter().map(|workload| workload.sample(metric)).collect();
        let samples: Vec<&Sample> = samples.iter().collect();
        let resampling = Resampling { num_resamples: settings.num_resamples, seed: settings.seed };
        let errors = metric_errors(&samples, resampling);
        let simulated = Distribution::from_samples(samples.iter().flat_map(|s| s.simulated().to_vec()).collect());
        let measured = Distribution::from_samples(samples.iter().flat_map(|s| s.medians()).collect());
        let at = |percent| {
            let percentile = Percentile::new(percent);
            let [measured, simulated] =
                [&measured, &simulated].map(|times| percentile.map_or(0.0, |percentile| times.percentile(percentile)));
            Pair::new(measured, simulated)
        };
        let limit_percent = settings.limits.of(metric);
        Self {
            metric,
            num_requests: samples.iter().map(|sample| sample.len()).sum(),
            mean_s: Pair::new(measured.mean(), simulated.mean()),
            p50_s: at(50.0),
            p90_s: at(90.0),
            p99_s: at(99.0),
            limit_percent,
            verdict: Verdict::new(errors.as_ref(), limit_percent),
            errors,
        }
    }
}

/// A request on both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RequestResult {
    /// Index in the workload.
    pub(crate) request: usize,
    /// Prompt tokens.
    pub(crate) num_prompt_tokens: u32,
    /// Tokens generated.
    pub(crate) num_output_tokens: u32,
    /// Forward passes from joining to the last token.
    pub(crate) num_passes: u32,
    /// Simulated times.
    pub(crate) simulated: RequestTimes,
    /// Measured times, one per repeat.
    pub(crate) measured: Vec<RequestTimes>,
}

/// One workload on both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct WorkloadResult {
    /// Its name.
    pub(crate) name: String,
    /// What is asked, in words.
    pub(crate) description: String,
    /// Why it is not compared, such as the first difference between the two schedules; `null` if it is.
    pub(crate) not_compared: Option<String>,
    /// Forward passes.
    pub(crate) num_passes: usize,
    /// From the first joining to the last token, in seconds, one per repeat.
    pub(crate) measured_durations_s: Vec<f64>,
    /// The same, simulated.
    pub(crate) simulated_duration_s: f64,
    /// The median of the durations against the simulated one, in seconds.
    pub(crate) duration_s: Option<Pair>,
    /// Generated tokens per second of the duration; requests that were aborted do not count.
    pub(crate) output_throughput: Option<Pair>,
    /// Its metrics.
    pub(crate) metrics: Vec<MetricReport>,
    /// Its requests, those that were aborted left out.
    pub(crate) requests: Vec<RequestResult>,
}

impl WorkloadResult {
    pub(super) fn new(workload: &NamedScript) -> Self {
        Self {
            name: workload.name.clone(),
            description: workload.description.clone(),
            not_compared: None,
            num_passes: 0,
            measured_durations_s: vec![],
            simulated_duration_s: 0.0,
            duration_s: None,
            output_throughput: None,
            metrics: vec![],
            requests: vec![],
        }
    }

    pub(super) fn push(&mut self, life: &Life, simulated: RequestTimes, measured: Vec<RequestTimes>) {
        self.requests.push(RequestResult {
            request: life.request,
            num_prompt_tokens: life.num_prompt_tokens,
            num_output_tokens: life.num_output_tokens,
            num_passes: life.num_passes,
            simulated,
            measured,
        });
    }

    fn sample(&self, metric: Metric) -> Sample {
        let mut sample = Sample::default();
        for request in &self.requests {
            let measured: Option<Vec<f64>> = request.measured.iter().map(|times| times.get(metric)).collect();
            if let (Some(simulated), Some(measured)) = (request.simulated.get(metric), measured) {
                sample.push(simulated, measured, request.num_passes);
            }
        }
        sample
    }

    /// Fills in what follows from the requests.
    fn summarise(&mut self, settings: Settings) {
        if self.requests.is_empty() {
            return;
        }
        self.metrics = Metric::ALL.map(|metric| MetricReport::new(metric, &[&*self], settings)).to_vec();
        let (measured, simulated) = (median(&mut self.measured_durations_s.clone()), self.simulated_duration_s);
        self.duration_s = Some(Pair::new(measured, simulated));
        let num_tokens: f64 = self.requests.iter().map(|request| f64::from(request.num_output_tokens)).sum();
        if measured > 0.0 && simulated > 0.0 {
            self.output_throughput = Some(Pair::new(num_tokens / measured, num_tokens / simulated));
        }
    }
}

/// What was compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Setup {
    /// The model the engine runs.
    pub(crate) model: String,
    /// The device.
    pub(crate) hardware: String,
    /// The machine.
    pub(crate) host: String,
    /// The programs that took part, with their versions.
    pub(crate) versions: Vec<(String, String)>,
    /// The profile's day.
    pub(crate) profile_date: String,
    /// Runs of each workload.
    pub(crate) repeats: u32,
    /// Resamples behind each confidence interval.
    pub(crate) num_resamples: u32,
    /// Confidence of the intervals, in percent.
    pub(crate) confidence_percent: f64,
    /// Seed of the order of the runs and of the resampling.
    pub(crate) seed: u64,
}

/// The whole comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// What was compared.
    pub(crate) setup: Setup,
    /// Settings in which the profile and the engine differ.
    pub(crate) warnings: Vec<String>,
    /// Every metric over the requests of all workloads.
    pub(crate) metrics: Vec<MetricReport>,
    /// How far each round of runs was from the median over the rounds: mean over the requests of the end-to-end
    /// latency's relative deviation, in percent. A drift of the machine shows here.
    pub(crate) round_deviations_percent: Vec<f64>,
    /// Mean over the workloads of the duration's absolute error, in percent.
    pub(crate) mean_absolute_duration_error_percent: f64,
    /// Whether every metric passed and every workload was compared.
    pub(crate) passed: bool,
    /// Workload by workload.
    pub(crate) workloads: Vec<WorkloadResult>,
}

impl Report {
    pub(super) fn new(
        facts: &EngineFacts,
        profile: &Profile,
        mut workloads: Vec<WorkloadResult>,
        settings: Settings,
        warnings: Vec<String>,
    ) -> Self {
        workloads.iter_mut().for_each(|workload| workload.summarise(settings));
        let compared: Vec<&WorkloadResult> = workloads.iter().filter(|w| w.duration_s.is_some()).collect();
        let metrics = Metric::ALL.map(|metric| MetricReport::new(metric, &compared, settings)).to_vec();
        let duration_errors = compared.iter().filter_map(|w| w.duration_s).map(|pair| pair.error_percent.abs());
        let has_failed = metrics.iter().any(|metric| metric.verdict == Verdict::Failed);
        Self {
            setup: Setup {
                model: facts.model.name.clone(),
                hardware: facts.hardware.name.clone(),
                host: facts.host.clone(),
                versions: facts.versions.clone(),
                profile_date: profile.provenance.date.clone(),
                repeats: settings.repeats,
                num_resamples: settings.num_resamples,
                confidence_percent: super::bootstrap::CONFIDENCE_PERCENT,
                seed: settings.seed,
            },
            warnings,
            round_deviations_percent: round_deviations(&compared, settings.repeats),
            mean_absolute_duration_error_percent: duration_errors.sum::<f64>() / compared.len().max(1) as f64,
            passed: !has_failed && compared.len() == workloads.len() && !workloads.is_empty(),
            metrics,
            workloads,
        }
    }
}

fn round_deviations(workloads: &[&WorkloadResult], repeats: u32) -> Vec<f64> {
    let mut sums = vec![0.0; repeats as usize];
    let mut num_requests = 0_u32;
    for request in workloads.iter().flat_map(|workload| &workload.requests) {
        let times: Vec<f64> = request.measured.iter().map(|times| times.e2el_s).collect();
        let middle = median(&mut times.clone());
        if middle > 0.0 {
            num_requests += 1;
            sums.iter_mut().zip(times).for_each(|(sum, time)| *sum += relative_percent(time, middle));
        }
    }
    sums.into_iter().map(|sum| sum / f64::from(num_requests.max(1))).collect()
}
