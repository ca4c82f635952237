//! Which replicas are there, and when that changes.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::result::Phase;
use super::settings::LifeSettings;
use crate::math;
use crate::time::SimTime;

/// How a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It takes requests.
    Ready,
    /// It starts or has died, and will be ready then.
    Coming(SimTime),
    /// It has died for good, or was stopped.
    Gone,
    /// It takes no more requests and stops once it has none.
    Draining,
}

/// Something that happens to a replica. Of equal times, who comes back is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::fleet) enum Change {
    /// It is ready, and empty.
    Ready(usize),
    /// It dies, until then.
    Dies(usize, SimTime),
}

/// All replicas.
#[derive(Debug)]
pub(in crate::fleet) struct States {
    states: Vec<State>,
    changes: BinaryHeap<Reverse<(SimTime, Change)>>,
    phases: Vec<Phase>,
    /// Since when it is as it is.
    since: SimTime,
}

impl States {
    pub(super) fn new(settings: &LifeSettings, num_replicas: usize) -> Self {
        let outages = settings.outages.iter();
        let dies = outages.map(|outage| Reverse((outage.from, Change::Dies(outage.replica as usize, outage.until))));
        Self {
            states: vec![State::Ready; num_replicas],
            changes: dies.collect(),
            phases: Vec::new(),
            since: SimTime::ZERO,
        }
    }

    pub(super) fn next_change(&self) -> SimTime {
        self.changes.peek().map_or(SimTime::MAX, |&Reverse((time, _))| time)
    }

    /// The next change, if it happens now and is still to happen; the replica is then as that says.
    pub(in crate::fleet) fn pop(&mut self, now: SimTime) -> Option<Change> {
        while self.next_change() <= now {
            let Reverse((_, change)) = self.changes.pop()?;
            if self.take(now, change) {
                return Some(change);
            }
        }
        None
    }

    /// False if it does not happen: who is gone does not die, and who died does not get ready at its earlier date.
    fn take(&mut self, now: SimTime, change: Change) -> bool {
        let (replica, state) = match change {
            Change::Ready(replica) if self.states[replica] == State::Coming(now) => (replica, State::Ready),
            Change::Dies(replica, until) => match self.states[replica] {
                State::Gone => return false,
                State::Ready | State::Coming(_) if until < SimTime::MAX => {
                    self.changes.push(Reverse((until, Change::Ready(replica))));
                    (replica, State::Coming(until))
                }
                _ => (replica, State::Gone),
            },
            Change::Ready(_) => return false,
        };
        self.set(now, replica, state);
        true
    }

    pub(super) fn is_draining(&self, replica: usize) -> bool {
        self.states[replica] == State::Draining
    }

    /// Whether any replica takes requests.
    pub(in crate::fleet) fn is_any_ready(&self) -> bool {
        self.states.contains(&State::Ready)
    }

    fn set(&mut self, now: SimTime, replica: usize, state: State) {
        self.end_phase(now);
        self.states[replica] = state;
    }

    fn end_phase(&mut self, now: SimTime) {
        if now <= self.since {
            return;
        }
        let count = |is: fn(&State) -> bool| math::usize_to_u32(self.states.iter().filter(|state| is(state)).count());
        let phase = Phase {
            from: self.since,
            until: now,
            num_ready: count(|state| *state == State::Ready),
            num_coming: count(|state| matches!(state, State::Coming(_))),
            num_draining: count(|state| *state == State::Draining),
        };
        self.since = now;
        match self.phases.last_mut() {
            Some(last) if (Phase { from: last.from, until: last.until, ..phase }) == *last => last.until = now,
            _ => self.phases.push(phase),
        }
    }

    /// All phases until `end`, and what they come to in seconds of replicas.
    pub(super) fn finish(mut self, end: SimTime) -> (Vec<Phase>, f64) {
        self.end_phase(end);
        let seconds = |phase: &Phase| {
            let count = phase.num_ready + phase.num_coming + phase.num_draining;
            phase.until.saturating_since(phase.from).as_secs_f64() * math::u32_to_f64(count)
        };
        let sum = self.phases.iter().map(seconds).sum();
        (self.phases, sum)
    }
}
