//! Host memory for KV blocks: nobody is lost, nothing is kept, what is not used changes nothing, and times are what one
//! reckons. That the schedule is vLLM's the recorded ones show.

use proptest::prelude::*;
use sim_core::config::EngineConfig;
use sim_core::kv_offload::settings::{EvictionPolicy, MAX_SECONDARY_TIERS, OffloadingSettings};
use sim_core::metrics::digest::digest;
use sim_core::profile::{OffloadingLink, StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::TokenRun;
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::simulation_result::{OffloadingTotals, SimulationResult};
use sim_core::simulator::{Simulation, SimulationOptions, simulate};
use sim_core::time::{SimDuration, SimTime};
use sim_core::workload::{Traffic, Workload};

use crate::draws::draws;
use crate::fleet_of_one::{in_sessions, waits};
use crate::steady_requests::{scripted, stretched_case};

pub(crate) fn tier(num_chunks: u32) -> OffloadingSettings {
    let eviction_policy = EvictionPolicy::Lru;
    OffloadingSettings {
        num_chunks,
        blocks_per_chunk: 1,
        eviction_policy,
        offload_prompt_only: true,
        chunk_bytes: 4096,
        secondary_tiers: [None; MAX_SECONDARY_TIERS],
    }
}

pub(crate) fn with_tier(config: &EngineConfig, settings: OffloadingSettings) -> EngineConfig {
    EngineConfig { kv_offloading: Some(settings), pipeline_parallel_size: 1, ..config.clone() }
}

/// A link with so many GB/s, and so many milliseconds for each transfer.
pub(crate) fn link(gb_per_s: f64, latency_ms: f64) -> OffloadingLink {
    OffloadingLink { bandwidth: 1e9 * gb_per_s, latency: SimDuration::from_micros_f64(1000.0 * latency_ms) }
}

/// Runs it to its end, with the pool's invariants after each step: then nothing is held, on the device or in host memory.
pub(crate) fn run(workload: &Workload, config: &EngineConfig, step_time: &StepTimeModel) -> SimulationResult {
    let options = SimulationOptions::default();
    let mut simulation = Simulation::new(workload, config, step_time, options).expect("a possible run");
    for steps in 0.. {
        assert!(steps < 200_000, "the run does not end");
        let goes_on = simulation.advance();
        simulation.engine().scheduler().kv_cache().pool().assert_invariants();
        if !goes_on {
            break;
        }
    }
    let engine = simulation.engine();
    if !engine.scheduler().has_unfinished_requests() {
        let kv_cache = engine.scheduler().kv_cache();
        assert_eq!(kv_cache.num_free_blocks(), kv_cache.num_usable_blocks(), "free blocks at the end");
        assert!(!engine.has_work(), "no transfer is under way");
        let pass = engine.processed().kv_connector.as_ref().expect("a pass of an engine with a connector");
        let (num_resident, num_unused) = pass.num_resident_chunks;
        // What passes under way reported is not in it yet.
        let is_told_later = config.async_scheduling || !pass.report.completed_jobs.is_empty();
        assert!(num_unused <= num_resident && (num_unused == num_resident || is_told_later), "all may go: {pass:?}");
    }
    simulation.finish()
}

pub(crate) fn num_tokens(result: &SimulationResult) -> Vec<(bool, u32)> {
    result.recording.requests.iter().map(|request| (request.is_finished, request.num_output_tokens)).collect()
}

pub(crate) fn settings() -> impl Strategy<Value = OffloadingSettings> {
    (prop_oneof![0_u32..6, 0_u32..300], 1_u32..5, any::<bool>(), any::<bool>()).prop_map(
        |(num_chunks, blocks_per_chunk, is_arc, offload_prompt_only)| OffloadingSettings {
            num_chunks,
            blocks_per_chunk,
            eviction_policy: if is_arc { EvictionPolicy::Arc } else { EvictionPolicy::Lru },
            offload_prompt_only,
            ..tier(0)
        },
    )
}

pub(crate) fn links() -> impl Strategy<Value = OffloadingLink> {
    let bandwidth = prop_oneof![Just(f64::INFINITY), 1e-5_f64..1e-2];
    (bandwidth, prop_oneof![Just(0.0), 0.0_f64..20.0]).prop_map(|(bandwidth, latency)| link(bandwidth, latency))
}

proptest! {
    #![proptest_config(draws(300))]

    #[test]
    fn nobody_is_lost_and_nothing_is_kept(
        case in stretched_case(),
        (settings, link) in (settings(), links()),
        (has_sessions, waits) in (any::<bool>(), waits()),
        script in prop::option::of((prop::collection::vec(0_u32..4, 1..30), prop::collection::vec((0_u32..60, 0_u32..25), 0..8))),
    ) {
        let workload = case.workload();
        let workload = if has_sessions { in_sessions(&workload, &waits, None) } else { workload };
        let workload = script.as_ref().map_or_else(|| workload.clone(), |(joining, aborts)| scripted(&workload, joining, aborts));
        let config = with_tier(&case.config, settings);
        let step_time = case.step_time().with_offloading_link(link);
        let found = run(&workload, &config, &step_time);
        let totals = found.offloading.expect("it offloads");
        prop_assert!(totals.max_chunks <= settings.num_chunks, "{totals:?}");
        prop_assert_eq!(&digest(&run(&workload, &config, &step_time).recording), &digest(&found.recording));
        let has_aborts = script.is_some_and(|(_, aborts)| !aborts.is_empty());
        // Without chunks, long prompts may run only beside others.
        let runs_alone = config.enable_chunked_prefill || config.long_prefill_token_threshold == 0;
        // Loads that each hold blocks which the others wait for make no progress in vLLM, either.
        let ends = found.recording.requests.iter().all(|request| request.is_finished);
        if !has_aborts && runs_alone && ends {
            let plain = EngineConfig { kv_offloading: None, ..config.clone() };
            let alone = simulate(&workload, &plain, &step_time, SimulationOptions::default()).expect("a possible run");
            prop_assert_eq!(num_tokens(&found), num_tokens(&alone));
        }
    }

    #[test]
    fn a_tier_that_holds_nothing_changes_nothing(case in stretched_case(), link in links()) {
        // Beside passes under way a connector keeps blocks of ended requests for longer.
        let config = EngineConfig { async_scheduling: false, ..case.config.clone() };
        let config = with_tier(&config, tier(0));
        let (workload, step_time) = (case.workload(), case.step_time().with_offloading_link(link));
        let found = run(&workload, &config, &step_time);
        prop_assert_eq!(found.offloading, Some(OffloadingTotals::default()));
        let plain = EngineConfig { kv_offloading: None, ..config.clone() };
        let expect = simulate(&workload, &plain, &step_time, SimulationOptions::default()).expect("a possible run");
        prop_assert_eq!(digest(&found.recording), digest(&expect.recording));
        prop_assert_eq!(found.stats, expect.stats);
    }
}

/// Prompts by number, each of so many tokens and sent after so many milliseconds; two tokens are answered.
pub(crate) fn workload(sent: &[(u32, u32, u64)]) -> Workload {
    let mut requests = RequestSet::new();
    for (id, &(text, num_prompt_tokens, _)) in (0..).zip(sent) {
        requests
            .push(&NewRequest {
                prompt: &[TokenRun::segment(text, num_prompt_tokens)],
                output: &[TokenRun::segment(1000 + id, 2)],
                max_tokens: 2,
                stops: false,
                priority: 0,
                arrival_order: u64::from(id),
                id_rank: id,
                cache_salt: 0,
            })
            .expect("a request");
    }
    let send_times = sent.iter().map(|&(.., ms)| SimTime::from_nanos(1_000_000 * ms)).collect();
    Workload { requests, traffic: Traffic::Timed { send_times, max_concurrency: None }, earlier: Vec::new() }
}

/// One text, another that takes its place on the device, and the first again.
pub(crate) fn displaced() -> Workload {
    workload(&[(1, 320, 0), (2, 320, 2000), (1, 320, 4000)])
}

/// Blocks of 16 tokens, of which one request takes all.
pub(crate) fn small_device(async_scheduling: bool) -> EngineConfig {
    EngineConfig { async_scheduling, max_num_batched_tokens: 512, ..EngineConfig::new(16, 22, 336) }
}

pub(crate) fn step_time(link: OffloadingLink) -> StepTimeModel {
    let profile = SyntheticCosts::default().profile();
    let settings = StepTimeSettings::vllm_default(&profile, 128, 2048);
    StepTimeModel::new(&profile, &settings).expect("a profile").with_offloading_link(link)
}

/// In milliseconds: from when request `id` was sent until its first token was there.
pub(crate) fn ttft_ms(result: &SimulationResult, id: usize) -> f64 {
    let request = result.recording.requests.get(id).expect("a request");
    assert!(request.is_finished, "it was answered");
    let pass = result.recording.passes.get(request.first_token_pass as usize).expect("a pass");
    pass.delivery_time.saturating_since(request.send_time).as_millis_f64()
}

#[test]
fn what_was_displaced_is_loaded_and_takes_what_it_takes() {
    for is_async in [false, true] {
        let config = with_tier(&small_device(is_async), tier(100));
        let block_bytes = config.kv_cache.bytes_per_block();
        let at = |link| run(&displaced(), &config, &step_time(link));
        let free = at(link(f64::INFINITY, 0.0));
        let totals = free.offloading.expect("it offloads");
        // All of it, as no block of the first text is left; its last token is computed again.
        assert_eq!((totals.num_loaded_tokens, totals.loads.num_bytes), (320, 20 * block_bytes));
        // Nothing twice: the third request has no text that the first has not.
        assert_eq!((totals.stores.num_bytes, totals.max_chunks), (40 * block_bytes, 40));
        let prefilled: u32 = free.recording.passes.iter().map(|pass| pass.num_prefill_tokens).sum();
        assert_eq!(prefilled, 640, "two prompts are computed, and of the third a token as a decode is");
        for (gb_per_s, latency_ms) in [(f64::INFINITY, 40.0), (1e-6, 0.0), (1e-6, 25.0)] {
            let expect_ms = latency_ms + 1e3 * 20.0 * sim_core::math::u64_to_f64(block_bytes) / (1e9 * gb_per_s);
            let delay = ttft_ms(&at(link(gb_per_s, latency_ms)), 2) - ttft_ms(&free, 2);
            // The engine looks every millisecond whether it has ended.
            assert!((delay - expect_ms).abs() <= 1.5, "{delay} ms for {expect_ms}");
        }
        let small = run(&displaced(), &with_tier(&small_device(is_async), tier(10)), &step_time(link(1.0, 0.0)));
        assert_eq!(small.offloading, Some(OffloadingTotals::default()), "20 chunks at once do not fit into 10");
    }
}

#[test]
fn a_pass_waits_until_what_it_writes_to_is_saved() {
    // The second request needs the first one's blocks, and saving them takes 100 ms.
    let both = workload(&[(1, 320, 0), (2, 320, 1)]);
    let config = with_tier(&small_device(false), tier(100));
    let slow = run(&both, &config, &step_time(link(f64::INFINITY, 100.0)));
    let free = run(&both, &config, &step_time(link(f64::INFINITY, 0.0)));
    let wait = slow.offloading.expect("it offloads").flush_wait.as_millis_f64();
    assert!(wait > 50.0 && wait <= 100.0, "{wait} ms");
    let delay = ttft_ms(&slow, 1) - ttft_ms(&free, 1);
    assert!((delay - wait).abs() < 1.5, "the first token comes {delay} ms later");
}
