//! A request's blocks: found, allocated, given back.
//!
//! Source: `vllm/v1/core/kv_cache_manager.py::KVCacheManager` with one group of full attention.

use alloc::vec::Vec;

use super::block_keys::{BlockKey, KeyPath};
use super::block_pool::BlockPool;
use super::free_block_queue::{BlockId, NULL_BLOCK};
use crate::config::EngineConfig;
use crate::math;
use crate::request::TokenRun;

/// The blocks of one request.
#[derive(Debug, Clone, Default)]
pub struct RequestBlocks {
    /// Its block table.
    table: Vec<BlockId>,
    /// Tokens that the table has room for.
    capacity: u32,
    /// Leading blocks of the table that carry a key.
    num_cached_blocks: u32,
    /// Tokens at which the next block can get its key.
    next_full_block_end: u32,
    keys: KeyPath,
}

/// What an admission has to leave free.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdmissionLimits {
    /// Admit only if all known tokens would fit now (`scheduler_reserve_full_isl`).
    pub(crate) reserve_full: bool,
    /// Hold the watermark's blocks back.
    pub(crate) keep_watermark: bool,
}

/// Gives out blocks and remembers their content. Hides the pool from the scheduler.
#[doc(alias = "KVCacheManager")]
#[derive(Debug)]
pub struct KvCacheManager {
    block_size: u32,
    max_model_len: u32,
    num_gpu_blocks: u32,
    watermark_blocks: u32,
    enable_caching: bool,
    pool: BlockPool,
    /// Result of the last [`Self::get_computed_blocks`].
    computed_blocks: Vec<BlockId>,
}

impl KvCacheManager {
    /// A manager over `config.num_gpu_blocks` blocks, all free.
    #[must_use]
    pub fn new(config: &EngineConfig) -> Self {
        Self {
            block_size: config.block_size,
            max_model_len: config.max_model_len,
            num_gpu_blocks: config.num_gpu_blocks,
            watermark_blocks: config.watermark_blocks,
            enable_caching: config.enable_prefix_caching,
            pool: BlockPool::new(config.num_gpu_blocks, config.block_size),
            computed_blocks: Vec::new(),
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

    /// Learns the content of a request: `runs`, of which the first `num_tokens` tokens will at most be computed.
    pub(crate) fn register_content(
        &mut self,
        blocks: &mut RequestBlocks,
        runs: &[TokenRun],
        num_tokens: u32,
        cache_salt: u32,
    ) {
        if self.enable_caching {
            self.pool.keys.resolve(runs, num_tokens / self.block_size, cache_salt, &mut blocks.keys);
        }
    }

    /// Finds the longest cached prefix of a request that has `num_tokens` known tokens and no blocks, and returns its
    /// length in tokens: whole blocks, and never the last token, which has to be computed.
    /// The blocks are kept for [`Self::allocate_slots_at_admission`].
    pub(crate) fn get_computed_blocks(&mut self, blocks: &RequestBlocks, num_tokens: u32) -> u32 {
        self.computed_blocks.clear();
        let mut left = (num_tokens - 1) / self.block_size;
        for slice in &blocks.keys.slices {
            let registered = self.pool.keys.registered_blocks(slice.chain);
            let most = slice.len.min(left) as usize;
            let hits = registered[..most].iter().take_while(|&&block| block != NULL_BLOCK);
            let before = self.computed_blocks.len();
            self.computed_blocks.extend(hits);
            left -= math::usize_to_u32(most);
            if self.computed_blocks.len() - before < most || left == 0 {
                break;
            }
        }
        math::usize_to_u32(self.computed_blocks.len()) * self.block_size
    }

    /// Blocks for the next `num_new_tokens` of a running request with `num_computed_tokens`; `num_tokens` are known.
    /// False and no change if there are not enough.
    #[must_use]
    #[inline]
    pub(crate) fn allocate_slots(
        &mut self,
        blocks: &mut RequestBlocks,
        num_computed_tokens: u32,
        num_new_tokens: u32,
        num_tokens: u32,
    ) -> bool {
        let end = num_computed_tokens + num_new_tokens;
        if end.min(self.max_model_len) > blocks.capacity {
            let needed = self.num_blocks_for(end) - blocks.capacity / self.block_size;
            if needed > self.pool.num_free_blocks() {
                return false;
            }
            self.take_blocks(blocks, needed);
        }
        self.cache_blocks(blocks, end.min(num_tokens));
        true
    }

    fn take_blocks(&mut self, blocks: &mut RequestBlocks, num_blocks: u32) {
        self.pool.get_new_blocks(num_blocks, &mut blocks.table);
        blocks.capacity = math::usize_to_u32(blocks.table.len()) * self.block_size;
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
        let num_hits = math::usize_to_u32(self.computed_blocks.len());
        let num_free_hits = self.computed_blocks.iter().filter(|&&block| self.pool.is_free(block)).count();
        let reserved =
            math::usize_to_u32(num_free_hits) + if limits.keep_watermark { self.watermark_blocks } else { 0 };
        let available = self.pool.num_free_blocks();
        if limits.reserve_full && self.num_blocks_for(num_tokens).saturating_sub(num_hits) + reserved > available {
            return false;
        }
        let end = num_hits * self.block_size + num_new_tokens;
        let needed = self.num_blocks_for(end).saturating_sub(num_hits);
        if needed + reserved > available {
            return false;
        }
        self.pool.touch(&self.computed_blocks);
        assert!(blocks.table.is_empty(), "an admitted request holds no blocks");
        blocks.table.extend_from_slice(&self.computed_blocks);
        self.take_blocks(blocks, needed);
        blocks.num_cached_blocks = num_hits;
        blocks.next_full_block_end = (num_hits + 1) * self.block_size;
        self.cache_blocks(blocks, end.min(num_tokens));
        true
    }

    /// Gives every full block below token `num_tokens` its key, so that it can be found from now on.
    #[inline]
    pub(crate) fn cache_blocks(&mut self, blocks: &mut RequestBlocks, num_tokens: u32) {
        if num_tokens >= blocks.next_full_block_end && self.enable_caching {
            self.cache_full_blocks(blocks, num_tokens / self.block_size);
        }
    }

    fn cache_full_blocks(&mut self, blocks: &mut RequestBlocks, num_full_blocks: u32) {
        for slice in &blocks.keys.slices {
            let first = blocks.num_cached_blocks.max(slice.from);
            let end = num_full_blocks.min(slice.from + slice.len);
            for block in first..end {
                let key = BlockKey { chain: slice.chain, index: block - slice.from };
                self.pool.cache_full_block(blocks.table[block as usize], key);
            }
        }
        blocks.num_cached_blocks = num_full_blocks;
        blocks.next_full_block_end = (num_full_blocks + 1) * self.block_size;
    }

    /// Gives back all blocks of a request; cached ones can still be found.
    pub(crate) fn free(&mut self, blocks: &mut RequestBlocks) {
        self.pool.free_blocks(&mut blocks.table);
        blocks.capacity = 0;
        blocks.num_cached_blocks = 0;
    }

    /// Forgets what [`Self::register_content`] learned.
    pub(crate) fn forget_content(&mut self, blocks: &mut RequestBlocks) {
        self.pool.keys.release(&mut blocks.keys);
    }

    fn num_blocks_for(&self, num_tokens: u32) -> u32 {
        num_tokens.min(self.max_model_len).div_ceil(self.block_size)
    }
}
