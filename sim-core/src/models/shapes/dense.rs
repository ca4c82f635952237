//! Decoders with an MLP in every layer.
//!
//! Source: `vllm/model_executor/models/{llama,mistral,phi3,qwen2,qwen3,mimo,gemma,granite,glm4,commandr,ernie45,nemotron_nas,
//! nemotron}.py`; for `OLMo` and Seed-OSS, which vLLM takes from transformers, their configuration classes there.

use super::super::config_file::Fields;
use super::super::error::ModelConfigError;
use super::super::layers::ModelLayers;
use super::super::rank::Rank;
use super::super::shape::{AttentionShape, LayerShape, Mixer, Mlp};
use super::{Shapes, each, gated, layer, mlp, numbered, query_and_key_width};
use crate::math;

/// Layers that differ in their attention's reach alone.
fn alike(
    rank: &Rank<'_>,
    kept: &[ModelLayers],
    num_norms: u32,
    change: impl Fn(AttentionShape) -> (AttentionShape, u64),
) -> Shapes {
    let mlp = mlp(rank.fields)?;
    numbered(rank, kept, |_, attention| {
        let (attention, extra_parameters) = change(attention);
        Ok(LayerShape { extra_parameters, ..layer(Mixer::Attention(attention), mlp, num_norms) })
    })
}

/// Whether queries, keys and values have a bias, and whether the output has one (`LlamaDecoderLayer`).
fn llama_biases(fields: Fields<'_>) -> Result<(bool, bool), ModelConfigError> {
    let bias = fields.flag_or("attention_bias", false)? || fields.flag_or("bias", false)?;
    Ok((fields.flag_or("qkv_bias", bias)?, bias))
}

/// Biases of an MLP of three matrices.
fn mlp_biases(fields: Fields<'_>) -> Result<u64, ModelConfigError> {
    if !fields.flag_or("mlp_bias", false)? {
        return Ok(0);
    }
    Ok(u64::from(fields.count("intermediate_size")?) * 2 + u64::from(fields.count("hidden_size")?))
}

/// Llama, Mistral, Granite.
pub(in super::super) fn llama(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let (has_qkv_bias, has_output_bias) = llama_biases(rank.fields)?;
    let extra = mlp_biases(rank.fields)?;
    alike(rank, kept, 2, |attention| (AttentionShape { has_qkv_bias, has_output_bias, ..attention }, extra))
}

/// Phi-3, and whatever has neither biases nor norms of queries.
pub(in super::super) fn decoder(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    alike(rank, kept, 2, |attention| (attention, 0))
}

/// Qwen2 and Qwen2.5.
pub(in super::super) fn qwen2(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    alike(rank, kept, 2, |attention| (AttentionShape { has_qkv_bias: true, ..attention }, 0))
}

/// Qwen3.
pub(in super::super) fn qwen3(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let has_qkv_bias = rank.fields.flag_or("attention_bias", false)?;
    alike(rank, kept, 2, |attention| (AttentionShape { has_qkv_bias, has_qk_norm: true, ..attention }, 0))
}

/// Seed-OSS: biases of queries, keys and values, not of the output unless the file has them.
pub(in super::super) fn seed_oss(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let has_qkv_bias = fields.flag_or("attention_bias", true)?;
    let has_output_bias = fields.flag_or("attention_out_bias", false)?;
    let extra = mlp_biases(fields)?;
    alike(rank, kept, 2, |attention| (AttentionShape { has_qkv_bias, has_output_bias, ..attention }, extra))
}

/// `OLMo` 2 and 3: queries and keys are normalised over all heads.
pub(in super::super) fn olmo(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let bias = rank.fields.flag_or("attention_bias", false)?;
    alike(rank, kept, 2, |attention| {
        let extra = query_and_key_width(&attention);
        (AttentionShape { has_qkv_bias: bias, has_output_bias: bias, ..attention }, extra)
    })
}

/// GLM-4: norms behind attention and MLP, too.
pub(in super::super) fn glm4(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let has_qkv_bias = rank.fields.flag_or("attention_bias", true)?;
    alike(rank, kept, 4, |attention| (AttentionShape { has_qkv_bias, ..attention }, 0))
}

/// Ernie 4.5, whose biases are all switched by one field; the output has none.
pub(in super::super) fn ernie(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let has_qkv_bias = rank.fields.flag_or("use_bias", false)?;
    alike(rank, kept, 2, |attention| (AttentionShape { has_qkv_bias, ..attention }, 0))
}

/// Command R and R7B: attention and MLP side by side behind one norm.
pub(in super::super) fn cohere(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let has_norm = rank.fields.flag_or("use_qk_norm", false)?;
    alike(rank, kept, 1, |attention| {
        let extra = if has_norm { query_and_key_width(&attention) } else { 0 };
        (attention, extra)
    })
}

/// Nemotron-NAS (`DeciLM`): blocks with attention, an MLP, both, or neither.
pub(in super::super) fn deci(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let (has_qkv_bias, has_output_bias) = llama_biases(fields)?;
    let mut kept = each(kept);
    let mut layers = alloc::vec::Vec::new();
    for block in fields.objects("block_configs")? {
        let own = block.object("attention")?.ok_or(ModelConfigError::missing("block_configs.attention"))?;
        let kept = if own.flag_or("no_op", false)? { None } else { kept.next() };
        let mixer = match kept {
            Some(kept) => {
                let attention = super::attention(rank, &kept)?;
                Mixer::Attention(AttentionShape { has_qkv_bias, has_output_bias, ..attention })
            }
            None => Mixer::Nothing,
        };
        let mlp = deci_mlp(fields, block)?;
        let num_norms = u32::from(mixer != Mixer::Nothing) + u32::from(mlp != Mlp::Nothing);
        layers.push(layer(mixer, mlp, num_norms));
    }
    Ok(layers)
}

/// The MLP of a block, as wide as it says or as a multiple of the residual stream's width (`_ffn_mult_to_intermediate_size`).
fn deci_mlp(fields: Fields<'_>, block: Fields<'_>) -> Result<Mlp, ModelConfigError> {
    const STEP: u32 = 256;
    let own = block.object("ffn")?.ok_or(ModelConfigError::missing("block_configs.ffn"))?;
    if own.flag_or("no_op", false)? {
        return Ok(Mlp::Nothing);
    }
    let field = "ffn_mult";
    let Some(value) = own.value(field) else { return Ok(gated(own.count("intermediate_size")?)) };
    let need = "a number from 0 to 64";
    let factor = value.as_f64().filter(|factor| (0.0..=64.0).contains(factor));
    let factor = factor.ok_or_else(|| ModelConfigError::value(field, value, need))?;
    let width = math::floor(2.0 * factor * math::u32_to_f64(fields.count("hidden_size")?) / 3.0);
    Ok(gated(math::f64_to_u32(width).div_ceil(STEP).saturating_mul(STEP).max(STEP)))
}
