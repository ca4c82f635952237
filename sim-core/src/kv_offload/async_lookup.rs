//! What a tier behind host memory is asked for: it answers beside the scheduler, and until then nobody knows.
//!
//! Source: `vllm/v1/kv_offload/tiering/async_lookup.py::AsyncLookupManager`. What was found is remembered for as long as a
//! request that asked is not over, also that a chunk was missing, though it may have been written since. A look-up that
//! nobody wants any longer is forgotten when its answer comes.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::chunks::{ChunkId, Chunks};
use crate::kv_cache::block_keys::KeyPath;
use crate::request::RequestId;

/// A look-up: not answered, or whether the chunk was there.
#[derive(Debug)]
struct LookupState {
    result: Option<bool>,
    is_in_flight: bool,
    requests: BTreeSet<RequestId>,
}

/// The look-ups of one tier.
#[derive(Debug, Default)]
pub(super) struct AsyncLookups {
    states: BTreeMap<ChunkId, LookupState>,
    asked_by: BTreeMap<RequestId, BTreeSet<ChunkId>>,
    /// What is asked for with the end of the pass being decided.
    batch: Vec<(RequestId, ChunkId)>,
    /// Batches without an answer, in order.
    in_flight: VecDeque<Vec<ChunkId>>,
    /// Answers that were not looked at yet.
    answers: Vec<(ChunkId, bool)>,
    needs_drain: bool,
}

impl AsyncLookups {
    /// Whether the chunk `place` of a request's text is there; `None` if that is not known yet.
    pub(super) fn lookup(
        &mut self,
        chunks: &mut Chunks,
        request: RequestId,
        path: &KeyPath,
        place: u32,
    ) -> Option<bool> {
        if core::mem::take(&mut self.needs_drain) {
            self.drain(chunks);
        }
        let known = chunks.find(path, place).filter(|id| self.states.contains_key(id));
        let Some(id) = known.or_else(|| chunks.hold(path, place)) else { return Some(false) };
        let state = self.states.entry(id).or_insert_with(|| {
            self.batch.push((request, id));
            LookupState { result: None, is_in_flight: false, requests: BTreeSet::new() }
        });
        if state.requests.insert(request) {
            self.asked_by.entry(request).or_default().insert(id);
        }
        state.result
    }

    /// A pass is decided: the tier is asked. Returns how many requests ask for how many chunks.
    pub(super) fn flush(&mut self, chunks: &mut Chunks) -> Option<(u32, u32)> {
        self.drain(chunks);
        self.needs_drain = true;
        if self.batch.is_empty() {
            return None;
        }
        let batch = core::mem::take(&mut self.batch);
        for (_, id) in &batch {
            if let Some(state) = self.states.get_mut(id) {
                state.is_in_flight = true;
            }
        }
        let requests: BTreeSet<_> = batch.iter().map(|(request, _)| *request).collect();
        let (num_requests, num_chunks) = (requests.len(), batch.len());
        self.in_flight.push_back(batch.into_iter().map(|(_, id)| id).collect());
        Some((crate::math::usize_to_u32(num_requests), crate::math::usize_to_u32(num_chunks)))
    }

    /// The oldest batch is answered by what the tier has now.
    pub(super) fn answer(&mut self, files: &BTreeSet<ChunkId>) {
        let batch = self.in_flight.pop_front().unwrap_or_default();
        self.answers.extend(batch.into_iter().map(|id| (id, files.contains(&id))));
    }

    fn drain(&mut self, chunks: &mut Chunks) {
        for (id, is_there) in self.answers.drain(..) {
            let Some(state) = self.states.get_mut(&id) else { continue };
            if state.requests.is_empty() {
                self.states.remove(&id);
                chunks.let_go(id);
            } else {
                (state.result, state.is_in_flight) = (Some(is_there), false);
            }
        }
    }

    /// A request asks no more.
    pub(super) fn cleanup(&mut self, chunks: &mut Chunks, request: RequestId) {
        for id in self.asked_by.remove(&request).unwrap_or_default() {
            let Some(state) = self.states.get_mut(&id) else { continue };
            state.requests.remove(&request);
            if state.requests.is_empty() && !state.is_in_flight {
                self.states.remove(&id);
                chunks.let_go(id);
            }
        }
    }
}
