//! Why a model's layers are not known.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::settings::{ComputeCapability, Quantization};
use crate::speculative::SpeculativeMethod;

/// Longest `config.json` that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// Why the layers of a `config.json` are not known. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelConfigError {
    /// More than [`MAX_BYTES`].
    TooLarge {
        /// Bytes of the file.
        num_bytes: usize,
    },
    /// Not JSON, or not an object.
    Json {
        /// What, and where.
        message: String,
    },
    /// A field that the layers follow from is absent or null.
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field, or an entry of it, is not what it must be.
    Value {
        /// The field.
        field: &'static str,
        /// Its value, shortened.
        value: String,
        /// What it must be.
        need: String,
    },
    /// A list has fewer entries than the model has layers.
    TooShort {
        /// The field.
        field: &'static str,
        /// Entries of the list.
        entries: usize,
        /// Layers.
        layers: u32,
    },
    /// The first of `architectures` is none of those that are known.
    Architecture {
        /// The class of the model.
        name: String,
        /// The file's `model_type`, if it has one.
        model_type: Option<String>,
        /// Those that begin like it.
        near: Vec<&'static str>,
        /// Why this one is not, if that is known.
        why: Option<&'static str>,
        /// Those that are, divided by commas.
        known: String,
    },
    /// The model encodes a text of its own for the decoder to look at.
    EncoderDecoder,
    /// The checkpoint is quantised by a method whose weights are not known.
    Quantization {
        /// The method or algorithm.
        method: String,
        /// Why not.
        why: &'static str,
    },
    /// `--quantization` is not the checkpoint's own method.
    QuantizationMismatch {
        /// The checkpoint's.
        checkpoint: String,
        /// What was asked for.
        given: Quantization,
    },
    /// `--quantization` is a method that vLLM has no weights for in a checkpoint that is not quantised.
    NoQuantizationFile {
        /// What was asked for.
        given: Quantization,
    },
    /// A setting that vLLM does not start with, or whose cache is not known.
    Setting {
        /// The engine argument.
        field: &'static str,
        /// What was given.
        value: String,
        /// Why not.
        why: &'static str,
    },
    /// The attention kernels of the model are known for GPUs of compute capability 9.x alone.
    ComputeCapability {
        /// The class of the model.
        architecture: String,
        /// The GPU's.
        capability: ComputeCapability,
    },
    /// The model has no drafter by this method, or its layers are not known.
    Drafter {
        /// The class of the model or of the drafter.
        architecture: String,
        /// The method.
        method: SpeculativeMethod,
    },
    /// A method needs the drafter's own `config.json`.
    NoDrafterConfig {
        /// The method.
        method: SpeculativeMethod,
    },
    /// More drafts than the model has layers for further tokens, and no multiple of them.
    NumDrafts {
        /// `num_speculative_tokens`.
        num_speculative_tokens: u32,
        /// The layers.
        num_mtp_layers: u32,
    },
}

impl ModelConfigError {
    /// A field that must be there.
    pub(super) const fn missing(field: &'static str) -> Self {
        Self::Missing { field }
    }

    /// A field with a wrong value.
    pub(super) fn value(field: &'static str, value: &serde_json::Value, need: impl Into<String>) -> Self {
        Self::Value { field, value: shown(value), need: need.into() }
    }
}

impl fmt::Display for ModelConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { num_bytes } => write!(f, "config.json: {num_bytes} bytes; the limit is {MAX_BYTES}"),
            Self::Json { message } => write!(f, "config.json: {message}"),
            Self::Missing { field } => write!(f, "config.json: {field} is absent; it must be there"),
            Self::Value { field, value, need } => write!(f, "config.json: {field} is {value}; it must be {need}"),
            Self::TooShort { field, entries, layers } => {
                write!(
                    f,
                    "config.json: {field} has {entries} entries; the model has {layers} layers, and each needs one"
                )
            }
            Self::Architecture { name, model_type, near, why, known } => {
                f.write_str("config.json: ")?;
                if let Some(model_type) = model_type.as_ref().filter(|model_type| *model_type != name) {
                    write!(f, "model_type {model_type:?}, ")?;
                }
                write!(f, "architecture {name:?} is not modelled")?;
                if let Some(why) = why {
                    write!(f, ": {why}")?;
                }
                if !near.is_empty() {
                    write!(f, ". Near it: {}", near.join(", "))?;
                }
                write!(f, ". Known: {known}")
            }
            Self::EncoderDecoder => f.write_str(
                "config.json: is_encoder_decoder is true; only models without an encoder of their own are simulated",
            ),
            Self::Quantization { method, why } => write!(f, "config.json: quantization {method:?}: {why}"),
            Self::QuantizationMismatch { checkpoint, given } => write!(
                f,
                "Quantization method specified in the model config ({checkpoint}) does not match the quantization method \
                 specified in the `quantization` argument ({given})."
            ),
            Self::NoQuantizationFile { given } => {
                write!(f, "Cannot find the config file for {given}: the checkpoint is not quantised")
            }
            Self::Setting { field, value, why } => write!(f, "{field} = {value}: {why}"),
            Self::ComputeCapability { architecture, capability } => write!(
                f,
                "{architecture} with these settings on a GPU of compute capability {capability}: its attention kernels \
                 are known for 9.x (H100, H200) only"
            ),
            Self::Drafter { architecture, method } => write!(
                f,
                "method {method} with {architecture}: the drafter's layers are not known. Known are mtp for Qwen3-Next, \
                 Qwen3.5, GLM-4, GLM-5, DeepSeek-V3, DeepSeek-V3.2, MiMo-V2-Flash, Step-3.5 and Nemotron-H; eagle, \
                 eagle3, draft_model and dflash by the drafter's own config.json"
            ),
            Self::NoDrafterConfig { method } => {
                write!(f, "method {method} needs the drafter's own config.json")
            }
            Self::NumDrafts { num_speculative_tokens, num_mtp_layers } => write!(
                f,
                "num_speculative_tokens = {num_speculative_tokens} must be a multiple of the model's {num_mtp_layers} \
                 layers for further tokens, or at most as many"
            ),
        }
    }
}

impl core::error::Error for ModelConfigError {}

/// A text of the file, cut to what a message has room for.
pub(super) fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 100;
    text.chars().take(MAX_CHARS).collect()
}

fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(_) => "a list".to_string(),
        serde_json::Value::Object(_) => "an object".to_string(),
        serde_json::Value::String(text) => alloc::format!("{:?}", shortened(text)),
        value => value.to_string(),
    }
}
