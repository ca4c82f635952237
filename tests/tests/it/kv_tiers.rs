//! Tiers behind host memory: nobody is lost, nothing is kept, each chunk is written once, and times are what one reckons.
//! That the schedule is vLLM's the recorded ones show.

use proptest::prelude::*;
use sim_core::config::EngineConfig;
use sim_core::kv_offload::settings::{
    BackpressurePolicy, BackpressureSettings, EvictionPolicy, OffloadingSettings, SecondaryTierSettings, TierKind,
};
use sim_core::metrics::digest::digest;
use sim_core::profile::{OffloadingLink, TierSpeed, TierSpeeds};
use sim_core::simulation_result::TierTotals;
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::time::SimDuration;

use crate::draws::draws;
use crate::offloading::{
    displaced, link, num_tokens, run, small_device, step_time, tier, ttft_ms, with_tier, workload,
};
use crate::steady_requests::stretched_case;

pub(crate) const FILES: TierKind = TierKind::Files { num_read_threads: 16, num_write_threads: 16 };

pub(crate) fn with_tiers(settings: OffloadingSettings, tiers: &[TierKind]) -> OffloadingSettings {
    let mut settings = settings;
    for (place, &kind) in settings.secondary_tiers.iter_mut().zip(tiers) {
        *place = Some(SecondaryTierSettings { kind, is_remote: false, backpressure: None });
    }
    settings
}

/// All tiers with so many MB/s in either direction, and so many milliseconds for each file and for each look-up.
pub(crate) fn speeds(mb_per_s: f64, latency_ms: f64, lookup_ms: f64) -> TierSpeeds {
    let of_ms = |ms: f64| SimDuration::from_micros_f64(1000.0 * ms);
    let speed = TierSpeed {
        read_bandwidth: 1e6 * mb_per_s,
        write_bandwidth: 1e6 * mb_per_s,
        latency: of_ms(latency_ms),
        lookup_latency: of_ms(lookup_ms),
    };
    TierSpeeds { local: speed, remote: speed }
}

fn kinds() -> impl Strategy<Value = Vec<TierKind>> {
    let files = (1_u32..4, 1_u32..4)
        .prop_map(|(num_read_threads, num_write_threads)| TierKind::Files { num_read_threads, num_write_threads });
    let objects = (1_u32..5).prop_map(|num_threads| TierKind::Objects { num_threads });
    prop::collection::vec(prop_oneof![files, objects], 1..4)
}

fn backpressure() -> impl Strategy<Value = Option<BackpressureSettings>> {
    let settings = (any::<bool>(), 0.0_f64..5.0, 0.0_f64..5.0, 0_u32..4).prop_map(|(drops, one, other, warmup)| {
        let policy = if drops { BackpressurePolicy::Drop } else { BackpressurePolicy::Throttled };
        BackpressureSettings {
            high_water_s: one.max(other),
            low_water_s: one.min(other),
            alpha: 0.5,
            warmup_completions: warmup,
            decay_half_life_s: 0.1,
            cooldown_s: 0.1,
            policy,
        }
    });
    prop::option::weighted(0.3, settings)
}

pub(crate) fn settings() -> impl Strategy<Value = OffloadingSettings> {
    (1_u32..200, 1_u32..4, any::<bool>(), any::<bool>(), kinds(), backpressure()).prop_map(
        |(num_chunks, blocks_per_chunk, is_arc, offload_prompt_only, kinds, backpressure)| {
            let eviction_policy = if is_arc { EvictionPolicy::Arc } else { EvictionPolicy::Lru };
            let alone =
                OffloadingSettings { blocks_per_chunk, eviction_policy, offload_prompt_only, ..tier(num_chunks) };
            let mut settings = with_tiers(alone, &kinds);
            for tier in settings.secondary_tiers.iter_mut().flatten() {
                tier.backpressure = backpressure;
            }
            settings
        },
    )
}

pub(crate) fn all_speeds() -> impl Strategy<Value = TierSpeeds> {
    let bandwidth = prop_oneof![Just(f64::INFINITY), 20.0_f64..200.0];
    let latency = || prop_oneof![Just(0.0), 0.0_f64..0.3];
    (bandwidth, latency(), latency()).prop_map(|(bandwidth, latency, lookup)| speeds(bandwidth, latency, lookup))
}

proptest! {
    #![proptest_config(draws(60))]

    #[test]
    fn nobody_is_lost_and_each_chunk_is_written_once(
        case in stretched_case(),
        (settings, speeds) in (settings(), all_speeds()),
    ) {
        let config = with_tier(&case.config, settings);
        let free = OffloadingLink { bandwidth: f64::INFINITY, latency: SimDuration::ZERO };
        let step_time = case.step_time().with_offloading_link(free).with_tier_speeds(speeds);
        let workload = case.workload();
        let found = run(&workload, &config, &step_time);
        prop_assert_eq!(digest(&run(&workload, &config, &step_time).recording), digest(&found.recording));
        let totals = found.offloading.expect("it offloads");
        prop_assert!(totals.num_tier_tokens <= totals.num_loaded_tokens, "{totals:?}");
        let ends = found.recording.requests.iter().all(|request| request.is_finished);
        let num_tiers = settings.secondary_tiers().count();
        for (place, tier) in totals.tiers.iter().enumerate() {
            let TierTotals { reads, writes, num_chunks, .. } = tier;
            prop_assert!(place < num_tiers || *tier == TierTotals::default(), "{tier:?}");
            prop_assert!(reads.num_bytes % settings.chunk_bytes == 0, "{tier:?}");
            prop_assert!(reads.num_transfers == 0 || *num_chunks > 0, "{tier:?}");
            prop_assert!(!ends || writes.num_bytes == num_chunks * settings.chunk_bytes, "{tier:?}");
        }
        if ends {
            let plain = EngineConfig { kv_offloading: None, ..config.clone() };
            let alone = simulate(&workload, &plain, &step_time, SimulationOptions::default()).expect("a possible run");
            prop_assert_eq!(num_tokens(&found), num_tokens(&alone));
        }
    }

    #[test]
    fn nothing_is_read_back_that_host_memory_still_has(case in stretched_case(), speeds in all_speeds()) {
        let config = with_tier(&case.config, with_tiers(tier(1_000_000), &[FILES]));
        let step_time = case.step_time().with_tier_speeds(speeds);
        let totals = run(&case.workload(), &config, &step_time).offloading.expect("it offloads");
        prop_assert_eq!((totals.num_tier_tokens, totals.tiers[0].reads.num_transfers), (0, 0));
    }
}

#[test]
fn what_host_memory_gave_up_is_read_back_and_takes_what_it_takes() {
    for is_async in [false, true] {
        // It holds one of the two texts.
        let settings = with_tiers(tier(20), &[FILES]);
        let config = with_tier(&small_device(is_async), settings);
        let at = |speeds| run(&displaced(), &config, &step_time(link(f64::INFINITY, 0.0)).with_tier_speeds(speeds));
        let free = at(speeds(f64::INFINITY, 0.0, 0.0));
        let totals = free.offloading.expect("it offloads");
        assert_eq!((totals.num_loaded_tokens, totals.num_tier_tokens), (320, 320), "all of the first text");
        let [files, ..] = totals.tiers;
        assert_eq!(
            (files.reads.num_transfers, files.reads.num_bytes),
            (1, 20 * settings.chunk_bytes),
            "in one transfer"
        );
        assert_eq!(
            (files.num_chunks, files.writes.num_bytes),
            (40, 40 * settings.chunk_bytes),
            "both texts are written"
        );
        assert_eq!(files.num_lookups, 60, "of each request all chunks");
        for (mb_per_s, latency_ms, lookup_ms) in
            [(f64::INFINITY, 3.0, 0.0), (f64::INFINITY, 0.0, 4.0), (1.0, 0.0, 0.0), (2.0, 1.0, 2.0)]
        {
            let bytes_ms = 20.0 * sim_core::math::u64_to_f64(settings.chunk_bytes) / (1e3 * mb_per_s);
            let expect_ms = 20.0 * (latency_ms + lookup_ms) + bytes_ms;
            let delay = ttft_ms(&at(speeds(mb_per_s, latency_ms, lookup_ms)), 2) - ttft_ms(&free, 2);
            // The engine looks every millisecond, for the answer and for the end.
            assert!((delay - expect_ms).abs() <= 3.0, "{delay} ms for {expect_ms}");
        }
    }
}

#[test]
fn a_prompt_that_host_memory_cannot_hold_is_never_read_back() {
    // Its last chunks displace its first ones, for ever: vLLM does not get beyond that, and the run ends there.
    let config = with_tier(&small_device(false), with_tiers(tier(30), &[FILES]));
    let all = workload(&[(1, 320, 0), (2, 320, 2000), (3, 320, 4000), (1, 320, 6000)]);
    let speeds = speeds(f64::INFINITY, 0.0, 0.0);
    let step_time = step_time(link(f64::INFINITY, 0.0)).with_tier_speeds(speeds);
    let found = run(&all, &config, &step_time);
    assert!(found.recording.requests.iter().all(|request| request.is_finished), "30 chunks hold 20");
    // Stored pass by pass, so that all of it gets to the files.
    let slow = EngineConfig { max_num_batched_tokens: 64, ..small_device(false) };
    let found = run(&all, &with_tier(&slow, with_tiers(tier(12), &[FILES])), &step_time);
    let finished: Vec<_> = found.recording.requests.iter().map(|request| request.is_finished).collect();
    assert_eq!(finished, [true, true, true, false], "12 chunks do not hold 20");
}
