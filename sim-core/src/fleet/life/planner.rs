//! A replica more when KV or queue are above their thresholds in the mean, one less when both are below.
//!
//! Source: Dynamo's planner by load, `components/planner/src/dynamo/planner/` (`LoadPlannerDefaults`,
//! `NEW_DECODE_WORKER_GRACE_PERIOD`), as read; not run against it. There decode workers go by KV and prefill workers by
//! their queue, as they do here where prefill and decode are apart; replicas that do both go by both. While one starts nothing is decided, as its connector waits for
//! that. The trend of the prefill queue is not looked at.

use super::autoscaler::{Decision, ScalingPolicy};
use crate::fleet::data_parallel::balancer::EngineCounts;
use crate::math;
use crate::time::SimTime;

/// Decisions after a start in which nothing is stopped: a new replica's KV is empty at first.
const GRACE_PERIOD: u32 = 3;

/// Its arguments, with its defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannerThresholds {
    /// `--decode-kv-scale-up-threshold`: mean share of KV blocks in use above which a replica is started.
    pub decode_kv_scale_up: f64,
    /// `--decode-kv-scale-down-threshold`: below which one may be stopped.
    pub decode_kv_scale_down: f64,
    /// `--prefill-queue-scale-up-threshold`: waiting requests of a replica in the mean above which one is started.
    pub prefill_queue_scale_up: f64,
    /// `--prefill-queue-scale-down-threshold`: below which one may be stopped.
    pub prefill_queue_scale_down: f64,
}

impl Default for PlannerThresholds {
    fn default() -> Self {
        Self {
            decode_kv_scale_up: 0.9,
            decode_kv_scale_down: 0.5,
            prefill_queue_scale_up: 5.0,
            prefill_queue_scale_down: 0.2,
        }
    }
}

/// The rule.
#[derive(Debug)]
pub(super) struct PlannerLoad {
    thresholds: PlannerThresholds,
    /// Sums over all looks since the last decision, and how many these are.
    usage: f64,
    waiting: f64,
    num_seen: u32,
    /// Decisions until something may be stopped.
    grace: u32,
}

impl PlannerLoad {
    pub(super) const fn new(thresholds: PlannerThresholds) -> Self {
        Self { thresholds, usage: 0.0, waiting: 0.0, num_seen: 0, grace: 0 }
    }
}

impl ScalingPolicy for PlannerLoad {
    fn observe(&mut self, _now: SimTime, _replica: usize, counts: EngineCounts) {
        self.usage += counts.kv_cache_usage;
        self.waiting += math::u64_to_f64(counts.num_waiting);
        self.num_seen += 1;
    }

    fn decide(&mut self, _now: SimTime, _ready: &[usize], num_coming: u32) -> Decision {
        let count = math::u32_to_f64(self.num_seen);
        let (usage, waiting) = (self.usage / count, self.waiting / count);
        let is_blind = self.num_seen == 0;
        (self.usage, self.waiting, self.num_seen) = (0.0, 0.0, 0);
        let is_new = self.grace > 0;
        self.grace = self.grace.saturating_sub(1);
        let thresholds = &self.thresholds;
        if is_blind || num_coming > 0 {
            Decision::Stay
        } else if usage > thresholds.decode_kv_scale_up || waiting > thresholds.prefill_queue_scale_up {
            self.grace = GRACE_PERIOD;
            Decision::StartOne
        } else if !is_new && usage < thresholds.decode_kv_scale_down && waiting < thresholds.prefill_queue_scale_down {
            Decision::StopOne
        } else {
            Decision::Stay
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::life::ScalingRule;

    #[test]
    fn means_decide_and_a_new_replica_has_its_time() {
        let mut policy = PlannerLoad::new(PlannerThresholds::default());
        let mut check = |loads: &[(f64, u64)], expect: Decision| {
            for &(kv_cache_usage, num_waiting) in loads {
                let counts = EngineCounts { kv_cache_usage, num_waiting, ..EngineCounts::default() };
                policy.observe(SimTime::ZERO, 0, counts);
            }
            assert_eq!(policy.decide(SimTime::ZERO, &[0, 1], 0), expect, "{loads:?}");
        };
        check(&[], Decision::Stay);
        check(&[(0.1, 0), (0.2, 0)], Decision::StopOne);
        check(&[(0.1, 0), (0.2, 1)], Decision::Stay);
        check(&[(0.99, 0), (0.7, 0)], Decision::Stay);
        check(&[(0.99, 0), (0.83, 0)], Decision::StartOne);
        for _ in 0..3 {
            check(&[(0.1, 0)], Decision::Stay);
        }
        check(&[(0.1, 0)], Decision::StopOne);
        check(&[(0.1, 4), (0.1, 7)], Decision::StartOne);
    }

    #[test]
    fn a_role_goes_by_its_own_metric_alone() {
        let check = |is_prefill, (kv_cache_usage, num_waiting), expect: Decision| {
            let rule = ScalingRule::PlannerLoad(PlannerThresholds::default()).of_role(is_prefill);
            let mut policy = rule.policy();
            let counts = EngineCounts { kv_cache_usage, num_waiting, ..EngineCounts::default() };
            policy.observe(SimTime::ZERO, 0, counts);
            assert_eq!(policy.decide(SimTime::ZERO, &[0, 1], 0), expect, "{is_prefill} {kv_cache_usage} {num_waiting}");
        };
        check(true, (0.99, 0), Decision::StopOne);
        check(true, (0.1, 3), Decision::Stay);
        check(true, (0.1, 6), Decision::StartOne);
        check(false, (0.99, 0), Decision::StartOne);
        check(false, (0.7, 9), Decision::Stay);
        check(false, (0.1, 9), Decision::StopOne);
    }
}
