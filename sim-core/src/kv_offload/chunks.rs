//! Chunks of a tier, found by content: each is a place in a tree of all texts, as blocks of the device are.

use alloc::vec::Vec;

use crate::kv_cache::block_keys::{BlockKey, BlockKeys, KeyPath, NO_REGISTRATION};
use crate::request::TokenRun;

/// Number of a chunk, or of the memory of one that was evicted.
pub(super) type ChunkId = u32;

/// A chunk being stored (`ChunkStatus.ref_cnt` of -1).
pub(super) const NOT_READY: i32 = -1;

/// A chunk, or what is remembered of one that is not in host memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    key: BlockKey,
    /// Whether the policy knows it: it is there, or was evicted and is remembered.
    is_in_policy: bool,
    /// Who else wants it remembered: tiers that have it, or that are asked for it.
    num_holders: u32,
    /// Loads that read it; [`NOT_READY`] while it is being stored.
    pub(super) ref_cnt: i32,
    /// Whether it has content, or soon will.
    pub(super) is_resident: bool,
    /// Its place in the policy's order.
    pub(super) rank: u64,
    /// Which of a policy's lists it is in.
    pub(super) list: u8,
    /// The offer that it was part of last: what is being offered is not evicted for the rest of the offer.
    pub(super) offer: u64,
}

/// All chunks. A chunk's number is its registration in the tree.
#[derive(Debug)]
pub(super) struct Chunks {
    keys: BlockKeys,
    chunks: Vec<Chunk>,
    unused: Vec<ChunkId>,
}

impl Chunks {
    pub(super) fn new(tokens_per_chunk: u32) -> Self {
        let nobody = Chunk::new(BlockKey::NONE);
        // The first number stands for none.
        Self { keys: BlockKeys::new(tokens_per_chunk, 0, 1), chunks: alloc::vec![nobody], unused: Vec::new() }
    }

    /// Finds the keys of a text's first `num_chunks` chunks, and holds them until [`Self::release`].
    pub(super) fn resolve(&mut self, runs: &[TokenRun], num_chunks: u32, cache_salt: u32, path: &mut KeyPath) {
        self.keys.resolve(runs, num_chunks, cache_salt, path);
    }

    pub(super) fn release(&mut self, path: &mut KeyPath) {
        self.keys.release(path);
    }

    /// What is known of the chunk `place` of a text.
    pub(super) fn find(&self, path: &KeyPath, place: u32) -> Option<ChunkId> {
        let id = self.keys.registered(self.keys.key(path, place, 0)?);
        (id != NO_REGISTRATION).then_some(id)
    }

    /// The same if it has content, or soon will.
    pub(super) fn find_resident(&self, path: &KeyPath, place: u32) -> Option<ChunkId> {
        self.find(path, place).filter(|&id| self.get(id).is_resident)
    }

    pub(super) fn get(&self, id: ChunkId) -> &Chunk {
        &self.chunks[id as usize]
    }

    pub(super) fn get_mut(&mut self, id: ChunkId) -> &mut Chunk {
        &mut self.chunks[id as usize]
    }

    /// The chunk `place` of a text is going to be stored; `None` behind what the text has keys of.
    pub(super) fn insert(&mut self, path: &KeyPath, place: u32) -> Option<ChunkId> {
        let id = self.known_or_new(path, place)?;
        let chunk = self.get_mut(id);
        (chunk.is_in_policy, chunk.is_resident, chunk.ref_cnt) = (true, true, NOT_READY);
        Some(id)
    }

    /// The chunk `place` of a text, remembered until [`Self::let_go`]; `None` behind what the text has keys of.
    pub(super) fn hold(&mut self, path: &KeyPath, place: u32) -> Option<ChunkId> {
        let id = self.known_or_new(path, place)?;
        self.hold_again(id);
        Some(id)
    }

    /// The same of one that is known.
    pub(super) fn hold_again(&mut self, id: ChunkId) {
        self.get_mut(id).num_holders += 1;
    }

    pub(super) fn let_go(&mut self, id: ChunkId) {
        self.get_mut(id).num_holders -= 1;
        self.drop_unused(id);
    }

    fn known_or_new(&mut self, path: &KeyPath, place: u32) -> Option<ChunkId> {
        if let Some(id) = self.find(path, place) {
            return Some(id);
        }
        let key = self.keys.key(path, place, 0)?;
        let new = Chunk::new(key);
        let id = self.unused.pop().unwrap_or_else(|| {
            self.chunks.push(new);
            crate::math::usize_to_u32(self.chunks.len() - 1)
        });
        self.chunks[id as usize] = new;
        self.keys.register_alone(key, id);
        Some(id)
    }

    /// The policy remembers nothing of a chunk any longer.
    pub(super) fn forget(&mut self, id: ChunkId) {
        let chunk = self.get_mut(id);
        (chunk.is_in_policy, chunk.is_resident, chunk.rank, chunk.list) = (false, false, 0, 0);
        self.drop_unused(id);
    }

    fn drop_unused(&mut self, id: ChunkId) {
        let chunk = self.get(id);
        if !chunk.is_in_policy && chunk.num_holders == 0 {
            let key = chunk.key;
            self.keys.forget_alone(key);
            self.unused.push(id);
        }
    }
}

impl Chunk {
    const fn new(key: BlockKey) -> Self {
        Self { key, is_in_policy: false, num_holders: 0, ref_cnt: 0, is_resident: false, rank: 0, list: 0, offer: 0 }
    }
}
