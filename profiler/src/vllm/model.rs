//! The model's folder: the user's, or one made for a small model that is built in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Small models for trials and tests; their weights are random, so only their `config.json` is needed.
const BUILT_IN: [(&str, &str); 3] = [
    ("llama-1m", include_str!("models/llama-1m.json")),
    ("llama-30m", include_str!("models/llama-30m.json")),
    ("qwen3-2m", include_str!("models/qwen3-2m.json")),
];

/// A model that vLLM can be pointed at. A folder that was made for it goes with it.
#[derive(Debug)]
pub(super) struct ModelDir {
    path: PathBuf,
    is_built_in: bool,
}

impl ModelDir {
    /// The folder `model`, or the built-in model of that name.
    pub(super) fn new(model: &str) -> Result<Self> {
        let path = PathBuf::from(model);
        if path.join("config.json").is_file() {
            return Ok(Self { path, is_built_in: false });
        }
        let Some((name, config)) = BUILT_IN.iter().find(|(name, _)| *name == model) else {
            let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            if path.is_dir() {
                bail!("--model {model}: the folder has no config.json");
            }
            bail!("--model {model}: no such folder, and none of the models built in ({})", names.join(", "));
        };
        let path = std::env::temp_dir().join(format!("vllm-simulator-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        fs::write(path.join("config.json"), config).with_context(|| path.display().to_string())?;
        Ok(Self { path, is_built_in: true })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there are no weights to load.
    pub(super) const fn is_built_in(&self) -> bool {
        self.is_built_in
    }
}

impl Drop for ModelDir {
    fn drop(&mut self) {
        if self.is_built_in {
            // A folder left behind in the temporary folder harms nobody.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}
