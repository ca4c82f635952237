//! The engine's configuration, with vLLM's names and vLLM's resolved values.
//!
//! [`EngineArgs`] is what a user gives, every field optional; a [`Platform`] is what vLLM would find out about the
//! device and the model. [`EngineArgs::resolve`] makes an [`EngineConfig`] of both, in vLLM's order, with a [`Reason`]
//! for every field, or refuses with a [`ConfigError`] where vLLM would not start. [`admit`] then decides about each
//! request as vLLM's front end does, before the scheduler sees it. [`flags`] knows every flag there is, simulated or not.
//!
//! The reference is vLLM 0.33.0, and 0.32.0 where asked: `vllm/engine/arg_utils.py`, `vllm/config/*.py`, `vllm/v1/core/kv_cache_utils.py`.

mod admit;
mod defaults;
mod engine_args;
pub mod flags;
mod human_readable;
mod kv_fit;
mod kv_transfer_args;
mod kv_transfer_key_error;
mod platform;
mod reasons;
mod refusals;
mod layer_specs;
mod kv_layers;
mod resolve;
mod resolve_offloading;
mod secondary_tiers;
mod tier_backpressure;
mod tier_keys;
mod resolve_speculation;
mod speculation;
mod speculative_args;

pub use crate::vllm_version::VllmVersion;
pub use admit::{EntryPoint, RequestRefusal, admit};
pub use engine_args::{EngineArgs, PerformanceMode};
pub use human_readable::{NotAnInteger, human_readable_int, human_readable_int_or_auto};
pub(crate) use kv_fit::GPU_MEMORY_UTILIZATION;
pub use kv_transfer_args::{KvOffloadingBackend, KvTransferArgs};
pub use kv_transfer_key_error::KvTransferKeyError;
pub use platform::{Device, DrafterPlatform, KvCacheMemory, Platform, UsageContext};
pub use reasons::{ConfigWarning, FieldReason, Reason, ResolvedEngine};
pub use refusals::ConfigError;
pub use secondary_tiers::SecondaryTierArgs;
pub use speculation::SpeculationError;
pub use speculative_args::{SpeculativeArgs, SpeculativeKeyError};

use serde::{Deserialize, Serialize};

use crate::kv_cache::spec::{DrafterDemand, KvCacheConfig, RequestExtent};
use crate::kv_offload::settings::OffloadingSettings;
use crate::math;
use crate::speculative::SpeculativeConfig;

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
    /// Whose rules are followed.
    pub vllm_version: VllmVersion,
    /// Whether the worker is vLLM's newer one, which some rules ask for (`VllmConfig.use_v2_model_runner`).
    pub use_v2_model_runner: bool,
    /// Passes with tokens from one that carries prompt parts to the next; 1 for no such rule.
    pub prefill_schedule_interval: u32,
    /// Whether the engine is one of several that step together: a data parallel rank of a mixture of experts
    /// (`core.py::DPEngineCoreProc`). Then the interval is that of all.
    pub steps_with_others: bool,
    /// API-server processes, each of which handles requests and tokens one after the other
    /// (`ParallelConfig._api_process_count`).
    pub api_server_count: u32,
    /// The model's layers in groups.
    pub kv_cache: KvCacheConfig,
    /// Whether a Mamba state is also kept where requests' common prefix ends, for a drafter's sake.
    pub enable_mamba_shared_prefix_checkpoint: bool,
    /// The drafter, if there is one.
    pub speculative: Option<SpeculativeConfig>,
    /// The tier of host memory for KV blocks, if there is one.
    pub kv_offloading: Option<OffloadingSettings>,
}

impl EngineConfig {
    /// An engine of the newest vLLM for a model of full attention, with the defaults of vLLM's own classes: what a test
    /// or a library user starts from. `num_gpu_blocks` counts the null block.
    #[must_use]
    pub fn new(block_size: u32, num_gpu_blocks: u32, max_model_len: u32) -> Self {
        Self {
            max_num_seqs: 128,
            max_num_active_seqs: 128,
            max_num_batched_tokens: 2048,
            max_num_scheduled_tokens: 2048,
            max_model_len,
            num_gpu_blocks,
            enable_prefix_caching: true,
            enable_chunked_prefill: true,
            long_prefill_token_threshold: 0,
            long_prefill_token_threshold_adaptive: false,
            policy: SchedulingPolicy::Fcfs,
            scheduler_reserve_full_isl: true,
            watermark_blocks: 0,
            async_scheduling: true,
            pipeline_parallel_size: 1,
            vllm_version: VllmVersion::NEWEST,
            use_v2_model_runner: true,
            prefill_schedule_interval: 1,
            steps_with_others: false,
            api_server_count: 1,
            kv_cache: KvCacheConfig::full_attention(block_size),
            enable_mamba_shared_prefix_checkpoint: false,
            speculative: None,
            kv_offloading: None,
        }
    }

    /// Most passes under way (`VllmConfig.max_concurrent_batches`).
    #[must_use]
    pub const fn max_concurrent_batches(&self) -> u32 {
        self.pipeline_parallel_size + self.async_scheduling as u32
    }

    /// Tokens per KV block as vLLM names them after its start: the fewest of any group's (`EngineCore._initialize_kv_caches`).
    #[must_use]
    pub fn block_size(&self) -> u32 {
        self.kv_cache.block_size()
    }

    /// Requests of `max_model_len` tokens that the KV cache holds at once, as vLLM logs it at start-up; the null block
    /// counts. Source: `kv_cache_utils.py::get_max_concurrency_for_kv_cache_config`.
    #[must_use]
    pub fn max_concurrency(&self) -> f64 {
        let blocks_per_request = self.kv_cache.max_blocks_per_request(self.request_extent()).max(1);
        math::u32_to_f64(self.num_gpu_blocks) / math::u64_to_f64(blocks_per_request)
    }

    /// Tokens of the KV cache as vLLM logs them at start-up: those of so many requests.
    #[must_use]
    pub fn kv_cache_size_tokens(&self) -> u64 {
        math::f64_to_u64(self.max_concurrency() * math::u32_to_f64(self.max_model_len))
    }

    /// What bounds one request's blocks.
    #[must_use]
    pub const fn request_extent(&self) -> RequestExtent {
        RequestExtent {
            max_model_len: self.max_model_len,
            max_in_flight_tokens: self.max_concurrent_batches().saturating_mul(self.max_num_batched_tokens),
        }
    }

    /// Drafts of a verification at most; 0 without a drafter.
    #[must_use]
    pub fn num_speculative_tokens(&self) -> u32 {
        self.speculative.as_ref().map_or(0, |speculative| speculative.num_speculative_tokens)
    }

    /// KV slots behind the scheduled tokens that a drafter writes to.
    #[must_use]
    pub fn num_lookahead_tokens(&self) -> u32 {
        self.speculative.as_ref().map_or(0, SpeculativeConfig::num_lookahead_tokens)
    }

    /// Passes from one that computes prompts to the next, where that acts; 1 for no such rule
    /// (`scheduler.py::local_prefill_interval`).
    #[must_use]
    pub const fn local_prefill_interval(&self) -> u32 {
        let is_local = self.vllm_version.schedules_prefills_at_intervals() && !self.steps_with_others;
        if is_local { self.prefill_schedule_interval } else { 1 }
    }

    /// Input tokens of a pass that drafting takes for each request.
    #[must_use]
    pub fn draft_slots(&self) -> u32 {
        self.speculative.as_ref().map_or(0, |speculative| speculative.draft_slots(self.vllm_version))
    }

    /// Prompt tokens behind a chunk that a drafter reads.
    #[must_use]
    pub fn num_prefill_lookahead_tokens(&self) -> u32 {
        self.speculative.as_ref().map_or(0, SpeculativeConfig::num_prefill_lookahead_tokens)
    }

    /// Tokens behind a block that its key covers.
    #[must_use]
    pub fn num_hash_lookahead_tokens(&self) -> u32 {
        let speculative = self.speculative.as_ref().filter(|_| self.enable_prefix_caching);
        speculative.map_or(0, |speculative| speculative.num_hash_lookahead_tokens(self.vllm_version))
    }

    /// Whether a hit gives up the last block of groups with a drafter's layers.
    #[must_use]
    pub fn drops_eagle_block(&self) -> bool {
        let drops = |speculative: &SpeculativeConfig| speculative.uses_eagle_block_drop(self.vllm_version);
        self.speculative.as_ref().is_some_and(drops) && self.num_hash_lookahead_tokens() == 0
    }

    /// What a drafter asks of the KV cache.
    #[must_use]
    pub fn drafter_demand(&self) -> DrafterDemand {
        DrafterDemand {
            drops_block: self.drops_eagle_block(),
            num_reprefillable_tokens: self.num_prefill_lookahead_tokens().saturating_sub(1),
        }
    }

    /// Whether passes are found whose drafts nobody can use: those of a drafter with layers of its own, by the newer
    /// worker.
    #[must_use]
    pub fn can_skip_drafts(&self) -> bool {
        self.num_lookahead_tokens() > 0 && self.use_v2_model_runner && self.vllm_version.finds_unused_drafts()
    }
}
