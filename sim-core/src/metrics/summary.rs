//! What the engine did in total: the numbers that its own counters and gauges show.

use crate::math;
use crate::metrics::digest::{RunningDigest, digest};
use crate::metrics::distribution::Distribution;
use crate::metrics::recorder::{PassRecord, Recording};
use crate::metrics::request_metrics::RequestInstants;
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
        Self::seeing(recording, totals, num_gpu_blocks, |_| ())
    }

    /// The same, and the digest of the run: to unpack the records is most of what either costs, where they are packed.
    #[must_use]
    pub fn with_digest(recording: &Recording, totals: EngineTotals, num_gpu_blocks: u32) -> (Self, u64) {
        if !recording.passes.is_packed() {
            // Two short loops keep more in registers than a long one.
            return (Self::new(recording, totals, num_gpu_blocks), digest(recording));
        }
        let mut digest = RunningDigest::new(recording);
        let summary = Self::seeing(recording, totals, num_gpu_blocks, |pass| digest.pass(pass));
        (summary, digest.finish(recording))
    }

    /// Shows each pass to `see`, too, in order.
    fn seeing(
        recording: &Recording,
        totals: EngineTotals,
        num_gpu_blocks: u32,
        mut see: impl FnMut(&PassRecord),
    ) -> Self {
        let mut summary = Self { totals, ..Self::default() };
        let (mut end, mut device_time, mut min_free_blocks) = (SimTime::ZERO, SimDuration::ZERO, u32::MAX);
        // Sums over time, in nanoseconds times what is counted: whole numbers, so that each is rounded once.
        let (mut busy, mut running, mut waiting, mut free) = (0, 0_u128, 0_u128, 0_u128);
        recording.for_each_state(|from, to, pass| {
            let Some(pass) = pass else { return };
            see(pass);
            summary.num_tokens += u64::from(pass.num_tokens);
            summary.num_prefill_tokens += u64::from(pass.num_prefill_tokens);
            summary.num_outputs += u64::from(pass.num_outputs);
            summary.num_decode_only_passes += u64::from(pass.num_prefill_tokens == 0);
            summary.max_running = summary.max_running.max(pass.num_running_reqs);
            summary.max_waiting = summary.max_waiting.max(pass.num_waiting_reqs);
            min_free_blocks = min_free_blocks.min(pass.num_free_blocks);
            end = end.max(pass.output_time);
            device_time += pass.end_time.saturating_since(pass.start_time);
            let span = to - from;
            let during = |count: u32| u128::from(span) * u128::from(count);
            busy += span;
            running += during(pass.num_running_reqs);
            waiting += during(pass.num_waiting_reqs);
            free += during(pass.num_free_blocks);
        });
        if end == SimTime::ZERO {
            return summary;
        }
        let run = math::u64_to_f64(end.as_nanos());
        summary.engine_busy_share = math::u64_to_f64(busy) / run;
        summary.mean_running = math::u128_to_f64(running) / run;
        summary.mean_waiting = math::u128_to_f64(waiting) / run;
        summary.device_busy_share = math::u64_to_f64(device_time.as_nanos()) / run;
        if let Some(num_blocks) = num_gpu_blocks.checked_sub(1).filter(|&num_blocks| num_blocks > 0) {
            let used = (u128::from(busy) * u128::from(num_blocks)).saturating_sub(free);
            let num_blocks = math::u32_to_f64(num_blocks);
            summary.max_kv_cache_usage = 1.0 - math::u32_to_f64(min_free_blocks) / num_blocks;
            summary.mean_kv_cache_usage = math::u128_to_f64(used) / num_blocks / run;
        }
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
