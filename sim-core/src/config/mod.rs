//! The engine's configuration, with vLLM's names and vLLM's resolved values.
//!
//! [`EngineArgs`] is what a user gives, every field optional; a [`Platform`] is what vLLM would find out about the
//! device and the model. [`EngineArgs::resolve`] makes an [`EngineConfig`] of both, in vLLM's order, with a [`Reason`]
//! for every field, or refuses with a [`ConfigError`] where vLLM would not start. [`admit`] then decides about each
//! request as vLLM's front end does, before the scheduler sees it. [`flags`] knows every flag there is, simulated or not.
//!
//! The reference is vLLM 0.32.0: `vllm/engine/arg_utils.py`, `vllm/config/*.py`, `vllm/v1/core/kv_cache_utils.py`.

mod admit;
mod defaults;
mod engine_args;
pub mod flags;
mod human_readable;
mod kv_fit;
mod platform;
mod reasons;
mod refusals;
mod resolve;

pub use admit::{EntryPoint, RequestRefusal, admit};
pub use engine_args::{EngineArgs, PerformanceMode};
pub use human_readable::{NotAnInteger, human_readable_int, human_readable_int_or_auto};
pub use platform::{Device, KvCacheMemory, Platform, UsageContext};
pub use reasons::{ConfigWarning, FieldReason, Reason, ResolvedEngine};
pub use refusals::ConfigError;

use serde::{Deserialize, Serialize};

/// Order of the waiting queue and choice of the preemption victim (`vllm/config/scheduler.py::SchedulerConfig.policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchedulingPolicy {
    /// First come, first served.
    #[default]
    Fcfs,
    /// By priority, then arrival.
    Priority,
}

/// Everything the scheduler and the KV cache need to know, resolved and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineConfig {
    /// Most requests in the running list; also what the worker is sized for.
    pub max_num_seqs: u32,
    /// Most requests in the running list, at most `max_num_seqs`.
    pub max_num_active_seqs: u32,
    /// Most input tokens of one pass.
    pub max_num_batched_tokens: u32,
    /// Token budget of one pass.
    pub max_num_scheduled_tokens: u32,
    /// Most tokens of one sequence, prompt and output together.
    pub max_model_len: u32,
    /// Tokens per KV block.
    pub block_size: u32,
    /// KV blocks, the null block included.
    pub num_gpu_blocks: u32,
    /// Whether full blocks are kept and found again by content.
    pub enable_prefix_caching: bool,
    /// Whether a prompt may be computed in several passes.
    pub enable_chunked_prefill: bool,
    /// Most tokens of one request in one pass; 0 for no limit.
    pub long_prefill_token_threshold: u32,
    /// Whether that limit rises to a fair share of the budget.
    pub long_prefill_token_threshold_adaptive: bool,
    /// Waiting order and preemption victim.
    pub policy: SchedulingPolicy,
    /// Whether a request is admitted only if its whole known sequence would fit now.
    pub scheduler_reserve_full_isl: bool,
    /// Blocks kept free at admission while anything runs: `int(watermark × num_gpu_blocks)`.
    pub watermark_blocks: u32,
    /// Whether a pass is prepared while another runs.
    pub async_scheduling: bool,
    /// Pipeline stages.
    pub pipeline_parallel_size: u32,
}
