//! Adaptive replacement: chunks that one request used (T1) and chunks that several did (T2), each in the order of use,
//! and what was evicted of either (B1, B2). What comes back of the evicted ones moves the size that T1 is to have.
//!
//! Source: `vllm/v1/kv_offload/cpu/policies/arc.py::ARCCachePolicy`.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::chunks::{ChunkId, Chunks};
use super::request::Accesses;
use crate::math;

const T1: u8 = 0;
const T2: u8 = 1;
const B1: u8 = 2;
const B2: u8 = 3;

/// The four lists, each by rank, oldest first.
#[derive(Debug)]
pub(super) struct Arc {
    num_chunks: u32,
    lists: [BTreeMap<u64, ChunkId>; 4],
    last_rank: u64,
    target_t1_size: f64,
}

impl Arc {
    pub(super) const fn new(num_chunks: u32) -> Self {
        Self { num_chunks, lists: [const { BTreeMap::new() }; 4], last_rank: 0, target_t1_size: 0.0 }
    }

    /// A chunk is the last of a list now; it was in one if it was known before.
    fn move_to(&mut self, chunks: &mut Chunks, id: ChunkId, list: u8) {
        let chunk = chunks.get_mut(id);
        self.lists[usize::from(chunk.list)].remove(&chunk.rank);
        self.last_rank += 1;
        (chunk.rank, chunk.list) = (self.last_rank, list);
        self.lists[usize::from(list)].insert(self.last_rank, id);
    }

    fn len(&self, list: u8) -> f64 {
        math::usize_to_f64(self.lists[usize::from(list)].len())
    }

    /// A request wants to store a chunk that is not there, for the first time: `id` if it was evicted not long ago.
    pub(super) fn note_store_miss(&mut self, chunks: &mut Chunks, id: ChunkId) {
        let list = chunks.get(id).list;
        let most = math::u32_to_f64(self.num_chunks);
        if list == B1 {
            let step = math::max(1.0, self.len(B2) / self.len(B1));
            self.target_t1_size = math::min(self.target_t1_size + step, most);
        } else if list == B2 {
            let step = math::max(1.0, self.len(B1) / self.len(B2));
            self.target_t1_size = math::max(self.target_t1_size - step, 0.0);
        } else {
            return;
        }
        self.move_to(chunks, id, list);
    }

    /// A chunk is going to be stored.
    pub(super) fn insert(&mut self, chunks: &mut Chunks, id: ChunkId) {
        self.move_to(chunks, id, T1);
    }

    /// A request that stored or used a chunk has ended.
    pub(super) fn renew(&mut self, chunks: &mut Chunks, id: ChunkId, access: Accesses) {
        let list = chunks.get(id).list;
        if access.is_insertion_only() {
            self.move_to(chunks, id, list);
        } else if access.is_reused() {
            self.move_to(chunks, id, T2);
        }
    }

    /// Takes out `num_chunks` chunks, none of the offer `offer`; false and no change if there are not so many.
    pub(super) fn evict(&mut self, chunks: &mut Chunks, num_chunks: u32, offer: u64) -> bool {
        let is_free = |id: &&ChunkId| {
            let chunk = chunks.get(**id);
            chunk.ref_cnt == 0 && chunk.offer != offer
        };
        let (mut t1, mut t2) = (self.lists[0].values().filter(is_free), self.lists[1].values().filter(is_free));
        let mut t1_size = math::usize_to_u32(self.lists[0].len());
        let target = math::f64_to_u32(self.target_t1_size);
        let mut victims = Vec::new();
        for _ in 0..num_chunks {
            let from_t1 = if t1_size >= target { t1.next() } else { None };
            if let Some(&id) = from_t1 {
                t1_size -= 1;
                victims.push(id);
            } else if let Some(&id) = t2.next() {
                victims.push(id);
            } else if let Some(&id) = t1.next() {
                t1_size -= 1;
                victims.push(id);
            } else {
                return false;
            }
        }
        for id in victims {
            chunks.get_mut(id).is_resident = false;
            let list = if chunks.get(id).list == T1 { B1 } else { B2 };
            self.move_to(chunks, id, list);
        }
        for list in [B1, B2] {
            let ghosts = &mut self.lists[usize::from(list)];
            while ghosts.len() > self.num_chunks as usize
                && let Some((_, id)) = ghosts.pop_first()
            {
                chunks.forget(id);
            }
        }
        true
    }
}
