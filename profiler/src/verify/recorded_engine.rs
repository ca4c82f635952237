//! The engine of a recording: its settings, with its model's layers and drafter, as the simulator takes them.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sim_core::config::{EngineConfig, SchedulingPolicy, VllmVersion};
use sim_core::kv_cache::HitSettings;
use sim_core::kv_cache::planning::{DrafterLayer, PlanningOptions, plan};
use sim_core::kv_cache::spec::{KvCacheConfig, MambaCacheMode, MambaState};
use sim_core::speculative::SpeculativeConfig;

use super::recorded_model::{RecordedDrafter, RecordedModel};

/// The engine's resolved settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecordedEngine {
    pub(super) max_num_seqs: u32,
    pub(super) max_num_batched_tokens: u32,
    pub(super) block_size: u32,
    pub(super) num_gpu_blocks: u32,
    pub(super) max_model_len: u32,
    pub(super) enable_prefix_caching: bool,
    pub(super) enable_chunked_prefill: bool,
    pub(super) long_prefill_token_threshold: u32,
    pub(super) policy: String,
    pub(super) async_scheduling: bool,
    #[serde(default)]
    pub(super) long_prefill_token_threshold_adaptive: bool,
    pub(super) max_num_scheduled_tokens: Option<u32>,
    pub(super) max_num_active_seqs: Option<u32>,
    #[serde(default)]
    pub(super) watermark: f64,
    #[serde(default = "default_true")]
    pub(super) scheduler_reserve_full_isl: bool,
    #[serde(default = "default_one")]
    pub(super) pipeline_parallel_size: u32,
    #[serde(default = "default_one", skip_serializing_if = "is_one")]
    pub(super) prefill_schedule_interval: u32,
}

const fn default_true() -> bool {
    true
}

const fn default_one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_one(number: &u32) -> bool {
    *number == 1
}

/// Most layers of a recording.
const MAX_LAYERS: u32 = 4096;

impl RecordedEngine {
    /// The settings as the simulator takes them, with `model`'s layers and drafter.
    pub(crate) fn config(&self, model: &RecordedModel, version: VllmVersion) -> Result<EngineConfig> {
        let policy = match self.policy.as_str() {
            "fcfs" => SchedulingPolicy::Fcfs,
            "priority" => SchedulingPolicy::Priority,
            other => bail!("engine.policy: {other:?} is neither \"fcfs\" nor \"priority\""),
        };
        self.check()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "vLLM's int() of a share of a u32")]
        let watermark_blocks = (self.watermark * f64::from(self.num_gpu_blocks)) as u32;
        let speculative = model.speculative.as_ref().map(RecordedDrafter::config).transpose()?;
        let kv_cache = self.kv_cache(model, speculative.as_ref(), version)?;
        Ok(EngineConfig {
            max_num_seqs: self.max_num_seqs,
            max_num_active_seqs: self.max_num_active_seqs.unwrap_or(self.max_num_seqs),
            max_num_batched_tokens: self.max_num_batched_tokens,
            max_num_scheduled_tokens: self.max_num_scheduled_tokens.unwrap_or(self.max_num_batched_tokens),
            max_model_len: self.max_model_len,
            num_gpu_blocks: self.num_gpu_blocks,
            enable_prefix_caching: self.enable_prefix_caching,
            enable_chunked_prefill: self.enable_chunked_prefill,
            long_prefill_token_threshold: self.long_prefill_token_threshold,
            long_prefill_token_threshold_adaptive: self.long_prefill_token_threshold_adaptive,
            policy,
            scheduler_reserve_full_isl: self.scheduler_reserve_full_isl,
            watermark_blocks,
            async_scheduling: self.async_scheduling,
            pipeline_parallel_size: self.pipeline_parallel_size,
            vllm_version: version,
            use_v2_model_runner: model.speculative.as_ref().is_some_and(|drafter| drafter.v2_runner),
            prefill_schedule_interval: self.prefill_schedule_interval,
            steps_with_others: false,
            api_server_count: 1,
            kv_cache,
            enable_mamba_shared_prefix_checkpoint: model.shared_prefix_checkpoint,
            speculative,
            kv_offloading: None,
        })
    }

    fn check(&self) -> Result<()> {
        ensure!(self.block_size > 0, "engine.block_size is 0; it must be at least 1");
        ensure!(self.num_gpu_blocks > 1, "engine.num_gpu_blocks is {}; it must be at least 2", self.num_gpu_blocks);
        ensure!(
            u64::from(self.num_gpu_blocks) <= 1 << 26,
            "engine.num_gpu_blocks is {}; the limit is {}",
            self.num_gpu_blocks,
            1 << 26
        );
        ensure!(self.max_model_len > 1, "engine.max_model_len is {}; it must be at least 2", self.max_model_len);
        ensure!((0.0..1.0).contains(&self.watermark), "engine.watermark is {}; it must be in [0, 1)", self.watermark);
        ensure!(
            (1..=64).contains(&self.pipeline_parallel_size),
            "engine.pipeline_parallel_size is {}; it must be in 1..=64",
            self.pipeline_parallel_size
        );
        Ok(())
    }

    /// The layers in groups; one group of full attention if the recording names none.
    fn kv_cache(
        &self,
        model: &RecordedModel,
        speculative: Option<&SpeculativeConfig>,
        version: VllmVersion,
    ) -> Result<KvCacheConfig> {
        let Some(layers) = &model.layers else { return Ok(KvCacheConfig::full_attention(self.block_size)) };
        let mode = match model.mamba_mode.as_deref() {
            Some("none") => MambaCacheMode::None,
            Some("align") => MambaCacheMode::Align,
            None if self.enable_prefix_caching => MambaCacheMode::Align,
            None => MambaCacheMode::None,
            Some(other) => bail!("mamba_mode: {other:?} is neither \"none\" nor \"align\""),
        };
        let default_block = if mode == MambaCacheMode::Align { self.block_size } else { self.max_model_len };
        let mamba_block = model.mamba_block.unwrap_or(default_block);
        let num_layers: u64 = layers.iter().map(|layer| u64::from(layer.n)).sum();
        ensure!(num_layers <= u64::from(MAX_LAYERS), "layers: {num_layers} layers; the limit is {MAX_LAYERS}");
        let mut specs = vec![];
        for layer in layers {
            let state = MambaState {
                mode,
                num_speculative_blocks: speculative.map_or(0, |drafter| drafter.num_speculative_tokens),
                num_prefill_checkpoint_blocks: u32::from(layer.checkpoint_alignment.is_some()),
                prefill_checkpoint_alignment: layer.checkpoint_alignment,
            };
            let spec = layer.spec(self.block_size, mamba_block, state)?;
            specs.extend((0..layer.n).map(|_| spec));
        }
        let options = PlanningOptions {
            disable_hybrid_kv_cache_manager: model.disable_hybrid,
            hits: HitSettings {
                enable_prefix_caching: self.enable_prefix_caching,
                prefix_match_unit: model.prefix_match_unit,
                retention_interval: model.retention.unwrap_or(Some(0)),
            },
            marks_drafter: speculative.is_some_and(|drafter| drafter.uses_eagle_block_drop(version)),
            drafter_layer: DrafterLayer::of(version, speculative),
            extra_retained_tokens: speculative
                .map_or(0, |drafter| drafter.num_prefill_lookahead_tokens().saturating_sub(1)),
        };
        plan(&specs, &options).context("layers")
    }
}
