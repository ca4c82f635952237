//! What a model of a file is called: as the folder it lies in, else as its `config.json` says, else by class and size.
//!
//! All models' files are called `config.json`, so that name says nothing; nor do names of folders that say how something
//! was stored (`snapshots`, a digest, `checkpoint-500`).

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sim_core::models::{ModelSettings, ModelShape};

/// Words that say how something is stored, not what it is.
const STORAGE: [&str; 33] = [
    "",
    ".",
    "..",
    "config",
    "configs",
    "snapshot",
    "snapshots",
    "model",
    "models",
    "ckpt",
    "ckpts",
    "checkpoint",
    "checkpoints",
    "tmp",
    "temp",
    "data",
    "weights",
    "output",
    "outputs",
    "out",
    "latest",
    "final",
    "best",
    "main",
    "hf",
    "hub",
    "download",
    "downloads",
    "home",
    "root",
    "mnt",
    "llm",
    "params",
];

/// The name of the model of the file at `path`; `config` is its content.
#[expect(clippy::print_stderr, reason = "a name that nobody gave is told")]
pub(super) fn of_file(path: &Path, config: &[u8]) -> String {
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let stem = [".config", "_config", "-config"].iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(&stem);
    // A folder's own name, whatever it was called by: `.`, `~/models/..`.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder: PathBuf = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let own = serde_json::from_slice::<Map<String, Value>>(config).ok();
    let own = own.as_ref().and_then(|root| root.get("_name_or_path")).and_then(Value::as_str).unwrap_or_default();
    if is_name(stem) {
        return stem.to_owned();
    }
    if let Some(name) = of_folder(&folder).or_else(|| of_path(own)) {
        return name;
    }
    // Of a file that is none, its reader tells.
    let Some(name) = by_size(config) else { return "model".to_owned() };
    eprintln!(
        "note: neither the folder nor config.json names the model: it is called {name}; --model-name gives a name"
    );
    name
}

/// The name of a folder: that of Hugging Face's cache where it is in one.
fn of_folder(folder: &Path) -> Option<String> {
    let parts: Vec<String> = folder.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let cached = parts.iter().rev().find_map(|part| part.strip_prefix("models--"));
    let cached = cached.map(|name| name.replace("--", "/")).filter(|name| is_name(name.trim_matches('/')));
    let mut last = parts.iter().rev();
    let own = last.next()?;
    let is_snapshot = last.next().is_some_and(|above| above == "snapshots");
    let own = if is_snapshot { last.next()? } else { own };
    cached.or_else(|| is_name(own).then(|| own.clone()))
}

/// The name that a file gives itself: as on Hugging Face, or the end of somebody's path.
fn of_path(own: &str) -> Option<String> {
    let own = own.trim().trim_end_matches('/');
    let last = own.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_path = own.starts_with(['/', '.', '~']) || own.contains('\\') || own.matches('/').count() > 1;
    is_name(last).then(|| if is_path { last.to_owned() } else { own.to_owned() })
}

/// Whether a word says which model something is.
fn is_name(word: &str) -> bool {
    let lower = word.to_lowercase();
    // `config (1)`, `checkpoint-500`, `model_final_v2`.
    let mut parts =
        lower.split(|letter: char| !letter.is_alphanumeric() && letter != '.').filter(|part| !part.is_empty());
    let is_storage = |part: &str| {
        let digits = part.trim_start_matches('v');
        STORAGE.contains(&part)
            || digits.bytes().all(|byte| byte.is_ascii_digit())
            || ["step", "epoch", "copy"].contains(&part)
    };
    let is_digest = lower.len() >= 7 && lower.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    !is_digest && !parts.all(is_storage)
}

/// `Llama-3.2B` of `LlamaForCausalLM` with 3.2 billion parameters; `None` if the file is not read.
fn by_size(config: &[u8]) -> Option<String> {
    let shape = ModelShape::from_json(config, &ModelSettings::default()).ok()?;
    let class = &shape.architecture;
    let family =
        ["ForCausalLM", "ForConditionalGeneration"].iter().find_map(|end| class.strip_suffix(end)).unwrap_or(class);
    let billions = shape.num_parameters() as f64 / 1e9;
    Some(format!("{family}-{billions:.*}B", usize::from(billions < 100.0)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{of_file, of_path};

    const CONFIG: &[u8] = br#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 3072, "intermediate_size": 8192,
        "num_attention_heads": 24, "num_hidden_layers": 28, "num_key_value_heads": 8, "head_dim": 128,
        "tie_word_embeddings": true, "vocab_size": 128256}"#;

    /// The file at `path`, which need not be there, is of a model of this name.
    #[track_caller]
    fn check(path: &str, expect: &str) {
        assert_eq!(of_file(Path::new(path), CONFIG), expect, "{path}");
    }

    #[test]
    fn a_model_is_called_as_its_folder() {
        check("/x/Llama-3.2-3B-Instruct/config.json", "Llama-3.2-3B-Instruct");
        check(
            "/x/models--meta-llama--Llama-3.1-8B/snapshots/d04e592bb4f6aa9cfee91e2e20afa771667e1d4b/config.json",
            "meta-llama/Llama-3.1-8B",
        );
        check("/x/hub/models--gpt2/snapshots/607a30d/config.json", "gpt2");
        check("/x/Qwen3-8B/snapshots/main/config.json", "Qwen3-8B");
        check("/x/03-model-is-called-config/config.json", "03-model-is-called-config");
        check("/x/Qwen2.5-7B/config (1).json", "Qwen2.5-7B");
        check("/x/deepseek-v3/config_v2.json", "deepseek-v3");
        check("/x/opt/qwen3-8b.json", "qwen3-8b");
        check("/x/opt/gemma-3-27b.config.json", "gemma-3-27b");
    }

    #[test]
    fn what_says_how_it_is_stored_is_no_name() {
        for folder in [
            "snapshots",
            "ckpt",
            "checkpoint-500",
            "tmp",
            "607a30d783dfa663caf39e06633721c8d4cfcd7e",
            "model",
            "data/llm",
            "42",
        ] {
            check(&format!("/x/{folder}/config.json"), "Llama-3.2B");
        }
    }

    /// A file's own name for its model.
    #[track_caller]
    fn check_own(own: &str, expect: Option<&str>) {
        assert_eq!(of_path(own).as_deref(), expect, "{own}");
    }

    #[test]
    fn a_file_may_name_its_model() {
        check_own("meta-llama/Llama-3.1-8B", Some("meta-llama/Llama-3.1-8B"));
        check_own("/fsx/people/Llama-3.1-8B/", Some("Llama-3.1-8B"));
        check_own("./Mistral-7B", Some("Mistral-7B"));
        check_own("C:\\models\\Qwen3-8B", Some("Qwen3-8B"));
        check_own("/tmp/checkpoint-1200", None);
        check_own("", None);
    }
}
