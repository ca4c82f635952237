//! What vLLM finds out by itself before it resolves its arguments: device, model, memory.

use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use crate::models::layers::ModelLayers;
use crate::models::memory::MemoryTerms;
use crate::speculative::SpeculativeMethod;

/// The device, as `vllm/platforms` reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// A GPU.
    Gpu {
        /// Name as the driver gives it, such as `NVIDIA H100 80GB HBM3`.
        name: String,
        /// All memory of one GPU, in bytes.
        total_memory_bytes: u64,
        /// CUDA compute capability, such as `9.0`, where it is known.
        compute_capability: Option<String>,
    },
    /// A processor without GPU (vLLM's CPU backend).
    Cpu {
        /// All memory of the node a worker runs on, in bytes.
        total_memory_bytes: u64,
    },
}

impl Device {
    /// All memory of one device, in bytes.
    #[must_use]
    pub const fn total_memory_bytes(&self) -> u64 {
        match self {
            Self::Gpu { total_memory_bytes, .. } | Self::Cpu { total_memory_bytes } => *total_memory_bytes,
        }
    }

    /// Whether this is vLLM's CPU backend.
    #[must_use]
    pub const fn is_cpu(&self) -> bool {
        matches!(self, Self::Cpu { .. })
    }
}

/// Who started the engine; some defaults depend on it (`vllm/usage/usage_lib.py::UsageContext`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UsageContext {
    /// The Python class `LLM`: everything is there at the start, so large batches are preferred.
    LlmClass,
    /// `vllm serve`.
    #[default]
    OpenAiApiServer,
    /// Anything else: the batch runner, a bare engine.
    Other,
}

/// What the KV cache can be made of, on the rank that has room for the fewest blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KvCacheMemory {
    /// The parts of the memory are known, so that `gpu_memory_utilization`, `kv_cache_memory_bytes` and `block_size`
    /// can change.
    Measured {
        /// Bytes that are not for the KV cache: weights and everything else resident after the profiling pass, its
        /// transient peak, and the estimate for CUDA graphs. What vLLM subtracts from the requested memory
        /// (`gpu_worker.py::determine_available_memory`). It grows a little with `max_num_batched_tokens` and the
        /// captured batch sizes; here it stays what was measured.
        non_kv_cache_bytes: u64,
    },
    /// The parts are known, and how those that depend on a run's limits do.
    ByLimits {
        /// Bytes of the weights and of what else stays whatever the limits are.
        resident_bytes: u64,
        /// What activations and CUDA graphs take by the limits.
        terms: MemoryTerms,
        /// Largest number of tokens that vLLM captures a CUDA graph for by default; 0 if it captures none.
        capture_ceiling: u32,
    },
    /// Only the resulting number of blocks is known.
    Blocks {
        /// Blocks, the null block included.
        num_gpu_blocks: u32,
        /// Tokens per block when they were counted.
        block_size: NonZeroU32,
        /// `gpu_memory_utilization` when they were counted; giving another one is refused.
        gpu_memory_utilization: f64,
    },
}

/// Everything [`EngineArgs::resolve`](super::EngineArgs::resolve) needs beside the arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Platform {
    /// The device one worker runs on.
    pub device: Device,
    /// Who started the engine.
    pub usage_context: UsageContext,
    /// Longest sequence the model is made for, from its `config.json`.
    pub model_max_len: u32,
    /// Tensor-parallel ranks the step times were measured with.
    pub tensor_parallel_size: u32,
    /// Pipeline stages the step times were measured with.
    pub pipeline_parallel_size: u32,
    /// Block size the attention backend asks for, where it is not vLLM's usual 16 (GPU) or 128 (CPU).
    pub default_block_size: Option<u32>,
    /// Smallest number of tokens whose multiples the attention kernels take for a block.
    pub kernel_block_size: u32,
    /// Most tokens of a block that the kernels take in one piece; `None` where they take any.
    pub max_kernel_block_size: Option<u32>,
    /// What the model's layers keep on one rank, in the model's order.
    pub layers: Vec<ModelLayers>,
    /// Drafters that were measured beside the model.
    pub drafters: Vec<DrafterPlatform>,
    /// Memory for the KV cache.
    pub kv_cache: KvCacheMemory,
}

/// A drafter beside the model, on one rank.
#[derive(Debug, Clone, PartialEq)]
pub struct DrafterPlatform {
    /// How it drafts.
    pub method: SpeculativeMethod,
    /// What its layers keep; empty if it has none.
    pub layers: Vec<ModelLayers>,
    /// The model's modules of a chain for further tokens (`num_nextn_predict_layers`), at least 1; 1 for other methods.
    pub num_mtp_layers: u32,
    /// Bytes of its weights and of what else it keeps.
    pub memory_bytes: u64,
}
