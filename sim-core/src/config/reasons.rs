//! A resolved configuration with the reason for every field.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::EngineConfig;

/// Where a field's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The user gave it.
    Given,
    /// The user gave nothing.
    Default {
        /// Why this value: a phrase without full stop.
        why: String,
    },
    /// The user gave something that leads to this value, or that vLLM sets aside.
    Overridden {
        /// Why not the given value: a phrase without full stop.
        why: String,
    },
}

/// The reason for one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldReason {
    /// Name of the [`EngineConfig`] field; of `kv_cache` `block_size` and of `speculative` `speculative_config`, as vLLM
    /// calls them.
    pub field: &'static str,
    /// Where its value comes from.
    pub reason: Reason,
}

/// Something vLLM, or this simulator, would rather see otherwise. The engine starts all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigWarning {
    /// `max_num_batched_tokens > max_num_seqs × max_model_len`: vLLM warns of it.
    MoreTokensThanSequencesHold {
        /// `max_num_batched_tokens`.
        max_num_batched_tokens: u32,
        /// `max_num_seqs × max_model_len`.
        most: u64,
    },
    /// `enable_chunked_prefill` given as false: vLLM warns that generative models are not tested with it.
    ChunkedPrefillOff,
    /// On the CPU, a block size that is not a multiple of 32: vLLM warns that it is slow.
    SlowBlockSize {
        /// Tokens per block.
        block_size: u32,
    },
    /// `async_scheduling` given as true on the CPU, which turns it off and says nothing.
    AsyncSchedulingOffOnCpu,
    /// `enable_chunked_prefill` is false and the budget of a pass is below `max_model_len`: vLLM accepts prompts it
    /// never runs, and never resumes a preempted request that has grown above the budget. See
    /// [`RequestRefusal::NeverScheduled`](super::RequestRefusal::NeverScheduled).
    PromptsCanStall {
        /// The smaller of `max_num_scheduled_tokens` and `max_num_batched_tokens`.
        token_budget: u32,
        /// `max_model_len`.
        max_model_len: u32,
    },
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MoreTokensThanSequencesHold { max_num_batched_tokens, most } => write!(
                f,
                "max_num_batched_tokens = {max_num_batched_tokens} is more than max_num_seqs × max_model_len = {most}: a \
                 pass can never be that large"
            ),
            Self::ChunkedPrefillOff => f.write_str(
                "enable_chunked_prefill = false is not an officially supported setting of vLLM for generative models",
            ),
            Self::SlowBlockSize { block_size } => {
                write!(f, "block_size = {block_size} is not a multiple of 32, which vLLM's CPU backend is slow with")
            }
            Self::AsyncSchedulingOffOnCpu => {
                f.write_str("async_scheduling = true has no effect: vLLM's CPU backend always turns it off")
            }
            Self::PromptsCanStall { token_budget, max_model_len } => write!(
                f,
                "with enable_chunked_prefill = false, a prompt of more than {token_budget} tokens \
                 (max_num_scheduled_tokens) is never run, though max_model_len = {max_model_len} allows it"
            ),
        }
    }
}

/// What [`EngineArgs::resolve`](super::EngineArgs::resolve) gives.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedEngine {
    /// The values the engine runs with.
    pub config: EngineConfig,
    /// One reason for every field of `config`, in the order of its fields.
    pub reasons: Vec<FieldReason>,
    /// What is doubtful about it.
    pub warnings: Vec<ConfigWarning>,
}

impl ResolvedEngine {
    /// Where the value of `field` comes from; `None` if [`EngineConfig`] has no such field.
    #[must_use]
    pub fn reason(&self, field: &str) -> Option<&Reason> {
        self.reasons.iter().find(|entry| entry.field == field).map(|entry| &entry.reason)
    }
}

/// A value on its way to the configuration, with where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Resolved<T> {
    pub(super) value: T,
    pub(super) reason: Reason,
}

impl<T> Resolved<T> {
    pub(super) fn given(value: T) -> Self {
        Self { value, reason: Reason::Given }
    }

    pub(super) fn default(value: T, why: impl Into<String>) -> Self {
        Self { value, reason: Reason::Default { why: why.into() } }
    }

    pub(super) fn overridden(value: T, why: impl Into<String>) -> Self {
        Self { value, reason: Reason::Overridden { why: why.into() } }
    }

    pub(super) fn or_default(given: Option<T>, default: T, why: &str) -> Self {
        given.map_or_else(|| Self::default(default, why), Self::given)
    }
}
