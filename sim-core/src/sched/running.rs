//! The loop over running requests, and who makes room when blocks run out.
//!
//! Source: `vllm/v1/core/sched/scheduler.py::schedule`, its first half.

use super::budget::Budget;
use super::live_request::LiveRequest;
use super::mamba_split::{Chunk, MambaSplit};
use super::output::{ScheduledRequest, SchedulerOutput};
use super::scheduler::Scheduler;
use crate::config::SchedulingPolicy;

/// What the tokens of a running request depend on beside the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunningRules<'a> {
    pass_number: u64,
    max_model_len: u32,
    mamba_split: Option<&'a MambaSplit>,
    num_prefill_lookahead: u32,
}

impl RunningRules<'_> {
    /// Those of an engine without drafter, states and interval.
    pub(super) const fn plain(pass_number: u64, max_model_len: u32) -> Self {
        Self { pass_number, max_model_len, mamba_split: None, num_prefill_lookahead: 0 }
    }
}

/// What came of preempting for a request.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// Whether it has its blocks; it was preempted itself otherwise.
    is_found: bool,
    /// Requests before it in the running list that are there no longer.
    num_gone_before: usize,
    /// Whether nobody else is looked at in this pass.
    ends_pass: bool,
}

impl Scheduler<'_> {
    /// Lets running requests catch up, in order of admission. `PLAIN` leaves out what an engine without drafter, Mamba
    /// states and prefill interval does not need: nothing is decided differently.
    pub(super) fn schedule_running<const PLAIN: bool>(&mut self, budget: &mut Budget, output: &mut SchedulerOutput) {
        output.scheduled.reserve(self.running.len());
        let mut index = 0;
        while index < self.running.len() && budget.num_tokens > 0 {
            let slot = self.running[index];
            let rules = RunningRules {
                pass_number: self.pass_number,
                max_model_len: self.config.max_model_len,
                mamba_split: self.mamba_split.as_ref(),
                num_prefill_lookahead: self.num_prefill_lookahead,
            };
            let request = self.live.get_mut(slot);
            let num_new_tokens = num_new_tokens::<PLAIN>(request, budget, &rules);
            if num_new_tokens == 0 {
                index += 1;
                continue;
            }
            let mut scheduled = ScheduledRequest::of(request, slot, num_new_tokens);
            let demand = request.demand(num_new_tokens);
            if !self.kv_cache.allocate_slots(&mut request.blocks, demand) {
                let room = self.make_room(index, num_new_tokens, budget, output);
                index -= room.num_gone_before;
                if !room.is_found {
                    // Under fcfs nobody follows in the list.
                    if room.ends_pass {
                        return;
                    }
                    continue;
                }
            }
            if !PLAIN {
                let request = self.live.get_mut(slot);
                budget.has_running_prefill |= request.is_prefill_chunk;
                budget.needs_drafts |= !request.leaves_drafts_unused(scheduled.num_computed_tokens, num_new_tokens);
                scheduled.num_draft_tokens = request.take_drafts(num_new_tokens);
            }
            output.scheduled.push(scheduled);
            budget.take::<PLAIN>(num_new_tokens);
            index += 1;
        }
    }

    /// Preempts requests until the one at `index` of the running list has blocks for `num_new_tokens`, or has to go
    /// itself.
    #[cold]
    fn make_room(
        &mut self,
        index: usize,
        num_new_tokens: u32,
        budget: &mut Budget,
        output: &mut SchedulerOutput,
    ) -> Room {
        let slot = self.running[index];
        let mut num_gone_before = 0;
        loop {
            let victim_index = self.preemption_victim();
            let victim = self.running[victim_index];
            if self.connector.as_ref().is_some_and(|connector| !connector.can_free(self.live.get(victim).id)) {
                // Passes under way read its blocks: to preempt it would make no room.
                return Room { is_found: false, num_gone_before, ends_pass: true };
            }
            self.running.remove(victim_index);
            if victim == slot {
                self.preempt(victim, output);
                let ends_pass = self.config.policy == SchedulingPolicy::Fcfs || self.rules.self_preemption_ends_pass();
                return Room { is_found: false, num_gone_before, ends_pass };
            }
            num_gone_before += usize::from(victim_index + num_gone_before < index);
            self.unschedule(victim, budget, output);
            self.preempt(victim, output);
            let request = self.live.get_mut(slot);
            let demand = request.demand(num_new_tokens);
            if self.kv_cache.allocate_slots(&mut request.blocks, demand) {
                return Room { is_found: true, num_gone_before, ends_pass: false };
            }
        }
    }

    /// Index in the running list of the request that makes room.
    fn preemption_victim(&self) -> usize {
        if self.config.policy == SchedulingPolicy::Fcfs {
            return self.running.len() - 1;
        }
        let rank = |index: usize| {
            let in_line = self.arrivals.in_line(&self.requests, self.live.get(self.running[index]).id);
            (in_line.priority, in_line.arrival_order)
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
            budget.give_back(output.scheduled.remove(index).num_scheduled_tokens);
        }
    }

    fn preempt(&mut self, slot: u32, output: &mut SchedulerOutput) {
        self.free_request_blocks(slot);
        let request = self.live.get_mut(slot);
        if let Some(connector) = &mut self.connector {
            connector.note_preemption(request.id, request.num_stale_tokens > 0);
        }
        request.num_computed_tokens = 0;
        request.num_output_placeholders = 0;
        request.num_spec_tokens = 0;
        request.num_stale_tokens = request.num_in_flight_tokens;
        request.num_preemptions += 1;
        request.is_running = false;
        let id = request.id;
        output.preempted_reqs.push(id);
        self.stats.num_preemptions += 1;
        self.waiting.prepend_request(id, self.arrivals.in_line(&self.requests, id));
    }
}

/// Tokens that a running request can use now.
#[inline]
pub(super) fn num_new_tokens<const PLAIN: bool>(
    request: &LiveRequest,
    budget: &Budget,
    rules: &RunningRules<'_>,
) -> u32 {
    if rules.pass_number < request.eligible_pass || request.has_last_token_under_way() {
        return 0;
    }
    let known = request.num_tokens + request.num_output_placeholders;
    let room = (rules.max_model_len - 1).saturating_sub(request.num_computed_tokens);
    if PLAIN {
        let wanted = known - request.num_computed_tokens;
        // No cap and no budget is below one token, and nearly every request is a decode.
        return if wanted <= 1 { wanted.min(room) } else { budget.capped(wanted).min(budget.num_tokens).min(room) };
    }
    if budget.holds_prefills && request.is_prefill_chunk {
        return 0;
    }
    let wanted = known + request.num_spec_tokens - request.num_computed_tokens;
    let mut num_new_tokens = budget.capped(wanted).min(budget.num_tokens).min(room);
    if let Some(split) = rules.mamba_split {
        num_new_tokens = split.num_new_tokens(&Chunk {
            start: request.num_computed_tokens,
            num_new_tokens,
            num_prompt_tokens: request.num_prompt_tokens,
            num_tokens: request.num_tokens,
            shared_prefix_boundary: request.blocks.shared_prefix_boundary(),
        });
    }
    request.reserve_prefill_lookahead(request.num_computed_tokens, num_new_tokens, rules.num_prefill_lookahead)
}
