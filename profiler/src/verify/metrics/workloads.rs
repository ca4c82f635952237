//! Named workloads for any engine: a form each, scaled to what the engine can take.

use anyhow::{Result, bail};
use sim_core::rng::Pcg64;

use super::workload_shapes::SHAPES;
use crate::engine::{EngineFacts, Script, ScriptedRequest};

/// A script, its name, and what it asks in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedScript {
    /// Its name.
    pub(crate) name: String,
    /// What it asks, so that a reader can repeat it.
    pub(crate) description: String,
    /// The engine's input.
    pub(crate) script: Script,
}

impl Script {
    /// Tokens of all prompts and answers.
    pub(super) fn num_tokens(&self) -> u64 {
        let tokens = |request: &ScriptedRequest| request.prompt_token_ids.len() as u64 + u64::from(request.max_tokens);
        self.requests.iter().map(tokens).sum()
    }
}

/// What the engine can take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Tokens of one sequence, prompt and output together.
    pub(super) sequence: u32,
    /// Tokens of one pass.
    pub(super) pass: u32,
    /// Requests of one pass.
    pub(super) seqs: u32,
    /// Tokens in the KV cache.
    pub(super) kv_cache: u32,
    /// Tokens per KV block.
    pub(super) block: u32,
    /// Token ids.
    pub(super) vocab: u32,
}

impl Room {
    pub(super) fn new(facts: &EngineFacts) -> Self {
        let config = &facts.config;
        let usable_blocks = config.num_gpu_blocks.saturating_sub(1 + config.watermark_blocks).max(1);
        let kv_cache = usable_blocks.saturating_mul(config.block_size());
        let pass = config.max_num_scheduled_tokens.min(config.max_num_batched_tokens);
        let threshold = config.long_prefill_token_threshold;
        let sequence = config.max_model_len.min(kv_cache);
        Self {
            // Without chunks a prompt, or what a preempted request has to compute again, must fit a pass.
            sequence: if config.enable_chunked_prefill { sequence } else { sequence.min(pass) },
            pass: if threshold > 0 { pass.min(threshold) } else { pass },
            seqs: config.max_num_seqs.min(config.max_num_active_seqs),
            kv_cache,
            block: config.block_size(),
            vocab: facts.model.vocab_size,
        }
    }
}

/// A workload being written.
#[derive(Debug)]
pub(super) struct Draft {
    /// What the engine can take.
    pub(super) room: Room,
    /// Passes it should take, roughly.
    pub(super) num_passes: u32,
    /// Its random numbers.
    pub(super) random: Pcg64,
    requests: Vec<(u32, ScriptedRequest)>,
    /// `(iteration, request)` of the requests in the order of [`Self::join`].
    aborts: Vec<(u32, usize)>,
}

impl Draft {
    pub(super) const fn new(room: Room, num_passes: u32, random: Pcg64) -> Self {
        Self { room, num_passes, random, requests: vec![], aborts: vec![] }
    }

    /// Prompt and answer of an ordinary request.
    pub(super) fn ordinary(&self) -> (u32, u32) {
        let eighth = self.room.sequence / 8;
        (eighth.clamp(1, 128), eighth.min(self.num_passes / 6).clamp(2, 256))
    }

    /// Prompt tokens the whole workload may have: what a processor computes in about as long as the passes take.
    pub(super) const fn prompt_budget(&self) -> u32 {
        self.num_passes.saturating_mul(64)
    }

    /// `len` random tokens.
    pub(super) fn text(&mut self, len: u32) -> Vec<u32> {
        let last = self.room.vocab.saturating_sub(1);
        (0..len).map(|_| self.random.integers(0, last)).collect()
    }

    /// A request of fresh text joins before iteration `iteration`.
    pub(super) fn join(&mut self, iteration: u32, prompt_len: u32, max_tokens: u32) {
        let text = self.text(prompt_len.clamp(1, self.room.sequence.saturating_sub(1).max(1)));
        self.join_with(iteration, text, max_tokens);
    }

    /// A request with this prompt joins; its answer is cut to what a sequence may have.
    pub(super) fn join_with(&mut self, iteration: u32, prompt_token_ids: Vec<u32>, max_tokens: u32) {
        let prompt_len = u32::try_from(prompt_token_ids.len()).unwrap_or(u32::MAX);
        let max_tokens = max_tokens.min(self.room.sequence.saturating_sub(prompt_len)).max(1);
        self.requests.push((iteration, ScriptedRequest { prompt_token_ids, max_tokens, ..Default::default() }));
    }

    /// The request that joined last is aborted before iteration `iteration`.
    pub(super) fn abort_last(&mut self, iteration: u32) {
        self.aborts.push((iteration, self.requests.len().saturating_sub(1)));
    }

    pub(super) fn finish(self) -> Script {
        let mut order: Vec<usize> = (0..self.requests.len()).collect();
        order.sort_by_key(|&index| self.requests[index].0);
        let mut places = vec![0; order.len()];
        for (place, &index) in (0..).zip(&order) {
            places[index] = place;
        }
        let num_iterations = self.requests.iter().map(|request| request.0 as usize + 1).max().unwrap_or(0);
        let mut queries_per_iter = vec![0; num_iterations];
        for (iteration, _) in &self.requests {
            queries_per_iter[*iteration as usize] += 1;
        }
        let mut aborts: Vec<(u32, u32)> = self.aborts.iter().map(|&(at, index)| (at, places[index])).collect();
        aborts.sort_unstable();
        let requests = order.iter().map(|&index| self.requests[index].1.clone()).collect();
        Script { requests, queries_per_iter, aborts, forced_drafts: None }
    }
}

/// The names of the workloads, in their order.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().map(|shape| shape.0)
}

/// The workloads called `names` (all if there is none) for the engine `facts`, about `num_passes` passes each. A
/// workload that this engine cannot take is left out, unless it was called by name.
///
/// # Errors
/// If a name is unknown, or the engine has no room for the workload of that name.
pub(crate) fn generate(facts: &EngineFacts, names: &[String], num_passes: u32, seed: u64) -> Result<Vec<NamedScript>> {
    for name in names {
        if !self::names().any(|known| known == name) {
            bail!("no workload is called {name:?}; there are {}", self::names().collect::<Vec<_>>().join(", "));
        }
    }
    let mut workloads = vec![];
    for &(name, shape) in SHAPES {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let mut draft = Draft::new(Room::new(facts), num_passes, Pcg64::stream(seed, name));
        let Some(words) = shape(&mut draft) else {
            if names.is_empty() {
                continue;
            }
            bail!(
                "{name}: this engine's {} KV blocks cannot be filled in reasonable time",
                facts.config.num_gpu_blocks
            );
        };
        let script = draft.finish();
        let description = format!("{name}: {words}; {} requests, seed {seed}", script.requests.len());
        workloads.push(NamedScript { name: name.to_owned(), description, script });
    }
    Ok(workloads)
}
