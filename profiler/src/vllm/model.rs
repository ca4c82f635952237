//! The model's folder: the user's, or one made for a small model that is built in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::scratch::scratch_folder;

/// Small models for trials and tests; their weights are random, so only their `config.json` is needed.
const BUILT_IN: [(&str, &str); 3] = [
    ("llama-1m", include_str!("models/llama-1m.json")),
    ("llama-30m", include_str!("models/llama-30m.json")),
    ("qwen3-2m", include_str!("models/qwen3-2m.json")),
];

/// A model that vLLM can be pointed at. A folder that was made for it goes with it.
#[derive(Debug)]
pub(crate) struct ModelDir {
    path: PathBuf,
    /// The folder, if it was made here; removed at the end.
    made: Option<TempDir>,
}

impl ModelDir {
    /// The folder `model`, or the built-in model of that name.
    pub(crate) fn new(model: &str) -> Result<Self> {
        let path = PathBuf::from(model);
        if path.join("config.json").is_file() {
            return Ok(Self { path, made: None });
        }
        let Some((_, config)) = BUILT_IN.iter().find(|(name, _)| *name == model) else {
            let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            if path.is_dir() {
                bail!("--model {model}: the folder has no config.json");
            }
            bail!("--model {model}: no such folder, and none of the models built in ({})", names.join(", "));
        };
        let made = scratch_folder(&[("config.json", config)])?;
        Ok(Self { path: made.path().to_owned(), made: Some(made) })
    }

    /// As [`Self::new`]; a folder made for a built-in model also gets a tokenizer, which an HTTP server asks for: every
    /// token `n` is the word `tn`.
    pub(crate) fn with_tokenizer(model: &str) -> Result<Self> {
        let made = Self::new(model)?;
        if made.is_built_in() {
            let config: Value = serde_json::from_slice(&fs::read(made.path.join("config.json"))?)?;
            let vocab_size = config["vocab_size"].as_u64().context("the built-in model has a vocab_size")?;
            let vocab: Map<String, Value> = (0..vocab_size).map(|id| (format!("t{id}"), id.into())).collect();
            let tokenizer = json!({
                "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
                "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
                "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "t0"},
            });
            let settings = json!({
                "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": config["max_position_embeddings"],
                "unk_token": "t0", "bos_token": "t1", "eos_token": "t2",
            });
            for (name, content) in [("tokenizer.json", tokenizer), ("tokenizer_config.json", settings)] {
                fs::write(made.path.join(name), content.to_string()).with_context(|| name.to_owned())?;
            }
        }
        Ok(made)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there are no weights to load.
    pub(crate) const fn is_built_in(&self) -> bool {
        self.made.is_some()
    }
}
