//! Models of which some layers attend to all tokens, and the others to a window or a chunk.
//!
//! Source: `vllm/model_executor/models/{gpt_oss,gemma2,gemma3,gemma3n,gemma4,olmo2,exaone4,afmoe,commandr,mimo_v2,step3p5,
//! llama4}.py`, and the defaults of transformers' configuration classes.

use alloc::vec::Vec;

use super::config_file::Fields;
use super::error::ModelConfigError;
use super::layers::{ModelLayerKind, ModelLayers};
use super::rank::{Heads, Rank};

type Layers = Result<Vec<ModelLayers>, ModelConfigError>;

const FULL: &str = "full_attention";
const SLIDING: &str = "sliding_attention";

/// The kinds of the first layers, by `layer_types`, or full attention in every `period`-th layer.
fn kinds(fields: Fields<'_>, period: u32) -> Result<Vec<bool>, ModelConfigError> {
    let num_layers = fields.num_layers("layer_types")?;
    Ok(match fields.texts_of_layers("layer_types", num_layers)? {
        Some(types) => types.into_iter().map(|kind| kind == FULL).collect(),
        None => (1..=num_layers).map(|number| number.is_multiple_of(period)).collect(),
    })
}

fn mixed(rank: &Rank<'_>, are_full: &[bool], window: u32) -> Layers {
    let heads = Heads::of(rank.fields)?;
    Ok(are_full.iter().map(|&is_full| if is_full { rank.full(heads) } else { rank.window(heads, window) }).collect())
}

fn every(rank: &Rank<'_>, period: u32) -> Layers {
    mixed(rank, &kinds(rank.fields, period)?, rank.fields.count("sliding_window")?)
}

/// Every second layer, the first with a window.
pub(super) fn gemma2(rank: &Rank<'_>) -> Layers {
    every(rank, 2)
}

/// Every `sliding_window_pattern`-th layer.
pub(super) fn gemma3(rank: &Rank<'_>) -> Layers {
    every(rank, rank.fields.count_or("sliding_window_pattern", 6)?)
}

/// `OLMo` 3 and EXAONE 4: every fourth layer.
pub(super) fn every_fourth(rank: &Rank<'_>) -> Layers {
    every(rank, 4)
}

/// Trinity.
pub(super) fn afmoe(rank: &Rank<'_>) -> Layers {
    every(rank, rank.fields.count_or("global_attn_every_n_layers", 4)?)
}

/// Command R7B, whose window does not count the newest token.
pub(super) fn cohere2(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let are_full = kinds(fields, fields.count_or("sliding_window_pattern", 4)?)?;
    mixed(rank, &are_full, fields.count("sliding_window")?.saturating_add(1))
}

/// gpt-oss: even layers have windows, whatever `layer_types` says.
pub(super) fn gpt_oss(rank: &Rank<'_>) -> Layers {
    let num_layers = rank.fields.num_layers("layer_types")?;
    let are_full: Vec<bool> = (0..num_layers).map(|layer| layer % 2 == 1).collect();
    mixed(rank, &are_full, rank.fields.count("sliding_window")?)
}

/// Gemma 3n: the last layers read the cache of earlier ones.
pub(super) fn gemma3n(rank: &Rank<'_>) -> Layers {
    without_shared(rank.fields, gemma3n_all(rank)?)
}

/// The same with the layers that read.
pub(super) fn gemma3n_all(rank: &Rank<'_>) -> Layers {
    mixed(rank, &kinds(rank.fields, 5)?, rank.fields.count("sliding_window")?)
}

/// Gemma 4: layers of full attention have heads of another size, and the last layer is always one.
pub(super) fn gemma4(rank: &Rank<'_>) -> Layers {
    without_shared(rank.fields, gemma4_all(rank)?)
}

/// The same with the layers that read an earlier one's cache.
pub(super) fn gemma4_all(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let heads = Heads::of(fields)?;
    let keys_are_values = fields.flag_or("attention_k_eq_v", true)?;
    let global_heads = fields.optional_count("num_global_key_value_heads")?.filter(|_| keys_are_values);
    let global = Heads::new(global_heads.unwrap_or(heads.num_kv_heads), fields.count_or("global_head_dim", 512)?);
    let window = fields.count("sliding_window")?;
    let mut are_full = kinds(fields, 6)?;
    if let Some(last) = are_full.last_mut() {
        *last = true;
    }
    let layer = |is_full: bool| if is_full { rank.full(global) } else { rank.window(heads, window) };
    Ok(are_full.into_iter().map(layer).collect())
}

/// The layers that keep something: the last `num_kv_shared_layers` do not.
fn without_shared(fields: Fields<'_>, mut layers: Vec<ModelLayers>) -> Layers {
    let num_shared = fields.count_or("num_kv_shared_layers", 0)?;
    let num_shared = usize::try_from(num_shared).unwrap_or(usize::MAX);
    if num_shared >= layers.len() {
        let value = serde_json::Value::from(num_shared);
        let need = "fewer than the layers, which must have a cache to share";
        return Err(ModelConfigError::value("num_kv_shared_layers", &value, need));
    }
    layers.truncate(layers.len() - num_shared);
    Ok(layers)
}

/// `MiMo-V2-Flash`: values are narrower than keys, and layers with a window have heads of their own.
pub(super) fn mimo_v2_flash(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let full = Heads { head_size_v: fields.count("v_head_dim")?, ..Heads::of(fields)? };
    let (sliding, window) = mimo_v2_window(fields)?;
    let field = "hybrid_layer_pattern";
    let pattern = fields.numbers(field)?.ok_or(ModelConfigError::missing(field))?;
    let num_layers = fields.num_layers(field)?;
    let wanted = usize::try_from(num_layers).unwrap_or(usize::MAX);
    if pattern.len() < wanted {
        return Err(ModelConfigError::TooShort { field, entries: pattern.len(), layers: num_layers });
    }
    let layer = |kind: u64| if kind == 0 { rank.full(full) } else { rank.window(sliding, window) };
    Ok(pattern.into_iter().take(wanted).map(layer).collect())
}

/// Heads and window of those layers.
pub(super) fn mimo_v2_window(fields: Fields<'_>) -> Result<(Heads, u32), ModelConfigError> {
    let heads = Heads {
        num_kv_heads: fields.count("swa_num_key_value_heads")?,
        head_size: fields.count("swa_head_dim")?,
        head_size_v: fields.count("swa_v_head_dim")?,
    };
    Ok((heads, fields.count("sliding_window_size")?))
}

/// Step 3.5.
pub(super) fn step3p5(rank: &Rank<'_>) -> Layers {
    let num_layers = rank.fields.num_layers("layer_types")?;
    let types = rank.fields.texts_of_layers("layer_types", num_layers)?;
    step3p5_layers(rank, &types.ok_or(ModelConfigError::missing("layer_types"))?)
}

/// Layers of Step 3.5 of these kinds, which have the same heads.
pub(super) fn step3p5_layers(rank: &Rank<'_>, types: &[&str]) -> Layers {
    let fields = rank.fields;
    let heads = Heads { num_kv_heads: fields.count("num_attention_groups")?, ..Heads::of(fields)? };
    let window = fields.count("sliding_window")?;
    Ok(types.iter().map(|kind| if *kind == SLIDING { rank.window(heads, window) } else { rank.full(heads) }).collect())
}

/// Llama 4: layers with rotary positions attend in chunks.
pub(super) fn llama4(rank: &Rank<'_>) -> Layers {
    const CHUNK: u32 = 8192;
    let fields = rank.fields;
    let num_layers = fields.num_layers("no_rope_layers")?;
    let interval = u64::from(fields.count_or("no_rope_layer_interval", 4)?);
    let rotary = match fields.numbers("no_rope_layers")?.filter(|layers| !layers.is_empty()) {
        Some(rotary) => rotary,
        None => (1..=u64::from(num_layers)).map(|number| u64::from(!number.is_multiple_of(interval))).collect(),
    };
    let wanted = usize::try_from(num_layers).unwrap_or(usize::MAX);
    if rotary.len() < wanted {
        let (field, entries) = ("no_rope_layers", rotary.len());
        return Err(ModelConfigError::TooShort { field, entries, layers: num_layers });
    }
    // Null is no chunks, absent the default.
    let chunk = fields.number("attention_chunk_size", u32::MAX)?;
    let chunk = if fields.is_null("attention_chunk_size") { None } else { Some(chunk.unwrap_or(CHUNK)) };
    let heads = Heads::of(fields)?;
    let layer = |is_rotary: u64| match chunk.filter(|&chunk| chunk > 0 && is_rotary != 0) {
        Some(chunk) => rank.attention(ModelLayerKind::ChunkedLocalAttention(chunk), heads),
        None => rank.full(heads),
    };
    Ok(rotary.into_iter().take(wanted).map(layer).collect())
}
