//! What the model of a workload is made of beside plain layers: groups of layers, and a drafter.

use sim_core::config::EngineConfig;
use sim_core::kv_cache::HitSettings;
use sim_core::kv_cache::planning::{DrafterLayer, PlanningOptions, plan};
use sim_core::kv_cache::spec::{KvCacheSpec, LayerKind, MambaCacheMode, MambaState};
use sim_core::speculative::{Acceptance, SpeculativeConfig, SpeculativeMethod};

const NUM_DRAFTS: u32 = 3;

/// `engine` with a drafter whose keys look ahead.
pub(crate) fn drafting(engine: EngineConfig) -> EngineConfig {
    EngineConfig { speculative: Some(SpeculativeConfig::new(SpeculativeMethod::Eagle3, NUM_DRAFTS)), ..engine }
}

/// By rates, by a mean length, by a list: one after the other.
pub(crate) fn acceptance(index: u32) -> Acceptance {
    match index % 3 {
        0 => Acceptance::conditional(&[0.8, 0.55, 0.3], NUM_DRAFTS, 7).expect("rates"),
        1 => Acceptance::even_rate(2.6, NUM_DRAFTS, 11).expect("a mean length"),
        _ => Acceptance::Sequence(vec![3, 0, 1, 2, 0]),
    }
}

/// `engine` for a model with layers of full attention, with windows and with states, in `num_gpu_blocks` blocks.
pub(crate) fn grouped(engine: EngineConfig, num_gpu_blocks: u32) -> EngineConfig {
    let full = KvCacheSpec::full_attention(engine.block_size());
    let window = LayerKind::SlidingWindow { sliding_window: 100, extra_retained_tokens: 0 };
    let state = LayerKind::Mamba(MambaState {
        mode: MambaCacheMode::Align,
        num_speculative_blocks: engine.num_speculative_tokens(),
        num_prefill_checkpoint_blocks: 0,
        prefill_checkpoint_alignment: None,
    });
    let mut layers = vec![full, full, KvCacheSpec { kind: window, ..full }];
    layers.push(KvCacheSpec { kind: state, state_bytes: u64::from(engine.block_size()), ..full });
    if engine.speculative.is_some() {
        layers.push(KvCacheSpec { is_draft: true, ..full });
    }
    let options = PlanningOptions {
        disable_hybrid_kv_cache_manager: false,
        hits: HitSettings { enable_prefix_caching: true, prefix_match_unit: None, retention_interval: Some(0) },
        marks_drafter: engine.speculative.is_some(),
        drafter_layer: DrafterLayer::of(engine.vllm_version, engine.speculative.as_ref()),
        extra_retained_tokens: 0,
    };
    EngineConfig { kv_cache: plan(&layers, &options).expect("layers that can be grouped"), num_gpu_blocks, ..engine }
}
