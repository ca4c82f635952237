//! The loop over waiting requests: who is admitted into the pass.
//!
//! Source: `vllm/v1/core/sched/scheduler.py::schedule`, its second half.

use super::budget::Budget;
use super::connector::interface::NewText;
use super::live_request::{LiveRequest, Place};
use super::mamba_split::Chunk;
use super::output::{Admission, ScheduledRequest, SchedulerOutput};
use super::scheduler::Scheduler;
use crate::kv_cache::request_blocks::{AdmissionLimits, RequestBlocks};
use crate::math;
use crate::request::{FinishReason, RequestId};
use crate::request_set::InLine;

/// What comes of a look at the head of the waiting queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// It runs.
    Admitted,
    /// It stays, and everything behind it.
    Blocked,
    /// It stays; the next one is looked at.
    PassedOver,
}

impl Scheduler<'_> {
    pub(super) fn schedule_waiting(&mut self, budget: &mut Budget, output: &mut SchedulerOutput) {
        if self.connector.is_some() {
            return self.schedule_waiting_with_connector(budget, output);
        }
        while budget.num_tokens > 0
            && self.running.len() < self.config.max_num_active_seqs as usize
            && let Some(id) = self.waiting.peek_request()
        {
            let slot = self.touch(id);
            // While its last pass before the preemption is under way, it could compute a token twice.
            let look = if self.live.get(slot).num_stale_tokens > 0 {
                Look::PassedOver
            } else {
                self.admit(slot, budget, output)
            };
            match look {
                Look::Admitted => {}
                Look::Blocked => break,
                Look::PassedOver => self.pass_over(id, slot),
            }
        }
        while let Some(id) = self.skipped.pop() {
            self.waiting.prepend_request(id, self.arrivals.in_line(&self.requests, id));
        }
        if !budget.holds_prefills {
            self.prefill_interval.note_waiting(math::usize_to_u32(self.waiting.len()) > self.num_deferred);
        }
    }

    fn pass_over(&mut self, id: RequestId, slot: u32) {
        self.waiting.pop_request();
        self.skipped.push(id);
        if !core::mem::replace(&mut self.live.get_mut(slot).is_deferred, true) {
            self.num_deferred += 1;
        }
    }

    /// Admits the head of the waiting queue into the pass, if it fits.
    fn admit(&mut self, slot: u32, budget: &mut Budget, output: &mut SchedulerOutput) -> Look {
        let request = self.live.get_mut(slot);
        let num_tokens = request.num_tokens;
        let num_cached_tokens = self.kv_cache.get_computed_blocks(&mut request.blocks, num_tokens);
        if budget.holds_prefills && num_cached_tokens < num_tokens - 1 {
            return Look::Blocked;
        }
        let Some((num_new_tokens, has_padding)) = self.num_new_tokens_waiting(slot, num_cached_tokens, budget, output)
        else {
            return Look::Blocked;
        };
        if num_new_tokens == 0 {
            return if self.rules.empty_admission_ends_pass() { Look::Blocked } else { Look::PassedOver };
        }
        let request = self.live.get_mut(slot);
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
            return Look::Blocked;
        }
        self.waiting.pop_request();
        self.start_running(slot, num_cached_tokens, (num_new_tokens, has_padding), budget, output);
        Look::Admitted
    }

    /// A request that has left the waiting queue and has its blocks gets `num_new_tokens` behind `num_cached_tokens`.
    pub(super) fn start_running(
        &mut self,
        slot: u32,
        num_cached_tokens: u32,
        (num_new_tokens, has_padding): (u32, bool),
        budget: &mut Budget,
        output: &mut SchedulerOutput,
    ) {
        let request = self.live.get_mut(slot);
        let num_tokens = request.num_tokens;
        self.num_deferred -= u32::from(core::mem::take(&mut request.is_deferred));
        self.running.push(slot);
        self.num_admissions += 1;
        (request.is_running, request.admission) = (true, self.num_admissions);
        request.num_computed_tokens = num_cached_tokens;
        let id = request.id;
        let admission = Admission { id, num_cached_tokens };
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
            id,
            num_scheduled_tokens: num_new_tokens,
            num_computed_tokens: num_cached_tokens,
            slot,
            num_draft_tokens: if has_padding { math::u32_to_u16(self.num_spec_tokens) } else { 0 },
            num_sampled_tokens: 0,
        });
        if has_padding {
            output.padded_reqs.push(id);
        }
        budget.take::<false>(num_new_tokens);
        budget.needs_drafts |= !self.live.get(slot).leaves_drafts_unused(num_cached_tokens, num_new_tokens);
        budget.has_admitted_prefill |= num_cached_tokens < num_tokens - 1;
    }

    /// Tokens that the head of the waiting queue gets behind `num_cached_tokens`, and whether drafts that stand for none
    /// are among them; `None` if it has to wait for a pass with more room.
    pub(super) fn num_new_tokens_waiting(
        &self,
        slot: u32,
        num_cached_tokens: u32,
        budget: &Budget,
        output: &SchedulerOutput,
    ) -> Option<(u32, bool)> {
        let request = self.live.get(slot);
        let mut wanted = request.num_tokens - num_cached_tokens;
        let mut has_padding = wanted == 1 && self.pads_admission(num_cached_tokens, budget, output);
        if has_padding {
            wanted = 1 + self.num_spec_tokens;
            if wanted > budget.num_tokens {
                return None; // Rather not at all than alone in its kind.
            }
        }
        let capped = budget.capped(wanted);
        if !self.config.enable_chunked_prefill && capped > budget.num_tokens {
            return None;
        }
        let mut num_new_tokens = capped.min(budget.num_tokens);
        if let Some(split) = &self.mamba_split {
            num_new_tokens = split.num_new_tokens(&Chunk {
                start: num_cached_tokens,
                num_new_tokens,
                num_prompt_tokens: request.num_prompt_tokens,
                num_tokens: request.num_tokens,
                shared_prefix_boundary: request.blocks.shared_prefix_boundary(),
            });
            if num_new_tokens == 0 {
                return None;
            }
            if has_padding && num_new_tokens != wanted {
                (num_new_tokens, has_padding) = (1, false);
            }
        }
        let num_new_tokens =
            request.reserve_prefill_lookahead(num_cached_tokens, num_new_tokens, self.num_prefill_lookahead);
        Some((num_new_tokens, has_padding))
    }

    /// Another engine has generated `num_tokens` tokens of a request that will be added: its prompt is both, as Dynamo's
    /// migration sends it (`lib/llm/src/migration.rs`).
    pub(crate) fn note_generated(&mut self, id: RequestId, num_tokens: u32) {
        self.live.note_generated(id, num_tokens);
    }

    /// The slot of a waiting request, made at the first look at it: a queue of a million costs four bytes each.
    pub(super) fn touch(&mut self, id: RequestId) -> u32 {
        if let Place::Slot(slot) = self.live.place(id) {
            return slot;
        }
        let request = self.requests.get(id);
        let limit = request.max_tokens.min(self.config.max_model_len.saturating_sub(request.num_prompt_tokens));
        let stops = request.stops && request.num_output_tokens <= limit;
        let num_output_tokens = if stops { request.num_output_tokens } else { limit.max(1) };
        let num_prompt_tokens = request.num_prompt_tokens + self.live.take_generated(id);
        // Who is asked for one token of an answer that others have begun gives one behind theirs.
        let final_num_tokens = (request.num_prompt_tokens + num_output_tokens).max(num_prompt_tokens + 1);
        let max_num_tokens = request.num_prompt_tokens.saturating_add(request.max_tokens).max(final_num_tokens);
        let slot = self.live.insert(LiveRequest {
            id,
            num_tokens: num_prompt_tokens,
            num_computed_tokens: 0,
            num_output_placeholders: 0,
            num_in_flight_tokens: 0,
            num_stale_tokens: 0,
            max_num_tokens,
            final_num_tokens,
            finish_reason: if stops { FinishReason::Stop } else { FinishReason::Length },
            is_running: false,
            admission: 0,
            is_steady: false,
            issued: 0,
            processed: 0,
            next_ask: 0,
            next_growth: u64::MAX,
            num_untold_tokens: 0,
            num_prompt_tokens,
            num_preemptions: 0,
            num_passes: 0,
            eligible_pass: 0,
            num_spec_tokens: 0,
            is_prefill_chunk: false,
            is_deferred: false,
            blocks: RequestBlocks::default(),
        });
        let blocks = &mut self.live.get_mut(slot).blocks;
        let runs = self.requests.runs(request);
        let lengths = (num_prompt_tokens, final_num_tokens);
        let InLine { cache_salt, arrival_order, .. } = self.requests.in_line(id);
        self.kv_cache.register_content(blocks, runs, lengths, cache_salt);
        if let Some(connector) = &mut self.connector {
            connector.note_new_request(&NewText {
                id,
                runs,
                num_prompt_tokens,
                num_tokens: final_num_tokens,
                cache_salt,
                arrival_order,
            });
        }
        self.share_keys();
        slot
    }
}
