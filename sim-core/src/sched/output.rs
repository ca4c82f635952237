//! One scheduled pass, and what came of it.
//!
//! Source: `vllm/v1/core/sched/output.py::SchedulerOutput`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::connector::interface::{ExternalTokens, KvConnectorPass};
use super::live_request::LiveRequest;
use crate::batch::BatchComposition;
use crate::math;
use crate::request::{FinishReason, NewTokens, RequestId, Verification};

/// A request's part in a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduledRequest {
    /// The request.
    pub id: RequestId,
    /// Tokens of it in this pass, at least 1, drafts included.
    pub num_scheduled_tokens: u32,
    /// Tokens of it computed by earlier passes or found in the prefix cache. With asynchronous scheduling drafts that
    /// are being verified count as accepted.
    pub num_computed_tokens: u32,
    /// The scheduler's place for it.
    pub(super) slot: u32,
    /// Drafts among its tokens.
    pub num_draft_tokens: u16,
    /// Tokens that the pass yields: none if it does not reach the last known token, else one, and one for each draft
    /// accepted.
    pub num_sampled_tokens: u16,
}

impl ScheduledRequest {
    /// The part of the request in `slot` that gets `num_scheduled_tokens`; it is not known yet what it yields.
    pub(super) const fn of(request: &LiveRequest, slot: u32, num_scheduled_tokens: u32) -> Self {
        Self {
            id: request.id,
            num_scheduled_tokens,
            num_computed_tokens: request.num_computed_tokens,
            slot,
            num_draft_tokens: 0,
            num_sampled_tokens: 0,
        }
    }

    /// Whether the pass reaches the request's last known token.
    #[must_use]
    pub const fn emits(&self) -> bool {
        self.num_sampled_tokens > 0
    }
}

/// A request taken from the waiting queue into a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// The request.
    pub id: RequestId,
    /// Tokens found in the prefix cache.
    pub num_cached_tokens: u32,
}

/// A pass as decided. May be empty: it is issued all the same.
#[derive(Debug, Clone, Default)]
pub struct SchedulerOutput {
    /// Running requests first, then admissions; the order of results. An engine that counts steady requests leaves them
    /// out: see [`Self::num_steady_reqs`].
    pub scheduled: Vec<ScheduledRequest>,
    /// Further running requests, each with its next token; 0 in an engine that looks at all of them.
    pub num_steady_reqs: u32,
    /// Requests admitted for the first time, in order.
    pub new_reqs: Vec<Admission>,
    /// Requests admitted again after a preemption, in order.
    pub resumed_reqs: Vec<Admission>,
    /// Requests preempted to make room, in order.
    pub preempted_reqs: Vec<RequestId>,
    /// Admissions whose drafts stand for none: they are filled up so that all requests of the pass are alike.
    pub padded_reqs: Vec<RequestId>,
    /// What the pass decided for a KV connector, and its report; `None` without one.
    pub kv_connector: Option<Box<KvConnectorPass>>,
    /// What the duration depends on.
    pub batch: BatchComposition,
    /// Drafts to be proposed after the pass, for each request.
    pub num_spec_tokens_to_schedule: u32,
    /// Whether nobody can use drafts proposed after the pass, so that none are.
    pub skips_drafts: bool,
    /// Free blocks after the decision.
    pub num_free_blocks: u32,
    /// Length of the running list after the decision.
    pub num_running_reqs: u32,
    /// Length of the waiting queue after the decision.
    pub num_waiting_reqs: u32,
}

impl SchedulerOutput {
    /// Empties the output, keeping its memory.
    pub(super) fn clear(&mut self) {
        self.scheduled.clear();
        self.num_steady_reqs = 0;
        self.new_reqs.clear();
        self.resumed_reqs.clear();
        self.preempted_reqs.clear();
        self.padded_reqs.clear();
        self.batch.clear();
        self.skips_drafts = false;
    }

    /// Empties what concerns a KV connector, where there is one.
    pub(super) fn begin_connector_pass(&mut self, has_connector: bool) {
        if has_connector {
            **self.kv_connector.get_or_insert_default() = KvConnectorPass::default();
        }
    }

    /// Loads that begin with the pass and do not end within it; none without a KV connector.
    #[must_use]
    pub fn async_loads(&self) -> &[ExternalTokens] {
        self.kv_connector.as_ref().map_or(&[], |pass| &pass.async_loads)
    }

    /// Whether the pass computes any token.
    #[must_use]
    pub const fn has_tokens(&self) -> bool {
        !self.scheduled.is_empty() || self.num_steady_reqs > 0
    }
}

/// A request that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinishedRequest {
    /// The request.
    pub id: RequestId,
    /// Why it ended.
    pub reason: FinishReason,
    /// Tokens it generated.
    pub num_output_tokens: u32,
    /// Times it was preempted.
    pub num_preemptions: u32,
    /// Passes that computed tokens of it.
    pub num_passes: u32,
}

/// What the results of a pass brought.
#[derive(Debug, Clone, Default)]
pub struct EngineCoreOutputs {
    /// Requests that got tokens, in order; without the steady ones of an engine that counts them.
    pub tokens: Vec<NewTokens>,
    /// Steady requests: each got a token, as of the pass before.
    pub num_steady_tokens: u32,
    /// Requests that ended with it, in order.
    pub finished: Vec<FinishedRequest>,
    /// Drafts verified, in order.
    pub verifications: Vec<Verification>,
}

impl EngineCoreOutputs {
    /// Requests that got tokens, the steady ones included.
    #[must_use]
    pub fn num_tokens(&self) -> u32 {
        math::usize_to_u32(self.tokens.len()) + self.num_steady_tokens
    }

    /// Nothing but a token for each of so many steady requests.
    pub(crate) fn set_steady(&mut self, num_steady_tokens: u32) {
        self.clear();
        self.num_steady_tokens = num_steady_tokens;
    }

    pub(super) fn clear(&mut self) {
        self.tokens.clear();
        self.num_steady_tokens = 0;
        self.finished.clear();
        self.verifications.clear();
    }
}
