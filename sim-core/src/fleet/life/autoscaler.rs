//! What an autoscaler is asked and told, and which there are.

use alloc::boxed::Box;
use core::fmt;

use super::planner::{PlannerLoad, PlannerThresholds};
use super::saturation::{Saturation, SaturationThresholds};
use crate::fleet::data_parallel::balancer::EngineCounts;
use crate::time::{SimDuration, SimTime};

/// How many replicas there are to be, and who decides it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Autoscaling {
    /// Who.
    pub rule: ScalingRule,
    /// Replicas that take requests at the beginning.
    pub initial_replicas: u32,
    /// Fewest, at least 1.
    pub min_replicas: u32,
    /// Most; a fleet has so many engines.
    pub max_replicas: u32,
    /// From one decision to the next.
    pub interval: SimDuration,
    /// From one look at metrics to the next.
    pub metrics_interval: SimDuration,
    /// From the decision to start a replica until it takes requests: machine, weights, graphs.
    pub startup_time: SimDuration,
}

/// By which rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScalingRule {
    /// llm-d's workload-variant-autoscaler.
    Saturation(SaturationThresholds),
    /// Dynamo's planner by load.
    PlannerLoad(PlannerThresholds),
}

impl ScalingRule {
    /// A policy that has seen nothing.
    pub(super) fn policy(self) -> Box<dyn ScalingPolicy> {
        match self {
            Self::Saturation(thresholds) => Box::new(Saturation::new(thresholds)),
            Self::PlannerLoad(thresholds) => Box::new(PlannerLoad::new(thresholds)),
        }
    }

    /// The same for replicas that only compute prompts, or only answer: Dynamo's planner scales the former by their queue and
    /// the latter by their KV blocks; llm-d's autoscaler knows variants of a model, which are the roles' deployments, and goes
    /// by both for each.
    #[must_use]
    pub const fn of_role(self, is_prefill: bool) -> Self {
        let Self::PlannerLoad(mut thresholds) = self else { return self };
        // What is never reached, and what nothing is above.
        let not_looked_at = [f64::INFINITY; 2];
        if is_prefill {
            [thresholds.decode_kv_scale_up, thresholds.decode_kv_scale_down] = not_looked_at;
        } else {
            [thresholds.prefill_queue_scale_up, thresholds.prefill_queue_scale_down] = not_looked_at;
        }
        Self::PlannerLoad(thresholds)
    }

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Saturation(_) => "saturation",
            Self::PlannerLoad(_) => "planner-load",
        }
    }
}

/// What is to be done now. Both real ones go one step at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    StartOne,
    Stay,
    StopOne,
}

/// A rule with what it has seen.
pub(super) trait ScalingPolicy: fmt::Debug {
    /// The metrics of a replica that takes requests, as they are at `now`.
    fn observe(&mut self, now: SimTime, replica: usize, counts: EngineCounts);

    /// What is to be done, while `ready` take requests and `num_coming` will.
    fn decide(&mut self, now: SimTime, ready: &[usize], num_coming: u32) -> Decision;
}
