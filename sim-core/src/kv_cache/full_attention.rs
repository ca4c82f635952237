//! Groups of full attention: every block of a request stays until its end.
//!
//! Source: `single_type_kv_cache_manager.py::FullAttentionManager`.

use alloc::vec::Vec;

use super::block_keys::NO_REGISTRATION;
use super::block_pool::BlockPool;
use super::free_block_queue::BlockId;
use super::group_blocks::GroupBlocks;
use super::single_type::{Caching, Lookup, SingleType};
use crate::math;

/// Whole blocks from the first on; where `lookup.alignment` is finer than a block, then the longest prefix that ends
/// inside the next one.
pub(super) fn find(manager: &SingleType, lookup: &Lookup<'_>, hits: &mut [Vec<BlockId>]) -> u32 {
    let (block_size, alignment, scale) = (manager.block_size, lookup.alignment, manager.hash_scale);
    let most = (lookup.max_length / block_size).min(lookup.num_hash_blocks / scale);
    let first = lookup.ids[0] as usize;
    if lookup.pool.keys.num_groups() == 1 && scale == 1 {
        find_in_chains(lookup, most, &mut hits[first]);
    } else {
        let mut block = 0;
        while block < most && lookup.cached((block + 1) * scale - 1, |id, found| hits[id as usize].push(found)) {
            block += 1;
        }
    }
    let num_full_hits = math::usize_to_u32(hits[first].len());
    let mut hit_length = num_full_hits * block_size;
    if alignment < block_size && block_size.is_multiple_of(alignment) {
        let begin = num_full_hits * scale;
        let end = (begin + scale - 1).min(lookup.max_length / alignment).min(lookup.num_hash_blocks);
        for hash_block in (begin..end).rev() {
            if lookup.cached(hash_block, |id, found| hits[id as usize].push(found)) {
                hit_length = (hash_block + 1) * alignment;
                break;
            }
        }
    }
    if lookup.drop_eagle_block && hit_length > 0 {
        hit_length -= alignment.min(block_size);
    }
    hit_length -= hit_length % alignment;
    for &id in lookup.ids {
        hits[id as usize].truncate(hit_length.div_ceil(block_size) as usize);
    }
    hit_length
}

/// The same for the one group of most models, a chain at a time.
fn find_in_chains(lookup: &Lookup<'_>, most: u32, hits: &mut Vec<BlockId>) {
    let mut left = most as usize;
    for slice in &lookup.path.slices {
        let most = left.min(slice.len as usize);
        let registered = &lookup.pool.keys.registered_in(slice.chain)[..most];
        let before = hits.len();
        let found = registered.iter().take_while(|&&registration| registration != NO_REGISTRATION);
        // A block whose keys are all as long as it is has one.
        hits.extend(found);
        left -= most;
        if hits.len() - before < most || left == 0 {
            return;
        }
    }
}

/// Gives the block in which the prompt ends a key for the prompt's last hash block (`_cache_partial_tail_block`).
pub(super) fn cache_partial_tail(
    manager: &SingleType,
    pool: &mut BlockPool,
    blocks: &GroupBlocks,
    caching: &Caching<'_>,
) {
    let hash_block_size = pool.keys.hash_block_size();
    // The same prompt again matches one token less; an EAGLE lookup reads all of it before it gives up a block.
    let limit = if manager.use_eagle { caching.num_prompt_tokens } else { caching.num_prompt_tokens - 1 };
    let num_hash_blocks = (limit / hash_block_size).min(caching.num_hash_blocks);
    let boundary = num_hash_blocks * hash_block_size;
    if boundary == 0 || boundary > caching.num_tokens || boundary.is_multiple_of(manager.block_size) {
        return;
    }
    let Some(&block) = blocks.table.get((boundary / manager.block_size) as usize) else { return };
    manager.cache_partial_block(pool, (block, false), caching.path, num_hash_blocks);
}
