//! The blocks: who uses them, what they hold, which is reused next.
//!
//! Source: `vllm/v1/core/block_pool.py::BlockPool`.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::block_keys::{BlockKey, BlockKeys, NO_REGISTRATION, RegistrationId};
use super::events::KvCacheEvent;
use super::extents::Extents;
use super::free_block_queue::{BlockId, FreeBlockQueue, NULL_BLOCK};
use crate::math;

/// A block and its first registration, which has the block's number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) ref_cnt: u32,
    pub(super) registration: Registration,
}

/// That a block can be found under a key; one of the ring of registrations under the same key, oldest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Registration {
    pub(super) key: BlockKey,
    pub(super) previous: RegistrationId,
    pub(super) next: RegistrationId,
}

impl Registration {
    pub(super) const NONE: Self = Self { key: BlockKey::NONE, previous: NO_REGISTRATION, next: NO_REGISTRATION };
}

/// A further registration of a block. It has the number of all blocks plus its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Further {
    pub(super) block: BlockId,
    pub(super) registration: Registration,
}

/// All KV blocks of an engine.
#[derive(Debug)]
pub struct BlockPool {
    pub(super) blocks: Vec<Block>,
    pub(super) free: FreeBlockQueue,
    /// The blocks where they are taken many at once: then there are none of the above.
    pub(super) extents: Option<Extents>,
    pub(super) keys: BlockKeys,
    pub(super) num_evictions: u64,
    /// Registrations of blocks that have one already: such a block was found, or can be found, by a prefix that ends
    /// inside it. Rare.
    pub(super) further: Vec<Further>,
    pub(super) unused_further: Vec<RegistrationId>,
    pub(super) further_of: BTreeMap<BlockId, Vec<RegistrationId>>,
    /// Scratch of [`Self::release`].
    unkeyed: Vec<BlockId>,
    /// What others are to be told of, where they want it.
    #[expect(clippy::box_collection, reason = "a pointer to look at, beside blocks that are looked at all the time")]
    pub(super) events: Option<Box<Vec<KvCacheEvent>>>,
}

impl BlockPool {
    /// `num_gpu_blocks` counts the null block. `by_extent` is for an engine with one group of full attention.
    pub(super) fn new(num_gpu_blocks: u32, mut keys: BlockKeys, by_extent: bool) -> Self {
        let block = Block { ref_cnt: 0, registration: Registration::NONE };
        keys.registers_blocks = !by_extent;
        let (num_blocks, extents) =
            if by_extent { (1, Some(Extents::new(num_gpu_blocks - 1))) } else { (num_gpu_blocks, None) };
        Self {
            blocks: vec![block; num_blocks as usize],
            free: FreeBlockQueue::new(num_blocks),
            extents,
            keys,
            num_evictions: 0,
            further: Vec::new(),
            unused_further: Vec::new(),
            further_of: BTreeMap::new(),
            unkeyed: Vec::new(),
            events: None,
        }
    }

    /// Blocks that nobody uses, those that hold cached content included.
    #[must_use]
    pub const fn num_free_blocks(&self) -> u32 {
        match &self.extents {
            Some(extents) => extents.num_free_blocks(),
            None => self.free.len(),
        }
    }

    /// Cached blocks that were reused for something else so far.
    #[must_use]
    pub const fn num_evictions(&self) -> u64 {
        self.num_evictions
    }

    /// Blocks of which nobody's use ends by a hit: those of `blocks` that are free now (`_get_num_evictable_blocks`).
    pub(super) fn num_free_of(&self, blocks: &[BlockId]) -> u32 {
        let free = blocks.iter().filter(|&&block| block != NULL_BLOCK && self.blocks[block as usize].ref_cnt == 0);
        math::usize_to_u32(free.count())
    }

    /// Appends `num_blocks` fresh blocks to `table`; what they held is forgotten. The caller has made sure that there
    /// are as many.
    pub(super) fn get_new_blocks(&mut self, num_blocks: u32, table: &mut Vec<BlockId>) {
        let held = table.len();
        self.free.popleft_n(num_blocks, table);
        let mut rest = &table[held..];
        while let Some((&block, behind)) = rest.split_first() {
            let num_forgotten = self.evict_run(rest);
            if num_forgotten > 0 {
                rest = &rest[num_forgotten..];
                continue;
            }
            self.evict(block);
            self.blocks[block as usize].ref_cnt = 1;
            rest = behind;
        }
    }

    /// One fresh block; what it held is forgotten. The caller has made sure that there is one.
    #[inline]
    pub(super) fn get_new_block(&mut self) -> BlockId {
        let block = self.free.popleft();
        self.evict(block);
        self.blocks[block as usize].ref_cnt = 1;
        block
    }

    /// One more user for each of `blocks`; null blocks have none.
    pub(super) fn touch(&mut self, blocks: &[BlockId]) {
        for &block in blocks {
            if block == NULL_BLOCK {
                continue;
            }
            if self.blocks[block as usize].ref_cnt == 0 {
                self.free.remove(block);
            }
            self.blocks[block as usize].ref_cnt += 1;
        }
    }

    /// One more user for `block`, which has one.
    pub(super) fn retain(&mut self, block: BlockId) {
        self.blocks[block as usize].ref_cnt += 1;
    }

    /// One user less for each block of a request's `table`, which is emptied, from its last block to its first.
    pub(super) fn free_table(&mut self, table: &mut Vec<BlockId>) {
        let mut rest = table.as_slice();
        while let Some((&block, before)) = rest.split_last() {
            let num_freed = self.free_run(rest);
            rest = &rest[..rest.len() - num_freed];
            if num_freed == 0 {
                self.release(core::iter::once(block));
                rest = before;
            }
        }
        self.end_release();
        table.clear();
    }

    /// One user less for each of `blocks`, in order: the first is to be reused first.
    pub(super) fn free_blocks(&mut self, blocks: &[BlockId]) {
        self.release(blocks.iter().copied());
        self.end_release();
    }

    /// One user less for each of `blocks`. Of those that nobody uses any longer, the ones with a key come to the tail of
    /// the free queue; the ones without wait for [`Self::end_release`].
    fn release(&mut self, blocks: impl Iterator<Item = BlockId>) {
        for block in blocks.filter(|&block| block != NULL_BLOCK) {
            let state = &mut self.blocks[block as usize];
            state.ref_cnt -= 1;
            if state.ref_cnt == 0 && state.registration.key.is_some() {
                self.free.append(block);
            } else if state.ref_cnt == 0 {
                self.unkeyed.push(block);
            }
        }
    }

    /// Blocks without a key that nobody uses any longer come to the head of the free queue, in the order in which they
    /// were released.
    fn end_release(&mut self) {
        while let Some(block) = self.unkeyed.pop() {
            self.free.prepend(block);
        }
    }

    /// Whether `block` has one user and no key, so that this user may write into it (`is_block_writable`).
    pub(super) fn is_writable(&self, block: BlockId) -> bool {
        let state = &self.blocks[block as usize];
        block != NULL_BLOCK && state.ref_cnt == 1 && !state.registration.key.is_some()
    }

    /// The key that `block` got first, or [`BlockKey::NONE`].
    pub(super) fn key_of(&self, block: BlockId) -> BlockKey {
        self.blocks[block as usize].registration.key
    }

    /// Tokens of the prefix that `block`'s first key stands for, if it has one (`block_hash_num_tokens`).
    pub(super) fn num_cached_tokens(&self, block: BlockId) -> Option<u32> {
        let key = self.key_of(block);
        key.is_some().then(|| self.keys.num_tokens_to(key))
    }

    /// The block found under `key`, or [`NULL_BLOCK`]: of several the one registered first.
    pub(super) fn cached_block(&self, key: BlockKey) -> BlockId {
        self.block_of(self.keys.registered(key))
    }

    /// The block that `registration` is of.
    #[inline]
    pub(super) fn block_of(&self, registration: RegistrationId) -> BlockId {
        match (registration as usize).checked_sub(self.blocks.len()) {
            None => registration,
            Some(place) => self.further[place].block,
        }
    }

    /// Registers full `blocks` under the keys `key`, `key` + `stride` and so on of one chain: from now on they can be
    /// found. Null blocks are passed over.
    pub(super) fn cache_full_blocks(&mut self, blocks: &[BlockId], mut key: BlockKey, stride: u32) {
        let mut rest = blocks;
        while let Some((&block, behind)) = rest.split_first() {
            let num_registered = self.register_run(rest, key, stride);
            if num_registered > 0 {
                key.slot += math::usize_to_u32(num_registered) * stride;
                rest = &rest[num_registered..];
                continue;
            }
            if block != NULL_BLOCK {
                self.cache_full_block(block, key);
            }
            key.slot += stride;
            rest = behind;
        }
    }

    /// Registers a full `block` under `key`. One whose prefix ended inside it until now is found by its whole content
    /// only.
    pub(super) fn cache_full_block(&mut self, block: BlockId, key: BlockKey) {
        if self.key_of(block).is_some() {
            self.note_removed(block);
            self.forget_keys(block);
        }
        self.register_first(block, key);
    }

    /// A registration under `key` of `block`, which has no key: the newest there.
    pub(super) fn register_first(&mut self, block: BlockId, key: BlockKey) {
        let is_alone = self.keys.register_alone(key, block);
        self.blocks[block as usize].registration = Registration { key, previous: block, next: block };
        if !is_alone {
            self.link_newest(block, key);
        }
    }

    /// Forgets what `block` holds (`_maybe_evict_cached_block`).
    #[inline(always)]
    pub(super) fn evict(&mut self, block: BlockId) {
        if self.key_of(block).is_some() {
            self.num_evictions += 1;
            self.note_removed(block);
            self.forget_keys(block);
        }
    }

    /// Takes all keys from `block`, which has one; other blocks of the same content can still be found.
    #[inline(always)]
    pub(super) fn forget_keys(&mut self, block: BlockId) {
        let first = &mut self.blocks[block as usize].registration;
        let Registration { key, previous, next } = *first;
        first.key = BlockKey::NONE;
        if next == block {
            self.keys.forget_alone(key);
        } else {
            self.unlink(block, key, previous, next);
        }
        if !self.further_of.is_empty() {
            self.forget_further_keys(block);
        }
    }

    /// Checks that every block is either free or used. For tests: costs a walk over all blocks.
    ///
    /// # Panics
    /// If one is neither or both.
    pub fn assert_invariants(&self) {
        if let Some(extents) = &self.extents {
            extents.assert_invariants(&self.keys);
        }
        let mut is_free = vec![false; self.blocks.len()];
        for block in self.free.to_vec() {
            assert!(!is_free[block as usize], "a block is in the free queue once");
            is_free[block as usize] = true;
        }
        for (block, state) in self.blocks.iter().enumerate().skip(1) {
            assert!(is_free[block] == (state.ref_cnt == 0), "a block is free if and only if nobody uses it");
        }
        for (&block, ids) in &self.further_of {
            assert!(self.key_of(block).is_some(), "a block with a further key has a first one");
            assert!(ids.iter().all(|&id| self.block_of(id) == block), "a further key is its block's");
        }
    }
}
