//! One digest per workload, to be computed natively and under Wasm and compared bit by bit.
//!
//! `scripts/test-wasm.sh` builds this crate as a Wasm module, calls [`exports`] from node (`run.mjs`) and compares with
//! the output of the native program `digests`. No `wasm-bindgen`: numbers go in, numbers come out.

use sim_core::metrics::digest;
use sim_core::sched::scheduler::SchedulerStats;
use sim_core::simulation_result::{DeviceTime, OffloadingTotals, SimulationResult, TierTotals, TransferTotals};

pub mod exports;
mod models;
pub mod scenarios;

/// Workloads, numbered from 0.
pub const NUM_WORKLOADS: u32 = scenarios::NUM_SCENARIOS;

/// Digest of everything that came of the run of workload `index`.
///
/// # Panics
/// If the workload is not one that can run.
#[must_use]
pub fn digest(index: u32) -> u64 {
    digest_of(&scenarios::Scenario::new(index).run())
}

fn digest_of(result: &SimulationResult) -> u64 {
    // Every field is named, so that a new one cannot be forgotten here.
    let SimulationResult {
        recording,
        figures: _,
        queries_per_iter,
        join_order,
        stats,
        num_evictions,
        device_time,
        end_time,
        offloading,
    } = result;
    let mut hash = Fnv1a::new();
    hash.write(digest::digest(recording));
    for &num_joining in queries_per_iter {
        hash.write(u64::from(num_joining));
    }
    for id in join_order {
        hash.write(u64::from(id.0));
    }
    let &SchedulerStats { num_preemptions, prefix_cache_queries, prefix_cache_hits, preempted_queries, preempted_hits } =
        stats;
    for count in [num_preemptions, prefix_cache_queries, prefix_cache_hits, preempted_queries, preempted_hits] {
        hash.write(count);
    }
    hash.write(*num_evictions);
    let &DeviceTime { total, measured, extrapolated } = device_time;
    for time in [total, measured, extrapolated] {
        hash.write(time.as_nanos());
    }
    hash.write(end_time.as_nanos());
    if let Some(totals) = offloading {
        let OffloadingTotals { num_loaded_tokens, loads, stores, flush_wait, max_chunks, .. } = totals;
        let OffloadingTotals { num_tier_tokens, num_dropped_chunks, tiers, .. } = totals;
        for number in [*num_loaded_tokens, flush_wait.as_nanos(), u64::from(*max_chunks)] {
            hash.write(number);
        }
        hash.write(*num_tier_tokens);
        hash.write(*num_dropped_chunks);
        let of_tiers = tiers.iter().flat_map(|tier| {
            let TierTotals { reads, writes, num_lookups, num_chunks } = tier;
            hash.write(*num_lookups);
            hash.write(*num_chunks);
            [reads, writes]
        });
        let directions: Vec<_> = of_tiers.collect();
        for TransferTotals { num_transfers, num_bytes, time } in [loads, stores].into_iter().chain(directions) {
            for number in [*num_transfers, *num_bytes, time.as_nanos()] {
                hash.write(number);
            }
        }
    }
    hash.finish()
}

/// The hash of Fowler, Noll and Vo, variant 1a, over 64-bit words in little-endian order.
#[derive(Debug, Clone, Copy)]
pub struct Fnv1a(u64);

impl Fnv1a {
    /// The digest of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds one word.
    pub const fn write(&mut self, word: u64) {
        let bytes = word.to_le_bytes();
        let mut i = 0;
        while i < bytes.len() {
            self.0 = (self.0 ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
            i += 1;
        }
    }

    /// The digest of the words added so far.
    #[must_use]
    pub const fn finish(self) -> u64 {
        self.0
    }
}

impl Default for Fnv1a {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use scenarios::{Scenario, Setting};

    use super::*;

    #[test]
    fn every_workload_has_a_digest_of_its_own() {
        let mut seen = BTreeMap::new();
        for index in 0..NUM_WORKLOADS {
            if let Some(twin) = seen.insert(digest(index), index) {
                panic!("workloads {twin} and {index} have the same digest: one of them tests nothing");
            }
        }
    }

    #[test]
    fn every_workload_does_what_it_is_there_for() {
        for index in 0..NUM_WORKLOADS {
            let scenario = Scenario::new(index);
            let result = scenario.run();
            let (stats, setting) = (result.stats, scenario.setting);
            let num_finished = result.recording.requests.iter().filter(|request| request.is_finished).count();
            assert!(num_finished >= 240, "workload {index}, {setting:?}: {num_finished} finished");
            // Requests trickle in under some traffic, and then memory suffices.
            let is_crowded = index < 15;
            let is_tight = matches!(
                setting,
                Setting::TightMemory | Setting::PriorityTightMemory | Setting::ThreeStages | Setting::GroupsSpeculation
            );
            if is_tight && is_crowded {
                assert!(stats.num_preemptions > 0, "workload {index}, {setting:?}: no preemption");
            }
            let is_cached = stats.prefix_cache_hits > 0;
            let expect_cached =
                !matches!(setting, Setting::NoPrefixCaching | Setting::WholePrompts | Setting::LongPrefillThreshold);
            assert_eq!(is_cached, expect_cached, "workload {index}, {setting:?}: prefix cache hits");
            let has_drafts = result.recording.spec_decoding.num_accepted_tokens > 0;
            let expect_drafts = matches!(setting, Setting::Speculation | Setting::GroupsSpeculation);
            assert_eq!(has_drafts, expect_drafts, "workload {index}, {setting:?}: accepted drafts");
        }
    }

    #[test]
    fn there_are_enough_workloads() {
        const { assert!(NUM_WORKLOADS >= 50, "fifty is what the project promises") };
    }

    #[test]
    fn fnv_1a_gives_the_published_value() {
        // "foobar" from the reference test vectors, here the bytes one by one.
        let mut digest = Fnv1a::new();
        for byte in b"foobar" {
            digest.0 = (digest.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        assert_eq!(digest.finish(), 0x8594_4171_f739_67e8);
    }
}
