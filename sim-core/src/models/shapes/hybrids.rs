//! Models with states: Mamba, gated delta networks, convolutions, beside attention or alone.
//!
//! Source: `vllm/model_executor/models/{qwen3_next,qwen3_5,nemotron_h,jamba,granitemoehybrid,lfm2,lfm2_moe,falcon_h1,zamba2,
//! mamba,mamba2}.py`, `vllm/models/kimi_k3`, `vllm/model_executor/layers/mamba`.

use alloc::vec::Vec;

use super::super::config_file::Fields;
use super::super::error::ModelConfigError;
use super::super::hybrids::{self, NemotronLayer};
use super::super::layers::ModelLayers;
use super::super::rank::Rank;
use super::super::shape::{AttentionShape, DenseMlp, ExpertsShape, LayerShape, Mixer, MlaShape, Mlp, StateShape};
use super::super::states::{Mamba1, Mamba2};
use super::experts::{number_or, routed, with_shared};
use super::mixtures::{QWEN, biased, qwen_experts, qwen_mlps};
use super::{Shapes, attention, each, gated, layer, mla, mlp};

/// Attention or a state, as the layer keeps.
fn mixer(
    rank: &Rank<'_>,
    kept: &ModelLayers,
    state: StateShape,
    change: impl Fn(AttentionShape) -> AttentionShape,
) -> Result<Mixer, ModelConfigError> {
    if kept.is_mamba() {
        return Ok(Mixer::State(state));
    }
    Ok(Mixer::Attention(change(attention(rank, kept)?)))
}

fn delta_net(fields: Fields<'_>) -> Result<StateShape, ModelConfigError> {
    Ok(StateShape::GatedDeltaNet {
        num_key_heads: fields.count("linear_num_key_heads")?,
        num_value_heads: fields.count("linear_num_value_heads")?,
        key_head_dim: fields.count("linear_key_head_dim")?,
        value_head_dim: fields.count("linear_value_head_dim")?,
        conv_kernel: fields.count("linear_conv_kernel_dim")?,
    })
}

fn delta_and_full(
    rank: &Rank<'_>,
    kept: &[ModelLayers],
    mlp: impl Fn(u32) -> Result<(Mlp, u64), ModelConfigError>,
) -> Shapes {
    let fields = rank.fields;
    let state = delta_net(fields)?;
    let has_output_gate = fields.flag_or("attn_output_gate", true)?;
    let has_qkv_bias = fields.flag_or("qkv_bias", false)?;
    let like = |attention| AttentionShape { has_qk_norm: true, has_output_gate, has_qkv_bias, ..attention };
    let one = |(number, kept): (u32, ModelLayers)| {
        let (mlp, extra_parameters) = mlp(number)?;
        Ok(LayerShape { extra_parameters, ..layer(mixer(rank, &kept, state, like)?, mlp, 2) })
    };
    (0..).zip(each(kept)).map(one).collect()
}

/// Qwen3-Next.
pub(in super::super) fn qwen3_next(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let (experts, gate) = qwen_experts(rank.fields)?;
    let mlp = qwen_mlps(rank.fields, experts)?;
    delta_and_full(rank, kept, |number| {
        let mlp = mlp(number)?;
        Ok((mlp, if matches!(mlp, Mlp::Experts(_)) { gate } else { 0 }))
    })
}

/// Qwen3.5 with experts in every layer.
pub(in super::super) fn qwen3_5_moe(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let (experts, gate) = qwen_experts(rank.fields)?;
    delta_and_full(rank, kept, |_| Ok((Mlp::Experts(experts), gate)))
}

/// Qwen3.5.
pub(in super::super) fn qwen3_5(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let mlp = mlp(rank.fields)?;
    delta_and_full(rank, kept, |_| Ok((mlp, 0)))
}

/// A Mamba-2 layer, and how many biases it has.
fn mamba2(sizes: &Mamba2, (has_conv_bias, has_bias): (bool, bool), hidden: u32) -> (StateShape, u64) {
    let matrices = 2 * u64::from(sizes.num_groups) * u64::from(sizes.state_size);
    let conv = sizes.intermediate.saturating_add(matrices);
    let projections = sizes.intermediate.saturating_add(conv) + u64::from(sizes.num_heads) + u64::from(hidden);
    let biases = if has_conv_bias { conv } else { 0 } + if has_bias { projections } else { 0 };
    let state = StateShape::Mamba2 {
        intermediate_size: u32::try_from(sizes.intermediate).unwrap_or(u32::MAX),
        num_heads: sizes.num_heads,
        head_dim: sizes.head_size,
        num_groups: sizes.num_groups,
        state_size: sizes.state_size,
        conv_kernel: sizes.conv_kernel,
    };
    (state, biases)
}

/// Nemotron-H and Nemotron 3: each layer is a state, attention, an MLP or experts alone.
pub(in super::super) fn nemotron_h(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let hidden = fields.count("hidden_size")?;
    let biases = (fields.flag_or("use_conv_bias", true)?, fields.flag_or("use_bias", false)?);
    let (state, biases) = mamba2(&hybrids::nemotron_sizes(fields)?, biases, hidden);
    let mut kept = each(kept);
    let mut layers = Vec::new();
    let mut num_mlps = 0;
    for kind in hybrids::nemotron_layers(fields)? {
        layers.push(match (kind, kind.keeps().then(|| kept.next()).flatten()) {
            (NemotronLayer::Attention, Some(kept)) => layer(Mixer::Attention(attention(rank, &kept)?), Mlp::Nothing, 1),
            (NemotronLayer::Mlp, _) => {
                num_mlps += 1;
                let width = nemotron_width(fields, num_mlps - 1)?;
                layer(Mixer::Nothing, Mlp::Dense(DenseMlp { intermediate_size: width, is_gated: false }), 1)
            }
            (NemotronLayer::Experts, _) => {
                let experts = nemotron_experts(fields)?;
                LayerShape { num_norms: 1, ..biased(Mixer::Nothing, experts) }
            }
            _ => LayerShape { extra_parameters: biases, ..layer(Mixer::State(state), Mlp::Nothing, 1) },
        });
    }
    Ok(layers)
}

/// The width of an MLP, one for all or a list.
fn nemotron_width(fields: Fields<'_>, number: usize) -> Result<u32, ModelConfigError> {
    let field = "intermediate_size";
    if !fields.value(field).is_some_and(serde_json::Value::is_array) {
        return fields.count(field);
    }
    let widths = fields.numbers(field)?.unwrap_or_default();
    let width = widths.get(number).or(widths.first()).and_then(|&width| u32::try_from(width).ok());
    width.filter(|&width| width > 0).ok_or(ModelConfigError::missing(field))
}

fn nemotron_experts(fields: Fields<'_>) -> Result<ExpertsShape, ModelConfigError> {
    let experts = routed(fields, ["n_routed_experts", "num_experts_per_tok", "moe_intermediate_size"])?;
    let num_shared = number_or(fields, "n_shared_experts", 1)?;
    let shared = number_or(fields, "moe_shared_expert_intermediate_size", 0)?;
    Ok(ExpertsShape {
        is_gated: false,
        shared_intermediate_size: shared.saturating_mul(num_shared),
        latent_size: fields.optional_count("moe_latent_size")?,
        ..experts
    })
}

/// A Mamba-1 layer.
fn mamba1(sizes: &Mamba1, time_step_rank: u32) -> StateShape {
    StateShape::Mamba1 {
        intermediate_size: u32::try_from(sizes.intermediate).unwrap_or(u32::MAX),
        state_size: sizes.state_size,
        conv_kernel: sizes.conv_kernel,
        time_step_rank,
    }
}

/// A rank that may be written as `auto`: a sixteenth of the residual stream's width.
fn time_step_rank(fields: Fields<'_>, field: &'static str) -> Result<u32, ModelConfigError> {
    match fields.value(field) {
        Some(value) if value.is_number() => fields.count(field),
        _ => Ok(fields.count("hidden_size")?.div_ceil(16)),
    }
}

/// Jamba: experts in every so-manieth layer; time steps and matrices of a state are normalised.
pub(in super::super) fn jamba(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let sizes = hybrids::jamba_sizes(fields)?;
    let time_step_rank = time_step_rank(fields, "mamba_dt_rank")?;
    let state = mamba1(&sizes, time_step_rank);
    let conv_bias = if fields.flag_or("mamba_conv_bias", true)? { sizes.intermediate } else { 0 };
    let of_state = conv_bias + u64::from(time_step_rank) + 2 * u64::from(sizes.state_size);
    let dense = mlp(fields)?;
    let experts = match fields.count_or("num_experts", 16)? {
        1 => None,
        _ => Some(routed(fields, ["num_experts", "num_experts_per_tok", "intermediate_size"])?),
    };
    let (period, offset) = (fields.count_or("expert_layer_period", 2)?, number_or(fields, "expert_layer_offset", 1)?);
    let one = |(number, kept): (u32, ModelLayers)| {
        let mixer = mixer(rank, &kept, state, |attention| attention)?;
        let extra_parameters = if kept.is_mamba() { of_state } else { 0 };
        let mlp = experts.filter(|_| number % period == offset).map_or(dense, Mlp::Experts);
        Ok(LayerShape { extra_parameters, ..layer(mixer, mlp, 2) })
    };
    (0..).zip(each(kept)).map(one).collect()
}

/// Granite 4: experts beside an MLP that every token goes through, or that MLP alone.
pub(in super::super) fn granite(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let shared = number_or(fields, "shared_intermediate_size", 1024)?;
    let mlp = match fields.optional_count("num_local_experts")? {
        Some(_) => {
            let experts = routed(fields, ["num_local_experts", "num_experts_per_tok", "intermediate_size"])?;
            Mlp::Experts(ExpertsShape { shared_intermediate_size: shared, ..experts })
        }
        None => gated(shared),
    };
    let bias = fields.flag_or("attention_bias", false)?;
    let like = |attention| AttentionShape { has_qkv_bias: bias, has_output_bias: bias, ..attention };
    let state = if kept.iter().any(ModelLayers::is_mamba) {
        let hidden = fields.count("hidden_size")?;
        let biases = (fields.flag_or("mamba_conv_bias", true)?, fields.flag_or("mamba_proj_bias", false)?);
        Some(mamba2(&hybrids::granite_sizes(fields)?, biases, hidden))
    } else {
        None
    };
    let one = |kept: ModelLayers| match state {
        Some((state, extra_parameters)) if kept.is_mamba() => {
            Ok(LayerShape { extra_parameters, ..layer(Mixer::State(state), mlp, 2) })
        }
        _ => Ok(layer(Mixer::Attention(like(attention(rank, &kept)?)), mlp, 2)),
    };
    each(kept).map(one).collect()
}

/// Falcon-H1: attention and a state side by side, behind one norm.
pub(in super::super) fn falcon_h1(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let hidden = fields.count("hidden_size")?;
    let biases = (fields.flag_or("mamba_conv_bias", true)?, fields.flag_or("mamba_proj_bias", false)?);
    let (state, extra_parameters) = mamba2(&hybrids::granite_sizes(fields)?, biases, hidden);
    let mlp = mlp(fields)?;
    let one = |kept: ModelLayers| {
        let mixer = Mixer::AttentionAndState(attention(rank, &kept)?, state);
        Ok(LayerShape { extra_parameters, ..layer(mixer, mlp, 2) })
    };
    each(kept).filter(|kept| !kept.is_mamba()).map(one).collect()
}

/// LFM2: convolutions and attention; experts in all but the first layers of some.
pub(in super::super) fn lfm2(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let width = fields.optional_count("conv_dim")?.map_or_else(|| fields.count("hidden_size"), Ok)?;
    let state = StateShape::ShortConv { width, conv_kernel: fields.count("conv_L_cache")? };
    let experts = match fields.optional_count("num_experts")? {
        Some(_) => Some(routed(fields, QWEN)?),
        None => None,
    };
    let dense = if experts.is_some() { mlp(fields)? } else { gated(lfm2_width(fields)?) };
    let num_dense = number_or(fields, "num_dense_layers", 2)?;
    let has_bias = fields.flag_or("use_expert_bias", true)?;
    let like = |attention| AttentionShape { has_qk_norm: true, ..attention };
    let one = |(number, kept): (u32, ModelLayers)| {
        let mixer = mixer(rank, &kept, state, like)?;
        Ok(match experts.filter(|_| number >= num_dense) {
            Some(experts) if has_bias => biased(mixer, experts),
            Some(experts) => layer(mixer, Mlp::Experts(experts), 2),
            None => layer(mixer, dense, 2),
        })
    };
    (0..).zip(each(kept)).map(one).collect()
}

/// The width of LFM2's MLP: two thirds of what the file has, up to a multiple, unless it says otherwise.
fn lfm2_width(fields: Fields<'_>) -> Result<u32, ModelConfigError> {
    let width = fields.optional_count("block_ff_dim")?.map_or_else(|| fields.count("intermediate_size"), Ok)?;
    if !fields.flag_or("block_auto_adjust_ff_dim", true)? {
        return Ok(width);
    }
    // A factor other than 1 is published nowhere.
    let multiple = fields.count_or("block_multiple_of", 256)?;
    Ok((width.saturating_mul(2) / 3).div_ceil(multiple).saturating_mul(multiple))
}

/// Zamba 2: blocks of attention over the stream and the embeddings, a few whose weights are used in turn, each before a
/// state.
pub(in super::super) fn zamba2(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let hidden = fields.count("hidden_size")?;
    let biases = (fields.flag_or("use_conv_bias", true)?, fields.flag_or("add_bias_linear", false)?);
    let (state, biases) = mamba2(&hybrids::zamba2_sizes(fields)?, biases, hidden);
    let state = LayerShape { extra_parameters: biases, ..layer(Mixer::State(state), Mlp::Nothing, 1) };
    let width = fields.optional_count("intermediate_size")?.unwrap_or(hidden.saturating_mul(4));
    let num_blocks = number_or(fields, "num_mem_blocks", 1)?;
    let adapter = zamba2_adapter(fields, u64::from(hidden), u64::from(width))?;
    let square = u64::from(hidden).saturating_mul(u64::from(hidden));
    let mut uses = each(kept).filter(|kept| !kept.is_mamba());
    let mut num_uses = 0;
    let mut layers = Vec::new();
    let num_layers = usize::try_from(fields.num_layers("layers_block_type")?).unwrap_or(usize::MAX);
    for kind in fields.texts("layers_block_type")?.unwrap_or_default().into_iter().take(num_layers) {
        if let Some(kept) = if kind == "hybrid" { uses.next() } else { None } {
            let attention = attention(rank, &kept)?;
            // Queries, keys and values come from twice the width; the norm before them is as wide.
            let own = u64::from(attention.num_heads) + 2 * u64::from(attention.num_kv_heads);
            let second = own.saturating_mul(u64::from(attention.head_dim)).saturating_mul(u64::from(hidden));
            let shares_weights = num_uses >= num_blocks;
            num_uses += 1;
            let block = layer(Mixer::Attention(attention), gated(width), 2);
            let once = if shares_weights { 0 } else { second.saturating_add(u64::from(hidden)) };
            let extra_parameters = once.saturating_add(adapter).saturating_add(square);
            layers.push(LayerShape { extra_parameters, shares_weights, ..block });
        }
        layers.push(state);
    }
    Ok(layers)
}

/// What each use of a block has of its own.
fn zamba2_adapter(fields: Fields<'_>, hidden: u64, width: u64) -> Result<u64, ModelConfigError> {
    let rank = u64::from(fields.count_or("adapter_rank", 128)?);
    let of_mlp = hidden.saturating_add(width.saturating_mul(2)).saturating_mul(rank);
    let of_attention = hidden.saturating_mul(4).saturating_mul(rank).saturating_mul(3);
    let has_attention = fields.flag_or("use_shared_attention_adapter", false)?;
    Ok(of_mlp.saturating_add(if has_attention { of_attention } else { 0 }))
}

/// Mamba-1 alone.
pub(in super::super) fn mamba1_alone(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let sizes = hybrids::mamba1_sizes(fields)?;
    let state = mamba1(&sizes, time_step_rank(fields, "time_step_rank")?);
    let conv = if fields.flag_or("use_conv_bias", true)? { sizes.intermediate } else { 0 };
    let (inner, hidden) = (sizes.intermediate, u64::from(fields.count("hidden_size")?));
    let projections = if fields.flag_or("use_bias", false)? { inner.saturating_mul(2) + hidden } else { 0 };
    let one = LayerShape {
        extra_parameters: conv.saturating_add(projections),
        ..layer(Mixer::State(state), Mlp::Nothing, 1)
    };
    Ok(each(kept).map(|_| one).collect())
}

/// Mamba-2 alone.
pub(in super::super) fn mamba2_alone(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let biases = (fields.flag_or("use_conv_bias", true)?, fields.flag_or("use_bias", false)?);
    let (state, extra_parameters) = mamba2(&hybrids::mamba2_sizes(fields)?, biases, fields.count("hidden_size")?);
    let one = LayerShape { extra_parameters, ..layer(Mixer::State(state), Mlp::Nothing, 1) };
    Ok(each(kept).map(|_| one).collect())
}

/// Kimi-Linear and Kimi-K3: delta attention and latent attention; the first layers are dense.
pub(in super::super) fn kimi(rank: &Rank<'_>, kept: &[ModelLayers]) -> Shapes {
    let fields = rank.fields;
    let linear = fields.object("linear_attn_config")?.ok_or(ModelConfigError::missing("linear_attn_config"))?;
    let state = StateShape::KimiDelta {
        num_heads: linear.count("num_heads")?,
        head_dim: linear.count("head_dim")?,
        conv_kernel: linear.count("short_conv_kernel_size")?,
        has_full_gate: linear.flag_or("use_full_rank_gate", false)?,
    };
    let has_output_gate = fields.flag_or("mla_use_output_gate", false)?;
    let latent = Mixer::Mla(MlaShape { has_output_gate, ..mla::latent(fields)? });
    let per_token = ["num_experts_per_token", "num_experts_per_tok"];
    let per_token = if fields.value(per_token[0]).is_some() { per_token[0] } else { per_token[1] };
    let experts = routed(fields, ["num_experts", per_token, "moe_intermediate_size"])?;
    let latent_size = fields.optional_count("routed_expert_hidden_size")?;
    let experts = ExpertsShape { latent_size, ..with_shared(experts, fields, "num_shared_experts", 0)? };
    let num_dense = number_or(fields, "first_k_dense_replace", 0)?;
    let frequency = fields.count_or("moe_layer_freq", 1)?;
    let dense = mlp(fields)?;
    let hidden = u64::from(fields.count("hidden_size")?);
    // Residuals over earlier layers: a norm and a row before each half of a layer.
    let residuals = if fields.value("attn_res_block_size").is_some() { hidden * 4 } else { 0 };
    let has_norm = fields.flag_or("latent_moe_use_norm", false)?;
    let norm = if has_norm { u64::from(latent_size.unwrap_or(0)) } else { 0 };
    let one = |(number, kept): (u32, ModelLayers)| {
        let mixer = if kept.is_mamba() { Mixer::State(state) } else { latent };
        let has_experts = number >= num_dense && number.is_multiple_of(frequency);
        let (layer, own) = if has_experts { (biased(mixer, experts), norm) } else { (layer(mixer, dense, 2), 0) };
        LayerShape { extra_parameters: layer.extra_parameters + residuals + own, ..layer }
    };
    Ok((0..).zip(each(kept)).map(one).collect())
}
