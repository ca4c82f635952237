//! The loop over running requests, and who makes room when blocks run out.
//!
//! Source: `vllm/v1/core/sched/scheduler.py::schedule`, its first half.

use super::output::{ScheduledRequest, SchedulerOutput};
use super::mamba_split::Chunk;
use super::scheduler::{Budget, Scheduler};
use crate::config::SchedulingPolicy;
use crate::kv_cache::manager::SlotDemand;

impl Scheduler<'_> {
    /// Lets running requests catch up, in order of admission. `PLAIN` leaves out what an engine without drafter, Mamba
    /// states and prefill interval does not need: nothing is decided differently.
    pub(super) fn schedule_running<const PLAIN: bool>(&mut self, budget: &mut Budget, output: &mut SchedulerOutput) {
        output.scheduled.reserve(self.running.len());
        let mut index = 0;
        while index < self.running.len() && budget.num_tokens > 0 {
            let slot = self.running[index];
            let num_new_tokens = self.num_new_tokens_running::<PLAIN>(slot, budget);
            if num_new_tokens == 0 {
                index += 1;
                continue;
            }
            let mut fits = true;
            while !self.allocate_running(slot, num_new_tokens) {
                let victim_index = self.preemption_victim();
                let victim = self.running.remove(victim_index);
                if victim_index < index {
                    index -= 1;
                }
                self.unschedule(victim, budget, output);
                self.preempt(victim, output);
                if victim == slot {
                    fits = false;
                    break;
                }
            }
            if !fits {
                // Under fcfs nobody follows in the list.
                if self.config.policy == SchedulingPolicy::Fcfs || self.rules.self_preemption_ends_pass() {
                    return;
                }
                continue;
            }
            let request = self.live.get(slot);
            let mut scheduled = ScheduledRequest {
                id: request.id,
                num_scheduled_tokens: num_new_tokens,
                num_computed_tokens: request.num_computed_tokens,
                slot,
                num_draft_tokens: 0,
                num_sampled_tokens: 0,
                has_padding: false,
            };
            if !PLAIN {
                budget.has_running_prefill |= request.is_prefill_chunk;
                budget.needs_drafts |= !self.leaves_drafts_unused(slot, request.num_computed_tokens, num_new_tokens);
                scheduled.num_draft_tokens = self.take_drafts(slot, num_new_tokens);
            }
            output.scheduled.push(scheduled);
            budget.take(num_new_tokens);
            index += 1;
        }
    }

    /// Tokens that a running request can use now.
    #[inline]
    fn num_new_tokens_running<const PLAIN: bool>(&self, slot: u32, budget: &Budget) -> u32 {
        let request = self.live.get(slot);
        if self.pass_number < request.eligible_pass || request.has_last_token_under_way() {
            return 0;
        }
        let known = request.num_tokens + request.num_output_placeholders;
        let room = (self.config.max_model_len - 1).saturating_sub(request.num_computed_tokens);
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
        if let Some(split) = &self.mamba_split {
            num_new_tokens = split.num_new_tokens(&Chunk {
                start: request.num_computed_tokens,
                num_new_tokens,
                num_prompt_tokens: request.num_prompt_tokens,
                num_tokens: request.num_tokens,
                shared_prefix_boundary: request.blocks.shared_prefix_boundary(),
            });
        }
        self.reserve_prefill_lookahead(request.num_tokens, request.num_computed_tokens, num_new_tokens)
    }

    #[inline]
    fn allocate_running(&mut self, slot: u32, num_new_tokens: u32) -> bool {
        let request = self.live.get_mut(slot);
        let demand = SlotDemand {
            num_computed_tokens: request.num_computed_tokens,
            num_new_tokens,
            num_tokens: request.num_tokens,
            num_in_flight_tokens: request.num_in_flight_tokens,
        };
        self.kv_cache.allocate_slots(&mut request.blocks, demand)
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
            budget.give_back(output.scheduled.remove(index).num_scheduled_tokens);
        }
    }

    fn preempt(&mut self, slot: u32, output: &mut SchedulerOutput) {
        let request = self.live.get_mut(slot);
        self.kv_cache.free(&mut request.blocks);
        request.num_computed_tokens = 0;
        request.num_output_placeholders = 0;
        request.num_spec_tokens = 0;
        request.num_stale_tokens = request.num_in_flight_tokens;
        request.num_preemptions += 1;
        request.is_running = false;
        output.preempted_reqs.push(request.id);
        self.stats.num_preemptions += 1;
        self.waiting.prepend_request(request.id, self.requests.get(request.id));
    }
}
