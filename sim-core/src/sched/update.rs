//! The second half of the scheduler: what the results of a pass change.
//!
//! Source: `vllm/v1/core/sched/scheduler.py::update_from_output`, and for 0.32
//! `async_scheduler.py::_update_request_with_output`.

use super::output::{EngineCoreOutputs, FinishedRequest, NewTokens, ScheduledRequest, SchedulerOutput, Verification};
use super::scheduler::Scheduler;

impl Scheduler<'_> {
    /// Takes in the results of a pass: tokens for each request that it served to the end.
    pub(crate) fn update_from_output(&mut self, output: &SchedulerOutput, outputs: &mut EngineCoreOutputs) {
        outputs.clear();
        let mut any_running_finished = false;
        for scheduled in &output.scheduled {
            if scheduled.num_draft_tokens > 0 {
                note_verification(scheduled, outputs);
            }
            // Aborted or finished since the pass was issued.
            if !self.live.holds(scheduled.slot, scheduled.id) {
                continue;
            }
            let request = self.live.get_mut(scheduled.slot);
            request.num_in_flight_tokens -= scheduled.num_scheduled_tokens;
            let is_stale = request.num_stale_tokens > 0;
            if is_stale {
                request.num_stale_tokens -= scheduled.num_scheduled_tokens;
            }
            if !scheduled.emits() {
                continue;
            }
            let num_sampled_tokens = u32::from(scheduled.num_sampled_tokens);
            if scheduled.num_draft_tokens > 0 && !is_stale {
                // What a preemption has reset is not corrected by what was rejected before it.
                let num_rejected_tokens = u32::from(scheduled.num_draft_tokens) + 1 - num_sampled_tokens;
                request.num_computed_tokens = request.num_computed_tokens.saturating_sub(num_rejected_tokens);
                request.num_output_placeholders =
                    request.num_output_placeholders.saturating_sub(num_rejected_tokens);
            }
            // Tokens behind a stop are cut off.
            let num_new_tokens = num_sampled_tokens.min(request.final_num_tokens - request.num_tokens);
            request.num_tokens += num_new_tokens;
            let is_finished = request.num_tokens == request.final_num_tokens;
            outputs.tokens.push(NewTokens { id: scheduled.id, num_tokens: num_new_tokens });
            self.settle_tokens(scheduled.slot, is_stale, num_sampled_tokens, num_new_tokens);
            if is_finished {
                let request = self.live.get(scheduled.slot);
                any_running_finished |= request.is_running;
                outputs.finished.push(FinishedRequest {
                    id: scheduled.id,
                    reason: request.finish_reason,
                    num_output_tokens: request.num_output_tokens(),
                    num_preemptions: request.num_preemptions,
                    num_passes: request.num_passes,
                });
                self.finish(scheduled.slot);
            }
        }
        if any_running_finished {
            let live = &self.live;
            self.running.retain(|&slot| live.get(slot).is_running);
        }
    }

    /// Tokens that a pass sampled are no longer awaited, and blocks that they fill get their keys.
    #[inline]
    fn settle_tokens(&mut self, slot: u32, is_stale: bool, num_sampled_tokens: u32, num_new_tokens: u32) {
        let request = self.live.get_mut(slot);
        let num_placeholders = request.num_output_placeholders;
        let (is_cached, num_final_tokens);
        if self.rules.results_cache_settled_tokens() {
            if is_stale {
                return;
            }
            request.num_computed_tokens -= num_sampled_tokens - num_new_tokens;
            request.num_output_placeholders = num_placeholders.saturating_sub(num_sampled_tokens);
            is_cached = request.is_running && (num_placeholders > 0 || self.num_spec_tokens > 0);
            num_final_tokens = request.num_computed_tokens.saturating_sub(request.num_in_flight_tokens);
        } else {
            if !self.config.async_scheduling {
                return;
            }
            if !is_stale {
                request.num_output_placeholders -= num_new_tokens;
            }
            is_cached = request.is_running;
            num_final_tokens = request.num_computed_tokens.saturating_sub(request.num_output_placeholders);
        }
        if is_cached {
            self.kv_cache.cache_blocks(
                &mut request.blocks,
                num_final_tokens,
                request.num_tokens,
                request.num_computed_tokens,
            );
        }
    }

    /// Ends a request. Its blocks are free before the next result is looked at; the running list is swept later.
    fn finish(&mut self, slot: u32) {
        let id = self.live.get(slot).id;
        if self.live.get(slot).is_running {
            self.live.get_mut(slot).is_running = false;
        } else {
            self.leave_waiting(slot);
        }
        self.release_blocks(slot);
        self.live.remove(id);
        self.has_finished_ids = true;
    }

    pub(super) fn release_blocks(&mut self, slot: u32) {
        let request = self.live.get_mut(slot);
        self.kv_cache.free(&mut request.blocks);
        self.kv_cache.forget_content(&mut request.blocks);
    }

    pub(super) fn leave_queues(&mut self, slot: u32) {
        if self.live.get(slot).is_running {
            self.running.retain(|&running| running != slot);
        } else {
            self.leave_waiting(slot);
        }
    }

    fn leave_waiting(&mut self, slot: u32) {
        let request = self.live.get_mut(slot);
        self.num_deferred -= u32::from(core::mem::take(&mut request.is_deferred));
        let id = request.id;
        self.waiting.remove_request(id, self.requests.get(id));
    }
}

fn note_verification(scheduled: &ScheduledRequest, outputs: &mut EngineCoreOutputs) {
    outputs.verifications.push(Verification {
        id: scheduled.id,
        num_draft_tokens: u32::from(scheduled.num_draft_tokens),
        num_accepted_tokens: u32::from(scheduled.num_sampled_tokens.saturating_sub(1)),
    });
}
