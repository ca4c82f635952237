//! Decoders of latent attention.
//!
//! Source: `vllm/model_executor/models/deepseek_v2.py` (DeepSeek-V2 and V3, Kimi-K2), `vllm/models/deepseek_v32` (V3.2, GLM-5).

use super::super::config_file::Fields;
use super::super::error::ModelConfigError;
use super::super::layers::ModelLayers;
use super::super::mla::indexed_layers;
use super::super::rank::Rank;
use super::super::shape::{IndexerShape, LayerShape, Mixer, MlaShape, Mlp};
use super::experts::{number_or, routed, with_shared};
use super::{Shapes, gated, layer};

/// Latent attention of all heads.
pub(super) fn latent(fields: Fields<'_>) -> Result<MlaShape, ModelConfigError> {
    Ok(MlaShape {
        num_heads: fields.count("num_attention_heads")?,
        q_lora_rank: fields.optional_count("q_lora_rank")?,
        kv_lora_rank: fields.count("kv_lora_rank")?,
        qk_nope_head_dim: fields.count("qk_nope_head_dim")?,
        qk_rope_head_dim: fields.count("qk_rope_head_dim")?,
        v_head_dim: fields.count("v_head_dim")?,
        has_output_gate: false,
        indexer: None,
    })
}

/// MLPs and experts of `DeepSeek`'s: the first are dense. With each goes how many numbers the router's bias has.
fn mlps(
    fields: Fields<'_>,
    (num_dense, num_shared): (u32, u32),
    has_bias: bool,
) -> Result<impl Fn(u32) -> Result<(Mlp, u64), ModelConfigError>, ModelConfigError> {
    let dense = fields.optional_count("intermediate_size")?;
    let experts = match fields.optional_count("n_routed_experts")? {
        Some(_) => {
            let experts = routed(fields, ["n_routed_experts", "num_experts_per_tok", "moe_intermediate_size"])?;
            Some(with_shared(experts, fields, "n_shared_experts", num_shared)?)
        }
        None => None,
    };
    let num_dense = number_or(fields, "first_k_dense_replace", num_dense)?;
    let frequency = fields.count_or("moe_layer_freq", 1)?;
    let has_bias = match fields.text("topk_method")? {
        Some(method) => method == "noaux_tc",
        None => has_bias,
    };
    Ok(move |number: u32| match experts {
        Some(experts) if number >= num_dense && number.is_multiple_of(frequency) => {
            Ok((Mlp::Experts(experts), if has_bias { u64::from(experts.num_experts) } else { 0 }))
        }
        _ => Ok((gated(dense.ok_or(ModelConfigError::missing("intermediate_size"))?), 0)),
    })
}

fn layers(fields: Fields<'_>, defaults: (u32, u32), has_bias: bool, attention: impl Fn(u32) -> MlaShape) -> Shapes {
    let mlp = mlps(fields, defaults, has_bias)?;
    let one = |number| -> Result<LayerShape, ModelConfigError> {
        let (mlp, extra_parameters) = mlp(number)?;
        Ok(LayerShape { extra_parameters, ..layer(Mixer::Mla(attention(number)), mlp, 2) })
    };
    (0..fields.num_layers("layer_types")?).map(one).collect()
}

/// DeepSeek-V2.
pub(in super::super) fn deepseek_v2(rank: &Rank<'_>, _: &[ModelLayers]) -> Shapes {
    let attention = latent(rank.fields)?;
    layers(rank.fields, (0, 0), false, |_| attention)
}

/// DeepSeek-V3, Kimi-K2, Mistral Large 3, GLM-4.7-Flash.
pub(in super::super) fn deepseek_v3(rank: &Rank<'_>, _: &[ModelLayers]) -> Shapes {
    let attention = latent(rank.fields)?;
    layers(rank.fields, (3, 1), true, |_| attention)
}

/// DeepSeek-V3.2 and GLM-5: an index chooses the tokens, anew in some layers.
pub(in super::super) fn sparse(rank: &Rank<'_>, _: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let attention = latent(fields)?;
    let num_layers = fields.num_layers("layer_types")?;
    let own_index = indexed_layers(fields, num_layers)?;
    let index = IndexerShape {
        num_heads: fields.count("index_n_heads")?,
        head_dim: fields.count("index_head_dim")?,
        topk: fields.count("index_topk")?,
        is_own: true,
    };
    layers(fields, (3, 1), true, |number| {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        let is_own = own_index.get(place).copied().unwrap_or(true);
        MlaShape { indexer: Some(IndexerShape { is_own, ..index }), ..attention }
    })
}
