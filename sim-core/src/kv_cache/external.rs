//! Blocks for KV that comes from elsewhere, and blocks that are kept for it: what a connector asks of the manager.
//! For models with one group of full attention.
//!
//! Source: `vllm/v1/core/kv_cache_manager.py::allocate_slots`, `num_external_computed_tokens` and `reserved_blocks`.

use alloc::vec::Vec;

use super::free_block_queue::BlockId;
use super::manager::KvCacheManager;
use super::request_blocks::{AdmissionLimits, RequestBlocks};

/// What an admission with a connector needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExternalDemand {
    /// Tokens that [`KvCacheManager::get_computed_blocks`] has just found; 0 for a request that holds its blocks.
    pub(crate) num_hit_tokens: u32,
    /// All tokens that count as computed, those that are to be loaded included.
    pub(crate) num_computed_tokens: u32,
    pub(crate) num_new_tokens: u32,
    /// Known tokens.
    pub(crate) num_tokens: u32,
    /// Free blocks that others will need.
    pub(crate) num_reserved_blocks: u32,
    /// Whether the content comes later, so that blocks get no keys yet.
    pub(crate) delay_cache_blocks: bool,
}

impl KvCacheManager {
    /// Blocks to admit a request, or to load it. False and no change if there are not enough.
    #[must_use]
    pub(crate) fn allocate_with_external(
        &mut self,
        blocks: &mut RequestBlocks,
        demand: &ExternalDemand,
        limits: AdmissionLimits,
    ) -> bool {
        let hits = if demand.num_hit_tokens > 0 { self.hits[0].as_slice() } else { &[] };
        let held = blocks.groups[0].len() + crate::math::usize_to_u32(hits.len());
        let watermark = if limits.keep_watermark { self.watermark_blocks } else { 0 };
        let num_kept_blocks = self.pool.num_free_of(hits).saturating_add(watermark);
        let block_size = self.block_size();
        let missing = |num_tokens: u32| num_tokens.min(self.max_model_len).div_ceil(block_size).saturating_sub(held);
        let num_free_blocks = self.pool.num_free_blocks();
        if limits.reserve_full && missing(demand.num_tokens).saturating_add(num_kept_blocks) > num_free_blocks {
            return false;
        }
        let end = demand.num_computed_tokens + demand.num_new_tokens;
        let num_new_blocks = missing(end);
        let needed = num_new_blocks.saturating_add(num_kept_blocks).saturating_add(demand.num_reserved_blocks);
        if needed > num_free_blocks {
            return false;
        }
        let manager = &self.coordinator.managers[0];
        let group = &mut blocks.groups[0];
        if demand.num_hit_tokens > 0 {
            manager.add_computed_blocks(&mut self.pool, group, hits, demand.num_hit_tokens);
        }
        self.pool.get_new_blocks(num_new_blocks, &mut group.table);
        blocks.capacity = group.len() * block_size;
        blocks.next_skip = u32::MAX;
        blocks.next_full_block_end = 0;
        if !demand.delay_cache_blocks {
            self.cache_blocks(blocks, end.min(demand.num_tokens), demand.num_tokens, 0);
        }
        true
    }

    /// Tokens of a block.
    pub(crate) fn block_size(&self) -> u32 {
        self.coordinator.managers[0].block_size
    }

    /// A request's blocks, first to last.
    pub(crate) fn table<'a>(&self, blocks: &'a RequestBlocks) -> &'a [BlockId] {
        blocks.groups.first().map_or(&[], |group| &group.table)
    }

    /// Blocks that `num_tokens` tokens need beyond those that are there.
    pub(crate) fn num_missing_blocks(&self, blocks: &RequestBlocks, num_tokens: u32) -> u32 {
        let held = blocks.groups.first().map_or(0, super::group_blocks::GroupBlocks::len);
        num_tokens.min(self.max_model_len).div_ceil(self.block_size()).saturating_sub(held)
    }

    /// Takes a request's blocks from it without giving them back: see [`Self::free_taken`].
    pub(crate) fn take_table(&self, blocks: &mut RequestBlocks) -> Vec<BlockId> {
        (blocks.capacity, blocks.next_full_block_end, blocks.next_skip) = (0, 0, 0);
        let Some(group) = blocks.groups.first_mut() else { return Vec::new() };
        let table = core::mem::take(&mut group.table);
        group.reset();
        table
    }

    /// Gives back blocks that were taken.
    pub(crate) fn free_taken(&mut self, mut table: Vec<BlockId>) {
        self.pool.free_table(&mut table);
    }

    /// Blocks of a request from the one at `place` can be found no longer.
    pub(crate) fn forget_keys_from(&mut self, blocks: &RequestBlocks, place: u32) {
        for &block in self.table(blocks).iter().skip(place as usize) {
            if self.pool.key_of(block).is_some() {
                self.pool.note_removed(block);
                self.pool.forget_keys(block);
            }
        }
    }
}
