//! Requests that take each other's blocks for ever: the run ends and says which requests did not.

use sim_core::config::{EngineConfig, VllmVersion};
use sim_core::fleet::simulation::{FleetSimulation, Replica};
use sim_core::fleet::{Dispatch, RouterSettings};
use sim_core::kv_cache::planning::plan;
use sim_core::kv_cache::spec::{KvCacheSpec, LayerKind, MambaCacheMode, MambaState};
use sim_core::request::TokenRun;
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::simulator::SimulationOptions;
use sim_core::time::SimTime;
use sim_core::workload::{Traffic, Workload};

use crate::drawn_engine::planning;
use crate::engine_properties::step_time;

/// Three stages, and states that are kept at blocks of four tokens.
fn config(num_gpu_blocks: u32) -> EngineConfig {
    let config = EngineConfig {
        max_num_seqs: 3,
        max_num_active_seqs: 3,
        max_num_batched_tokens: 16,
        max_num_scheduled_tokens: 16,
        async_scheduling: false,
        pipeline_parallel_size: 3,
        vllm_version: VllmVersion::V0_33,
        ..EngineConfig::new(4, num_gpu_blocks, 67)
    };
    let full = KvCacheSpec::full_attention(4);
    let state = LayerKind::Mamba(MambaState {
        mode: MambaCacheMode::Align,
        num_speculative_blocks: 0,
        num_prefill_checkpoint_blocks: 1,
        prefill_checkpoint_alignment: Some(1),
    });
    let state = KvCacheSpec { kind: state, state_bytes: 4, ..full };
    let window = LayerKind::SlidingWindow { sliding_window: 1, extra_retained_tokens: 0 };
    let specs = [state, state, state, KvCacheSpec { kind: window, ..full }];
    let mut options = planning(&config);
    options.hits.retention_interval = Some(4);
    EngineConfig { kv_cache: plan(&specs, &options).expect("groups"), ..config }
}

/// All at once, each of `(prompt, output)` tokens of its own.
fn workload(asked: &[(u32, u32)]) -> Workload {
    let mut requests = RequestSet::new();
    for (id, &(num_prompt_tokens, max_tokens)) in (0..).zip(asked) {
        let new = NewRequest {
            prompt: &[TokenRun::segment(2 * id, num_prompt_tokens)],
            output: &[TokenRun::segment(2 * id + 1, max_tokens)],
            max_tokens,
            stops: false,
            priority: 0,
            arrival_order: u64::from(id),
            id_rank: id,
            cache_salt: 0,
        };
        requests.push(&new).expect("a possible request");
    }
    let send_times = vec![SimTime::ZERO; asked.len()];
    Workload { requests, traffic: Traffic::Timed { send_times, max_concurrency: None }, earlier: vec![] }
}

/// Runs it on so many replicas of an engine with so many blocks. Returns which requests ended, and how many passes there were.
fn run(num_replicas: usize, num_gpu_blocks: u32, asked: &[(u32, u32)]) -> (Vec<bool>, usize) {
    let (workload, config) = (workload(asked), config(num_gpu_blocks));
    let step_time = step_time(&config);
    let replicas = vec![Replica { config: &config, step_time: &step_time }; num_replicas];
    let (dispatch, options) = (Dispatch::Router(RouterSettings::default()), SimulationOptions::default());
    let mut simulation = FleetSimulation::new(&workload, &replicas, dispatch, options).expect("a possible run");
    for num_calls in 0_u32.. {
        assert!(num_calls < 100_000, "the run does not end");
        if !simulation.advance() {
            break;
        }
    }
    let recording = simulation.finish().whole.recording;
    (recording.requests.iter().map(|request| request.is_finished).collect(), recording.passes.len())
}

#[test]
fn a_run_ends_in_which_nobody_gets_a_token_any_more() {
    // The longest has 56 tokens, and there are three passes under way at most.
    let most = 20 * 56 * 3;
    let asked = [(36, 20), (47, 8), (14, 15)];
    let check = |num_replicas, num_gpu_blocks, expect: [bool; 3]| {
        let (ended, num_passes) = run(num_replicas, num_gpu_blocks, &asked);
        assert_eq!(ended, expect, "{num_replicas} replicas with {num_gpu_blocks} blocks");
        let goes_on = ended.contains(&false);
        assert_eq!(num_passes > most, goes_on, "{num_passes} passes");
        assert!(num_passes < 2 * most, "{num_passes} passes");
    };
    check(1, 24, [false, false, false]);
    check(1, 28, [true, false, true]);
    check(1, 37, [true, true, true]);
    // The second alone on its replica.
    check(2, 28, [true, false, true]);
}
