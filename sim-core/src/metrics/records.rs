//! What is recorded of a run: one row per forward pass, one per request, and the times between tokens.
//!
//! A request's instants are stored as numbers of passes, not as times: every token of a pass has the same time, so
//! 100 million inter-token latencies cost a few bytes per pass instead of eight bytes per token.

use alloc::vec::Vec;

use super::packed::Packed;
use crate::math;
use crate::request::Verification;
use crate::time::{SimDuration, SimTime};

/// Passes in order of issue.
pub type PassRecords = Packed<PassRecord, 14>;

/// Requests in the order of their workload.
pub type RequestRecords = Packed<RequestRecord, 13>;

/// Inter-token latencies, each with how often it was.
pub type Gaps = Packed<WeightedGap, 2>;

/// One forward pass that computed at least one token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    /// Of the time until then, what the tokens waited for a busy API server.
    pub delivery_wait: SimDuration,
    /// Tokens computed.
    pub num_tokens: u32,
    /// Of these, tokens of prefill chunks ([`crate::batch::BatchComposition::num_prefill_tokens`]).
    pub num_prefill_tokens: u32,
    /// Of these, drafts that are verified ([`crate::batch::BatchComposition::num_draft_tokens`]).
    pub num_draft_tokens: u32,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestRecord {
    /// When the traffic wanted to send it.
    pub scheduled_send_time: SimTime,
    /// When the client sent it: later than `scheduled_send_time` only by waiting for `max_concurrency`.
    pub send_time: SimTime,
    /// Of the time until it reached the engine, what it waited for a busy API server.
    pub front_end_wait: SimDuration,
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

/// Messages of one request that came from passes `first_pass`, `first_pass + stride`, … (`num_messages` of them). A
/// message carries one token, or all that a verification gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmissionRun {
    /// Index of the request in [`Recording::requests`].
    pub request: u32,
    /// Pass of the first message.
    pub first_pass: u32,
    /// Passes between messages; 1 without pipeline parallelism.
    pub stride: u32,
    /// Messages in the run.
    pub num_messages: u32,
}

/// A time between two successive messages of one request, and how many such pairs had it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeightedGap {
    /// Time between the deliveries.
    pub gap: SimDuration,
    /// Pairs of messages with this gap.
    pub count: u32,
}

/// Drafts of a whole run (`vllm/v1/spec_decode/metrics.py::SpecDecodingStats`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecDecodingTotals {
    /// Verifications.
    pub num_drafts: u64,
    /// Drafts verified.
    pub num_draft_tokens: u64,
    /// Drafts accepted, those behind a stop included.
    pub num_accepted_tokens: u64,
    /// Verifications that accepted the draft at each position and all before it, for as many as a verification can have.
    pub num_accepted_tokens_per_pos: Vec<u64>,
}

impl SpecDecodingTotals {
    /// Accepted of the verified drafts, in percent (`spec_decode_acceptance_rate`); `None` if nothing was verified.
    #[must_use]
    pub fn acceptance_rate(&self) -> Option<f64> {
        let (accepted, verified) = (self.num_accepted_tokens, self.num_draft_tokens);
        (verified > 0).then(|| math::u64_to_f64(accepted) / math::u64_to_f64(verified) * 100.0)
    }

    /// Tokens of a verification in the mean; 0 if there was none.
    #[must_use]
    pub fn acceptance_length(&self) -> f64 {
        let (accepted, drafts) = (self.num_accepted_tokens, self.num_drafts);
        if drafts > 0 { 1.0 + math::u64_to_f64(accepted) / math::u64_to_f64(drafts) } else { 0.0 }
    }

    /// Share of the verifications that accepted the draft at each position.
    #[must_use]
    pub fn per_position_acceptance_rates(&self) -> Vec<f64> {
        if self.num_drafts == 0 {
            return Vec::new();
        }
        let drafts = math::u64_to_f64(self.num_drafts);
        self.num_accepted_tokens_per_pos.iter().map(|&accepted| math::u64_to_f64(accepted) / drafts).collect()
    }

    pub(super) fn observe(&mut self, verification: &Verification) {
        self.num_drafts += 1;
        self.num_draft_tokens += u64::from(verification.num_draft_tokens);
        self.num_accepted_tokens += u64::from(verification.num_accepted_tokens);
        let accepted = math::u32_to_usize(verification.num_accepted_tokens);
        self.num_accepted_tokens_per_pos.iter_mut().take(accepted).for_each(|count| *count += 1);
    }
}

/// Everything recorded about a run.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// Passes in order of issue.
    pub passes: PassRecords,
    /// One per request of the workload, in its order.
    pub requests: RequestRecords,
    /// Inter-token latencies of all requests, pooled; in no particular order.
    pub gaps: Gaps,
    /// Which passes gave each request its tokens; a request's runs are in time order, requests interleave.
    /// Empty unless asked for.
    pub emissions: Vec<EmissionRun>,
    /// Drafts verified and accepted; none without a drafter.
    pub spec_decoding: SpecDecodingTotals,
}
