//! Whether a model that somebody names is the one that a profile is of: by class, sizes and number format.
//!
//! A name alone decides nothing: an instruction-tuned model has the shapes of its base, a folder can be called anything,
//! and `…-FP8` is other weights. So the name is looked up in the list of models, and what is found is compared.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use crate::models::catalogue::{self, Catalogue, UnknownModel, Variant};
use crate::models::shape::WeightFormat;
use crate::models::{ModelConfig, ModelConfigError, ModelSettings, ModelShape};
use crate::profile::Profile;
use crate::profile::schema::Model;

/// Why a model is not the profile's, or is not known to be. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherModel {
    /// The name is none of the list and not the profile's own.
    Unknown {
        /// The name.
        name: String,
        /// The nearest names of the list.
        near: Vec<String>,
        /// The profile's.
        profile: String,
    },
    /// The weights that the name speaks of are of a kind that is not simulated.
    Refused {
        /// Why not, with the name.
        message: String,
    },
    /// The first of class, sizes and number format that differs.
    Differs {
        /// The name.
        name: String,
        /// What it has: `num_hidden_layers 64`, `fp8`.
        has: String,
        /// The profile's.
        profile: String,
        /// What that has.
        profile_has: String,
    },
    /// The model's `config.json` is not read.
    Config(ModelConfigError),
}

impl OtherModel {
    /// The model that was asked for, and the profile's, each with what differs.
    #[must_use]
    pub fn sides(&self) -> [String; 2] {
        match self {
            Self::Unknown { name, profile, .. } => [format!("{name}, which is not known"), profile.clone()],
            Self::Refused { message } => [message.clone(), String::new()],
            Self::Differs { name, has, profile, profile_has } => {
                [format!("{name} ({has})"), format!("{profile} ({profile_has})")]
            }
            Self::Config(error) => [error.to_string(), String::new()],
        }
    }
}

impl fmt::Display for OtherModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [model, profile] = self.sides();
        match self {
            Self::Refused { .. } | Self::Config(_) => f.write_str(&model),
            Self::Unknown { .. } | Self::Differs { .. } => write!(f, "model {model}; the profile is of {profile}"),
        }?;
        match self {
            Self::Unknown { near, .. } if !near.is_empty() => write!(f, ". Near it: {}", near.join(", ")),
            _ => Ok(()),
        }
    }
}

impl core::error::Error for OtherModel {}

/// What is left open although a model is the profile's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    name: String,
    method: String,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, method) = (&self.name, &self.method);
        write!(
            f,
            "{name} is a checkpoint that is not quantised, and the profile's weights are {method}: it is taken to be \
             served with --quantization {method}"
        )
    }
}

/// Whether the model called `name` is the profile's: it has its class (where the list knows that), its sizes and its number
/// format. [`Doubt`] is what only the server's flags could tell.
///
/// # Errors
/// See [`OtherModel`].
pub fn check_same_model(name: &str, profile: &Profile, catalogue: &Catalogue) -> Result<Option<Doubt>, OtherModel> {
    if name == profile.model.name {
        return Ok(None);
    }
    match catalogue.find(name) {
        Ok(found) => compare(name, &found.config_json(), profile, catalogue),
        Err(UnknownModel::Refused { .. }) if catalogue::is_same_name(name, &profile.model.name) => Ok(None),
        Err(error @ UnknownModel::Refused { .. }) => Err(OtherModel::Refused { message: error.to_string() }),
        Err(UnknownModel::Unknown { .. }) if catalogue::is_same_name(name, &profile.model.name) => Ok(None),
        Err(UnknownModel::Unknown { name, suggestions }) => {
            Err(OtherModel::Unknown { name, near: suggestions, profile: profile.model.name.clone() })
        }
    }
}

/// The same for a model of a `config.json`, whatever `name` it has.
///
/// # Errors
/// See [`OtherModel`].
pub fn check_same_config(
    name: &str,
    config: &[u8],
    profile: &Profile,
    catalogue: &Catalogue,
) -> Result<Option<Doubt>, OtherModel> {
    compare(name, config, profile, catalogue)
}

fn compare(name: &str, config: &[u8], profile: &Profile, catalogue: &Catalogue) -> Result<Option<Doubt>, OtherModel> {
    let (facts, shape) = read(config).map_err(OtherModel::Config)?;
    let own = catalogue.find(&profile.model.name).ok().and_then(|found| read(&found.config_json()).ok());
    // The list's model of the profile's name is the profile's only if it has its sizes.
    let own = own.filter(|(own, _)| first_difference(own, &profile.model).is_none());
    let differs = |has: String, profile_has: String| OtherModel::Differs {
        name: name.to_owned(),
        has,
        profile: profile.model.name.clone(),
        profile_has,
    };
    if let Some((field, ours, theirs)) = first_difference(&facts, &profile.model) {
        return Err(differs(format!("{field} {ours}"), format!("{field} {theirs}")));
    }
    if let Some((own, _)) = own.as_ref().filter(|(own, _)| own.architecture != facts.architecture) {
        return Err(differs(facts.architecture, own.architecture.clone()));
    }
    let checkpoint = own.map(|(_, shape)| shape.main_format());
    compare_formats(name, shape.main_format(), profile, checkpoint, differs)
}

fn read(config: &[u8]) -> Result<(ModelConfig, ModelShape), ModelConfigError> {
    Ok((ModelConfig::from_json(config)?, ModelShape::from_json(config, &ModelSettings::default())?))
}

/// The first of the sizes that a profile holds for and that is another here. The context length is a limit and costs
/// nothing; of experts, profiles of several makers hold different widths.
fn first_difference(facts: &ModelConfig, model: &Model) -> Option<(&'static str, u32, u32)> {
    let is_dense = facts.num_experts == 0;
    let sizes = [
        ("num_hidden_layers", facts.num_hidden_layers, model.num_hidden_layers),
        ("hidden_size", facts.hidden_size, model.hidden_size),
        ("num_attention_heads", facts.num_attention_heads, model.num_attention_heads),
        ("num_key_value_heads", facts.num_key_value_heads, model.num_key_value_heads),
        ("head_dim", facts.head_dim, model.head_dim),
        ("vocab_size", facts.vocab_size, model.vocab_size),
        (
            "intermediate_size",
            facts.intermediate_size,
            if is_dense { model.intermediate_size } else { facts.intermediate_size },
        ),
    ];
    sizes.into_iter().find(|(_, ours, theirs)| ours != theirs)
}

/// Formats that take as long and as much room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bits {
    Unquantized,
    Fp8,
    Int8,
    Int4,
    Nvfp4,
    Mxfp4,
}

impl Bits {
    const fn of(format: WeightFormat) -> Self {
        match format {
            WeightFormat::Unquantized => Self::Unquantized,
            WeightFormat::Fp8 | WeightFormat::Fp8Block => Self::Fp8,
            WeightFormat::Int8 => Self::Int8,
            WeightFormat::Int4 { .. } => Self::Int4,
            WeightFormat::Nvfp4 => Self::Nvfp4,
            WeightFormat::Mxfp4 => Self::Mxfp4,
        }
    }

    /// Those of a method of vLLM's; `None` where the method has several.
    fn of_method(method: &str) -> Option<Self> {
        Some(match method {
            "fp8" | "fbgemm_fp8" | "fp8_per_tensor" | "fp8_per_channel" | "fp8_per_block" | "mxfp8" | "modelopt"
            | "modelopt_mxfp8" => Self::Fp8,
            "awq" | "auto_awq" | "awq_marlin" | "moe_wna16" => Self::Int4,
            "modelopt_fp4" => Self::Nvfp4,
            "mxfp4" | "gpt_oss_mxfp4" => Self::Mxfp4,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Unquantized => "weights that are not quantised",
            Self::Fp8 => "fp8",
            Self::Int8 => "int8",
            Self::Int4 => "whole numbers of 4 bits",
            Self::Nvfp4 => "nvfp4",
            Self::Mxfp4 => "mxfp4",
        }
    }
}

/// `checkpoint` is the format of the profile's model in the list, if that is there.
fn compare_formats(
    name: &str,
    format: WeightFormat,
    profile: &Profile,
    checkpoint: Option<WeightFormat>,
    differs: impl Fn(String, String) -> OtherModel,
) -> Result<Option<Doubt>, OtherModel> {
    let bits = Bits::of(format);
    let method = profile.engine.quantization.as_deref();
    let checkpoint = checkpoint.map(Bits::of);
    let own = match method {
        None => Some(Bits::Unquantized),
        Some(method) => Bits::of_method(method).or(checkpoint),
    };
    let Some(own) = own.filter(|own| *own != bits) else { return Ok(None) };
    let says_so = matches!(catalogue::variant(&profile.model.name), None | Some(Variant::Unquantized));
    let is_online = checkpoint.map_or(says_so, |checkpoint| checkpoint == Bits::Unquantized);
    match method {
        // vLLM can make 8 bits of any checkpoint, and a name does not say whether it was told to.
        Some(method) if bits == Bits::Unquantized && own == Bits::Fp8 && is_online => {
            Ok(Some(Doubt { name: name.to_owned(), method: method.to_owned() }))
        }
        _ => Err(differs(bits.name().to_owned(), own.name().to_owned())),
    }
}
