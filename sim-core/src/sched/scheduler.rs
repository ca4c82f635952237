//! The scheduler: one loop over running requests, one over waiting ones, and the processing of results.
//!
//! There is no prefill phase and no decode phase: each request has computed and known tokens, and every pass lets it
//! catch up, drafts to be verified included. Source: `vllm/v1/core/sched/{scheduler,async_scheduler}.py`.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use super::arrivals::Arrivals;
use super::budget::Budget;
use super::connector::state::Connector;
use super::live_request::{LiveRequests, Place};
use super::mamba_split::MambaSplit;
use super::output::SchedulerOutput;
use super::prefill_interval::PrefillInterval;
use super::request_queue::RequestQueue;
use super::steady::SteadyRequests;
use crate::batch::AttentionSpan;
use crate::config::EngineConfig;
use crate::kv_cache::manager::KvCacheManager;
use crate::math;
use crate::request::{FinishReason, RequestId};
use crate::request_set::RequestSet;
use crate::vllm_version::VllmVersion;

/// Counters over a whole run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchedulerStats {
    /// Preemptions.
    pub num_preemptions: u64,
    /// Tokens looked up in the prefix cache by first admissions.
    pub prefix_cache_queries: u64,
    /// Of these, tokens found.
    pub prefix_cache_hits: u64,
    /// Tokens looked up by admissions after a preemption.
    pub preempted_queries: u64,
    /// Of these, tokens found.
    pub preempted_hits: u64,
}

impl SchedulerStats {
    /// What was counted after `before`.
    pub(crate) const fn since(&self, before: &Self) -> Self {
        Self {
            num_preemptions: self.num_preemptions - before.num_preemptions,
            prefix_cache_queries: self.prefix_cache_queries - before.prefix_cache_queries,
            prefix_cache_hits: self.prefix_cache_hits - before.prefix_cache_hits,
            preempted_queries: self.preempted_queries - before.preempted_queries,
            preempted_hits: self.preempted_hits - before.preempted_hits,
        }
    }
}

/// Decides passes and takes in their results.
#[derive(Debug)]
pub struct Scheduler<'a> {
    pub(super) config: &'a EngineConfig,
    pub(super) rules: VllmVersion,
    pub(super) requests: Cow<'a, RequestSet>,
    pub(super) kv_cache: KvCacheManager,
    pub(super) live: LiveRequests,
    pub(super) waiting: RequestQueue,
    /// Slots in order of admission; never sorted otherwise.
    pub(super) running: Vec<u32>,
    pub(super) num_admissions: u64,
    pub(super) arrivals: Arrivals,
    pub(super) steady: SteadyRequests,
    /// Whether a request finished since the last pass: the worker has to hear of it, if by an empty pass.
    pub(super) has_finished_ids: bool,
    pub(super) pass_number: u64,
    pub(super) stats: SchedulerStats,
    /// Scratch: requests passed over in the waiting loop.
    pub(super) skipped: Vec<RequestId>,
    /// Drafts of a verification at most; 0 without a drafter.
    pub(super) num_spec_tokens: u32,
    /// Prompt tokens that a drafter needs behind a chunk.
    pub(super) num_prefill_lookahead: u32,
    pub(super) can_skip_drafts: bool,
    pub(super) mamba_split: Option<MambaSplit>,
    pub(super) prefill_interval: PrefillInterval,
    /// Spans of the model's attention, which a pass's time depends on.
    spans: Vec<AttentionSpan>,
    /// Waiting requests that were looked at and passed over.
    pub(super) num_deferred: u32,
    /// Where KV comes from elsewhere.
    pub(super) connector: Option<Box<Connector>>,
}

impl<'a> Scheduler<'a> {
    /// A scheduler without requests; `requests` are those it may be given, its own where they come while it runs. Steady
    /// ones are counted where `counts_steady_reqs`, and otherwise looked at in every pass as all others are.
    #[must_use]
    pub fn new(config: &'a EngineConfig, requests: Cow<'a, RequestSet>, counts_steady_reqs: bool) -> Self {
        let kv_cache = KvCacheManager::new(config, counts_steady_reqs);
        let rules = config.vllm_version;
        let mamba_split = MambaSplit::new(config, &kv_cache);
        let prefill_interval = PrefillInterval::new(config);
        let (num_spec_tokens, spans) = (config.num_speculative_tokens(), config.kv_cache.spans());
        let is_plain = num_spec_tokens == 0 && mamba_split.is_none() && !prefill_interval.is_on();
        Self {
            steady: SteadyRequests::new(config, counts_steady_reqs && is_plain),
            config,
            rules,
            live: LiveRequests::new(requests.len()),
            arrivals: Arrivals::new(&requests),
            requests,
            waiting: RequestQueue::new(config.policy),
            running: Vec::new(),
            num_admissions: 0,
            has_finished_ids: false,
            pass_number: 0,
            stats: SchedulerStats::default(),
            skipped: Vec::new(),
            num_spec_tokens,
            num_prefill_lookahead: config.num_prefill_lookahead_tokens(),
            can_skip_drafts: config.can_skip_drafts(),
            mamba_split,
            prefill_interval,
            spans,
            num_deferred: 0,
            connector: None,
            kv_cache,
        }
    }

    /// Puts a request into the waiting queue.
    pub fn add_request(&mut self, id: RequestId) {
        self.live.add(id);
        self.arrivals.note(id);
        self.waiting.add_request(id, self.arrivals.in_line(&self.requests, id));
    }

    /// Ends a request for its client; one that is unknown or has ended is ignored.
    pub fn abort_request(&mut self, id: RequestId) {
        match self.live.place(id) {
            Place::Absent => return,
            Place::Untouched => self.waiting.remove_request(id, self.arrivals.in_line(&self.requests, id)),
            Place::Slot(_) if self.is_delayed(id) => return,
            Place::Slot(slot) => {
                if self.live.get(slot).is_steady {
                    self.depart(slot);
                }
                self.end_request(slot, FinishReason::Abort);
                return;
            }
        }
        self.live.remove(id);
        self.has_finished_ids = true;
    }

    /// Says whether the next pass is one that holds prompts back, of ranks in lockstep ([`EngineConfig::steps_with_others`]).
    pub const fn throttle_prefills(&mut self, is_throttled: bool) {
        self.prefill_interval.throttle(is_throttled);
    }

    /// Whether there is anything to schedule, or a finished request to tell the worker of.
    #[must_use]
    pub fn has_requests(&self) -> bool {
        self.has_unfinished_requests() || self.has_finished_ids || self.has_transfers()
    }

    /// Whether any request runs or waits.
    #[must_use]
    pub fn has_unfinished_requests(&self) -> bool {
        !self.running.is_empty() || self.num_waiting() > 0
    }

    /// The blocks.
    #[must_use]
    pub const fn kv_cache(&self) -> &KvCacheManager {
        &self.kv_cache
    }

    /// Counters so far.
    #[must_use]
    pub const fn stats(&self) -> SchedulerStats {
        self.stats
    }

    /// Decides the next pass.
    pub(crate) fn schedule(&mut self, output: &mut SchedulerOutput) {
        output.clear();
        self.pass_number += 1;
        self.kv_cache.new_step_starts();
        let mut budget = self.budget();
        output.begin_connector_pass(self.connector.is_some());
        // Without drafter, states and intervals nothing but decodes and prompt parts has to be told apart.
        let is_plain = self.num_spec_tokens == 0 && self.mamba_split.is_none() && !self.prefill_interval.is_on();
        if is_plain {
            if !self.schedule_steady(&mut budget, output) {
                self.schedule_running::<true>(&mut budget, output);
            }
        } else {
            self.schedule_running::<false>(&mut budget, output);
        }
        // A pass that had to preempt admits nobody, even if space is left.
        if output.preempted_reqs.is_empty() {
            self.schedule_waiting(&mut budget, output);
        }
        self.prefill_interval.note_pass(output.has_tokens());
        if budget.has_running_prefill || budget.has_admitted_prefill {
            self.prefill_interval.note_prefill();
        }
        self.kv_cache.release_copied_blocks();
        output.skips_drafts = self.can_skip_drafts && !budget.needs_drafts;
        if is_plain && self.spans.is_empty() {
            self.advance::<true>(output);
        } else {
            output.batch.set_spans(&self.spans);
            self.advance::<false>(output);
            output.batch.num_draft_runs = self.num_draft_runs(output);
        }
        self.advance_steady(output);
        self.end_connector_pass(output);
        self.has_finished_ids = false;
        output.num_free_blocks = self.kv_cache.num_free_blocks();
        output.num_running_reqs = math::usize_to_u32(self.running.len());
        output.num_waiting_reqs = math::usize_to_u32(self.num_waiting());
    }

    /// Whether a pass's time depends on the contexts' sum alone.
    pub(super) const fn has_no_spans(&self) -> bool {
        self.spans.is_empty()
    }

    /// All that a pass has to give.
    pub(super) fn budget(&self) -> Budget {
        let (scheduled, inputs) = (self.config.max_num_scheduled_tokens, self.config.max_num_batched_tokens);
        let draft_slots = self.config.draft_slots();
        let is_past_prompt = |slot: &u32| !self.live.get(*slot).is_prefill_chunk;
        Budget {
            num_tokens: scheduled.min(inputs.saturating_sub(draft_slots)),
            long_prefill_cap: self.long_prefill_cap(),
            scheduled,
            inputs,
            draft_slots,
            holds_prefills: self.prefill_interval.holds_prefills() && self.running.iter().any(is_past_prompt),
            has_running_prefill: false,
            has_admitted_prefill: false,
            needs_drafts: !self.can_skip_drafts,
        }
    }

    /// The cap of this pass on one request's tokens. A request alone is never capped.
    fn long_prefill_cap(&self) -> u32 {
        let threshold = self.config.long_prefill_token_threshold;
        let num_requests = math::usize_to_u32(self.running.len() + self.num_waiting());
        if threshold == 0 || num_requests <= 1 {
            0
        } else if self.config.long_prefill_token_threshold_adaptive {
            threshold.max(self.config.max_num_batched_tokens / num_requests)
        } else {
            threshold
        }
    }

    /// Counts the decided tokens as computed; from now on the pass is under way.
    fn advance<const PLAIN: bool>(&mut self, output: &mut SchedulerOutput) {
        let is_async = self.config.async_scheduling;
        let next_eligible_pass = self.pass_number + u64::from(self.config.pipeline_parallel_size);
        let num_drafts = self.num_tokens_to_propose(output);
        output.num_spec_tokens_to_schedule = num_drafts;
        // Nearly all requests of a plain engine: summed here, as each addition counts.
        let (mut num_decodes, mut decode_context) = (0, 0);
        for scheduled in &mut output.scheduled {
            let num_new_tokens = scheduled.num_scheduled_tokens;
            if PLAIN && num_new_tokens == 1 && scheduled.num_computed_tokens > 0 {
                num_decodes += 1;
                decode_context += u64::from(scheduled.num_computed_tokens);
            } else if PLAIN {
                output.batch.push(num_new_tokens, scheduled.num_computed_tokens);
            } else {
                let num_drafts = u32::from(scheduled.num_draft_tokens);
                output.batch.push_verification(num_new_tokens, scheduled.num_computed_tokens, num_drafts);
            }
            let request = self.live.get_mut(scheduled.slot);
            request.num_computed_tokens += num_new_tokens;
            request.num_in_flight_tokens += num_new_tokens;
            request.num_passes += 1;
            let emits = request.num_computed_tokens >= request.num_tokens + request.num_output_placeholders;
            scheduled.num_sampled_tokens = u16::from(emits);
            if is_async && emits {
                request.num_output_placeholders += 1;
                request.eligible_pass = next_eligible_pass;
            }
            if !PLAIN {
                request.is_prefill_chunk = !emits;
                if is_async && emits {
                    request.num_output_placeholders += u32::from(scheduled.num_draft_tokens);
                    // The drafts themselves stay with the worker.
                    request.num_spec_tokens = num_drafts;
                }
            }
        }
        // Each looks at its new token, too.
        output.batch.add_decodes(num_decodes, decode_context + u64::from(num_decodes));
    }
}
