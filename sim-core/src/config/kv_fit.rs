//! How many KV blocks there are, and whether one sequence of `max_model_len` fits in them
//! (`kv_cache_utils.py::get_kv_cache_configs`).

use alloc::format;
use alloc::string::String;

use super::engine_args::EngineArgs;
use super::kv_layers::KvLayers;
use super::platform::{KvCacheMemory, Platform};
use super::reasons::{Reason, Resolved};
use super::refusals::{ConfigError, gib};
use crate::kv_cache::spec::KvCacheConfig;
use crate::math;
use crate::models::memory::MemoryLimits;
use crate::profile::CaptureSizes;

/// vLLM's default of `gpu_memory_utilization`.
pub(crate) const GPU_MEMORY_UTILIZATION: f64 = 0.92;

/// Room for the KV cache.
struct Room {
    /// Bytes of one block over all layers.
    bytes_per_block: i64,
    /// Bytes for all blocks.
    available_bytes: i64,
    /// Whether the bytes are known, or stand for a number of blocks.
    in_bytes: bool,
    reason: Reason,
    /// The argument that decides about it.
    raise: &'static str,
}

/// The limits of a pass, as far as memory depends on them.
#[derive(Debug, Clone, Copy)]
pub(super) struct PassLimits {
    pub(super) max_num_batched_tokens: u32,
    pub(super) max_num_seqs: u32,
    /// Tokens of a request that decodes: 1, and the drafts to be verified.
    pub(super) decode_query_len: u32,
}

impl PassLimits {
    /// With the sizes that vLLM captures CUDA graphs for by default.
    fn memory(self, capture_ceiling: u32) -> MemoryLimits {
        let Self { max_num_batched_tokens, max_num_seqs, decode_query_len } = self;
        let sizes =
            CaptureSizes::vllm_with_drafts(max_num_seqs, max_num_batched_tokens, capture_ceiling, decode_query_len);
        let count = if capture_ceiling == 0 { 0 } else { sizes.as_slice().len() };
        MemoryLimits {
            max_num_batched_tokens,
            max_num_seqs,
            num_capture_sizes: u32::try_from(count).unwrap_or(u32::MAX),
        }
    }
}

/// What the number of blocks follows from beside arguments, platform and layers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    /// Bytes of the drafter's weights.
    pub(super) drafter_bytes: u64,
    pub(super) limits: PassLimits,
}

/// The blocks, and the length they are checked for.
pub(super) struct KvFit {
    pub(super) num_gpu_blocks: Resolved<i64>,
    pub(super) max_model_len: Resolved<u32>,
}

/// Counts the blocks, fits `max_model_len` to them if it was given as -1, and checks that one sequence fits.
pub(super) fn fit(
    args: &EngineArgs,
    platform: &Platform,
    layers: &KvLayers,
    demand: Demand,
    max_model_len: Resolved<u32>,
) -> Result<KvFit, ConfigError> {
    let kv_cache = layers.plan_groups(max_model_len.value)?;
    let room = room(args, platform, layers, &kv_cache, (demand, max_model_len.value))?;
    let num_gpu_blocks = room.available_bytes.div_euclid(room.bytes_per_block);
    // The pool never gives out its null block.
    let usable_bytes = room.available_bytes.saturating_sub(room.bytes_per_block);
    let usable_blocks = usable_bytes.div_euclid(room.bytes_per_block);
    let fitting = longest_fitting(layers, usable_blocks, max_model_len.value)?;
    let mut length = max_model_len;
    if args.max_model_len == Some(-1) {
        length = match fitting {
            0 => return Err(ConfigError::NothingFits { num_gpu_blocks, raise: room.raise }),
            fitting if fitting == length.value => {
                Resolved::overridden(fitting, "-1 asks for the longest that fits, and all of the model's length does")
            }
            fitting => Resolved::overridden(
                fitting,
                format!(
                    "-1 asks for the longest that fits in {usable_blocks} usable KV blocks; the model's own length is {}",
                    length.value
                ),
            ),
        };
    }
    if usable_bytes <= 0 {
        return Err(ConfigError::NoKvCacheMemory {
            num_gpu_blocks: num_gpu_blocks.max(0),
            available_bytes: room.in_bytes.then_some(room.available_bytes),
            raise: room.raise,
        });
    }
    let kv_cache = if args.max_model_len == Some(-1) { layers.plan_groups(length.value)? } else { kv_cache };
    let needed_blocks = i64::try_from(layers.num_blocks(&kv_cache, length.value)).unwrap_or(i64::MAX);
    if needed_blocks > usable_blocks {
        return Err(ConfigError::KvCacheTooSmall {
            max_model_len: length.value,
            needed_blocks,
            usable_blocks,
            bytes_per_block: room.in_bytes.then_some(room.bytes_per_block),
            usable_bytes: room.in_bytes.then_some(usable_bytes),
            estimated_max_model_len: i64::from(fitting),
            raise: room.raise,
        });
    }
    let num_gpu_blocks = Resolved { value: num_gpu_blocks, reason: room.reason };
    Ok(KvFit { num_gpu_blocks, max_model_len: length })
}

/// The longest sequence, up to `most` tokens, that `usable_blocks` hold; 0 if none (`_estimate_max_model_len`).
fn longest_fitting(layers: &KvLayers, usable_blocks: i64, most: u32) -> Result<u32, ConfigError> {
    let usable_blocks = u64::try_from(usable_blocks).unwrap_or(0);
    // More tokens never need fewer blocks.
    let (mut fits, mut too_long) = (0, u64::from(most) + 1);
    while too_long - fits > 1 {
        let middle = u32::try_from(fits + (too_long - fits) / 2).unwrap_or(u32::MAX);
        let needed = layers.num_blocks(&layers.plan_groups(middle)?, middle);
        *(if needed <= usable_blocks { &mut fits } else { &mut too_long }) = u64::from(middle);
    }
    Ok(u32::try_from(fits).unwrap_or(u32::MAX))
}

/// Memory for the KV cache on the smallest rank, by the override if there is one.
fn room(
    args: &EngineArgs,
    platform: &Platform,
    layers: &KvLayers,
    kv_cache: &KvCacheConfig,
    (demand, max_model_len): (Demand, u32),
) -> Result<Room, ConfigError> {
    let drafter_bytes = demand.drafter_bytes;
    let bytes_per_block = i64::try_from(kv_cache.bytes_per_block()).unwrap_or(i64::MAX).max(1);
    let in_bytes = !matches!(platform.kv_cache, KvCacheMemory::Blocks { .. });
    let (available_bytes, reason, raise) = match args.num_gpu_blocks_override {
        Some(blocks) => (blocks.saturating_mul(bytes_per_block), Reason::Given, "num_gpu_blocks_override"),
        None => match platform.kv_cache {
            KvCacheMemory::Blocks { .. } => counted(args, platform, layers, kv_cache, (drafter_bytes, max_model_len))?,
            KvCacheMemory::Measured { non_kv_cache_bytes } => {
                measured(args, platform, non_kv_cache_bytes.saturating_add(drafter_bytes), bytes_per_block)
            }
            KvCacheMemory::ByLimits { resident_bytes, terms, capture_ceiling } => {
                let by_limits = terms.total(&demand.limits.memory(capture_ceiling));
                let taken = resident_bytes.saturating_add(by_limits).saturating_add(drafter_bytes);
                measured(args, platform, taken, bytes_per_block)
            }
        },
    };
    Ok(Room { bytes_per_block, available_bytes, in_bytes, reason, raise })
}

/// The bytes of a number of blocks that was counted when the profile was measured.
fn counted(
    args: &EngineArgs,
    platform: &Platform,
    layers: &KvLayers,
    kv_cache: &KvCacheConfig,
    (drafter_bytes, max_model_len): (u64, u32),
) -> Result<(i64, Reason, &'static str), ConfigError> {
    let KvCacheMemory::Blocks { num_gpu_blocks, block_size: counted_size, gpu_memory_utilization } = platform.kv_cache
    else {
        return Ok((0, Reason::Given, "num_gpu_blocks_override"));
    };
    let other_share =
        args.gpu_memory_utilization.is_some_and(|share| share.to_bits() != gpu_memory_utilization.to_bits());
    for (field, changed) in
        [("kv_cache_memory_bytes", given_bytes(args, platform).is_some()), ("gpu_memory_utilization", other_share)]
    {
        if changed {
            return Err(ConfigError::MemoryNotInProfile { field });
        }
    }
    let counted_bytes = layers.counted_bytes_per_block(counted_size.get(), max_model_len)?;
    let bytes = counted_bytes.saturating_mul(u64::from(num_gpu_blocks)).saturating_sub(drafter_bytes);
    let block_size = kv_cache.block_size();
    let why = if counted_bytes == kv_cache.bytes_per_block() && drafter_bytes == 0 {
        String::from("as many as were counted when the profile was measured")
    } else {
        format!("the {num_gpu_blocks} blocks of {counted_size} tokens of the profile, in blocks of {block_size}")
    };
    Ok((i64::try_from(bytes).unwrap_or(i64::MAX), Reason::Default { why }, "num_gpu_blocks_override"))
}

/// `kv_cache_memory_bytes`, as far as it is given: the GPU worker takes 0 for nothing.
fn given_bytes(args: &EngineArgs, platform: &Platform) -> Option<i64> {
    args.kv_cache_memory_bytes.filter(|bytes| platform.device.is_cpu() || *bytes != 0)
}

/// What the worker finds for the KV cache (`gpu_worker.py` and `cpu_worker.py`, `determine_available_memory`).
fn measured(
    args: &EngineArgs,
    platform: &Platform,
    non_kv_cache_bytes: u64,
    bytes_per_block: i64,
) -> (i64, Reason, &'static str) {
    if let Some(bytes) = given_bytes(args, platform) {
        let why = format!("kv_cache_memory_bytes = {bytes} in blocks of {bytes_per_block} bytes");
        return (bytes, Reason::Default { why }, "kv_cache_memory_bytes");
    }
    let share = args.gpu_memory_utilization.unwrap_or(GPU_MEMORY_UTILIZATION);
    let total = platform.device.total_memory_bytes();
    let requested = math::f64_to_u64(math::ceil(math::u64_to_f64(total) * share));
    let available = i64::try_from(i128::from(requested) - i128::from(non_kv_cache_bytes)).unwrap_or(i64::MAX);
    let why = format!(
        "gpu_memory_utilization = {share} of {:.2} GiB, less {:.2} GiB for weights and work, in blocks of \
         {bytes_per_block} bytes",
        gib(i64::try_from(total).unwrap_or(i64::MAX)),
        gib(i64::try_from(non_kv_cache_bytes).unwrap_or(i64::MAX)),
    );
    (available, Reason::Default { why }, "gpu_memory_utilization")
}
