//! Replicas that die and come back: no request is lost or answered twice, and no block is.

use std::collections::BTreeSet;
use std::ops::Range;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sim_core::config::EngineConfig;
use sim_core::fleet::life::{
    Autoscaling, LifeSettings, Outage, PlannerThresholds, Recovery, SaturationThresholds, ScalingRule,
};
use sim_core::fleet::router::Policy;
use sim_core::fleet::simulation::{FleetSimulation, Replica};
use sim_core::fleet::{Dispatch, FleetResult, RouterSettings};
use sim_core::metrics::digest::digest;
use sim_core::metrics::emissions::EmissionIndex;
use sim_core::profile::{StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::{RequestId, TokenRun};
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::time::{SimDuration, SimTime};
use sim_core::workload::{Traffic, Workload};

use crate::draws::draws;
use crate::fleet_of_one::{check_conserved, in_sessions, limited, policy, waits};
use crate::steady_requests::{stretched_case, surroundings};

/// A replica's outages: shares of the run's length from which and for how long, or for good.
pub(crate) type Drawn = Vec<(usize, f64, Option<f64>)>;

pub(crate) fn drawn_outages() -> impl Strategy<Value = Drawn> {
    let outage = (0_usize..5, 0.0..1.2, prop::option::weighted(0.8, 0.001..0.5));
    prop::collection::vec(outage, 1..8)
}

/// An autoscaler that decides often in runs of some hundred milliseconds, or none.
pub(crate) fn scaling() -> impl Strategy<Value = Option<Autoscaling>> {
    let milliseconds = |range: Range<u64>| range.prop_map(|ms| SimDuration::from_nanos(1_000_000 * ms));
    let thresholds = (0.0..1.0, 0.0..5.0).prop_map(|(kv, queue)| SaturationThresholds {
        kv_cache_threshold: kv,
        queue_length_threshold: queue,
        kv_spare_trigger: kv / 4.0,
        queue_spare_trigger: queue / 4.0,
    });
    let rule = prop_oneof![
        thresholds.prop_map(ScalingRule::Saturation),
        (0.0..1.0).prop_map(|kv| {
            let thresholds = PlannerThresholds { decode_kv_scale_up: kv, ..PlannerThresholds::default() };
            ScalingRule::PlannerLoad(PlannerThresholds { decode_kv_scale_down: kv / 2.0, ..thresholds })
        }),
    ];
    let drawn = (rule, 1_u32..4, 0_u32..4, milliseconds(1..50), milliseconds(1..20), milliseconds(0..100));
    prop::option::of(drawn.prop_map(|(rule, min_replicas, more, interval, metrics_interval, startup_time)| {
        let (initial_replicas, max_replicas) = (min_replicas, min_replicas + more);
        Autoscaling { rule, initial_replicas, min_replicas, max_replicas, interval, metrics_interval, startup_time }
    }))
}

/// Of those drawn, all that can be, in a run that takes so long on one engine.
pub(crate) fn outages(drawn: &Drawn, num_replicas: usize, length: f64) -> Vec<Outage> {
    let mut settings = LifeSettings::default();
    for &(replica, from, lasts) in drawn {
        let number = u32::try_from(replica % num_replicas).expect("few");
        let until = lasts.map_or(SimTime::MAX, |lasts| SimTime::from_secs_f64((from + lasts) * length));
        settings.outages.push(Outage { replica: number, from: SimTime::from_secs_f64(from * length), until });
        if settings.check(u32::try_from(num_replicas).expect("few")).is_err() {
            settings.outages.pop();
        }
    }
    settings.outages
}

/// The run to its end, the number of steps it took, and whether every engine was left as it was found.
fn run(
    workload: &Workload,
    replicas: &[Replica<'_>],
    policy: Policy,
    (settings, record_emissions): (&LifeSettings, bool),
) -> (FleetResult, usize, bool) {
    let dispatch = Dispatch::Router(RouterSettings { policy, ..RouterSettings::default() });
    let options = SimulationOptions { record_emissions };
    let fleet = FleetSimulation::new(workload, replicas, dispatch, options).expect("a possible run");
    let mut fleet = fleet.living(settings, 5);
    let mut num_steps = 1;
    while fleet.advance() {
        num_steps += 1;
    }
    let is_at_rest = fleet.engines().all(|engine| {
        let kv_cache = engine.scheduler().kv_cache();
        !engine.scheduler().has_unfinished_requests() && kv_cache.num_free_blocks() == kv_cache.num_usable_blocks()
    });
    (fleet.finish(), num_steps, is_at_rest)
}

fn check(
    workload: &Workload,
    (config, step_time): (&EngineConfig, &StepTimeModel),
    policy: Policy,
    (drawn, recovery, autoscaling, count): (&Drawn, Recovery, Option<Autoscaling>, usize),
) -> Option<FleetResult> {
    let alone = simulate(workload, config, step_time, SimulationOptions::default()).expect("a possible run");
    let runs_alone = config.enable_chunked_prefill || config.long_prefill_token_threshold == 0;
    if !runs_alone || !alone.recording.requests.iter().all(|request| request.is_finished) {
        return None;
    }
    let count = autoscaling.map_or(count, |scaling| scaling.max_replicas as usize);
    let outages = outages(drawn, count, alone.end_time.as_secs_f64());
    let settings = LifeSettings { outages, recovery, autoscaling };
    let replicas = vec![Replica { config, step_time }; count];
    let (result, _, is_at_rest) = run(workload, &replicas, policy, (&settings, true));
    assert!(is_at_rest, "blocks are free and nobody waits, once all have ended");
    check_conserved(&result, count);
    let life = result.life.as_ref().expect("it has a life");
    for phase in &life.presence.phases {
        let num_replicas = (phase.num_ready + phase.num_coming + phase.num_draining) as usize;
        assert!(num_replicas <= count, "{phase:?} has more than there are");
    }
    let failed: BTreeSet<_> = life.failed.iter().map(|id| id.index()).collect();
    assert_eq!(failed.len(), life.failed.len(), "nobody fails twice");
    for (number, (request, expect)) in result.whole.recording.requests.iter().zip(&alone.recording.requests).enumerate()
    {
        assert_eq!(request.is_finished, !failed.contains(&number), "request {number} ends once");
        let (found, expect) = (request.num_output_tokens, expect.num_output_tokens);
        assert!(if request.is_finished { found == expect } else { found < expect }, "request {number}: {found} tokens");
    }
    let (again, ..) = run(workload, &replicas, policy, (&settings, true));
    assert_eq!(digest(&result.whole.recording), digest(&again.whole.recording), "the same run");
    assert_eq!((&result.owners, &result.life), (&again.owners, &again.life), "the same life");
    // What is told of each message is what the sums are of.
    let recording = &again.whole.recording;
    let emissions = EmissionIndex::new(recording);
    for (number, request) in recording.requests.iter().enumerate() {
        let times: Vec<_> = emissions.delivery_times(number).collect();
        assert_eq!(times.len(), request.num_output_tokens as usize, "messages of request {number}");
        assert!(times.is_sorted(), "messages of request {number} in order");
    }
    let num_gaps: u64 = recording.gaps.iter().map(|gap| u64::from(gap.count)).sum();
    let num_pairs = recording.requests.iter().map(|request| u64::from(request.num_output_tokens.saturating_sub(1)));
    assert_eq!(num_gaps, num_pairs.sum::<u64>(), "times between tokens");
    Some(result)
}

proptest! {
    #![proptest_config(draws(300))]

    #[test]
    fn every_request_ends_once(
        case in stretched_case(), waits in waits(), has_sessions: bool,
        max_concurrency in prop::option::of(1_u32..6), policy in policy(), count in 1_usize..6,
        drawn in drawn_outages(), max_retries in 0_u32..8, migration_limit in 0_u32..3, scaling in scaling(),
        around in prop::option::of(surroundings()),
    ) {
        let workload = limited(&case.workload(), max_concurrency);
        let workload = if has_sessions { in_sessions(&workload, &waits, max_concurrency) } else { workload };
        let recovery = Recovery { max_retries, migration_limit };
        // Tokens may be on their way for long when their replica dies.
        let (mut config, mut step_time) = (case.config.clone(), case.step_time());
        if let Some(around) = around {
            config.pipeline_parallel_size = 1;
            config.api_server_count = around.api_servers();
            step_time = around.step_time();
        }
        check(&workload, (&config, &step_time), policy, (&drawn, recovery, scaling, count));
    }
}

#[test]
fn drawn_lives_have_losses_of_every_kind() {
    let mut runner = TestRunner::deterministic();
    let [mut retries, mut migrations, mut failures, mut unscathed] = [0_u64; 4];
    for _ in 0..100 {
        let case = stretched_case().new_tree(&mut runner).expect("a case").current();
        let drawn = drawn_outages().new_tree(&mut runner).expect("outages").current();
        let recovery = Recovery { max_retries: 2, migration_limit: 1 };
        let of_engine = (&case.config, &case.step_time());
        let result = check(&case.workload(), of_engine, Policy::LeastLoaded, (&drawn, recovery, None, 2));
        let Some(life) = result.and_then(|result| result.life) else { continue };
        retries += life.num_retries;
        migrations += life.num_migrations;
        failures += life.failed.len() as u64;
        unscathed += u64::from(life.touched.is_empty());
    }
    let found = [retries, migrations, failures, unscathed];
    assert!(found.into_iter().all(|count| count >= 10), "retries, migrations, failures, runs without: {found:?}");
}

/// `count` requests of so many prompt tokens and outputs, sent at once or so many seconds apart.
pub(crate) fn workload(count: u32, (prompt_len, output_len): (u32, u32), gap: f64) -> Workload {
    let mut requests = RequestSet::new();
    for id in 0..count {
        let (prompt, output) = ([TokenRun::segment(2 * id, prompt_len)], [TokenRun::segment(2 * id + 1, output_len)]);
        let new = NewRequest {
            prompt: &prompt,
            output: &output,
            max_tokens: output_len,
            stops: false,
            priority: 0,
            arrival_order: u64::from(id),
            id_rank: id,
            cache_salt: 0,
        };
        requests.push(&new).expect("a request");
    }
    let send_times = (0..count).map(|id| SimTime::from_secs_f64(f64::from(id) * gap)).collect();
    Workload { requests, traffic: Traffic::Timed { send_times, max_concurrency: None }, earlier: Vec::new() }
}

fn config() -> EngineConfig {
    EngineConfig::new(16, 2_000, 512)
}

fn step_time() -> StepTimeModel {
    let profile = SyntheticCosts::default().profile();
    StepTimeModel::new(&profile, &StepTimeSettings::vllm_default(&profile, 256, 512)).expect("a profile")
}

fn outage(replica: u32, from: f64, until: f64) -> Outage {
    Outage { replica, from: SimTime::from_secs_f64(from), until: SimTime::from_secs_f64(until) }
}

/// Two requests in turn to two replicas of which the first dies half-way through its answer.
fn half_way(recovery: Recovery) -> (FleetResult, FleetResult) {
    let (workload, config, step_time) = (workload(2, (100, 200), 0.0), config(), step_time());
    let replicas = [Replica { config: &config, step_time: &step_time }; 2];
    let run = |settings: &LifeSettings| run(&workload, &replicas, Policy::RoundRobin, (settings, false)).0;
    let undisturbed = run(&LifeSettings::default());
    let half = undisturbed.whole.end_time.as_secs_f64() / 2.0;
    let settings = LifeSettings { outages: vec![outage(0, half, 9.0)], recovery, autoscaling: None };
    (undisturbed, run(&settings))
}

#[test]
fn an_answer_that_has_begun_fails_with_its_replica_and_what_was_streamed_counts() {
    let (undisturbed, result) = half_way(Recovery::default());
    let life = result.life.expect("it has one");
    assert_eq!((life.failed.as_slice(), life.num_losses, life.num_retries), (&[RequestId(0)][..], 1, 0));
    let [lost, other] = [0, 1].map(|index| result.whole.recording.requests.get(index).expect("a request"));
    assert!(
        !lost.is_finished && (90..110).contains(&lost.num_output_tokens),
        "half of 200: {}",
        lost.num_output_tokens
    );
    assert_eq!(result.replicas[0].num_output_tokens, u64::from(lost.num_output_tokens), "they were generated");
    assert_eq!(
        Some(other.num_output_tokens),
        undisturbed.whole.recording.requests.get(1).map(|request| request.num_output_tokens)
    );
}

#[test]
fn an_answer_goes_on_elsewhere_with_dynamos_migration() {
    let (undisturbed, result) = half_way(Recovery { migration_limit: 1, ..Recovery::default() });
    let life = result.life.as_ref().expect("it has one");
    assert_eq!((life.failed.len(), life.num_migrations), (0, 1));
    let [request, before] = [&result, &undisturbed].map(|result| result.whole.recording.requests.get(0).expect("it"));
    assert!(request.is_finished && request.num_output_tokens == 200, "all of it");
    assert_eq!(result.owners, [1, 1], "by the other one in the end");
    let [end, end_before] = [(&result, request), (&undisturbed, before)].map(|(result, request)| {
        result.whole.recording.passes.get(request.last_token_pass as usize).expect("a pass").delivery_time
    });
    assert!(end > end_before, "prompt and tokens were computed again");
    let given = [0, 1].map(|replica: usize| result.replicas[replica].num_output_tokens);
    assert!(given[0] >= 90 && given[0] + given[1] == 400, "each gave what it gave: {given:?}");
}

#[test]
fn messages_of_an_answer_that_comes_back_to_its_first_replica_stay_in_order() {
    let (workload, config, step_time) = (workload(1, (10, 60), 0.0), config(), step_time());
    let replicas = [Replica { config: &config, step_time: &step_time }; 2];
    let recovery = Recovery { migration_limit: 3, ..Recovery::default() };
    // Passes of 10 ms: one message at the first, then some at the second, the rest at the first again.
    let outages = vec![outage(0, 0.015, 0.05), outage(1, 0.125, 9.0)];
    let settings = LifeSettings { outages, recovery, autoscaling: None };
    let (result, ..) = run(&workload, &replicas, Policy::RoundRobin, (&settings, true));
    assert_eq!(result.life.as_ref().map(|life| life.num_migrations), Some(2));
    let given = result.replicas.iter().map(|replica| replica.num_output_tokens).collect::<Vec<_>>();
    assert!(given.iter().all(|&given| given > 0) && given.iter().sum::<u64>() == 60, "{given:?}");
    let times: Vec<_> = EmissionIndex::new(&result.whole.recording).delivery_times(0).collect();
    assert!(times.len() == 60 && times.is_sorted(), "{times:?}");
}

#[test]
fn with_nobody_there_requests_wait_and_fail_when_tries_are_used_up() {
    let (workload, config, step_time) = (workload(3, (100, 4), 1.0), config(), step_time());
    let replicas = [Replica { config: &config, step_time: &step_time }];
    // The second request comes while the only replica is away: five tries take some 0.7 s.
    let away = |until| LifeSettings { outages: vec![outage(0, 0.5, until)], ..LifeSettings::default() };
    let ends = |until| {
        let (result, ..) = run(&workload, &replicas, Policy::RoundRobin, (&away(until), false));
        let life = result.life.expect("it has one");
        (result.whole.recording.requests.iter().map(|request| request.is_finished).collect::<Vec<_>>(), life)
    };
    let (ended, life) = ends(1.3);
    assert_eq!((ended, life.failed.len(), life.touched.as_slice()), (vec![true; 3], 0, &[RequestId(1)][..]));
    assert!((1..5).contains(&life.num_retries), "{} times it was too early", life.num_retries);
    let (ended, life) = ends(1.9);
    assert_eq!((ended, life.failed.as_slice(), life.num_retries), (vec![true, false, true], &[RequestId(1)][..], 5));
    assert_eq!(
        life.presence.phases.iter().map(|phase| phase.num_ready).collect::<Vec<_>>(),
        [1, 0, 1],
        "{:?}",
        life.presence.phases
    );
}

#[test]
fn steps_grow_as_requests_do() {
    let (config, step_time) = (config(), step_time());
    let replicas = [Replica { config: &config, step_time: &step_time }; 4];
    let steps = |count: u32| {
        let workload = workload(count, (200, 20), 0.002);
        let length = f64::from(count) * 0.002;
        let outages = (0..4).map(|replica| outage(replica, (0.1 + 0.2 * f64::from(replica)) * length, 0.9 * length));
        let settings = LifeSettings { outages: outages.collect(), ..LifeSettings::default() };
        let (result, num_steps, _) = run(&workload, &replicas, Policy::LeastLoaded, (&settings, false));
        let life = result.life.expect("it has one");
        assert!(life.num_losses >= 4, "{} losses", life.num_losses);
        num_steps
    };
    let (few, many) = (steps(1_000), steps(8_000));
    assert!(many <= 9 * few, "{few} steps for 1,000 requests, {many} for 8,000");
}

/// A minute of heavy load and as long without any, on replicas that an autoscaler starts and stops.
fn scaled(rule: ScalingRule) -> (FleetResult, bool) {
    let (config, step_time) = (config(), step_time());
    let busy = workload(6_000, (400, 100), 0.01);
    let quiet = (0..60).map(|number| SimTime::from_secs_f64(61.0 + f64::from(number)));
    let Traffic::Timed { send_times, .. } = &busy.traffic else { unreachable!("it is timed") };
    let send_times: Vec<_> = send_times[..5_940].iter().copied().chain(quiet).collect();
    let workload = Workload { traffic: Traffic::Timed { send_times, max_concurrency: None }, ..busy.clone() };
    let seconds = SimDuration::from_secs_f64;
    let autoscaling = Autoscaling {
        rule,
        initial_replicas: 1,
        min_replicas: 1,
        max_replicas: 6,
        interval: seconds(2.0),
        metrics_interval: seconds(0.5),
        startup_time: seconds(5.0),
    };
    let settings = LifeSettings { autoscaling: Some(autoscaling), ..LifeSettings::default() };
    let replicas = [Replica { config: &config, step_time: &step_time }; 6];
    let (result, _, is_at_rest) = run(&workload, &replicas, Policy::LeastLoaded, (&settings, false));
    (result, is_at_rest)
}

fn check_scaled(rule: ScalingRule) {
    let (result, is_at_rest) = scaled(rule);
    assert!(is_at_rest, "all blocks are free");
    check_conserved(&result, 6);
    let life = result.life.as_ref().expect("it has one");
    assert!(life.failed.is_empty() && life.num_losses == 0, "who stops answers what it has");
    assert!(result.whole.recording.requests.iter().all(|request| request.is_finished), "all are answered");
    let ready: Vec<_> = life.presence.phases.iter().map(|phase| phase.num_ready).collect();
    let most = ready.iter().copied().max().expect("phases");
    assert!(most >= 3 && ready.first() == Some(&1), "replicas were started: {ready:?}");
    assert!(ready.last() < Some(&most), "and stopped: {ready:?}");
    let starts: Vec<_> =
        life.presence.phases.windows(2).filter(|pair| pair[1].num_coming > pair[0].num_coming).collect();
    for pair in starts {
        let start = pair[1].from;
        assert_eq!(start.as_nanos() % 2_000_000_000, 0, "decisions are at their time");
        let ready_at = start + SimDuration::from_secs_f64(5.0);
        assert!(life.presence.phases.iter().any(|phase| phase.from == ready_at), "ready five seconds after {start:?}");
    }
    let length = result.whole.end_time.as_secs_f64();
    assert!(
        life.presence.replica_seconds > length && life.presence.replica_seconds < 6.0 * length,
        "{} seconds",
        life.presence.replica_seconds
    );
    let sum: f64 = life
        .presence
        .phases
        .iter()
        .map(|phase| {
            let count = phase.num_ready + phase.num_coming + phase.num_draining;
            f64::from(count) * (phase.until.as_secs_f64() - phase.from.as_secs_f64())
        })
        .sum();
    assert!((sum - life.presence.replica_seconds).abs() < 1e-6, "{sum} is {}", life.presence.replica_seconds);
}

#[test]
fn autoscalers_start_under_load_and_stop_without_it() {
    let kv = PlannerThresholds { decode_kv_scale_up: 0.4, decode_kv_scale_down: 0.2, ..PlannerThresholds::default() };
    for rule in [ScalingRule::Saturation(SaturationThresholds::default()), ScalingRule::PlannerLoad(kv)] {
        check_scaled(rule);
    }
}
