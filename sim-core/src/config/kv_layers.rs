//! The layers of the model and its drafter, with what the engine's settings make of their blocks.
//!
//! Source: `vllm/config/vllm.py` (whether groups are used), `vllm/v1/core/kv_cache_planning.py` (which).

use alloc::vec::Vec;

use super::engine_args::EngineArgs;
use super::layer_specs::{LayerSettings, layer_specs};
use super::platform::{DrafterPlatform, Platform};
use super::refusals::ConfigError;
use crate::kv_cache::HitSettings;
use crate::kv_cache::planning::{DrafterLayer, PlanningOptions, plan};
use crate::kv_cache::spec::{KvCacheConfig, RequestExtent};
use crate::models::layers::{ModelLayerKind, ModelLayers};
use crate::speculative::SpeculativeConfig;
use crate::vllm_version::VllmVersion;

/// Everything that groups follow from but the longest sequence.
#[derive(Debug, Clone)]
pub(super) struct KvLayers {
    layers: Vec<ModelLayers>,
    settings: LayerSettings,
    options: PlanningOptions,
    /// Most tokens of passes that are not settled yet.
    max_in_flight_tokens: u32,
}

/// What of the engine is known before its groups are.
#[derive(Debug, Clone, Copy)]
pub(super) struct KvDemand<'a> {
    pub(super) block_size: u32,
    pub(super) enable_prefix_caching: bool,
    pub(super) speculative: Option<&'a SpeculativeConfig>,
    pub(super) version: VllmVersion,
    pub(super) max_in_flight_tokens: u32,
}

impl KvLayers {
    pub(super) fn new(args: &EngineArgs, platform: &Platform, demand: KvDemand<'_>) -> Result<Self, ConfigError> {
        let mut layers = platform.layers.clone();
        if let Some(drafter) = drafter(platform, demand.speculative) {
            layers.extend(drafter.layers.iter().map(|run| ModelLayers { is_draft: true, ..*run }));
        }
        let count = |field, given: Option<i64>| {
            given.map(|value| u32::try_from(value).or(Err(ConfigError::TooLarge { field, value }))).transpose()
        };
        let retention_interval = args.prefix_cache_retention_interval.unwrap_or(Some(0));
        let hits = HitSettings {
            enable_prefix_caching: demand.enable_prefix_caching,
            prefix_match_unit: count("prefix_match_unit", args.prefix_match_unit)?,
            retention_interval: count("prefix_cache_retention_interval", retention_interval)?,
        };
        let speculative = demand.speculative;
        let drafts_from_hidden_states = speculative.is_some_and(|drafter| drafter.method.uses_hidden_states());
        let version = demand.version;
        let has_no_groups = has_chunks(&layers) && drafts_from_hidden_states;
        if has_no_groups && args.disable_hybrid_kv_cache_manager == Some(false) {
            return Err(ConfigError::HybridKvCacheManager);
        }
        Ok(Self {
            settings: LayerSettings {
                block_size: demand.block_size,
                kernel_block_size: platform.kernel_block_size,
                max_kernel_block_size: platform.max_kernel_block_size,
                mamba_block_size: count("mamba_block_size", args.mamba_block_size)?,
                prefix_match_unit: hits.prefix_match_unit,
                max_model_len: 0,
                enable_prefix_caching: demand.enable_prefix_caching,
                num_speculative_tokens: speculative.map_or(0, |drafter| drafter.num_speculative_tokens),
                version,
            },
            options: PlanningOptions {
                disable_hybrid_kv_cache_manager: args.disable_hybrid_kv_cache_manager.unwrap_or(has_no_groups),
                hits,
                marks_drafter: speculative.is_some_and(|drafter| drafter.uses_eagle_block_drop(version)),
                drafter_layer: DrafterLayer::of(version, speculative),
                extra_retained_tokens: speculative
                    .map_or(0, |drafter| drafter.num_prefill_lookahead_tokens().saturating_sub(1)),
            },
            max_in_flight_tokens: demand.max_in_flight_tokens,
            layers,
        })
    }

    /// The groups of an engine whose longest sequence is `max_model_len`, with the boundaries of hits that were asked
    /// for: vLLM checks those last.
    pub(super) fn plan(&self, max_model_len: u32) -> Result<KvCacheConfig, ConfigError> {
        let specs = layer_specs(&self.layers, &LayerSettings { max_model_len, ..self.settings });
        plan(&specs, &self.options).map_err(ConfigError::KvCachePlanning)
    }

    /// The same with the boundaries that hits have by default.
    pub(super) fn plan_groups(&self, max_model_len: u32) -> Result<KvCacheConfig, ConfigError> {
        let hits = HitSettings { prefix_match_unit: None, retention_interval: Some(0), ..self.options.hits };
        Self { options: PlanningOptions { hits, ..self.options }, ..self.clone() }.plan(max_model_len)
    }

    /// Blocks of one sequence of `max_model_len` tokens over all groups of `plan`.
    pub(super) fn num_blocks(&self, plan: &KvCacheConfig, max_model_len: u32) -> u64 {
        plan.max_blocks_per_request(RequestExtent { max_model_len, max_in_flight_tokens: self.max_in_flight_tokens })
    }

    /// Bytes of a block of the model alone with blocks of `block_size` tokens, as a profile counted them.
    pub(super) fn counted_bytes_per_block(&self, block_size: u32, max_model_len: u32) -> Result<u64, ConfigError> {
        let own: Vec<ModelLayers> = self.layers.iter().copied().filter(|run| !run.is_draft).collect();
        let settings = LayerSettings { block_size, max_model_len, num_speculative_tokens: 0, ..self.settings };
        let hits = HitSettings { prefix_match_unit: None, retention_interval: Some(0), ..self.options.hits };
        let options = PlanningOptions { hits, ..self.options };
        Ok(plan(&layer_specs(&own, &settings), &options).map_err(ConfigError::KvCachePlanning)?.bytes_per_block())
    }
}

/// The profile's drafter by the engine's method.
pub(super) fn drafter<'a>(
    platform: &'a Platform,
    speculative: Option<&SpeculativeConfig>,
) -> Option<&'a DrafterPlatform> {
    let method = speculative?.method;
    platform.drafters.iter().find(|drafter| drafter.method == method)
}

/// Whether some layers attend in chunks, with which vLLM has no groups beside an EAGLE drafter unless they are asked for.
fn has_chunks(layers: &[ModelLayers]) -> bool {
    layers.iter().any(|run| matches!(run.kind, ModelLayerKind::ChunkedLocalAttention(_)))
}
