//! What offloading tiers are: size and chunks of that in host memory, who is evicted, and which are behind it.
//!
//! Source: `vllm/v1/kv_offload/cpu/spec.py::CPUOffloadingSpec`, `vllm/v1/kv_offload/tiering/spec.py::TieringOffloadingSpec`.

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

/// Most tiers behind host memory.
pub const MAX_SECONDARY_TIERS: usize = 4;

/// Of which kind a tier behind host memory is (`type` of one of `secondary_tiers`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TierKind {
    /// `fs`: a file for each chunk. Each transfer is a task of a thread, which goes from file to file.
    Files {
        /// Threads that take loads first (`n_read_threads`).
        num_read_threads: u32,
        /// Threads that take stores first (`n_write_threads`).
        num_write_threads: u32,
    },
    /// `obj`: an object for each chunk.
    Objects {
        /// Objects that are asked for at once (`io_threads`).
        num_threads: u32,
    },
}

/// When stores are kept from a tier that does not keep up (`EMABackpressureDetector`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackpressureSettings {
    /// Seconds for each MiB of a store, smoothed, above which it does not keep up.
    pub high_water_s: f64,
    /// The same, below which it does again.
    pub low_water_s: f64,
    /// What the last store counts.
    pub alpha: f64,
    /// Stores before anything is decided.
    pub warmup_completions: u32,
    /// After so many seconds without a store what is smoothed halves.
    pub decay_half_life_s: f64,
    /// For so many seconds every other store is dropped after it.
    pub cooldown_s: f64,
    /// What is dropped.
    pub policy: BackpressurePolicy,
}

/// What is dropped while a tier does not keep up (`policy_cls`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackpressurePolicy {
    /// `ThrottledDropPolicy`: the more, the further it is above the mark.
    Throttled,
    /// `DropStorePolicy`: everything.
    Drop,
}

/// A tier behind host memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SecondaryTierSettings {
    /// What it is.
    pub kind: TierKind,
    /// Whether it is behind a network: an object store, or files with a `locality` of `REMOTE`.
    pub is_remote: bool,
    /// Whether stores are kept from it, and when.
    pub backpressure: Option<BackpressureSettings>,
}

/// A tier of host memory beside the device's KV cache, and those behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OffloadingSettings {
    /// Chunks that it holds; 0 is a tier that never has anything.
    pub num_chunks: u32,
    /// Blocks of the device that one chunk holds, at least 1.
    pub blocks_per_chunk: u32,
    /// Who is evicted.
    pub eviction_policy: EvictionPolicy,
    /// Whether only prompts are stored, and not what was generated.
    pub offload_prompt_only: bool,
    /// Bytes of a chunk, over all devices.
    pub chunk_bytes: u64,
    /// Tiers behind it, the first that are given.
    pub secondary_tiers: [Option<SecondaryTierSettings>; MAX_SECONDARY_TIERS],
}

impl OffloadingSettings {
    /// Bytes of a chunk of `blocks_per_chunk` blocks, for blocks of `block_bytes` over all copies.
    #[must_use]
    pub fn chunk_bytes_of(block_bytes: u64, blocks_per_chunk: u32) -> u64 {
        let chunk_bytes = block_bytes.saturating_mul(u64::from(blocks_per_chunk)).max(1);
        chunk_bytes.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX)
    }

    /// Chunks of `chunk_bytes` that `cpu_bytes_to_use` hold.
    #[must_use]
    pub fn num_chunks_of(cpu_bytes_to_use: u64, chunk_bytes: u64) -> u32 {
        u32::try_from(cpu_bytes_to_use / chunk_bytes.max(1)).unwrap_or(u32::MAX)
    }

    /// The tiers behind host memory, first to last.
    pub fn secondary_tiers(&self) -> impl Iterator<Item = SecondaryTierSettings> {
        self.secondary_tiers.into_iter().flatten()
    }
}
