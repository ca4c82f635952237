//! Groups of Mamba and linear-attention states that prefix caching keeps (`mamba_cache_mode` "align").
//!
//! A request has one running state, in the last block of its table, and a block for each draft behind it. A state is
//! kept where a chunk ends at a block's end, or where a pass saves it inside its chunk; between such states the table
//! has null blocks. Source: `single_type_kv_cache_manager.py::MambaManager`.

use alloc::vec::Vec;

use super::block_pool::BlockPool;
use super::free_block_queue::{BlockId, NULL_BLOCK};
use super::group_blocks::{Checkpoint, GroupBlocks, PartialHit};
use super::single_type::{Caching, Lookup, Room, SingleType};
use super::spec::MambaState;
use crate::math;

/// Where the state of a prompt of `num_tokens` is worth keeping (`get_mamba_prefill_checkpoint_position`): behind whole
/// blocks of `unit` tokens, with something left to compute and to tell the last block by.
pub(crate) const fn prefill_checkpoint_position(
    num_tokens: u32,
    unit: u32,
    drop_eagle_block: bool,
    num_lookahead_tokens: u32,
) -> u32 {
    if drop_eagle_block {
        math::round_down(num_tokens, unit).saturating_sub(unit)
    } else {
        let left = if num_lookahead_tokens > 1 { num_lookahead_tokens } else { 1 };
        math::round_down(num_tokens.saturating_sub(left), unit)
    }
}

/// A chunk, and the position inside it at which the state would be saved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CheckpointQuery {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) position: u32,
    pub(crate) hash_block_size: u32,
    pub(crate) block_size: u32,
    /// See [`MambaState::prefill_checkpoint_alignment`].
    pub(crate) alignment: Option<u32>,
}

impl CheckpointQuery {
    /// Whether a pass can save the state there (`is_mamba_prefill_checkpoint_valid`).
    pub(crate) fn is_valid(self) -> bool {
        let Some(alignment) = self.alignment else { return false };
        let initial_column = i64::from(self.start.div_ceil(self.block_size)) - 1;
        let checkpoint_column = i64::from(self.end.div_ceil(self.block_size)) - 2;
        self.start.is_multiple_of(self.hash_block_size)
            && checkpoint_column > initial_column
            && self.start + self.hash_block_size <= self.position
            && (self.start + 1..self.end).contains(&self.position)
            && (self.position - self.start).is_multiple_of(alignment)
    }
}

/// Whether the state found is one that this very pass is to compute: then the request waits for the next pass.
pub(super) fn waits_for_state(manager: &SingleType, pool: &BlockPool, hits: &[BlockId]) -> bool {
    hits.last().is_some_and(|&block| {
        let key = pool.key_of(block);
        key.is_some() && manager.cached_this_step.contains(&key)
    })
}

/// Blocks for `room`: the running state's, and what comes on top at the first allocation, at a hit inside a block and
/// for a state saved inside the chunk. Remembers the last.
pub(super) fn num_blocks_to_allocate(
    manager: &SingleType,
    state: MambaState,
    pool: &BlockPool,
    blocks: &mut GroupBlocks,
    room: &Room,
    hits: &[BlockId],
) -> u32 {
    // Draft models have no such layers, so look-ahead needs no state.
    let num_tokens = room.num_tokens_main_model;
    let num_required_blocks = num_tokens.div_ceil(manager.block_size) + state.num_speculative_blocks;
    let held = math::usize_to_u32(hits.len()) + blocks.len();
    let mut num_new_blocks = num_required_blocks.saturating_sub(held);
    let has_partial_hit = manager.is_partial_hit(hits, room.num_computed_tokens) || blocks.partial_hit.is_some();
    num_new_blocks += u32::from(has_partial_hit);
    let checkpoint = checkpoint(manager, state, pool, blocks, room);
    if !room.is_capped {
        blocks.mamba.checkpoint = checkpoint;
    }
    let mut most = 1 + u32::from(has_partial_hit) + u32::from(checkpoint.is_some());
    if !blocks.mamba.has_allocated {
        most += state.num_speculative_blocks;
    }
    num_new_blocks.min(most) + pool.num_free_of(hits)
}

/// The state that a pass to `room` can save inside its chunk (`_needs_internal_checkpoint`).
fn checkpoint(
    manager: &SingleType,
    state: MambaState,
    pool: &BlockPool,
    blocks: &GroupBlocks,
    room: &Room,
) -> Option<Checkpoint> {
    let end = room.num_tokens_main_model;
    let position = prefill_checkpoint_position(
        end,
        manager.cache_hit_alignment,
        manager.drop_eagle_checkpoint_block,
        pool.keys.num_lookahead_tokens(),
    );
    let query = CheckpointQuery {
        start: room.num_computed_tokens,
        end,
        position,
        hash_block_size: pool.keys.hash_block_size(),
        block_size: manager.block_size,
        alignment: state.prefill_checkpoint_alignment,
    };
    if position == 0 || state.num_prefill_checkpoint_blocks == 0 || end < room.prefill_end || !query.is_valid() {
        return None;
    }
    let index = end.div_ceil(manager.block_size).checked_sub(2)?;
    let scratch = blocks.len().saturating_sub(state.num_speculative_blocks);
    let needs_block = match blocks.table.get(index as usize) {
        None | Some(&NULL_BLOCK) => true,
        Some(_) => blocks.mamba.has_allocated && index >= scratch,
    };
    needs_block.then_some(Checkpoint { position, index })
}

/// Appends null blocks up to the running state's place, and that state's blocks.
pub(super) fn allocate_new_blocks(
    manager: &mut SingleType,
    state: MambaState,
    pool: &mut BlockPool,
    blocks: &mut GroupBlocks,
    room: &Room,
) {
    let num_drafts = state.num_speculative_blocks;
    let num_required_blocks = room.num_tokens_main_model.div_ceil(manager.block_size) + num_drafts;
    let has_checkpoint = u32::from(blocks.mamba.checkpoint.is_some());
    let held = blocks.len();
    if num_required_blocks <= held && blocks.partial_hit.is_none() && has_checkpoint == 0 {
        blocks.mamba.has_allocated = true;
        return;
    }
    let had_allocated = blocks.mamba.has_allocated;
    if had_allocated {
        blocks.mamba.last_state_block = Some(held - 1 - num_drafts);
    } else if held > 0 {
        // The state that was found.
        blocks.mamba.last_state_block = Some(held - 1);
    }
    let num_skipped_blocks = num_required_blocks - num_drafts - 1;
    let null_end = num_skipped_blocks.saturating_sub(has_checkpoint);
    if held < null_end {
        blocks.table.resize(null_end as usize, NULL_BLOCK);
    }
    if had_allocated {
        // Blocks of drafts that this pass leaves behind come along, as nobody else has them.
        for index in (held - num_drafts..held).take_while(|&index| index < null_end) {
            let block = core::mem::replace(&mut blocks.table[index as usize], NULL_BLOCK);
            debug_assert!(pool.is_writable(block), "a draft's block is its request's alone");
            blocks.table.push(block);
        }
    }
    let partial_hit = blocks.partial_hit.take();
    let num_new_blocks = num_required_blocks.saturating_sub(blocks.len());
    if let Some(partial) = partial_hit {
        let copy = manager.new_block(pool);
        if had_allocated {
            keep_for_others(manager, pool, partial, copy);
        } else {
            manager.copy_on_write(pool, blocks, partial, copy);
        }
    }
    pool.get_new_blocks(num_new_blocks, &mut blocks.table);
    blocks.mamba.has_allocated = true;
}

/// A running request goes on with its block; what others can find moves to `copy`.
fn keep_for_others(manager: &mut SingleType, pool: &mut BlockPool, partial: PartialHit, copy: BlockId) {
    pool.move_keys(partial.block, copy);
    pool.retain(partial.block);
    manager.pending_copies.extend([partial.block, copy]);
    let key = pool.key_of(copy);
    if key.is_some() {
        // It is filled by this pass's copy.
        manager.cached_this_step.push(key);
    }
}

/// Gives back the state before the running one, once a pass has read it.
pub(super) fn remove_last_state(
    manager: &SingleType,
    pool: &mut BlockPool,
    blocks: &mut GroupBlocks,
    num_processed_tokens: u32,
) {
    let Some(last) = blocks.mamba.last_state_block else { return };
    if last + 1 < num_processed_tokens.div_ceil(manager.block_size) {
        let block = core::mem::replace(&mut blocks.table[last as usize], NULL_BLOCK);
        pool.free_blocks(&[block]);
    }
}

/// The last state kept, by whole blocks; where `lookup.alignment` is finer than a block, by hash blocks.
pub(super) fn find(manager: &SingleType, lookup: &Lookup<'_>, hits: &mut [Vec<BlockId>]) -> u32 {
    let (block_size, alignment) = (manager.block_size, lookup.alignment);
    let is_fine = alignment < block_size && block_size.is_multiple_of(alignment);
    let (unit, scale) = if is_fine { (alignment, 1) } else { (block_size, manager.hash_scale) };
    let most = (lookup.max_length / unit).min(lookup.num_hash_blocks / scale);
    for place in (0..most).rev() {
        let hit_length = (place + 1) * unit;
        if !is_fine && !hit_length.is_multiple_of(alignment) {
            continue;
        }
        let index = place * unit / block_size;
        let found = lookup.cached((place + 1) * scale - 1, |id, block| {
            let hits = &mut hits[id as usize];
            hits.resize(index as usize, NULL_BLOCK);
            hits.push(block);
        });
        if found {
            return hit_length;
        }
    }
    0
}

/// Whether a hit can need the state behind the full block `block` (`reachable_block_mask`).
pub(super) fn is_reachable(manager: &SingleType, block: u32, caching: &Caching<'_>) -> bool {
    let Some(interval) = caching.retention_interval else { return true };
    is_at_interval(manager, block, interval)
        || manager
            .reachable_boundaries(caching)
            .any(|boundary| math::round_down(boundary, manager.cache_hit_alignment) / manager.block_size == block + 1)
}

/// Whether `block` ends a segment of `interval` tokens.
const fn is_at_interval(manager: &SingleType, block: u32, interval: u32) -> bool {
    let per_segment = interval / manager.block_size;
    interval > 0 && (per_segment <= 1 || (block + 1).is_multiple_of(per_segment))
}

/// Gives the state at the prompt's last hash block a key, if it is kept (`_cache_partial_tail_block`).
pub(super) fn cache_partial_tail(
    manager: &mut SingleType,
    pool: &mut BlockPool,
    blocks: &mut GroupBlocks,
    caching: &Caching<'_>,
) {
    if let Some(checkpoint) = blocks.mamba.checkpoint {
        cache_checkpoint(manager, pool, blocks, caching, checkpoint);
        return;
    }
    let hash_block_size = pool.keys.hash_block_size();
    let num_tokens = caching.num_tokens;
    if num_tokens == 0 || !num_tokens.is_multiple_of(hash_block_size) {
        return;
    }
    let is_junction = manager.shared_prefix_checkpoint
        && num_tokens == caching.shared_prefix_boundary
        && caching.num_computed_tokens < num_tokens
        && num_tokens <= caching.num_prompt_tokens;
    if num_tokens != prompt_checkpoint(manager, pool, caching, hash_block_size) && !is_junction {
        return;
    }
    let index = num_tokens.div_ceil(manager.block_size) - 1;
    let Some(&block) = blocks.table.get(index as usize) else { return };
    if block == NULL_BLOCK || (manager.skips_keyed_tail && pool.num_cached_tokens(block) == Some(num_tokens)) {
        return;
    }
    let num_hash_blocks = num_tokens / hash_block_size;
    let Some(key) = manager.cache_partial_block(pool, (block, false), caching.path, num_hash_blocks) else { return };
    if !num_tokens.is_multiple_of(manager.block_size) {
        blocks.partial_hit = Some(PartialHit { index, block });
        blocks.num_cached_blocks = index;
    }
    manager.cached_this_step.push(key);
}

/// Where this prompt's state is worth keeping.
const fn prompt_checkpoint(manager: &SingleType, pool: &BlockPool, caching: &Caching<'_>, unit: u32) -> u32 {
    prefill_checkpoint_position(
        caching.num_prompt_tokens,
        unit,
        manager.drop_eagle_checkpoint_block,
        pool.keys.num_lookahead_tokens(),
    )
}

/// Gives the state that the pass saves inside its chunk a key, if a later request can use it.
fn cache_checkpoint(
    manager: &mut SingleType,
    pool: &mut BlockPool,
    blocks: &GroupBlocks,
    caching: &Caching<'_>,
    checkpoint: Checkpoint,
) {
    let Checkpoint { position, index } = checkpoint;
    let block = blocks.table[index as usize];
    let is_at_end = position.is_multiple_of(manager.block_size)
        && caching
            .retention_interval
            .is_none_or(|interval| is_at_interval(manager, position / manager.block_size - 1, interval));
    let is_prompts = position == prompt_checkpoint(manager, pool, caching, manager.cache_hit_alignment);
    if !is_prompts && !is_at_end && position != caching.shared_prefix_boundary {
        // The next state overwrites it.
        pool.evict(block);
        return;
    }
    if pool.num_cached_tokens(block) == Some(position) {
        return;
    }
    let num_hash_blocks = position / pool.keys.hash_block_size();
    manager.cached_this_step.extend(manager.cache_partial_block(pool, (block, true), caching.path, num_hash_blocks));
}
