//! When a request's blocks are given back, with a connector: at once, when passes that read them are processed, or when
//! a transfer has ended.
//!
//! Source: `vllm/v1/core/sched/scheduler.py`: `finish_requests`, `_free_request`, `_free_request_blocks`.

use alloc::vec::Vec;

use super::interface::Ended;
use crate::request::{FinishReason, RequestId};
use crate::sched::scheduler::Scheduler;

impl Scheduler<'_> {
    /// Gives back a request's blocks, or keeps them for passes under way that read them.
    pub(in crate::sched) fn free_request_blocks(&mut self, slot: u32) {
        let request = self.live.get_mut(slot);
        match &mut self.connector {
            Some(connector) if !connector.can_free(request.id) => {
                connector.fence.defer(self.kv_cache.take_table(&mut request.blocks));
            }
            _ => self.kv_cache.free(&mut request.blocks),
        }
    }

    /// Ends a request that has left all queues, for `reason`; false if its blocks are kept.
    pub(in crate::sched) fn connector_frees(&mut self, slot: u32, reason: FinishReason) -> bool {
        let Some(connector) = &mut self.connector else { return true };
        let request = self.live.get(slot);
        let id = request.id;
        connector.prefills.remove(&id);
        connector.local_hits.remove(&id);
        let is_loading = connector.loading.remove(&id);
        let has_received = connector.received.remove(&id);
        connector.failed.remove(&id);
        let has_blocks = !self.kv_cache.table(&request.blocks).is_empty();
        let (num_tokens, num_computed_tokens) = (request.num_tokens, request.num_computed_tokens);
        let ended = Ended { id, reason, num_tokens, num_computed_tokens, has_blocks };
        let sends = connector.kv_connector.request_finished(ended);
        if (is_loading && !has_received) || sends {
            connector.delayed.insert(id);
            return false;
        }
        connector.drops_stale.remove(&id);
        true
    }

    /// The blocks that an ended request keeps: from now on they are the caller's, to be given to [`Self::free_table`], and the
    /// request may come again. `None` if it keeps none.
    pub(crate) fn disown(&mut self, id: RequestId) -> Option<Vec<u32>> {
        let crate::sched::live_request::Place::Slot(slot) = self.live.place(id) else { return None };
        if !self.is_delayed(id) {
            return None;
        }
        let table = self.kv_cache.take_table(&mut self.live.get_mut(slot).blocks);
        self.release_blocks(slot);
        self.live.remove(id);
        if let Some(connector) = &mut self.connector {
            connector.forget(id);
        }
        Some(table)
    }

    /// Gives back what [`Self::disown`] gave.
    pub(crate) fn free_table(&mut self, table: Vec<u32>) {
        self.kv_cache.free_taken(table);
    }

    /// The transfer that kept the blocks of an ended request is over.
    pub(crate) fn free_delayed(&mut self, id: RequestId) {
        // What is told late may be of a request that was disowned, and has come again since.
        if !self.is_delayed(id) {
            return;
        }
        let crate::sched::live_request::Place::Slot(slot) = self.live.place(id) else { return };
        self.release_blocks(slot);
        self.live.remove(id);
        if let Some(connector) = &mut self.connector {
            connector.forget(id);
        }
    }
}
