//! The numbers that `vllm bench serve` reports, under its options
//! (`vllm/benchmarks/serve.py::calculate_metrics`, vLLM 0.32.0).

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::math;
use crate::metrics::bench_outputs::{BenchOutputs, RequestOutput};
use crate::metrics::distribution::{Distribution, Percentile, Statistics};
use crate::metrics::goodput::Goodput;
use crate::metrics::latency_metric::samples;
use crate::metrics::recorder::SpecDecodingTotals;

pub use crate::metrics::latency_metric::LatencyMetric;

/// How `--ramp-up-strategy` raises the request rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RampUp {
    /// `linear` or `exponential`.
    pub strategy: String,
    /// Requests per second at the start.
    pub start_rps: u32,
    /// Requests per second at the end.
    pub end_rps: u32,
    /// Whenever the rate reached a whole number: that number, and the date and time in ISO 8601.
    pub rps_change_events: Vec<(u32, String)>,
}

/// The options of `vllm bench serve` that its report shows or depends on, with their defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchServeOptions {
    /// `--model`.
    pub model_id: String,
    /// `--tokenizer`, by default the model; `None` for `--skip-tokenizer-init`, which hides every row about tokens.
    pub tokenizer_id: Option<String>,
    /// `--label`.
    pub label: Option<String>,
    /// `--metadata`, in order.
    pub metadata: Vec<(String, String)>,
    /// `--request-rate` in requests per second; infinite for all at once.
    pub request_rate: f64,
    /// `--burstiness`.
    pub burstiness: f64,
    /// `--max-concurrency`.
    pub max_concurrency: Option<u32>,
    /// `--ramp-up-strategy` and its companions.
    pub ramp_up: Option<RampUp>,
    /// `--percentile-metrics`.
    pub percentile_metrics: Vec<LatencyMetric>,
    /// `--metric-percentiles`.
    pub metric_percentiles: Vec<Percentile>,
    /// `--goodput`.
    pub goodput: Goodput,
}

impl BenchServeOptions {
    /// vLLM's defaults for `model_id`.
    #[must_use]
    pub fn new(model_id: String) -> Self {
        Self {
            tokenizer_id: Some(model_id.clone()),
            model_id,
            label: None,
            metadata: Vec::new(),
            request_rate: f64::INFINITY,
            burstiness: 1.0,
            max_concurrency: None,
            ramp_up: None,
            percentile_metrics: vec![LatencyMetric::Ttft, LatencyMetric::Tpot, LatencyMetric::Itl],
            metric_percentiles: Percentile::new(99.0).into_iter().collect(),
            goodput: Goodput::default(),
        }
    }

    /// Whether the report shows `metric`.
    #[must_use]
    pub fn shows(&self, metric: LatencyMetric) -> bool {
        self.percentile_metrics.contains(&metric)
            && match metric {
                LatencyMetric::Ttft | LatencyMetric::Tpot | LatencyMetric::Itl => self.tokenizer_id.is_some(),
                LatencyMetric::E2el => true,
                LatencyMetric::ClientQueueTime => self.max_concurrency.is_some(),
                LatencyMetric::E2elIncludingClientQueue => {
                    self.max_concurrency.is_some() && !self.request_rate.is_infinite()
                }
            }
    }
}

/// The latencies of all successful requests, in seconds.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    /// Times to first token.
    pub ttft: Distribution,
    /// Times per output token, of requests with more than one.
    pub tpot: Distribution,
    /// Inter-token latencies of all requests together.
    pub itl: Distribution,
    /// End-to-end latencies.
    pub e2el: Distribution,
    /// Waits of the client for `max_concurrency`.
    pub client_queue_time: Distribution,
    /// The two last together.
    pub e2el_including_client_queue: Distribution,
}

impl Latencies {
    /// Gathers the latencies of `outputs`.
    #[must_use]
    pub fn new(outputs: &impl BenchOutputs) -> Self {
        let samples = samples(outputs, LatencyMetric::ALL, |_| ());
        let [ttft, tpot, _, e2el, client_queue_time, e2el_including_client_queue] =
            samples.map(Distribution::from_samples);
        let itl = outputs.pooled_itls();
        Self { ttft, tpot, itl, e2el, client_queue_time, e2el_including_client_queue }
    }

    /// The distribution of `metric`.
    #[must_use]
    pub const fn get(&self, metric: LatencyMetric) -> &Distribution {
        match metric {
            LatencyMetric::Ttft => &self.ttft,
            LatencyMetric::Tpot => &self.tpot,
            LatencyMetric::Itl => &self.itl,
            LatencyMetric::E2el => &self.e2el,
            LatencyMetric::ClientQueueTime => &self.client_queue_time,
            LatencyMetric::E2elIncludingClientQueue => &self.e2el_including_client_queue,
        }
    }
}

/// Sums over the successful requests.
#[derive(Debug, Default)]
struct Totals {
    completed: u64,
    good: u64,
    total_input: u64,
    total_output: u64,
}

impl Totals {
    fn add(&mut self, output: &RequestOutput<'_>, goodput: &Goodput) {
        if output.success {
            self.completed += 1;
            self.good += u64::from(goodput.is_met(output));
            self.total_input += u64::from(output.prompt_len);
            self.total_output += u64::from(output.output_len);
        }
    }
}

/// What the report says about one latency, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyStatistics {
    /// Which.
    pub metric: LatencyMetric,
    /// `mean_<metric>_ms`.
    pub mean_ms: f64,
    /// `median_<metric>_ms`.
    pub median_ms: f64,
    /// `std_<metric>_ms`.
    pub std_ms: f64,
    /// `p<percentile>_<metric>_ms`, in the order of the option.
    pub percentiles_ms: Vec<(Percentile, f64)>,
}

impl LatencyStatistics {
    fn new(metric: LatencyMetric, statistics: &Statistics, percentiles: &[Percentile]) -> Self {
        let milliseconds = statistics.percentiles.iter().map(|percentile| percentile * 1000.0);
        Self {
            metric,
            mean_ms: statistics.mean * 1000.0,
            median_ms: statistics.median * 1000.0,
            std_ms: statistics.std * 1000.0,
            percentiles_ms: percentiles.iter().copied().zip(milliseconds).collect(),
        }
    }
}

/// The report (`vllm/benchmarks/serve.py::BenchmarkMetrics`, whose names the fields have).
#[derive(Debug, Clone, PartialEq)]
pub struct BenchmarkMetrics {
    /// Seconds that the benchmark took.
    pub duration: f64,
    /// Successful requests.
    pub completed: u64,
    /// Failed requests.
    pub failed: u64,
    /// Prompt tokens of the successful requests.
    pub total_input: u64,
    /// Tokens generated by them.
    pub total_output: u64,
    /// Successful requests per second.
    pub request_throughput: f64,
    /// Requests per second that meet every objective; all successful ones if there is none.
    pub request_goodput: f64,
    /// Generated tokens per second.
    pub output_throughput: f64,
    /// Prompt and generated tokens per second.
    pub total_token_throughput: f64,
    /// Most tokens within one second.
    pub max_output_tokens_per_s: u64,
    /// Most requests within one second.
    pub max_concurrent_requests: u64,
    /// Drafts verified and accepted; `None` if nothing was verified.
    pub spec_decoding: Option<SpecDecodingTotals>,
    /// The latencies that the options ask for and that apply, in the order of the table.
    pub latencies: Vec<LatencyStatistics>,
}

impl BenchmarkMetrics {
    /// The report on `outputs`, whose `latencies` were gathered before. Throughputs over no time at all are 0.
    #[must_use]
    pub fn new(outputs: &impl BenchOutputs, latencies: &Latencies, options: &BenchServeOptions) -> Self {
        let mut totals = Totals::default();
        outputs.for_each_output(|output| totals.add(&output, &options.goodput));
        let percentiles = &options.metric_percentiles;
        Self::with(outputs, options, &totals, |metric| latencies.get(metric).statistics(percentiles))
    }

    /// The same where nothing else is asked of the latencies: without putting them in order.
    #[must_use]
    pub fn of(outputs: &impl BenchOutputs, options: &BenchServeOptions) -> Self {
        let mut totals = Totals::default();
        let shown = LatencyMetric::ALL.map(|metric| options.shows(metric).then_some(metric));
        let mut samples = samples(outputs, shown, |output| totals.add(output, &options.goodput));
        let percentiles = &options.metric_percentiles;
        Self::with(outputs, options, &totals, |metric| match metric {
            LatencyMetric::Itl => outputs.itl_statistics(percentiles),
            _ => Statistics::of_samples(core::mem::take(&mut samples[metric.place()]), percentiles),
        })
    }

    fn with(
        outputs: &impl BenchOutputs,
        options: &BenchServeOptions,
        totals: &Totals,
        mut statistics: impl FnMut(LatencyMetric) -> Statistics,
    ) -> Self {
        let &Totals { completed, good, total_input, total_output } = totals;
        let duration = outputs.duration();
        let per_second = |count: u64| {
            if duration > 0.0 { math::u64_to_f64(count) / duration } else { 0.0 }
        };
        let peaks = outputs.peaks();
        Self {
            duration,
            completed,
            failed: math::usize_to_u64(outputs.num_requests()) - completed,
            total_input,
            total_output,
            request_throughput: per_second(completed),
            request_goodput: per_second(good),
            output_throughput: per_second(total_output),
            total_token_throughput: per_second(total_input + total_output),
            max_output_tokens_per_s: peaks.max_output_tokens_per_s,
            max_concurrent_requests: peaks.max_concurrent_requests,
            spec_decoding: outputs.spec_decoding().filter(|totals| totals.num_draft_tokens > 0).cloned(),
            latencies: LatencyMetric::ALL
                .into_iter()
                .filter(|&metric| options.shows(metric))
                .map(|metric| LatencyStatistics::new(metric, &statistics(metric), &options.metric_percentiles))
                .collect(),
        }
    }
}
