//! Profiles from what others have published: operator times, layer times, results of `vllm bench serve`.
//!
//! An importer finds [`assemble::DerivedParts`]; [`assemble::assemble`] makes a profile of kind `derived` of them. What
//! the parts have in common stands here: [`smooth`] makes tables monotone and records what that changed,
//! [`model_config`] reads a Hugging Face `config.json`, [`gpus`] knows the devices, and [`memory`] counts what is left for
//! the KV cache.

pub(crate) mod aiconfigurator;
pub(crate) mod assemble;
pub(crate) mod calibrate;
pub(crate) mod fit;
pub(crate) mod gpus;
pub(crate) mod llmservingsim;
pub(crate) mod memory;
pub(crate) mod model_config;
pub(crate) mod packs;
pub(crate) mod smooth;
pub(crate) mod version;
pub(crate) mod vllm_bench;
