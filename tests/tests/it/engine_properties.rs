//! What holds for every run of an engine with several groups of layers and a drafter: no panic, no block lost, no budget
//! exceeded, each request to its end, and the same again.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sim_core::config::{EngineConfig, VllmVersion};
use sim_core::kv_cache::planning::plan;
use sim_core::kv_cache::spec::{KvCacheSpec, LayerKind, MambaCacheMode, MambaState};
use sim_core::metrics::digest::digest;
use sim_core::metrics::recorder::{PassRecord, Recording, RequestRecord};
use sim_core::profile::{StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::TokenRun;
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{Simulation, SimulationOptions, simulate};
use sim_core::speculative::{Acceptance, SpeculativeConfig, SpeculativeMethod};
use sim_core::time::{SimDuration, SimTime};
use sim_core::workload::{Traffic, Workload};

use crate::drawn_engine::{DrawnEngine, drawn_engine, planning};
use crate::draws::draws;

#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// One of few texts that prompts begin with, and how much of it.
    shared: (u32, u32),
    own_len: u32,
    max_tokens: u32,
    stops_at: Option<u32>,
    priority: i32,
    gap_us: u64,
}

prop_compose! {
    fn asked()(
        shared in (0_u32..2, 0_u32..28),
        own_len in 1_u32..26,
        max_tokens in 1_u32..24,
        stops_at in prop::option::weighted(0.3, 1_u32..20),
        priority in 0_i32..3,
        gap_us in prop_oneof![Just(0), 0_u64..5_000],
    ) -> Asked {
        Asked { shared, own_len, max_tokens, stops_at, priority, gap_us }
    }
}

const STUCK: Asked = Asked { shared: (0, 0), own_len: 33, max_tokens: 4, stops_at: None, priority: 0, gap_us: 0 };

/// An engine of any kind, and what it is asked.
pub(crate) fn case() -> impl Strategy<Value = (DrawnEngine, Vec<Asked>)> {
    (drawn_engine(), prop::collection::vec(asked(), 1..20))
}

pub(crate) fn workload(engine: &DrawnEngine, asked: &[Asked]) -> Workload {
    let (mut requests, mut send_times, mut now) = (RequestSet::new(), vec![], SimTime::ZERO);
    for (id, one) in (0..).zip(asked) {
        let stops_at = one.stops_at.filter(|&stops_at| stops_at < one.max_tokens);
        let (segment, shared_len) = one.shared;
        let new = NewRequest {
            prompt: &[TokenRun::segment(1 + segment, shared_len), TokenRun::segment(100 + 2 * id, one.own_len)],
            output: &[TokenRun::segment(101 + 2 * id, stops_at.unwrap_or(one.max_tokens))],
            max_tokens: one.max_tokens,
            stops: stops_at.is_some(),
            priority: one.priority,
            arrival_order: u64::from(id),
            id_rank: id,
            cache_salt: 0,
        };
        requests.push(&new).expect("a possible request");
        now += SimDuration::from_nanos(1_000 * one.gap_us);
        send_times.push(now);
    }
    requests.set_acceptance(engine.acceptance.clone());
    Workload { requests, traffic: Traffic::Timed { send_times, max_concurrency: None }, earlier: Vec::new() }
}

pub(crate) fn step_time(config: &EngineConfig) -> StepTimeModel {
    let costs = SyntheticCosts { pass_us: 1_000.0, token_us: 31.0, schedule_us: 300.0, ..SyntheticCosts::default() };
    let profile = costs.profile();
    let settings =
        StepTimeSettings { pipeline_parallel_size: config.pipeline_parallel_size, ..StepTimeSettings::default() };
    StepTimeModel::new(&profile, &settings).expect("valid settings")
}

/// Runs it step by step, with the pool's invariants after each step.
fn run(config: &EngineConfig, workload: &Workload) -> SimulationResult {
    let step_time = step_time(config);
    let options = SimulationOptions { record_emissions: true };
    let mut simulation = Simulation::new(workload, config, &step_time, options).expect("a possible run");
    for steps in 0.. {
        assert!(steps < 20_000, "the run does not end");
        let goes_on = simulation.advance();
        simulation.engine().scheduler().kv_cache().pool().assert_invariants();
        if !goes_on {
            break;
        }
    }
    let kv_cache = simulation.engine().scheduler().kv_cache();
    assert_eq!(kv_cache.num_free_blocks(), kv_cache.num_usable_blocks(), "free blocks at the end");
    simulation.finish()
}

fn check_tokens(config: &EngineConfig, workload: &Workload, recording: &Recording) {
    for (record, request) in recording.requests.iter().zip(workload.requests.as_slice()) {
        let limit = request.max_tokens.min(config.max_model_len - request.num_prompt_tokens);
        assert!(record.is_finished, "a request was lost");
        assert_eq!(record.num_output_tokens, request.num_output_tokens.min(limit), "output tokens");
        assert!(record.num_cached_tokens < record.num_prompt_tokens, "the last prompt token is always computed");
        assert!(record.num_passes >= 1, "a pass at least");
    }
    let delivered: u32 = recording.emissions.iter().map(|run| run.num_messages).sum();
    let told: u32 = recording.passes.iter().map(|pass| pass.num_outputs).sum();
    assert_eq!(delivered, told, "deliveries of all passes");
}

fn check_budgets(config: &EngineConfig, passes: &[PassRecord]) {
    for pass in passes {
        let inputs = pass.num_tokens + config.draft_slots() * pass.num_reqs;
        assert!(inputs <= config.max_num_batched_tokens, "{pass:?}");
        assert!((1..=config.max_num_scheduled_tokens).contains(&pass.num_tokens), "{pass:?}");
        assert!(pass.num_prefill_tokens <= pass.num_tokens, "{pass:?}");
        assert!(pass.num_outputs <= pass.num_reqs && pass.num_reqs <= pass.num_running_reqs, "{pass:?}");
        assert!(pass.num_running_reqs <= config.max_num_active_seqs, "{pass:?}");
        assert!(pass.num_free_blocks < config.num_gpu_blocks, "{pass:?}");
    }
}

fn check_drafts(config: &EngineConfig, recording: &Recording) {
    let drafts = &recording.spec_decoding;
    let most = u64::from(config.num_speculative_tokens());
    assert!(drafts.num_draft_tokens <= drafts.num_drafts * most, "{drafts:?}");
    assert!(drafts.num_accepted_tokens <= drafts.num_draft_tokens, "{drafts:?}");
    let by_position = &drafts.num_accepted_tokens_per_pos;
    assert_eq!(by_position.iter().sum::<u64>(), drafts.num_accepted_tokens, "{drafts:?}");
    assert!(by_position.is_sorted_by(|before, behind| before >= behind), "{drafts:?}");
}

#[test]
fn the_drawn_runs_have_groups_and_drafts_and_little_room() {
    let mut runner = TestRunner::deterministic();
    let mut num_runs_with = [0; 5];
    for _ in 0..300 {
        let (engine, asked) = case().new_tree(&mut runner).expect("a case").current();
        let result = run(&engine.config, &workload(&engine, &asked));
        let groups = &engine.config.kv_cache.groups;
        let happened = [
            groups.len() > 1,
            groups.iter().any(|group| group.spec.kind.is_mamba()),
            result.recording.spec_decoding.num_accepted_tokens > 0,
            result.stats.num_preemptions > 0,
            result.stats.prefix_cache_hits > 0,
        ];
        for (count, happened) in num_runs_with.iter_mut().zip(happened) {
            *count += u32::from(happened);
        }
    }
    let names = ["several groups", "states", "accepted drafts", "preemptions", "cache hits"];
    for (name, count) in names.iter().zip(num_runs_with) {
        assert!(count >= 40, "{name} in {count} of 300 runs: the other properties say little about them");
    }
}

/// vLLM goes no further here, either: the chain of layers keeps a chunk away from the prompt's end, the state wants it
/// there.
#[test]
fn a_run_that_can_go_no_further_ends() {
    let state = MambaState {
        mode: MambaCacheMode::Align,
        num_speculative_blocks: 2,
        num_prefill_checkpoint_blocks: 0,
        prefill_checkpoint_alignment: None,
    };
    let full = KvCacheSpec::full_attention(16);
    let layers = [KvCacheSpec { kind: LayerKind::Mamba(state), state_bytes: 16, ..full }, full];
    let drafter = SpeculativeConfig {
        num_mtp_layers: 2,
        disable_eagle_block_drop: true,
        ..SpeculativeConfig::new(SpeculativeMethod::Mtp, 2)
    };
    for (async_scheduling, max_concurrency) in [(false, None), (true, None), (false, Some(1)), (true, Some(1))] {
        let mut config = EngineConfig {
            vllm_version: VllmVersion::V0_32,
            async_scheduling,
            speculative: Some(drafter.clone()),
            ..EngineConfig::new(16, 100, 256)
        };
        config.kv_cache = plan(&layers, &planning(&config)).expect("groups");
        let engine = DrawnEngine { config, acceptance: Acceptance::None };
        let mut workload = workload(&engine, &[STUCK, STUCK]);
        if let Traffic::Timed { max_concurrency: limit, .. } = &mut workload.traffic {
            *limit = max_concurrency;
        }
        let result = simulate(&workload, &engine.config, &step_time(&engine.config), SimulationOptions::default())
            .expect("a run");
        let is_finished = |record: RequestRecord| record.is_finished;
        assert!(!result.recording.requests.iter().any(is_finished), "{async_scheduling}, {max_concurrency:?}");
    }
}

proptest! {
    #![proptest_config(draws(600))]

    #[test]
    fn every_engine_serves_each_request_to_its_end((engine, asked) in case()) {
        let workload = workload(&engine, &asked);
        let result = run(&engine.config, &workload);
        check_tokens(&engine.config, &workload, &result.recording);
        check_budgets(&engine.config, &result.recording.passes.to_vec());
        check_drafts(&engine.config, &result.recording);
    }

    #[test]
    fn the_same_engine_runs_the_same_again((engine, asked) in case()) {
        let workload = workload(&engine, &asked);
        let (one, other) = (run(&engine.config, &workload), run(&engine.config, &workload));
        prop_assert_eq!(digest(&one.recording), digest(&other.recording));
        prop_assert_eq!(one.stats, other.stats);
    }
}
