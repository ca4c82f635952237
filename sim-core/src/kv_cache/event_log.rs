//! Events of the cache as they happen, where somebody wants them ([`super::events`]). Where nobody does, the pool looks
//! at a pointer when blocks get keys or lose them, and at nothing else.
//!
//! Source: `vllm/v1/core/block_pool.py`: what appends to `kv_event_queue`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use super::block_hashes::{self, BlockHashes};
use super::block_keys::{BlockKey, BlockKeys, KeyPath};
use super::block_pool::BlockPool;
use super::events::{BlockStored, KvCacheEvent};
use super::free_block_queue::BlockId;
use super::manager::KvCacheManager;
use super::run_cursor::RunCursor;
use crate::request::TokenRun;

/// Blocks of which a group's keys are told: `hash_scale` hash blocks each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) group: u32,
    pub(super) block_size: u32,
    pub(super) hash_scale: u32,
}

impl BlockPool {
    /// Tells that the `blocks` of a sequence with the keys `path` can be found, as far as they are kept
    /// (`cache_full_blocks`, which tells even if none is).
    pub(super) fn note_stored(
        &mut self,
        told: Told,
        path: &KeyPath,
        blocks: Range<u32>,
        is_kept: impl Fn(u32) -> bool,
    ) {
        let Some(events) = &mut self.events else { return };
        let Told { group, block_size, hash_scale } = told;
        let hash = |block: u32| self.keys.block_hash(path, (block + 1) * hash_scale - 1);
        let tokens = blocks.start * block_size..blocks.end * block_size;
        let is_first_told = blocks.start == 0 && !blocks.is_empty() && is_kept(0);
        events.push(KvCacheEvent::BlockStored(BlockStored {
            parent_block_hash: blocks.start.checked_sub(1).and_then(hash),
            block_hashes: blocks.filter(|block| is_kept(*block)).filter_map(hash).collect(),
            tokens: self.keys.tokens(path, tokens),
            block_size,
            group,
            cache_salt: if is_first_told { self.keys.cache_salt(path) } else { 0 },
        }));
    }

    /// Tells that `block` will be found no longer under the keys that it has (`_emit_block_removed_events`).
    #[inline(always)]
    pub(super) fn note_removed(&mut self, block: BlockId) {
        if self.events.is_some() {
            self.tell_removed(block);
        }
    }

    #[cold]
    fn tell_removed(&mut self, block: BlockId) {
        let num_groups = self.keys.num_groups();
        let further = self.further_of.get(&block).map(Vec::as_slice).unwrap_or_default();
        let further = further.iter().map(|&id| self.registration(id).key);
        let keys: Vec<BlockKey> = core::iter::once(self.key_of(block)).chain(further).collect();
        for key in keys.into_iter().filter(|key| key.is_some()) {
            if let (Some(events), Some(block_hash)) = (&mut self.events, self.keys.hash_of(key)) {
                events.push(KvCacheEvent::BlockRemoved { block_hash, group: key.slot % num_groups });
            }
        }
    }
}

impl BlockKeys {
    /// Hashes the text of a new chain, where others are told of blocks.
    pub(super) fn learn_hashes(&mut self, index: u32) {
        let Some(hashes) = &self.hashes else { return };
        let departure = &self.chains[index as usize].departure;
        let (parent, position) = (departure.parent, departure.position);
        let before = match position.checked_sub(1) {
            Some(last) => hashes.get(parent, last),
            None => block_hashes::root(departure.cache_salt),
        };
        let lens = (self.num_tokens(parent, 1), self.num_tokens(0, 1));
        if let Some(hashes) = &mut self.hashes {
            hashes.learn(index, before, &self.chains[index as usize].runs, lens);
        }
    }

    /// The hash of what `key` stands for, where hashes are kept.
    fn hash_of(&self, key: BlockKey) -> Option<u64> {
        Some(self.hashes.as_ref()?.get(key.chain, key.slot / self.num_groups()))
    }

    /// That of the hash block `block` of a request.
    fn block_hash(&self, path: &KeyPath, block: u32) -> Option<u64> {
        self.hash_of(self.key(path, block, 0)?)
    }

    /// Some tokens of a request, as far as its keys cover them.
    fn tokens(&self, path: &KeyPath, range: Range<u32>) -> Vec<TokenRun> {
        let (mut next, end) = (u64::from(range.start), u64::from(range.end));
        let (mut tokens, mut part) = (Vec::new(), Vec::new());
        for slice in &path.slices {
            let chain = &self.chains[slice.chain as usize];
            // A look-ahead is part of the first chain, so the others begin so much later.
            let is_first = chain.departure.parent == u32::MAX;
            let start = if is_first { 0 } else { self.num_tokens(u32::MAX, slice.from) };
            let behind = self.num_tokens(u32::MAX, slice.from + slice.len);
            if next < behind.min(end) {
                let mut rest = RunCursor::new(&chain.runs);
                rest.skip(next - start);
                rest.copy_tokens(behind.min(end) - next, &mut part);
                tokens.append(&mut part);
                next = behind.min(end);
            }
        }
        tokens
    }

    /// The salt that is part of a request's first hash; 0 for none.
    fn cache_salt(&self, path: &KeyPath) -> u32 {
        path.slices.first().map_or(0, |slice| self.chains[slice.chain as usize].departure.cache_salt)
    }
}

impl KvCacheManager {
    /// From now on events are kept until [`Self::take_events`]. Nothing may have been cached yet.
    pub(crate) fn enable_events(&mut self) {
        self.pool.keys.hashes = Some(BlockHashes::default());
        self.pool.events = Some(Box::default());
    }

    /// The events since the last call; `None` if they are not kept.
    pub(crate) fn take_events(&mut self) -> Option<Vec<KvCacheEvent>> {
        self.pool.events.as_deref_mut().map(core::mem::take)
    }
}
