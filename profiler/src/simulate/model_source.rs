//! What `--model` means: a name, a `config.json`, or a folder that has one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};
use sim_core::models::error::MAX_BYTES;

use super::model_name;
use crate::input_file::{Wanted, check, read_limited};

/// A model of a file of the user's own.
#[derive(Debug)]
pub(crate) struct ModelFile {
    /// What to call it.
    pub(crate) name: String,
    /// Its `config.json`, with what `ModelOpt` says of it in a file of its own.
    pub(crate) config: Vec<u8>,
}

/// What the user calls a model of a file.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ModelName {
    /// What the model of a file is called [default: as its folder, else as its config.json says]
    #[arg(long, value_name = "NAME")]
    pub(crate) model_name: Option<String>,
}

impl ModelName {
    /// The file that `given` is or has in it; `None` if it is a name. As with vLLM, what exists here goes before names.
    ///
    /// # Errors
    /// If a file that is meant cannot be read, or `--model-name` is given for what is a name already.
    pub(crate) fn file(&self, given: &str) -> Result<Option<ModelFile>> {
        let Some((config, path)) = find(given)? else {
            if let Some(name) = &self.model_name {
                bail!("--model-name {name}: it is for a model of a file, and --model {given} is a name");
            }
            return Ok(None);
        };
        check(&path, &config, Wanted::ModelConfig)?;
        let name = match &self.model_name {
            Some(name) => {
                ensure!(!name.trim().is_empty(), "--model-name: a name is needed");
                name.clone()
            }
            None => model_name::of_file(&path, &config),
        };
        Ok(Some(ModelFile { name, config }))
    }
}

/// The bytes of the file that `given` means, and where it lies.
fn find(given: &str) -> Result<Option<(Vec<u8>, PathBuf)>> {
    let path = Path::new(given);
    if path.is_dir() {
        let file = path.join("config.json");
        if file.is_file() {
            return Ok(Some((with_modelopt(read_limited(&file, MAX_BYTES)?, path)?, file)));
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
    Ok(Some((read_limited(path, MAX_BYTES)?, path.to_owned())))
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
