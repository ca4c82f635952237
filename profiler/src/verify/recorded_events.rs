//! Events of the KV cache as a recording has them (`tests/recorder/kv_events.py`): hashes are numbered in the order in
//! which they were first told, as vLLM's are of token ids and ours are not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sim_core::kv_cache::events::KvCacheEvent;

/// An event. Names as in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordedEvent {
    Stored {
        group: u32,
        block_size: u32,
        parent: Option<u32>,
        hashes: Vec<u32>,
        /// First token and number of each stretch of consecutive ones.
        tokens: Vec<(u64, u32)>,
        /// Whether a block has a salt.
        salted: bool,
    },
    Removed {
        group: u32,
        hash: u32,
    },
    Cleared,
}

/// The numbers of hashes.
#[derive(Debug, Default)]
pub(super) struct HashNumbers {
    known: BTreeMap<u64, u32>,
}

impl HashNumbers {
    /// Events as a recorder would have written them.
    pub(super) fn recorded(&mut self, events: Vec<KvCacheEvent>) -> Vec<RecordedEvent> {
        events.into_iter().map(|event| self.one(event)).collect()
    }

    fn one(&mut self, event: KvCacheEvent) -> RecordedEvent {
        match event {
            KvCacheEvent::BlockStored(stored) => {
                let parent = stored.parent_block_hash.map(|hash| self.number(hash));
                let hashes = stored.block_hashes.into_iter().map(|hash| self.number(hash)).collect();
                let mut tokens: Vec<(u64, u32)> = vec![];
                for run in stored.tokens {
                    match tokens.last_mut().filter(|(start, len)| start + u64::from(*len) == run.start) {
                        Some((_, len)) => *len += run.len,
                        None => tokens.push((run.start, run.len)),
                    }
                }
                let (group, block_size) = (stored.group, stored.block_size);
                RecordedEvent::Stored { group, block_size, parent, hashes, tokens, salted: stored.cache_salt > 0 }
            }
            KvCacheEvent::BlockRemoved { block_hash, group } => {
                RecordedEvent::Removed { group, hash: self.number(block_hash) }
            }
            KvCacheEvent::AllBlocksCleared => RecordedEvent::Cleared,
        }
    }

    fn number(&mut self, hash: u64) -> u32 {
        let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        *self.known.entry(hash).or_insert(next)
    }
}
