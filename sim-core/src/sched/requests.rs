//! The requests that a scheduler knows of, for those who add to them while it runs, and how many are in its queues.

use super::scheduler::Scheduler;
use crate::kv_cache::manager::KvCacheManager;
use crate::math;
use crate::request_set::RequestSet;

impl Scheduler<'_> {
    /// The requests it may be given.
    #[must_use]
    pub(crate) fn requests(&self) -> &RequestSet {
        &self.requests
    }

    /// The same, to be changed; those that have not ended must stay as they are.
    pub(crate) fn requests_mut(&mut self) -> &mut RequestSet {
        self.requests.to_mut()
    }

    /// The KV cache, for those who are told of its events.
    pub(crate) const fn kv_cache_mut(&mut self) -> &mut KvCacheManager {
        &mut self.kv_cache
    }

    /// Of the requests that wait, those that were looked at and passed over (`Scheduler.deferred_waiting`).
    #[must_use]
    pub const fn num_deferred_requests(&self) -> u32 {
        self.num_deferred
    }

    /// How many requests run, and how many wait (`Scheduler.get_request_counts`).
    #[must_use]
    pub fn num_requests(&self) -> (u32, u32) {
        (math::usize_to_u32(self.running.len()), math::usize_to_u32(self.num_waiting()))
    }
}
