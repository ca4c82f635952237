//! What `/metrics` tells, as vLLM counts it; times are simulated seconds.
//!
//! Source: `vllm/v1/metrics/loggers.py::PrometheusStatLogger`, `stats.py::IterationStats`.

mod exposition;
mod histogram;
mod offloading;

use std::time::SystemTime;

use sim_core::request::{FinishReason, Verification};
use sim_core::time::SimTime;

use histogram::{
    Histogram, INTER_TOKEN_LATENCY, ITERATION_TOKENS, REQUEST_LATENCY, REQUEST_NUM_PREEMPTIONS, REQUEST_PARAMS_N,
    TIME_TO_FIRST_TOKEN, request_tokens,
};
use offloading::Offloading;

use super::admission::Rejection;

/// All families.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(super) model_name: String,
    pub(super) cache: CacheConfigInfo,
    pub(super) created: f64,
    pub(super) num_running_reqs: u32,
    pub(super) num_waiting_reqs: u32,
    pub(super) num_deferred_reqs: u32,
    pub(super) kv_cache_usage: f64,
    pub(super) prefix_cache_queries: u64,
    pub(super) prefix_cache_hits: u64,
    pub(super) num_preemptions: u64,
    pub(super) prompt_tokens: u64,
    pub(super) cached_prompt_tokens: u64,
    pub(super) generation_tokens: u64,
    /// Finished by stop, length, abort.
    pub(super) finished: [u64; 4],
    /// Rejected by `max_num_queued_reqs`, `max_num_queued_tokens`.
    pub(super) rejections: [u64; 2],
    /// `None` without a drafter.
    pub(super) drafts: Option<Drafts>,
    /// `None` without host memory for KV blocks.
    pub(super) offloading: Option<Offloading>,
    pub(super) histograms: Histograms,
}

/// Labels of `vllm:cache_config_info`.
#[derive(Debug, Clone)]
pub(crate) struct CacheConfigInfo {
    pub(crate) block_size: u32,
    pub(crate) num_gpu_blocks: u32,
    pub(crate) enable_prefix_caching: bool,
}

/// What a drafter did.
#[derive(Debug, Clone, Default)]
pub(super) struct Drafts {
    pub(super) num_drafts: u64,
    pub(super) num_draft_tokens: u64,
    pub(super) num_accepted_tokens: u64,
    pub(super) accepted_per_position: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Histograms {
    pub(super) iteration_tokens: Histogram,
    pub(super) max_num_generation_tokens: Histogram,
    pub(super) params_n: Histogram,
    pub(super) time_to_first_token: Histogram,
    pub(super) inter_token_latency: Histogram,
    pub(super) e2e_latency: Histogram,
    pub(super) queue_time: Histogram,
    pub(super) prefill_time: Histogram,
    pub(super) inference_time: Histogram,
    pub(super) decode_time: Histogram,
    pub(super) num_preemptions: Histogram,
    pub(super) prefill_kv_computed: Histogram,
    pub(super) prompt_tokens: Histogram,
    pub(super) generation_tokens: Histogram,
    pub(super) time_per_output_token: Histogram,
    pub(super) params_max_tokens: Histogram,
}

/// A request that ended, with its times in the engine core.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    pub(crate) reason: FinishReason,
    pub(crate) arrival: SimTime,
    pub(crate) queued: SimTime,
    pub(crate) scheduled: SimTime,
    pub(crate) first_token: SimTime,
    pub(crate) last_token: SimTime,
    pub(crate) num_prompt_tokens: u32,
    pub(crate) num_cached_tokens: u32,
    pub(crate) num_output_tokens: u32,
    pub(crate) num_preemptions: u32,
    pub(crate) max_tokens: u32,
}

/// The state of the scheduler after a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SchedulerState {
    pub(crate) num_running_reqs: u32,
    pub(crate) num_waiting_reqs: u32,
    /// Of these, those that were looked at and passed over.
    pub(crate) num_deferred_reqs: u32,
    pub(crate) num_free_blocks: u32,
}

impl Metrics {
    /// Nothing counted yet.
    pub(crate) fn new(model_name: String, cache: CacheConfigInfo, max_model_len: u32, num_drafts: u32) -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let positions = usize::try_from(num_drafts).unwrap_or(0);
        Self {
            model_name,
            cache,
            created: since_epoch.as_secs_f64(),
            num_running_reqs: 0,
            num_waiting_reqs: 0,
            num_deferred_reqs: 0,
            kv_cache_usage: 0.0,
            prefix_cache_queries: 0,
            prefix_cache_hits: 0,
            num_preemptions: 0,
            prompt_tokens: 0,
            cached_prompt_tokens: 0,
            generation_tokens: 0,
            finished: [0; 4],
            rejections: [0; 2],
            drafts: (num_drafts > 0).then(|| Drafts { accepted_per_position: vec![0; positions], ..Drafts::default() }),
            offloading: None,
            histograms: Histograms::new(&request_tokens(max_model_len)),
        }
    }

    /// A request was turned away by a limit of vLLM's.
    pub(crate) fn reject(&mut self, rejection: Rejection) {
        match rejection {
            Rejection::QueuedReqs => self.rejections[0] += 1,
            Rejection::QueuedTokens => self.rejections[1] += 1,
            Rejection::Memory => {}
        }
    }

    /// The engine has made a step.
    pub(crate) fn note_state(&mut self, state: SchedulerState) {
        self.num_running_reqs = state.num_running_reqs;
        self.num_waiting_reqs = state.num_waiting_reqs;
        self.num_deferred_reqs = state.num_deferred_reqs;
        // One block holds nothing: the null block.
        let usable = f64::from(self.cache.num_gpu_blocks.saturating_sub(1).max(1));
        self.kv_cache_usage = (1.0 - f64::from(state.num_free_blocks) / usable).max(0.0);
    }

    /// The counters of the scheduler and its prefix cache.
    pub(crate) const fn note_counters(&mut self, queries: u64, hits: u64, num_preemptions: u64) {
        self.prefix_cache_queries = queries;
        self.prefix_cache_hits = hits;
        self.num_preemptions = num_preemptions;
    }

    /// The results of a pass: its tokens, generated ones and those of prompts that were computed to the end.
    pub(crate) fn note_iteration(&mut self, num_generated: u32, num_computed_prompt: u32) {
        self.generation_tokens += u64::from(num_generated);
        self.histograms.iteration_tokens.observe(f64::from(num_generated) + f64::from(num_computed_prompt));
    }

    /// A request has its first token: so many of its prompt's tokens were cached, and of these so many loaded.
    pub(crate) fn note_prompt(&mut self, num_prompt_tokens: u32, num_cached_tokens: u32, num_external_tokens: u32) {
        if let Some(offloading) = &mut self.offloading {
            offloading.prompt_tokens += u64::from(num_external_tokens);
        }
        self.prompt_tokens += u64::from(num_prompt_tokens);
        self.cached_prompt_tokens += u64::from(num_cached_tokens);
    }

    /// A client has its first token, this many seconds after it asked.
    pub(crate) fn note_first_token(&mut self, seconds: f64) {
        self.histograms.time_to_first_token.observe(seconds);
    }

    /// Seconds between two messages of a request.
    pub(crate) fn note_inter_token_latency(&mut self, seconds: f64) {
        self.histograms.inter_token_latency.observe(seconds);
    }

    /// A verification of drafts.
    pub(crate) fn note_verification(&mut self, verification: &Verification) {
        let Some(drafts) = self.drafts.as_mut().filter(|_| verification.is_counted) else { return };
        drafts.num_drafts += 1;
        drafts.num_draft_tokens += u64::from(verification.num_draft_tokens);
        drafts.num_accepted_tokens += u64::from(verification.num_accepted_tokens);
        let accepted = usize::try_from(verification.num_accepted_tokens).unwrap_or(usize::MAX);
        drafts.accepted_per_position.iter_mut().take(accepted).for_each(|count| *count += 1);
    }

    /// A request ended whose client has its last token at `delivery`.
    pub(crate) fn note_finished(&mut self, request: &Finished, delivery: SimTime) {
        self.finished[match request.reason {
            FinishReason::Stop => 0,
            FinishReason::Length => 1,
            FinishReason::Abort => 2,
            FinishReason::Error => 3,
        }] += 1;
        let seconds = |to: SimTime, from: SimTime| to.saturating_since(from).as_secs_f64();
        let decode = seconds(request.last_token, request.first_token);
        let per_token = match request.num_output_tokens {
            0 | 1 => 0.0,
            count => decode / f64::from(count - 1),
        };
        let all = &mut self.histograms;
        all.e2e_latency.observe(seconds(delivery, request.arrival));
        all.queue_time.observe(seconds(request.scheduled, request.queued));
        all.prefill_time.observe(seconds(request.first_token, request.scheduled));
        all.inference_time.observe(seconds(request.last_token, request.scheduled));
        all.decode_time.observe(decode);
        all.num_preemptions.observe(f64::from(request.num_preemptions));
        let num_computed = request.num_prompt_tokens.saturating_sub(request.num_cached_tokens);
        all.prefill_kv_computed.observe(f64::from(num_computed));
        all.prompt_tokens.observe(f64::from(request.num_prompt_tokens));
        all.generation_tokens.observe(f64::from(request.num_output_tokens));
        all.max_num_generation_tokens.observe(f64::from(request.num_output_tokens));
        all.params_n.observe(1.0);
        all.time_per_output_token.observe(per_token);
        all.params_max_tokens.observe(f64::from(request.max_tokens));
    }
}

impl Histograms {
    fn new(request_tokens: &[f64]) -> Self {
        let latency = || Histogram::new(REQUEST_LATENCY);
        let tokens = || Histogram::new(request_tokens);
        Self {
            iteration_tokens: Histogram::new(ITERATION_TOKENS),
            max_num_generation_tokens: tokens(),
            params_n: Histogram::new(REQUEST_PARAMS_N),
            time_to_first_token: Histogram::new(TIME_TO_FIRST_TOKEN),
            inter_token_latency: Histogram::new(INTER_TOKEN_LATENCY),
            e2e_latency: latency(),
            queue_time: latency(),
            prefill_time: latency(),
            inference_time: latency(),
            decode_time: latency(),
            num_preemptions: Histogram::new(REQUEST_NUM_PREEMPTIONS),
            prefill_kv_computed: tokens(),
            prompt_tokens: tokens(),
            generation_tokens: tokens(),
            time_per_output_token: Histogram::new(INTER_TOKEN_LATENCY),
            params_max_tokens: tokens(),
        }
    }
}
