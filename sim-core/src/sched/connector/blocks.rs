//! When a request's blocks are given back, with a connector: at once, when passes that read them are processed, or when
//! a transfer has ended.
//!
//! Source: `vllm/v1/core/sched/scheduler.py`: `finish_requests`, `_free_request`, `_free_request_blocks`.

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

    /// The transfer that kept the blocks of an ended request is over.
    pub(super) fn free_delayed(&mut self, id: RequestId) {
        let crate::sched::live_request::Place::Slot(slot) = self.live.place(id) else { return };
        self.release_blocks(slot);
        self.live.remove(id);
        if let Some(connector) = &mut self.connector {
            connector.forget(id);
        }
    }
}
