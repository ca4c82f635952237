//! What the tier and the connector remember of a request.
//!
//! Source: `vllm/v1/kv_offload/cpu/manager.py::_RequestCacheAccess` and `RequestOffloadState` of the connector.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::chunks::ChunkId;
use crate::kv_cache::block_keys::KeyPath;
use crate::request::{FinishReason, RequestId};

/// What a request did with a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It loaded it, or offered it and it was there.
    Reused,
    /// It stored it.
    Inserted,
    /// It offered it and it was not there.
    StoreMiss,
    /// It had it brought from a tier behind host memory.
    Promoted,
}

/// All that a request did with one of its chunks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Accesses(u8);

impl Accesses {
    const fn has(self, access: Access) -> bool {
        self.0 & (1 << access as u8) != 0
    }

    pub(super) const fn is_reused(self) -> bool {
        self.has(Access::Reused)
    }

    pub(super) const fn is_insertion_only(self) -> bool {
        self.has(Access::Inserted) && !self.has(Access::Reused)
    }
}

/// A request's text in chunks, and what it did with them.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) path: KeyPath,
    accesses: Vec<Accesses>,
}

impl Text {
    /// Notes an access; whether it is the first of its kind. What a request stored itself it does not reuse.
    pub(super) fn note(&mut self, place: u32, access: Access) -> bool {
        let place = place as usize;
        if self.accesses.len() <= place {
            self.accesses.resize(place + 1, Accesses::default());
        }
        let accesses = &mut self.accesses[place];
        if accesses.has(access) || (access == Access::Reused && accesses.has(Access::Inserted)) {
            return false;
        }
        accesses.0 |= 1 << access as u8;
        true
    }

    /// Whether it had a chunk brought from a tier behind host memory.
    pub(super) fn has_promoted(&self, place: u32) -> bool {
        self.accesses.get(place as usize).is_some_and(|accesses| accesses.has(Access::Promoted))
    }

    /// Chunks that it did something with, first to last.
    pub(super) fn accesses(&self) -> impl DoubleEndedIterator<Item = (u32, Accesses)> {
        let all = self.accesses.iter().enumerate();
        all.filter(|(_, accesses)| accesses.0 != 0)
            .map(|(place, &accesses)| (crate::math::usize_to_u32(place), accesses))
    }
}

/// A request that has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) reason: FinishReason,
    pub(super) num_computed_tokens: u32,
}

/// A request, as the connector knows it.
#[derive(Debug)]
pub(super) struct OffloadState {
    pub(super) text: Text,
    /// Its place among requests.
    pub(super) arrival_order: u64,
    pub(super) num_prompt_tokens: u32,
    /// Known tokens, as of the last time it was looked at.
    pub(super) num_tokens: u32,
    /// Its blocks on the device, as they were given to it since it was looked up last.
    pub(super) blocks: Vec<u32>,
    /// The next chunk to be offered.
    pub(super) next_stored_chunk: u32,
    /// Tokens found in the device's cache.
    pub(super) num_local_tokens: u32,
    /// Transfers under way: one load, or some stores.
    pub(super) jobs: BTreeSet<u32>,
    pub(super) end: Option<End>,
    /// Whether the tier was told of its end.
    pub(super) is_over: bool,
}

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: RequestId,
    pub(super) is_store: bool,
    pub(super) chunks: Vec<ChunkId>,
    /// Blocks of the device that it reads.
    pub(super) blocks: Vec<u32>,
}
