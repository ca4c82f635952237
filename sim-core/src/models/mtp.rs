//! A model's own layers for further tokens.
//!
//! Source: `vllm/config/speculative.py` (`n_predict`), `vllm/model_executor/models/*_mtp.py`.

use alloc::vec;
use alloc::vec::Vec;

use super::error::ModelConfigError;
use super::hybrids::{NemotronLayer, nemotron_attention, nemotron_pattern};
use super::layers::ModelLayers;
use super::rank::{Heads, Rank};
use super::{mla, windows};

type Found = Result<MtpLayers, ModelConfigError>;

/// Most layers for further tokens.
const MAX_LAYERS: u32 = 64;

/// What a model drafts with by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MtpLayers {
    /// The layers that keep something.
    pub(super) layers: Vec<ModelLayers>,
    /// Tokens that it predicts in a row; more are proposed by going through the layers again.
    pub(super) num_predicted: u32,
    /// Modules of a chain (`num_nextn_predict_layers` of the draft configuration), at least 1.
    pub(super) num_modules: u32,
}

fn num_modules(rank: &Rank<'_>, field: &'static str) -> Result<u32, ModelConfigError> {
    Ok(rank.fields.number(field, MAX_LAYERS)?.filter(|&count| count > 0).unwrap_or(1))
}

fn chain(rank: &Rank<'_>, layer: ModelLayers) -> Found {
    let num_layers = num_modules(rank, "num_nextn_predict_layers")?;
    Ok(MtpLayers {
        layers: vec![ModelLayers { num_layers, ..layer }],
        num_predicted: num_layers,
        num_modules: num_layers,
    })
}

/// Qwen3-Next and GLM-4: full attention like the model's.
pub(super) fn full(rank: &Rank<'_>) -> Found {
    chain(rank, rank.full(Heads::of(rank.fields)?))
}

/// DeepSeek-V3: latent attention like the model's.
pub(super) fn mla(rank: &Rank<'_>) -> Found {
    chain(rank, rank.mla(mla::width(rank.fields)?))
}

/// DeepSeek-V3.2 and GLM-5: an index and the attention behind it.
pub(super) fn sparse(rank: &Rank<'_>) -> Found {
    let (index, attention) = mla::sparse_layer(rank)?;
    let num_layers = num_modules(rank, "num_nextn_predict_layers")?;
    let layers = (0..num_layers).flat_map(|_| [index, attention]).collect();
    Ok(MtpLayers { layers, num_predicted: num_layers, num_modules: num_layers })
}

/// Qwen3.5, which has another name for their number.
pub(super) fn qwen3_5(rank: &Rank<'_>) -> Found {
    let num_layers = num_modules(rank, "mtp_num_hidden_layers")?;
    let layer = rank.full(Heads::of(rank.fields)?);
    Ok(MtpLayers { layers: vec![ModelLayers { num_layers, ..layer }], num_predicted: num_layers, num_modules: 1 })
}

/// `MiMo-V2-Flash`: one layer with a window, whatever the file says.
pub(super) fn mimo_v2_flash(rank: &Rank<'_>) -> Found {
    let (heads, window) = windows::mimo_v2_window(rank.fields)?;
    Ok(MtpLayers { layers: vec![rank.window(heads, window)], num_predicted: 1, num_modules: 1 })
}

/// Step 3.5: the kinds stand behind those of the model's layers.
pub(super) fn step3p5(rank: &Rank<'_>) -> Found {
    let fields = rank.fields;
    let num_layers = num_modules(rank, "num_nextn_predict_layers")?;
    let num_own = fields.num_layers("layer_types")?;
    let types = fields.texts_of_layers("layer_types", num_own.saturating_add(num_layers))?;
    let types = types.ok_or(ModelConfigError::missing("layer_types"))?;
    let behind = types.get(usize::try_from(num_own).unwrap_or(usize::MAX)..).unwrap_or_default();
    let layers = windows::step3p5_layers(rank, behind)?;
    Ok(MtpLayers { layers, num_predicted: num_layers, num_modules: num_layers })
}

/// Nemotron 3: full attention wherever the layers' own pattern has it; the others keep nothing.
pub(super) fn nemotron_h(rank: &Rank<'_>) -> Found {
    let pattern = nemotron_pattern(rank.fields, "mtp_hybrid_override_pattern", "mtp_layers_block_type")?;
    let pattern = pattern.unwrap_or_else(|| vec![NemotronLayer::Attention]);
    let attention = nemotron_attention(rank)?;
    let layers = pattern.into_iter().filter(|layer| *layer == NemotronLayer::Attention).map(|_| attention).collect();
    let num_modules = num_modules(rank, "num_nextn_predict_layers")?;
    Ok(MtpLayers { layers, num_predicted: num_modules, num_modules })
}
