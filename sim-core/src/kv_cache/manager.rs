//! A request's blocks: found, allocated, given back.
//!
//! Source: `vllm/v1/core/kv_cache_manager.py::KVCacheManager`.

use alloc::vec::Vec;

use super::block_keys::BlockKeys;
use super::block_pool::BlockPool;
use super::coordinator::Coordinator;
use super::free_block_queue::BlockId;
use super::group_blocks::GroupBlocks;
use super::request_blocks::{AdmissionLimits, RequestBlocks, SlotDemand};
use super::single_type::{Caching, Room};
use crate::config::EngineConfig;
use crate::math;
use crate::request::TokenRun;

/// Gives out blocks and remembers their content. Hides the pool from the scheduler.
#[doc(alias = "KVCacheManager")]
#[derive(Debug)]
pub struct KvCacheManager {
    pub(super) max_model_len: u32,
    num_gpu_blocks: u32,
    pub(super) watermark_blocks: u32,
    pub(super) enable_caching: bool,
    pub(super) num_lookahead_tokens: u32,
    retention_interval: Option<u32>,
    pub(super) coordinator: Coordinator,
    pub(super) pool: BlockPool,
    /// Result of the last [`Self::get_computed_blocks`], per group.
    pub(super) hits: Vec<Vec<BlockId>>,
    num_hit_tokens: u32,
}

impl KvCacheManager {
    /// A manager over `config.num_gpu_blocks` blocks, all free. With `by_extent` it takes many at once where it can.
    #[must_use]
    pub fn new(config: &EngineConfig, by_extent: bool) -> Self {
        let kv_cache = &config.kv_cache;
        let num_groups = math::usize_to_u32(kv_cache.groups.len());
        let keys = BlockKeys::new(kv_cache.hash_block_size, config.num_hash_lookahead_tokens(), num_groups);
        let by_extent = by_extent && kv_cache.is_dense();
        Self {
            max_model_len: config.max_model_len,
            num_gpu_blocks: config.num_gpu_blocks,
            watermark_blocks: config.watermark_blocks,
            enable_caching: config.enable_prefix_caching,
            num_lookahead_tokens: config.num_lookahead_tokens(),
            retention_interval: kv_cache.retention_interval,
            coordinator: Coordinator::new(
                kv_cache,
                config.request_extent(),
                config.drafter_demand(),
                config.vllm_version,
                config.enable_mamba_shared_prefix_checkpoint,
            ),
            pool: BlockPool::new(config.num_gpu_blocks, keys, by_extent),
            hits: alloc::vec![Vec::new(); kv_cache.groups.len()],
            num_hit_tokens: 0,
        }
    }

    /// Free blocks; those that hold cached content count.
    #[must_use]
    pub const fn num_free_blocks(&self) -> u32 {
        self.pool.num_free_blocks()
    }

    /// Blocks that can be used at all: all but the null block.
    #[must_use]
    pub const fn num_usable_blocks(&self) -> u32 {
        self.num_gpu_blocks - 1
    }

    /// The pool, for its counters and invariants.
    #[must_use]
    pub const fn pool(&self) -> &BlockPool {
        &self.pool
    }

    /// Whether a hit may end inside a Mamba block.
    pub(crate) const fn has_partial_hits(&self) -> bool {
        self.coordinator.has_partial_hits
    }

    /// Whether states are also kept where a shared prefix ends.
    pub(crate) fn has_shared_prefix_checkpoints(&self) -> bool {
        self.coordinator.managers.iter().any(|manager| manager.shared_prefix_checkpoint)
    }

    /// Learns the content of a request: `runs`, of which the first `num_tokens` tokens will at most be computed and the
    /// first `num_prompt_tokens` are the prompt.
    pub(crate) fn register_content(
        &mut self,
        blocks: &mut RequestBlocks,
        runs: &[TokenRun],
        (num_prompt_tokens, num_tokens): (u32, u32),
        cache_salt: u32,
    ) {
        blocks.num_prompt_tokens = num_prompt_tokens;
        blocks.shared_prefix_boundary = 0;
        blocks.groups.resize_with(self.hits.len(), GroupBlocks::default);
        if self.enable_caching {
            let num_hash_blocks = self.pool.keys.num_hash_blocks(num_tokens);
            self.pool.keys.resolve(runs, num_hash_blocks, cache_salt, &mut blocks.path);
        }
    }

    /// A pass begins: states that the last one computes can be found from now on.
    pub(crate) fn new_step_starts(&mut self) {
        for manager in &mut self.coordinator.managers {
            manager.cached_this_step.clear();
        }
    }

    /// The pass is decided: what it copies need not be held any longer, as the copies run before anything else does.
    pub(crate) fn release_copied_blocks(&mut self) {
        for manager in &mut self.coordinator.managers {
            if !manager.pending_copies.is_empty() {
                self.pool.free_blocks(&manager.pending_copies);
                manager.pending_copies.clear();
            }
        }
    }

    /// Finds the longest cached prefix of a request that has `num_tokens` known tokens and no blocks, and returns its
    /// length in tokens: never the last token, which has to be computed.
    /// The blocks are kept for [`Self::allocate_slots_at_admission`].
    pub(crate) fn get_computed_blocks(&mut self, blocks: &mut RequestBlocks, num_tokens: u32) -> u32 {
        self.num_hit_tokens = 0;
        if !self.enable_caching {
            return 0;
        }
        if let Some(num_hit_blocks) = self.find_extents(blocks, num_tokens) {
            self.num_hit_tokens = num_hit_blocks * self.block_size();
            return self.num_hit_tokens;
        }
        let hit = self.coordinator.find_longest_cache_hit(
            &self.pool,
            &blocks.path,
            self.pool.keys.num_hash_blocks(num_tokens),
            num_tokens - 1,
            &mut self.hits,
        );
        // What one group has and another has not is a prefix that requests share.
        blocks.shared_prefix_boundary = if hit.longest > hit.num_tokens { hit.longest } else { 0 };
        self.num_hit_tokens = hit.num_tokens;
        hit.num_tokens
    }

    /// Blocks for the next tokens of a running request, and for the drafter's behind them. False if there are not
    /// enough; then nothing changes but that blocks which no token sees any longer are given back.
    #[must_use]
    #[inline(always)]
    pub(crate) fn allocate_slots(&mut self, blocks: &mut RequestBlocks, demand: SlotDemand) -> bool {
        let end = demand.num_computed_tokens + demand.num_new_tokens;
        if self.num_slots(end) <= blocks.capacity
            && end.min(demand.num_tokens) < blocks.next_full_block_end
            && demand.num_computed_tokens < blocks.next_skip
        {
            return true;
        }
        self.allocate_running(blocks, demand)
    }

    /// Tokens that need a slot for a pass that ends behind `end`.
    #[inline]
    pub(super) fn num_slots(&self, end: u32) -> u32 {
        (end + self.num_lookahead_tokens).min(self.max_model_len)
    }

    #[inline(never)]
    fn allocate_running(&mut self, blocks: &mut RequestBlocks, demand: SlotDemand) -> bool {
        if self.coordinator.is_dense {
            return self.allocate_dense(blocks, demand);
        }
        let num_computed_tokens = demand.num_computed_tokens.min(self.max_model_len);
        let end = demand.num_computed_tokens + demand.num_new_tokens;
        if num_computed_tokens >= blocks.next_skip {
            let num_processed_tokens = num_computed_tokens.saturating_sub(demand.num_in_flight_tokens);
            for (manager, group) in self.coordinator.managers.iter().zip(&mut blocks.groups) {
                manager.remove_skipped_blocks(&mut self.pool, group, num_processed_tokens);
            }
            self.note_next_skip(blocks);
        }
        let num_slots = self.num_slots(end);
        let fits = num_slots <= blocks.capacity || {
            let room = Room {
                num_tokens: num_slots,
                num_tokens_main_model: num_computed_tokens + demand.num_new_tokens,
                num_computed_tokens,
                prefill_end: self.prefill_end(blocks, demand.num_tokens),
                is_capped: false,
            };
            self.allocate_groups(blocks, &room)
        };
        if fits && end.min(demand.num_tokens) >= blocks.next_full_block_end {
            self.cache_full_blocks(blocks, end.min(demand.num_tokens), demand.num_tokens, num_computed_tokens);
        }
        fits
    }

    /// Blocks for `room` in every group of a running request, if there are enough.
    fn allocate_groups(&mut self, blocks: &mut RequestBlocks, room: &Room) -> bool {
        let mut needed: u32 = 0;
        for (manager, group) in self.coordinator.managers.iter().zip(&mut blocks.groups) {
            needed = needed.saturating_add(manager.num_blocks_to_allocate(&self.pool, group, room, &[]));
        }
        if needed > self.pool.num_free_blocks() {
            return false;
        }
        for (manager, group) in self.coordinator.managers.iter_mut().zip(&mut blocks.groups) {
            manager.allocate_new_blocks(&mut self.pool, group, room);
        }
        self.note_capacity(blocks);
        true
    }

    /// Where the prompt ends, or what has to be computed again after a preemption; 0 where every chunk may save a state.
    fn prefill_end(&self, blocks: &RequestBlocks, num_tokens: u32) -> u32 {
        if self.retention_interval == Some(0) { blocks.num_prompt_tokens.max(num_tokens - 1) } else { 0 }
    }

    /// Blocks to admit a request whose cached prefix [`Self::get_computed_blocks`] has just found, for
    /// `num_new_tokens` tokens behind it.
    ///
    /// With `reserve_full` only if all `num_tokens` known tokens would fit now; nothing is set aside for them.
    /// `keep_watermark` holds the watermark's blocks back. False and no change if there are not enough.
    #[must_use]
    pub(crate) fn allocate_slots_at_admission(
        &mut self,
        blocks: &mut RequestBlocks,
        num_new_tokens: u32,
        num_tokens: u32,
        limits: AdmissionLimits,
    ) -> bool {
        let num_hit_tokens = self.num_hit_tokens;
        if self.pool.extents.is_some() {
            return self.admit_extents(blocks, (num_hit_tokens, num_new_tokens, num_tokens), limits);
        }
        let watermark = if limits.keep_watermark { self.watermark_blocks } else { 0 };
        let prefill_end = self.prefill_end(blocks, num_tokens);
        let all = num_tokens.min(self.max_model_len);
        let end = num_hit_tokens + num_new_tokens;
        let whole = Room {
            num_tokens: all,
            num_tokens_main_model: all,
            num_computed_tokens: num_hit_tokens,
            prefill_end,
            is_capped: true,
        };
        let room = Room {
            num_tokens: self.num_slots(end),
            num_tokens_main_model: end,
            num_computed_tokens: num_hit_tokens,
            prefill_end,
            is_capped: false,
        };
        let is_available = |needed: u32| needed.saturating_add(watermark) <= self.pool.num_free_blocks();
        if limits.reserve_full && !is_available(self.num_blocks_at_admission(blocks, &whole)) {
            return false;
        }
        if !is_available(self.num_blocks_at_admission(blocks, &room)) {
            return false;
        }
        if num_hit_tokens > 0 {
            for ((manager, group), hits) in self.coordinator.managers.iter().zip(&mut blocks.groups).zip(&self.hits) {
                manager.add_computed_blocks(&mut self.pool, group, hits, num_hit_tokens);
            }
        }
        for (manager, group) in self.coordinator.managers.iter_mut().zip(&mut blocks.groups) {
            manager.allocate_new_blocks(&mut self.pool, group, &room);
        }
        self.note_capacity(blocks);
        self.note_next_skip(blocks);
        self.cache_full_blocks(blocks, end.min(num_tokens), num_tokens, 0);
        true
    }

    /// Blocks that an admission takes from the free ones, found ones among them.
    fn num_blocks_at_admission(&self, blocks: &mut RequestBlocks, room: &Room) -> u32 {
        let mut needed: u32 = 0;
        for ((manager, group), hits) in self.coordinator.managers.iter().zip(&mut blocks.groups).zip(&self.hits) {
            let hits = if self.num_hit_tokens > 0 { hits.as_slice() } else { &[] };
            needed = needed.saturating_add(manager.num_blocks_to_allocate(&self.pool, group, room, hits));
        }
        needed
    }

    /// Gives every full block below token `num_final_tokens` its key, so that it can be found from now on;
    /// `num_tokens` tokens are known, `num_computed_tokens` were computed before the pass.
    #[inline]
    pub(crate) fn cache_blocks(
        &mut self,
        blocks: &mut RequestBlocks,
        num_final_tokens: u32,
        num_tokens: u32,
        num_computed_tokens: u32,
    ) {
        if num_final_tokens >= blocks.next_full_block_end {
            self.cache_full_blocks(blocks, num_final_tokens, num_tokens, num_computed_tokens);
        }
    }

    pub(super) fn cache_full_blocks(
        &mut self,
        blocks: &mut RequestBlocks,
        num_final_tokens: u32,
        num_tokens: u32,
        num_computed_tokens: u32,
    ) {
        blocks.next_full_block_end = u32::MAX;
        if !self.enable_caching {
            return;
        }
        if self.coordinator.is_dense {
            self.cache_dense(blocks, num_final_tokens, num_tokens);
            return;
        }
        let num_hash_blocks = self.pool.keys.num_hash_blocks(num_tokens);
        let replay_boundaries = self.coordinator.replay_boundaries(blocks.num_prompt_tokens);
        for id in 0..blocks.groups.len() {
            let caching = Caching {
                path: &blocks.path,
                num_tokens: self.coordinator.num_cacheable_tokens(num_final_tokens, id),
                num_hash_blocks,
                num_prompt_tokens: blocks.num_prompt_tokens,
                num_computed_tokens,
                retention_interval: self.retention_interval,
                replay_boundaries,
                shared_prefix_boundary: blocks.shared_prefix_boundary,
            };
            let (manager, group) = (&mut self.coordinator.managers[id], &mut blocks.groups[id]);
            manager.cache_blocks(&mut self.pool, group, &caching);
            blocks.next_full_block_end = blocks.next_full_block_end.min(manager.next_full_block_end(group));
        }
    }

    /// Gives back all blocks of a request; cached ones can still be found.
    pub(crate) fn free(&mut self, blocks: &mut RequestBlocks) {
        for (manager, group) in self.coordinator.managers.iter().zip(&mut blocks.groups) {
            manager.free(&mut self.pool, group);
        }
        (blocks.capacity, blocks.next_full_block_end, blocks.next_skip) = (0, 0, 0);
    }

    /// Forgets what [`Self::register_content`] learned.
    pub(crate) fn forget_content(&mut self, blocks: &mut RequestBlocks) {
        self.pool.keys.release(&mut blocks.path);
    }
}
