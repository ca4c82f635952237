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

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// The bytes of the file at `path`, refused above `limit`; never more than that is read.
pub(crate) fn read_limited(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("{name} cannot be opened"))?;
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).with_context(|| format!("{name} cannot be read"))?;
    ensure!(bytes.len() <= limit, "{name} has more than {limit} bytes, the limit");
    Ok(bytes)
}
