//! The tier in host memory: what is in it, what may go, and who holds what.
//!
//! Source: `vllm/v1/kv_offload/cpu/manager.py::CPUOffloadingManager`.

use alloc::vec::Vec;
use core::ops::Range;

use super::arc::Arc;
use super::chunks::{ChunkId, Chunks, NOT_READY};
use super::lru::Lru;
use super::request::{Access, Text};
use super::settings::{EvictionPolicy, OffloadingSettings};
use crate::request::TokenRun;

/// What the tier says of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookupResult {
    Miss,
    Hit,
    /// It is being stored, or brought from a tier behind.
    HitPending,
    /// A tier behind does not know yet.
    Retry,
}

#[derive(Debug)]
enum Policy {
    Lru(Lru),
    Arc(Arc),
}

/// The tier.
#[derive(Debug)]
pub(super) struct CpuOffloadingManager {
    pub(super) chunks: Chunks,
    policy: Policy,
    num_chunks: u32,
    num_resident: u32,
    /// Of these, those that nobody uses.
    num_evictable: u32,
    num_offers: u64,
}

impl CpuOffloadingManager {
    pub(super) fn new(settings: &OffloadingSettings, tokens_per_chunk: u32) -> Self {
        Self {
            chunks: Chunks::new(tokens_per_chunk),
            policy: match settings.eviction_policy {
                EvictionPolicy::Lru => Policy::Lru(Lru::default()),
                EvictionPolicy::Arc => Policy::Arc(Arc::new(settings.num_chunks)),
            },
            num_chunks: settings.num_chunks,
            num_resident: 0,
            num_evictable: 0,
            num_offers: 0,
        }
    }

    /// Chunks that have content or soon will, and of these, those that may go.
    pub(super) const fn num_resident(&self) -> (u32, u32) {
        (self.num_resident, self.num_evictable)
    }

    /// A request's text, whose first `num_chunks` chunks will be asked for at most.
    pub(super) fn on_new_request(&mut self, runs: &[TokenRun], num_chunks: u32, cache_salt: u32) -> Text {
        let mut text = Text::default();
        self.chunks.resolve(runs, num_chunks, cache_salt, &mut text.path);
        text
    }

    /// The request will not be asked about any longer.
    pub(super) fn forget(&mut self, text: &mut Text) {
        self.chunks.release(&mut text.path);
    }

    pub(super) fn lookup(&self, text: &Text, place: u32) -> LookupResult {
        match self.chunks.find_resident(&text.path, place) {
            None => LookupResult::Miss,
            Some(id) if self.chunks.get(id).ref_cnt == NOT_READY => LookupResult::HitPending,
            Some(_) => LookupResult::Hit,
        }
    }

    /// The number of a chunk that is there.
    pub(super) fn id_of(&self, text: &Text, place: u32) -> Option<ChunkId> {
        self.chunks.find_resident(&text.path, place)
    }

    /// Chunks are going to be loaded: they stay until [`Self::complete_load`].
    pub(super) fn prepare_load(&mut self, text: &mut Text, places: Range<u32>) -> Vec<ChunkId> {
        let mut held = Vec::new();
        for place in places {
            let Some(id) = self.chunks.find_resident(&text.path, place) else { continue };
            self.hold(id);
            text.note(place, Access::Reused);
            held.push(id);
        }
        held
    }

    /// Chunks are going to be read by a tier behind, which is no use of them: they stay until [`Self::complete_load`].
    pub(super) fn prepare_read(&mut self, chunks: &[ChunkId]) {
        chunks.iter().for_each(|&id| self.hold(id));
    }

    fn hold(&mut self, id: ChunkId) {
        if self.chunks.get(id).ref_cnt == 0 {
            if let Policy::Lru(lru) = &mut self.policy {
                lru.mark_non_evictable(&self.chunks, id);
            }
            self.num_evictable -= 1;
        }
        self.chunks.get_mut(id).ref_cnt += 1;
    }

    pub(super) fn complete_load(&mut self, held: &[ChunkId]) {
        for &id in held {
            let chunk = self.chunks.get_mut(id);
            chunk.ref_cnt -= 1;
            if chunk.ref_cnt == 0 {
                self.note_evictable(id);
            }
        }
    }

    fn note_evictable(&mut self, id: ChunkId) {
        self.num_evictable += 1;
        if let Policy::Lru(lru) = &mut self.policy {
            lru.mark_evictable(&self.chunks, id);
        }
    }

    /// Chunks of a request are offered. Those that are not there get room, others are evicted for them, and they are
    /// returned with their places: they are to be stored, and stay until [`Self::complete_store`]. `None` if there is no
    /// room for all.
    pub(super) fn prepare_store(&mut self, text: &mut Text, places: Range<u32>) -> Option<Vec<(u32, ChunkId)>> {
        self.num_offers += 1;
        let mut missing = Vec::new();
        for place in places {
            match self.chunks.find_resident(&text.path, place) {
                None => missing.push(place),
                Some(id) => {
                    let chunk = self.chunks.get_mut(id);
                    chunk.offer = self.num_offers;
                    if chunk.ref_cnt != NOT_READY {
                        text.note(place, Access::Reused);
                    }
                }
            }
        }
        for &place in missing.iter().rev() {
            if text.note(place, Access::StoreMiss)
                && let Policy::Arc(arc) = &mut self.policy
                && let Some(id) = self.chunks.find(&text.path, place)
            {
                arc.note_store_miss(&mut self.chunks, id);
            }
        }
        let num_missing = crate::math::usize_to_u32(missing.len());
        let num_to_evict = num_missing.saturating_sub(self.num_chunks - self.num_resident);
        if num_to_evict > 0 && !self.evict(num_to_evict) {
            return None;
        }
        let mut stored = Vec::with_capacity(missing.len());
        for place in missing {
            let Some(id) = self.chunks.insert(&text.path, place) else { continue };
            match &mut self.policy {
                Policy::Lru(lru) => lru.insert(&mut self.chunks, id),
                Policy::Arc(arc) => arc.insert(&mut self.chunks, id),
            }
            self.num_resident += 1;
            text.note(place, Access::Inserted);
            stored.push((place, id));
        }
        Some(stored)
    }

    fn evict(&mut self, num_chunks: u32) -> bool {
        let has_room = num_chunks <= self.num_evictable
            && match &mut self.policy {
                Policy::Lru(lru) => lru.evict(&mut self.chunks, num_chunks, self.num_offers),
                Policy::Arc(arc) => arc.evict(&mut self.chunks, num_chunks, self.num_offers),
            };
        if has_room {
            self.num_resident -= num_chunks;
            self.num_evictable -= num_chunks;
        }
        has_room
    }

    pub(super) fn complete_store(&mut self, stored: &[ChunkId]) {
        for &id in stored {
            self.chunks.get_mut(id).ref_cnt = 0;
            self.note_evictable(id);
        }
    }

    /// A request will store and load nothing more: what it used counts as used now, its first chunk last.
    pub(super) fn on_request_finished(&mut self, text: &Text) {
        for (place, access) in text.accesses().rev() {
            let Some(id) = self.chunks.find_resident(&text.path, place) else { continue };
            match &mut self.policy {
                Policy::Lru(lru) => lru.renew(&mut self.chunks, id),
                Policy::Arc(arc) => arc.renew(&mut self.chunks, id, access),
            }
        }
    }
}
