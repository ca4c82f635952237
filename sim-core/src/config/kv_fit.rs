//! How many KV blocks there are, and whether one sequence of `max_model_len` fits in them
//! (`kv_cache_utils.py::get_kv_cache_configs`).

use alloc::format;
use alloc::string::String;

use super::engine_args::EngineArgs;
use super::platform::{KvCacheMemory, Platform};
use super::reasons::{Reason, Resolved};
use super::refusals::{ConfigError, gib};
use crate::math;

/// vLLM's default of `gpu_memory_utilization`.
const GPU_MEMORY_UTILIZATION: f64 = 0.92;

/// Room for the KV cache.
struct Room {
    /// Bytes of one block; 1 where only the number of blocks is known.
    bytes_per_block: i64,
    /// Bytes for all blocks, in units of `bytes_per_block`.
    available_bytes: i64,
    /// Whether the two above are bytes.
    in_bytes: bool,
    reason: Reason,
    /// The argument that decides about it.
    raise: &'static str,
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
    block_size: u32,
    max_model_len: Resolved<u32>,
) -> Result<KvFit, ConfigError> {
    let room = room(args, platform, block_size)?;
    let num_gpu_blocks = room.available_bytes.div_euclid(room.bytes_per_block);
    // The pool never gives out its null block.
    let usable_bytes = room.available_bytes.saturating_sub(room.bytes_per_block);
    let usable_blocks = usable_bytes.div_euclid(room.bytes_per_block);
    let fitting = usable_blocks.saturating_mul(i64::from(block_size)).clamp(0, i64::from(max_model_len.value));
    let mut length = max_model_len;
    if args.max_model_len == Some(-1) {
        length = match u32::try_from(fitting) {
            Ok(0) | Err(_) => return Err(ConfigError::NothingFits { num_gpu_blocks, raise: room.raise }),
            Ok(fitting) if fitting == length.value => {
                Resolved::overridden(fitting, "-1 asks for the longest that fits, and all of the model's length does")
            }
            Ok(fitting) => Resolved::overridden(
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
    let needed_blocks = i64::from(length.value.div_ceil(block_size));
    if needed_blocks > usable_blocks {
        return Err(ConfigError::KvCacheTooSmall {
            max_model_len: length.value,
            needed_blocks,
            usable_blocks,
            bytes_per_block: room.in_bytes.then_some(room.bytes_per_block),
            usable_bytes: room.in_bytes.then_some(usable_bytes),
            estimated_max_model_len: fitting,
            raise: room.raise,
        });
    }
    let num_gpu_blocks = Resolved { value: num_gpu_blocks, reason: room.reason };
    Ok(KvFit { num_gpu_blocks, max_model_len: length })
}

/// Memory for the KV cache on the smallest rank, by the override if there is one.
fn room(args: &EngineArgs, platform: &Platform, block_size: u32) -> Result<Room, ConfigError> {
    let (bytes_per_block, in_bytes) = match platform.kv_cache {
        KvCacheMemory::Measured { bytes_per_token, .. } => {
            let bytes = i64::try_from(bytes_per_token.get()).unwrap_or(i64::MAX).saturating_mul(i64::from(block_size));
            (bytes, true)
        }
        KvCacheMemory::Blocks { .. } => (1, false),
    };
    let (available_bytes, reason, raise) = match args.num_gpu_blocks_override {
        Some(blocks) => (blocks.saturating_mul(bytes_per_block), Reason::Given, "num_gpu_blocks_override"),
        None => available(args, platform, block_size, bytes_per_block)?,
    };
    Ok(Room { bytes_per_block, available_bytes, in_bytes, reason, raise })
}

/// What the worker finds for the KV cache (`gpu_worker.py` and `cpu_worker.py`, `determine_available_memory`).
fn available(
    args: &EngineArgs,
    platform: &Platform,
    block_size: u32,
    bytes_per_block: i64,
) -> Result<(i64, Reason, &'static str), ConfigError> {
    // The GPU worker takes 0 for nothing given.
    let bytes = args.kv_cache_memory_bytes.filter(|bytes| platform.device.is_cpu() || *bytes != 0);
    match platform.kv_cache {
        KvCacheMemory::Blocks { num_gpu_blocks, block_size: counted_size, gpu_memory_utilization } => {
            let other_share =
                args.gpu_memory_utilization.is_some_and(|share| share.to_bits() != gpu_memory_utilization.to_bits());
            for (field, changed) in
                [("kv_cache_memory_bytes", bytes.is_some()), ("gpu_memory_utilization", other_share)]
            {
                if changed {
                    return Err(ConfigError::MemoryNotInProfile { field });
                }
            }
            let tokens = i64::from(num_gpu_blocks) * i64::from(counted_size.get());
            let why = if counted_size.get() == block_size {
                String::from("as many as were counted when the profile was measured")
            } else {
                format!(
                    "the {num_gpu_blocks} blocks of {counted_size} tokens of the profile, in blocks of {block_size}"
                )
            };
            Ok((tokens / i64::from(block_size), Reason::Default { why }, "num_gpu_blocks_override"))
        }
        KvCacheMemory::Measured { non_kv_cache_bytes, .. } => {
            if let Some(bytes) = bytes {
                let why = format!("kv_cache_memory_bytes = {bytes} in blocks of {bytes_per_block} bytes");
                return Ok((bytes, Reason::Default { why }, "kv_cache_memory_bytes"));
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
            Ok((available, Reason::Default { why }, "gpu_memory_utilization"))
        }
    }
}
