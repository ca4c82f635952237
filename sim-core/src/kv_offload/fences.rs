//! Blocks of the device that are free though stores read them: nobody keeps a block for a store once its request has
//! ended.
//!
//! Source: `OffloadingConnectorScheduler._block_id_to_pending_jobs`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::sched::connector::interface::JobId;

/// The stores that wait, and what was given out meanwhile.
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
