//! The second half of the scheduler: what the results of a pass change.
//!
//! Source: `vllm/v1/core/sched/scheduler.py::update_from_output` of vLLM 0.32.0.

use super::output::{EngineCoreOutputs, FinishedRequest, SchedulerOutput};
use super::scheduler::Scheduler;

impl Scheduler<'_> {
    /// Takes in the results of a pass: a token for each request that it served to the end.
    pub(crate) fn update_from_output(&mut self, output: &SchedulerOutput, outputs: &mut EngineCoreOutputs) {
        outputs.clear();
        let is_async = self.config.async_scheduling;
        let mut any_running_finished = false;
        for scheduled in &output.scheduled {
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
            if !scheduled.emits {
                continue;
            }
            request.num_tokens += 1;
            outputs.tokens.push(scheduled.id);
            if is_async {
                if !is_stale {
                    request.num_output_placeholders -= 1;
                }
                if request.is_running {
                    let num_known = request.num_computed_tokens - request.num_output_placeholders;
                    self.kv_cache.cache_blocks(&mut request.blocks, num_known);
                }
            }
            if request.num_tokens == request.final_num_tokens {
                any_running_finished |= request.is_running;
                outputs.finished.push(FinishedRequest {
                    id: scheduled.id,
                    reason: request.finish_reason,
                    num_output_tokens: request.num_tokens - request.num_prompt_tokens,
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

    /// Ends a request. Its blocks are free before the next result is looked at; the running list is swept later.
    fn finish(&mut self, slot: u32) {
        let id = self.live.get(slot).id;
        if self.live.get(slot).is_running {
            self.live.get_mut(slot).is_running = false;
        } else {
            self.waiting.remove_request(id, self.requests.get(id));
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
        let request = self.live.get(slot);
        if request.is_running {
            self.running.retain(|&running| running != slot);
        } else {
            self.waiting.remove_request(request.id, self.requests.get(request.id));
        }
    }
}
