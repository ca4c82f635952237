//! From a `config.json` to the shapes of a model's layers, family by family.
//!
//! A builder is given what the layers keep, one entry each in vLLM's order, so that which layer attends how is known in one
//! place: the module of the same name beside this folder. It adds what the layers compute.
//!
//! Source: the model's own file in `vllm/model_executor/models`, named by each builder's folder.

mod dense;
mod experts;
mod hybrids;
mod mla;
mod mixtures;
mod other;
mod vision;
mod windows;

pub(super) use dense::{cohere, deci, decoder, ernie, glm4, llama, olmo, qwen2, qwen3, seed_oss};
pub(super) use hybrids::{
    falcon_h1, granite, jamba, kimi, lfm2, mamba1_alone, mamba2_alone, nemotron_h, qwen3_5, qwen3_5_moe, qwen3_next,
    zamba2,
};
pub(super) use mixtures::{ernie_moe, glm4_moe, hy3, minimax_m2, mixtral, qwen2_moe, qwen3_moe};
pub(super) use mla::{deepseek_v2, deepseek_v3, sparse};
pub(super) use other::other_parameters;
pub(super) use windows::{afmoe, exaone4, gemma2, gemma3, gemma3n, gemma4, gpt_oss, llama4, mimo_v2_flash, step3p5};

use alloc::vec::Vec;

use super::config_file::Fields;
use super::error::ModelConfigError;
use super::layers::{ModelLayerKind, ModelLayers};
use super::rank::Rank;
use super::shape::{AttentionShape, DenseMlp, LayerShape, Mixer, Mlp};
use crate::batch::AttentionSpan;

/// Layers, in the model's order.
pub(super) type Shapes = Result<Vec<LayerShape>, ModelConfigError>;
/// Finds them; the second argument is what the layers keep on a rank that holds all heads.
pub(super) type BuildShapes = fn(&Rank<'_>, &[ModelLayers]) -> Shapes;

/// One entry for each layer.
pub(super) fn each(layers: &[ModelLayers]) -> impl Iterator<Item = ModelLayers> + '_ {
    layers.iter().flat_map(|run| (0..run.num_layers).map(|_| ModelLayers { num_layers: 1, ..*run }))
}

/// A layer with nothing but this.
const fn layer(mixer: Mixer, mlp: Mlp, num_norms: u32) -> LayerShape {
    LayerShape { mixer, mlp, num_norms, extra_parameters: 0, shares_weights: false }
}

/// Attention without norms, biases and gates, of the heads that it keeps.
fn attention(rank: &Rank<'_>, kept: &ModelLayers) -> Result<AttentionShape, ModelConfigError> {
    Ok(heads_of(rank, kept, rank.fields.count("num_attention_heads")?))
}

/// The same with so many query heads.
fn heads_of(rank: &Rank<'_>, kept: &ModelLayers, num_heads: u32) -> AttentionShape {
    let row = u64::from(kept.num_kv_heads).saturating_mul(rank.kv_bytes).max(1);
    let values = (kept.bytes / row).saturating_sub(u64::from(kept.head_size));
    AttentionShape {
        num_heads,
        num_kv_heads: kept.num_kv_heads,
        head_dim: kept.head_size,
        v_head_dim: u32::try_from(values).unwrap_or(u32::MAX),
        span: span(kept.kind),
        has_qk_norm: false,
        norms_all_heads: false,
        has_qkv_bias: false,
        has_output_bias: false,
        has_output_gate: false,
        shares_kv: false,
    }
}

const fn span(kind: ModelLayerKind) -> Option<AttentionSpan> {
    match kind {
        ModelLayerKind::SlidingWindow(window) => Some(AttentionSpan::Window(window)),
        ModelLayerKind::ChunkedLocalAttention(chunk) => Some(AttentionSpan::Chunk(chunk)),
        ModelLayerKind::FullAttention | ModelLayerKind::Mla | ModelLayerKind::Mamba => None,
    }
}

/// An MLP of three matrices.
const fn gated(intermediate_size: u32) -> Mlp {
    Mlp::Dense(DenseMlp { intermediate_size, is_gated: true })
}

/// An MLP of three matrices, as wide as the file says.
fn mlp(fields: Fields<'_>) -> Result<Mlp, ModelConfigError> {
    Ok(gated(fields.count("intermediate_size")?))
}

/// Layers of attention, each with its number from 0.
fn numbered(
    rank: &Rank<'_>,
    kept: &[ModelLayers],
    layer: impl Fn(u32, AttentionShape) -> Result<LayerShape, ModelConfigError>,
) -> Shapes {
    (0..).zip(each(kept)).map(|(number, kept)| layer(number, attention(rank, &kept)?)).collect()
}

/// Numbers of queries and keys together, which some models normalise over all heads.
const fn query_and_key_width(attention: &AttentionShape) -> u64 {
    let heads = attention.num_heads as u64 + attention.num_kv_heads as u64;
    heads.saturating_mul(attention.head_dim as u64)
}
