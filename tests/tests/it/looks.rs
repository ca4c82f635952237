//! Looks in vain are counted instead of made, and that changes nothing: an engine that makes each of them is the oracle.

use proptest::prelude::*;
use sim_core::config::EngineConfig;
use sim_core::metrics::digest::digest;
use sim_core::profile::{OffloadingLink, StepTimeModel, StepTimeSettings, SyntheticCosts, TierSpeeds};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{Simulation, SimulationOptions};
use sim_core::time::SimDuration;
use sim_core::workload::Workload;

use crate::draws::draws;
use crate::fleet_of_one::{in_sessions, waits};
use crate::kv_tiers::{self, FILES, all_speeds, speeds, with_tiers};
use crate::offloading::{self, displaced, link, links, small_device, step_time, tier, with_tier};
use crate::steady_requests::{scripted, stretched_case};

/// Runs it to its end; with how many calls.
fn run(simulation: Simulation<'_>) -> (SimulationResult, usize) {
    let mut simulation = simulation;
    let mut num_calls = 1;
    while simulation.advance() {
        assert!(num_calls < 1_000_000, "the run does not end");
        num_calls += 1;
    }
    (simulation.finish(), num_calls)
}

/// How many calls it takes with looks counted and with each of them made.
#[track_caller]
fn check(workload: &Workload, config: &EngineConfig, step_time: &StepTimeModel) -> (usize, usize) {
    let simulation = || {
        let options = SimulationOptions::default();
        Simulation::new(workload, config, step_time, options).expect("a possible run")
    };
    let (expect, num_made) = run(simulation().making_each_look());
    let (found, num_calls) = run(simulation());
    assert_eq!(digest(&found.recording), digest(&expect.recording), "passes and requests");
    assert_eq!(found.queries_per_iter, expect.queries_per_iter, "each is an iteration of the engine's loop");
    assert_eq!(found.join_order, expect.join_order, "input");
    assert_eq!((found.stats, found.num_evictions), (expect.stats, expect.num_evictions), "counters");
    assert_eq!((found.device_time, found.end_time), (expect.device_time, expect.end_time), "times");
    assert_eq!(found.offloading, expect.offloading, "what was moved");
    (num_calls, num_made)
}

/// Slow and quick ones; an engine looks up to some dozen times for the end of one, and some ten thousand times where chunks
/// displace each other.
fn slow_speeds() -> impl Strategy<Value = TierSpeeds> {
    let slow = (0.5_f64..10.0, 0.0_f64..5.0, 0.0_f64..2.0);
    prop_oneof![all_speeds(), slow.prop_map(|(mb_per_s, latency, lookup)| speeds(mb_per_s, latency, lookup))]
}

fn slow_links() -> impl Strategy<Value = OffloadingLink> {
    prop_oneof![links(), (1e-5_f64..1e-3, 0.0_f64..50.0).prop_map(|(gb_per_s, latency)| link(gb_per_s, latency))]
}

proptest! {
    #![proptest_config(draws(100))]

    #[test]
    fn looks_that_are_counted_would_have_seen_nothing(
        case in stretched_case(),
        settings in prop_oneof![1 => offloading::settings(), 2 => kv_tiers::settings()],
        (link, speeds) in (slow_links(), slow_speeds()),
        (has_sessions, waits) in (any::<bool>(), waits()),
        script in prop::option::weighted(
            0.3,
            (prop::collection::vec(0_u32..4, 1..200), prop::collection::vec((0_u32..200, 0_u32..25), 0..8)),
        ),
    ) {
        let workload = case.workload();
        let workload = if has_sessions { in_sessions(&workload, &waits, None) } else { workload };
        let workload = match &script {
            Some((joining, aborts)) => scripted(&workload, joining, aborts),
            None => workload,
        };
        let config = with_tier(&case.config, settings);
        check(&workload, &config, &case.step_time().with_offloading_link(link).with_tier_speeds(speeds));
    }
}

#[test]
fn an_engine_that_waits_for_a_slow_tier_makes_few_looks() {
    for is_async in [false, true] {
        let config = with_tier(&small_device(is_async), with_tiers(tier(20), &[FILES]));
        // Two texts of 80 KB go to the tier at 10 KB a second, and one comes back: that takes seconds.
        let speeds = speeds(0.01, 0.0, 0.0);
        let step_time = step_time(link(f64::INFINITY, 0.0)).with_tier_speeds(speeds);
        let (num_calls, num_made) = check(&displaced(), &config, &step_time);
        assert!(num_made > 5_000, "{num_made} looks");
        assert!(num_calls < 300, "{num_calls} calls for {num_made}");
    }
}

#[test]
fn a_look_of_its_own_length_is_no_other_look() {
    // Deciding a pass takes longer than the millisecond between looks.
    let config = with_tier(&small_device(true), with_tiers(tier(20), &[FILES]));
    for decision_us in [0.0, 1.0, 333.3, 5000.0] {
        let profile =
            SyntheticCosts { schedule_us: decision_us, update_us: 0.7, ..SyntheticCosts::default() }.profile();
        let settings = StepTimeSettings::vllm_default(&profile, 128, 2048);
        let step_time = StepTimeModel::new(&profile, &settings).expect("a profile");
        let link = OffloadingLink { bandwidth: f64::INFINITY, latency: SimDuration::ZERO };
        check(&displaced(), &config, &step_time.with_offloading_link(link).with_tier_speeds(speeds(0.1, 1.0, 1.0)));
    }
}
