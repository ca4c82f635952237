//! Models with states: Mamba, gated delta networks, convolutions, beside attention or alone.
//!
//! Source: `vllm/model_executor/models/{qwen3_next,qwen3_5,nemotron_h,jamba,granitemoehybrid,lfm2,falcon_h1,zamba2,mamba,
//! mamba2,kimi_linear}.py`, `vllm/model_executor/models/config.py` for the number formats of states.

use alloc::vec;
use alloc::vec::Vec;

use super::config_file::Fields;
use super::error::ModelConfigError;
use super::layers::ModelLayers;
use super::mla;
use super::rank::{Heads, Rank, per_head};
use super::settings::Dtype;
use super::states::{Mamba1, Mamba2, State};

type Layers = Result<Vec<ModelLayers>, ModelConfigError>;

/// The recurrent part's number format: what was asked for, or what the file says under `field`.
fn ssm_dtype(rank: &Rank<'_>, field: &'static str) -> Result<Option<Dtype>, ModelConfigError> {
    if let Some(given) = rank.given_ssm_dtype() {
        return Ok(Some(given));
    }
    let Some(name) = rank.fields.text(field)? else { return Ok(None) };
    let need = "one of float32, float16, bfloat16";
    let value = || ModelConfigError::value(field, &serde_json::Value::from(name), need);
    Dtype::from_name(name).map(Some).ok_or_else(value)
}

fn plain_ssm_dtype(rank: &Rank<'_>) -> Dtype {
    rank.given_ssm_dtype().unwrap_or_else(|| rank.conv_dtype())
}

fn expanded(fields: Fields<'_>, factor: &'static str) -> Result<u64, ModelConfigError> {
    Ok(u64::from(fields.count(factor)?) * u64::from(fields.count("hidden_size")?))
}

/// Qwen3-Next: gated delta networks, whose states have the weights' number format.
pub(super) fn qwen3_next(rank: &Rank<'_>) -> Layers {
    delta_and_full(rank, rank.given_ssm_dtype())
}

/// Qwen3.5: the file may ask for another number format.
pub(super) fn qwen3_5(rank: &Rank<'_>) -> Layers {
    delta_and_full(rank, ssm_dtype(rank, "mamba_ssm_dtype")?)
}

fn delta_and_full(rank: &Rank<'_>, ssm: Option<Dtype>) -> Layers {
    let fields = rank.fields;
    let num_layers = fields.num_layers("layer_types")?;
    let period = fields.count_or("full_attention_interval", 4)?;
    let are_full: Vec<bool> = match fields.texts_of_layers("layer_types", num_layers)? {
        Some(types) => types.into_iter().map(|kind| kind == "full_attention").collect(),
        None => (1..=num_layers).map(|number| number.is_multiple_of(period)).collect(),
    };
    let full = rank.full(Heads::of(fields)?);
    let state = State::gated_delta_net(rank, fields, ssm)?.layer(rank);
    Ok(are_full.into_iter().map(|is_full| if is_full { full } else { state }).collect())
}

/// What a layer of Nemotron-H is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NemotronLayer {
    /// Mamba-2.
    Mamba,
    /// Full attention.
    Attention,
    /// An MLP, which keeps nothing.
    Mlp,
    /// Experts, which keep nothing.
    Experts,
}

impl NemotronLayer {
    /// Whether it keeps something.
    pub(super) const fn keeps(self) -> bool {
        matches!(self, Self::Mamba | Self::Attention)
    }
}

/// The layers of Nemotron-H by a text of letters, or by names; `None` if the file has neither.
pub(super) fn nemotron_pattern(
    fields: Fields<'_>,
    letters: &'static str,
    names: &'static str,
) -> Result<Option<Vec<NemotronLayer>>, ModelConfigError> {
    const MAX_LAYERS: usize = 1024;
    if let Some(pattern) = fields.text(letters)? {
        let layer = |letter| match letter {
            'M' => NemotronLayer::Mamba,
            '*' => NemotronLayer::Attention,
            'E' => NemotronLayer::Experts,
            _ => NemotronLayer::Mlp,
        };
        if pattern.len() > MAX_LAYERS {
            let value = serde_json::Value::from(pattern);
            return Err(ModelConfigError::value(letters, &value, alloc::format!("at most {MAX_LAYERS} letters")));
        }
        return Ok(Some(pattern.chars().map(layer).collect()));
    }
    let layer = |name| match name {
        "mamba" | "linear_attention" => NemotronLayer::Mamba,
        "attention" | "full_attention" => NemotronLayer::Attention,
        "moe" => NemotronLayer::Experts,
        _ => NemotronLayer::Mlp,
    };
    Ok(fields.texts(names)?.map(|names| names.into_iter().map(layer).collect()))
}

/// Full attention of Nemotron-H.
pub(super) fn nemotron_attention(rank: &Rank<'_>) -> Result<ModelLayers, ModelConfigError> {
    let fields = rank.fields;
    let num_kv_heads = fields.optional_count("num_key_value_heads")?;
    let num_kv_heads = num_kv_heads.map_or_else(|| fields.count("num_attention_heads"), Ok)?;
    let head_size = fields.optional_count("head_dim")?;
    let head_size = head_size.map_or_else(|| fields.count_or("attention_head_dim", 128), Ok)?;
    Ok(rank.full(Heads::new(num_kv_heads, head_size)))
}

/// The layers of Nemotron-H, which the file must name.
pub(super) fn nemotron_layers(fields: Fields<'_>) -> Result<Vec<NemotronLayer>, ModelConfigError> {
    let pattern = nemotron_pattern(fields, "hybrid_override_pattern", "layers_block_type")?;
    pattern.ok_or(ModelConfigError::missing("hybrid_override_pattern"))
}

/// States of Nemotron-H.
pub(super) fn nemotron_sizes(fields: Fields<'_>) -> Result<Mamba2, ModelConfigError> {
    let (num_heads, head_size) = (fields.count("mamba_num_heads")?, fields.count("mamba_head_dim")?);
    Ok(Mamba2 {
        intermediate: u64::from(num_heads) * u64::from(head_size),
        num_groups: fields.count("n_groups")?,
        num_heads,
        head_size,
        state_size: fields.count("ssm_state_size")?,
        conv_kernel: fields.count("conv_kernel")?,
    })
}

/// Nemotron-H and Nemotron 3: states of 32 bits unless the file says otherwise.
pub(super) fn nemotron_h(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let pattern = nemotron_layers(fields)?;
    let sizes = nemotron_sizes(fields)?;
    let ssm = ssm_dtype(rank, "mamba_ssm_cache_dtype")?.unwrap_or(Dtype::Float32);
    let state = State::mamba2(rank, &sizes, ssm).layer(rank);
    let attention = nemotron_attention(rank)?;
    let layer = |layer| match layer {
        NemotronLayer::Mamba => Some(state),
        NemotronLayer::Attention => Some(attention),
        NemotronLayer::Mlp | NemotronLayer::Experts => None,
    };
    Ok(pattern.into_iter().filter_map(layer).collect())
}

/// States of Jamba.
pub(super) fn jamba_sizes(fields: Fields<'_>) -> Result<Mamba1, ModelConfigError> {
    Ok(Mamba1 {
        intermediate: expanded(fields, "mamba_expand")?,
        state_size: fields.count("mamba_d_state")?,
        conv_kernel: fields.count("mamba_d_conv")?,
    })
}

/// Jamba: Mamba-1, and attention in every so-manieth layer.
pub(super) fn jamba(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let (period, offset) =
        (fields.count("attn_layer_period")?, fields.number("attn_layer_offset", u32::MAX)?.unwrap_or(0));
    let sizes = jamba_sizes(fields)?;
    let state = State::mamba1(rank, &sizes).layer(rank);
    let full = rank.full(Heads::of(fields)?);
    let num_layers = fields.num_layers("layers_block_type")?;
    Ok((0..num_layers).map(|layer| if layer % period == offset { full } else { state }).collect())
}

/// Elements of a state's head: `auto`, or nothing, is the width's share.
fn state_head_size(
    fields: Fields<'_>,
    field: &'static str,
    intermediate: u64,
    num_heads: u32,
) -> Result<u32, ModelConfigError> {
    if fields.value(field).is_some_and(|value| value.as_str() != Some("auto")) {
        return fields.count(field);
    }
    let share = u32::try_from(intermediate / u64::from(num_heads)).ok().filter(|&share| share > 0);
    share.ok_or(ModelConfigError::missing(field))
}

/// Mamba-2 under the names of Granite 4 and Falcon-H1, which alone has `mamba_d_ssm`.
pub(super) fn granite_sizes(fields: Fields<'_>) -> Result<Mamba2, ModelConfigError> {
    let intermediate = match fields.optional_count("mamba_d_ssm")? {
        Some(intermediate) => u64::from(intermediate),
        None => expanded(fields, "mamba_expand")?,
    };
    let num_heads = fields.count("mamba_n_heads")?;
    Ok(Mamba2 {
        intermediate,
        num_groups: fields.count("mamba_n_groups")?,
        num_heads,
        head_size: state_head_size(fields, "mamba_d_head", intermediate, num_heads)?,
        state_size: fields.count("mamba_d_state")?,
        conv_kernel: fields.count("mamba_d_conv")?,
    })
}

fn mamba2(rank: &Rank<'_>) -> Result<ModelLayers, ModelConfigError> {
    Ok(State::mamba2(rank, &granite_sizes(rank.fields)?, plain_ssm_dtype(rank)).layer(rank))
}

/// Granite 4.
pub(super) fn granite(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let num_layers = fields.num_layers("layer_types")?;
    // As in the library, a file that names no kinds has states alone.
    let alone = || (0..num_layers).map(|_| "mamba").collect();
    let types: Vec<&str> = fields.texts_of_layers("layer_types", num_layers)?.unwrap_or_else(alone);
    let full = rank.full(Heads::of(fields)?);
    // Granite 4 has sizes without states, too: its smallest are dense.
    if types.iter().all(|kind| *kind == "attention") {
        return Ok(types.into_iter().map(|_| full).collect());
    }
    let state = mamba2(rank)?;
    Ok(types.into_iter().map(|kind| if kind == "attention" { full } else { state }).collect())
}

/// Falcon-H1: attention and a state in every layer, side by side.
pub(super) fn falcon_h1(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let pair = [rank.full(Heads::of(fields)?), mamba2(rank)?];
    Ok((0..fields.num_layers("layer_types")?).flat_map(|_| pair).collect())
}

/// LFM2: short convolutions and attention.
pub(super) fn lfm2(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let num_layers = fields.num_layers("layer_types")?;
    let are_full: Vec<bool> = match fields.texts_of_layers("layer_types", num_layers)? {
        Some(types) => types.into_iter().map(|kind| kind == "full_attention").collect(),
        None => {
            // As in the library, all of them where the file says neither.
            let full = fields.numbers("full_attn_idxs")?;
            (0..u64::from(num_layers)).map(|layer| full.as_ref().is_none_or(|full| full.contains(&layer))).collect()
        }
    };
    let width = fields.optional_count("conv_dim")?.map_or_else(|| fields.count("hidden_size"), Ok)?;
    let state = State::short_conv(rank, fields.count("conv_L_cache")?, width).layer(rank);
    let full = rank.full(Heads::of(fields)?);
    Ok(are_full.into_iter().map(|is_full| if is_full { full } else { state }).collect())
}

/// States of Zamba 2.
pub(super) fn zamba2_sizes(fields: Fields<'_>) -> Result<Mamba2, ModelConfigError> {
    let (intermediate, num_heads) = (expanded(fields, "mamba_expand")?, fields.count("n_mamba_heads")?);
    Ok(Mamba2 {
        intermediate,
        num_groups: fields.count("mamba_ngroups")?,
        num_heads,
        head_size: state_head_size(fields, "mamba_headdim", intermediate, num_heads)?,
        state_size: fields.count("mamba_d_state")?,
        conv_kernel: fields.count("mamba_d_conv")?,
    })
}

/// Zamba 2: attention over twice the width, shared by several layers but with a cache for each use. vLLM builds those
/// first.
pub(super) fn zamba2(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let types = fields.texts("layers_block_type")?.ok_or(ModelConfigError::missing("layers_block_type"))?;
    let state = State::mamba2(rank, &zamba2_sizes(fields)?, plain_ssm_dtype(rank)).layer(rank);
    let num_kv_heads = fields.optional_count("num_key_value_heads")?;
    let num_kv_heads = num_kv_heads.map_or_else(|| fields.count("num_attention_heads"), Ok)?;
    let full = rank.full(Heads::new(num_kv_heads, per_head(fields, 2)?));
    let uses = types.into_iter().filter(|kind| *kind == "hybrid").map(|_| full);
    let num_layers = fields.num_layers("layers_block_type")?;
    Ok(uses.chain([ModelLayers { num_layers, ..state }]).collect())
}

/// States of Mamba-2 alone.
pub(super) fn mamba2_sizes(fields: Fields<'_>) -> Result<Mamba2, ModelConfigError> {
    Ok(Mamba2 {
        intermediate: expanded(fields, "expand")?,
        num_groups: fields.count("n_groups")?,
        num_heads: fields.count("num_heads")?,
        head_size: fields.count("head_dim")?,
        state_size: fields.count("state_size")?,
        conv_kernel: fields.count("conv_kernel")?,
    })
}

/// Mamba-2 alone.
pub(super) fn mamba2_alone(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let state = State::mamba2(rank, &mamba2_sizes(fields)?, plain_ssm_dtype(rank)).layer(rank);
    Ok(vec![ModelLayers { num_layers: fields.num_layers("layer_types")?, ..state }])
}

/// States of Mamba-1 alone.
pub(super) fn mamba1_sizes(fields: Fields<'_>) -> Result<Mamba1, ModelConfigError> {
    let intermediate = fields.optional_count("intermediate_size")?.map(u64::from);
    Ok(Mamba1 {
        intermediate: intermediate.map_or_else(|| expanded(fields, "expand"), Ok)?,
        state_size: fields.count("state_size")?,
        conv_kernel: fields.count("conv_kernel")?,
    })
}

/// Mamba-1 alone.
pub(super) fn mamba1_alone(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let state = State::mamba1(rank, &mamba1_sizes(fields)?).layer(rank);
    Ok(vec![ModelLayers { num_layers: fields.num_layers("layer_types")?, ..state }])
}

/// Kimi-Linear and Kimi-K3: delta attention and latent attention. The first stands by its numbers, from 1.
pub(super) fn kimi(rank: &Rank<'_>) -> Layers {
    let fields = rank.fields;
    let linear = fields.object("linear_attn_config")?.ok_or(ModelConfigError::missing("linear_attn_config"))?;
    // Its layers keep 32 bits whatever was asked for, and the engine's own count then does not agree.
    if let Some(given) = rank.given_ssm_dtype().filter(|&given| given != Dtype::Float32) {
        let (field, value) = ("mamba_ssm_cache_dtype", alloc::format!("{given:?}").to_lowercase());
        return Err(ModelConfigError::Setting {
            field,
            value,
            why: "vLLM does not start with it: use float32, or auto",
        });
    }
    let field = "kda_layers";
    let numbers = linear.numbers(field)?.ok_or(ModelConfigError::missing(field))?;
    let state = State::kimi_delta(rank, linear)?.layer(rank);
    let attention = rank.mla(mla::width(fields)?);
    let num_layers = u64::from(fields.num_layers("layer_types")?);
    Ok((1..=num_layers).map(|number| if numbers.contains(&number) { state } else { attention }).collect())
}
