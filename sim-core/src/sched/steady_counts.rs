//! How requests become steady, what they have had since, and how they cease to be: the bookkeeping of [`super::steady`].

use alloc::vec::Vec;
use core::mem;

use super::calendar::Due;
use super::output::{ScheduledRequest, SchedulerOutput};
use super::scheduler::Scheduler;
use crate::math;
use crate::request::SteadyTokens;

/// Passes in which all requests are looked at after dates did not suffice: mostly they do not the next time, either.
const PASSES_AFTER_DISSOLVING: u64 = 3;

impl Scheduler<'_> {
    /// The pass is decided: its steady requests have one token more, and of those that were looked at some are steady
    /// from now on.
    pub(super) fn advance_steady(&mut self, output: &mut SchedulerOutput) {
        if !self.steady.is_on {
            return;
        }
        let count = output.num_steady_reqs;
        let context = self.steady.num_computed_tokens;
        output.batch.add_decodes(count, context + u64::from(count));
        if count > 0 && !output.batch.spans().is_empty() {
            self.add_to_spans(output);
        }
        self.steady.num_computed_tokens += u64::from(count);
        self.steady.issued = self.pass_number;
        let is_free = self.pass_number >= self.steady.resumes_at;
        for scheduled in output.scheduled.iter().filter(|scheduled| scheduled.emits()) {
            let before = mem::replace(&mut self.live.get_mut(scheduled.slot).issued, self.pass_number);
            if is_free {
                self.enter(scheduled.slot, before);
            }
        }
        if count == 0 {
            self.steady.others.clear();
            self.steady.others.extend_from_slice(&self.running);
        } else {
            let admitted = self.running.len().saturating_sub(output.new_reqs.len() + output.resumed_reqs.len());
            self.steady.others.extend_from_slice(&self.running[admitted..]);
        }
    }

    /// What a window or a chunk shows of a context is no sum of contexts: each is looked at, for that alone.
    fn add_to_spans(&self, output: &mut SchedulerOutput) {
        for request in self.running.iter().map(|&slot| self.live.get(slot)).filter(|request| request.is_steady) {
            let num_issued = math::u64_to_u32(self.steady.issued - request.issued);
            output.batch.add_to_spans(request.num_computed_tokens + num_issued);
        }
    }

    /// A request that samples its first token in the pass just decided, or the one after that of the last pass, is steady
    /// unless that is its last. `before` is the last pass that sampled a token of it.
    fn enter(&mut self, slot: u32, before: u64) {
        let (pass, lag) = (self.pass_number, self.steady.lag);
        let request = self.live.get_mut(slot);
        let num_tokens = request.num_tokens + if lag == 0 { 1 } else { request.num_output_placeholders };
        let is_late = num_tokens > request.num_prompt_tokens + 1 && before + 1 != pass;
        if is_late || num_tokens >= request.final_num_tokens {
            return;
        }
        request.is_steady = true;
        request.processed = pass;
        self.kv_cache.defer_keys(&mut request.blocks);
        self.steady.count += 1;
        self.steady.num_computed_tokens += u64::from(request.num_computed_tokens);
        let (admission, left) = (request.admission, request.final_num_tokens - num_tokens);
        self.steady.ends.note(Due { pass: pass + u64::from(left), admission, slot });
        self.note_next_ask(slot, pass + 1);
    }

    /// Makes the counters of a steady request what the passes since its last date have made of them.
    pub(super) fn catch_up(&mut self, slot: u32) {
        let (issued, processed, lag) = (self.steady.issued, self.steady.processed, self.steady.lag);
        let request = self.live.get_mut(slot);
        if !request.is_steady {
            return;
        }
        let num_issued = math::u64_to_u32(issued - request.issued);
        let num_processed = math::u64_to_u32(processed.saturating_sub(request.processed));
        (request.issued, request.processed) = (issued, request.processed.max(processed));
        request.num_computed_tokens += num_issued;
        request.num_passes += num_issued;
        request.num_in_flight_tokens = request.num_in_flight_tokens + num_issued - num_processed;
        request.num_tokens += num_processed;
        request.num_untold_tokens += num_processed;
        if lag > 0 {
            request.num_output_placeholders = request.num_output_placeholders + num_issued - num_processed;
        }
        self.settle_growth(slot);
    }

    /// A request that is looked at for the first time may have text of others: what they have computed so far, the pass
    /// being decided included, it finds.
    pub(super) fn share_keys(&mut self) {
        while let Some(chain) = self.kv_cache.take_shared_chain() {
            for place in 0..self.running.len() {
                let slot = self.running[place];
                let request = self.live.get(slot);
                if request.is_steady && request.blocks.ends_in(chain) {
                    self.catch_up(slot);
                    self.end_growth(slot);
                    let request = self.live.get_mut(slot);
                    let num_final_tokens = request.num_computed_tokens + 1 - math::low_u32(self.steady.lag);
                    self.kv_cache.commit_keys(&mut request.blocks, num_final_tokens);
                    self.note_next_ask(slot, self.pass_number);
                }
            }
        }
    }

    /// A steady request is looked at from now on; a pass under way counted it.
    pub(super) fn depart(&mut self, slot: u32) {
        self.catch_up(slot);
        self.end_growth(slot);
        let request = self.live.get_mut(slot);
        request.is_steady = false;
        self.steady.count -= 1;
        self.steady.num_computed_tokens -= u64::from(request.num_computed_tokens);
        self.kv_cache.commit_keys(&mut request.blocks, request.num_computed_tokens - math::low_u32(self.steady.lag));
        let num_tokens = mem::take(&mut request.num_untold_tokens);
        if num_tokens > 0 {
            self.steady.told.push(SteadyTokens { id: request.id, num_tokens });
        }
        if request.issued > request.processed {
            let num_sampled_tokens = 1;
            let departed = ScheduledRequest { num_sampled_tokens, ..ScheduledRequest::of(request, slot, 1) };
            self.steady.departed.push(departed);
        }
    }

    /// All requests are looked at from now on.
    pub(crate) fn dissolve(&mut self) {
        for place in 0..self.running.len() {
            let slot = self.running[place];
            if self.live.get(slot).is_steady {
                self.depart(slot);
            }
        }
        self.steady.asks.clear();
        self.steady.ends.clear();
        self.steady.resumes_at = self.pass_number + PASSES_AFTER_DISSOLVING;
    }

    /// The requests of a processed pass that are to be looked at, in the order of the running list, and how many more
    /// have their token.
    pub(super) fn begin_results(&mut self, output: &SchedulerOutput) -> (Vec<ScheduledRequest>, u32) {
        let mut results = mem::take(&mut self.steady.departed);
        let num_departed = math::usize_to_u32(results.len());
        for scheduled in &output.scheduled {
            if self.live.held_mut(scheduled.slot, scheduled.id).is_some() {
                self.catch_up(scheduled.slot);
            }
        }
        if num_departed > 0 {
            results.extend_from_slice(&output.scheduled);
            let live = &self.live;
            results.sort_by_key(|scheduled| live.admission_of(scheduled));
        }
        (results, output.num_steady_reqs - num_departed)
    }

    /// The pass is processed; gives `results` back to be filled again.
    pub(super) fn end_results(&mut self, mut results: Vec<ScheduledRequest>) {
        self.steady.processed += 1;
        results.clear();
        if self.steady.departed.is_empty() {
            self.steady.departed = results;
        }
    }

    /// Tokens of requests that ceased to be steady, since the last call.
    pub(crate) fn take_told(&mut self, told: &mut Vec<SteadyTokens>) {
        told.clear();
        mem::swap(told, &mut self.steady.told);
    }
}
