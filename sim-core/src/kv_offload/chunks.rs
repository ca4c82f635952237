//! Chunks of a tier, found by content: each is a place in a tree of all texts, as blocks of the device are.

use alloc::vec::Vec;

use crate::kv_cache::block_keys::{BlockKey, BlockKeys, KeyPath, NO_REGISTRATION};
use crate::request::TokenRun;

/// Number of a chunk, or of the memory of one that was evicted.
pub(super) type ChunkId = u32;

/// A chunk being stored (`ChunkStatus.ref_cnt` of -1).
pub(super) const NOT_READY: i32 = -1;

/// A chunk, or what a policy remembers of one that was evicted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    key: BlockKey,
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
        let nobody = Chunk { key: BlockKey::NONE, ref_cnt: 0, is_resident: false, rank: 0, list: 0, offer: 0 };
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
        let known = self.find(path, place);
        let id = match known {
            Some(id) => id,
            None => {
                let key = self.keys.key(path, place, 0)?;
                let new = Chunk { key, ref_cnt: 0, is_resident: false, rank: 0, list: 0, offer: 0 };
                let id = self.unused.pop().unwrap_or_else(|| {
                    self.chunks.push(new);
                    crate::math::usize_to_u32(self.chunks.len() - 1)
                });
                self.chunks[id as usize] = new;
                self.keys.register_alone(key, id);
                id
            }
        };
        let chunk = self.get_mut(id);
        (chunk.is_resident, chunk.ref_cnt) = (true, NOT_READY);
        Some(id)
    }

    /// Nothing is remembered of a chunk any longer.
    pub(super) fn forget(&mut self, id: ChunkId) {
        self.keys.forget_alone(self.chunks[id as usize].key);
        self.unused.push(id);
    }
}
