//! A replica more when those that are not saturated have little to spare, one less when the others could take its load.
//!
//! Source: llm-d's workload-variant-autoscaler, `internal/saturation/analyzer.go` (the analyzer by percentages) and
//! `docs/saturation-scaling-config.md`, as read; not run against it. Its own stabilisation, if any, is the horizontal pod
//! autoscaler's behind it, which is not here.

use alloc::collections::{BTreeMap, VecDeque};

use super::autoscaler::{Decision, ScalingPolicy};
use crate::fleet::data_parallel::balancer::EngineCounts;
use crate::math;
use crate::time::{SimDuration, SimTime};

/// Metrics are the highest of so long (`max_over_time(…[1m])`).
const WINDOW: SimDuration = SimDuration::from_nanos(60_000_000_000);

/// Its `ConfigMap`, with the recommended values as defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SaturationThresholds {
    /// Share of KV blocks in use from which a replica is saturated.
    pub kv_cache_threshold: f64,
    /// Waiting requests from which it is.
    pub queue_length_threshold: f64,
    /// Mean spare share of KV blocks below which a replica is started.
    pub kv_spare_trigger: f64,
    /// Mean spare places in the queue below which one is.
    pub queue_spare_trigger: f64,
}

impl Default for SaturationThresholds {
    fn default() -> Self {
        Self { kv_cache_threshold: 0.8, queue_length_threshold: 5.0, kv_spare_trigger: 0.1, queue_spare_trigger: 3.0 }
    }
}

/// The rule.
#[derive(Debug)]
pub(super) struct Saturation {
    thresholds: SaturationThresholds,
    /// By replica, oldest first.
    seen: BTreeMap<usize, VecDeque<(SimTime, EngineCounts)>>,
}

impl Saturation {
    pub(super) const fn new(thresholds: SaturationThresholds) -> Self {
        Self { thresholds, seen: BTreeMap::new() }
    }

    /// Share of KV blocks and waiting requests at their highest.
    fn highest(&self, now: SimTime, replica: usize) -> Option<(f64, f64)> {
        let recent = self.seen.get(&replica)?.iter().filter(|(time, _)| now.saturating_since(*time) <= WINDOW);
        recent.map(|(_, counts)| (counts.kv_cache_usage, math::u64_to_f64(counts.num_waiting))).reduce(
            |(usage, waiting), (other_usage, other_waiting)| {
                (math::max(usage, other_usage), math::max(waiting, other_waiting))
            },
        )
    }
}

impl ScalingPolicy for Saturation {
    fn observe(&mut self, now: SimTime, replica: usize, counts: EngineCounts) {
        let seen = self.seen.entry(replica).or_default();
        while seen.front().is_some_and(|(time, _)| now.saturating_since(*time) > WINDOW) {
            seen.pop_front();
        }
        seen.push_back((now, counts));
    }

    fn decide(&mut self, now: SimTime, ready: &[usize], num_coming: u32) -> Decision {
        let SaturationThresholds { kv_cache_threshold, queue_length_threshold, .. } = self.thresholds;
        let loads = ready.iter().filter_map(|&replica| self.highest(now, replica));
        let free = loads.filter(|(usage, waiting)| *usage < kv_cache_threshold && *waiting < queue_length_threshold);
        let (count, usage, waiting) = free.fold((0_u32, 0.0, 0.0), |(count, usages, waitings), (usage, waiting)| {
            (count + 1, usages + usage, waitings + waiting)
        });
        // What is left of the thresholds if so many share the load.
        let has_spare = |count: u32| {
            let share = |sum: f64| sum / math::u32_to_f64(count);
            count > 0
                && kv_cache_threshold - share(usage) >= self.thresholds.kv_spare_trigger
                && queue_length_threshold - share(waiting) >= self.thresholds.queue_spare_trigger
        };
        // One that starts is waited for, lest another is started for the same load.
        match num_coming {
            0 if ready.is_empty() || !has_spare(count) => Decision::StartOne,
            0 if count >= 2 && has_spare(count - 1) => Decision::StopOne,
            _ => Decision::Stay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Replicas with so much of their KV in use and so many requests waiting.
    fn check(loads: &[(f64, u64)], num_coming: u32, expect: Decision) {
        let mut policy = Saturation::new(SaturationThresholds::default());
        let now = SimTime::from_secs_f64(600.0);
        for (replica, &(kv_cache_usage, num_waiting)) in loads.iter().enumerate() {
            // What was a minute ago does not matter any more.
            let counts = EngineCounts { kv_cache_usage: 1.0, num_waiting: 99, ..EngineCounts::default() };
            policy.observe(SimTime::from_secs_f64(500.0), replica, counts);
            policy.observe(now, replica, EngineCounts { kv_cache_usage, num_waiting, ..EngineCounts::default() });
        }
        let ready: Vec<_> = (0..loads.len()).collect();
        assert_eq!(policy.decide(now, &ready, num_coming), expect, "{loads:?}");
    }

    #[test]
    fn the_documents_examples_come_out() {
        check(&[(0.65, 0), (0.72, 0)], 0, Decision::Stay);
        check(&[(0.65, 0), (0.76, 0)], 0, Decision::StartOne);
        check(&[(0.65, 0), (0.76, 0)], 1, Decision::Stay);
    }

    #[test]
    fn saturated_replicas_spare_nothing_and_idle_ones_go() {
        check(&[(0.9, 0), (0.2, 9)], 0, Decision::StartOne);
        check(&[(0.2, 3), (0.2, 3)], 0, Decision::StartOne);
        check(&[(0.95, 0), (0.5, 0)], 0, Decision::Stay);
        check(&[(0.3, 0), (0.3, 1)], 0, Decision::StopOne);
        check(&[(0.4, 0), (0.4, 0)], 0, Decision::Stay);
        check(&[(0.1, 0)], 0, Decision::Stay);
        check(&[], 0, Decision::StartOne);
    }
}
