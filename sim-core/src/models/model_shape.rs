//! From a `config.json` to what a model's layers compute.

use alloc::vec::Vec;

use super::architectures::Architecture;
use super::config_file::ConfigFile;
use super::defaults;
use super::error::ModelConfigError;
use super::model::open;
use super::rank::Rank;
use super::settings::{KvCacheDtype, ModelSettings};
use super::shape::{LayerRun, LayerShape, Mlp, ModelShape, WeightFormat};
use super::shapes::{each, other_parameters};
use super::weight_formats::weight_formats;

impl ModelShape {
    /// Reads a `config.json` of at most [`MAX_BYTES`](super::error::MAX_BYTES). Of the settings, `dtype` and `quantization`
    /// count: shapes are the same for all ranks and caches.
    ///
    /// # Errors
    /// See [`ModelConfigError`].
    pub fn from_json(config: &[u8], settings: &ModelSettings) -> Result<Self, ModelConfigError> {
        let file = ConfigFile::parse(config)?;
        let (architecture, rank, layers) = layers(&file, settings)?;
        let formats = weight_formats(&file, &layers, settings)?;
        let ties = rank.fields.value("tie_word_embeddings").or(file.root().value("tie_word_embeddings"));
        let tie_word_embeddings = match ties {
            Some(value) => {
                value.as_bool().ok_or_else(|| ModelConfigError::value("tie_word_embeddings", value, "true or false"))?
            }
            None => defaults::ties_word_embeddings(architecture.name),
        };
        Ok(Self {
            architecture: architecture.name.into(),
            hidden_size: rank.fields.count("hidden_size")?,
            vocab_size: rank.fields.count("vocab_size")?,
            tie_word_embeddings,
            dtype: rank.dtype,
            layers,
            formats,
            other_parameters: other_parameters(&file, architecture.name)?,
        })
    }
}

impl ModelShape {
    /// The format that most of the weights are quantised in: that of the experts, else of the MLPs, else of the mixers.
    #[must_use]
    pub fn main_format(&self) -> WeightFormat {
        let all = self.formats;
        let has = |is_it: fn(&Mlp) -> bool| self.layers.iter().any(|run| is_it(&run.layer.mlp));
        let experts = has(|mlp| matches!(mlp, Mlp::Experts(_))).then_some(all.experts);
        let dense = has(|mlp| matches!(mlp, Mlp::Dense(_))).then_some(all.mlp);
        let mut formats = [experts, dense, Some(all.mixer)].into_iter().flatten();
        formats.find(|format| *format != WeightFormat::Unquantized).unwrap_or(WeightFormat::Unquantized)
    }
}

/// The class of a file, the fields of its language model, and the layers, whatever format their weights have.
pub(super) fn layers<'a>(
    file: &'a ConfigFile,
    settings: &ModelSettings,
) -> Result<(&'static Architecture, Rank<'a>, Vec<LayerRun>), ModelConfigError> {
    // What layers keep is asked for on one rank, where all heads are, and in the model's own number format.
    let alone = ModelSettings {
        dtype: settings.dtype,
        quantization: settings.quantization,
        compute_capability: settings.compute_capability,
        kv_cache_dtype: KvCacheDtype::Plain(super::Dtype::Bfloat16),
        ..ModelSettings::default()
    };
    let (architecture, rank) = open(file, &alone)?;
    let kept: Vec<_> = each(&(architecture.layers)(&rank)?).collect();
    let layers = merged((architecture.shape)(&rank, &kept)?);
    if layers.is_empty() {
        return Err(ModelConfigError::missing("num_hidden_layers"));
    }
    Ok((architecture, rank, layers))
}

/// Equal layers that follow each other as one entry.
fn merged(layers: Vec<LayerShape>) -> Vec<LayerRun> {
    let mut runs: Vec<LayerRun> = Vec::new();
    for layer in layers {
        match runs.last_mut() {
            Some(run) if run.layer == layer => run.num_layers += 1,
            _ => runs.push(LayerRun { num_layers: 1, layer }),
        }
    }
    runs
}
