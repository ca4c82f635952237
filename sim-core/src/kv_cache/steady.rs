//! What a request that gets one token in every pass needs of its blocks, and when (`sched/steady.rs`).

use super::manager::KvCacheManager;
use super::request_blocks::RequestBlocks;

impl KvCacheManager {
    /// Computed tokens at which [`Self::allocate_slots`] has something to do next for a request that gets one token a
    /// pass; `num_known_ahead` of the tokens known then are not computed. `u32::MAX` for never.
    pub(crate) const fn next_change(&self, blocks: &RequestBlocks, num_known_ahead: u32) -> u32 {
        let mut next = blocks.next_full_block_end;
        if next < u32::MAX {
            next = next.saturating_sub(num_known_ahead);
        }
        if blocks.next_skip < next {
            next = blocks.next_skip;
        }
        let last_with_room = blocks.capacity.saturating_sub(self.num_lookahead_tokens);
        if blocks.capacity < self.max_model_len && last_with_room < next { last_with_room } else { next }
    }

    /// Notes up to where a request can go on without more blocks.
    pub(super) fn note_capacity(&self, blocks: &mut RequestBlocks) {
        let groups = self.coordinator.managers.iter().zip(&blocks.groups);
        blocks.capacity = groups.map(|(manager, group)| manager.capacity(group)).min().unwrap_or(0);
    }

    /// Notes up to where a request can go on without a block being given back.
    pub(super) fn note_next_skip(&self, blocks: &mut RequestBlocks) {
        let groups = self.coordinator.managers.iter().zip(&blocks.groups);
        blocks.next_skip = groups.map(|(manager, group)| manager.next_skip(group)).min().unwrap_or(0);
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

    /// Whether a request needs nothing but one block after another, without keys.
    #[inline]
    pub(crate) const fn only_grows(&self, blocks: &RequestBlocks) -> bool {
        self.coordinator.is_dense && blocks.next_full_block_end == u32::MAX
    }

    /// Takes so many fresh blocks for [`Self::hand_out`]. The caller has made sure that there are as many.
    #[inline]
    pub(crate) fn take_blocks(&mut self, num_blocks: u32) {
        self.pool.take(num_blocks);
    }

    /// Blocks that were taken are those of a request that only grows.
    pub(crate) fn hand_out(&self, blocks: &mut RequestBlocks, num_blocks: u32) {
        blocks.groups[0].held.add(num_blocks);
        blocks.capacity += num_blocks * self.block_size();
    }
}
