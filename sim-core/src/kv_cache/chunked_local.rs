//! Groups of attention in chunks: a token attends to its own chunk, and the blocks of earlier ones are given back.
//!
//! Source: `single_type_kv_cache_manager.py::ChunkedLocalAttentionManager`.

use alloc::vec::Vec;

use super::free_block_queue::{BlockId, NULL_BLOCK};
use super::single_type::{Lookup, SingleType};
use crate::math;

/// Everything before the chunk of the token behind `lookup.max_length` counts as found; inside it, whole blocks from
/// its first on.
pub(super) fn find(
    manager: &SingleType,
    attention_chunk_size: u32,
    lookup: &Lookup<'_>,
    hits: &mut [Vec<BlockId>],
) -> u32 {
    let block_size = manager.block_size;
    let begin = math::round_down(lookup.max_length, attention_chunk_size) / block_size;
    let end = lookup.max_length / block_size;
    for &id in lookup.ids {
        hits[id as usize].resize(begin as usize, NULL_BLOCK);
    }
    let mut block = begin;
    while block < end && lookup.cached((block + 1) * manager.hash_scale - 1, |id, found| hits[id as usize].push(found))
    {
        block += 1;
    }
    block * block_size
}
