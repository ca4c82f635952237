//! Ranks behind vLLM's own front end: one is the simulation, and those of a model with experts step together.

use proptest::prelude::*;
use sim_core::config::EngineConfig;
use sim_core::fleet::simulation::{Replica, simulate_fleet};
use sim_core::fleet::{DataParallel, Dispatch, FleetResult, LockstepResult, RouterSettings};
use sim_core::metrics::digest::digest;
use sim_core::profile::{CaptureSizes, StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::TokenRun;
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::time::SimTime;
use sim_core::workload::{Traffic, Workload};

use crate::draws::draws;
use crate::fleet_of_one::{check_conserved, in_sessions, limited, waits};
use crate::steady_requests::{stretched_case, surroundings};

fn ranks(
    (workload, config, step_time): (&Workload, &EngineConfig, &StepTimeModel),
    count: usize,
    dp_sync_interval: Option<u32>,
) -> FleetResult {
    behind((workload, config, step_time), count, DataParallel { dp_sync_interval, router: None, num_local_ranks: 1 })
}

fn behind(
    (workload, config, step_time): (&Workload, &EngineConfig, &StepTimeModel),
    count: usize,
    settings: DataParallel,
) -> FleetResult {
    let replicas = vec![Replica { config, step_time }; count];
    let dispatch = Dispatch::DataParallel(settings);
    simulate_fleet(workload, &replicas, dispatch, SimulationOptions::default()).expect("a possible run")
}

/// One rank is the engine that stands alone, to the bit.
fn check_one(workload: &Workload, config: &EngineConfig, step_time: &StepTimeModel) {
    let expect = simulate(workload, config, step_time, SimulationOptions::default()).expect("a possible run");
    let found = ranks((workload, config, step_time), 1, None).whole;
    assert_eq!(digest(&found.recording), digest(&expect.recording), "digest");
    assert_eq!((found.stats, found.num_evictions), (expect.stats, expect.num_evictions), "counters");
    assert_eq!((found.device_time, found.end_time), (expect.device_time, expect.end_time), "times");
    assert_eq!((found.queries_per_iter, found.join_order), (expect.queries_per_iter, expect.join_order), "input");
}

/// Start and end of each pass of each rank.
fn passes_of_ranks(result: &FleetResult) -> Vec<Vec<(SimTime, SimTime)>> {
    let mut passes = result.whole.recording.passes.iter();
    let of_rank = |num_passes: u64| {
        let num_passes = usize::try_from(num_passes).expect("few");
        passes.by_ref().take(num_passes).map(|pass| (pass.start_time, pass.end_time)).collect()
    };
    result.replicas.iter().map(|rank| rank.num_passes).map(of_rank).collect()
}

/// No two ranks ever compute different steps at the same time: two passes are the same interval, or do not overlap.
fn check_together(result: &FleetResult) {
    let of_ranks = passes_of_ranks(result);
    for passes in &of_ranks {
        assert!(passes.iter().zip(passes.iter().skip(1)).all(|(one, next)| one.1 <= next.0), "one after the other");
    }
    let mut steps: Vec<_> = of_ranks.concat();
    steps.sort_unstable();
    steps.dedup();
    for (one, next) in steps.iter().zip(steps.iter().skip(1)) {
        assert!(one.1 <= next.0, "ranks drift: {one:?} and {next:?}");
    }
    let lockstep = result.lockstep.expect("ranks in lockstep");
    assert!(lockstep.num_steps >= steps.len() as u64, "every pass is of a step");
    for (number, rank) in result.replicas.iter().enumerate() {
        assert_eq!(
            rank.num_passes + rank.num_dummy_batches,
            lockstep.num_steps,
            "rank {number} has a part in each step"
        );
        assert!(rank.device_time <= lockstep.step_time, "rank {number}: no step is shorter than its part");
    }
}

/// All that one engine answers, ranks do, independent or in lockstep; and the same way each time.
fn check_several(workload: &Workload, config: &EngineConfig, step_time: &StepTimeModel, shape: (usize, Option<u32>)) {
    let (count, dp_sync_interval) = shape;
    let alone = simulate(workload, config, step_time, SimulationOptions::default()).expect("a possible run");
    let result = ranks((workload, config, step_time), count, dp_sync_interval);
    check_conserved(&result, count);
    // Without chunks, long prompts may run only beside others.
    let runs_alone = config.enable_chunked_prefill || config.long_prefill_token_threshold == 0;
    if runs_alone && alone.recording.requests.iter().all(|request| request.is_finished) {
        assert!(result.whole.recording.requests.iter().all(|request| request.is_finished), "all are answered");
    }
    if dp_sync_interval.is_some() && config.pipeline_parallel_size == 1 {
        check_together(&result);
    }
    let external = DataParallel { dp_sync_interval, router: Some(RouterSettings::default()), num_local_ranks: 1 };
    let external = behind((workload, config, step_time), count, external);
    check_conserved(&external, count);
    if dp_sync_interval.is_some() && config.pipeline_parallel_size == 1 {
        check_together(&external);
    }
    let again = ranks((workload, config, step_time), count, dp_sync_interval);
    assert_eq!(digest(&result.whole.recording), digest(&again.whole.recording), "the same run");
    assert_eq!((result.owners, result.lockstep), (again.owners, again.lockstep), "the same choices and steps");
}

proptest! {
    #![proptest_config(draws(150))]

    #[test]
    fn one_rank_is_the_simulation(
        case in stretched_case(), around in surroundings(), waits in waits(), has_sessions: bool,
        max_concurrency in prop::option::of(1_u32..6),
    ) {
        let workload = limited(&case.workload(), max_concurrency);
        check_one(&workload, &case.config, &case.step_time());
        let workload = if has_sessions { in_sessions(&workload, &waits, max_concurrency) } else { workload };
        let config = EngineConfig {
            pipeline_parallel_size: 1, api_server_count: around.api_servers(), ..case.config.clone()
        };
        check_one(&workload, &config, &around.step_time());
    }

    #[test]
    fn ranks_lose_no_request_and_never_drift(
        case in stretched_case(), waits in waits(), has_sessions: bool, max_concurrency in prop::option::of(1_u32..6),
        count in 2_usize..6, dp_sync_interval in prop::option::of(1_u32..20), interval in 1_u32..4,
    ) {
        let workload = limited(&case.workload(), max_concurrency);
        let workload = if has_sessions { in_sessions(&workload, &waits, max_concurrency) } else { workload };
        let config = EngineConfig {
            steps_with_others: dp_sync_interval.is_some(), prefill_schedule_interval: interval, ..case.config.clone()
        };
        check_several(&workload, &config, &case.step_time(), (count, dp_sync_interval));
    }

    #[test]
    fn ranks_of_a_busy_front_end_lose_no_request_and_never_drift(
        case in stretched_case(), around in surroundings(), max_concurrency in prop::option::of(1_u32..6),
        count in 2_usize..6, dp_sync_interval in prop::option::of(1_u32..20),
    ) {
        let workload = limited(&case.workload(), max_concurrency);
        let config = EngineConfig {
            pipeline_parallel_size: 1,
            api_server_count: around.api_servers(),
            steps_with_others: dp_sync_interval.is_some(),
            ..case.config.clone()
        };
        check_several(&workload, &config, &around.step_time(), (count, dp_sync_interval));
    }
}

/// Requests with so many prompt and output tokens, sent at so many milliseconds.
fn workload(requests: &[(u32, u32, u64)]) -> Workload {
    let mut set = RequestSet::new();
    for (id, &(num_prompt_tokens, max_tokens, _)) in (0..).zip(requests) {
        let prompt = [TokenRun::segment(1 + id, num_prompt_tokens)];
        let output = [TokenRun::segment(1_000 + id, max_tokens)];
        let new = NewRequest {
            prompt: &prompt,
            output: &output,
            max_tokens,
            stops: false,
            priority: 0,
            arrival_order: u64::from(id),
            id_rank: id,
            cache_salt: 0,
        };
        set.push(&new).expect("a request");
    }
    let send_times = requests.iter().map(|&(_, _, at)| SimTime::from_nanos(at * 1_000_000)).collect();
    Workload { requests: set, traffic: Traffic::Timed { send_times, max_concurrency: None }, earlier: Vec::new() }
}

/// What two ranks make of it: 10 ms for a pass and 10 µs for each token, one pass at a time.
fn two_ranks(requests: &[(u32, u32, u64)], dp_sync_interval: Option<u32>) -> FleetResult {
    two_ranks_with(None, requests, dp_sync_interval)
}

/// The same with the one CUDA graph of so many tokens.
fn two_ranks_with(graph: Option<u32>, requests: &[(u32, u32, u64)], dp_sync_interval: Option<u32>) -> FleetResult {
    let config = EngineConfig { async_scheduling: false, ..EngineConfig::new(16, 1_000, 8_192) };
    let profile = SyntheticCosts { token_us: 10.0, ..SyntheticCosts::default() }.profile();
    let mut settings = StepTimeSettings::vllm_default(&profile, 128, 2_048);
    if let Some(graph) = graph {
        settings.capture_sizes = CaptureSizes::explicit(&[graph], 2_048).expect("a valid size");
    }
    let step_time = StepTimeModel::new(&profile, &settings).expect("a profile");
    ranks((&workload(requests), &config, &step_time), 2, dp_sync_interval)
}

/// Waves, steps, their time in ms; passes and dummy batches of each rank.
#[track_caller]
fn check_steps(requests: &[(u32, u32, u64)], dp_sync_interval: u32, expect: (u64, u64, f64), ranks: [(u64, u64); 2]) {
    let result = two_ranks(requests, Some(dp_sync_interval));
    let LockstepResult { num_waves, num_steps, step_time } = result.lockstep.expect("ranks in lockstep");
    assert_eq!((num_waves, num_steps), (expect.0, expect.1), "waves and steps");
    assert!((step_time.as_millis_f64() - expect.2).abs() < 0.001, "{} ms of steps", step_time.as_millis_f64());
    let found: Vec<_> = result.replicas.iter().map(|rank| (rank.num_passes, rank.num_dummy_batches)).collect();
    assert_eq!(found, ranks, "passes and dummy batches");
}

#[test]
fn a_rank_without_requests_has_dummy_batches_until_all_are_found_idle() {
    // The prompt's 100 tokens take 1 ms, each further one 0.01 ms.
    check_steps(&[(100, 4, 0)], 16, (1, 16, 11.0 + 15.0 * 10.01), [(4, 12), (0, 16)]);
    check_steps(&[(100, 4, 0)], 1, (1, 4, 11.0 + 3.0 * 10.01), [(4, 0), (0, 4)]);
    // After one step everybody is asked, and found idle.
    check_steps(&[(100, 1, 0)], 16, (1, 1, 11.0), [(1, 0), (0, 1)]);
    // The second wave is the second request's, which the balancer gives to the rank whose turn it is.
    check_steps(&[(100, 1, 0), (100, 1, 1_000)], 16, (2, 2, 22.0), [(1, 1), (1, 1)]);
    // A request that comes while ranks idle on joins the wave.
    check_steps(&[(100, 2, 0), (100, 2, 50)], 16, (1, 16, 22.0 + 14.0 * 10.01), [(2, 14), (2, 14)]);
}

/// When the first token of each request is there, in ms.
fn first_tokens(result: &FleetResult) -> Vec<f64> {
    let passes = &result.whole.recording.passes;
    let time = |pass: u32| passes.get(pass as usize).expect("a pass").delivery_time;
    let first = |pass: u32| time(pass).saturating_since(SimTime::ZERO).as_millis_f64();
    result.whole.recording.requests.iter().map(|request| first(request.first_token_pass)).collect()
}

#[test]
fn a_step_takes_as_long_as_the_longest_part() {
    let requests = [(1_000, 4, 0), (100, 4, 0)];
    assert_eq!(first_tokens(&two_ranks(&requests, Some(16))), [20.0, 20.0], "one step for both");
    assert_eq!(first_tokens(&two_ranks(&requests, None)), [20.0, 11.0], "independent ranks");
}

#[test]
fn a_rank_counts_what_it_ran_in_the_shape_that_all_agreed_on() {
    let result = two_ranks_with(Some(64), &[(10, 4, 0), (1_000, 1, 5)], Some(16));
    // Four passes padded to 64 tokens, but for the one beside the long prompt, which no graph holds.
    let found = result.replicas.iter().map(|rank| rank.device_time.as_millis_f64());
    let expect = [3.0 * 10.64 + 10.01, 20.0];
    assert!(found.zip(expect).all(|(found, expect)| (found - expect).abs() < 0.001), "{:?}", result.replicas);
}

#[test]
fn a_burst_is_spread_though_nothing_was_told_yet() {
    let result = two_ranks(&[(100, 4, 0); 8], None);
    assert_eq!(result.owners, [0, 1, 0, 1, 0, 1, 0, 1]);
    // Rank 0 still has a long one: what it told 100 ms ago goes before whose turn it is.
    let result = two_ranks(&[(100, 100, 0), (100, 1, 0), (100, 1, 300), (100, 1, 400)], None);
    assert_eq!(result.owners, [0, 1, 1, 1]);
    assert_eq!(result.lockstep, None);
}

#[test]
fn a_request_that_can_never_run_ends_the_run_of_ranks_in_lockstep() {
    // Preempted with more tokens than a pass may have: without chunks it is never computed again.
    let config = EngineConfig {
        enable_chunked_prefill: false,
        max_num_batched_tokens: 45,
        max_num_scheduled_tokens: 45,
        async_scheduling: false,
        ..EngineConfig::new(16, 8, 100)
    };
    let profile = SyntheticCosts::default().profile();
    let settings = StepTimeSettings::vllm_default(&profile, 128, 45);
    let step_time = StepTimeModel::new(&profile, &settings).expect("a profile");
    let result = ranks((&workload(&[(40, 60, 0); 3]), &config, &step_time), 2, Some(16));
    assert_eq!(result.owners, [0, 1, 0]);
    let is_finished: Vec<_> = result.whole.recording.requests.iter().map(|request| request.is_finished).collect();
    assert_eq!(is_finished, [true, true, false]);
    assert!(result.whole.end_time < SimTime::from_nanos(10_000_000_000), "and not much later");
}
