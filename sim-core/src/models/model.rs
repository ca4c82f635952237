//! From a `config.json` to what the engine must know of a model's KV cache.

use alloc::string::String;
use alloc::vec::Vec;

use super::architectures::Architecture;
use super::config_file::ConfigFile;
use super::defaults;
use super::error::ModelConfigError;
use super::kernels::BlockSizes;
use super::layers::ModelLayers;
use super::max_len::max_model_len;
use super::rank::Rank;
use super::settings::ModelSettings;

/// A model's KV cache on one rank, before the engine's settings decide about its blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelKvCache {
    /// The model's class in vLLM.
    pub architecture: String,
    /// Longest sequence that the model is made for, in tokens.
    pub max_model_len: u32,
    /// What its layers keep, in the order in which vLLM builds them.
    pub layers: Vec<ModelLayers>,
    /// Tokens of a block unless others are asked for; `None` for vLLM's 16.
    pub default_block_size: Option<u32>,
    /// Smallest number of tokens whose multiples the attention kernels take for a block.
    pub kernel_block_size: u32,
    /// Most tokens of a block that the kernels take in one piece; `None` where they take any.
    pub max_kernel_block_size: Option<u32>,
}

impl ModelKvCache {
    /// Reads a `config.json` of at most [`MAX_BYTES`](super::error::MAX_BYTES).
    ///
    /// # Errors
    /// See [`ModelConfigError`].
    pub fn from_json(config: &[u8], settings: &ModelSettings) -> Result<Self, ModelConfigError> {
        let file = ConfigFile::parse(config)?;
        let (architecture, rank) = open(&file, settings)?;
        let layers = merged((architecture.layers)(&rank)?);
        if layers.is_empty() {
            return Err(ModelConfigError::missing("num_hidden_layers"));
        }
        let sizes = BlockSizes::of(architecture.name, architecture.attention, &rank, settings)?;
        let default = architecture.default_max_model_len();
        Ok(Self {
            architecture: architecture.name.into(),
            max_model_len: max_model_len(rank.fields, architecture.name, default)?,
            layers,
            default_block_size: sizes.default,
            kernel_block_size: sizes.kernel,
            max_kernel_block_size: sizes.max_kernel,
        })
    }
}

/// A file's class and language model.
pub(super) fn open<'a>(
    file: &'a ConfigFile,
    settings: &ModelSettings,
) -> Result<(&'static Architecture, Rank<'a>), ModelConfigError> {
    if file.root().flag_or("is_encoder_decoder", false)? {
        return Err(ModelConfigError::EncoderDecoder);
    }
    Ok((architecture(file)?, Rank::new(file, settings)?))
}

/// The class of a file, by its own name or by that of the family. It is known before any field is asked for.
pub(super) fn architecture(file: &ConfigFile) -> Result<&'static Architecture, ModelConfigError> {
    let (own, model_type) = (file.architecture()?, file.root().text("model_type")?);
    let family = model_type.map(|family| defaults::class_of(family).unwrap_or(family));
    let name = own.as_deref().or(family).ok_or(ModelConfigError::missing("architectures"))?;
    Architecture::find(name, model_type)
}

/// Equal layers that follow each other as one entry.
pub(super) fn merged(layers: Vec<ModelLayers>) -> Vec<ModelLayers> {
    let mut runs: Vec<ModelLayers> = Vec::new();
    for layer in layers {
        match runs.last_mut() {
            Some(run) if (ModelLayers { num_layers: layer.num_layers, ..*run }) == layer => {
                run.num_layers += layer.num_layers;
            }
            _ => runs.push(layer),
        }
    }
    runs
}
