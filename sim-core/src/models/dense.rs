//! Models whose layers all attend alike, and those whose layers differ in their heads alone.
//!
//! Source: `vllm/model_executor/models/{llama,qwen2,qwen3,mixtral,nemotron_nas}.py`; for windows,
//! `vllm/engine/arg_utils.py` (`CacheConfig.sliding_window`).

use alloc::vec;
use alloc::vec::Vec;

use serde_json::Value;

use super::config_file::Fields;
use super::error::ModelConfigError;
use super::layers::ModelLayers;
use super::rank::{Heads, Rank};

type Layers = Result<Vec<ModelLayers>, ModelConfigError>;

/// Llama and Mistral: kinds by layer where the file has them, else a window on all layers or on none.
pub(super) fn llama(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let heads = Heads::of(fields)?;
    let num_layers = fields.num_layers("layer_types")?;
    let Some(types) = fields.texts_of_layers("layer_types", num_layers)? else { return one_kind(rank) };
    let kinds = types.into_iter().map(|kind| match kind {
        "sliding_attention" => Ok(rank.window(heads, fields.count("sliding_window")?)),
        _ => Ok(rank.full(heads)),
    });
    kinds.collect()
}

/// Mixtral, Phi-3, GLM-4, `MiniMax-M2`: a window on all layers or on none.
pub(super) fn one_kind(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let num_layers = fields.num_layers("layer_types")?;
    let types = fields.texts_of_layers("layer_types", num_layers)?.unwrap_or_default();
    let is_mixed = types.iter().any(|kind| *kind != "sliding_attention");
    all_alike(rank, num_layers, fields.optional_count("sliding_window")?.filter(|_| !is_mixed))
}

/// Qwen2 and Qwen3: the window counts where `use_sliding_window` is set, from layer `max_window_layers` on. vLLM refuses
/// models with windows on some of the layers.
pub(super) fn qwen(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let num_layers = fields.num_layers("layer_types")?;
    if !fields.flag_or("use_sliding_window", false)? {
        return all_alike(rank, num_layers, None);
    }
    let window = fields.optional_count("sliding_window")?;
    let num_full = match fields.texts_of_layers("layer_types", num_layers)? {
        Some(types) => types.iter().filter(|kind| **kind != "sliding_attention").count(),
        None => usize::try_from(fields.number("max_window_layers", u32::MAX)?.unwrap_or(28)).unwrap_or(usize::MAX),
    };
    match num_full {
        0 => all_alike(rank, num_layers, window),
        full if full >= usize::try_from(num_layers).unwrap_or(usize::MAX) => all_alike(rank, num_layers, None),
        _ => {
            let need = "false, or for all layers alike: vLLM refuses windows on some of the layers";
            Err(ModelConfigError::value("use_sliding_window", &Value::from(true), need))
        }
    }
}

/// Full attention in every layer, whatever else the file says: the drafters of EAGLE.
pub(super) fn all_full(rank: &Rank<'_>) -> Layers {
    all_alike(rank, rank.fields.num_layers("layer_types")?, None)
}

fn all_alike(rank: &Rank<'_>, num_layers: u32, window: Option<u32>) -> Layers {
    let heads = Heads::of(rank.fields)?;
    let layer = window.map_or_else(|| rank.full(heads), |window| rank.window(heads, window));
    Ok(vec![ModelLayers { num_layers, ..layer }])
}

/// Nemotron-NAS (`DeciLM`): each block says how its heads are grouped, or that it has no attention.
pub(super) fn nemotron_nas(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let num_heads = fields.count("num_attention_heads")?;
    let head_size = match fields.optional_count("head_dim")? {
        Some(head_size) => head_size,
        None => super::rank::per_head(fields, 1)?,
    };
    let blocks = fields.objects("block_configs")?;
    let layer = |block: &Fields<'_>| -> Result<Option<ModelLayers>, ModelConfigError> {
        let attention = block.object("attention")?.ok_or(ModelConfigError::missing("block_configs.attention"))?;
        if attention.flag_or("no_op", false)? {
            return Ok(None);
        }
        let num_in_group = attention.count("n_heads_in_group")?;
        Ok(Some(rank.full(Heads::new((num_heads / num_in_group).max(1), head_size))))
    };
    blocks.iter().filter_map(|block| layer(block).transpose()).collect()
}
