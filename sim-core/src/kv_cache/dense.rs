//! The short way for models with one group of full attention, as most have: nothing is given back before a request's
//! end, and every full block is kept. So blocks can also be taken many at once ([`super::extents`]).

use super::block_pool::BlockPool;
use super::group_blocks::GroupBlocks;
use super::manager::KvCacheManager;
use super::request_blocks::{AdmissionLimits, RequestBlocks, SlotDemand};

impl BlockPool {
    /// Takes so many fresh blocks, where blocks are alike; what they held is forgotten. The caller has made sure that there
    /// are as many.
    #[inline]
    pub(super) fn take(&mut self, num_blocks: u32) {
        if let Some(extents) = &mut self.extents {
            self.num_evictions += u64::from(extents.take(num_blocks, &mut self.keys));
        }
    }

    /// So many fresh blocks more for `blocks`, whichever way the pool has them.
    fn extend(&mut self, num_blocks: u32, blocks: &mut GroupBlocks) {
        if self.extents.is_some() {
            self.take(num_blocks);
            blocks.held.add(num_blocks);
        } else {
            self.get_new_blocks(num_blocks, &mut blocks.table);
        }
    }
}

impl KvCacheManager {
    /// Blocks for the next tokens of a running request, if there are enough.
    pub(super) fn allocate_dense(&mut self, blocks: &mut RequestBlocks, demand: SlotDemand) -> bool {
        let end = demand.num_computed_tokens + demand.num_new_tokens;
        let num_slots = self.num_slots(end);
        if num_slots > blocks.capacity {
            let manager = &self.coordinator.managers[0];
            let num_new_blocks = (num_slots - blocks.capacity).div_ceil(manager.block_size);
            if num_new_blocks > self.pool.num_free_blocks() {
                return false;
            }
            self.pool.extend(num_new_blocks, &mut blocks.groups[0]);
            blocks.capacity += num_new_blocks * manager.block_size;
        }
        let num_final_tokens = end.min(demand.num_tokens);
        if num_final_tokens >= blocks.next_full_block_end {
            self.cache_dense(blocks, num_final_tokens, demand.num_tokens);
        }
        true
    }

    /// Gives full blocks their keys where every one of them is kept.
    pub(super) fn cache_dense(&mut self, blocks: &mut RequestBlocks, num_final_tokens: u32, num_tokens: u32) {
        let manager = &self.coordinator.managers[0];
        let num_cacheable_tokens = self.coordinator.num_cacheable_tokens(num_final_tokens, 0);
        let num_hash_blocks = self.pool.keys.num_hash_blocks(num_tokens);
        let num_full_blocks = num_hash_blocks.min(num_cacheable_tokens / manager.block_size);
        let group = &mut blocks.groups[0];
        if let Some(extents) = &mut self.pool.extents {
            extents.register(&mut group.held, num_full_blocks, &blocks.path, &mut self.pool.keys);
            group.num_cached_blocks = group.num_cached_blocks.max(num_full_blocks);
        } else {
            manager.cache_full_blocks(&mut self.pool, group, num_full_blocks, &blocks.path);
        }
        blocks.next_full_block_end = manager.next_full_block_end(group);
    }

    /// Finds the longest cached prefix of a request of `num_tokens` tokens, and returns how many blocks it has; `None` if
    /// blocks are looked at one by one.
    pub(super) fn find_extents(&mut self, blocks: &RequestBlocks, num_tokens: u32) -> Option<u32> {
        let manager = &self.coordinator.managers[0];
        let extents = self.pool.extents.as_mut()?;
        let most = ((num_tokens - 1) / manager.block_size).min(self.pool.keys.num_hash_blocks(num_tokens));
        let num_found = extents.find(&blocks.path, most);
        if num_found > 0 && manager.use_eagle {
            extents.give_up_last();
            return Some(num_found - 1);
        }
        Some(num_found)
    }

    /// [`Self::allocate_slots_at_admission`] where blocks are taken many at once.
    pub(super) fn admit_extents(
        &mut self,
        blocks: &mut RequestBlocks,
        (num_hit_tokens, num_new_tokens, num_tokens): (u32, u32, u32),
        limits: AdmissionLimits,
    ) -> bool {
        let block_size = self.block_size();
        let end = num_hit_tokens + num_new_tokens;
        let (all, now) = (num_tokens.min(self.max_model_len), self.num_slots(end));
        let watermark = if limits.keep_watermark { self.watermark_blocks } else { 0 };
        let num_hit_blocks = num_hit_tokens / block_size;
        let num_new_blocks = |num_tokens: u32| num_tokens.div_ceil(block_size).saturating_sub(num_hit_blocks);
        let Some(extents) = &mut self.pool.extents else { return false };
        let num_free_hits = if num_hit_blocks > 0 { extents.num_free_hits() } else { 0 };
        let num_kept_blocks = watermark.saturating_add(num_free_hits);
        let fits = |num_tokens| num_new_blocks(num_tokens).saturating_add(num_kept_blocks) <= extents.num_free_blocks();
        if (limits.reserve_full && !fits(all)) || !fits(now) {
            return false;
        }
        let group = &mut blocks.groups[0];
        if num_hit_blocks > 0 {
            extents.touch(&mut group.held);
            group.num_cached_blocks = num_hit_blocks;
        }
        self.pool.extend(num_new_blocks(now), group);
        blocks.capacity = group.len() * block_size;
        blocks.next_skip = u32::MAX;
        self.cache_full_blocks(blocks, end.min(num_tokens), num_tokens, 0);
        true
    }
}
