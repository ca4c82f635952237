//! Replicas of both roles that die, come back, are started and stopped: no request is lost or answered twice, and no block is
//! kept.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sim_core::config::EngineConfig;
use sim_core::fleet::disaggregated::links::Bandwidths;
use sim_core::fleet::disaggregated::result::DisaggregatedResult;
use sim_core::fleet::disaggregated::settings::{Disaggregated, KvBlock, Role, prefill_workload};
use sim_core::fleet::disaggregated::simulation::DisaggregatedSimulation;
use sim_core::fleet::disaggregated::transfer::TransferCosts;
use sim_core::fleet::life::{Autoscaling, LifeSettings, Outage, Recovery, ScalingRule};
use sim_core::fleet::router::Policy;
use sim_core::fleet::simulation::Replica;
use sim_core::fleet::{DataParallel, Dispatch, RouterSettings};
use sim_core::metrics::digest::digest;
use sim_core::profile::{StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::RequestId;
use sim_core::sched::connector::interface::KvLoadFailurePolicy;
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::time::{SimDuration, SimTime};
use sim_core::workload::Workload;

use crate::draws::draws;
use crate::fleet_life::{Drawn, drawn_outages, outages, scaling, workload};
use crate::fleet_of_one::{in_sessions, limited, policy, waits};
use crate::steady_requests::stretched_case;

/// What is between the roles, and how many ranks each replica has; 0 for engines as they are alone.
#[derive(Debug, Clone, Copy)]
struct Between {
    costs: TransferCosts,
    failure_rate: f64,
    policy: KvLoadFailurePolicy,
    router: Policy,
    num_ranks: usize,
}

const PLAIN: Between = Between {
    costs: TransferCosts {
        bandwidths: Bandwidths::both(1e9),
        latency: SimDuration::ZERO,
        per_descriptor: SimDuration::ZERO,
    },
    failure_rate: 0.0,
    policy: KvLoadFailurePolicy::Fail,
    router: Policy::RoundRobin,
    num_ranks: 0,
};

/// Replicas of either role as many as there may be, and what happens to them.
struct Roles<'a> {
    count: [usize; 2],
    lives: &'a [LifeSettings; 2],
}

/// Runs it to the end, at which no engine holds anything.
fn run(
    workload: &Workload,
    (config, step_time): (&EngineConfig, &StepTimeModel),
    between: Between,
    roles: &Roles<'_>,
) -> DisaggregatedResult {
    let prefill_side = prefill_workload(workload);
    let router = RouterSettings { policy: between.router, ..RouterSettings::default() };
    let dispatch = if between.num_ranks == 0 {
        Dispatch::Router(router)
    } else {
        let num_ranks = u32::try_from(between.num_ranks).expect("few");
        let ranks = DataParallel { dp_sync_interval: None, router: None, num_local_ranks: 1 };
        Dispatch::Replicas { router, num_ranks, ranks }
    };
    let [prefill, decode] =
        roles.count.map(|count| vec![Replica { config, step_time }; count * between.num_ranks.max(1)]);
    let setup = Disaggregated {
        prefill: Role { engines: &prefill, dispatch },
        decode: Role { engines: &decode, dispatch },
        costs: between.costs,
        block: KvBlock { num_bytes: 1_000_000, num_descriptors: 8 },
        kv_load_failure_policy: between.policy,
        failure_rate: between.failure_rate,
        seed: 7,
    };
    let options = SimulationOptions { record_emissions: true };
    let run = DisaggregatedSimulation::new((workload, &prefill_side), setup, options).expect("a possible run");
    let mut run = run.living(roles.lives, 5);
    while run.advance() {}
    assert_eq!(run.num_finished(), workload.requests.len(), "each ends once");
    for (place, engine) in run.engines().enumerate() {
        let kv_cache = engine.engine().scheduler().kv_cache();
        assert_eq!(kv_cache.num_free_blocks(), kv_cache.num_usable_blocks(), "engine {place} keeps no block");
        assert!(!engine.engine().scheduler().has_unfinished_requests(), "engine {place} has nothing to do");
    }
    run.finish()
}

struct Case<'a> {
    workload: &'a Workload,
    of_engine: (&'a EngineConfig, &'a StepTimeModel),
    between: Between,
    drawn: [&'a Drawn; 2],
    recovery: Recovery,
    scaling: [Option<Autoscaling>; 2],
    count: [usize; 2],
}

fn check(case: &Case<'_>) -> Option<DisaggregatedResult> {
    let (workload, (config, step_time), between) = (case.workload, case.of_engine, case.between);
    let alone = simulate(workload, config, step_time, SimulationOptions::default()).expect("a possible run");
    let runs_alone = config.enable_chunked_prefill || config.long_prefill_token_threshold == 0;
    if !runs_alone || !alone.recording.requests.iter().all(|request| request.is_finished) {
        return None;
    }
    let length = alone.end_time.as_secs_f64();
    let count = [0, 1].map(|role| {
        let scaling: Option<Autoscaling> = case.scaling[role];
        scaling.map_or(case.count[role], |scaling| scaling.max_replicas as usize)
    });
    let lives = [0, 1].map(|role: usize| LifeSettings {
        outages: outages(case.drawn[role], count[role], length),
        recovery: case.recovery,
        autoscaling: case.scaling[role],
    });
    let roles = Roles { count, lives: &lives };
    let result = run(workload, (config, step_time), between, &roles);
    let life = &result.life.as_ref().expect("it has a life").life;
    let failed: BTreeSet<_> = life.failed.iter().map(|id| id.index()).collect();
    assert_eq!(failed.len(), life.failed.len(), "nobody fails twice");
    let ends_by_load = between.failure_rate > 0.0 && between.policy == KvLoadFailurePolicy::Fail;
    let (mut num_unfinished, mut num_tokens) = (0, 0);
    for (number, (request, expect)) in result.whole.recording.requests.iter().zip(&alone.recording.requests).enumerate()
    {
        assert!(!request.is_finished || !failed.contains(&number), "request {number} ends once");
        assert!(request.is_finished || failed.contains(&number) || ends_by_load, "request {number} ends");
        let (found, expect) = (request.num_output_tokens, expect.num_output_tokens);
        assert!(if request.is_finished { found == expect } else { found < expect }, "request {number}: {found} tokens");
        num_unfinished += usize::from(!request.is_finished);
        num_tokens += u64::from(found);
    }
    let num_ended_by_load = result.transfers.iter().filter(|transfer| transfer.has_failed && !transfer.is_lost).count();
    if ends_by_load {
        assert!(num_unfinished <= failed.len() + num_ended_by_load, "{num_unfinished}: with a replica, or by a load");
    }
    let sum = |of: fn(&sim_core::fleet::ReplicaResult) -> u64| result.decode.replicas.iter().map(of).sum::<u64>();
    assert_eq!(sum(|engine| engine.num_output_tokens), num_tokens, "each token is of one engine");
    let measured = result.whole.recording.requests.len();
    assert_eq!(sum(|engine| engine.num_requests), (measured - num_unfinished) as u64, "each answer is of one engine");
    let again = run(workload, (config, step_time), between, &roles);
    assert_eq!(digest(&result.whole.recording), digest(&again.whole.recording), "the same run");
    assert_eq!((&result.transfers, &result.life), (&again.transfers, &again.life), "the same life");
    Some(result)
}

fn between() -> impl Strategy<Value = Between> {
    let some =
        (1_u32..2000, 0_u64..20_000, 0_u64..20).prop_map(|(mb_per_s, latency_us, descriptor_us)| TransferCosts {
            bandwidths: Bandwidths::both(1e6 * f64::from(mb_per_s)),
            latency: SimDuration::from_nanos(1000 * latency_us),
            per_descriptor: SimDuration::from_nanos(1000 * descriptor_us),
        });
    let failures = prop_oneof![3 => Just(0.0), 1 => Just(0.3)];
    let policies = prop::sample::select(&[KvLoadFailurePolicy::Fail, KvLoadFailurePolicy::Recompute][..]);
    (prop_oneof![1 => Just(PLAIN.costs), 4 => some], failures, policies, policy(), 0_usize..3).prop_map(
        |(costs, failure_rate, policy, router, num_ranks)| Between { costs, failure_rate, policy, router, num_ranks },
    )
}

proptest! {
    #![proptest_config(draws(300))]

    #[test]
    fn every_request_of_two_roles_ends_once(
        case in stretched_case(), waits in waits(), has_sessions: bool, between in between(),
        max_concurrency in prop::option::of(1_u32..6), count in (1_usize..4, 1_usize..4),
        drawn in (drawn_outages(), drawn_outages()), max_retries in 0_u32..8, migration_limit in 0_u32..3,
        scaling in (scaling(), scaling()),
    ) {
        let workload = limited(&case.workload(), max_concurrency);
        let workload = if has_sessions { in_sessions(&workload, &waits, max_concurrency) } else { workload };
        check(&Case {
            workload: &workload,
            of_engine: (&case.config, &case.step_time()),
            between,
            drawn: [&drawn.0, &drawn.1],
            recovery: Recovery { max_retries, migration_limit },
            scaling: [scaling.0, scaling.1],
            count: [count.0, count.1],
        });
    }
}

#[test]
fn drawn_lives_of_two_roles_have_losses_of_every_kind() {
    let mut runner = TestRunner::deterministic();
    let [mut retries, mut migrations, mut failures, mut lost_loads] = [0_u64; 4];
    for _ in 0..100 {
        let case = stretched_case().new_tree(&mut runner).expect("a case").current();
        let drawn = [0, 1].map(|_| drawn_outages().new_tree(&mut runner).expect("outages").current());
        let costs = TransferCosts { bandwidths: Bandwidths::both(2e8), ..PLAIN.costs };
        let result = check(&Case {
            workload: &case.workload(),
            of_engine: (&case.config, &case.step_time()),
            between: Between { costs, policy: KvLoadFailurePolicy::Recompute, ..PLAIN },
            drawn: [&drawn[0], &drawn[1]],
            recovery: Recovery { max_retries: 3, migration_limit: 1 },
            scaling: [None, None],
            count: [2, 2],
        });
        let Some((life, result)) = result.and_then(|result| Some((result.life.clone()?.life, result))) else {
            continue;
        };
        retries += life.num_retries;
        migrations += life.num_migrations;
        failures += life.failed.len() as u64;
        lost_loads += result.transfers.iter().filter(|transfer| transfer.is_lost).count() as u64;
    }
    let found = [retries, migrations, failures, lost_loads];
    let enough = found.into_iter().all(|count| count >= 10);
    assert!(enough, "retries, migrations, failures, loads of dead engines: {found:?}");
}

fn config() -> EngineConfig {
    EngineConfig::new(16, 2_000, 2048)
}

fn step_time() -> StepTimeModel {
    let profile = SyntheticCosts::default().profile();
    StepTimeModel::new(&profile, &StepTimeSettings::vllm_default(&profile, 256, 2048)).expect("a profile")
}

fn outage(replica: u32, from: f64, until: f64) -> LifeSettings {
    let outage = Outage { replica, from: SimTime::from_secs_f64(from), until: SimTime::from_secs_f64(until) };
    LifeSettings { outages: vec![outage], ..LifeSettings::default() }
}

/// One request of a long prompt on two prefill replicas and two decode replicas, over a way that takes a second.
fn one(policy: KvLoadFailurePolicy, lives: [LifeSettings; 2]) -> DisaggregatedResult {
    let costs = TransferCosts { bandwidths: Bandwidths::both(1e8), ..PLAIN.costs };
    let roles = Roles { count: [2, 2], lives: &lives };
    run(&workload(1, (1600, 50), 0.0), (&config(), &step_time()), Between { costs, policy, ..PLAIN }, &roles)
}

/// The request's end in seconds, by how many engines of either role it went, and what became of it.
#[track_caller]
fn check_one(lives: [LifeSettings; 2], (least_s, most_s): (f64, f64), (owners, num_retries): ([u32; 2], u64)) {
    let result = one(KvLoadFailurePolicy::Fail, lives);
    let life = &result.life.as_ref().expect("a life").life;
    let request = result.whole.recording.requests.get(0).expect("one");
    assert!(request.is_finished, "it is answered: {life:?}");
    assert_eq!(([result.prefill.owners[0], result.decode.owners[0]], life.num_retries), (owners, num_retries), "who");
    let end = result.whole.recording.passes.get(request.last_token_pass as usize).expect("a pass").delivery_time;
    assert!((least_s..most_s).contains(&end.as_secs_f64()), "{} s", end.as_secs_f64());
}

#[test]
fn a_request_begins_again_wherever_it_was_when_its_replica_died() {
    let never = LifeSettings::default;
    // A hundred blocks of 1 MB at 100 MB/s are a second.
    check_one([never(), outage(1, 5.0, 6.0)], (1.0, 2.0), ([0, 0], 0));
    // While its prompt is computed: the other one computes it, and the load is behind that.
    check_one([outage(0, 0.001, 9.0), never()], (1.0, 2.1), ([1, 0], 1));
    // While its blocks are on their way: the load fails, and all begins again.
    check_one([outage(0, 0.5, 9.0), never()], (1.5, 2.6), ([1, 1], 1));
    // The reader dies instead.
    check_one([never(), outage(0, 0.5, 9.0)], (1.5, 2.6), ([1, 1], 1));
    // Both, one after the other.
    check_one([outage(0, 0.5, 0.6), outage(1, 1.2, 9.0)], (2.2, 3.6), ([0, 0], 2));
}

#[test]
fn a_load_from_an_engine_that_died_is_computed_where_that_is_the_policy() {
    let result = one(KvLoadFailurePolicy::Recompute, [outage(0, 0.5, 9.0), LifeSettings::default()]);
    let request = result.whole.recording.requests.get(0).expect("one");
    assert!(request.is_finished, "it is answered");
    assert_eq!(
        (result.prefill.owners[0], result.life.as_ref().map(|roles| roles.life.num_losses)),
        (0, Some(0)),
        "there"
    );
    assert!(result.transfers[0].is_lost && result.transfers[0].has_failed, "{:?}", result.transfers);
}

#[test]
fn an_answer_that_has_begun_fails_or_goes_on_through_both_roles() {
    let run = |migration_limit| {
        let recovery = Recovery { migration_limit, ..Recovery::default() };
        let dies = LifeSettings { recovery, ..outage(0, 0.4, 99.0) };
        let lives = [LifeSettings::default(), dies];
        let roles = Roles { count: [2, 2], lives: &lives };
        run(&workload(1, (160, 400), 0.0), (&config(), &step_time()), PLAIN, &roles)
    };
    let failed = run(0);
    let request = failed.whole.recording.requests.get(0).expect("one");
    assert!(
        !request.is_finished && (1..400).contains(&request.num_output_tokens),
        "{} tokens",
        request.num_output_tokens
    );
    assert_eq!(failed.life.as_ref().map(|roles| roles.life.failed.clone()), Some(vec![RequestId(0)]), "it failed");
    let gone_on = run(1);
    let request = gone_on.whole.recording.requests.get(0).expect("one");
    assert_eq!((request.is_finished, request.num_output_tokens), (true, 400), "all of it");
    assert_eq!((gone_on.prefill.owners[0], gone_on.decode.owners[0]), (1, 1), "by others");
    let given: Vec<_> = gone_on.decode.replicas.iter().map(|engine| engine.num_output_tokens).collect();
    assert!(given[0] > 0 && given[1] > 0 && given[0] + given[1] == 400, "each gave what it gave: {given:?}");
    // Prompt and tokens were computed before they were loaded.
    let blocks = |result: &DisaggregatedResult| result.transfers[0].num_bytes / 1_000_000;
    assert_eq!((blocks(&failed), blocks(&gone_on)), (10, (160 + given[0]).div_ceil(16)), "blocks on their way");
}

#[test]
fn roles_are_scaled_by_what_each_has_to_do() {
    // Long prompts and short answers: prefill is what is short.
    let busy = workload(4_000, (1600, 4), 0.003);
    let scaling = |is_prefill| Autoscaling {
        rule: ScalingRule::PlannerLoad(sim_core::fleet::life::PlannerThresholds::default()).of_role(is_prefill),
        initial_replicas: 1,
        min_replicas: 1,
        max_replicas: 6,
        interval: SimDuration::from_secs_f64(2.0),
        metrics_interval: SimDuration::from_secs_f64(0.5),
        startup_time: SimDuration::from_secs_f64(1.0),
    };
    let lives = [true, false]
        .map(|is_prefill| LifeSettings { autoscaling: Some(scaling(is_prefill)), ..LifeSettings::default() });
    let roles = Roles { count: [6, 6], lives: &lives };
    let costs = TransferCosts { bandwidths: Bandwidths::both(1e12), ..PLAIN.costs };
    let between = Between { costs, router: Policy::LeastLoaded, ..PLAIN };
    let result = run(&busy, (&config(), &step_time()), between, &roles);
    let life = result.life.expect("a life");
    let most = |presence: &sim_core::fleet::life::Presence| presence.phases.iter().map(|phase| phase.num_ready).max();
    assert!(most(&life.prefill) >= Some(3), "prefill grew: {:?}", life.prefill.phases);
    let of_decode = &life.life.presence;
    assert!(most(of_decode) <= most(&life.prefill), "decode has less to do: {:?}", of_decode.phases);
    assert!(life.life.touched.is_empty(), "nobody is lost when replicas stop");
}
