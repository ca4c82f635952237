//! Any engine of layers and a drafter under any workload: it is refused, or no block is lost and every request served.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sim_core::config::{EngineConfig, SchedulingPolicy, VllmVersion};
use sim_core::kv_cache::HitSettings;
use sim_core::kv_cache::planning::{DrafterLayer, PlanningOptions, plan};
use sim_core::kv_cache::spec::{KvCacheSpec, LayerKind, MambaCacheMode, MambaState};
use sim_core::profile::{StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::TokenRun;
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::simulator::{Simulation, SimulationOptions};
use sim_core::speculative::{Acceptance, DynamicSchedule, SpeculativeConfig, SpeculativeMethod};
use sim_core::time::SimTime;
use sim_core::workload::{Traffic, Workload};

/// Numbers are brought into small ranges below, so that nearly every input is an engine that starts.
#[derive(Arbitrary, Debug)]
struct Input {
    block_size: u8,
    max_model_len: u8,
    spare_blocks: u8,
    max_num_seqs: u8,
    budget: u8,
    threshold: u8,
    interval: u8,
    watermark: u8,
    stages: u8,
    flags: [bool; 8],
    /// Kind, length of its window or chunk, heads.
    layers: Vec<(u8, u8, u8)>,
    retention: Option<u8>,
    prefix_match_unit: Option<u8>,
    drafter: Option<Drafter>,
    requests: Vec<Asked>,
}

#[derive(Arbitrary, Debug)]
struct Drafter {
    method: u8,
    num_drafts: u8,
    mtp_layers: u8,
    flags: [bool; 4],
    schedule: Option<(u8, u8, u8)>,
    accepted: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct Asked {
    shared: u8,
    own: u8,
    max_tokens: u8,
    stops_at: Option<u8>,
    priority: i8,
}

fn drafter(input: &Drafter) -> SpeculativeConfig {
    let methods = SpeculativeMethod::ALL;
    let num_drafts = 1 + u32::from(input.num_drafts % 6);
    let [parallel_drafting, disable_eagle_block_drop, disable_lookahead_block_hashes, sample_from_anchor] = input.flags;
    let schedule = input.schedule.and_then(|(last, first_drafts, drafts)| {
        let last = 1 + u32::from(last % 6);
        DynamicSchedule::new(&[(1, last, first_drafts.into()), (last + 1, 300, drafts.into())]).ok()
    });
    SpeculativeConfig {
        num_speculative_tokens_per_batch_size: schedule,
        parallel_drafting,
        disable_eagle_block_drop,
        disable_lookahead_block_hashes,
        num_mtp_layers: 1 + u32::from(input.mtp_layers % 3),
        sample_from_anchor,
        ..SpeculativeConfig::new(methods[usize::from(input.method) % methods.len()], num_drafts)
    }
}

fn layer(config: &EngineConfig, saves_inside: bool, (kind, length, heads): (u8, u8, u8)) -> KvCacheSpec {
    let full =
        KvCacheSpec { num_kv_heads: 1 + u32::from(heads % 3), ..KvCacheSpec::full_attention(config.block_size()) };
    let length = u32::from(length);
    let keeps = config.enable_prefix_caching;
    let kind = match kind % 5 {
        0 => LayerKind::FULL,
        1 => LayerKind::SlidingWindow { sliding_window: length, extra_retained_tokens: 0 },
        2 => LayerKind::ChunkedLocal { attention_chunk_size: length },
        3 => LayerKind::Mla,
        _ => LayerKind::Mamba(MambaState {
            mode: if keeps { MambaCacheMode::Align } else { MambaCacheMode::None },
            num_speculative_blocks: config.num_speculative_tokens(),
            num_prefill_checkpoint_blocks: u32::from(keeps && saves_inside),
            prefill_checkpoint_alignment: (keeps && saves_inside).then_some(1 + u32::from(heads % 4)),
        }),
    };
    if kind.is_mamba() {
        let block_size = if keeps { config.block_size() } else { config.max_model_len };
        return KvCacheSpec { kind, num_kv_heads: 1, block_size, state_bytes: 1 + u64::from(heads), ..full };
    }
    KvCacheSpec { kind, ..full }
}

/// The engine, unless its layers cannot be grouped.
fn engine(input: &Input) -> Option<EngineConfig> {
    let [caching, priority, reserve, is_async, v2_runner, old, disable_hybrid, saves_inside] = input.flags;
    let max_model_len = 40 + u32::from(input.max_model_len % 30);
    let budget = 16 + u32::from(input.budget % 64);
    let speculative = input.drafter.as_ref().map(drafter);
    let mut config = EngineConfig {
        max_num_seqs: 8,
        max_num_active_seqs: 1 + u32::from(input.max_num_seqs % 8),
        max_num_batched_tokens: budget,
        max_num_scheduled_tokens: budget,
        enable_prefix_caching: caching,
        // Below the rows of a verification vLLM crashes.
        long_prefill_token_threshold: if input.threshold.is_multiple_of(3) {
            8 + u32::from(input.threshold)
        } else {
            0
        },
        policy: if priority { SchedulingPolicy::Priority } else { SchedulingPolicy::Fcfs },
        scheduler_reserve_full_isl: reserve,
        watermark_blocks: u32::from(input.watermark % 3),
        async_scheduling: is_async,
        pipeline_parallel_size: if speculative.is_none() || is_async { 1 + u32::from(input.stages % 3) } else { 1 },
        vllm_version: if old { VllmVersion::V0_32 } else { VllmVersion::V0_33 },
        use_v2_model_runner: v2_runner,
        prefill_schedule_interval: 1 + u32::from(input.interval % 5),
        enable_mamba_shared_prefix_checkpoint: saves_inside,
        speculative,
        ..EngineConfig::new(1 + u32::from(input.block_size % 8), 1, max_model_len)
    };
    let mut layers: Vec<_> = input.layers.iter().take(6).map(|&drawn| layer(&config, saves_inside, drawn)).collect();
    layers.push(KvCacheSpec {
        is_draft: config.speculative.is_some(),
        ..KvCacheSpec::full_attention(config.block_size())
    });
    let drafter = config.speculative.as_ref();
    let options = PlanningOptions {
        disable_hybrid_kv_cache_manager: disable_hybrid,
        hits: HitSettings {
            enable_prefix_caching: caching,
            prefix_match_unit: input.prefix_match_unit.map(u32::from).filter(|&unit| unit > 0),
            retention_interval: input.retention.map(u32::from),
        },
        marks_drafter: drafter.is_some_and(|drafter| drafter.uses_eagle_block_drop(config.vllm_version)),
        drafter_layer: DrafterLayer::of(config.vllm_version, drafter),
        extra_retained_tokens: config.num_prefill_lookahead_tokens().saturating_sub(1),
    };
    config.kv_cache = plan(&layers, &options).ok()?;
    let needed = config.kv_cache.max_blocks_per_request(config.request_extent());
    config.num_gpu_blocks = 1 + u32::try_from(needed).ok()?.checked_add(u32::from(input.spare_blocks))?;
    Some(config)
}

fn workload(input: &Input) -> Workload {
    let mut requests = RequestSet::new();
    for (id, asked) in (0..).zip(input.requests.iter().take(16)) {
        let max_tokens = 1 + u32::from(asked.max_tokens % 24);
        let stops_at = asked.stops_at.map(|at| 1 + u32::from(at % 24)).filter(|&at| at < max_tokens);
        let shared = TokenRun::segment(1 + u32::from(asked.shared % 2), u32::from(asked.shared % 28));
        let new = NewRequest {
            prompt: &[shared, TokenRun::segment(100 + 2 * id, 1 + u32::from(asked.own % 12))],
            output: &[TokenRun::segment(101 + 2 * id, stops_at.unwrap_or(max_tokens))],
            max_tokens,
            stops: stops_at.is_some(),
            priority: asked.priority.into(),
            arrival_order: id.into(),
            id_rank: id,
            cache_salt: 0,
        };
        requests.push(&new).expect("a possible request");
    }
    if let Some(drafter) = &input.drafter {
        requests
            .set_acceptance(Acceptance::Sequence(drafter.accepted.iter().map(|&accepted| accepted.into()).collect()));
    }
    let send_times = vec![SimTime::ZERO; requests.len()];
    Workload { requests, traffic: Traffic::Timed { send_times, max_concurrency: None }, earlier: Vec::new() }
}

fuzz_target!(|input: Input| {
    let Some(config) = engine(&input) else { return };
    let workload = workload(&input);
    let profile = SyntheticCosts { pass_us: 100.0, ..SyntheticCosts::default() }.profile();
    let settings =
        StepTimeSettings { pipeline_parallel_size: config.pipeline_parallel_size, ..StepTimeSettings::default() };
    let step_time = StepTimeModel::new(&profile, &settings).expect("valid settings");
    let options = SimulationOptions { record_emissions: true };
    let mut simulation = match Simulation::new(&workload, &config, &step_time, options) {
        Ok(simulation) => simulation,
        Err(refused) => {
            assert!(!refused.to_string().is_empty());
            return;
        }
    };
    for steps in 0.. {
        assert!(steps < 50_000, "the run does not end");
        if !simulation.advance() {
            break;
        }
    }
    let kv_cache = simulation.engine().scheduler().kv_cache();
    kv_cache.pool().assert_invariants();
    if simulation.num_finished() == workload.requests.len() {
        assert_eq!(kv_cache.num_free_blocks(), kv_cache.num_usable_blocks(), "blocks were lost");
    }
    let recording = simulation.finish().recording;
    for (record, request) in recording.requests.iter().zip(workload.requests.as_slice()) {
        let limit = request.max_tokens.min(config.max_model_len - request.num_prompt_tokens);
        // Blocks of states that fit into no pass keep a request waiting, in vLLM as well.
        assert!(!record.is_finished || record.num_output_tokens == request.num_output_tokens.min(limit), "{record:?}");
    }
    let drafts = &recording.spec_decoding;
    assert!(drafts.num_accepted_tokens <= drafts.num_draft_tokens, "{drafts:?}");
});
