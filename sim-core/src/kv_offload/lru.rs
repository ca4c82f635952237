//! Least recently used: chunks have ranks, which requests renew as they end, from the last chunk to the first; so of
//! one text the last chunk goes first. Chunks in use keep their rank.
//!
//! Source: `vllm/v1/kv_offload/cpu/policies/lru.py::LRUCachePolicy`.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::chunks::{ChunkId, Chunks};

/// Chunks that may go, by rank.
#[derive(Debug, Default)]
pub(super) struct Lru {
    evictable: BTreeMap<u64, ChunkId>,
    last_rank: u64,
}

impl Lru {
    /// A chunk is used now.
    pub(super) fn renew(&mut self, chunks: &mut Chunks, id: ChunkId) {
        let chunk = chunks.get_mut(id);
        self.last_rank += 1;
        let before = core::mem::replace(&mut chunk.rank, self.last_rank);
        if self.evictable.remove(&before).is_some() {
            self.evictable.insert(self.last_rank, id);
        }
    }

    /// A chunk is going to be stored.
    pub(super) fn insert(&mut self, chunks: &mut Chunks, id: ChunkId) {
        self.last_rank += 1;
        chunks.get_mut(id).rank = self.last_rank;
    }

    pub(super) fn mark_evictable(&mut self, chunks: &Chunks, id: ChunkId) {
        self.evictable.insert(chunks.get(id).rank, id);
    }

    pub(super) fn mark_non_evictable(&mut self, chunks: &Chunks, id: ChunkId) {
        self.evictable.remove(&chunks.get(id).rank);
    }

    /// Takes out `num_chunks` chunks, none of the offer `offer`; false and no change if there are not so many.
    pub(super) fn evict(&mut self, chunks: &mut Chunks, num_chunks: u32, offer: u64) -> bool {
        let free = self.evictable.iter().filter(|&(_, &id)| chunks.get(id).offer != offer);
        let victims: Vec<_> = free.take(num_chunks as usize).map(|(&rank, &id)| (rank, id)).collect();
        if victims.len() < num_chunks as usize {
            return false;
        }
        for (rank, id) in victims {
            self.evictable.remove(&rank);
            chunks.forget(id);
        }
        true
    }
}
