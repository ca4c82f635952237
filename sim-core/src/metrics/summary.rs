//! What the engine did in total: the numbers that its own counters and gauges show.

use crate::math;
use crate::metrics::distribution::Distribution;
use crate::metrics::recorder::Recording;
use crate::metrics::request_metrics::RequestInstants;
use crate::metrics::time_series::kv_cache_usage;
use crate::time::{SimDuration, SimTime};

/// Counters that the engine keeps and the recording does not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineTotals {
    /// Iterations of the step loop that computed tokens.
    pub num_passes: u64,
    /// Preemptions (`vllm:num_preemptions`).
    pub num_preemptions: u64,
    /// Tokens looked up in the prefix cache at first admissions (`vllm:prefix_cache_queries`).
    pub prefix_cache_queries: u64,
    /// Of these, tokens found (`vllm:prefix_cache_hits`).
    pub prefix_cache_hits: u64,
    /// Tokens looked up when preempted requests came back; vLLM counts these apart.
    pub preempted_queries: u64,
    /// Of these, tokens found.
    pub preempted_hits: u64,
    /// Cached blocks that were reused for something else.
    pub num_evictions: u64,
}

/// The engine's side of a run. Means over time are over the whole run, idle spans included.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EngineSummary {
    /// The engine's counters.
    pub totals: EngineTotals,
    /// Tokens computed: prompts, outputs fed back, and what preemptions made it compute again.
    pub num_tokens: u64,
    /// Of these, tokens of prefill chunks.
    pub num_prefill_tokens: u64,
    /// Messages to clients, each with the new tokens of one request.
    pub num_outputs: u64,
    /// Passes without prefill chunks.
    pub num_decode_only_passes: u64,
    /// Requests running, at the most.
    pub max_running: u32,
    /// Requests running, in the mean over time.
    pub mean_running: f64,
    /// Requests waiting, at the most.
    pub max_waiting: u32,
    /// Requests waiting, in the mean over time.
    pub mean_waiting: f64,
    /// Share of KV blocks in use, at the most.
    pub max_kv_cache_usage: f64,
    /// Share of KV blocks in use, in the mean over time.
    pub mean_kv_cache_usage: f64,
    /// Share of time in which the device ran a pass; with pipeline stages, of all their time together, up to the
    /// number of stages.
    pub device_busy_share: f64,
    /// Share of time in which the engine held a request.
    pub engine_busy_share: f64,
}

impl EngineTotals {
    /// Share of looked-up tokens that were found, 0 to 1; 0 if none was looked up
    /// (`vllm/v1/metrics/stats.py::CachingMetrics.hit_rate`, over the whole run).
    #[must_use]
    pub fn prefix_cache_hit_rate(&self) -> f64 {
        if self.prefix_cache_queries == 0 {
            return 0.0;
        }
        math::u64_to_f64(self.prefix_cache_hits) / math::u64_to_f64(self.prefix_cache_queries)
    }
}

impl EngineSummary {
    /// Sums up `recording`. The run lasts from time zero to the last output.
    #[must_use]
    pub fn new(recording: &Recording, totals: EngineTotals, num_gpu_blocks: u32) -> Self {
        let mut summary = Self { totals, ..Self::default() };
        let (mut end, mut device_time) = (SimTime::ZERO, SimDuration::ZERO);
        recording.passes.iter().for_each(|pass| {
            summary.num_tokens += u64::from(pass.num_tokens);
            summary.num_prefill_tokens += u64::from(pass.num_prefill_tokens);
            summary.num_outputs += u64::from(pass.num_outputs);
            summary.num_decode_only_passes += u64::from(pass.num_prefill_tokens == 0);
            summary.max_running = summary.max_running.max(pass.num_running_reqs);
            summary.max_waiting = summary.max_waiting.max(pass.num_waiting_reqs);
            let usage = kv_cache_usage(pass, num_gpu_blocks);
            if usage > summary.max_kv_cache_usage {
                summary.max_kv_cache_usage = usage;
            }
            end = end.max(pass.output_time);
            device_time += pass.end_time.saturating_since(pass.start_time);
        });
        if end == SimTime::ZERO {
            return summary;
        }
        let run = math::u64_to_f64(end.as_nanos());
        recording.for_each_state(|from, to, pass| {
            let Some(pass) = pass else { return };
            let share = math::u64_to_f64(to - from) / run;
            summary.engine_busy_share += share;
            summary.mean_running += share * math::u32_to_f64(pass.num_running_reqs);
            summary.mean_waiting += share * math::u32_to_f64(pass.num_waiting_reqs);
            summary.mean_kv_cache_usage += share * kv_cache_usage(pass, num_gpu_blocks);
        });
        summary.device_busy_share = math::u64_to_f64(device_time.as_nanos()) / run;
        summary
    }
}

/// The latencies that the engine itself measures, in seconds, of all finished requests
/// (`vllm/v1/metrics/stats.py::FinishedRequestStats`).
#[derive(Debug, Clone, Default)]
pub struct EngineLatencies {
    /// `vllm:request_queue_time_seconds`.
    pub queue_time: Distribution,
    /// `vllm:request_prefill_time_seconds`.
    pub prefill_time: Distribution,
    /// `vllm:request_decode_time_seconds`.
    pub decode_time: Distribution,
    /// `vllm:request_inference_time_seconds`.
    pub inference_time: Distribution,
}

impl EngineLatencies {
    /// Gathers the latencies of `recording`.
    #[must_use]
    pub fn new(recording: &Recording) -> Self {
        let samples = |latency: fn(&RequestInstants) -> SimDuration| {
            let instants = recording.requests.iter().filter_map(|request| recording.instants(request));
            Distribution::from_samples(instants.map(|instants| latency(&instants).as_secs_f64()).collect())
        };
        Self {
            queue_time: samples(RequestInstants::queue_time),
            prefill_time: samples(RequestInstants::prefill_time),
            decode_time: samples(RequestInstants::decode_time),
            inference_time: samples(RequestInstants::inference_time),
        }
    }
}
