//! Models of latent attention, and those that choose the tokens they attend to by an index.
//!
//! Source: `vllm/model_executor/models/deepseek_v2.py`, `vllm/model_executor/layers/attention/mla_attention.py`.

use alloc::vec;
use alloc::vec::Vec;

use super::config_file::Fields;
use super::error::ModelConfigError;
use super::layers::{ModelLayerKind, ModelLayers};
use super::rank::{Rank, layer};

type Layers = Result<Vec<ModelLayers>, ModelConfigError>;

/// Bytes of a token's row where 512 numbers have one byte each and their scales stand beside them (`fp8_ds_mla`).
const FP8_SPARSE_ROW: u64 = 656;
/// Numbers that share a scale in an index.
const INDEX_GROUP: u32 = 128;

/// Numbers of a token: the compressed keys and values, and the part with a position.
pub(super) fn width(fields: Fields<'_>) -> Result<u32, ModelConfigError> {
    Ok(fields.count("kv_lora_rank")?.saturating_add(fields.count("qk_rope_head_dim")?))
}

/// DeepSeek-V2 and V3, Kimi-K2.
pub(super) fn deepseek(rank: &Rank<'_>) -> Layers {
    let num_layers = rank.fields.num_layers("layer_types")?;
    Ok(vec![ModelLayers { num_layers, ..rank.mla(width(rank.fields)?) }])
}

/// DeepSeek-V3.2 and GLM-5: before a layer stands its index, if it has one.
pub(super) fn sparse(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let num_layers = fields.num_layers("layer_types")?;
    let own_index = indexed_layers(fields, num_layers)?;
    let (index, attention) = sparse_layer(rank)?;
    let layers = own_index.into_iter().flat_map(|has_index| has_index.then_some(index).into_iter().chain([attention]));
    Ok(layers.collect())
}

/// An index and the attention behind it.
pub(super) fn sparse_layer(rank: &Rank<'_>) -> Result<(ModelLayers, ModelLayers), ModelConfigError> {
    let head_size = rank.fields.count("index_head_dim")?;
    // One byte a number, and a scale of four bytes for each group.
    let bytes = head_size.saturating_add((head_size / INDEX_GROUP).saturating_mul(4));
    let index = layer(ModelLayerKind::Mla, (1, bytes), u64::from(bytes));
    let width = width(rank.fields)?;
    let attention = if rank.is_fp8 { rank.mla_row(width, FP8_SPARSE_ROW) } else { rank.mla(width) };
    Ok((index, attention))
}

/// Which layers have an index of their own; the others use the one before.
pub(super) fn indexed_layers(fields: Fields<'_>, num_layers: u32) -> Result<Vec<bool>, ModelConfigError> {
    if let Some(pattern) = fields.text("index_topk_pattern")? {
        let letters = pattern.chars().map(|letter| letter != 'S').chain(core::iter::repeat(true));
        return Ok((0..num_layers).zip(letters).map(|(_, has_index)| has_index).collect());
    }
    let frequency = fields.count_or("index_topk_freq", 1)?;
    let offset = fields.number("index_skip_topk_offset", u32::MAX)?.unwrap_or(2);
    Ok((0..num_layers).map(|layer| (layer + 1).saturating_sub(offset).is_multiple_of(frequency)).collect())
}
