//! What a request that gets one token in every pass needs of its blocks, and when (`sched/steady.rs`).

use alloc::vec::Vec;

use super::free_block_queue::BlockId;
use super::manager::KvCacheManager;
use super::request_blocks::RequestBlocks;
use crate::math;

impl KvCacheManager {
    /// Computed tokens at which [`Self::allocate_slots`] has something to do next for a request that gets one token a
    /// pass; `num_known_ahead` of the tokens known then are not computed. `u32::MAX` for never.
    pub(crate) const fn next_change(&self, blocks: &RequestBlocks, num_known_ahead: u32) -> u32 {
        let mut next = blocks.next_full_block_end.saturating_sub(num_known_ahead);
        if blocks.next_skip < next {
            next = blocks.next_skip;
        }
        let last_with_room = blocks.capacity.saturating_sub(self.num_lookahead_tokens);
        if blocks.capacity < self.max_model_len && last_with_room < next { last_with_room } else { next }
    }

    /// Lets a request that only grows by a token at a time go on without giving its full blocks their keys, where nobody
    /// could find them; until [`Self::commit_keys`].
    pub(crate) fn defer_keys(&mut self, blocks: &mut RequestBlocks) {
        if self.coordinator.is_dense
            && self.enable_caching
            && self.pool.keys.defer(&blocks.path, blocks.groups[0].num_cached_blocks)
        {
            blocks.next_full_block_end = u32::MAX;
        }
    }

    /// Gives the full blocks below `num_final_tokens` the keys that [`Self::defer_keys`] held back.
    pub(crate) fn commit_keys(&mut self, blocks: &mut RequestBlocks, num_final_tokens: u32) {
        if self.coordinator.is_dense && self.enable_caching && blocks.next_full_block_end == u32::MAX {
            self.pool.keys.end_deferring(&blocks.path);
            self.cache_dense(blocks, num_final_tokens, num_final_tokens);
        }
    }

    /// A chain of keys that another request has now, too: whoever has held keys of it back has to commit them.
    pub(crate) fn take_shared_chain(&mut self) -> Option<u32> {
        self.pool.keys.take_shared()
    }

    /// Tokens of a block, where there is one group of full attention.
    #[inline]
    pub(crate) fn dense_block_size(&self) -> Option<u32> {
        self.coordinator.is_dense.then(|| self.coordinator.managers[0].block_size)
    }

    /// Whether a request of such an engine needs nothing but one block after another, without keys.
    #[inline]
    pub(crate) const fn only_grows(&self, blocks: &RequestBlocks) -> bool {
        blocks.next_full_block_end == u32::MAX
    }

    /// One block more for such a request, if there is one.
    #[inline]
    pub(crate) fn grow(&mut self, blocks: &mut RequestBlocks) -> bool {
        if self.pool.num_free_blocks() == 0 {
            return false;
        }
        let block = self.pool.get_new_block();
        blocks.grow(block, self.coordinator.managers[0].block_size);
        true
    }

    /// Replaces `fresh` by so many fresh blocks, if there are as many.
    #[inline]
    pub(crate) fn get_new_blocks(&mut self, num_blocks: usize, fresh: &mut Vec<BlockId>) -> bool {
        fresh.clear();
        let num_blocks = math::usize_to_u32(num_blocks);
        let is_available = num_blocks <= self.pool.num_free_blocks();
        if is_available {
            self.pool.get_new_blocks(num_blocks, fresh);
        }
        is_available
    }
}

impl RequestBlocks {
    /// Takes over one block of so many tokens more, for the one group.
    #[inline]
    pub(crate) fn grow(&mut self, block: BlockId, block_size: u32) {
        self.groups[0].table.push(block);
        self.capacity += block_size;
    }
}
