//! The second half of the scheduler: what the results of a pass change.
//!
//! Source: `vllm/v1/core/sched/scheduler.py::update_from_output`, and for 0.32
//! `async_scheduler.py::_update_request_with_output`.

use super::live_request::LiveRequest;
use super::output::{EngineCoreOutputs, FinishedRequest, ScheduledRequest, SchedulerOutput};
use super::scheduler::Scheduler;
use crate::request::{FinishReason, NewTokens, Verification};

impl Scheduler<'_> {
    /// Takes in the results of a pass: tokens for each request that it served to the end.
    pub(crate) fn update_from_output(&mut self, output: &SchedulerOutput, outputs: &mut EngineCoreOutputs) {
        outputs.clear();
        if self.connector.is_some() {
            self.begin_report(output);
        }
        let (departed, num_steady_tokens) = self.begin_results(output);
        let results = if departed.is_empty() { &output.scheduled } else { &departed };
        if self.num_spec_tokens == 0 && self.connector.is_none() {
            self.update_requests::<true>(results, outputs);
        } else {
            self.update_requests::<false>(results, outputs);
        }
        outputs.num_steady_tokens = num_steady_tokens;
        self.end_results(departed);
        if self.connector.is_some() {
            self.end_report(output, outputs);
        }
    }

    /// The same; `PLAIN` leaves out what an engine without drafter does not need.
    fn update_requests<const PLAIN: bool>(&mut self, results: &[ScheduledRequest], outputs: &mut EngineCoreOutputs) {
        outputs.tokens.reserve(results.len());
        let is_async = self.config.async_scheduling;
        let settling = self.settling();
        for scheduled in results {
            let request = self.live.held_mut(scheduled.slot, scheduled.id);
            if !PLAIN && scheduled.num_draft_tokens > 0 {
                note_verification(scheduled, request.is_some(), outputs);
            }
            // Aborted or finished since the pass was issued.
            let Some(request) = request else { continue };
            request.num_in_flight_tokens -= scheduled.num_scheduled_tokens;
            let is_stale = request.num_stale_tokens > 0;
            if is_stale {
                request.num_stale_tokens -= scheduled.num_scheduled_tokens;
            }
            if !PLAIN
                && let Some(connector) = &self.connector
                && connector.ignores_result(scheduled.id, is_stale)
            {
                continue;
            }
            if !scheduled.emits() {
                continue;
            }
            let num_new_tokens = if PLAIN || scheduled.num_draft_tokens == 0 {
                1
            } else {
                request.take_verification(scheduled, is_stale)
            };
            request.num_tokens += num_new_tokens;
            outputs.tokens.push(NewTokens { id: scheduled.id, num_tokens: num_new_tokens });
            let (is_cached, num_settled_tokens) = if PLAIN && !is_async {
                (false, 0)
            } else if PLAIN {
                // Every pass under way has one token, and that is awaited: all versions' rules are one.
                if !is_stale {
                    request.num_output_placeholders -= 1;
                }
                (request.is_running, request.num_computed_tokens - request.num_output_placeholders)
            } else {
                (
                    request.settle_tokens(settling, scheduled, is_stale, num_new_tokens),
                    request.num_settled_tokens(settling),
                )
            };
            if is_cached {
                let (num_tokens, num_computed_tokens) = (request.num_tokens, request.num_computed_tokens);
                self.kv_cache.cache_blocks(&mut request.blocks, num_settled_tokens, num_tokens, num_computed_tokens);
            }
            if request.num_tokens == request.final_num_tokens {
                outputs.finished.push(FinishedRequest {
                    id: scheduled.id,
                    reason: request.finish_reason,
                    num_output_tokens: request.num_output_tokens(),
                    num_preemptions: request.num_preemptions,
                    num_passes: request.num_passes,
                });
                let reason = request.finish_reason;
                self.end_request(scheduled.slot, reason);
            }
        }
    }

    /// What results change beside the tokens themselves, with a drafter.
    const fn settling(&self) -> Settling {
        match (self.rules.results_cache_settled_tokens(), self.config.async_scheduling) {
            (true, _) => Settling::All,
            (false, true) => Settling::Placeholders,
            (false, false) => Settling::Nothing,
        }
    }

    /// Ends a request. Its blocks are free before the next result is looked at.
    pub(super) fn end_request(&mut self, slot: u32, reason: FinishReason) {
        let id = self.live.get(slot).id;
        self.leave_queues(slot);
        self.live.get_mut(slot).is_running = false;
        self.has_finished_ids = true;
        if self.connector_frees(slot, reason) {
            self.release_blocks(slot);
            self.live.remove(id);
        }
    }

    pub(super) fn release_blocks(&mut self, slot: u32) {
        self.free_request_blocks(slot);
        let request = self.live.get_mut(slot);
        self.kv_cache.forget_content(&mut request.blocks);
    }

    pub(super) fn leave_queues(&mut self, slot: u32) {
        if self.live.get(slot).is_running {
            // The list is in the order of admissions.
            let (live, admission) = (&self.live, self.live.get(slot).admission);
            let place = self.running.partition_point(|&running| live.get(running).admission < admission);
            self.running.remove(place);
        } else {
            self.leave_waiting(slot);
        }
    }

    fn leave_waiting(&mut self, slot: u32) {
        let request = self.live.get_mut(slot);
        self.num_deferred -= u32::from(core::mem::take(&mut request.is_deferred));
        let id = request.id;
        self.waiting.remove_request(id, self.arrivals.in_line(&self.requests, id));
        if let Some(connector) = &mut self.connector {
            connector.holding.remove_request(id, self.arrivals.in_line(&self.requests, id));
        }
    }
}

/// How tokens that were awaited are settled, and which blocks get keys then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settling {
    /// A synchronous engine awaits none (0.32).
    Nothing,
    /// Blocks up to what no pass under way touches.
    All,
    /// Blocks up to the first awaited token (0.32).
    Placeholders,
}

impl LiveRequest {
    /// Takes back what was rejected of the request's drafts, and returns the tokens that it gets: those behind a stop
    /// are cut off.
    fn take_verification(&mut self, scheduled: &ScheduledRequest, is_stale: bool) -> u32 {
        let num_sampled_tokens = u32::from(scheduled.num_sampled_tokens);
        if !is_stale {
            // What a preemption has reset is not corrected by what was rejected before it.
            let num_rejected_tokens = u32::from(scheduled.num_draft_tokens) + 1 - num_sampled_tokens;
            self.num_computed_tokens = self.num_computed_tokens.saturating_sub(num_rejected_tokens);
            self.num_output_placeholders = self.num_output_placeholders.saturating_sub(num_rejected_tokens);
        }
        num_sampled_tokens.min(self.final_num_tokens - self.num_tokens)
    }

    /// Tokens that a pass sampled are no longer awaited; says whether blocks may get keys.
    #[inline]
    const fn settle_tokens(
        &mut self,
        settling: Settling,
        scheduled: &ScheduledRequest,
        is_stale: bool,
        num_new_tokens: u32,
    ) -> bool {
        match settling {
            Settling::Nothing => false,
            Settling::Placeholders => {
                if !is_stale {
                    self.num_output_placeholders -= num_new_tokens;
                }
                self.is_running
            }
            Settling::All if is_stale => false,
            Settling::All => {
                let num_sampled_tokens = scheduled.num_sampled_tokens as u32;
                self.num_computed_tokens -= num_sampled_tokens - num_new_tokens;
                self.num_output_placeholders = self.num_output_placeholders.saturating_sub(num_sampled_tokens);
                self.is_running
            }
        }
    }

    /// Tokens whose content and place are final.
    #[inline]
    const fn num_settled_tokens(&self, settling: Settling) -> u32 {
        self.num_computed_tokens.saturating_sub(match settling {
            Settling::Placeholders => self.num_output_placeholders,
            _ => self.num_in_flight_tokens,
        })
    }
}

fn note_verification(scheduled: &ScheduledRequest, is_counted: bool, outputs: &mut EngineCoreOutputs) {
    outputs.verifications.push(Verification {
        id: scheduled.id,
        num_draft_tokens: u32::from(scheduled.num_draft_tokens),
        num_accepted_tokens: u32::from(scheduled.num_sampled_tokens.saturating_sub(1)),
        is_counted,
    });
}
