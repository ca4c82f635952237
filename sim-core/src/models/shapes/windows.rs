//! Decoders of which some layers attend to all tokens, and the others to a window or a chunk.
//!
//! Source: `vllm/model_executor/models/{gpt_oss,gemma2,gemma3,gemma3n,gemma4,exaone4,afmoe,mimo_v2,step3p5,llama4}.py`.

use alloc::vec::Vec;

use super::super::config_file::Fields;
use super::super::error::ModelConfigError;
use super::super::layers::ModelLayers;
use super::super::rank::Rank;
use super::super::shape::{AttentionShape, ExpertsShape, LayerShape, Mixer, Mlp};
use super::super::windows;
use super::experts::{number_or, routed, with_shared};
use super::mixtures::biased;
use super::{Shapes, each, gated, heads_of, layer, mlp, numbered};

/// gpt-oss: biases everywhere, also of the router, and a sink for each query head.
pub(in super::super) fn gpt_oss(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let experts = routed(rank.fields, ["num_local_experts", "num_experts_per_tok", "intermediate_size"])?;
    let experts = ExpertsShape { has_bias: true, ..experts };
    numbered(rank, kept, |_, attention| {
        let attention = AttentionShape { has_qkv_bias: true, has_output_bias: true, ..attention };
        let extra_parameters = u64::from(attention.num_heads) + u64::from(experts.num_experts);
        Ok(LayerShape { extra_parameters, ..layer(Mixer::Attention(attention), Mlp::Experts(experts), 2) })
    })
}

/// Gemma 2: norms behind attention and MLP, too.
pub(in super::super) fn gemma2(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    gemma(rank, kept, false)
}

/// Gemma 3: the same, and norms of queries and keys.
pub(in super::super) fn gemma3(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    gemma(rank, kept, true)
}

fn gemma(rank: &Rank<'_>, kept: &[ModelLayers], has_qk_norm: bool) -> Shapes {
    let bias = rank.fields.flag_or("attention_bias", false)?;
    let mlp = mlp(rank.fields)?;
    numbered(rank, kept, |_, attention| {
        let attention = AttentionShape { has_qk_norm, has_qkv_bias: bias, has_output_bias: bias, ..attention };
        Ok(layer(Mixer::Attention(attention), mlp, 4))
    })
}

/// Numbers of the embedding that each layer has for itself (Gemma 3n and 4); 0 if there is none.
pub(super) fn per_layer_width(fields: Fields<'_>, default: u32) -> Result<u32, ModelConfigError> {
    if fields.is_null("hidden_size_per_layer_input") {
        return Ok(0);
    }
    number_or(fields, "hidden_size_per_layer_input", default)
}

/// From which layer on the cache is an earlier one's.
fn first_shared(fields: Fields<'_>, num_layers: usize, default: u32) -> Result<u32, ModelConfigError> {
    let num_shared = number_or(fields, "num_kv_shared_layers", default)?;
    Ok(u32::try_from(num_layers).unwrap_or(u32::MAX).saturating_sub(num_shared))
}

/// Numbers of what a layer does with its own embedding: a gate, the way back, a norm.
fn per_layer_parameters(hidden: u64, width: u32) -> u64 {
    if width == 0 { 0 } else { hidden.saturating_mul(2 * u64::from(width) + 1) }
}

/// Gemma 3n: four residual streams, a learned residual of low rank, an embedding for each layer.
pub(in super::super) fn gemma3n(rank: &Rank<'_>, _: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let all: Vec<ModelLayers> = windows::gemma3n_all(rank)?;
    let first_shared = first_shared(fields, all.len(), 15)?;
    let hidden = u64::from(fields.count("hidden_size")?);
    let streams = u64::from(fields.count_or("altup_num_inputs", 4)?.min(1 << 10));
    let rank_of_residual = u64::from(fields.count_or("laurel_rank", 64)?);
    let own = per_layer_parameters(hidden, per_layer_width(fields, 256)?);
    let altup = streams.pow(2).saturating_add(streams.pow(3)).saturating_add(hidden.saturating_mul(streams + 2));
    let residual = hidden.saturating_mul(2 * rank_of_residual + 1);
    let extra_parameters = own.saturating_add(altup).saturating_add(residual);
    let widths = match fields.value("intermediate_size") {
        Some(value) if value.is_array() => fields.numbers("intermediate_size")?.unwrap_or_default(),
        _ => Vec::new(),
    };
    numbered(rank, &all, |number, attention| {
        let width = usize::try_from(number).ok().and_then(|number| widths.get(number)).copied();
        let mlp = match width.map(u32::try_from) {
            Some(width) => gated(width.unwrap_or(u32::MAX)),
            None => mlp(fields)?,
        };
        let attention = AttentionShape { has_qk_norm: true, shares_kv: number >= first_shared, ..attention };
        Ok(LayerShape { extra_parameters, ..layer(Mixer::Attention(attention), mlp, 4) })
    })
}

/// Gemma 4: some sizes have experts beside the MLP, some an embedding for each layer.
pub(in super::super) fn gemma4(rank: &Rank<'_>, _: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let all = windows::gemma4_all(rank)?;
    let first_shared = first_shared(fields, all.len(), 0)?;
    let hidden = u64::from(fields.count("hidden_size")?);
    let own = per_layer_parameters(hidden, per_layer_width(fields, 0)?);
    let bias = fields.flag_or("attention_bias", false)?;
    let is_doubled = fields.flag_or("use_double_wide_mlp", false)?;
    let width = fields.count("intermediate_size")?;
    let experts = gemma4_experts(fields, width)?;
    numbered(rank, &all, |number, attention| {
        let shares_kv = number >= first_shared;
        let width = if is_doubled && shares_kv { width.saturating_mul(2) } else { width };
        let attention =
            AttentionShape { has_qk_norm: true, has_qkv_bias: bias, has_output_bias: bias, shares_kv, ..attention };
        // The router has a scale for each number of its input and for each expert.
        let (mlp, num_norms, router) = match experts {
            Some(experts) => {
                let experts = ExpertsShape { dense_intermediate_size: width, ..experts };
                (Mlp::Experts(experts), 7, hidden + u64::from(experts.num_experts))
            }
            None => (gated(width), 4, 0),
        };
        Ok(LayerShape { extra_parameters: own + router, ..layer(Mixer::Attention(attention), mlp, num_norms) })
    })
}

fn gemma4_experts(fields: Fields<'_>, dense: u32) -> Result<Option<ExpertsShape>, ModelConfigError> {
    if fields.optional_count("num_experts")?.is_none() {
        return Ok(None);
    }
    let width = ["moe_intermediate_size", "expert_intermediate_size"];
    let width = if fields.value(width[0]).is_some() { width[0] } else { width[1] };
    let experts = routed(fields, ["num_experts", "top_k_experts", width])?;
    Ok(Some(ExpertsShape { dense_intermediate_size: dense, ..experts }))
}

/// EXAONE 4: norms behind attention and MLP instead of before.
pub(in super::super) fn exaone4(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let mlp = mlp(rank.fields)?;
    let bias = rank.fields.flag_or("attention_bias", false)?;
    numbered(rank, kept, |_, attention| {
        let attention = AttentionShape { has_qk_norm: true, has_qkv_bias: bias, has_output_bias: bias, ..attention };
        Ok(layer(Mixer::Attention(attention), mlp, 2))
    })
}

/// Trinity: a gate behind attention, experts from a layer on.
pub(in super::super) fn afmoe(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let experts = routed(fields, ["num_experts", "num_experts_per_tok", "moe_intermediate_size"])?;
    let experts = ExpertsShape { has_f32_router: true, ..with_shared(experts, fields, "num_shared_experts", 0)? };
    let num_dense = number_or(fields, "num_dense_layers", 1)?;
    let dense = mlp(fields)?;
    numbered(rank, kept, |number, attention| {
        let mixer = Mixer::Attention(AttentionShape { has_qk_norm: true, has_output_gate: true, ..attention });
        let layer = if number < num_dense { layer(mixer, dense, 4) } else { biased(mixer, experts) };
        Ok(LayerShape { num_norms: 4, ..layer })
    })
}

/// `MiMo-V2-Flash`: layers with a window have query heads of their own, and sinks.
pub(in super::super) fn mimo_v2_flash(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let (full, window) = (fields.count("num_attention_heads")?, fields.count("swa_num_attention_heads")?);
    let experts = routed(fields, ["n_routed_experts", "num_experts_per_tok", "moe_intermediate_size"])?;
    let experts = ExpertsShape { has_f32_router: true, ..experts };
    let have_experts = fields.numbers("moe_layer_freq")?.unwrap_or_default();
    let dense = mlp(fields)?;
    let has_qkv_bias = fields.flag_or("attention_bias", false)?;
    let has_sinks = fields.flag_or("add_swa_attention_sink_bias", false)?;
    let one = |(number, kept): (usize, ModelLayers)| {
        let attention = heads_of(rank, &kept, full);
        let has_window = attention.span.is_some();
        let attention = if has_window { heads_of(rank, &kept, window) } else { attention };
        let mixer = Mixer::Attention(AttentionShape { has_qkv_bias, ..attention });
        let has_experts = have_experts.get(number).is_some_and(|&has_experts| has_experts != 0);
        let layer = if has_experts { biased(mixer, experts) } else { layer(mixer, dense, 2) };
        let sinks = if has_window && has_sinks { u64::from(window) } else { 0 };
        LayerShape { extra_parameters: layer.extra_parameters + sinks, ..layer }
    };
    Ok(each(kept).enumerate().map(one).collect())
}

/// Step 3.5: layers with a window have query heads of their own; a gate for each head; a shared expert.
pub(in super::super) fn step3p5(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let full = fields.count("num_attention_heads")?;
    let window = match fields.object("attention_other_setting")? {
        Some(other) => other.count_or("num_attention_heads", full)?,
        None => fields.count_or("num_sliding_attention_heads", full)?,
    };
    let experts = routed(fields, ["moe_num_experts", "moe_top_k", "moe_intermediate_size"])?;
    let shared_intermediate_size = fields.count("share_expert_dim")?;
    let experts = ExpertsShape { has_f32_router: true, shared_intermediate_size, ..experts };
    let has_experts = step_experts(fields)?;
    let dense = mlp(fields)?;
    let has_qkv_bias = fields.flag_or("attention_bias", false)?;
    let hidden = u64::from(fields.count("hidden_size")?);
    let has_gate = fields.flag_or("use_head_wise_attn_gate", false)?;
    let one = |(number, kept): (u32, ModelLayers)| {
        let attention = heads_of(rank, &kept, full);
        let attention = if attention.span.is_some() { heads_of(rank, &kept, window) } else { attention };
        let mixer = Mixer::Attention(AttentionShape { has_qkv_bias, has_qk_norm: true, ..attention });
        let layer = if has_experts(number) { biased(mixer, experts) } else { layer(mixer, dense, 2) };
        let gate = if has_gate { hidden.saturating_mul(u64::from(attention.num_heads)) } else { 0 };
        LayerShape { extra_parameters: layer.extra_parameters.saturating_add(gate), ..layer }
    };
    Ok((0..).zip(each(kept)).map(one).collect())
}

/// Which layers have experts: those of a list of kinds, those of a text of numbers, or all but the first.
fn step_experts(fields: Fields<'_>) -> Result<impl Fn(u32) -> bool, ModelConfigError> {
    let kinds = fields.texts("mlp_layer_types")?;
    let kinds: Option<Vec<bool>> = kinds.map(|kinds| kinds.into_iter().map(|kind| kind == "sparse").collect());
    let numbers = fields.text("moe_layers_enum")?;
    let numbers: Option<Vec<u32>> =
        numbers.map(|text| text.split(',').filter_map(|number| number.trim().parse().ok()).collect());
    Ok(move |number: u32| match (&kinds, &numbers) {
        (Some(kinds), _) => usize::try_from(number).ok().and_then(|number| kinds.get(number)).copied().unwrap_or(false),
        (None, Some(numbers)) => numbers.contains(&number),
        (None, None) => number > 0,
    })
}

/// Llama 4: experts in every so-manieth layer, one shared. Its norms of queries and keys have no weights.
pub(in super::super) fn llama4(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let experts = routed(fields, ["num_local_experts", "num_experts_per_tok", "intermediate_size"])?;
    let experts = with_shared(experts, fields, "num_shared_experts", 1)?;
    let step = number_or(fields, "interleave_moe_layer_step", 1)?;
    let dense = fields.optional_count("intermediate_size_mlp")?.map(gated);
    numbered(rank, kept, |number, attention| {
        let has_experts = step > 0 && (number + 1).is_multiple_of(step);
        let mlp = if has_experts { Some(Mlp::Experts(experts)) } else { dense };
        let mlp = mlp.ok_or(ModelConfigError::missing("intermediate_size_mlp"))?;
        Ok(layer(Mixer::Attention(attention), mlp, 2))
    })
}
