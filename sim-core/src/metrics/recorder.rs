//! The finished facts of a run, as the simulator reports them: one row per forward pass, one per request.
//!
//! A request's instants are stored as numbers of passes, not as times: every token of a pass has the same time, so
//! 100 million inter-token latencies cost a few bytes per pass instead of eight bytes per token.

use alloc::vec::Vec;

use crate::time::{SimDuration, SimTime};

/// One forward pass that computed at least one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassRecord {
    /// When the scheduler began to decide the pass.
    pub schedule_time: SimTime,
    /// When the device began to run it.
    pub start_time: SimTime,
    /// When the device ended.
    pub end_time: SimTime,
    /// When the engine core put out the pass's tokens: the stamp from which vLLM's own engine metrics are taken.
    pub output_time: SimTime,
    /// When the client holds the pass's tokens.
    pub delivery_time: SimTime,
    /// Tokens computed.
    pub num_tokens: u32,
    /// Of these, tokens of prefill chunks ([`crate::batch::BatchComposition::num_prefill_tokens`]).
    pub num_prefill_tokens: u32,
    /// Requests in the pass.
    pub num_reqs: u32,
    /// Requests that got a token from it.
    pub num_outputs: u32,
    /// Requests in the running list after scheduling.
    pub num_running_reqs: u32,
    /// Requests waiting after scheduling.
    pub num_waiting_reqs: u32,
    /// Free KV blocks after scheduling; cached but unused blocks are free.
    pub num_free_blocks: u32,
}

/// One request's life. Instants are indices into [`Recording::passes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRecord {
    /// When the traffic wanted to send it.
    pub scheduled_send_time: SimTime,
    /// When the client sent it: later than `scheduled_send_time` only by waiting for `max_concurrency`.
    pub send_time: SimTime,
    /// When it entered the engine's waiting queue.
    pub queued_time: SimTime,
    /// First pass that computed tokens of it.
    pub first_scheduled_pass: u32,
    /// Pass that produced its first token.
    pub first_token_pass: u32,
    /// Pass that produced its last token.
    pub last_token_pass: u32,
    /// Prompt tokens.
    pub num_prompt_tokens: u32,
    /// Tokens generated.
    pub num_output_tokens: u32,
    /// Prompt tokens found in the prefix cache at the first admission.
    pub num_cached_tokens: u32,
    /// Times it was preempted.
    pub num_preemptions: u32,
    /// Passes that computed tokens of it.
    pub num_passes: u32,
    /// Whether it ran to its end; an aborted request did not.
    pub is_finished: bool,
}

/// Tokens of one request that came from passes `first_pass`, `first_pass + stride`, … (`num_tokens` of them).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmissionRun {
    /// Index of the request in [`Recording::requests`].
    pub request: u32,
    /// Pass of the first token.
    pub first_pass: u32,
    /// Passes between tokens; 1 without pipeline parallelism.
    pub stride: u32,
    /// Tokens in the run.
    pub num_tokens: u32,
}

/// A time between two successive tokens of one request, and how many such pairs had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeightedGap {
    /// Time between the deliveries.
    pub gap: SimDuration,
    /// Pairs of tokens with this gap.
    pub count: u32,
}

/// Everything recorded about a run.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// Passes in order of issue.
    pub passes: Vec<PassRecord>,
    /// One per request of the workload, in its order.
    pub requests: Vec<RequestRecord>,
    /// Inter-token latencies of all requests, pooled; in no particular order.
    pub gaps: Vec<WeightedGap>,
    /// Which passes gave each request its tokens; a request's runs are in time order, requests interleave.
    /// Empty unless asked for.
    pub emissions: Vec<EmissionRun>,
}
