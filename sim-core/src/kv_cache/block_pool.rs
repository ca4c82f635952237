//! The blocks: who uses them, what they hold, which is reused next.
//!
//! Source: `vllm/v1/core/block_pool.py::BlockPool`.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::block_keys::{BlockKey, BlockKeys, NO_REGISTRATION, RegistrationId};
use super::free_block_queue::{BlockId, FreeBlockQueue, NULL_BLOCK};
use crate::math;

/// A block and its first registration, which has the block's number.
#[derive(Debug, Clone, Copy)]
struct Block {
    ref_cnt: u32,
    registration: Registration,
}

/// That a block can be found under a key; one of the ring of registrations under the same key, oldest first.
#[derive(Debug, Clone, Copy)]
struct Registration {
    key: BlockKey,
    previous: RegistrationId,
    next: RegistrationId,
}

impl Registration {
    const NONE: Self = Self { key: BlockKey::NONE, previous: NO_REGISTRATION, next: NO_REGISTRATION };
}

/// A further registration of a block. It has the number of all blocks plus its place.
#[derive(Debug, Clone, Copy)]
struct Further {
    block: BlockId,
    registration: Registration,
}

/// Registers blocks in places under the keys from `key` on, until one has a key or a place is taken; returns how many.
#[inline]
fn register_each<'a>(
    states: &mut [Block],
    blocks: impl Iterator<Item = (&'a BlockId, &'a mut RegistrationId)>,
    mut key: BlockKey,
    stride: u32,
) -> u32 {
    let mut count = 0;
    for (&block, place) in blocks {
        let registration = &mut states[block as usize].registration;
        if *place != NO_REGISTRATION || registration.key.is_some() || block == NULL_BLOCK {
            break;
        }
        *place = block;
        *registration = Registration { key, previous: block, next: block };
        key.slot += stride;
        count += 1;
    }
    count
}

/// All KV blocks of an engine.
#[derive(Debug)]
pub struct BlockPool {
    blocks: Vec<Block>,
    free: FreeBlockQueue,
    pub(super) keys: BlockKeys,
    num_evictions: u64,
    /// Registrations of blocks that have one already: such a block was found, or can be found, by a prefix that ends
    /// inside it. Rare.
    further: Vec<Further>,
    unused_further: Vec<RegistrationId>,
    further_of: BTreeMap<BlockId, Vec<RegistrationId>>,
    /// Scratch of [`Self::free_blocks`].
    unkeyed: Vec<BlockId>,
}

impl BlockPool {
    pub(super) fn new(num_gpu_blocks: u32, keys: BlockKeys) -> Self {
        let block = Block { ref_cnt: 0, registration: Registration::NONE };
        Self {
            blocks: vec![block; num_gpu_blocks as usize],
            free: FreeBlockQueue::new(num_gpu_blocks),
            keys,
            num_evictions: 0,
            further: Vec::new(),
            unused_further: Vec::new(),
            further_of: BTreeMap::new(),
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

    /// Forgets what the first of `blocks` hold and gives each a user, as far as they were found in one chain and nowhere
    /// else, as a request leaves them; returns how many.
    fn evict_run(&mut self, blocks: &[BlockId]) -> usize {
        let first = self.key_of(blocks[0]);
        if !first.is_some() || !self.further_of.is_empty() {
            return 0;
        }
        let (slots, num_registered) = self.keys.slots(BlockKey { slot: 0, ..first });
        let states = self.blocks.as_mut_slice();
        let mut num_forgotten = 0;
        for &block in blocks {
            let state = &mut states[block as usize];
            let Registration { key, next, .. } = state.registration;
            if key.chain != first.chain || next != block {
                break;
            }
            slots[key.slot as usize] = NO_REGISTRATION;
            state.registration.key = BlockKey::NONE;
            state.ref_cnt = 1;
            num_forgotten += 1;
        }
        *num_registered -= math::usize_to_u32(num_forgotten);
        self.num_evictions += math::usize_to_u64(num_forgotten);
        self.keys.drop_unused(first.chain);
        num_forgotten
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
        self.release(table.iter().rev().copied());
        table.clear();
    }

    /// One user less for each of `blocks`, in order: the first is to be reused first.
    pub(super) fn free_blocks(&mut self, blocks: &[BlockId]) {
        self.release(blocks.iter().copied());
    }

    /// One user less for each of `blocks`. Of those that nobody uses any longer, the ones with a key come to the tail of
    /// the free queue, the ones without to its head, both in this order.
    #[inline]
    fn release(&mut self, blocks: impl Iterator<Item = BlockId>) {
        let (states, unkeyed) = (self.blocks.as_mut_slice(), &mut self.unkeyed);
        let becomes_last = move |&block: &BlockId| {
            if block == NULL_BLOCK {
                return false;
            }
            let state = &mut states[block as usize];
            state.ref_cnt -= 1;
            let (is_free, has_key) = (state.ref_cnt == 0, state.registration.key.is_some());
            if is_free && !has_key {
                unkeyed.push(block);
            }
            is_free && has_key
        };
        self.free.append_all(blocks.filter(becomes_last));
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

    /// Registers the first of `blocks`, as far as they have no key and nothing else has theirs; returns how many.
    fn register_run(&mut self, blocks: &[BlockId], first: BlockKey, stride: u32) -> usize {
        let (slots, num_registered) = self.keys.slots(first);
        let states = self.blocks.as_mut_slice();
        let count = if stride == 1 {
            register_each(states, blocks.iter().zip(slots), first, 1)
        } else {
            register_each(states, blocks.iter().zip(slots.iter_mut().step_by(stride as usize)), first, stride)
        };
        *num_registered += count;
        count as usize
    }

    /// Registers a full `block` under `key`. One whose prefix ended inside it until now is found by its whole content
    /// only.
    pub(super) fn cache_full_block(&mut self, block: BlockId, key: BlockKey) {
        if self.key_of(block).is_some() {
            self.forget_keys(block);
        }
        self.register_first(block, key);
    }

    /// Registers `block` under the `key` of a prefix that ends inside it, or at its end (`cache_partial_block`).
    pub(super) fn cache_partial_block(&mut self, block: BlockId, key: BlockKey, replaces_keys: bool) {
        let is_shorter = self.num_cached_tokens(block).is_some_and(|held| held < self.keys.num_tokens_to(key));
        let has_key = self.key_of(block).is_some();
        if has_key && (replaces_keys || (is_shorter && !self.is_registered(block, key))) {
            self.forget_keys(block);
        }
        if !self.is_registered(block, key) {
            self.register(block, key);
        }
    }

    /// Lets `to`, which has no key, be found instead of `from` (`move_block_hashes`).
    pub(super) fn move_keys(&mut self, from: BlockId, to: BlockId) {
        let first = self.key_of(from);
        if !first.is_some() {
            return;
        }
        let further = self.further_of.get(&from).map(Vec::as_slice).unwrap_or_default();
        let further: Vec<_> = further.iter().map(|&id| self.registration(id).key).collect();
        // Before the old ones go: a key lives while something is registered under it.
        self.register(to, first);
        for key in further {
            self.register(to, key);
        }
        self.forget_keys(from);
    }

    fn is_registered(&self, block: BlockId, key: BlockKey) -> bool {
        self.key_of(block) == key
            || self.further_of.get(&block).is_some_and(|ids| ids.iter().any(|&id| self.registration(id).key == key))
    }

    /// A registration of `block` under `key`, the newest there.
    fn register(&mut self, block: BlockId, key: BlockKey) {
        if !self.key_of(block).is_some() {
            self.register_first(block, key);
            return;
        }
        let id = self.new_further(block);
        self.registration_mut(id).key = key;
        if self.keys.register_alone(key, id) {
            self.link(id, id);
        } else {
            self.link_newest(id, key);
        }
    }

    /// The same for a block that has no key.
    fn register_first(&mut self, block: BlockId, key: BlockKey) {
        let is_alone = self.keys.register_alone(key, block);
        self.blocks[block as usize].registration = Registration { key, previous: block, next: block };
        if !is_alone {
            self.link_newest(block, key);
        }
    }

    /// Puts `id` behind the registrations that are under `key` already.
    fn link_newest(&mut self, id: RegistrationId, key: BlockKey) {
        let oldest = self.keys.registered(key);
        let newest = self.registration(oldest).previous;
        self.link(newest, id);
        self.link(id, oldest);
    }

    fn new_further(&mut self, block: BlockId) -> RegistrationId {
        let further = Further { block, registration: Registration::NONE };
        let id = match self.unused_further.pop() {
            Some(id) => {
                self.further[id as usize - self.blocks.len()] = further;
                id
            }
            None => {
                self.further.push(further);
                math::usize_to_u32(self.blocks.len() + self.further.len() - 1)
            }
        };
        self.further_of.entry(block).or_default().push(id);
        id
    }

    fn registration(&self, id: RegistrationId) -> &Registration {
        match self.blocks.get(id as usize) {
            Some(block) => &block.registration,
            None => &self.further[id as usize - self.blocks.len()].registration,
        }
    }

    fn registration_mut(&mut self, id: RegistrationId) -> &mut Registration {
        let num_blocks = self.blocks.len();
        match self.blocks.get_mut(id as usize) {
            Some(block) => &mut block.registration,
            None => &mut self.further[id as usize - num_blocks].registration,
        }
    }

    fn link(&mut self, previous: RegistrationId, next: RegistrationId) {
        self.registration_mut(previous).next = next;
        self.registration_mut(next).previous = previous;
    }

    /// Forgets what `block` holds (`_maybe_evict_cached_block`).
    #[inline(always)]
    pub(super) fn evict(&mut self, block: BlockId) {
        if self.key_of(block).is_some() {
            self.num_evictions += 1;
            self.forget_keys(block);
        }
    }

    /// Takes all keys from `block`, which has one; other blocks of the same content can still be found.
    #[inline(always)]
    fn forget_keys(&mut self, block: BlockId) {
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

    fn forget_further_keys(&mut self, block: BlockId) {
        for id in self.further_of.remove(&block).unwrap_or_default() {
            let Registration { key, previous, next } = *self.registration(id);
            self.unlink(id, key, previous, next);
            self.unused_further.push(id);
        }
    }

    /// Takes the registration `id` out of those under `key`.
    fn unlink(&mut self, id: RegistrationId, key: BlockKey, previous: RegistrationId, next: RegistrationId) {
        if next == id {
            self.keys.forget_alone(key);
            return;
        }
        if self.keys.registered(key) == id {
            self.keys.set_registered(key, next);
        }
        self.link(previous, next);
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
        for (&block, ids) in &self.further_of {
            assert!(self.key_of(block).is_some(), "a block with a further key has a first one");
            assert!(ids.iter().all(|&id| self.block_of(id) == block), "a further key is its block's");
        }
    }
}
