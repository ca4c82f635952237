//! What `--model` means: a name, a `config.json`, or a folder that has one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};
use sim_core::models::error::MAX_BYTES;

use crate::input_file::read_limited;

/// A model of a file of the user's own.
#[derive(Debug)]
pub(crate) struct ModelFile {
    /// What to call it.
    pub(crate) name: String,
    /// Its `config.json`, with what `ModelOpt` says of it in a file of its own.
    pub(crate) config: Vec<u8>,
}

/// The file that `given` is or has in it; `None` if it is a name. As with vLLM, what exists here goes before names.
///
/// # Errors
/// If a file that is meant cannot be read.
pub(crate) fn model_file(given: &str) -> Result<Option<ModelFile>> {
    let path = Path::new(given);
    if path.is_dir() {
        let file = path.join("config.json");
        if file.is_file() {
            let config = with_modelopt(read_limited(&file, MAX_BYTES)?, path)?;
            return Ok(Some(ModelFile { name: folder_name(path), config }));
        }
        // A folder of that name may lie here by chance.
        if given.starts_with(['/', '.', '~']) || given.ends_with('/') {
            bail!("--model {given}: there is no config.json in this folder");
        }
        return Ok(None);
    }
    let is_meant = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    if !is_meant && !path.is_file() {
        return Ok(None);
    }
    let config = read_limited(path, MAX_BYTES)?;
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let name = if stem == "config" { folder_name(folder.unwrap_or(Path::new("."))) } else { stem };
    Ok(Some(ModelFile { name, config }))
}

/// A model's name by its folder: Hugging Face's cache has it further up.
fn folder_name(folder: &Path) -> String {
    let full: PathBuf = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let parts: Vec<String> = full.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let cached = parts.iter().rev().find_map(|part| part.strip_prefix("models--"));
    let name = cached.map_or_else(|| parts.last().cloned().unwrap_or_default(), |name| name.replace("--", "/"));
    if name.trim_matches('/').is_empty() { "model".to_owned() } else { name }
}

/// `ModelOpt` writes how a checkpoint is quantised into a file beside `config.json`, which vLLM reads if that is silent.
fn with_modelopt(config: Vec<u8>, folder: &Path) -> Result<Vec<u8>> {
    let path = folder.join("hf_quant_config.json");
    if !path.is_file() {
        return Ok(config);
    }
    // What is wrong with it, its reader says.
    let Ok(mut root) = serde_json::from_slice::<Map<String, Value>>(&config) else { return Ok(config) };
    if root.contains_key("quantization_config") || root.contains_key("compression_config") {
        return Ok(config);
    }
    let file = read_limited(&path, MAX_BYTES)?;
    let words: Map<String, Value> =
        serde_json::from_slice(&file).with_context(|| format!("{} is no JSON object", path.display()))?;
    root.insert("quantization_config".to_owned(), Value::Object(words));
    Ok(serde_json::to_vec(&root)?)
}
