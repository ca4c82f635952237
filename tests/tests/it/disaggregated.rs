//! Prefill and decode on engines of their own: nobody is lost, nothing is kept, and times are what one reckons.

use proptest::prelude::*;
use sim_core::config::EngineConfig;
use sim_core::fleet::disaggregated::links::Bandwidths;
use sim_core::fleet::disaggregated::result::{DisaggregatedResult, RoleResult};
use sim_core::fleet::disaggregated::settings::{Disaggregated, KvBlock, Role, prefill_workload};
use sim_core::fleet::disaggregated::simulation::DisaggregatedSimulation;
use sim_core::fleet::disaggregated::transfer::TransferCosts;
use sim_core::fleet::router::Policy;
use sim_core::fleet::simulation::Replica;
use sim_core::fleet::{DataParallel, Dispatch, RouterSettings};
use sim_core::metrics::digest::digest;
use sim_core::profile::{StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::TokenRun;
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::sched::connector::interface::KvLoadFailurePolicy;
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::time::{SimDuration, SimTime};
use sim_core::workload::{EarlierOptions, Traffic, Workload};

use crate::draws::draws;
use crate::fleet_of_one::{in_sessions, limited, policy, waits};
use crate::steady_requests::stretched_case;

const FREE: TransferCosts = TransferCosts {
    bandwidths: Bandwidths::both(f64::INFINITY),
    latency: SimDuration::ZERO,
    per_descriptor: SimDuration::ZERO,
};

/// A fleet of so many engines on either side, all alike.
#[derive(Debug, Clone, Copy)]
struct Fleet {
    num_prefill: usize,
    num_decode: usize,
    costs: TransferCosts,
    failure_rate: f64,
    policy: KvLoadFailurePolicy,
    router: Policy,
    ranks: Ranks,
}

/// Data-parallel ranks of each engine of either role, and how those step together; 0 ranks for engines as they are alone.
#[derive(Debug, Clone, Copy)]
struct Ranks {
    prefill: usize,
    decode: usize,
    dp_sync_interval: Option<u32>,
}

const NO_RANKS: Ranks = Ranks { prefill: 0, decode: 0, dp_sync_interval: None };

const ONE_EACH: Fleet = Fleet {
    num_prefill: 1,
    num_decode: 1,
    costs: FREE,
    failure_rate: 0.0,
    policy: KvLoadFailurePolicy::Fail,
    router: Policy::RoundRobin,
    ranks: NO_RANKS,
};

impl Fleet {
    /// How requests are given to a role whose replicas have so many ranks, and how many engines so many of these are.
    fn role(&self, num_replicas: usize, num_ranks: usize) -> (Dispatch, usize) {
        let router = RouterSettings { policy: self.router, ..RouterSettings::default() };
        if num_ranks == 0 {
            return (Dispatch::Router(router), num_replicas);
        }
        let dp_sync_interval = self.ranks.dp_sync_interval;
        let ranks = DataParallel { dp_sync_interval, router: None, num_local_ranks: 1 };
        let num = u32::try_from(num_ranks).expect("few");
        (Dispatch::Replicas { router, num_ranks: num, ranks }, num_replicas * num_ranks)
    }
}

/// Runs it to the end, at which no engine holds anything.
fn run(fleet: Fleet, workload: &Workload, config: &EngineConfig, step_time: &StepTimeModel) -> DisaggregatedResult {
    let prefill_side = prefill_workload(workload);
    let (prefill, num_prefill) = fleet.role(fleet.num_prefill, fleet.ranks.prefill);
    let (decode, num_decode) = fleet.role(fleet.num_decode, fleet.ranks.decode);
    let engines = vec![Replica { config, step_time }; num_prefill.max(num_decode)];
    let setup = Disaggregated {
        prefill: Role { engines: &engines[..num_prefill], dispatch: prefill },
        decode: Role { engines: &engines[..num_decode], dispatch: decode },
        costs: fleet.costs,
        block: KvBlock { num_bytes: 1_000_000, num_descriptors: 8 },
        kv_load_failure_policy: fleet.policy,
        failure_rate: fleet.failure_rate,
        seed: 7,
    };
    let options = SimulationOptions::default();
    let mut run = DisaggregatedSimulation::new((workload, &prefill_side), setup, options).expect("a possible run");
    while run.advance() {}
    if run.num_finished() == workload.requests.len() {
        for (place, engine) in run.engines().enumerate() {
            let kv_cache = engine.engine().scheduler().kv_cache();
            assert_eq!(kv_cache.num_free_blocks(), kv_cache.num_usable_blocks(), "engine {place} keeps no block");
            assert!(!engine.engine().has_work(), "engine {place} has nothing to do");
        }
    }
    run.finish()
}

fn num_tokens(result: &SimulationResult) -> Vec<(bool, u32)> {
    result.recording.requests.iter().map(|request| (request.is_finished, request.num_output_tokens)).collect()
}

/// Each is answered once as one engine answers it, by the engines that are said to, and their sums are the whole.
fn check_conserved(fleet: Fleet, workload: &Workload, config: &EngineConfig, step_time: &StepTimeModel) {
    let result = run(fleet, workload, config, step_time);
    let alone = simulate(workload, config, step_time, SimulationOptions::default()).expect("a possible run");
    let has_failures = fleet.failure_rate > 0.0 && fleet.policy == KvLoadFailurePolicy::Fail;
    // Without chunks, long prompts may run only beside others.
    let runs_alone = config.enable_chunked_prefill || config.long_prefill_token_threshold == 0;
    if !has_failures && runs_alone {
        assert_eq!(num_tokens(&result.whole), num_tokens(&alone), "tokens are those of one engine");
        let loaded = result.transfers.len();
        let asked = alone.recording.requests.iter().filter(|request| request.is_finished).count();
        assert!(loaded >= asked, "{loaded} loads of {asked} requests");
    }
    let mut num_failed = 0;
    let bandwidth = fleet.costs.bandwidths.sending;
    for transfer in &result.transfers {
        num_failed += usize::from(transfer.has_failed);
        assert!(transfer.answer_time <= transfer.begin_time, "it is computed before it is loaded");
        let least = fleet.costs.latency
            + SimDuration::from_secs_f64(sim_core::math::u64_to_f64(transfer.num_bytes) / bandwidth);
        assert!(transfer.duration().as_nanos() + 2 >= least.as_nanos(), "nothing is quicker than alone: {transfer:?}");
    }
    let unfinished = result.whole.recording.requests.iter().filter(|request| !request.is_finished).count();
    if has_failures && runs_alone {
        assert_eq!(unfinished, num_failed, "who was not loaded has no answer, and nobody else");
    }
    let sum = |role: &RoleResult| {
        role.replicas.iter().map(|replica| (replica.num_requests, replica.num_output_tokens)).collect::<Vec<_>>()
    };
    let finished = result.whole.recording.requests.iter().filter(|request| request.is_finished);
    let tokens = finished.map(|request| u64::from(request.num_output_tokens)).sum::<u64>();
    let (requests, answered): (Vec<_>, Vec<_>) = sum(&result.decode).into_iter().unzip();
    let num_measured = workload.num_measured() as u64;
    assert_eq!(requests.iter().sum::<u64>() + unfinished as u64, num_measured, "requests");
    if unfinished == 0 {
        assert_eq!(answered.iter().sum::<u64>(), tokens, "tokens");
        let (requests, firsts): (Vec<_>, Vec<_>) = sum(&result.prefill).into_iter().unzip();
        assert_eq!((&firsts, requests.iter().sum::<u64>()), (&requests, num_measured), "one each");
    }
    for utilisation in result.prefill.utilisations.iter().chain(&result.decode.utilisations) {
        assert!((0.0..=1.0).contains(utilisation), "{utilisation}");
    }
    let again = run(fleet, workload, config, step_time);
    assert_eq!(digest(&result.whole.recording), digest(&again.whole.recording), "the same run");
    let beside = |result: DisaggregatedResult| (result.transfers, result.prefill, result.decode);
    assert_eq!(beside(result), beside(again), "the same transfers, and the same work of either role");
}

fn costs() -> impl Strategy<Value = TransferCosts> {
    let some =
        (1_u32..2000, 0_u64..20_000, 0_u64..20).prop_map(|(mb_per_s, latency_us, descriptor_us)| TransferCosts {
            bandwidths: Bandwidths::both(1e6 * f64::from(mb_per_s)),
            latency: SimDuration::from_nanos(1000 * latency_us),
            per_descriptor: SimDuration::from_nanos(1000 * descriptor_us),
        });
    prop_oneof![1 => Just(FREE), 4 => some]
}

fn fleets() -> impl Strategy<Value = Fleet> {
    let failures = prop_oneof![2 => Just(0.0), 1 => Just(0.3), 1 => Just(1.0)];
    let policies = prop::sample::select(&[KvLoadFailurePolicy::Fail, KvLoadFailurePolicy::Recompute][..]);
    (1_usize..4, 1_usize..4, costs(), failures, policies, policy()).prop_map(
        |(num_prefill, num_decode, costs, failure_rate, policy, router)| Fleet {
            num_prefill,
            num_decode,
            costs,
            failure_rate,
            policy,
            router,
            ranks: NO_RANKS,
        },
    )
}

fn ranks() -> impl Strategy<Value = Ranks> {
    (1_usize..4, 1_usize..4, prop::option::of(1_u32..20)).prop_map(|(prefill, decode, dp_sync_interval)| Ranks {
        prefill,
        decode,
        dp_sync_interval,
    })
}

proptest! {
    #![proptest_config(draws(150))]

    #[test]
    fn nobody_is_lost_and_nothing_is_kept(
        case in stretched_case(), fleet in fleets(), waits in waits(), has_sessions: bool,
        max_concurrency in prop::option::of(1_u32..6),
    ) {
        let workload = limited(&case.workload(), max_concurrency);
        let workload = if has_sessions { in_sessions(&workload, &waits, max_concurrency) } else { workload };
        check_conserved(fleet, &workload, &case.config, &case.step_time());
    }

    #[test]
    fn nobody_is_lost_where_roles_have_ranks(
        case in stretched_case(), fleet in fleets(), ranks in ranks(), max_concurrency in prop::option::of(1_u32..6),
    ) {
        let workload = limited(&case.workload(), max_concurrency);
        let config = EngineConfig { steps_with_others: ranks.dp_sync_interval.is_some(), ..case.config.clone() };
        check_conserved(Fleet { ranks, ..fleet }, &workload, &config, &case.step_time());
    }

    #[test]
    fn one_rank_is_the_engine_of_a_role(
        case in stretched_case(), fleet in fleets(), max_concurrency in prop::option::of(1_u32..6),
    ) {
        let (workload, step_time) = (limited(&case.workload(), max_concurrency), case.step_time());
        let ranks = Ranks { prefill: 1, decode: 1, dp_sync_interval: None };
        let [found, expect] =
            [ranks, NO_RANKS].map(|ranks| run(Fleet { ranks, ..fleet }, &workload, &case.config, &step_time));
        prop_assert_eq!(digest(&found.whole.recording), digest(&expect.whole.recording), "what clients see");
        let beside = |result: DisaggregatedResult| (result.transfers, result.prefill, result.decode);
        prop_assert_eq!(beside(found), beside(expect), "transfers, and the work of either role");
    }
}

/// Requests of so many prompt tokens and 5 answered ones, sent at these milliseconds.
fn workload(sent: &[(u32, u64)]) -> Workload {
    let mut requests = RequestSet::new();
    for (id, &(num_prompt_tokens, _)) in (0..).zip(sent) {
        requests
            .push(&NewRequest {
                prompt: &[TokenRun::segment(2 * id, num_prompt_tokens)],
                output: &[TokenRun::segment(2 * id + 1, 5)],
                max_tokens: 5,
                stops: false,
                priority: 0,
                arrival_order: u64::from(id),
                id_rank: id,
                cache_salt: 0,
            })
            .expect("a request");
    }
    let send_times = sent.iter().map(|&(_, ms)| SimTime::from_nanos(1_000_000 * ms)).collect();
    Workload { requests, traffic: Traffic::Timed { send_times, max_concurrency: None }, earlier: Vec::new() }
}

/// With and without asynchronous scheduling; blocks of 16 tokens.
fn engine(async_scheduling: bool) -> EngineConfig {
    EngineConfig { async_scheduling, ..EngineConfig::new(16, 1000, 4096) }
}

fn step_time() -> StepTimeModel {
    let profile = SyntheticCosts::default().profile();
    StepTimeModel::new(&profile, &StepTimeSettings::vllm_default(&profile, 128, 2048)).expect("a profile")
}

/// In milliseconds: when the first request's first token was there.
fn first_token_ms(result: &DisaggregatedResult) -> f64 {
    let recording = &result.whole.recording;
    let request = recording.requests.get(0).expect("one");
    assert!(request.is_finished, "it was answered");
    let pass = recording.passes.get(request.first_token_pass as usize).expect("a pass");
    pass.delivery_time.saturating_since(request.send_time).as_millis_f64()
}

#[test]
fn a_transfer_delays_the_first_token_by_what_it_takes() {
    let workload = workload(&[(160, 0)]);
    let costs = |gb_per_s: f64, latency_ms: f64| TransferCosts {
        bandwidths: Bandwidths::both(1e9 * gb_per_s),
        latency: SimDuration::from_micros_f64(1000.0 * latency_ms),
        per_descriptor: SimDuration::ZERO,
    };
    for is_async in [false, true] {
        let (config, step_time) = (engine(is_async), step_time());
        let at = |costs| run(Fleet { costs, ..ONE_EACH }, &workload, &config, &step_time);
        let free = at(FREE);
        let [transfer] = free.transfers[..] else { panic!("one load") };
        // All ten blocks: the last token is computed again, and its block was loaded.
        assert_eq!((transfer.num_bytes, transfer.duration()), (10_000_000, SimDuration::ZERO));
        for (costs, expect_ms) in [(costs(0.1, 0.0), 100.0), (costs(0.1, 50.0), 150.0), (costs(1.0, 7.0), 17.0)] {
            let found = at(costs);
            assert_eq!(found.transfers[0].duration(), SimDuration::from_micros_f64(1000.0 * expect_ms));
            // The engine looks every millisecond whether it has ended.
            let delay = first_token_ms(&found) - first_token_ms(&free);
            assert!((delay - expect_ms).abs() <= 1.5, "{delay} ms for {expect_ms}");
        }
    }
}

#[test]
fn a_failed_load_is_computed_or_ends_the_request() {
    let workload = workload(&[(160, 0), (320, 3)]);
    let (config, step_time) = (engine(true), step_time());
    let failing = |policy| run(Fleet { failure_rate: 1.0, policy, ..ONE_EACH }, &workload, &config, &step_time);
    let recomputed = failing(KvLoadFailurePolicy::Recompute);
    assert_eq!(num_tokens(&recomputed.whole), [(true, 5); 2], "all are answered");
    let num_prefill_tokens = |result: &DisaggregatedResult| -> u32 {
        result.whole.recording.passes.iter().map(|pass| pass.num_prefill_tokens).sum()
    };
    assert_eq!(num_prefill_tokens(&recomputed), 480, "on the engine that was to load them");
    let failed = failing(KvLoadFailurePolicy::Fail);
    assert_eq!(num_tokens(&failed.whole), [(false, 0); 2], "none is");
    assert!(failed.transfers.iter().all(|transfer| transfer.has_failed), "as their loads failed");
    let loaded = run(ONE_EACH, &workload, &config, &step_time);
    assert_eq!(num_prefill_tokens(&loaded), 0, "a loaded prompt's last token is computed as a decode is");
}

#[test]
fn a_decode_engine_loads_what_it_does_not_have() {
    // The first one is sent before all, to warm up.
    let mut again = workload(&[(160, 0), (160, 500)]);
    again.send_before(&EarlierOptions { num_warmups: 1, ..EarlierOptions::default() }).expect("one more");
    let result = run(ONE_EACH, &again, &engine(false), &step_time());
    let bytes: Vec<_> = result.transfers.iter().map(|transfer| transfer.num_bytes).collect();
    let hits: Vec<_> = result.whole.recording.requests.iter().map(|request| request.num_cached_tokens).collect();
    // Of the first, the group before left all but the block of its last token.
    assert_eq!(bytes, [1_000_000, 10_000_000], "{hits:?}");
}
