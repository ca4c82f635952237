//! What is stored, when, and what waits for it: a store reads blocks of the device that nobody keeps for it once its
//! request has ended or was preempted.
//!
//! Source: `OffloadingConnectorScheduler._build_store_jobs` and `_block_id_to_pending_jobs`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::connector::{Job, OffloadingConnector};
use crate::request::{FinishReason, RequestId};
use crate::sched::connector::interface::JobId;

/// Blocks that are free though stores read them.
#[derive(Debug, Default)]
pub(super) struct Fences {
    /// The stores of each.
    readers: BTreeMap<u32, BTreeSet<JobId>>,
    /// Blocks that requests got in the pass being decided.
    pub(super) allocated: Vec<u32>,
}

impl Fences {
    /// A store's request has ended.
    pub(super) fn add(&mut self, job: JobId, blocks: &[u32]) {
        for &block in blocks {
            self.readers.entry(block).or_default().insert(job);
        }
    }

    /// A store is over.
    pub(super) fn remove(&mut self, job: JobId, blocks: &[u32]) {
        for block in blocks {
            if let Some(readers) = self.readers.get_mut(block) {
                readers.remove(&job);
                if readers.is_empty() {
                    self.readers.remove(block);
                }
            }
        }
    }

    /// Adds the stores of blocks that somebody got.
    pub(super) fn find_taken(&self, found: &mut BTreeSet<JobId>) {
        if !self.readers.is_empty() {
            found.extend(self.allocated.iter().filter_map(|block| self.readers.get(block)).flatten());
        }
    }
}

impl OffloadingConnector {
    /// Offers what a request has by the end of the pass.
    pub(super) fn store(&mut self, id: RequestId, num_tokens: u32) {
        let block_size = self.tokens_per_chunk() / self.settings.blocks_per_chunk;
        let Some(state) = self.requests.get_mut(&id) else { return };
        let end = state.num_storable_chunks(num_tokens, &self.settings, block_size);
        let start = state.next_stored_chunk;
        if end <= start {
            return;
        }
        // If there is no room they are offered again with the next pass.
        let Some(offered) = self.manager.prepare_store(&mut state.text, start..end) else { return };
        state.next_stored_chunk = end;
        if offered.is_empty() {
            return;
        }
        let size = self.settings.blocks_per_chunk as usize;
        let places = offered.iter().map(|&(place, _)| place as usize * size);
        let blocks: Vec<u32> = places.flat_map(|at| state.blocks[at..at + size].iter().copied()).collect();
        let num_blocks = crate::math::usize_to_u32(blocks.len());
        let has_ended = state.end.is_some();
        let is_taken = has_ended && blocks.iter().any(|block| self.fences.allocated.contains(block));
        let fenced = if has_ended { blocks.clone() } else { Vec::new() };
        let chunks = offered.into_iter().map(|(_, chunk)| chunk).collect();
        let job = self.begin(Job { request: id, is_store: true, chunks, blocks }, num_blocks);
        self.fences.add(job, &fenced);
        if is_taken {
            self.to_flush.insert(job);
        }
    }

    /// Offers what a request that has ended leaves. Of its last token nothing was computed.
    pub(super) fn store_at_end(&mut self, id: RequestId) {
        let Some(state) = self.requests.get(&id) else { return };
        let Some(end) = state.end else { return };
        let num_tokens = match end.reason {
            FinishReason::Abort => end.num_computed_tokens,
            _ => state.num_prompt_tokens.max(state.num_tokens - 1),
        };
        self.store(id, num_tokens);
    }
}
