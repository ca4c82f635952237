//! A fleet of one replica is a simulation of one engine, bit for bit; one of several loses no request.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sim_core::config::EngineConfig;
use sim_core::fleet::life::{LifeSettings, Outage};
use sim_core::fleet::router::Policy;
use sim_core::fleet::simulation::{FleetSimulation, Replica, simulate_fleet};
use sim_core::fleet::{Dispatch, FleetResult, RouterSettings};
use sim_core::metrics::digest::digest;
use sim_core::profile::{StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::{RequestId, TokenRun};
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::time::{SimDuration, SimTime};
use sim_core::workload::{After, Traffic, Workload};

use crate::draws::draws;
use crate::properties;
use crate::steady_requests::{stretched_case, surroundings};

fn fleet(workload: &Workload, replicas: &[Replica<'_>], policy: Policy, record_emissions: bool) -> FleetResult {
    let dispatch = Dispatch::Router(RouterSettings { policy, ..RouterSettings::default() });
    simulate_fleet(workload, replicas, dispatch, SimulationOptions { record_emissions }).expect("a possible run")
}

fn check_one(
    workload: &Workload,
    config: &EngineConfig,
    step_time: &StepTimeModel,
    (policy, record_emissions): (Policy, bool),
) {
    let expect = simulate(workload, config, step_time, SimulationOptions { record_emissions }).expect("a possible run");
    let found = fleet(workload, &[Replica { config, step_time }], policy, record_emissions).whole;
    check_same(&found, &expect);
}

/// Nothing that is told of a run differs.
fn check_same(found: &SimulationResult, expect: &SimulationResult) {
    for (number, (found, expect)) in found.recording.passes.iter().zip(&expect.recording.passes).enumerate() {
        assert_eq!(found, expect, "pass {number}");
    }
    for (number, (found, expect)) in found.recording.requests.iter().zip(&expect.recording.requests).enumerate() {
        assert_eq!(found, expect, "request {number}");
    }
    assert_eq!(digest(&found.recording), digest(&expect.recording), "digest");
    assert_eq!((found.stats, found.num_evictions), (expect.stats, expect.num_evictions), "counters");
    assert_eq!((found.device_time, found.end_time), (expect.device_time, expect.end_time), "times");
    assert_eq!((&found.queries_per_iter, &found.join_order), (&expect.queries_per_iter, &expect.join_order), "input");
}

/// The same requests, each of which may wait for the answer of one before it.
pub(crate) fn in_sessions(
    workload: &Workload,
    waits: &[Option<(usize, u64)>],
    max_concurrency: Option<u32>,
) -> Workload {
    let (Traffic::Timed { send_times, .. } | Traffic::Answered { not_before: send_times, .. }) = &workload.traffic
    else {
        return workload.clone();
    };
    let after = (0..send_times.len()).map(|number| {
        let (back, delay_us) = waits.get(number).copied().flatten()?;
        let request = number.checked_sub(1 + back)?;
        let request = RequestId(u32::try_from(request).expect("few"));
        Some(After { request, delay: SimDuration::from_nanos(1_000 * delay_us) })
    });
    let traffic = Traffic::Answered { not_before: send_times.clone(), after: after.collect(), max_concurrency };
    Workload { traffic, ..workload.clone() }
}

/// The same requests with a limit on how many are under way.
pub(crate) fn limited(workload: &Workload, max_concurrency: Option<u32>) -> Workload {
    let Traffic::Timed { send_times, .. } = &workload.traffic else { return workload.clone() };
    Workload { traffic: Traffic::Timed { send_times: send_times.clone(), max_concurrency }, ..workload.clone() }
}

pub(crate) fn policy() -> impl Strategy<Value = Policy> {
    prop::sample::select(&Policy::ALL[..])
}

pub(crate) fn waits() -> impl Strategy<Value = Vec<Option<(usize, u64)>>> {
    prop::collection::vec(prop::option::of((0_usize..4, 0_u64..40_000)), 0..40)
}

/// Every request that can be answered is, on one replica, and all that is told of replicas adds up.
pub(crate) fn check_conserved(result: &FleetResult, num_replicas: usize) {
    let requests = &result.whole.recording.requests;
    let passes = &result.whole.recording.passes;
    for (request, &owner) in requests.iter().zip(&result.owners) {
        assert!((owner as usize) < num_replicas, "a replica that there is");
        if !request.is_finished {
            continue;
        }
        let time = |pass: u32| passes.get(pass as usize).expect("a pass of the run").delivery_time;
        assert!(time(request.first_token_pass) <= time(request.last_token_pass), "tokens come in order");
        assert!(request.send_time < time(request.first_token_pass), "none before the request was sent");
        assert!(request.scheduled_send_time <= request.send_time, "none is sent before its time");
    }
    let (mut num_finished, mut num_tokens) = (0, 0);
    for request in requests {
        num_finished += u64::from(request.is_finished);
        num_tokens += u64::from(request.num_output_tokens);
    }
    assert_eq!(result.replicas.iter().map(|replica| replica.num_requests).sum::<u64>(), num_finished, "requests");
    assert_eq!(result.replicas.iter().map(|replica| replica.num_output_tokens).sum::<u64>(), num_tokens, "tokens");
    let num_outputs: u64 = passes.iter().map(|pass| u64::from(pass.num_outputs)).sum();
    assert_eq!(num_outputs, num_tokens, "what passes put out is what requests got");
}

/// With one router in front of several; all that one engine answers, several do.
fn check_several(workload: &Workload, config: &EngineConfig, step_time: &StepTimeModel, policy: Policy, count: usize) {
    let options = SimulationOptions::default();
    let alone = simulate(workload, config, step_time, options).expect("a possible run");
    let result = fleet(workload, &vec![Replica { config, step_time }; count], policy, false);
    check_conserved(&result, count);
    // Without chunks, long prompts may run only beside others.
    let runs_alone = config.enable_chunked_prefill || config.long_prefill_token_threshold == 0;
    if runs_alone && alone.recording.requests.iter().all(|request| request.is_finished) {
        assert!(result.whole.recording.requests.iter().all(|request| request.is_finished), "all are answered");
    }
    let again = fleet(workload, &vec![Replica { config, step_time }; count], policy, false);
    assert_eq!(digest(&result.whole.recording), digest(&again.whole.recording), "the same run");
    assert_eq!(result.owners, again.owners, "the same choices");
}

proptest! {
    #![proptest_config(draws(200))]

    #[test]
    fn one_is_the_simulation(
        case in stretched_case(), max_concurrency in prop::option::of(1_u32..6), policy in policy(), emissions: bool,
    ) {
        let workload = limited(&case.workload(), max_concurrency);
        check_one(&workload, &case.config, &case.step_time(), (policy, emissions));
    }

    #[test]
    fn one_of_short_requests_is_the_simulation(case in properties::case(), policy in policy()) {
        check_one(&case.workload(), &case.config, &case.step_time(), (policy, true));
    }

    #[test]
    fn one_with_sessions_and_busy_front_ends_is_the_simulation(
        case in stretched_case(), around in surroundings(), waits in waits(),
        max_concurrency in prop::option::of(1_u32..6), policy in policy(),
    ) {
        let mut config = case.config.clone();
        config.pipeline_parallel_size = 1;
        config.api_server_count = around.api_servers();
        let workload = in_sessions(&case.workload(), &waits, max_concurrency);
        check_one(&workload, &config, &around.step_time(), (policy, false));
    }

    #[test]
    fn several_lose_no_request(
        case in stretched_case(), waits in waits(), has_sessions: bool,
        max_concurrency in prop::option::of(1_u32..6), policy in policy(), count in 2_usize..6,
    ) {
        let workload = limited(&case.workload(), max_concurrency);
        let workload = if has_sessions { in_sessions(&workload, &waits, max_concurrency) } else { workload };
        check_several(&workload, &case.config, &case.step_time(), policy, count);
    }
}

#[test]
fn replicas_do_not_wait_for_each_other() {
    let (mut requests, output) = (RequestSet::new(), [TokenRun::segment(9, 4)]);
    for id in 0..2 {
        let prompt = [TokenRun::segment(1 + id, 10)];
        let (prompt, output, arrival_order) = (&prompt[..], &output[..], u64::from(id));
        let new = NewRequest {
            prompt,
            output,
            max_tokens: 4,
            stops: false,
            priority: 0,
            arrival_order,
            id_rank: id,
            cache_salt: 0,
        };
        requests.push(&new).expect("a request");
    }
    let traffic = Traffic::Timed { send_times: vec![SimTime::ZERO; 2], max_concurrency: None };
    let workload = Workload { requests, traffic, earlier: Vec::new() };
    let config = EngineConfig { max_num_seqs: 1, max_num_active_seqs: 1, ..EngineConfig::new(4, 100, 64) };
    let profile = SyntheticCosts::default().profile();
    let step_time = StepTimeModel::new(&profile, &StepTimeSettings::vllm_default(&profile, 8, 64)).expect("a profile");
    let ends = |count: usize| {
        let replicas = vec![Replica { config: &config, step_time: &step_time }; count];
        let result = fleet(&workload, &replicas, Policy::RoundRobin, false);
        let passes = &result.whole.recording.passes;
        let end = |pass: u32| passes.get(pass as usize).expect("a pass").delivery_time;
        let ends: Vec<_> = result.whole.recording.requests.iter().map(|request| end(request.last_token_pass)).collect();
        (ends, result.owners)
    };
    let (alone, _) = ends(1);
    assert!(alone[0] < alone[1], "an engine for one request at a time has them one after the other");
    assert_eq!(ends(2), (vec![alone[0]; 2], vec![0, 1]), "each has an engine of its own");
}

/// Whether a fleet of `count` replicas of which the first may die is taken for the simulation of one engine.
fn is_taken_for_one(count: usize, outage: Option<[u64; 2]>) -> bool {
    let case = stretched_case().new_tree(&mut TestRunner::deterministic()).expect("a case").current();
    let (workload, step_time) = (limited(&case.workload(), None), case.step_time());
    let options = SimulationOptions::default();
    let expect = simulate(&workload, &case.config, &step_time, options).expect("a possible run");
    let replicas = vec![Replica { config: &case.config, step_time: &step_time }; count];
    let dispatch = Dispatch::Router(RouterSettings::default());
    let outages = outage.map(|[from, until]| Outage {
        replica: 0,
        from: SimTime::from_nanos(from),
        until: SimTime::from_nanos(until),
    });
    let life = LifeSettings { outages: outages.into_iter().collect(), ..LifeSettings::default() };
    let fleet = FleetSimulation::new(&workload, &replicas, dispatch, options).expect("a possible run");
    let mut fleet = fleet.living(&life, 0);
    while fleet.advance() {}
    let found = fleet.finish().whole;
    std::panic::catch_unwind(|| check_same(&found, &expect)).is_ok()
}

#[test]
fn what_is_not_the_simulation_is_noticed() {
    assert!(is_taken_for_one(1, None), "one that nothing happens to is");
    assert!(is_taken_for_one(1, Some([u64::MAX - 1, u64::MAX])), "what is to happen after its end does not happen");
    assert!(!is_taken_for_one(2, None), "two are not one");
    assert!(!is_taken_for_one(1, Some([1_000_000, 1_000_001])), "a nanosecond away is not nothing");
}
