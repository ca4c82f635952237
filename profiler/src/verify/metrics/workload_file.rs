//! A workload of the user's own, from a JSON file:
//!
//! ```json
//! {
//!   "requests": [
//!     { "prompt_len": 128, "max_tokens": 32 },
//!     { "prompt_token_ids": [5, 17, 9], "max_tokens": 8, "priority": 0, "cache_salt": "a" }
//!   ],
//!   "queries_per_iter": [1, 0, 0, 1],
//!   "aborts": [[6, 0]]
//! }
//! ```
//!
//! A prompt of which only the length is given is fresh random text. Without `queries_per_iter` all join at once.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use sim_core::rng::Pcg64;

use super::NamedScript;
use crate::engine::{EngineFacts, Script, ScriptedRequest};
use crate::input_file::{Wanted, explained, read_limited};

/// Longest file that is read.
const MAX_BYTES: usize = 64 << 20;
/// Most requests in a file.
const MAX_REQUESTS: usize = 100_000;
/// Most prompt tokens of all requests together.
const MAX_PROMPT_TOKENS: u64 = 1 << 26;
/// Most entries of `queries_per_iter`.
const MAX_ITERATIONS: usize = 10_000_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkloadFile {
    requests: Vec<FileRequest>,
    queries_per_iter: Option<Vec<u32>>,
    #[serde(default)]
    aborts: Vec<(u32, u32)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRequest {
    prompt_len: Option<u32>,
    prompt_token_ids: Option<Vec<u32>>,
    max_tokens: u32,
    #[serde(default)]
    priority: i32,
    cache_salt: Option<String>,
}

/// Reads the workload in `path` for the engine `facts`; its name is the file's.
///
/// # Errors
/// If the file cannot be read, is no such workload, or asks what the engine cannot take.
pub(crate) fn read(path: &Path, facts: &EngineFacts, seed: u64) -> Result<NamedScript> {
    let place = || path.display().to_string();
    let bytes = read_limited(path, MAX_BYTES)?;
    let name = path.file_stem().map_or_else(place, |stem| stem.to_string_lossy().into_owned());
    let script = parse(&bytes, facts, Pcg64::stream(seed, &name));
    let script = script.map_err(|fault| explained(path, &bytes, Wanted::Workload, fault))?;
    let description = format!("{name}: {} requests of a file, seed {seed}", script.requests.len());
    Ok(NamedScript { name, description, script })
}

pub(super) fn parse(json: &[u8], facts: &EngineFacts, mut random: Pcg64) -> Result<Script> {
    let file: WorkloadFile = serde_json::from_slice(json).context("not a workload")?;
    let num_requests = file.requests.len();
    ensure!((1..=MAX_REQUESTS).contains(&num_requests), "{num_requests} requests; there must be 1 to {MAX_REQUESTS}");
    let mut num_prompt_tokens = 0;
    let mut requests = Vec::with_capacity(num_requests);
    for (index, request) in file.requests.into_iter().enumerate() {
        let request = request.read(facts, &mut random).with_context(|| format!("requests[{index}]"))?;
        num_prompt_tokens += request.prompt_token_ids.len() as u64;
        ensure!(num_prompt_tokens <= MAX_PROMPT_TOKENS, "more than {MAX_PROMPT_TOKENS} prompt tokens in all");
        requests.push(request);
    }
    let queries_per_iter = file.queries_per_iter.unwrap_or_else(|| vec![u32::try_from(num_requests).unwrap_or(0)]);
    let num_iterations = queries_per_iter.len();
    ensure!(num_iterations <= MAX_ITERATIONS, "queries_per_iter has {num_iterations} entries of {MAX_ITERATIONS}");
    let joining: u64 = queries_per_iter.iter().map(|&count| u64::from(count)).sum();
    ensure!(
        joining == num_requests as u64,
        "queries_per_iter adds up to {joining}, but there are {num_requests} requests"
    );
    for (index, &(_, request)) in file.aborts.iter().enumerate() {
        ensure!((request as usize) < num_requests, "aborts[{index}]: there is no request {request}");
    }
    ensure!(file.aborts.is_sorted_by_key(|abort| abort.0), "aborts must be ordered by iteration");
    Ok(Script { requests, queries_per_iter, aborts: file.aborts, forced_drafts: None })
}

impl FileRequest {
    fn read(self, facts: &EngineFacts, random: &mut Pcg64) -> Result<ScriptedRequest> {
        let (vocab_size, max_model_len) = (facts.model.vocab_size, facts.config.max_model_len);
        let Self { prompt_len, prompt_token_ids, max_tokens, priority, cache_salt } = self;
        let prompt_len = match (prompt_len, &prompt_token_ids) {
            (Some(len), None) => len,
            (None, Some(ids)) => u32::try_from(ids.len()).unwrap_or(u32::MAX),
            _ => bail!("needs prompt_len or prompt_token_ids, one of them"),
        };
        ensure!(prompt_len > 0, "the prompt is empty");
        ensure!(max_tokens > 0, "max_tokens is 0; it must be at least 1");
        let num_tokens = u64::from(prompt_len) + u64::from(max_tokens);
        ensure!(
            num_tokens <= u64::from(max_model_len),
            "{prompt_len} tokens in and {max_tokens} out are more than the engine's max_model_len={max_model_len}"
        );
        let prompt_token_ids = prompt_token_ids
            .unwrap_or_else(|| (0..prompt_len).map(|_| random.integers(0, vocab_size.saturating_sub(1))).collect());
        if let Some(id) = prompt_token_ids.iter().find(|&&id| id >= vocab_size) {
            bail!("prompt_token_ids holds {id}; the model's vocab_size is {vocab_size}");
        }
        Ok(ScriptedRequest { prompt_token_ids, max_tokens, priority, cache_salt, temperature_permille: 0 })
    }
}
