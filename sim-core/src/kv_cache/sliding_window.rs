//! Groups of sliding-window attention: blocks that slide out of the window are given back.
//!
//! Source: `single_type_kv_cache_manager.py::SlidingWindowManager`.

use alloc::vec::Vec;

use super::free_block_queue::{BlockId, NULL_BLOCK};
use super::single_type::{Caching, Lookup, SingleType};
use crate::math;

/// Blocks in a row that a hit needs: those that the next token sees, and one more to be given up for a drafter
/// (`_contiguous_blocks_for_hit`).
const fn contiguous_blocks_for_hit(sliding_window: u32, block_size: u32, use_eagle: bool) -> u32 {
    (sliding_window - 1).div_ceil(block_size) + use_eagle as u32
}

/// From the last block back: the first run that is long enough, or what there is at the start.
pub(super) fn find(manager: &SingleType, sliding_window: u32, lookup: &Lookup<'_>, hits: &mut [Vec<BlockId>]) -> u32 {
    let (block_size, alignment) = (manager.block_size, lookup.alignment);
    let needed = contiguous_blocks_for_hit(sliding_window, block_size, lookup.drop_eagle_block);
    let is_aligned = |num_blocks: u32| (num_blocks * block_size).is_multiple_of(alignment);
    let most = (lookup.max_length / block_size).min(lookup.num_hash_blocks / manager.hash_scale);
    for &id in lookup.ids {
        hits[id as usize].resize(most as usize, NULL_BLOCK);
    }
    let mut num_contiguous = 0;
    let mut num_blocks = None;
    for block in (0..most).rev() {
        let end = if lookup.drop_eagle_block { block } else { block + 1 };
        let hash_block = (block + 1) * manager.hash_scale - 1;
        // A block that turns out not to begin a run is cut off with all behind the run.
        if !lookup.cached(hash_block, |id, found| hits[id as usize][block as usize] = found) {
            num_contiguous = 0;
            continue;
        }
        if num_contiguous == 0 && block_size != alignment && !is_aligned(end) {
            continue;
        }
        num_contiguous += 1;
        if num_contiguous >= needed {
            num_blocks = Some(block + num_contiguous);
            break;
        }
    }
    let align = |mut num_blocks: u32| {
        while block_size != alignment && !is_aligned(num_blocks) {
            num_blocks -= 1;
        }
        num_blocks
    };
    // A run from the first block on counts, however short.
    let mut num_blocks = num_blocks.unwrap_or_else(|| align(num_contiguous));
    if lookup.drop_eagle_block && num_blocks > 0 {
        num_blocks = align(num_blocks - 1);
    }
    for &id in lookup.ids {
        hits[id as usize].truncate(num_blocks as usize);
    }
    num_blocks * block_size
}

/// Whether a hit can need the full block `block` (`reachable_block_mask`).
pub(super) fn is_reachable(manager: &SingleType, sliding_window: u32, block: u32, caching: &Caching<'_>) -> bool {
    let (block_size, alignment) = (manager.block_size, manager.cache_hit_alignment);
    if !alignment.is_multiple_of(block_size) {
        return true;
    }
    let needed = contiguous_blocks_for_hit(sliding_window, block_size, manager.use_eagle);
    let shift = u32::from(manager.use_eagle);
    let segment = caching.retention_interval.unwrap_or(alignment);
    if segment > 0 {
        let per_segment = segment / block_size;
        if needed >= per_segment
            || block.checked_sub(shift).is_some_and(|block| block % per_segment >= per_segment - needed)
        {
            return true;
        }
    }
    caching.retention_interval.is_some()
        && manager.reachable_boundaries(caching).any(|boundary| {
            let end = math::round_down(boundary, alignment) / block_size + shift;
            (end.saturating_sub(needed)..end).contains(&block)
        })
}
