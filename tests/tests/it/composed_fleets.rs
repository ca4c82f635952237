//! Replicas that are data-parallel ranks: one of each is what it is alone, and no request is lost, whoever dies.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sim_core::config::EngineConfig;
use sim_core::fleet::life::{LifeSettings, Recovery};
use sim_core::fleet::router::Policy;
use sim_core::fleet::simulation::{FleetSimulation, Replica, simulate_fleet};
use sim_core::fleet::{DataParallel, Dispatch, FleetResult, RouterSettings};
use sim_core::metrics::digest::digest;
use sim_core::profile::{StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::TokenRun;
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::simulator::{SimulationError, SimulationOptions, simulate};
use sim_core::time::SimTime;
use sim_core::workload::{Traffic, Workload};

use crate::draws::draws;
use crate::fleet_life::{Drawn, drawn_outages, outages};
use crate::fleet_of_one::{check_conserved, in_sessions, limited, policy, waits};
use crate::steady_requests::{stretched_case, surroundings};

type Engine<'a> = (&'a EngineConfig, &'a StepTimeModel);

/// Replicas of so many ranks each, of which so many are behind one address.
#[derive(Debug, Clone, Copy)]
struct Shape {
    num_replicas: usize,
    num_ranks: u32,
    /// `None` for vLLM's own balancer over all ranks of a replica.
    num_local_ranks: Option<u32>,
    dp_sync_interval: Option<u32>,
    policy: Policy,
}

impl Shape {
    const fn num_engines(&self) -> usize {
        self.num_replicas * self.num_ranks as usize
    }

    fn dispatch(&self) -> Dispatch {
        let router = RouterSettings { policy: self.policy, ..RouterSettings::default() };
        let ranks = DataParallel {
            dp_sync_interval: self.dp_sync_interval,
            router: self.num_local_ranks.map(|_| router),
            num_local_ranks: self.num_local_ranks.unwrap_or(1),
        };
        Dispatch::Replicas { router, num_ranks: self.num_ranks, ranks }
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let nodes = prop::option::of((1_u32..3, 1_u32..3));
    (1_usize..4, 1_u32..4, nodes, prop::option::of(1_u32..20), policy()).prop_map(
        |(num_replicas, num_ranks, nodes, dp_sync_interval, policy)| {
            let num_ranks = nodes.map_or(num_ranks, |(num_nodes, local)| num_nodes * local);
            Shape { num_replicas, num_ranks, num_local_ranks: nodes.map(|(_, local)| local), dp_sync_interval, policy }
        },
    )
}

fn run(workload: &Workload, (config, step_time): Engine<'_>, dispatch: Dispatch, num_engines: usize) -> FleetResult {
    let engines = vec![Replica { config, step_time }; num_engines];
    simulate_fleet(workload, &engines, dispatch, SimulationOptions::default()).expect("a possible run")
}

fn check_same(found: &FleetResult, expect: &FleetResult) {
    assert_eq!(digest(&found.whole.recording), digest(&expect.whole.recording), "digest");
    assert_eq!((found.whole.stats, found.whole.end_time), (expect.whole.stats, expect.whole.end_time), "the whole");
    assert_eq!((&found.owners, &found.replicas), (&expect.owners, &expect.replicas), "each engine");
    assert_eq!(found.lockstep, expect.lockstep, "steps");
}

/// One of each level is the fleet without that level, to the bit.
fn check_one_of_each(workload: &Workload, engine: Engine<'_>, shape: Shape) {
    let (router, count) = (RouterSettings { policy: shape.policy, ..RouterSettings::default() }, shape.num_replicas);
    let independent = EngineConfig { steps_with_others: false, ..engine.0.clone() };
    let alone = Shape { num_ranks: 1, num_local_ranks: None, dp_sync_interval: None, ..shape };
    let found = run(workload, (&independent, engine.1), alone.dispatch(), count);
    check_same(&found, &run(workload, (&independent, engine.1), Dispatch::Router(router), count));
    if count == 1 {
        let options = SimulationOptions::default();
        let expect = simulate(workload, &independent, engine.1, options).expect("a possible run");
        assert_eq!(digest(&found.whole.recording), digest(&expect.recording), "one of one is the engine");
    }
    let one = Shape { num_replicas: 1, num_local_ranks: None, ..shape };
    let ranks = DataParallel { dp_sync_interval: shape.dp_sync_interval, router: None, num_local_ranks: 1 };
    let found = run(workload, engine, one.dispatch(), one.num_engines());
    check_same(&found, &run(workload, engine, Dispatch::DataParallel(ranks), one.num_engines()));
}

/// The outages happen to whole replicas; who had a request there fails or is answered in full elsewhere.
fn check_lives(
    workload: &Workload,
    (config, step_time): Engine<'_>,
    shape: Shape,
    (drawn, recovery): (&Drawn, Recovery),
) {
    let alone = simulate(workload, config, step_time, SimulationOptions::default()).expect("a possible run");
    // Without chunks, long prompts may run only beside others.
    let runs_alone = config.enable_chunked_prefill || config.long_prefill_token_threshold == 0;
    if !runs_alone || !alone.recording.requests.iter().all(|request| request.is_finished) {
        return;
    }
    let outages = outages(drawn, shape.num_replicas, alone.end_time.as_secs_f64());
    let settings = LifeSettings { outages, recovery, autoscaling: None };
    let engines = vec![Replica { config, step_time }; shape.num_engines()];
    let lived = || {
        let options = SimulationOptions { record_emissions: true };
        let fleet = FleetSimulation::new(workload, &engines, shape.dispatch(), options).expect("a possible run");
        let mut fleet = fleet.living(&settings, 5);
        while fleet.advance() {}
        for engine in fleet.engines() {
            let kv_cache = engine.scheduler().kv_cache();
            assert!(!engine.scheduler().has_unfinished_requests(), "nobody waits once all have ended");
            assert_eq!(kv_cache.num_free_blocks(), kv_cache.num_usable_blocks(), "and all blocks are free");
        }
        fleet.finish()
    };
    let result = lived();
    check_conserved(&result, shape.num_engines());
    let life = result.life.as_ref().expect("it has a life");
    let failed: BTreeSet<_> = life.failed.iter().map(|id| id.index()).collect();
    assert_eq!(failed.len(), life.failed.len(), "nobody fails twice");
    for (number, (request, expect)) in result.whole.recording.requests.iter().zip(&alone.recording.requests).enumerate()
    {
        assert_ne!(request.is_finished, failed.contains(&number), "request {number} finishes or fails");
        if request.is_finished {
            assert_eq!(request.num_output_tokens, expect.num_output_tokens, "request {number} gets all its tokens");
        }
    }
    check_same(&lived(), &result);
}

proptest! {
    #![proptest_config(draws(150))]

    #[test]
    fn one_of_each_is_what_it_is_alone(
        case in stretched_case(), around in surroundings(), shape in shapes(), waits in waits(), has_sessions: bool,
        max_concurrency in prop::option::of(1_u32..6),
    ) {
        let workload = limited(&case.workload(), max_concurrency);
        let workload = if has_sessions { in_sessions(&workload, &waits, max_concurrency) } else { workload };
        let config = EngineConfig {
            pipeline_parallel_size: 1,
            api_server_count: around.api_servers(),
            steps_with_others: shape.dp_sync_interval.is_some(),
            ..case.config.clone()
        };
        check_one_of_each(&workload, (&config, &around.step_time()), shape);
    }

    #[test]
    fn replicas_of_ranks_lose_no_request_whoever_dies(
        case in stretched_case(), around in prop::option::of(surroundings()), shape in shapes(), waits in waits(),
        has_sessions: bool, max_concurrency in prop::option::of(1_u32..6), drawn in drawn_outages(),
        max_retries in 0_u32..8, migration_limit in 0_u32..3,
    ) {
        let workload = limited(&case.workload(), max_concurrency);
        let workload = if has_sessions { in_sessions(&workload, &waits, max_concurrency) } else { workload };
        let (mut config, mut step_time) = (case.config.clone(), case.step_time());
        if let Some(around) = around {
            config.pipeline_parallel_size = 1;
            config.api_server_count = around.api_servers();
            step_time = around.step_time();
        }
        config.steps_with_others = shape.dp_sync_interval.is_some();
        check_lives(&workload, (&config, &step_time), shape, (&drawn, Recovery { max_retries, migration_limit }));
    }
}

/// Requests of so many prompt tokens and 20 answered ones, sent at these milliseconds.
fn workload(sent: &[(u32, u64)]) -> Workload {
    let mut requests = RequestSet::new();
    for (id, &(num_prompt_tokens, _)) in (0..).zip(sent) {
        let new = NewRequest {
            prompt: &[TokenRun::segment(2 * id, num_prompt_tokens)],
            output: &[TokenRun::segment(2 * id + 1, 20)],
            max_tokens: 20,
            stops: false,
            priority: 0,
            arrival_order: u64::from(id),
            id_rank: id,
            cache_salt: 0,
        };
        requests.push(&new).expect("a request");
    }
    let send_times = sent.iter().map(|&(_, ms)| SimTime::from_nanos(1_000_000 * ms)).collect();
    Workload { requests, traffic: Traffic::Timed { send_times, max_concurrency: None }, earlier: Vec::new() }
}

const EIGHT: Shape =
    Shape { num_replicas: 2, num_ranks: 4, num_local_ranks: None, dp_sync_interval: None, policy: Policy::RoundRobin };

fn plain(shape: Shape, sent: &[(u32, u64)]) -> FleetResult {
    let config =
        EngineConfig { steps_with_others: shape.dp_sync_interval.is_some(), ..EngineConfig::new(16, 2_000, 512) };
    let profile = SyntheticCosts::default().profile();
    let settings = StepTimeSettings::vllm_default(&profile, 256, 512);
    let step_time = StepTimeModel::new(&profile, &settings).expect("a profile");
    run(&workload(sent), (&config, &step_time), shape.dispatch(), shape.num_engines())
}

#[test]
fn a_router_sends_to_addresses_and_their_balancers_to_ranks() {
    let burst = [(100, 0); 8];
    // Replicas in turn, and behind each its ranks in turn.
    assert_eq!(plain(EIGHT, &burst).owners, [0, 4, 1, 5, 2, 6, 3, 7]);
    // Nodes in turn: two of each replica.
    let nodes = Shape { num_local_ranks: Some(2), ..EIGHT };
    assert_eq!(plain(nodes, &burst).owners, [0, 2, 4, 6, 1, 3, 5, 7]);
    // Ranks in turn.
    let ranks = Shape { num_local_ranks: Some(1), ..EIGHT };
    assert_eq!(plain(ranks, &burst).owners, [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn replicas_step_apart_and_the_ranks_of_each_together() {
    // The first replica alone has something to do.
    let result = plain(Shape { dp_sync_interval: Some(16), ..EIGHT }, &[(100, 0)]);
    let parts: Vec<_> = result.replicas.iter().map(|engine| engine.num_passes + engine.num_dummy_batches).collect();
    let lockstep = result.lockstep.expect("ranks in lockstep");
    assert_eq!((lockstep.num_waves, parts[..4].to_vec()), (1, vec![lockstep.num_steps; 4]));
    assert_eq!(parts[4..], [0; 4], "the second one sleeps");
    assert_eq!(result.num_ranks, 4);
}

#[test]
fn engines_that_are_no_whole_replicas_are_refused() {
    let config = EngineConfig::new(16, 2_000, 512);
    let profile = SyntheticCosts::default().profile();
    let settings = StepTimeSettings::vllm_default(&profile, 256, 512);
    let step_time = StepTimeModel::new(&profile, &settings).expect("a profile");
    let engines = [Replica { config: &config, step_time: &step_time }; 6];
    let (workload, options) = (workload(&[(100, 0)]), SimulationOptions::default());
    let found = simulate_fleet(&workload, &engines, EIGHT.dispatch(), options).map(|_| ());
    assert_eq!(found, Err(SimulationError::UnevenRanks { num_engines: 6, num_ranks: 4, num_local_ranks: 4 }));
}
