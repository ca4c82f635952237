//! What a recorded engine's layers keep in the KV cache and who drafts, in the words of the trace format.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sim_core::kv_cache::spec::{KvCacheSpec, LayerKind, MambaState};
use sim_core::speculative::{DynamicSchedule, SpeculativeConfig, SpeculativeMethod};

/// Most drafts of a verification.
const MAX_DRAFTS: u32 = 1024;

/// Consecutive layers of one kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecordedLayers {
    pub(crate) kind: String,
    pub(crate) n: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) window: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chunk: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kv_heads: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) head_size: Option<u32>,
    /// Bytes of one head's keys and values of one token; of `mamba`, of a whole state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    /// 32-bit numbers of a state, where `bytes` is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_size: Option<u32>,
    /// Bytes of a block, if padded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) draft: bool,
    /// Positions inside a chunk at which a pass can save a state are multiples of this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) checkpoint_alignment: Option<u32>,
}

/// What a workload sets of the model's layers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RecordedModel {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) layers: Option<Vec<RecordedLayers>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mamba_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mamba_block: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) disable_hybrid: bool,
    /// Given as null to keep all; missing for the default.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub(crate) retention: Option<Option<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prefix_match_unit: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) shared_prefix_checkpoint: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) speculative: Option<RecordedDrafter>,
}

impl RecordedModel {
    /// Whether the recorded worker proposed as many drafts as the scheduler asked for.
    pub(crate) fn proposes_as_scheduled(&self) -> bool {
        self.speculative.as_ref().is_some_and(|drafter| drafter.proposes_as_scheduled)
    }
}

/// A field that is there, be it null.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The drafter: vLLM's own names where it has them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecordedDrafter {
    pub(crate) method: String,
    pub(crate) num_speculative_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_speculative_tokens_per_batch_size: Option<Vec<(u32, u32, u32)>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    disable_lookahead_block_hashes: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    disable_eagle_block_drop: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    parallel_drafting: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_mtp_layers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_from_anchor: Option<bool>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) v2_runner: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_lookup_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_lookup_min: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    proposes_as_scheduled: bool,
}

impl RecordedLayers {
    /// What each of the layers keeps.
    ///
    /// # Errors
    /// If the kind is none, or its length is missing.
    pub(super) fn spec(&self, block_size: u32, mamba_block: u32, state: MambaState) -> Result<KvCacheSpec> {
        let head_size = self.head_size.unwrap_or(if self.kind == "mla" { 576 } else { 64 });
        let (kind, values) = match self.kind.as_str() {
            // With a length it computes with a window and keeps all blocks.
            "full" => {
                let (sliding_window, attention_chunk_size) = (self.window, self.chunk);
                (LayerKind::FullAttention { sliding_window, attention_chunk_size }, 2)
            }
            "window" => {
                let sliding_window = self.window.context("layers: a window's length is missing (window)")?;
                (LayerKind::SlidingWindow { sliding_window, extra_retained_tokens: 0 }, 2)
            }
            "chunked" => {
                let attention_chunk_size = self.chunk.context("layers: a chunk's length is missing (chunk)")?;
                (LayerKind::ChunkedLocal { attention_chunk_size }, 2)
            }
            "mla" => (LayerKind::Mla, 1),
            "mamba" => (LayerKind::Mamba(state), 0),
            other => bail!("layers.kind: {other:?} is none of full, window, chunked, mla and mamba"),
        };
        Ok(if kind.is_mamba() {
            KvCacheSpec {
                kind,
                block_size: mamba_block,
                num_kv_heads: 1,
                head_size: 0,
                state_bytes: self.bytes.unwrap_or_else(|| u64::from(self.state.unwrap_or(512)) * 4),
                page_size_padded: self.page,
                is_draft: self.draft,
            }
        } else {
            KvCacheSpec {
                kind,
                block_size: self.block_size.unwrap_or(block_size),
                num_kv_heads: if kind == LayerKind::Mla { 1 } else { self.kv_heads.unwrap_or(1) },
                head_size,
                // Keys and values in 16 bits.
                state_bytes: self.bytes.unwrap_or_else(|| u64::from(head_size) * values * 2),
                page_size_padded: self.page,
                is_draft: self.draft,
            }
        })
    }
}

impl RecordedDrafter {
    /// As the simulator takes it.
    ///
    /// # Errors
    /// If the method is not simulated, or a number is out of bounds.
    pub(super) fn config(&self) -> Result<SpeculativeConfig> {
        let method = SpeculativeMethod::from_name(&self.method)
            .with_context(|| format!("speculative.method: {:?} is not simulated", self.method))?;
        let num_drafts = self.num_speculative_tokens;
        ensure!(
            (1..=MAX_DRAFTS).contains(&num_drafts),
            "speculative.num_speculative_tokens is {num_drafts}; it must be in 1..={MAX_DRAFTS}"
        );
        let schedule = self.num_speculative_tokens_per_batch_size.as_deref().map(DynamicSchedule::new);
        Ok(SpeculativeConfig {
            num_speculative_tokens_per_batch_size: schedule.transpose().context("speculative")?,
            parallel_drafting: self.parallel_drafting,
            disable_eagle_block_drop: self.disable_eagle_block_drop,
            disable_lookahead_block_hashes: self.disable_lookahead_block_hashes,
            num_mtp_layers: self.num_mtp_layers.unwrap_or(1),
            sample_from_anchor: self.sample_from_anchor.unwrap_or(true),
            ..SpeculativeConfig::new(method, num_drafts)
        })
    }
}
