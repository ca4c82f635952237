//! Decoders with experts, all of whose layers attend alike.
//!
//! Source: `vllm/model_executor/models/{mixtral,minimax_m2,glm4_moe,qwen2_moe,qwen3_moe,ernie45_moe,hy_v3}.py`.

use super::super::config_file::Fields;
use super::super::error::ModelConfigError;
use super::super::layers::ModelLayers;
use super::super::rank::Rank;
use super::super::shape::{AttentionShape, ExpertsShape, LayerShape, Mixer, Mlp};
use super::experts::{number_or, routed, with_shared};
use super::{Shapes, gated, layer, numbered, query_and_key_width};

/// Names of Qwen's.
pub(super) const QWEN: [&str; 3] = ["num_experts", "num_experts_per_tok", "moe_intermediate_size"];

/// Mixtral.
pub(in super::super) fn mixtral(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let experts = routed(rank.fields, ["num_local_experts", "num_experts_per_tok", "intermediate_size"])?;
    numbered(rank, kept, |_, attention| Ok(layer(Mixer::Attention(attention), Mlp::Experts(experts), 2)))
}

/// `MiniMax-M2`: queries and keys are normalised over all heads, and the router has a bias.
pub(in super::super) fn minimax_m2(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let experts = routed(fields, ["num_local_experts", "num_experts_per_tok", "intermediate_size"])?;
    let experts = ExpertsShape { has_f32_router: true, ..experts };
    let bias = if fields.flag_or("use_routing_bias", false)? { u64::from(experts.num_experts) } else { 0 };
    let has_qkv_bias = fields.flag_or("attention_bias", false)?;
    numbered(rank, kept, |_, attention| {
        let attention = AttentionShape { has_qkv_bias, norms_all_heads: true, ..attention };
        let extra_parameters = bias + query_and_key_width(&attention);
        Ok(LayerShape { extra_parameters, ..layer(Mixer::Attention(attention), Mlp::Experts(experts), 2) })
    })
}

/// GLM-4.5 to 4.7: the first layers are dense.
pub(in super::super) fn glm4_moe(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let experts = routed(fields, ["n_routed_experts", "num_experts_per_tok", "moe_intermediate_size"])?;
    let experts = ExpertsShape { has_f32_router: true, ..with_shared(experts, fields, "n_shared_experts", 1)? };
    let num_dense = number_or(fields, "first_k_dense_replace", 1)?;
    let dense = gated(fields.count("intermediate_size")?);
    let has_qkv_bias = fields.flag_or("attention_bias", false)?;
    let has_qk_norm = fields.flag_or("use_qk_norm", false)?;
    numbered(rank, kept, |number, attention| {
        let mixer = Mixer::Attention(AttentionShape { has_qkv_bias, has_qk_norm, ..attention });
        Ok(if number < num_dense { layer(mixer, dense, 2) } else { biased(mixer, experts) })
    })
}

/// A layer of experts whose router has a bias.
pub(super) const fn biased(mixer: Mixer, experts: ExpertsShape) -> LayerShape {
    let extra_parameters = experts.num_experts as u64;
    LayerShape { extra_parameters, ..layer(mixer, Mlp::Experts(experts), 2) }
}

/// Which layers of Qwen's have experts: every so-manieth that is not excepted.
pub(super) fn qwen_mlps(
    fields: Fields<'_>,
    experts: ExpertsShape,
) -> Result<impl Fn(u32) -> Result<Mlp, ModelConfigError>, ModelConfigError> {
    let step = fields.count_or("decoder_sparse_step", 1)?;
    let excepted = fields.numbers("mlp_only_layers")?.unwrap_or_default();
    let dense = fields.optional_count("intermediate_size")?;
    Ok(move |number: u32| {
        let has_experts = !excepted.contains(&u64::from(number)) && (number + 1).is_multiple_of(step);
        match dense {
            _ if has_experts => Ok(Mlp::Experts(experts)),
            Some(width) => Ok(gated(width)),
            None => Err(ModelConfigError::missing("intermediate_size")),
        }
    })
}

/// Experts of Qwen's, one of which every token may go through, and how many numbers that one's gate has.
pub(super) fn qwen_experts(fields: Fields<'_>) -> Result<(ExpertsShape, u64), ModelConfigError> {
    let shared_intermediate_size = number_or(fields, "shared_expert_intermediate_size", 0)?;
    let experts = ExpertsShape { shared_intermediate_size, ..routed(fields, QWEN)? };
    let gate = if shared_intermediate_size > 0 { u64::from(fields.count("hidden_size")?) } else { 0 };
    Ok((experts, gate))
}

fn qwen_moe(rank: &Rank<'_>, kept: &[ModelLayers], change: impl Fn(AttentionShape) -> AttentionShape) -> Shapes {
    let (experts, gate) = qwen_experts(rank.fields)?;
    let mlp = qwen_mlps(rank.fields, experts)?;
    numbered(rank, kept, |number, attention| {
        let mlp = mlp(number)?;
        let extra_parameters = if matches!(mlp, Mlp::Experts(_)) { gate } else { 0 };
        Ok(LayerShape { extra_parameters, ..layer(Mixer::Attention(change(attention)), mlp, 2) })
    })
}

/// Qwen2 and Qwen1.5 with experts.
pub(in super::super) fn qwen2_moe(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    qwen_moe(rank, kept, |attention| AttentionShape { has_qkv_bias: true, ..attention })
}

/// Qwen3 with experts.
pub(in super::super) fn qwen3_moe(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let has_qkv_bias = rank.fields.flag_or("attention_bias", false)?;
    qwen_moe(rank, kept, |attention| AttentionShape { has_qkv_bias, has_qk_norm: true, ..attention })
}

/// Ernie 4.5 with experts, from one layer to another.
pub(in super::super) fn ernie_moe(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let experts = routed(fields, ["moe_num_experts", "moe_k", "moe_intermediate_size"])?;
    let experts = with_shared(experts, fields, "moe_num_shared_experts", 0)?;
    let experts = ExpertsShape { has_f32_router: true, ..experts };
    let first = number_or(fields, "moe_layer_start_index", 0)?;
    let last = number_or(fields, "moe_layer_end_index", u32::MAX)?;
    let interval = fields.count_or("moe_layer_interval", 1)?;
    let has_qkv_bias = fields.flag_or("use_bias", false)?;
    let dense = gated(fields.count("intermediate_size")?);
    numbered(rank, kept, |number, attention| {
        let mixer = Mixer::Attention(AttentionShape { has_qkv_bias, ..attention });
        let has_experts = (number + 1).is_multiple_of(interval) && (first..=last).contains(&number);
        Ok(if has_experts { biased(mixer, experts) } else { layer(mixer, dense, 2) })
    })
}

/// Hy3: the first layers are dense.
pub(in super::super) fn hy3(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let width = if fields.value("expert_hidden_dim").is_some() { "expert_hidden_dim" } else { "moe_intermediate_size" };
    let experts = routed(fields, ["num_experts", "num_experts_per_tok", width])?;
    let experts = ExpertsShape { has_f32_router: true, ..with_shared(experts, fields, "num_shared_experts", 1)? };
    let num_dense = number_or(fields, "first_k_dense_replace", 1)?;
    let dense = gated(fields.count("intermediate_size")?);
    let has_qk_norm = fields.flag_or("qk_norm", false)?;
    numbered(rank, kept, |number, attention| {
        let mixer = Mixer::Attention(AttentionShape { has_qk_norm, ..attention });
        Ok(if number < num_dense { layer(mixer, dense, 2) } else { biased(mixer, experts) })
    })
}
