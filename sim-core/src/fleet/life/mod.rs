//! What happens to a fleet beside requests: replicas die and come back, and an autoscaler starts and stops them.
//!
//! [`LifeSettings`] says what will happen; `Life` knows what has, and decides about requests that were lost. It knows no
//! engine: `fleet/simulation/changes.rs` does to engines what it says.

mod autoscaler;
mod planner;
mod recovery;
mod result;
mod saturation;
mod settings;
mod states;
#[cfg(test)]
mod tests;
mod under_way;

pub use autoscaler::{Autoscaling, ScalingRule};
pub use planner::PlannerThresholds;
pub use result::{LifeResult, Phase};
pub use saturation::SaturationThresholds;
pub use settings::{LifeSettings, Outage, OutageError, Recovery};

pub(super) use recovery::{Leg, Lost};
pub(super) use states::Change;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::fleet::data_parallel::balancer::EngineCounts;
use crate::request::RequestId;
use crate::time::SimTime;

use autoscaler::{Decision, ScalingPolicy};
use recovery::RecoveryDesk;
use states::States;
use under_way::UnderWay;

/// A fleet's life so far.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) states: States,
    pub(super) recovery: RecoveryDesk,
    under_way: UnderWay,
    scaler: Option<(Autoscaling, Box<dyn ScalingPolicy>)>,
    /// Whether the clock is that of the settings: nothing happens to a fleet before the measured requests.
    is_on: bool,
}

impl Life {
    /// The life of so many replicas that are sent so many requests; random numbers are drawn from `seed`.
    pub(super) fn new(settings: &LifeSettings, num_replicas: usize, num_requests: usize, seed: u64) -> Self {
        Self {
            states: States::new(settings, num_replicas),
            recovery: RecoveryDesk::new(settings.recovery, num_requests, seed),
            under_way: UnderWay::new(num_replicas, num_requests),
            scaler: settings.autoscaling.map(|scaling| (scaling, scaling.rule.policy())),
            is_on: false,
        }
    }

    /// The measured requests begin to be sent.
    pub(super) const fn begin(&mut self) {
        self.is_on = true;
    }

    /// When something happens to a replica next.
    pub(super) fn next_change(&self) -> SimTime {
        if self.is_on { self.states.next_change() } else { SimTime::MAX }
    }

    /// When a lost request is sent again next.
    pub(super) fn next_retry(&self) -> SimTime {
        self.recovery.next_retry()
    }

    /// Request `id` was given to `replica`.
    pub(super) fn note_given(&mut self, id: RequestId, replica: usize) {
        self.under_way.add(id, replica);
    }

    /// Request `id` was answered; true if its replica has no other and was waiting for that to stop.
    pub(super) fn note_answered(&mut self, id: RequestId, replica: usize) -> bool {
        self.under_way.remove(id, replica);
        self.under_way.is_empty(replica) && self.states.is_draining(replica)
    }

    /// Whether `replica` has no request.
    pub(super) fn is_idle(&self, replica: usize) -> bool {
        self.under_way.is_empty(replica)
    }

    /// The metrics of a replica that takes requests, as the autoscaler sees them at `now`.
    pub(super) fn observe(&mut self, now: SimTime, replica: usize, counts: EngineCounts) {
        if let Some((_, policy)) = &mut self.scaler {
            policy.observe(now, replica, counts);
        }
    }

    /// The autoscaler decides; the replica that takes no more requests because of that, if one does.
    pub(super) fn decide(&mut self, now: SimTime) -> Option<usize> {
        let (scaling, policy) = self.scaler.as_mut()?;
        let (ready, num_coming) = (self.states.ready(), self.states.num_coming());
        let count = num_coming + crate::math::usize_to_u32(ready.len());
        match policy.decide(now, &ready, num_coming) {
            _ if count < scaling.min_replicas => self.states.start_one(now, scaling.startup_time),
            Decision::StartOne if count < scaling.max_replicas => self.states.start_one(now, scaling.startup_time),
            Decision::StopOne if count > scaling.min_replicas => return self.states.drain_one(now),
            _ => {}
        }
        None
    }

    /// The requests that `replica` had, by number; it has none any more.
    pub(super) fn take_all(&mut self, replica: usize) -> Vec<RequestId> {
        self.under_way.take(replica)
    }

    /// What came of it until `end`, of which the first `num_measured` requests are told.
    pub(super) fn finish(self, end: SimTime, num_measured: usize) -> LifeResult {
        let mut result = self.recovery.finish(num_measured);
        (result.phases, result.replica_seconds) = self.states.finish(end);
        result
    }
}
