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
//!
//! Keys of full blocks wait, too, where nobody could find them: while no other request has text of the same chain. They
//! are given when their request is looked at again, or when another turns out to have it ([`Scheduler::share_keys`]).

use alloc::vec::Vec;
use core::mem;

use super::budget::Budget;
use super::calendar::{Calendar, Due};
use super::growth::Growth;
use super::live_request::LiveRequest;
use super::output::{ScheduledRequest, SchedulerOutput};
use super::running::{RunningRules, num_new_tokens};
use super::scheduler::Scheduler;
use crate::config::EngineConfig;
use crate::math;
use crate::request::SteadyTokens;

/// The requests that are counted, and their dates.
#[derive(Debug)]
pub(super) struct SteadyRequests {
    /// Whether the engine may have any.
    pub(super) is_on: bool,
    /// Passes under way when a pass is decided.
    pub(super) lag: u64,
    /// Number of them.
    pub(super) count: u32,
    /// Sum of their computed tokens.
    pub(super) num_computed_tokens: u64,
    /// The pass issued last, and the pass processed last.
    pub(super) issued: u64,
    pub(super) processed: u64,
    /// No request becomes steady before this pass.
    pub(super) resumes_at: u64,
    /// When a request has to be asked for blocks and keys, but for those that only grow.
    pub(super) asks: Calendar,
    pub(super) growth: Growth,
    /// Which pass samples a request's last token.
    pub(super) ends: Calendar,
    /// The other running requests, in the order of the running list; looked through when a pass is decided.
    pub(super) others: Vec<u32>,
    /// Requests of the pass under way that were steady when it was issued and are not any longer, in order.
    pub(super) departed: Vec<ScheduledRequest>,
    /// Tokens of requests that ceased to be steady.
    pub(super) told: Vec<SteadyTokens>,
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
            growth: Growth::new(config.kv_cache.block_size()),
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

    /// Whether it has to be asked on a date.
    const fn is_due(&self, due: &Due) -> bool {
        self.keeps(due) && self.next_ask == due.pass
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
        let num_due = math::usize_to_u32(due.len());
        let mut is_served = self.let_grow(|scheduler| scheduler.num_blocks_of_others().saturating_add(num_due));
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

    /// Blocks that the others need for what they get, in an engine with one group of full attention.
    fn num_blocks_of_others(&self) -> u32 {
        let others = self.steady.others.iter().zip(&self.steady.shares).filter(|&(_, &share)| share > 0);
        let num_blocks = others.map(|(&slot, &share)| {
            let request = self.live.get(slot);
            self.kv_cache.num_missing_blocks(&request.blocks, request.num_computed_tokens + share)
        });
        num_blocks.fold(0, u32::saturating_add)
    }

    /// Serves who is due, where there are no others; false if blocks do not suffice.
    pub(super) fn serve_due(&mut self) -> bool {
        let mut due = mem::take(&mut self.steady.due);
        self.steady.asks.take(self.pass_number, &mut due);
        let is_served = self.let_grow(|_| math::usize_to_u32(due.len())) && due.iter().all(|date| self.ask(date));
        self.steady.due = due;
        is_served
    }

    /// A steady request needs a block, or has one that is full.
    fn ask(&mut self, date: &Due) -> bool {
        if !self.live.get(date.slot).is_due(date) {
            return true;
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
    pub(super) fn note_next_ask(&mut self, slot: u32, pass: u64) {
        let request = self.live.get_mut(slot);
        // What is computed in a pass is known beforehand where nothing is under way.
        let num_known_ahead = 1 - math::low_u32(self.steady.lag);
        let next = self.kv_cache.next_change(&request.blocks, num_known_ahead);
        if next < u32::MAX {
            let passes = next.saturating_sub(request.num_computed_tokens);
            let pass = (pass + u64::from(passes)).max(self.pass_number + 1);
            if self.kv_cache.only_grows(&request.blocks) {
                return self.begin_growth(slot, pass);
            }
            request.next_ask = pass;
            self.steady.asks.note(Due { pass, admission: request.admission, slot });
        }
    }
}
