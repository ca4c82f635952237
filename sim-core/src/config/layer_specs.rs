//! A model's layers as specs of the KV cache, once an engine's settings decide about their blocks.
//!
//! Source: each layer's `get_kv_cache_spec`, and for models with attention and states
//! `vllm/platforms/interface.py::_align_hybrid_block_size`.

use alloc::vec::Vec;

use crate::kv_cache::spec::{KvCacheSpec, LayerKind, MambaCacheMode, MambaState};
use crate::math;
use crate::models::layers::{ModelLayerKind, ModelLayers, PrefillCheckpoint};
use crate::vllm_version::VllmVersion;

/// What of an engine's settings decides about blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct LayerSettings {
    /// Tokens of an attention layer's block as asked for.
    pub(super) block_size: u32,
    /// Smallest number of tokens whose multiples the attention kernels take for a block.
    pub(super) kernel_block_size: u32,
    /// Most tokens of a block that the kernels take in one piece, with which layers with a window have their own; `None`
    /// where they take any.
    pub(super) max_kernel_block_size: Option<u32>,
    /// Tokens of a Mamba layer's block where they are given (`--mamba-block-size`).
    pub(super) mamba_block_size: Option<u32>,
    /// Finest boundary of a hit, if given (`--prefix-match-unit`).
    pub(super) prefix_match_unit: Option<u32>,
    /// Longest sequence.
    pub(super) max_model_len: u32,
    /// Whether full blocks are kept and found again by content.
    pub(super) enable_prefix_caching: bool,
    /// Drafts of a verification at most.
    pub(super) num_speculative_tokens: u32,
    /// Whose rules are followed.
    pub(super) version: VllmVersion,
}

/// The specs of `layers`, one for each layer in the model's order.
pub(super) fn layer_specs(layers: &[ModelLayers], settings: &LayerSettings) -> Vec<KvCacheSpec> {
    let hybrid = Hybrid::of(layers, settings);
    let block_size = hybrid.map_or(settings.block_size, |hybrid| hybrid.block_size);
    let mut specs = Vec::new();
    for run in layers {
        let spec = if run.is_mamba() {
            state_spec(run, settings, hybrid)
        } else {
            let num_kv_heads = run.num_kv_heads.max(1);
            KvCacheSpec {
                kind: attention_kind(run.kind),
                block_size: own_block_size(run, block_size, settings),
                num_kv_heads,
                head_size: run.head_size,
                state_bytes: run.bytes / u64::from(num_kv_heads),
                page_size_padded: None,
                is_draft: run.is_draft,
            }
        };
        specs.extend((0..run.num_layers).map(|_| spec));
    }
    specs
}

/// The spec of layers with states.
fn state_spec(run: &ModelLayers, settings: &LayerSettings, hybrid: Option<Hybrid>) -> KvCacheSpec {
    let mode = if settings.enable_prefix_caching { MambaCacheMode::Align } else { MambaCacheMode::None };
    let block_size = match (mode, hybrid) {
        (MambaCacheMode::Align, Some(hybrid)) => hybrid.block_size,
        (MambaCacheMode::Align, None) => settings.mamba_block_size.unwrap_or(settings.block_size),
        (MambaCacheMode::None, _) => settings.mamba_block_size.unwrap_or(settings.max_model_len),
    };
    let alignment = checkpoint(run, settings).map(|checkpoint| {
        if checkpoint.at_block_ends {
            // On the boundaries of hits (`get_mamba_prefill_checkpoint_grid`).
            settings.prefix_match_unit.map_or(block_size, |unit| lcm(unit, checkpoint.alignment))
        } else {
            checkpoint.alignment
        }
    });
    KvCacheSpec {
        kind: LayerKind::Mamba(MambaState {
            mode,
            num_speculative_blocks: settings.num_speculative_tokens,
            num_prefill_checkpoint_blocks: u32::from(alignment.is_some()),
            prefill_checkpoint_alignment: alignment,
        }),
        block_size,
        num_kv_heads: 1,
        head_size: 0,
        state_bytes: state_bytes(run, settings.num_speculative_tokens),
        page_size_padded: hybrid.map(|hybrid| hybrid.page_size),
        is_draft: run.is_draft,
    }
}

/// Tokens of an attention layer's block: one with a window has the longest that its kernels take in one piece
/// (`attention.py::_largest_kernel_block_within`).
fn own_block_size(run: &ModelLayers, block_size: u32, settings: &LayerSettings) -> u32 {
    match (run.kind, settings.max_kernel_block_size) {
        (ModelLayerKind::SlidingWindow(_), Some(most)) => {
            let smallest = settings.kernel_block_size.max(1);
            let doubled = core::iter::successors(Some(smallest), |size| size.checked_mul(2));
            doubled.take_while(|&size| size <= most.min(block_size)).last().unwrap_or(smallest)
        }
        _ => block_size,
    }
}

const fn attention_kind(kind: ModelLayerKind) -> LayerKind {
    match kind {
        ModelLayerKind::Mla => LayerKind::Mla,
        ModelLayerKind::SlidingWindow(sliding_window) => {
            LayerKind::SlidingWindow { sliding_window, extra_retained_tokens: 0 }
        }
        ModelLayerKind::ChunkedLocalAttention(attention_chunk_size) => LayerKind::ChunkedLocal { attention_chunk_size },
        ModelLayerKind::FullAttention | ModelLayerKind::Mamba => LayerKind::FULL,
    }
}

const fn state_bytes(run: &ModelLayers, num_drafts: u32) -> u64 {
    run.bytes.saturating_add(run.bytes_per_draft_token.saturating_mul(num_drafts as u64))
}

/// Where a layer's passes can save a state inside a chunk.
fn checkpoint(run: &ModelLayers, settings: &LayerSettings) -> Option<PrefillCheckpoint> {
    let can = |checkpoint: &PrefillCheckpoint| {
        !checkpoint.at_block_ends || (settings.enable_prefix_caching && settings.version.saves_states_at_block_ends())
    };
    run.prefill_checkpoint.filter(can)
}

/// The common multiple of the Mamba layers' alignments; `None` if one of them has none
/// (`get_mamba_prefill_checkpoint_alignment`).
fn common_alignment(layers: &[ModelLayers], settings: &LayerSettings) -> Option<u32> {
    let mut states = layers.iter().filter(|run| run.is_mamba());
    states.try_fold(1, |all, run| Some(lcm(all, checkpoint(run, settings)?.alignment)))
}

/// The sizes of a model with attention and states: attention's blocks are made long enough for a state.
#[derive(Debug, Clone, Copy)]
struct Hybrid {
    /// Tokens of an attention layer's block.
    block_size: u32,
    /// Bytes of a block of any layer.
    page_size: u64,
}

impl Hybrid {
    fn of(layers: &[ModelLayers], settings: &LayerSettings) -> Option<Self> {
        let states = layers.iter().filter(|run| run.is_mamba());
        let state =
            states.map(|run| state_bytes(run, settings.num_speculative_tokens)).max().filter(|&bytes| bytes > 0)?;
        let attention = layers.iter().find(|run| !run.is_mamba() && !run.is_draft)?;
        let bytes_per_token = attention.bytes.max(1);
        let kernel = settings.kernel_block_size.max(1);
        let mut alignment = kernel.max(settings.block_size);
        if attention.kind == ModelLayerKind::Mla {
            alignment = alignment.max(128);
        }
        if settings.enable_prefix_caching {
            alignment = lcm(alignment, common_alignment(layers, settings).unwrap_or(1));
        }
        let num_units = state.div_ceil(u64::from(alignment).saturating_mul(bytes_per_token));
        let tokens = u32::try_from(u64::from(alignment).saturating_mul(num_units)).unwrap_or(u32::MAX);
        let block_size = tokens.div_ceil(kernel).saturating_mul(kernel).max(settings.block_size);
        Some(Self { block_size, page_size: u64::from(block_size).saturating_mul(bytes_per_token) })
    }
}

/// The least common multiple, or the largest number there is.
fn lcm(a: u32, b: u32) -> u32 {
    math::lcm(a, b).unwrap_or(u32::MAX)
}
