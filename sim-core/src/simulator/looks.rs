//! Looks in vain: an engine that has nothing to do but to wait for transfers looks again every millisecond, and sees nothing
//! until the next of them ends.
//!
//! These looks are counted instead of made. Nothing else than the end of a transfer, an answer of a tier or a request can
//! change what one sees: `tests/tests/it/looks.rs` holds that to an engine that makes each of them.

use super::Simulation;
use crate::engine_core::Step;
use crate::math;
use crate::sched::output::SchedulerOutput;
use crate::time::{SimDuration, SimTime};

/// So many in a row have to be alike. What one of them decides is taken in by the next, or with passes under way by the one
/// after that; from then on they are the same.
const NUM_ALIKE: u32 = 4;

/// Most that are counted at once, so that who watches a run or wants to end it is not kept waiting.
const MAX_AT_ONCE: u32 = 1 << 20;

/// The looks that an engine made last.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// How many in a row saw nothing and took the same time.
    num_alike: u32,
    /// From one to the next.
    period: SimDuration,
    /// When the one began that is being made, if it has seen nothing yet.
    begin: Option<SimTime>,
    /// Whether each of them is made.
    makes_each: bool,
}

impl Looks {
    /// From now on each of them is made.
    pub(super) const fn make_each(&mut self) {
        self.makes_each = true;
    }

    /// Something has happened that is no look.
    pub(crate) const fn interrupt(&mut self) {
        (self.num_alike, self.begin) = (0, None);
    }

    /// A step has begun at `time`, and a tier has something to say or not.
    pub(crate) const fn begin(&mut self, time: SimTime, is_told: bool) {
        self.begin = if is_told { None } else { Some(time) };
    }

    /// It has decided a pass.
    pub(crate) fn decide(&mut self, output: &SchedulerOutput) {
        let is_in_vain = !output.has_tokens()
            && output.preempted_reqs.is_empty()
            && output.kv_connector.as_ref().is_none_or(|pass| pass.is_nothing());
        self.begin = self.begin.filter(|_| is_in_vain);
    }

    /// Its engine's part is over. One that only fills the pipeline, or empties it, is no look.
    pub(crate) fn process(&mut self, step: Step) {
        self.begin = self.begin.filter(|_| step.issued.is_some() && step.processed.is_some());
    }

    /// It is over, and the next one begins at `time`.
    pub(crate) fn end(&mut self, time: SimTime) {
        let Some(begin) = self.begin.take() else { return self.interrupt() };
        let period = time.saturating_since(begin);
        self.num_alike = if period == self.period { self.num_alike.saturating_add(1) } else { 1 };
        self.period = period;
    }

    /// Whether the next one sees nothing unless something happens.
    pub(crate) const fn is_in_vain(&self) -> bool {
        self.num_alike >= NUM_ALIKE && !self.makes_each
    }

    /// How many from `now` on begin before `until`, as far as they are counted at once.
    pub(crate) fn num_before(&self, now: SimTime, until: SimTime) -> u32 {
        let num_looks = until.saturating_since(now).as_nanos().div_ceil(self.period.as_nanos().max(1));
        math::u64_to_u32(num_looks.min(u64::from(MAX_AT_ONCE)))
    }

    /// How long so many take.
    pub(crate) fn time_of(&self, num_looks: u32) -> SimDuration {
        self.period.saturating_mul(u64::from(num_looks))
    }
}

/// So much earlier than `time`.
pub(crate) const fn before(time: SimTime, span: SimDuration) -> SimTime {
    SimTime::from_nanos(time.as_nanos().saturating_sub(span.as_nanos()))
}

impl Simulation<'_> {
    /// Counts the looks until something can have changed; false if the next one has to be made.
    pub(super) fn skip_looks(&mut self) -> bool {
        if !self.looks.is_in_vain() {
            return false;
        }
        let Some(event) = self.transfers.next_event() else { return false };
        self.quiet_until = SimTime::ZERO;
        if !self.is_quiet() {
            return false;
        }
        // Who decides a pass needs time, and then the workers look.
        let decision = self.step_time.host().schedule_time(0);
        // A look that ends behind the horizon is made in two halves.
        let until = before(event, decision).min(before(self.horizon, self.looks.time_of(1)));
        let num_looks = match self.num_quiet_iterations() {
            Some(num_iterations) => self.looks.num_before(self.now, until).min(num_iterations),
            None => self.looks.num_before(self.now, until.min(self.quiet_until)),
        };
        if num_looks == 0 {
            return false;
        }
        self.now += self.looks.time_of(num_looks);
        self.engine.skip_steps(num_looks);
        if self.keeps_input {
            self.queries_per_iter.extend(core::iter::repeat_n(0, math::u32_to_usize(num_looks)));
        }
        self.in_vain.await_transfers();
        true
    }
}
