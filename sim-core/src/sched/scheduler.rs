//! The scheduler: one loop over running requests, one over waiting ones, and the processing of results.
//!
//! There is no prefill phase and no decode phase: each request has computed and known tokens, and every pass lets it
//! catch up. Source: `vllm/v1/core/sched/{scheduler,async_scheduler}.py` of vLLM 0.32.0.

use alloc::vec::Vec;

use super::live_request::{LiveRequest, LiveRequests, Place};
use super::output::{Admission, ScheduledRequest, SchedulerOutput};
use super::request_queue::RequestQueue;
use crate::config::{EngineConfig, SchedulingPolicy};
use crate::kv_cache::manager::{AdmissionLimits, KvCacheManager, RequestBlocks};
use crate::math;
use crate::request::{FinishReason, RequestId, RequestSet};

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

/// Decides passes and takes in their results.
#[derive(Debug)]
pub struct Scheduler<'a> {
    pub(super) config: &'a EngineConfig,
    pub(super) requests: &'a RequestSet,
    pub(super) kv_cache: KvCacheManager,
    pub(super) live: LiveRequests,
    pub(super) waiting: RequestQueue,
    /// Slots in order of admission; never sorted otherwise.
    pub(super) running: Vec<u32>,
    /// Whether a request finished since the last pass: the worker has to hear of it, if by an empty pass.
    pub(super) has_finished_ids: bool,
    pub(super) pass_number: u64,
    pub(super) stats: SchedulerStats,
    /// Scratch: requests passed over in the waiting loop.
    pub(super) skipped: Vec<RequestId>,
}

/// What is left to give out in the pass being decided.
#[derive(Debug, Clone, Copy)]
struct Budget {
    /// Of `max_num_scheduled_tokens`, or of `max_num_batched_tokens` where that is less: without drafting the two
    /// shrink together.
    num_tokens: u32,
    /// Most tokens of one request; 0 for no limit.
    long_prefill_cap: u32,
}

impl Budget {
    const fn capped(&self, num_new_tokens: u32) -> u32 {
        if 0 < self.long_prefill_cap && self.long_prefill_cap < num_new_tokens {
            self.long_prefill_cap
        } else {
            num_new_tokens
        }
    }
}

impl<'a> Scheduler<'a> {
    /// A scheduler without requests; `requests` are those it may be given.
    #[must_use]
    pub fn new(config: &'a EngineConfig, requests: &'a RequestSet) -> Self {
        Self {
            config,
            requests,
            kv_cache: KvCacheManager::new(config),
            live: LiveRequests::new(requests.len()),
            waiting: RequestQueue::new(config.policy),
            running: Vec::new(),
            has_finished_ids: false,
            pass_number: 0,
            stats: SchedulerStats::default(),
            skipped: Vec::new(),
        }
    }

    /// Puts a request into the waiting queue.
    pub fn add_request(&mut self, id: RequestId) {
        self.live.add(id);
        self.waiting.add_request(id, self.requests.get(id));
    }

    /// Ends a request for its client; one that is unknown or has ended is ignored.
    pub fn abort_request(&mut self, id: RequestId) {
        match self.live.place(id) {
            Place::Absent => return,
            Place::Untouched => self.waiting.remove_request(id, self.requests.get(id)),
            Place::Slot(slot) => {
                self.leave_queues(slot);
                self.release_blocks(slot);
            }
        }
        self.live.remove(id);
        self.has_finished_ids = true;
    }

    /// Whether there is anything to schedule, or a finished request to tell the worker of.
    #[must_use]
    pub fn has_requests(&self) -> bool {
        self.has_unfinished_requests() || self.has_finished_ids
    }

    /// Whether any request runs or waits.
    #[must_use]
    pub fn has_unfinished_requests(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty()
    }

    /// Whether requests wait and none runs.
    pub(crate) fn only_waits(&self) -> bool {
        self.running.is_empty() && !self.waiting.is_empty()
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
        let mut budget = Budget {
            num_tokens: self.config.max_num_scheduled_tokens.min(self.config.max_num_batched_tokens),
            long_prefill_cap: self.long_prefill_cap(),
        };
        self.schedule_running(&mut budget, output);
        // A pass that had to preempt admits nobody, even if space is left.
        if output.preempted_reqs.is_empty() {
            self.schedule_waiting(&mut budget, output);
        }
        self.advance(output);
        self.has_finished_ids = false;
        output.num_free_blocks = self.kv_cache.num_free_blocks();
        output.num_running_reqs = math::usize_to_u32(self.running.len());
        output.num_waiting_reqs = math::usize_to_u32(self.waiting.len());
    }

    /// The cap of this pass on one request's tokens. A request alone is never capped.
    fn long_prefill_cap(&self) -> u32 {
        let threshold = self.config.long_prefill_token_threshold;
        let num_requests = math::usize_to_u32(self.running.len() + self.waiting.len());
        if threshold == 0 || num_requests <= 1 {
            0
        } else if self.config.long_prefill_token_threshold_adaptive {
            threshold.max(self.config.max_num_batched_tokens / num_requests)
        } else {
            threshold
        }
    }

    fn schedule_running(&mut self, budget: &mut Budget, output: &mut SchedulerOutput) {
        output.scheduled.reserve(self.running.len());
        let mut index = 0;
        while index < self.running.len() && budget.num_tokens > 0 {
            let slot = self.running[index];
            let num_new_tokens = self.num_new_tokens_running(slot, budget);
            if num_new_tokens == 0 {
                index += 1;
                continue;
            }
            while !self.allocate_running(slot, num_new_tokens) {
                let victim_index = self.preemption_victim();
                let victim = self.running.remove(victim_index);
                if victim_index < index {
                    index -= 1;
                }
                self.unschedule(victim, budget, output);
                self.preempt(victim, output);
                if victim == slot {
                    // What follows in the list loses this pass, too.
                    return;
                }
            }
            let request = self.live.get(slot);
            output.scheduled.push(ScheduledRequest {
                id: request.id,
                num_scheduled_tokens: num_new_tokens,
                num_computed_tokens: request.num_computed_tokens,
                emits: false,
                slot,
            });
            budget.num_tokens -= num_new_tokens;
            index += 1;
        }
    }

    /// Tokens that a running request can use now.
    #[inline]
    fn num_new_tokens_running(&self, slot: u32, budget: &Budget) -> u32 {
        let request = self.live.get(slot);
        if self.pass_number < request.eligible_pass || request.has_last_token_under_way() {
            return 0;
        }
        let wanted = request.num_tokens + request.num_output_placeholders - request.num_computed_tokens;
        let room = (self.config.max_model_len - 1).saturating_sub(request.num_computed_tokens);
        // No cap and no budget is below one token, and nearly every request is a decode.
        if wanted <= 1 { wanted.min(room) } else { budget.capped(wanted).min(budget.num_tokens).min(room) }
    }

    #[inline]
    fn allocate_running(&mut self, slot: u32, num_new_tokens: u32) -> bool {
        let request = self.live.get_mut(slot);
        self.kv_cache.allocate_slots(
            &mut request.blocks,
            request.num_computed_tokens,
            num_new_tokens,
            request.num_tokens,
        )
    }

    /// Index in the running list of the request that makes room.
    fn preemption_victim(&self) -> usize {
        if self.config.policy == SchedulingPolicy::Fcfs {
            return self.running.len() - 1;
        }
        let rank = |index: usize| {
            let request = self.requests.get(self.live.get(self.running[index]).id);
            (request.priority, request.arrival_order)
        };
        // The first of equals, unlike `max_by_key`.
        (1..self.running.len()).fold(0, |victim, index| if rank(index) > rank(victim) { index } else { victim })
    }

    /// Takes a victim out of the pass being decided, and its tokens back.
    fn unschedule(&self, slot: u32, budget: &mut Budget, output: &mut SchedulerOutput) {
        if self.config.policy == SchedulingPolicy::Fcfs {
            return; // The victim comes last in the list: it cannot have been scheduled.
        }
        if let Some(index) = output.scheduled.iter().position(|scheduled| scheduled.slot == slot) {
            budget.num_tokens += output.scheduled.remove(index).num_scheduled_tokens;
        }
    }

    fn preempt(&mut self, slot: u32, output: &mut SchedulerOutput) {
        let request = self.live.get_mut(slot);
        self.kv_cache.free(&mut request.blocks);
        request.num_computed_tokens = 0;
        request.num_output_placeholders = 0;
        request.num_stale_tokens = request.num_in_flight_tokens;
        request.num_preemptions += 1;
        request.is_running = false;
        output.preempted_reqs.push(request.id);
        self.stats.num_preemptions += 1;
        self.waiting.prepend_request(request.id, self.requests.get(request.id));
    }

    fn schedule_waiting(&mut self, budget: &mut Budget, output: &mut SchedulerOutput) {
        while budget.num_tokens > 0
            && self.running.len() < self.config.max_num_active_seqs as usize
            && let Some(id) = self.waiting.peek_request()
        {
            let slot = self.touch(id);
            if self.live.get(slot).num_stale_tokens > 0 {
                // Its last pass before the preemption is still under way.
                self.waiting.pop_request();
                self.skipped.push(id);
                continue;
            }
            if !self.admit(slot, budget, output) {
                break; // Everything behind the head waits, too.
            }
        }
        while let Some(id) = self.skipped.pop() {
            self.waiting.prepend_request(id, self.requests.get(id));
        }
    }

    /// Admits the head of the waiting queue into the pass, if it fits.
    fn admit(&mut self, slot: u32, budget: &mut Budget, output: &mut SchedulerOutput) -> bool {
        let request = self.live.get_mut(slot);
        let num_tokens = request.num_tokens;
        let num_cached_tokens = self.kv_cache.get_computed_blocks(&request.blocks, num_tokens);
        let wanted = budget.capped(num_tokens - num_cached_tokens);
        if !self.config.enable_chunked_prefill && wanted > budget.num_tokens {
            return false;
        }
        let num_new_tokens = wanted.min(budget.num_tokens);
        let fits = self.kv_cache.allocate_slots_at_admission(
            &mut request.blocks,
            num_new_tokens,
            num_tokens,
            AdmissionLimits {
                reserve_full: self.config.scheduler_reserve_full_isl,
                keep_watermark: !self.running.is_empty(),
            },
        );
        if !fits {
            return false;
        }
        self.waiting.pop_request();
        self.running.push(slot);
        request.is_running = true;
        request.num_computed_tokens = num_cached_tokens;
        let admission = Admission { id: request.id, num_cached_tokens };
        if request.num_preemptions == 0 {
            output.new_reqs.push(admission);
            self.stats.prefix_cache_queries += u64::from(num_tokens);
            self.stats.prefix_cache_hits += u64::from(num_cached_tokens);
        } else {
            output.resumed_reqs.push(admission);
            self.stats.preempted_queries += u64::from(num_tokens);
            self.stats.preempted_hits += u64::from(num_cached_tokens);
        }
        output.scheduled.push(ScheduledRequest {
            id: request.id,
            num_scheduled_tokens: num_new_tokens,
            num_computed_tokens: num_cached_tokens,
            emits: false,
            slot,
        });
        budget.num_tokens -= num_new_tokens;
        true
    }

    /// The slot of a waiting request, made at the first look at it: a queue of a million costs four bytes each.
    fn touch(&mut self, id: RequestId) -> u32 {
        if let Place::Slot(slot) = self.live.place(id) {
            return slot;
        }
        let request = self.requests.get(id);
        let limit = request.max_tokens.min(self.config.max_model_len.saturating_sub(request.num_prompt_tokens));
        let stops = request.stops && request.num_output_tokens <= limit;
        let num_output_tokens = if stops { request.num_output_tokens } else { limit.max(1) };
        let final_num_tokens = request.num_prompt_tokens + num_output_tokens;
        let slot = self.live.insert(LiveRequest {
            id,
            num_tokens: request.num_prompt_tokens,
            num_computed_tokens: 0,
            num_output_placeholders: 0,
            num_in_flight_tokens: 0,
            num_stale_tokens: 0,
            max_num_tokens: request.num_prompt_tokens.saturating_add(request.max_tokens),
            final_num_tokens,
            finish_reason: if stops { FinishReason::Stop } else { FinishReason::Length },
            is_running: false,
            num_prompt_tokens: request.num_prompt_tokens,
            num_preemptions: 0,
            num_passes: 0,
            eligible_pass: 0,
            blocks: RequestBlocks::default(),
        });
        let blocks = &mut self.live.get_mut(slot).blocks;
        let runs = self.requests.runs(request);
        self.kv_cache.register_content(blocks, runs, final_num_tokens, request.cache_salt);
        slot
    }

    /// Counts the decided tokens as computed; from now on the pass is under way.
    fn advance(&mut self, output: &mut SchedulerOutput) {
        let is_async = self.config.async_scheduling;
        let next_eligible_pass = self.pass_number + u64::from(self.config.pipeline_parallel_size);
        for scheduled in &mut output.scheduled {
            let num_new_tokens = scheduled.num_scheduled_tokens;
            output.batch.push(num_new_tokens, scheduled.num_computed_tokens);
            let request = self.live.get_mut(scheduled.slot);
            request.num_computed_tokens += num_new_tokens;
            request.num_in_flight_tokens += num_new_tokens;
            request.num_passes += 1;
            scheduled.emits = request.num_computed_tokens >= request.num_tokens + request.num_output_placeholders;
            if is_async && scheduled.emits {
                request.num_output_placeholders += 1;
                request.eligible_pass = next_eligible_pass;
            }
        }
    }
}
