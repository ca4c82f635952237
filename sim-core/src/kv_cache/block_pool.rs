//! The blocks: who uses them, what they hold, which is reused next.
//!
//! Source: `vllm/v1/core/block_pool.py::BlockPool`.

use alloc::vec;
use alloc::vec::Vec;

use super::block_keys::{BlockKey, BlockKeys};
use super::free_block_queue::{BlockId, FreeBlockQueue, NULL_BLOCK};

#[derive(Debug, Clone, Copy)]
struct Block {
    ref_cnt: u32,
    key: BlockKey,
    /// Neighbours in the ring of blocks registered under the same key, oldest registration first.
    previous_duplicate: BlockId,
    next_duplicate: BlockId,
}

/// All KV blocks of an engine.
#[derive(Debug)]
pub struct BlockPool {
    blocks: Vec<Block>,
    free: FreeBlockQueue,
    pub(super) keys: BlockKeys,
    num_evictions: u64,
    /// Scratch of [`Self::free_blocks`].
    unkeyed: Vec<BlockId>,
}

impl BlockPool {
    pub(super) fn new(num_gpu_blocks: u32, block_size: u32) -> Self {
        let block =
            Block { ref_cnt: 0, key: BlockKey::NONE, previous_duplicate: NULL_BLOCK, next_duplicate: NULL_BLOCK };
        Self {
            blocks: vec![block; num_gpu_blocks as usize],
            free: FreeBlockQueue::new(num_gpu_blocks),
            keys: BlockKeys::new(block_size),
            num_evictions: 0,
            unkeyed: Vec::new(),
        }
    }

    /// Blocks that nobody uses, those that hold cached content included.
    #[must_use]
    pub const fn num_free_blocks(&self) -> u32 {
        self.free.len()
    }

    /// Cached blocks that were reused for something else so far.
    #[must_use]
    pub const fn num_evictions(&self) -> u64 {
        self.num_evictions
    }

    /// Whether nobody uses `block`.
    pub(super) fn is_free(&self, block: BlockId) -> bool {
        self.blocks[block as usize].ref_cnt == 0
    }

    /// Appends `num_blocks` fresh blocks to `table`; what they held is forgotten. The caller has made sure that there
    /// are as many.
    pub(super) fn get_new_blocks(&mut self, num_blocks: u32, table: &mut Vec<BlockId>) {
        let held = table.len();
        self.free.popleft_n(num_blocks, table);
        for &block in &table[held..] {
            self.maybe_evict_cached_block(block);
            self.blocks[block as usize].ref_cnt = 1;
        }
    }

    /// One more user for each of `blocks`.
    pub(super) fn touch(&mut self, blocks: &[BlockId]) {
        for &block in blocks {
            if self.blocks[block as usize].ref_cnt == 0 {
                self.free.remove(block);
            }
            self.blocks[block as usize].ref_cnt += 1;
        }
    }

    /// One user less for each block of a request's `table`, which is emptied.
    ///
    /// From the table's last block to its first; blocks without a key come to the head of the free queue in that
    /// order, blocks with a key to its tail.
    pub(super) fn free_blocks(&mut self, table: &mut Vec<BlockId>) {
        self.unkeyed.clear();
        while let Some(block) = table.pop() {
            let state = &mut self.blocks[block as usize];
            state.ref_cnt -= 1;
            if state.ref_cnt > 0 {
                continue;
            }
            if state.key.is_some() {
                self.free.append(block);
            } else {
                self.unkeyed.push(block);
            }
        }
        while let Some(block) = self.unkeyed.pop() {
            self.free.prepend(block);
        }
    }

    /// Registers `block` under `key`: from now on [`BlockKeys::registered`] may find it.
    pub(super) fn cache_full_block(&mut self, block: BlockId, key: BlockKey) {
        self.keys.count_registration(key);
        let oldest = self.keys.registered(key.chain, key.index);
        self.blocks[block as usize].key = key;
        if oldest == NULL_BLOCK {
            self.keys.set_registered(key, block);
            self.link_duplicates(block, block);
        } else {
            let newest = self.blocks[oldest as usize].previous_duplicate;
            self.link_duplicates(newest, block);
            self.link_duplicates(block, oldest);
        }
    }

    fn link_duplicates(&mut self, previous: BlockId, next: BlockId) {
        self.blocks[previous as usize].next_duplicate = next;
        self.blocks[next as usize].previous_duplicate = previous;
    }

    /// Forgets what `block` holds; other blocks of the same content stay registered.
    fn maybe_evict_cached_block(&mut self, block: BlockId) {
        let Block { key, previous_duplicate, next_duplicate, .. } = self.blocks[block as usize];
        if !key.is_some() {
            return;
        }
        self.num_evictions += 1;
        self.blocks[block as usize].key = BlockKey::NONE;
        if next_duplicate == block {
            self.keys.set_registered(key, NULL_BLOCK);
        } else {
            if self.keys.registered(key.chain, key.index) == block {
                self.keys.set_registered(key, next_duplicate);
            }
            self.link_duplicates(previous_duplicate, next_duplicate);
        }
        self.keys.count_eviction(key);
    }

    /// Checks that every block is either free or used. For tests: costs a walk over all blocks.
    ///
    /// # Panics
    /// If one is neither or both.
    pub fn assert_invariants(&self) {
        let mut is_free = vec![false; self.blocks.len()];
        for block in self.free.to_vec() {
            assert!(!is_free[block as usize], "a block is in the free queue once");
            is_free[block as usize] = true;
        }
        for (block, state) in self.blocks.iter().enumerate().skip(1) {
            assert!(is_free[block] == (state.ref_cnt == 0), "a block is free if and only if nobody uses it");
        }
    }
}
