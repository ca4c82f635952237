//! The model's folder: the user's, or one made for a small model that is built in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::scratch::scratch_folder;

/// Small models for trials and tests; their weights are random, so only their `config.json` is needed.
const BUILT_IN: [(&str, &str); 4] = [
    // Windows in four of six layers: three groups of two layers each.
    ("gemma3-1m", include_str!("models/gemma3-1m.json")),
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

    /// For each of the block tables that a request of the model has, the window of its layers, if they have one. By
    /// `layer_types` of its `config.json`; where there is no such list, one table of full attention.
    pub(crate) fn block_tables(&self) -> Vec<Option<u32>> {
        let config: Value = fs::read(self.path.join("config.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let layers: Vec<&str> =
            config["layer_types"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let window = config["sliding_window"].as_u64().and_then(|window| u32::try_from(window).ok());
        let num_windows = layers.iter().filter(|kind| **kind == "sliding_attention").count();
        let num_full = layers.len() - num_windows;
        let (Some(window), true) = (window, num_windows > 0 && num_full > 0) else { return vec![None] };
        // As many layers to a table as the rarer kind has.
        let size = num_windows.min(num_full);
        let tables = |count: usize, window| vec![window; count.div_ceil(size)];
        [tables(num_windows, Some(window)), tables(num_full, None)].concat()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there are no weights to load.
    pub(crate) const fn is_built_in(&self) -> bool {
        self.made.is_some()
    }
}
