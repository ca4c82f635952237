//! An engine that tells what becomes of its prefix cache.

use alloc::vec::Vec;

use super::EngineCore;
use crate::kv_cache::events::KvCacheEvent;

impl EngineCore<'_> {
    /// From now on events of the KV cache are kept for [`Self::take_kv_cache_events`]. For an engine without requests
    /// that does not count steady ones, as it may give keys later than vLLM does.
    pub fn keep_kv_cache_events(&mut self) {
        self.scheduler.kv_cache_mut().enable_events();
    }

    /// The events since the last call, in order; none where they are not kept. vLLM publishes them when it has taken in the
    /// results of a pass, those of a pass decided since then included (`Scheduler.update_from_output`).
    pub fn take_kv_cache_events(&mut self) -> Vec<KvCacheEvent> {
        self.scheduler.kv_cache_mut().take_events().unwrap_or_default()
    }
}
