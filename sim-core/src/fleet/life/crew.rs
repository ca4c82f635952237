//! Replicas of one kind: which are there, what each of them has, and who starts and stops them.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::autoscaler::{Autoscaling, Decision, ScalingPolicy};
use super::result::Presence;
use super::settings::LifeSettings;
use super::states::States;
use super::under_way::UnderWay;
use crate::fleet::data_parallel::balancer::EngineCounts;
use crate::math;
use crate::request::RequestId;
use crate::time::SimTime;

/// All of them.
#[derive(Debug)]
pub(in crate::fleet) struct Crew {
    pub(in crate::fleet) states: States,
    under_way: UnderWay,
    scaler: Option<(Autoscaling, Box<dyn ScalingPolicy>)>,
    /// Whether the clock is that of the settings: nothing happens to a fleet before the measured requests.
    is_on: bool,
}

impl Crew {
    /// So many replicas, which are sent so many requests.
    pub(in crate::fleet) fn new(settings: &LifeSettings, num_replicas: usize, num_requests: usize) -> Self {
        Self {
            states: States::new(settings, num_replicas),
            under_way: UnderWay::new(num_replicas, num_requests),
            scaler: settings.autoscaling.map(|scaling| (scaling, scaling.rule.policy())),
            is_on: false,
        }
    }

    /// The measured requests begin to be sent.
    pub(in crate::fleet) const fn begin(&mut self) {
        self.is_on = true;
    }

    /// When something happens to a replica next.
    pub(in crate::fleet) fn next_change(&self) -> SimTime {
        if self.is_on { self.states.next_change() } else { SimTime::MAX }
    }

    /// Request `id` was given to `replica`.
    pub(in crate::fleet) fn note_given(&mut self, id: RequestId, replica: usize) {
        self.under_way.add(id, replica);
    }

    /// Request `id` needs `replica` no longer; true if that has no other and was waiting for that to stop.
    pub(in crate::fleet) fn note_answered(&mut self, id: RequestId, replica: usize) -> bool {
        self.under_way.remove(id, replica);
        self.under_way.is_empty(replica) && self.states.is_draining(replica)
    }

    /// Whether `replica` has no request.
    pub(in crate::fleet) fn is_idle(&self, replica: usize) -> bool {
        self.under_way.is_empty(replica)
    }

    /// The metrics of a replica that takes requests, as the autoscaler sees them at `now`.
    pub(in crate::fleet) fn observe(&mut self, now: SimTime, replica: usize, counts: EngineCounts) {
        if let Some((_, policy)) = &mut self.scaler {
            policy.observe(now, replica, counts);
        }
    }

    /// The autoscaler decides; the replica that takes no more requests because of that, if one does.
    pub(in crate::fleet) fn decide(&mut self, now: SimTime) -> Option<usize> {
        let (scaling, policy) = self.scaler.as_mut()?;
        let (ready, num_coming) = (self.states.ready(), self.states.num_coming());
        let count = num_coming + math::usize_to_u32(ready.len());
        match policy.decide(now, &ready, num_coming) {
            _ if count < scaling.min_replicas => self.states.start_one(now, scaling.startup_time),
            Decision::StartOne if count < scaling.max_replicas => self.states.start_one(now, scaling.startup_time),
            Decision::StopOne if count > scaling.min_replicas => return self.states.drain_one(now),
            _ => {}
        }
        None
    }

    /// The requests that `replica` had, by number; it has none any more.
    pub(in crate::fleet) fn take_all(&mut self, replica: usize) -> Vec<RequestId> {
        self.under_way.take(replica)
    }

    /// Which there were until `end`.
    pub(in crate::fleet) fn finish(self, end: SimTime) -> Presence {
        let (phases, replica_seconds) = self.states.finish(end);
        Presence { phases, replica_seconds }
    }
}
