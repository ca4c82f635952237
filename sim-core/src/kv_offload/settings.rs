//! What an offloading tier is: its size, its chunks, who is evicted.
//!
//! Source: `vllm/v1/kv_offload/cpu/spec.py::CPUOffloadingSpec`.

/// Bytes to which the tier rounds a chunk up (`SharedOffloadRegion.BLOCK_SIZE_ALIGNMENT`, a page of x86-64).
const PAGE: u64 = 4096;

/// Which chunks make room for others (`eviction_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EvictionPolicy {
    /// `lru`: those that requests used longest ago.
    #[default]
    Lru,
    /// `arc`: the same, but chunks that several requests used are kept apart, and how much room they get is learned.
    Arc,
}

/// A tier of host memory beside the device's KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffloadingSettings {
    /// Chunks that it holds; 0 is a tier that never has anything.
    pub num_chunks: u32,
    /// Blocks of the device that one chunk holds, at least 1.
    pub blocks_per_chunk: u32,
    /// Who is evicted.
    pub eviction_policy: EvictionPolicy,
    /// Whether only prompts are stored, and not what was generated.
    pub offload_prompt_only: bool,
}

impl OffloadingSettings {
    /// Chunks of `blocks_per_chunk` blocks that `cpu_bytes_to_use` hold, for blocks of `block_bytes` over all copies.
    #[must_use]
    pub fn num_chunks_of(cpu_bytes_to_use: u64, block_bytes: u64, blocks_per_chunk: u32) -> u32 {
        let chunk_bytes = block_bytes.saturating_mul(u64::from(blocks_per_chunk)).max(1);
        let aligned = chunk_bytes.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
        u32::try_from(cpu_bytes_to_use / aligned).unwrap_or(u32::MAX)
    }
}
