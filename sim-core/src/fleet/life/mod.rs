//! What happens to a fleet beside requests: replicas die and come back, and an autoscaler starts and stops them.
//!
//! [`LifeSettings`] says what will happen; `Life` knows what has, and decides about requests that were lost. It knows no
//! engine: `fleet/simulation/changes.rs` does to engines what it says.

mod autoscaler;
mod crew;
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
pub use result::{LifeResult, Phase, Presence, RolesLife};
pub use saturation::SaturationThresholds;
pub use settings::{LifeSettings, Outage, OutageError, Recovery};

pub(super) use crew::Crew;
pub(super) use recovery::{Leg, Lost, RecoveryDesk, sent_only};
pub(super) use states::Change;

use crate::time::SimTime;

/// A fleet's life so far.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) crew: Crew,
    pub(super) recovery: RecoveryDesk,
}

impl Life {
    /// The life of so many replicas that are sent so many requests; random numbers are drawn from `seed`.
    pub(super) fn new(settings: &LifeSettings, num_replicas: usize, num_requests: usize, seed: u64) -> Self {
        Self {
            crew: Crew::new(settings, num_replicas, num_requests),
            recovery: RecoveryDesk::new(settings.recovery, num_requests, seed),
        }
    }

    /// What came of it until `end`, of which the first `num_measured` requests are told.
    pub(super) fn finish(self, end: SimTime, num_measured: usize) -> LifeResult {
        LifeResult { presence: self.crew.finish(end), ..self.recovery.finish(num_measured) }
    }
}
