//! A request as the workload states it: what it asks, and what the model will answer.
//!
//! Token contents are never stored. A sequence is a list of [`TokenRun`]s on an endless line of token numbers, which
//! is all the prefix cache needs: two blocks are equal exactly if their runs are.

/// Index of a request in its [`RequestSet`](crate::request_set::RequestSet); dense from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

impl RequestId {
    /// The index, for slices.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The tokens `start`, `start + 1`, … (`len` of them).
///
/// Token numbers are labels: equal number, equal token. A generator that needs private text takes a fresh segment
/// from [`TokenRun::segment`]; a reader of recorded tokens uses their own numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenRun {
    /// First token number.
    pub start: u64,
    /// Number of tokens, at least 1.
    pub len: u32,
}

impl TokenRun {
    /// The first `len` tokens of segment `segment`. Segments of different number share no token.
    #[must_use]
    pub const fn segment(segment: u32, len: u32) -> Self {
        Self { start: (segment as u64) << 32, len }
    }
}

/// Why a request ended (`vllm/v1/engine/__init__.py::FinishReason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// An end-of-sequence or stop token was generated.
    Stop,
    /// `max_tokens` or `max_model_len` was reached.
    Length,
    /// The client gave up.
    Abort,
    /// Its KV could not be loaded, and is not to be computed here.
    Error,
}

/// Tokens of a request that a pass brought, in one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTokens {
    /// The request.
    pub id: RequestId,
    /// How many, at least 1.
    pub num_tokens: u32,
}

/// Tokens that a request got from successive passes, one from each, beginning with the pass after the one that the last
/// [`NewTokens`] or [`SteadyTokens`] of it ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SteadyTokens {
    /// The request.
    pub id: RequestId,
    /// How many, at least 1.
    pub num_tokens: u32,
}

/// A verification, as its results were taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verification {
    /// The request.
    pub id: RequestId,
    /// Drafts verified.
    pub num_draft_tokens: u32,
    /// Drafts accepted, those behind a stop included.
    pub num_accepted_tokens: u32,
    /// Whether the request was still there: vLLM counts no others.
    pub is_counted: bool,
}

/// One request of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Index in [`RequestSet::runs`](crate::request_set::RequestSet::runs) of the request's first run.
    pub(crate) first_run: u32,
    /// Runs of the whole sequence: the prompt, then every token the model would generate.
    pub(crate) num_runs: u32,
    /// Prompt length in tokens, at least 1.
    pub num_prompt_tokens: u32,
    /// Limit on generated tokens that the engine is told, at least 1.
    pub max_tokens: u32,
    /// Generated tokens if no limit intervenes, at most `max_tokens`; fewer than `max_tokens` if and only if the last
    /// one is an end-of-sequence or stop token (then [`Self::stops`] is true).
    pub num_output_tokens: u32,
    /// Whether token number `num_output_tokens` is an end-of-sequence or stop token.
    pub stops: bool,
    /// 0 if it is [`InLine::of`](crate::request_set::InLine::of) its number, else the number of its own entry in the set, counted from 1.
    pub(crate) in_line: u32,
}
