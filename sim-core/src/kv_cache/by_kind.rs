//! What a group's manager does differently by kind of layer: taking, giving back, keeping and finding blocks.
//!
//! Source: the subclasses of `vllm/v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager`, each in a file of
//! its own.

use alloc::vec::Vec;

use super::block_pool::BlockPool;
use super::free_block_queue::{BlockId, NULL_BLOCK};
use super::group_blocks::GroupBlocks;
use super::single_type::{Caching, Lookup, Room, SingleType};
use super::spec::{LayerKind, MambaCacheMode};
use super::{chunked_local, full_attention, mamba, sliding_window};
use crate::math;

impl SingleType {
    /// Blocks to be taken from the free ones for `room`, of which the admission found `hits`.
    pub(super) fn num_blocks_to_allocate(
        &self,
        pool: &BlockPool,
        blocks: &mut GroupBlocks,
        room: &Room,
        hits: &[BlockId],
    ) -> u32 {
        if let LayerKind::Mamba(state) = self.kind {
            if mamba::waits_for_state(self, pool, hits) {
                return u32::MAX;
            }
            if state.mode == MambaCacheMode::Align {
                return mamba::num_blocks_to_allocate(self, state, pool, blocks, room, hits);
            }
        }
        let mut num_required_blocks = self.num_tokens_with_speculation(room.num_tokens).div_ceil(self.block_size);
        if room.is_capped
            && let Some(most) = self.max_admission_blocks
        {
            num_required_blocks = num_required_blocks.min(most);
        }
        let num_skipped_blocks = self.num_skipped_tokens(room.num_computed_tokens) / self.block_size;
        let num_hits = math::usize_to_u32(hits.len());
        let num_new_blocks = num_required_blocks.saturating_sub(num_skipped_blocks.max(blocks.len() + num_hits));
        let kept = &hits[(num_skipped_blocks as usize).min(hits.len())..];
        let copy = u32::from(self.is_partial_hit(hits, room.num_computed_tokens));
        num_new_blocks + pool.num_free_of(kept) + copy
    }

    /// A state for each draft comes on top where states are not kept by block.
    const fn num_tokens_with_speculation(&self, num_tokens: u32) -> u32 {
        match self.kind {
            LayerKind::Mamba(state) => num_tokens.saturating_add(self.block_size * state.num_speculative_blocks),
            _ => num_tokens,
        }
    }

    /// Appends the blocks that [`Self::num_blocks_to_allocate`] counted.
    pub(super) fn allocate_new_blocks(&mut self, pool: &mut BlockPool, blocks: &mut GroupBlocks, room: &Room) {
        if let Some(state) = self.aligned_mamba() {
            mamba::allocate_new_blocks(self, state, pool, blocks, room);
            return;
        }
        if let Some(partial) = blocks.partial_hit.take() {
            let copy = self.new_block(pool);
            self.copy_on_write(pool, blocks, partial, copy);
        }
        let num_required_blocks = self.num_tokens_with_speculation(room.num_tokens).div_ceil(self.block_size);
        let num_new_blocks = num_required_blocks.saturating_sub(blocks.len());
        if num_new_blocks > 0 {
            pool.get_new_blocks(num_new_blocks, &mut blocks.table);
        }
    }

    /// Gives back the blocks that no token after `num_processed_tokens` attends to.
    pub(super) fn remove_skipped_blocks(
        &self,
        pool: &mut BlockPool,
        blocks: &mut GroupBlocks,
        num_processed_tokens: u32,
    ) {
        let num_skipped_blocks = (self.num_skipped_tokens(num_processed_tokens) / self.block_size).min(blocks.len());
        if num_skipped_blocks > blocks.num_skipped_blocks {
            let from = blocks.num_skipped_blocks as usize;
            let skipped = &mut blocks.table[from..num_skipped_blocks as usize];
            // The last first; the pool knows null blocks, which states leave between them.
            let freed: Vec<_> = skipped.iter().rev().copied().collect();
            skipped.fill(NULL_BLOCK);
            pool.free_blocks(&freed);
            blocks.num_skipped_blocks = num_skipped_blocks;
        }
        if self.aligned_mamba().is_some() {
            mamba::remove_last_state(self, pool, blocks, num_processed_tokens);
        }
    }

    /// Gives full blocks below `caching.num_tokens` their keys, as far as a later request can use them.
    pub(super) fn cache_blocks(&mut self, pool: &mut BlockPool, blocks: &mut GroupBlocks, caching: &Caching<'_>) {
        let num_cached_blocks = blocks.num_cached_blocks;
        let num_full_blocks = (caching.num_tokens / self.block_size).min(caching.num_hash_blocks / self.hash_scale);
        if num_cached_blocks < num_full_blocks {
            match self.kind {
                LayerKind::SlidingWindow { .. } | LayerKind::Mamba(_) => {
                    self.cache_reachable_blocks(pool, blocks, num_full_blocks, caching);
                }
                _ => self.cache_full_blocks(pool, blocks, num_full_blocks, caching.path),
            }
        }
        if self.aligned_mamba().is_some() {
            mamba::cache_partial_tail(self, pool, blocks, caching);
            for block in num_cached_blocks..num_full_blocks {
                let key = pool.key_of(blocks.table[block as usize]);
                if key.is_some() {
                    self.cached_this_step.push(key);
                }
            }
        } else if self.kind.is_full_attention() && self.hash_scale > 1 {
            full_attention::cache_partial_tail(self, pool, blocks, caching);
        }
    }

    /// Gives those of them their keys that can serve a later hit.
    fn cache_reachable_blocks(
        &self,
        pool: &mut BlockPool,
        blocks: &mut GroupBlocks,
        num_full_blocks: u32,
        caching: &Caching<'_>,
    ) {
        let mut block = blocks.num_cached_blocks;
        for slice in &caching.path.slices {
            let end = ((slice.from + slice.len) / self.hash_scale).min(num_full_blocks);
            for block in block..end {
                let id = blocks.table[block as usize];
                if id != NULL_BLOCK && self.is_reachable(block, caching) {
                    pool.cache_full_block(id, self.key(slice, pool, block));
                }
            }
            block = block.max(end);
        }
        let is_kept = |block: u32| blocks.table[block as usize] != NULL_BLOCK && self.is_reachable(block, caching);
        pool.note_stored(self.told(), caching.path, blocks.num_cached_blocks..num_full_blocks, is_kept);
        blocks.num_cached_blocks = num_full_blocks;
    }

    /// Whether the full block `block` can serve a later hit (`reachable_block_mask`).
    fn is_reachable(&self, block: u32, caching: &Caching<'_>) -> bool {
        match self.kind {
            LayerKind::SlidingWindow { sliding_window, .. } => {
                sliding_window::is_reachable(self, sliding_window, block, caching)
            }
            LayerKind::Mamba(_) => mamba::is_reachable(self, block, caching),
            _ => true,
        }
    }

    /// Finds the longest prefix of at most `max_length` tokens that all of the groups `ids` have, all of this kind, and
    /// returns its length; the blocks come to `hits`, null blocks where none is needed.
    pub(super) fn find_longest_cache_hit(&self, lookup: &Lookup<'_>, hits: &mut [Vec<BlockId>]) -> u32 {
        for &id in lookup.ids {
            hits[id as usize].clear();
        }
        match self.kind {
            LayerKind::FullAttention { .. } | LayerKind::Mla => full_attention::find(self, lookup, hits),
            LayerKind::SlidingWindow { sliding_window, .. } => sliding_window::find(self, sliding_window, lookup, hits),
            LayerKind::ChunkedLocal { attention_chunk_size } => {
                chunked_local::find(self, attention_chunk_size, lookup, hits)
            }
            LayerKind::Mamba(_) => mamba::find(self, lookup, hits),
        }
    }
}
