//! Requests that get one token in every pass, counted instead of looked at.
//!
//! A request past its prompt gets a token in every pass until it ends, and most requests of most passes are such. What
//! the loop of [`super::running`] does for them then depends on the number of the pass alone, but for what the calendars
//! know beforehand: when a request needs a block, when a block of its is full and gets its key, when it ends. So between
//! two dates its counters stand still ([`LiveRequest::issued`] says in which pass) and are made up for when somebody
//! looks ([`Scheduler::catch_up`]); a pass has only their number and the sum of their contexts.
//!
//! Nothing is decided differently, to the bit: a date is served by the loop's own function, in the loop's order. What
//! dates do not cover is left to the loop itself, with all requests looked at as ever ([`Scheduler::dissolve`]): a budget
//! or blocks that do not suffice, a request that comes back after a preemption. Engines with several stages, a
//! drafter, states of Mamba or a prefill interval have no steady requests at all.

use alloc::vec::Vec;
use core::mem;

use super::calendar::{Calendar, Due};
use super::live_request::LiveRequest;
use super::output::{ScheduledRequest, SchedulerOutput};
use super::running::{RunningRules, num_new_tokens};
use super::scheduler::{Budget, Scheduler};
use crate::config::EngineConfig;
use crate::math;
use crate::request::SteadyTokens;

/// Passes in which all requests are looked at after dates did not suffice: mostly they do not the next time, either.
const PASSES_AFTER_DISSOLVING: u64 = 3;

/// The requests that are counted, and their dates.
#[derive(Debug)]
pub(super) struct SteadyRequests {
    /// Whether the engine may have any.
    is_on: bool,
    /// Passes under way when a pass is decided.
    lag: u64,
    /// Number of them.
    count: u32,
    /// Sum of their computed tokens.
    num_computed_tokens: u64,
    /// The pass issued last, and the pass processed last.
    issued: u64,
    processed: u64,
    /// No request becomes steady before this pass.
    resumes_at: u64,
    /// When a request has to be asked for blocks and keys.
    asks: Calendar,
    /// Which pass samples a request's last token.
    ends: Calendar,
    /// The other running requests, in the order of the running list; looked through when a pass is decided.
    others: Vec<u32>,
    /// Requests of the pass under way that were steady when it was issued and are not any longer, in order.
    departed: Vec<ScheduledRequest>,
    /// Tokens of requests that ceased to be steady.
    told: Vec<SteadyTokens>,
    /// Scratch: who is due.
    due: Vec<Due>,
    /// Scratch: tokens of each of the others.
    shares: Vec<u32>,
}

impl SteadyRequests {
    /// None yet, and never any unless `is_allowed`.
    pub(super) fn new(config: &EngineConfig, is_allowed: bool) -> Self {
        Self {
            is_on: is_allowed && config.pipeline_parallel_size == 1,
            lag: u64::from(config.async_scheduling),
            count: 0,
            num_computed_tokens: 0,
            issued: 0,
            processed: 0,
            resumes_at: 0,
            asks: Calendar::new(),
            ends: Calendar::new(),
            others: Vec::new(),
            departed: Vec::new(),
            told: Vec::new(),
            due: Vec::new(),
            shares: Vec::new(),
        }
    }
}

impl LiveRequest {
    /// Whether a due date is still this request's.
    const fn keeps(&self, due: &Due) -> bool {
        self.is_steady && self.admission == due.admission
    }
}

impl Scheduler<'_> {
    /// Decides what running requests get by dates alone; false if all of them have to be looked at. Then none is steady
    /// any longer, and what was done for some would be done again to no effect.
    pub(super) fn schedule_steady(&mut self, budget: &mut Budget, output: &mut SchedulerOutput) -> bool {
        if self.steady.count == 0 {
            return false;
        }
        self.let_go_of_ending();
        let whole = *budget;
        if self.share_out(budget) && self.serve(budget, output) {
            output.num_steady_reqs = self.steady.count;
            return true;
        }
        *budget = whole;
        output.scheduled.clear();
        self.dissolve();
        false
    }

    /// Requests whose last token is under way, or comes with the pass being decided, are looked at from now on.
    fn let_go_of_ending(&mut self) {
        let live = &self.live;
        self.steady.others.retain(|&slot| live.get(slot).is_running && !live.get(slot).is_steady);
        let mut due = mem::take(&mut self.steady.due);
        self.steady.ends.take(self.pass_number - self.steady.lag, &mut due);
        for ending in &due {
            if self.live.get(ending.slot).keeps(ending) {
                self.depart(ending.slot);
                self.steady.others.push(ending.slot);
            }
        }
        self.steady.due = due;
    }

    /// Says what each of the others gets beside the steady requests' tokens; false if that is not sure.
    fn share_out(&mut self, budget: &mut Budget) -> bool {
        let live = &self.live;
        let steady = &mut self.steady;
        if !steady.others.is_sorted_by_key(|&slot| live.get(slot).admission) {
            steady.others.sort_unstable_by_key(|&slot| live.get(slot).admission);
        }
        if budget.num_tokens < steady.count {
            return false;
        }
        steady.shares.clear();
        let mut left = budget.without(steady.count);
        let rules = RunningRules::plain(self.pass_number, self.config.max_model_len);
        for (place, &slot) in steady.others.iter().enumerate() {
            let request = live.get(slot);
            let wanted = num_new_tokens::<true>(request, budget, &rules);
            let share = if left.num_tokens == 0 { 0 } else { num_new_tokens::<true>(request, &left, &rules) };
            // One that gets less than it could leaves nothing for those behind it: no steady request may be there.
            let is_behind_all = self.running.len() - self.running.len().min(steady.others.len() - place);
            if share < wanted && self.running.get(is_behind_all) != Some(&slot) {
                return false;
            }
            // One that has tokens already, but none of the last pass, has waited longer for this one than all others.
            if share > 0 && request.has_sampled() && request.issued + 1 != self.pass_number {
                return false;
            }
            left.num_tokens -= share;
            steady.shares.push(share);
        }
        budget.num_tokens -= steady.count;
        true
    }

    /// Serves who is due and the others, in the order of the running list; false if blocks do not suffice.
    fn serve(&mut self, budget: &mut Budget, output: &mut SchedulerOutput) -> bool {
        let mut due = mem::take(&mut self.steady.due);
        self.steady.asks.take(self.pass_number, &mut due);
        let mut is_served = true;
        let mut dates = due.iter().peekable();
        for place in 0..self.steady.others.len() {
            let (slot, share) = (self.steady.others[place], self.steady.shares[place]);
            let admission = self.live.get(slot).admission;
            while is_served && let Some(date) = dates.next_if(|date| date.admission < admission) {
                is_served = self.ask(date);
            }
            if share > 0 {
                is_served = is_served && self.serve_other(slot, share, budget, output);
            }
        }
        for date in dates {
            is_served = is_served && self.ask(date);
        }
        self.steady.due = due;
        is_served
    }

    /// A steady request needs a block, or has one that is full.
    fn ask(&mut self, date: &Due) -> bool {
        let request = self.live.get_mut(date.slot);
        if !request.keeps(date) || request.next_ask != date.pass {
            return true;
        }
        if let Some(block_size) = self.kv_cache.block_size_if_growing(&request.blocks) {
            request.next_ask = date.pass + u64::from(block_size);
            self.steady.asks.note(Due { pass: request.next_ask, ..*date });
            return self.kv_cache.grow(&mut request.blocks);
        }
        self.catch_up(date.slot);
        let request = self.live.get_mut(date.slot);
        let demand = request.demand(1);
        if !self.kv_cache.allocate_slots(&mut request.blocks, demand) {
            return false;
        }
        self.note_next_ask(date.slot, self.pass_number);
        true
    }

    fn serve_other(&mut self, slot: u32, share: u32, budget: &mut Budget, output: &mut SchedulerOutput) -> bool {
        let request = self.live.get_mut(slot);
        let demand = request.demand(share);
        if !self.kv_cache.allocate_slots(&mut request.blocks, demand) {
            return false;
        }
        output.scheduled.push(ScheduledRequest::of(request, slot, share));
        budget.take::<true>(share);
        true
    }

    /// Notes when a steady request, which gets its next token in `pass` at the earliest, has to be asked for next. If
    /// that is `pass` itself, it was asked for just now.
    fn note_next_ask(&mut self, slot: u32, pass: u64) {
        let request = self.live.get_mut(slot);
        // What is computed in a pass is known beforehand where nothing is under way.
        let num_known_ahead = 1 - math::low_u32(self.steady.lag);
        let next = self.kv_cache.next_change(&request.blocks, num_known_ahead);
        if next < u32::MAX {
            let passes = next.saturating_sub(request.num_computed_tokens);
            let pass = (pass + u64::from(passes)).max(self.pass_number + 1);
            request.next_ask = pass;
            self.steady.asks.note(Due { pass, admission: request.admission, slot });
        }
    }

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
