//! Engines drawn at random: layers of all kinds, drafters, versions, and so few blocks that requests are preempted.

use proptest::prelude::*;
use sim_core::config::{EngineConfig, SchedulingPolicy, VllmVersion};
use sim_core::kv_cache::HitSettings;
use sim_core::kv_cache::planning::{DrafterLayer, PlanningOptions, plan};
use sim_core::kv_cache::spec::{KvCacheConfig, KvCacheGroup, KvCacheSpec, LayerKind, MambaCacheMode, MambaState};
use sim_core::speculative::{Acceptance, DynamicSchedule, SpeculativeConfig, SpeculativeMethod};

/// An engine, and how many of its drafts the model accepts.
#[derive(Debug, Clone)]
pub(crate) struct DrawnEngine {
    pub(crate) config: EngineConfig,
    pub(crate) acceptance: Acceptance,
}

/// The number of the kind with states.
const STATES: u32 = 4;

#[derive(Debug, Clone)]
struct Layers {
    /// A kind by number, tokens of its window or chunk, how many, and whether it has twice the heads.
    layers: Vec<(u32, u32, usize, bool)>,
    disable_hybrid: bool,
    /// In multiples of the scheduler's block size; 0 for the ends alone.
    retention: Option<u32>,
    shared_prefix_checkpoint: bool,
    /// Whether states are saved inside chunks.
    saves_inside: bool,
}

prop_compose! {
    fn layers()(
        layers in prop::collection::vec((0..=STATES, 1_u32..40, 1_usize..4, any::<bool>()), 1..5),
        disable_hybrid in prop::bool::weighted(0.1),
        retention in prop_oneof![Just(Some(0)), Just(None), (1_u32..4).prop_map(Some)],
        flags in any::<[bool; 2]>(),
    ) -> Layers {
        let [shared_prefix_checkpoint, saves_inside] = flags;
        Layers { layers, disable_hybrid, retention, shared_prefix_checkpoint, saves_inside }
    }
}

fn dynamic() -> impl Strategy<Value = Option<DynamicSchedule>> {
    let ranges = |first: u32, drafts: [u32; 2]| {
        let ranges = [(1, first, drafts[0]), (first + 1, 1000, drafts[1])];
        DynamicSchedule::new(&ranges).ok()
    };
    prop_oneof![3 => Just(None), 1 => (1_u32..6, prop::array::uniform2(0_u32..7)).prop_map(move |(first, drafts)| ranges(first, drafts))]
}

prop_compose! {
    fn drafter()(
        method in prop::sample::select(SpeculativeMethod::ALL.to_vec()),
        num_drafts in 1_u32..7,
        schedule in dynamic(),
        num_mtp_layers in 1_u32..3,
        flags in any::<[bool; 4]>(),
    ) -> SpeculativeConfig {
        let [parallel_drafting, disable_eagle_block_drop, disable_lookahead_block_hashes, sample_from_anchor] = flags;
        SpeculativeConfig {
            num_speculative_tokens_per_batch_size: schedule,
            parallel_drafting,
            disable_eagle_block_drop,
            disable_lookahead_block_hashes,
            num_mtp_layers,
            sample_from_anchor,
            ..SpeculativeConfig::new(method, num_drafts)
        }
    }
}

fn acceptance() -> impl Strategy<Value = Acceptance> {
    let rates = (prop::collection::vec(0.0..=1.0, 6), any::<u64>());
    prop_oneof![
        1 => Just(Acceptance::None),
        2 => rates.prop_map(|(conditional, seed)| Acceptance::Rates { conditional, seed }),
        2 => prop::collection::vec(0_u32..8, 1..6).prop_map(Acceptance::Sequence),
    ]
}

/// Settings that depend on nothing else.
fn settings() -> impl Strategy<Value = EngineConfig> {
    let version = prop::sample::select(VllmVersion::ALL.to_vec());
    let flags = any::<[bool; 7]>();
    (1_u32..9, 55_u32..70, 1_u32..9, 8_u32..60, 0_u32..3, 1_u32..4, 1_u32..5, version, flags).prop_map(
        |(block_size, max_model_len, max_num_seqs, budget, watermark_blocks, stages, interval, version, flags)| {
            let [caching, chunked, priority, reserve, async_scheduling, v2_runner, many_stages] = flags;
            // A prompt that never fits is refused.
            let budget = if chunked { budget } else { budget + max_model_len };
            EngineConfig {
                max_num_seqs,
                max_num_active_seqs: max_num_seqs,
                max_num_batched_tokens: budget,
                max_num_scheduled_tokens: budget,
                enable_prefix_caching: caching,
                enable_chunked_prefill: chunked,
                policy: if priority { SchedulingPolicy::Priority } else { SchedulingPolicy::Fcfs },
                scheduler_reserve_full_isl: reserve,
                watermark_blocks,
                async_scheduling,
                pipeline_parallel_size: if many_stages { stages } else { 1 },
                vllm_version: version,
                use_v2_model_runner: v2_runner,
                prefill_schedule_interval: interval,
                ..EngineConfig::new(block_size, 1, max_model_len)
            }
        },
    )
}

/// Any engine that starts.
pub(crate) fn drawn_engine() -> impl Strategy<Value = DrawnEngine> {
    let drafters = prop_oneof![1 => Just(None), 2 => drafter().prop_map(Some)];
    let layers = prop_oneof![1 => Just(None), 3 => layers().prop_map(Some)];
    let spare_blocks = prop_oneof![0_u32..8, 8_u32..100];
    (settings(), layers, drafters, acceptance(), spare_blocks).prop_filter_map(
        "an engine that starts",
        |(config, layers, speculative, acceptance, spare)| {
            let has_states = layers.as_ref().is_some_and(|drawn| drawn.layers.iter().any(|one| one.0 == STATES));
            let config = with_drafter(config, speculative, has_states);
            let config = with_layers(config, layers.as_ref())?;
            let needed = config.kv_cache.max_blocks_per_request(config.request_extent());
            // A block for each group more: the copy of one that a hit ends in.
            let copies = u32::try_from(config.kv_cache.groups.len()).ok()?;
            let num_gpu_blocks = 1 + u32::try_from(needed).ok()? + config.watermark_blocks + copies + spare;
            Some(DrawnEngine { config: EngineConfig { num_gpu_blocks, ..config }, acceptance })
        },
    )
}

/// Room for a verification beside the drafter's slots, and what vLLM does not start or run with left out.
fn with_drafter(config: EngineConfig, speculative: Option<SpeculativeConfig>, has_states: bool) -> EngineConfig {
    let Some(mut speculative) = speculative else { return config };
    if has_states {
        // A chain of layers keeps away from a prompt's end, where a chunk has to end for the state: vLLM goes no further.
        speculative.num_mtp_layers = 1;
    }
    let slots = speculative.draft_slots(config.vllm_version);
    EngineConfig {
        max_num_batched_tokens: config.max_num_batched_tokens + 2 * slots,
        // Without asynchronous scheduling stages ask for drafts before they are there.
        pipeline_parallel_size: if config.async_scheduling { config.pipeline_parallel_size } else { 1 },
        speculative: Some(speculative),
        ..config
    }
}

fn with_layers(config: EngineConfig, drawn: Option<&Layers>) -> Option<EngineConfig> {
    let Some(drawn) = drawn else { return Some(config) };
    let block_size = config.block_size();
    let mut specs = vec![];
    for &(kind, span, count, is_wide) in &drawn.layers {
        let spec = spec(&config, drawn, kind, span, is_wide)?;
        specs.extend([spec].repeat(count));
    }
    if config.speculative.as_ref().is_some_and(|drafter| drafter.method.has_own_layers()) {
        specs.push(KvCacheSpec { is_draft: true, ..KvCacheSpec::full_attention(block_size) });
    }
    let planned = |retention_interval| planned(&config, drawn, &specs, retention_interval);
    let scheduler_block_size = planned(Some(0))?.scheduler_block_size;
    let kv_cache = planned(drawn.retention.map(|times| times * scheduler_block_size))?;
    let is_chunked = |kind: &LayerKind| matches!(kind, LayerKind::ChunkedLocal { .. });
    let refuses_lookup = |group: &KvCacheGroup| {
        is_chunked(&group.spec.kind)
            && (group.spec.block_size != kv_cache.scheduler_block_size || config.drops_eagle_block())
    };
    if config.enable_prefix_caching && kv_cache.groups.iter().any(refuses_lookup) {
        return None;
    }
    // A state's block has to fit into a pass's budget, or nothing moves.
    let has_states = kv_cache.groups.iter().any(|group| group.spec.kind.is_mamba());
    let budget = if has_states { config.max_num_batched_tokens + 2 * kv_cache.scheduler_block_size } else { 0 };
    Some(EngineConfig {
        max_num_batched_tokens: config.max_num_batched_tokens.max(budget),
        max_num_scheduled_tokens: config.max_num_scheduled_tokens.max(budget),
        enable_mamba_shared_prefix_checkpoint: drawn.shared_prefix_checkpoint,
        kv_cache,
        ..config
    })
}

fn planned(
    config: &EngineConfig,
    drawn: &Layers,
    specs: &[KvCacheSpec],
    retention_interval: Option<u32>,
) -> Option<KvCacheConfig> {
    let mut options = planning(config);
    options.disable_hybrid_kv_cache_manager = drawn.disable_hybrid;
    options.hits.retention_interval = retention_interval;
    plan(specs, &options).ok()
}

/// How the layers of an engine are grouped by default.
pub(crate) fn planning(config: &EngineConfig) -> PlanningOptions {
    let speculative = config.speculative.as_ref();
    PlanningOptions {
        disable_hybrid_kv_cache_manager: false,
        hits: HitSettings {
            enable_prefix_caching: config.enable_prefix_caching,
            prefix_match_unit: None,
            retention_interval: Some(0),
        },
        marks_drafter: speculative.is_some_and(|drafter| drafter.uses_eagle_block_drop(config.vllm_version)),
        drafter_layer: DrafterLayer::of(config.vllm_version, speculative),
        extra_retained_tokens: config.num_prefill_lookahead_tokens().saturating_sub(1),
    }
}

fn spec(config: &EngineConfig, drawn: &Layers, kind: u32, span: u32, is_wide: bool) -> Option<KvCacheSpec> {
    let full = KvCacheSpec::full_attention(config.block_size());
    let num_kv_heads = 1 + u32::from(is_wide);
    let kind = match kind {
        0 => LayerKind::FULL,
        1 => LayerKind::SlidingWindow { sliding_window: span, extra_retained_tokens: 0 },
        2 => LayerKind::ChunkedLocal { attention_chunk_size: span },
        3 => LayerKind::Mla,
        _ => {
            let keeps = config.enable_prefix_caching;
            LayerKind::Mamba(MambaState {
                mode: if keeps { MambaCacheMode::Align } else { MambaCacheMode::None },
                num_speculative_blocks: config.num_speculative_tokens(),
                num_prefill_checkpoint_blocks: u32::from(keeps && drawn.saves_inside),
                prefill_checkpoint_alignment: (keeps && drawn.saves_inside).then_some(1),
            })
        }
    };
    // A state is as large as a block; where it is not kept it has one of the whole length.
    let states = u64::from(config.block_size());
    Some(match kind {
        LayerKind::Mamba(state) => KvCacheSpec {
            kind,
            state_bytes: states,
            block_size: match state.mode {
                MambaCacheMode::Align => config.block_size(),
                MambaCacheMode::None => config.max_model_len,
            },
            ..full
        },
        _ => KvCacheSpec { kind, num_kv_heads, ..full },
    })
}
