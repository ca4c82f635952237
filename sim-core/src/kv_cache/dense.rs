//! The short way for models with one group of full attention, as most have: nothing is given back before a request's
//! end, and every full block is kept.

use super::manager::KvCacheManager;
use super::request_blocks::{RequestBlocks, SlotDemand};

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
            self.pool.get_new_blocks(num_new_blocks, &mut blocks.groups[0].table);
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
        manager.cache_full_blocks(&mut self.pool, &mut blocks.groups[0], num_full_blocks, &blocks.path);
        blocks.next_full_block_end = manager.next_full_block_end(&blocks.groups[0]);
    }
}
