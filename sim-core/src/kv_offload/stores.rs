//! What is stored, and when: a store reads blocks of the device behind the pass that computed them.
//!
//! Source: `OffloadingConnectorScheduler._build_store_jobs`.

use alloc::vec::Vec;

use super::connector::OffloadingConnector;
use super::request::Job;
use crate::request::{FinishReason, RequestId};

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
