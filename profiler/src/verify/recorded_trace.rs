//! The file a scheduler recording is kept in (`tests/data/traces/README.md` describes the format), and the way from
//! its workload to the simulator's types.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use sim_core::config::{EngineConfig, VllmVersion};
use sim_core::request::{RequestId, TokenRun};
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::speculative::{Acceptance, RecordedRequest as RecordedDrafts};

use super::recorded_engine::RecordedEngine;
use super::recorded_events::RecordedEvent;
use super::recorded_groups::{RecordedDrafting, RecordedGroups};
use super::recorded_model::RecordedModel;

/// A recorded run of the real engine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordedTrace {
    pub(crate) vllm: String,
    pub(crate) workload: RecordedWorkload,
    pub(crate) engine: RecordedEngine,
    pub(crate) usable_blocks: u32,
    pub(crate) iterations: Vec<Iteration>,
    /// What vLLM made of several kinds of layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) groups: Option<RecordedGroups>,
    /// What vLLM derived from a drafter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) speculative: Option<RecordedDrafting>,
}

impl RecordedTrace {
    /// The engine as the simulator takes it.
    pub(crate) fn config(&self) -> Result<EngineConfig> {
        let version = VllmVersion::from_name(&self.vllm).with_context(|| {
            let known = VllmVersion::ALL.map(VllmVersion::name).join(" and ");
            format!("recorded from vLLM {}; the simulator replays {known}", self.vllm)
        })?;
        self.engine.config(&self.workload.model, version)
    }
}

/// Requests and when they join.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordedWorkload {
    pub(crate) requests: Vec<RecordedRequest>,
    pub(crate) queries_per_iter: Option<Vec<u32>>,
    #[serde(default)]
    pub(crate) aborts: Vec<(u32, String)>,
    /// Layers and drafter.
    #[serde(flatten)]
    pub(crate) model: RecordedModel,
}

/// One request; what is missing has the default the format states.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RecordedRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) max_tokens: u32,
    #[serde(default)]
    pub(super) priority: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arrival_time: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_salt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prompt_len: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prompt: Option<Vec<(u64, u32)>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prompt_token_ids: Option<Vec<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) out_base: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_token_ids: Option<Vec<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop_at: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop_token_ids: Option<Vec<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) accept: Option<Vec<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) propose: Option<Vec<u32>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_empty_tier(tier: &(u32, u32)) -> bool {
    tier.0 == 0
}

/// One call of the engine's step function. Names as in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Iteration {
    pub(crate) i: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) add: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) abort: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) s: Option<Vec<(u32, u32, u32)>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) new: Vec<(u32, u32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) res: Vec<(u32, u32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pre: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) spec: Vec<(u32, u32)>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) skip: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) free: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wait: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) acc: Vec<(u32, u32, u32)>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) ntok: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fin: Vec<(u32, String, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) free_end: Option<u32>,
    /// Asynchronous loads that begin: request, computed tokens before, tokens. These and the next only with a KV connector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) load: Vec<(u32, u32, u32)>,
    /// Loads within the pass: request, tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ext: Vec<(u32, u32)>,
    /// Loads taken in: request, tokens that count as computed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ready: Vec<(u32, u32)>,
    /// Waiting requests that hold blocks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) hold: u32,
    /// Requests whose loads have ended, as reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) recv: Vec<u32>,
    /// Stores that begin: job, request, blocks. These and the next three only with vLLM's offloading connector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) store: Vec<(u32, u32, u32)>,
    /// Jobs that are over before the pass runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) flush: Vec<u32>,
    /// Chunks of the tier, and of these, those that nobody uses.
    #[serde(default, skip_serializing_if = "is_empty_tier")]
    pub(crate) tier: (u32, u32),
    /// Jobs that have ended, as reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) jobs: Vec<u32>,
    /// Transfers to tiers behind host memory that began: job, tier, request, chunks. These and the next five only with such.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cascade: Vec<(u32, usize, u32, u32)>,
    /// The same from such tiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) promote: Vec<(u32, usize, u32, u32)>,
    /// What tiers are asked for: tier, requests, chunks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ask: Vec<(usize, u32, u32)>,
    /// Of these transfers, those that were found to be over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) polled: Vec<u32>,
    /// Chunks that each tier has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<u32>,
    /// Loads, and how many of their tokens such tiers had: request, tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) disk: Vec<(u32, u32)>,
    /// Events of the KV cache, where they were recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kv: Vec<RecordedEvent>,
    /// Requests whose blocks were sent, as reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sent: Vec<u32>,
}

/// Where the format puts tokens that a request does not state: prompt token i of request r is
/// `PROMPT_BASE + r × STRIDE + i`, output token j is `OUTPUT_BASE + r × STRIDE + j`.
const PROMPT_BASE: u64 = 1_000_000_000;
const OUTPUT_BASE: u64 = 2_000_000_000;
const STRIDE: u64 = 1_000_000;
/// The end-of-sequence token.
const EOS: u64 = 2;

impl RecordedWorkload {
    /// The requests as the simulator takes them, and their ids as text.
    pub(crate) fn requests(&self, max_model_len: u32) -> Result<(RequestSet, BTreeMap<String, RequestId>)> {
        let mut ids = BTreeMap::new();
        for (index, request) in (0..).zip(&self.requests) {
            let id = request.id.clone().unwrap_or_else(|| format!("r{index}"));
            ensure!(ids.insert(id, RequestId(index)).is_none(), "requests[{index}].id is given twice");
        }
        let mut id_ranks = vec![0; self.requests.len()];
        for (rank, id) in (0..).zip(ids.values()) {
            id_ranks[id.index()] = rank;
        }
        let mut salts: Vec<&str> = vec![];
        let mut requests = RequestSet::with_capacity(self.requests.len());
        for (index, (request, &id_rank)) in self.requests.iter().zip(&id_ranks).enumerate() {
            let salt = request.cache_salt.as_deref().map_or(0, |salt| {
                let known = salts.iter().position(|&other| other == salt).unwrap_or_else(|| {
                    salts.push(salt);
                    salts.len() - 1
                });
                known + 1
            });
            let place = || format!("requests[{index}]");
            let prompt = request.prompt(index as u64);
            let (output, stops) = request.output(index as u64, max_model_len);
            let new = NewRequest {
                prompt: &prompt,
                output: &output,
                max_tokens: if stops { request.max_tokens } else { sum(&output)? },
                stops,
                priority: request.priority,
                arrival_order: total_order(request.arrival_time.unwrap_or(index as f64)),
                id_rank,
                cache_salt: u32::try_from(salt).with_context(place)?,
            };
            let id = requests.push(&new).with_context(place)?;
            let num_prompt_tokens = requests.get(id).num_prompt_tokens;
            ensure!(
                num_prompt_tokens < max_model_len,
                "requests[{index}]: the prompt has {num_prompt_tokens} tokens; with max_model_len={max_model_len} at \
                 most {} leave room for an output token",
                max_model_len - 1
            );
        }
        let drafts = |request: &RecordedRequest| RecordedDrafts {
            accepted: request.accept.clone().unwrap_or_default(),
            proposed: request.propose.clone().unwrap_or_default(),
        };
        requests.set_acceptance(Acceptance::Recorded {
            requests: self.requests.iter().map(drafts).collect(),
            asks_scheduler: self.model.proposes_as_scheduled(),
        });
        Ok((requests, ids))
    }
}

impl RecordedRequest {
    fn prompt(&self, index: u64) -> Vec<TokenRun> {
        if let Some(ids) = &self.prompt_token_ids {
            ids.iter().map(|&start| TokenRun { start, len: 1 }).collect()
        } else if let Some(runs) = &self.prompt {
            runs.iter().map(|&(start, len)| TokenRun { start, len }).collect()
        } else {
            vec![TokenRun { start: PROMPT_BASE + index * STRIDE, len: self.prompt_len.unwrap_or(0) }]
        }
    }

    /// Every token it would generate, and whether the last of them stops it.
    fn output(&self, index: u64, max_model_len: u32) -> (Vec<TokenRun>, bool) {
        let base = self.out_base.unwrap_or(OUTPUT_BASE + index * STRIDE);
        let mut runs = vec![];
        // What lies beyond max_model_len is never generated; a little more keeps max_tokens out of reach there, too.
        for j in 0..self.max_tokens.min(max_model_len.saturating_add(2)) {
            let listed = self.output_token_ids.as_ref().and_then(|ids| ids.get(j as usize));
            let token = if self.stop_at == Some(j + 1) { EOS } else { listed.copied().unwrap_or(base + u64::from(j)) };
            runs.push(TokenRun { start: token, len: 1 });
            let is_eos = self.stop_at.is_some() && token == EOS;
            if is_eos || self.stop_token_ids.as_ref().is_some_and(|ids| ids.contains(&token)) {
                return (runs, true);
            }
        }
        (runs, false)
    }
}

fn sum(runs: &[TokenRun]) -> Result<u32> {
    u32::try_from(runs.iter().map(|run| u64::from(run.len)).sum::<u64>()).context("too many tokens")
}

/// A number that orders as `x` does, for every float but NaN.
fn total_order(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 0 { bits | (1 << 63) } else { !bits }
}
