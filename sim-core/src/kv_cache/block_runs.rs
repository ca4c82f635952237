//! Blocks many at a time: those of a table that are alike in what matters, in one short loop.

use super::block_keys::{BlockKey, NO_REGISTRATION, RegistrationId};
use super::block_pool::{Block, BlockPool, Registration};
use super::free_block_queue::{BlockId, NULL_BLOCK};
use crate::math;

impl BlockPool {
    /// Forgets what the first of `blocks` hold and gives each a user, as far as they were found in one chain and nowhere
    /// else, as a request leaves them; returns how many. None where others are told of each.
    pub(super) fn evict_run(&mut self, blocks: &[BlockId]) -> usize {
        let first = self.key_of(blocks[0]);
        if !first.is_some() || !self.further_of.is_empty() || self.events.is_some() {
            return 0;
        }
        let (slots, num_registered) = self.keys.slots(BlockKey { slot: 0, ..first });
        let states = self.blocks.as_mut_slice();
        let mut num_forgotten = 0;
        for &block in blocks {
            let state = &mut states[block as usize];
            let Registration { key, next, .. } = state.registration;
            if key.chain != first.chain || next != block {
                break;
            }
            slots[key.slot as usize] = NO_REGISTRATION;
            state.registration.key = BlockKey::NONE;
            state.ref_cnt = 1;
            num_forgotten += 1;
        }
        *num_registered -= math::usize_to_u32(num_forgotten);
        self.num_evictions += math::usize_to_u64(num_forgotten);
        if *num_registered == 0 {
            self.keys.drop_unused(first.chain);
        }
        num_forgotten
    }

    /// Frees the last of `blocks`, the last first, as far as they have one user and a key; returns how many.
    pub(super) fn free_run(&mut self, blocks: &[BlockId]) -> usize {
        let states = self.blocks.as_mut_slice();
        let is_freed = |&&block: &&BlockId| {
            let state = &mut states[block as usize];
            let is_freed = state.ref_cnt == 1 && state.registration.key.is_some();
            state.ref_cnt -= u32::from(is_freed);
            is_freed
        };
        let num_freed = blocks.iter().rev().take_while(is_freed).count();
        self.free.append_all(blocks[blocks.len() - num_freed..].iter().rev().copied());
        num_freed
    }

    /// Registers the first of `blocks`, as far as they have no key and nothing else has theirs; returns how many.
    pub(super) fn register_run(&mut self, blocks: &[BlockId], first: BlockKey, stride: u32) -> usize {
        let (slots, num_registered) = self.keys.slots(first);
        let states = self.blocks.as_mut_slice();
        let count = if stride == 1 {
            register_each(states, blocks.iter().zip(slots), first, 1)
        } else {
            register_each(states, blocks.iter().zip(slots.iter_mut().step_by(stride as usize)), first, stride)
        };
        *num_registered += count;
        count as usize
    }
}

/// Registers blocks in places under the keys from `key` on, until one has a key or a place is taken; returns how many.
#[inline]
fn register_each<'a>(
    states: &mut [Block],
    blocks: impl Iterator<Item = (&'a BlockId, &'a mut RegistrationId)>,
    mut key: BlockKey,
    stride: u32,
) -> u32 {
    let mut count = 0;
    for (&block, place) in blocks {
        let registration = &mut states[block as usize].registration;
        if *place != NO_REGISTRATION || registration.key.is_some() || block == NULL_BLOCK {
            break;
        }
        *place = block;
        *registration = Registration { key, previous: block, next: block };
        key.slot += stride;
        count += 1;
    }
    count
}
