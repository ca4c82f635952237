//! What kept requests waiting, in runs where it can be only one thing.

use sim_core::config::EngineConfig;
use sim_core::metrics::limits::{Limit, WaitingLimits, overload};
use sim_core::metrics::recorder::Recording;
use sim_core::profile::{StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::TokenRun;
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::rng::RandomState;
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::workload::arrival::{TrafficOptions, send_times};
use sim_core::workload::{Traffic, Workload};

/// An engine that nothing waits for: 10 ms a pass or so, and room for all.
fn config() -> EngineConfig {
    EngineConfig {
        max_num_seqs: 1000,
        max_num_active_seqs: 1000,
        max_num_batched_tokens: 100_000,
        max_num_scheduled_tokens: 100_000,
        enable_prefix_caching: false,
        async_scheduling: false,
        ..EngineConfig::new(16, 100_001, 100_000)
    }
}

/// A run of `count` requests of `(prompt, output)` tokens.
fn run(config: &EngineConfig, count: u32, lengths: (u32, u32), traffic: &TrafficOptions) -> Recording {
    let mut requests = RequestSet::new();
    for id in 0..count {
        let new = NewRequest {
            prompt: &[TokenRun::segment(2 * id, lengths.0)],
            output: &[TokenRun::segment(2 * id + 1, lengths.1)],
            max_tokens: lengths.1,
            stops: false,
            priority: 0,
            arrival_order: u64::from(id),
            id_rank: id,
            cache_salt: 0,
        };
        requests.push(&new).expect("a possible request");
    }
    let send_times = send_times(traffic, requests.len(), &mut RandomState::new(7)).expect("valid options");
    let workload = Workload {
        requests,
        traffic: Traffic::Timed { send_times, max_concurrency: traffic.max_concurrency },
        earlier: Vec::new(),
    };
    let profile = SyntheticCosts::default().profile();
    let settings = StepTimeSettings::vllm_default(&profile, config.max_num_seqs, config.max_num_batched_tokens);
    let step_time = StepTimeModel::new(&profile, &settings).expect("valid settings");
    simulate(&workload, config, &step_time, SimulationOptions::default()).expect("a possible run").recording
}

fn at_rate(request_rate: f64) -> TrafficOptions {
    TrafficOptions { request_rate, ..TrafficOptions::default() }
}

/// All requests at once: only `expect` can keep any of them waiting.
#[track_caller]
fn check_only(config: &EngineConfig, lengths: (u32, u32), expect: Limit) {
    let recording = run(config, 40, lengths, &at_rate(f64::INFINITY));
    let found = WaitingLimits::new(&recording, config);
    assert_eq!(found.limits, [(expect, 1.0)], "of {:.3} of the time", found.waiting_share);
    assert!((0.1..=1.0).contains(&found.waiting_share), "requests waited {:.3} of the time", found.waiting_share);
    assert!(found.client_waiting_share.abs() < f64::EPSILON, "the client sends at once");
    assert_eq!(overload(&recording), None, "everything at once is no overload");
}

#[test]
fn few_blocks_are_the_limit_where_there_is_room_for_everything_else() {
    // A request takes 13 blocks at its end; 30 are two of them.
    check_only(&EngineConfig { num_gpu_blocks: 31, max_model_len: 480, ..config() }, (160, 40), Limit::KvBlocks);
}

#[test]
fn preempted_requests_wait_for_blocks_too() {
    let config = EngineConfig { num_gpu_blocks: 31, max_model_len: 480, scheduler_reserve_full_isl: false, ..config() };
    let recording = run(&config, 10, (16, 200), &at_rate(f64::INFINITY));
    assert!(recording.requests.iter().any(|request| request.num_preemptions > 0), "nobody was preempted");
    assert_eq!(WaitingLimits::new(&recording, &config).limits, [(Limit::KvBlocks, 1.0)]);
}

#[test]
fn two_places_are_the_limit_where_there_is_room_for_everything_else() {
    check_only(&EngineConfig { max_num_seqs: 2, max_num_active_seqs: 2, ..config() }, (100, 40), Limit::BatchSize);
    check_only(&EngineConfig { max_num_active_seqs: 2, ..config() }, (100, 40), Limit::BatchSize);
}

#[test]
fn a_small_budget_is_the_limit_where_there_is_room_for_everything_else() {
    check_only(&EngineConfig { max_num_batched_tokens: 64, ..config() }, (1000, 2), Limit::TokenBudget);
    check_only(&EngineConfig { max_num_scheduled_tokens: 64, ..config() }, (1000, 2), Limit::TokenBudget);
}

#[test]
fn without_chunked_prefill_a_prompt_longer_than_the_rest_waits_for_the_budget() {
    let whole_prompts = EngineConfig { enable_chunked_prefill: false, ..config() };
    check_only(&EngineConfig { max_num_batched_tokens: 1500, ..whole_prompts.clone() }, (1000, 2), Limit::TokenBudget);
    check_only(&EngineConfig { num_gpu_blocks: 31, max_model_len: 480, ..whole_prompts }, (160, 40), Limit::KvBlocks);
}

#[test]
fn nothing_waits_under_light_load() {
    let recording = run(&config(), 200, (100, 20), &at_rate(2.0));
    assert_eq!(WaitingLimits::new(&recording, &config()), WaitingLimits::default());
    assert_eq!(overload(&recording), None);
}

#[test]
fn a_client_that_holds_back_is_told_apart_from_the_engine() {
    let traffic = TrafficOptions { max_concurrency: Some(1), ..at_rate(f64::INFINITY) };
    let found = WaitingLimits::new(&run(&config(), 20, (100, 20), &traffic), &config());
    assert!(found.limits.is_empty(), "{found:?}");
    assert!(found.client_waiting_share > 0.8, "{found:?}");
}

#[test]
fn more_than_can_be_answered_is_overload_and_less_is_not() {
    let config = EngineConfig { max_num_seqs: 4, max_num_active_seqs: 4, ..config() };
    // What it can answer, found out by asking for everything at once.
    let recording = run(&config, 400, (100, 20), &at_rate(f64::INFINITY));
    let end = recording.passes.last().expect("a run").output_time.as_secs_f64();
    let capacity = 400.0 / end;
    for (load, is_overload) in [(0.5, false), (0.8, false), (1.3, true), (2.0, true), (10.0, true)] {
        let recording = run(&config, 2000, (100, 20), &at_rate(capacity * load));
        let found = overload(&recording);
        assert_eq!(found.is_some(), is_overload, "at {load} of the capacity: {found:?}");
        if let Some(found) = found {
            assert!((found.answered / capacity - 1.0).abs() < 0.05, "{found:?}, not {capacity}");
            assert!((found.offered / capacity / load - 1.0).abs() < 0.1, "{found:?} at {load}");
        }
    }
}
