//! Engines that cannot start, and workloads that they cannot run.

use sim_core::config::{EngineConfig, VllmVersion};
use sim_core::kv_cache::planning::plan;
use sim_core::kv_cache::spec::{KvCacheConfig, KvCacheSpec, LayerKind};
use sim_core::profile::{CaptureSizes, Profile, StepTimeModel, StepTimeSettings};
use sim_core::request::{RequestId, TokenRun};
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::speculative::{SpeculativeConfig, SpeculativeMethod};
use sim_core::time::SimTime;
use sim_core::workload::{Traffic, Workload};

use super::check_text;
use crate::drawn_engine::planning;
use crate::profile_fixture::{h100, unpadded};

fn config() -> EngineConfig {
    EngineConfig {
        max_num_seqs: 8,
        max_num_active_seqs: 8,
        max_num_batched_tokens: 64,
        max_num_scheduled_tokens: 64,
        async_scheduling: false,
        ..EngineConfig::new(16, 100, 256)
    }
}

/// Requests with these prompts, all at once.
fn workload(prompts: &[u32]) -> Workload {
    let mut requests = RequestSet::new();
    for (rank, &len) in (0..).zip(prompts) {
        let new = NewRequest {
            prompt: &[TokenRun::segment(2 * rank, len)],
            output: &[TokenRun::segment(2 * rank + 1, 1)],
            max_tokens: 1,
            stops: false,
            priority: 0,
            arrival_order: rank.into(),
            id_rank: rank,
            cache_salt: 0,
        };
        requests.push(&new).expect("a request");
    }
    let send_times = vec![SimTime::ZERO; prompts.len()];
    Workload { requests, traffic: Traffic::Timed { send_times, max_concurrency: None }, earlier: Vec::new() }
}

#[track_caller]
fn check(name: &str, config: &EngineConfig, workload: &Workload) {
    let model = unpadded(&h100());
    let error = simulate(workload, config, &model, SimulationOptions::default()).expect_err("must be refused");
    check_text(&format!("simulation_{name}"), &error);
}

#[test]
fn an_engine_without_a_size_is_refused() {
    let good = config();
    let refused = [
        ("no_seqs", EngineConfig { max_num_seqs: 0, ..good.clone() }),
        ("no_active_seqs", EngineConfig { max_num_active_seqs: 0, ..good.clone() }),
        ("no_batched_tokens", EngineConfig { max_num_batched_tokens: 0, ..good.clone() }),
        ("no_scheduled_tokens", EngineConfig { max_num_scheduled_tokens: 0, ..good.clone() }),
        ("no_model_len", EngineConfig { max_model_len: 0, ..good.clone() }),
        ("no_block_size", EngineConfig { kv_cache: KvCacheConfig::full_attention(0), ..good.clone() }),
        ("no_blocks", EngineConfig { num_gpu_blocks: 0, ..good.clone() }),
        ("no_pipeline", EngineConfig { pipeline_parallel_size: 0, ..good.clone() }),
        ("too_few_blocks", EngineConfig { num_gpu_blocks: 16, ..good.clone() }),
        ("null_block_only", EngineConfig { num_gpu_blocks: 1, ..good }),
    ];
    for (name, config) in refused {
        check(name, &config, &workload(&[10]));
    }
}

#[test]
fn a_lookup_at_which_vllm_stops_is_refused() {
    let full = KvCacheSpec::full_attention(16);
    let chunked = KvCacheSpec { kind: LayerKind::ChunkedLocal { attention_chunk_size: 64 }, ..full };
    let with = |layers: &[KvCacheSpec], speculative| {
        let mut config = EngineConfig { speculative, vllm_version: VllmVersion::V0_32, ..config() };
        config.kv_cache = plan(layers, &planning(&config)).expect("groups");
        config
    };
    let wide = KvCacheSpec { num_kv_heads: 2, ..chunked };
    check("chunks_in_shorter_blocks", &with(&[wide, full], None), &workload(&[10]));
    let eagle = SpeculativeConfig::new(SpeculativeMethod::Eagle, 3);
    check("chunks_give_a_block_up", &with(&[chunked, full], Some(eagle)), &workload(&[10]));
}

#[test]
fn a_request_that_no_pass_can_take_is_refused() {
    check("prompt_fills_the_model", &config(), &workload(&[10, 256]));
    check("prompt_too_long", &config(), &workload(&[10, 11, 67_000_000]));
    let whole_prompts = EngineConfig { enable_chunked_prefill: false, ..config() };
    check("prefill_never_fits", &whole_prompts, &workload(&[64, 65]));
}

#[test]
fn traffic_that_does_not_fit_its_requests_is_refused() {
    let with = |traffic| Workload { traffic, ..workload(&[10, 10, 10]) };
    let seconds = |times: &[f64]| Traffic::Timed {
        send_times: times.iter().copied().map(SimTime::from_secs_f64).collect(),
        max_concurrency: None,
    };
    let per_iter = |queries_per_iter: &[u32]| Traffic::QueriesPerIter {
        queries_per_iter: queries_per_iter.to_vec(),
        join_order: Vec::new(),
        aborts: Vec::new(),
    };
    let in_order = |join_order: &[u32]| Traffic::QueriesPerIter {
        queries_per_iter: vec![3],
        join_order: join_order.iter().copied().map(RequestId).collect(),
        aborts: Vec::new(),
    };
    check("too_few_send_times", &config(), &with(seconds(&[0.0, 1.0])));
    check("send_times_decrease", &config(), &with(seconds(&[0.0, 2.0, 1.0])));
    check("too_few_queries", &config(), &with(per_iter(&[1, 0, 1])));
    check("join_order_names_one_twice", &config(), &with(in_order(&[0, 2, 2])));
    check("join_order_names_nobody", &config(), &with(in_order(&[0, 1, 3])));
    check("join_order_too_short", &config(), &with(in_order(&[1, 0])));
    check("too_many_queries", &config(), &with(per_iter(&[u32::MAX, u32::MAX])));
}

#[test]
fn pipeline_stages_that_the_layers_do_not_fill_are_refused() {
    let check = |name: &str, profile: &Profile, pipeline_parallel_size| {
        let settings = StepTimeSettings {
            capture_sizes: CaptureSizes::none(),
            pipeline_parallel_size,
            ..StepTimeSettings::default()
        };
        let error = StepTimeModel::new(profile, &settings).expect_err("must be refused");
        check_text(&format!("simulation_{name}"), &error);
    };
    check("no_stages", &h100(), 0);
    check("more_stages_than_layers", &h100(), 33);
}
