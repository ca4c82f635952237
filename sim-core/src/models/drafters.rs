//! The layers of a drafter beside a model.
//!
//! Source: `vllm/config/speculative.py`, `vllm/model_executor/models/{llama_eagle,llama_eagle3,qwen3_dflash}.py`. A
//! drafter's cache has the number formats and the ranks of the model's.

use alloc::vec::Vec;

use super::architectures::Architecture;
use super::config_file::ConfigFile;
use super::error::ModelConfigError;
use super::layers::ModelLayers;
use super::model::{architecture, merged, open};
use super::rank::{Heads, Rank};
use super::settings::ModelSettings;
use super::{dense, mla};
use crate::speculative::SpeculativeMethod;

/// A drafter's KV cache on one rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrafterLayers {
    /// What its layers keep, in the order in which vLLM builds them; empty if it has none.
    pub layers: Vec<ModelLayers>,
    /// Modules of a chain that each predict a further token (`num_nextn_predict_layers`), at least 1.
    pub num_mtp_layers: u32,
}

impl DrafterLayers {
    /// The drafter of the model of `config` by `method`; `drafter_config` is the `config.json` of a drafter with files of
    /// its own.
    ///
    /// # Errors
    /// See [`ModelConfigError`].
    pub fn from_json(
        config: &[u8],
        drafter_config: Option<&[u8]>,
        (method, num_speculative_tokens): (SpeculativeMethod, u32),
        settings: &ModelSettings,
    ) -> Result<Self, ModelConfigError> {
        let file = ConfigFile::parse(config)?;
        let (architecture, rank) = open(&file, settings)?;
        match method {
            SpeculativeMethod::Ngram | SpeculativeMethod::NgramGpu => {
                Ok(Self { layers: Vec::new(), num_mtp_layers: 1 })
            }
            SpeculativeMethod::Mtp => Self::mtp(architecture, &rank, num_speculative_tokens),
            SpeculativeMethod::Dspark => Err(unknown(architecture.name, method)),
            _ => {
                let config = drafter_config.ok_or(ModelConfigError::NoDrafterConfig { method })?;
                let file = ConfigFile::parse(config)?;
                let layers = own_layers(&file, &rank, method)?;
                Ok(Self { layers: as_draft(layers), num_mtp_layers: 1 })
            }
        }
    }

    fn mtp(
        architecture: &Architecture,
        rank: &Rank<'_>,
        num_speculative_tokens: u32,
    ) -> Result<Self, ModelConfigError> {
        let layers = architecture.mtp.ok_or_else(|| unknown(architecture.name, SpeculativeMethod::Mtp))?;
        let found = layers(rank)?;
        let num_mtp_layers = found.num_predicted;
        if num_speculative_tokens > num_mtp_layers && !num_speculative_tokens.is_multiple_of(num_mtp_layers) {
            return Err(ModelConfigError::NumDrafts { num_speculative_tokens, num_mtp_layers });
        }
        Ok(Self { layers: as_draft(found.layers), num_mtp_layers: found.num_modules })
    }
}

fn unknown(architecture: &str, method: SpeculativeMethod) -> ModelConfigError {
    ModelConfigError::Drafter { architecture: architecture.into(), method }
}

fn as_draft(layers: Vec<ModelLayers>) -> Vec<ModelLayers> {
    merged(layers.into_iter().map(|layer| ModelLayers { is_draft: true, ..layer }).collect())
}

/// The layers of a drafter with files of its own.
fn own_layers(
    file: &ConfigFile,
    model: &Rank<'_>,
    method: SpeculativeMethod,
) -> Result<Vec<ModelLayers>, ModelConfigError> {
    let rank = model.with_fields(file)?;
    match method {
        SpeculativeMethod::DraftModel => (architecture(file)?.layers)(&rank),
        SpeculativeMethod::Dflash => dflash(&rank),
        // A head over a model of latent attention has such layers, too.
        _ if rank.fields.value("kv_lora_rank").is_some() => mla::deepseek(&rank),
        _ => dense::all_full(&rank),
    }
}

/// `DFlash`: windows where `dflash_config` or `layer_types` ask for them (`_resolve_layer_attention`).
fn dflash(rank: &Rank<'_>) -> Result<Vec<ModelLayers>, ModelConfigError> {
    const SLIDING: &str = "sliding_attention";
    let fields = rank.fields;
    let num_layers = fields.num_layers("layer_types")?;
    let types = fields.texts_of_layers("layer_types", num_layers)?;
    let own = fields.object("dflash_config")?;
    let uses_windows = own.map_or(Ok(false), |own| own.flag_or("use_swa", false))?;
    let has_window: Vec<bool> = match types {
        Some(types) if !uses_windows || types.contains(&SLIDING) => {
            types.into_iter().map(|kind| kind == SLIDING).collect()
        }
        _ => (0..num_layers).map(|_| uses_windows).collect(),
    };
    let heads = Heads::of(fields)?;
    let width = own.map_or(Ok(None), |own| own.optional_count("swa_window_size"))?;
    let window = || width.map_or_else(|| fields.count("sliding_window"), Ok);
    has_window
        .into_iter()
        .map(|has_window| Ok(if has_window { rank.window(heads, window()?) } else { rank.full(heads) }))
        .collect()
}
