//! Models: what the engine must know of one, from its `config.json`. Knows no scheduler and no time.
//!
//! A file becomes layers in three steps: `config_file` reads fields within limits, `rank` counts what one layer keeps
//! on one rank, and the families (`dense`, `windows`, `mla`, `hybrids`) say which layers a model has, in the order
//! in which vLLM builds them. `architectures` is the table of the models that are known, `model` the way in.

pub mod layers;
pub mod shape;
pub mod memory;
pub mod settings;
pub mod error;
pub(crate) mod python_json;
mod config_file;
mod quantization;
mod rank;
mod states;
mod dense;
mod windows;
mod mla;
mod hybrids;
mod kernels;
pub(crate) mod max_len;
mod architectures;
mod mtp;
pub mod model;
mod shapes;
mod defaults;
mod patterns;
mod module_names;
mod weight_formats;
mod model_shape;
mod model_config;
#[cfg(test)]
mod formats_tests;
mod weight_parts;
pub mod weights;
pub mod drafters;
pub mod catalogue;

pub use catalogue::{Catalogue, CatalogueEntry, CatalogueError, FoundModel, UnknownModel, Variant};
pub use drafters::DrafterLayers;
pub use error::ModelConfigError;
pub use model::ModelKvCache;
pub use model_config::ModelConfig;
pub use settings::{AttentionBackend, ComputeCapability, Dtype, KvCacheDtype, ModelSettings, Quantization};
pub use shape::ModelShape;
pub use weights::{WeightBytes, WeightSharing};
