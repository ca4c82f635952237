//! Which models a pack makes up.

use anyhow::Result;
use serde::Serialize;
use sim_core::compose::{Setup, compose};
use sim_core::operators::Pack;

use crate::simulate::library::catalogue;

/// Models that need other operators each, on as many GPUs as they are usually served on.
const TRIED: [(&str, &str, u32); 11] = [
    ("dense", "meta-llama/Llama-3.1-8B", 1),
    ("dense, several GPUs", "meta-llama/Llama-3.1-70B", 4),
    ("dense, fp8", "Qwen/Qwen3-32B-FP8", 1),
    ("windows", "google/gemma-3-27b-it", 1),
    ("experts", "Qwen/Qwen3-30B-A3B", 1),
    ("experts, fp8", "MiniMaxAI/MiniMax-M2.5", 4),
    ("experts, MXFP4", "openai/gpt-oss-120b", 1),
    ("latent attention", "deepseek-ai/DeepSeek-V3", 8),
    ("sparse latent attention", "deepseek-ai/DeepSeek-V3.2", 8),
    ("gated delta networks", "Qwen/Qwen3-Next-80B-A3B-Instruct", 2),
    ("Kimi's delta attention", "moonshotai/Kimi-Linear-48B-A3B-Instruct", 2),
];

/// Whether a model's profile is composed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ModelVerdict {
    /// What it stands for.
    pub(crate) family: &'static str,
    pub(crate) name: &'static str,
    pub(crate) tensor_parallel_size: u32,
    /// Why not.
    pub(crate) refusal: Option<String>,
}

/// One for each family.
pub(super) fn verdicts(pack: &Pack) -> Result<Vec<ModelVerdict>> {
    let list = catalogue()?;
    let verdict = |(family, name, tensor_parallel_size)| {
        let setup = Setup { tensor_parallel_size, ..Setup::default() };
        let refusal = match list.find(name) {
            Ok(model) => compose(pack, name, &model.config_json(), &setup).err().map(|error| error.to_string()),
            Err(unknown) => Some(unknown.to_string()),
        };
        ModelVerdict { family, name, tensor_parallel_size, refusal }
    };
    Ok(TRIED.into_iter().map(verdict).collect())
}
