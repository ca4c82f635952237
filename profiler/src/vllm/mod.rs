//! The real vLLM, in a child process of the user's Python.
//!
//! A Python program (`driver`) is shipped inside this binary. It builds vLLM's own engine core with the user's flags, runs scripts on
//! it and reports every pass over a line protocol ([`protocol`]). Nothing of vLLM is changed, its scheduler is watched; but where
//! passes with drafts are to be measured, drafts without meaning take the place of those proposed.

mod checked_run;
mod engine;
mod facts;
mod kv_layers;
pub(crate) mod log_tail;
pub(crate) mod model;
mod process;
mod protocol;
pub(crate) mod scratch;

use std::path::PathBuf;

pub(crate) use engine::{VllmEngine, check_flags};
pub(crate) use process::{MODEL, SETTINGS};

/// Which engine is started, and how.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct EngineOptions {
    /// Python of the environment that vLLM is installed in
    #[arg(long, value_name = "PATH", default_value = "python3")]
    pub(crate) python: PathBuf,
    /// The model: a folder (with `--load-format dummy` or `--engine cuda` its config.json is enough), or one of the small models built in
    /// for trials: gemma3-1m (with sliding windows), llama-1m, llama-30m, qwen3-2m
    #[arg(long, value_name = "DIR", default_value = "llama-1m")]
    pub(crate) model: String,
    /// Keep what vLLM prints in this file
    #[arg(long, value_name = "PATH")]
    pub(crate) engine_log: Option<PathBuf>,
    /// Flags for the engine, those of `vllm serve`
    #[arg(last = true, value_name = "VLLM FLAGS", allow_hyphen_values = true)]
    pub(crate) flags: Vec<String>,
}
