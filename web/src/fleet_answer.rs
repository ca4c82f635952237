//! What the worker says of each of several engines: plain data, ready to be drawn. Times are in seconds unless a name says
//! otherwise.

use crate::answer::SeriesPoints;
use crate::parcel::{choices, records};

/// What several engines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FleetKind {
    /// Replicas behind a router.
    #[default]
    Replicas,
    /// Data-parallel ranks.
    Ranks,
    /// Prefill and decode on engines of their own.
    Roles,
}

/// Several engines beside each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FleetAnswer {
    /// What they are.
    pub(crate) kind: FleetKind,
    /// Who gave them requests: a router's name, or `vLLM's balancer`.
    pub(crate) router: String,
    /// Each of them; of two roles those that compute prompts first.
    pub(crate) engines: Vec<EngineRow>,
    /// How uneven they are, of each quantity: the most of any engine over the mean, 1 if all are equal. Of two roles those
    /// that answer.
    pub(crate) imbalances: Vec<(String, f64)>,
    /// What else is to be said: a sentence each.
    pub(crate) notes: Vec<String>,
    /// Most requests in an engine's running list.
    pub(crate) max_num_seqs: u32,
}

impl FleetAnswer {
    /// Names of the engines that clients hear from.
    pub(crate) fn answering(&self) -> Vec<String> {
        self.engines.iter().filter(|engine| engine.tpot.is_some()).map(|engine| engine.name.clone()).collect()
    }
}

/// One of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct EngineRow {
    /// `replica 0`.
    pub(crate) name: String,
    /// Measured requests that it ended.
    pub(crate) num_requests: u64,
    /// Tokens of their prompts.
    pub(crate) num_prompt_tokens: u64,
    /// Tokens that it generated for them.
    pub(crate) num_output_tokens: u64,
    /// P50 and P99 of the time to first token of its requests.
    pub(crate) ttft: [f64; 2],
    /// The same of the time per output token; `None` if others answer.
    pub(crate) tpot: Option<[f64; 2]>,
    /// Share of its KV blocks in use, in the mean over its passes and at its highest.
    pub(crate) kv_cache_usage: [f64; 2],
    /// Share of looked-up tokens found in its prefix cache.
    pub(crate) prefix_cache_hit_rate: f64,
    /// Preemptions.
    pub(crate) num_preemptions: u64,
    /// Share of the run in which passes of it ran; of ranks in lockstep as if nobody waited for others.
    pub(crate) busy: f64,
    /// Over time; empty if it is not among those that are drawn.
    pub(crate) series: EngineSeries,
}

/// An engine over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct EngineSeries {
    /// Requests in the running list.
    pub(crate) running: SeriesPoints,
    /// Requests waiting.
    pub(crate) waiting: SeriesPoints,
    /// KV blocks in use, 0 to 1.
    pub(crate) kv_cache_usage: SeriesPoints,
}

/// What came of the same requests with one router.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RouterRow {
    /// The router's name.
    pub(crate) router: String,
    /// Requests that ran to their end.
    pub(crate) num_finished: u32,
    /// Requests that failed with their replica.
    pub(crate) num_failed: u32,
    /// P50 and P99 of the time to first token.
    pub(crate) ttft: [f64; 2],
    /// The same of the time per output token.
    pub(crate) tpot: [f64; 2],
    /// The same of the end-to-end latency.
    pub(crate) e2el: [f64; 2],
    /// Answered requests per second.
    pub(crate) request_throughput: f64,
    /// Share of looked-up tokens found in prefix caches.
    pub(crate) prefix_cache_hit_rate: f64,
    /// The most of any replica over the mean: requests, and output tokens.
    pub(crate) imbalance: [f64; 2],
    /// Of the run, as `profiler simulate --router` prints it.
    pub(crate) digest: String,
}

records! {
    FleetAnswer { kind, router, engines, imbalances, notes, max_num_seqs }
    EngineRow {
        name, num_requests, num_prompt_tokens, num_output_tokens, ttft, tpot, kv_cache_usage, prefix_cache_hit_rate,
        num_preemptions, busy, series,
    }
    EngineSeries { running, waiting, kv_cache_usage }
    RouterRow {
        router, num_finished, num_failed, ttft, tpot, e2el, request_throughput, prefix_cache_hit_rate, imbalance, digest,
    }
}

choices! {
    FleetKind {
        0 Replicas {}
        1 Ranks {};
        2 Roles {}
    }
}
