//! Which replicas are there, and when that changes.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::result::Phase;
use super::settings::LifeSettings;
use crate::math;
use crate::time::{SimDuration, SimTime};

/// How a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It takes requests.
    Ready,
    /// It starts or has died, and will be ready then.
    Coming(SimTime),
    /// It was stopped, or not started yet.
    Stopped,
    /// It has died for good.
    Dead,
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
    /// The autoscaler looks at metrics.
    Look,
    /// It decides.
    Decide,
}

/// All replicas.
#[derive(Debug)]
pub(in crate::fleet) struct States {
    states: Vec<State>,
    changes: BinaryHeap<Reverse<(SimTime, Change)>>,
    /// From one look of the autoscaler to the next, and from one decision to the next.
    intervals: Option<[SimDuration; 2]>,
    phases: Vec<Phase>,
    /// Since when it is as it is.
    since: SimTime,
}

impl States {
    pub(super) fn new(settings: &LifeSettings, num_replicas: usize) -> Self {
        let outages = settings.outages.iter();
        let dies = outages.map(|outage| Reverse((outage.from, Change::Dies(outage.replica as usize, outage.until))));
        let mut changes: BinaryHeap<_> = dies.collect();
        let mut states = vec![State::Ready; num_replicas];
        if let Some(scaling) = &settings.autoscaling {
            states
                .iter_mut()
                .skip(math::u32_to_usize(scaling.initial_replicas))
                .for_each(|state| *state = State::Stopped);
            changes.push(Reverse((SimTime::ZERO + scaling.metrics_interval, Change::Look)));
            changes.push(Reverse((SimTime::ZERO + scaling.interval, Change::Decide)));
        }
        Self {
            states,
            changes,
            intervals: settings.autoscaling.map(|scaling| [scaling.metrics_interval, scaling.interval]),
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
                State::Stopped | State::Dead => return false,
                State::Ready | State::Coming(_) if until < SimTime::MAX => {
                    self.changes.push(Reverse((until, Change::Ready(replica))));
                    (replica, State::Coming(until))
                }
                State::Draining => (replica, State::Stopped),
                State::Ready | State::Coming(_) => (replica, State::Dead),
            },
            Change::Ready(_) => return false,
            Change::Look | Change::Decide => {
                let [look, decide] = self.intervals.unwrap_or_default();
                let next = now + if change == Change::Look { look } else { decide };
                self.changes.push(Reverse((next, change)));
                return true;
            }
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

    /// Replicas that do, by number.
    pub(in crate::fleet) fn ready(&self) -> Vec<usize> {
        let states = self.states.iter().enumerate();
        states.filter(|(_, state)| **state == State::Ready).map(|(replica, _)| replica).collect()
    }

    /// Replicas that will.
    pub(super) fn num_coming(&self) -> u32 {
        math::usize_to_u32(self.states.iter().filter(|state| matches!(state, State::Coming(_))).count())
    }

    /// The first that is stopped starts, if one is.
    pub(super) fn start_one(&mut self, now: SimTime, startup_time: SimDuration) {
        if let Some(replica) = self.states.iter().position(|state| *state == State::Stopped) {
            self.changes.push(Reverse((now + startup_time, Change::Ready(replica))));
            self.set(now, replica, State::Coming(now + startup_time));
        }
    }

    /// The last that takes requests takes no more, unless it is the only one.
    pub(super) fn drain_one(&mut self, now: SimTime) -> Option<usize> {
        let ready = self.ready();
        let replica = ready.last().copied().filter(|_| ready.len() > 1)?;
        self.set(now, replica, State::Draining);
        Some(replica)
    }

    /// `replica`, which was to take no more, has stopped.
    pub(in crate::fleet) fn stop(&mut self, now: SimTime, replica: usize) {
        self.set(now, replica, State::Stopped);
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
