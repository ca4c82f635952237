//! The engine that requests come to while it runs is the simulator: every token of every request at the same time.

use proptest::prelude::*;
use sim_core::config::EngineConfig;
use sim_core::live_engine::LiveEngine;
use sim_core::metrics::emissions::EmissionIndex;
use sim_core::profile::StepTimeModel;
use sim_core::request::{RequestId, TokenRun};
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::sched::scheduler::SchedulerStats;
use sim_core::simulation_result::OffloadingTotals;
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::speculative::Acceptance;
use sim_core::time::SimTime;
use sim_core::workload::{Traffic, Workload};

use crate::draws::draws;
use crate::engine_properties;
use crate::kv_tiers::{self, speeds, with_tiers};
use crate::offloading::{self, displaced, link, small_device, with_tier};
use crate::properties;

/// Steps in a row without a token after which nothing can come any more; transfers of host memory take their time.
const MAX_IDLE_STEPS: [u32; 2] = [20, 20_000];

/// When clients had the messages of each request, and what was counted.
#[derive(Debug, PartialEq)]
struct Run {
    deliveries: Vec<Vec<SimTime>>,
    stats: SchedulerStats,
    num_cached_tokens: u64,
    /// `None` where somebody is never answered: then chunks may displace each other for ever.
    offloading: Option<OffloadingTotals>,
}

/// Everybody sends when the traffic says, as no client of a server waits for another.
fn unlimited(workload: Workload) -> Workload {
    let Traffic::Timed { send_times, .. } = workload.traffic else { panic!("timed traffic") };
    Workload { traffic: Traffic::Timed { send_times, max_concurrency: None }, ..workload }
}

fn send_times(workload: &Workload) -> &[SimTime] {
    let Traffic::Timed { send_times, .. } = &workload.traffic else { panic!("timed traffic") };
    send_times
}

fn simulated(workload: &Workload, config: &EngineConfig, step_time: &StepTimeModel) -> Run {
    let options = SimulationOptions { record_emissions: true };
    let result = simulate(workload, config, step_time, options).expect("a possible run");
    let index = EmissionIndex::new(&result.recording);
    let ends = result.recording.requests.iter().all(|request| request.is_finished);
    Run {
        offloading: result.offloading.filter(|_| ends),
        deliveries: (0..workload.requests.len()).map(|request| index.delivery_times(request).collect()).collect(),
        stats: result.stats,
        num_cached_tokens: result.recording.requests.iter().map(|request| u64::from(request.num_cached_tokens)).sum(),
    }
}

/// A request's prompt and its output.
fn split(requests: &RequestSet, index: usize) -> (Vec<TokenRun>, Vec<TokenRun>) {
    let request = &requests.as_slice()[index];
    let (mut prompt, mut output, mut left) = (Vec::new(), Vec::new(), request.num_prompt_tokens);
    for run in requests.runs(request) {
        let len = run.len.min(left);
        prompt.push(TokenRun { start: run.start, len });
        output.push(TokenRun { start: run.start + u64::from(len), len: run.len - len });
        left -= len;
    }
    prompt.retain(|run| run.len > 0);
    output.retain(|run| run.len > 0);
    (prompt, output)
}

fn add(engine: &mut LiveEngine<'_>, requests: &RequestSet, index: usize, queue_time: SimTime) -> RequestId {
    let request = &requests.as_slice()[index];
    let (prompt, output) = split(requests, index);
    let in_line = requests.in_line(RequestId(u32::try_from(index).expect("few")));
    let new = NewRequest {
        prompt: &prompt,
        output: &output,
        max_tokens: request.max_tokens,
        stops: request.stops,
        priority: in_line.priority,
        arrival_order: in_line.arrival_order,
        id_rank: in_line.id_rank,
        cache_salt: in_line.cache_salt,
    };
    engine.add_request(&new, queue_time).expect("a possible request")
}

/// The same, and how many places the engine needed for its requests. Looks in vain are made, or counted.
fn live(workload: &Workload, config: &EngineConfig, step_time: &StepTimeModel, skips: bool) -> (Run, usize) {
    let requests = &workload.requests;
    let mut engine = LiveEngine::new(config, step_time, Acceptance::None).expect("an engine");
    let sent = send_times(workload).iter().zip(requests.as_slice()).enumerate();
    let mut coming: Vec<(SimTime, usize)> =
        sent.map(|(index, (time, request))| (engine.queue_time(*time, request.num_prompt_tokens), index)).collect();
    coming.sort_unstable();
    let mut coming = coming.into_iter().peekable();
    let mut deliveries = vec![Vec::new(); requests.len()];
    let (mut owners, mut num_idle_steps, mut num_cached_tokens) = (Vec::new(), 0, 0);
    let max_idle_steps = MAX_IDLE_STEPS[usize::from(config.kv_offloading.is_some())];
    let mut transfers = OffloadingTotals::default();
    while engine.has_work() || coming.peek().is_some() {
        if skips {
            let next_request = coming.peek().map(|(time, _)| *time);
            let next_step = engine.next_step(next_request);
            engine.skip_looks(next_request.unwrap_or(SimTime::MAX));
            assert_eq!(engine.now(), next_step, "it goes where it said");
        }
        while let Some((time, index)) = coming.next_if(|(time, _)| !engine.has_work() || *time <= engine.now()) {
            let place = add(&mut engine, requests, index, time).index();
            owners.resize(owners.len().max(place + 1), usize::MAX);
            owners[place] = index;
        }
        let mut has_tokens = false;
        let output_time = engine.advance(|pass| {
            has_tokens = pass.output.has_tokens();
            num_cached_tokens += pass.output.new_reqs.iter().map(|new| u64::from(new.num_cached_tokens)).sum::<u64>();
        });
        if let Some(time) = output_time {
            let tokens = engine.outputs().tokens.clone();
            let delivery = engine.delivery_time(time, u32::try_from(tokens.len()).expect("few"));
            tokens.iter().for_each(|new| deliveries[owners[new.id.index()]].push(delivery));
        }
        for ended in engine.ended_transfers() {
            let totals = if ended.is_store { &mut transfers.stores } else { &mut transfers.loads };
            totals.num_transfers += 1;
            totals.num_bytes += ended.num_bytes;
            totals.time += ended.time;
        }
        engine.scheduler().kv_cache().pool().assert_invariants();
        num_idle_steps = if has_tokens || coming.peek().is_some() { 0 } else { num_idle_steps + 1 };
        if num_idle_steps > max_idle_steps {
            break;
        }
    }
    let offloading = engine.offloading().filter(|_| !engine.has_work());
    if let Some(totals) = &offloading {
        assert_eq!((totals.loads, totals.stores), (transfers.loads, transfers.stores), "each is told of when it ends");
    }
    (Run { deliveries, stats: engine.stats(), num_cached_tokens, offloading }, owners.len())
}

#[track_caller]
fn check(workload: Workload, config: &EngineConfig, step_time: &StepTimeModel) -> usize {
    let workload = unlimited(workload);
    let (found, num_places) = live(&workload, config, step_time, false);
    assert_eq!(found, simulated(&workload, config, step_time), "the live run is the simulated one");
    if config.kv_offloading.is_some() {
        assert_eq!(live(&workload, config, step_time, true), (found, num_places), "looks in vain change nothing");
    }
    num_places
}

/// 2,000 requests of up to `num_tokens` prompt tokens, one each 20 ms.
fn long_workload(num_tokens: u32) -> Workload {
    let mut requests = RequestSet::new();
    for id in 0..2000 {
        let prompt: Vec<TokenRun> =
            (0..1 + id % num_tokens).map(|token| TokenRun::segment(1 + (id * 31 + token) % 977, 1)).collect();
        let new = NewRequest {
            prompt: &prompt,
            output: &[TokenRun::segment(100_000 + id, 3)],
            max_tokens: 3,
            stops: false,
            priority: 0,
            arrival_order: u64::from(id),
            id_rank: id,
            cache_salt: 0,
        };
        requests.push(&new).expect("a possible request");
    }
    let send_times = (0..2000).map(|id| SimTime::from_nanos(id * 20_000_000)).collect();
    Workload { requests, traffic: Traffic::Timed { send_times, max_concurrency: None }, earlier: Vec::new() }
}

#[test]
fn places_of_ended_requests_are_used_again() {
    for async_scheduling in [false, true] {
        let config = EngineConfig { async_scheduling, ..EngineConfig::new(4, 200, 128) };
        let step_time = engine_properties::step_time(&config);
        let num_places = check(long_workload(100), &config, &step_time);
        assert!(num_places <= 8, "{num_places} places for 2,000 requests of which few run at once");
        // Stores take three milliseconds, and whoever has ended keeps its place until they are over.
        let offloading = with_tier(&config, with_tiers(offloading::tier(40), &[kv_tiers::FILES]));
        let step_time =
            step_time.with_offloading_link(link(f64::INFINITY, 3.0)).with_tier_speeds(speeds(50.0, 0.1, 0.1));
        let num_places = check(long_workload(100), &offloading, &step_time);
        assert!(num_places <= 8, "{num_places} places for 2,000 requests of which few run at once");
    }
}

#[test]
fn a_request_that_is_aborted_while_its_prompt_is_loaded_keeps_its_blocks_until_that_is_over() {
    let mut num_delayed = 0;
    for (is_async, num_steps) in
        [false, true].into_iter().flat_map(|is_async| (0..12).map(move |steps| (is_async, steps)))
    {
        let config = with_tier(&small_device(is_async), offloading::tier(100));
        let step_time = offloading::step_time(link(f64::INFINITY, 20.0));
        let requests = displaced().requests;
        let mut engine = LiveEngine::new(&config, &step_time, Acceptance::None).expect("an engine");
        let num_free_blocks = engine.scheduler().kv_cache().num_free_blocks();
        for index in 0..2 {
            let time = engine.now();
            add(&mut engine, &requests, index, time);
            while engine.has_work() {
                engine.advance(|_| {});
            }
        }
        let time = engine.now();
        let id = add(&mut engine, &requests, 2, time);
        for _ in 0..num_steps {
            engine.advance(|_| {});
        }
        engine.abort_request(id);
        let num_held = num_free_blocks - engine.scheduler().kv_cache().num_free_blocks();
        num_delayed += u32::from(num_held > 0);
        assert!(num_held == 0 || !engine.reset_prefix_cache(), "what is written to cannot be emptied");
        // Another wants nearly all blocks, and is called like the first if nothing is left of that.
        let time = engine.now();
        let other = add(&mut engine, &requests, 1, time);
        assert!(num_held == 0 || other != id, "after {num_steps} steps");
        let mut num_tokens = 0;
        while engine.has_work() {
            if engine.advance(|_| {}).is_some() {
                assert!(engine.outputs().tokens.iter().all(|new| new.id == other), "after {num_steps} steps");
                num_tokens += engine.outputs().tokens.len();
            }
        }
        assert_eq!(num_tokens, 2);
        assert_eq!(engine.scheduler().kv_cache().num_free_blocks(), num_free_blocks);
        // The other one's last block at least, which has to be computed where it is not loaded.
        let num_loads = engine.offloading().expect("it offloads").loads.num_transfers;
        assert_eq!(num_loads, if num_steps > 0 { 2 } else { 1 }, "after {num_steps} steps");
    }
    assert!(num_delayed > 10, "{num_delayed} of 24 were being loaded");
}

#[test]
fn a_cache_is_forgotten_when_nobody_uses_it() {
    let config = EngineConfig { enable_prefix_caching: true, ..EngineConfig::new(4, 200, 128) };
    let step_time = engine_properties::step_time(&config);
    let mut engine = LiveEngine::new(&config, &step_time, Acceptance::None).expect("an engine");
    let workload = long_workload(100);
    let run = |engine: &mut LiveEngine<'_>, ends: bool| {
        add(engine, &workload.requests, 99, engine.now());
        let mut num_cached_tokens = 0;
        while ends && engine.has_work() {
            engine.advance(|pass| {
                num_cached_tokens += pass.output.new_reqs.iter().map(|new| new.num_cached_tokens).sum::<u32>();
            });
        }
        num_cached_tokens
    };
    assert_eq!(run(&mut engine, true), 0);
    assert!(run(&mut engine, true) > 0, "the same prompt is found again");
    let before = engine.stats();
    assert!(engine.reset_prefix_cache(), "nobody waits");
    assert_eq!(engine.stats(), before, "counters go on");
    assert_eq!(run(&mut engine, true), 0, "and is not, once the cache is reset");
    run(&mut engine, false);
    engine.advance(|_| {});
    assert!(!engine.reset_prefix_cache(), "somebody has blocks");
}

#[test]
fn an_aborted_request_gets_nothing_more_and_leaves_its_blocks() {
    let config = EngineConfig { async_scheduling: true, ..EngineConfig::new(4, 200, 128) };
    let step_time = engine_properties::step_time(&config);
    let workload = long_workload(100);
    for num_steps in 0..6 {
        let mut engine = LiveEngine::new(&config, &step_time, Acceptance::None).expect("an engine");
        let num_free_blocks = engine.scheduler().kv_cache().num_free_blocks();
        let id = add(&mut engine, &workload.requests, 50, SimTime::ZERO);
        for _ in 0..num_steps {
            engine.advance(|_| {});
        }
        engine.abort_request(id);
        // Another takes its place at once, with passes of the first still under way.
        let other = add(&mut engine, &workload.requests, 3, SimTime::ZERO);
        let mut num_tokens = 0;
        while engine.has_work() {
            if engine.advance(|_| {}).is_some() {
                assert!(engine.outputs().tokens.iter().all(|new| new.id == other), "after {num_steps} steps");
                num_tokens += engine.outputs().tokens.len();
            }
        }
        assert_eq!(num_tokens, 3);
        assert_eq!(engine.scheduler().kv_cache().num_free_blocks(), num_free_blocks);
    }
}

proptest! {
    #![proptest_config(draws(300))]

    #[test]
    fn engines_that_offload_are_the_same(
        case in properties::case(),
        settings in prop_oneof![offloading::settings(), kv_tiers::settings()],
        (link, speeds) in (offloading::links(), kv_tiers::all_speeds()),
    ) {
        let config = with_tier(&case.config, settings);
        check(case.workload(), &config, &case.step_time().with_offloading_link(link).with_tier_speeds(speeds));
    }

    #[test]
    fn plain_engines_are_the_same(case in properties::case()) {
        check(case.workload(), &case.config, &case.step_time());
    }

    /// Without drafters: how many drafts are accepted is drawn by place, and places are used again.
    #[test]
    fn engines_of_any_kind_are_the_same((engine, asked) in engine_properties::case()) {
        let mut config = engine.config.clone();
        prop_assume!(config.speculative.take().is_none());
        check(engine_properties::workload(&engine, &asked), &config, &engine_properties::step_time(&config));
    }
}
