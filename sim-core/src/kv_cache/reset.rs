//! A prefix cache that is emptied while its engine goes on (`POST /reset_prefix_cache`).
//!
//! Source: `vllm/v1/core/block_pool.py::BlockPool.reset_prefix_cache`.

use super::block_pool::BlockPool;
use super::events::KvCacheEvent;
use super::manager::KvCacheManager;
use crate::math;

impl KvCacheManager {
    /// Forgets what all blocks hold, if nobody uses any; whether that was so. Of an engine that looks at each block.
    pub(crate) fn reset_prefix_cache(&mut self) -> bool {
        let is_unused = self.num_free_blocks() == self.num_usable_blocks();
        if is_unused {
            self.pool.forget_all();
        }
        is_unused
    }
}

impl BlockPool {
    /// Takes all keys from all blocks, which are free and keep their order.
    fn forget_all(&mut self) {
        for block in 0..math::usize_to_u32(self.blocks.len()) {
            if self.key_of(block).is_some() {
                self.forget_keys(block);
            }
        }
        if let Some(events) = &mut self.events {
            events.push(KvCacheEvent::AllBlocksCleared);
        }
    }
}
