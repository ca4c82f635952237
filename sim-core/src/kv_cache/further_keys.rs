//! Blocks that can be found under several keys, and keys under which several blocks can be: the rare half of
//! [`super::block_pool`].

use alloc::vec::Vec;

use super::block_keys::{BlockKey, RegistrationId};
use super::block_pool::{BlockPool, Further, Registration};
use super::free_block_queue::BlockId;
use crate::math;

impl BlockPool {
    /// Registers `block` under the `key` of a prefix that ends inside it, or at its end (`cache_partial_block`).
    /// Says whether that is new.
    pub(super) fn cache_partial_block(&mut self, block: BlockId, key: BlockKey, replaces_keys: bool) -> bool {
        let was_registered = self.is_registered(block, key);
        let is_shorter = self.num_cached_tokens(block).is_some_and(|held| held < self.keys.num_tokens_to(key));
        let has_key = self.key_of(block).is_some();
        if has_key && (replaces_keys || (is_shorter && !was_registered)) {
            self.note_removed(block);
            self.forget_keys(block);
        }
        if !self.is_registered(block, key) {
            self.register(block, key);
        }
        replaces_keys || !was_registered
    }

    /// Lets `to`, which has no key, be found instead of `from` (`move_block_hashes`).
    pub(super) fn move_keys(&mut self, from: BlockId, to: BlockId) {
        let first = self.key_of(from);
        if !first.is_some() {
            return;
        }
        let further = self.further_of.get(&from).map(Vec::as_slice).unwrap_or_default();
        let further: Vec<_> = further.iter().map(|&id| self.registration(id).key).collect();
        // Before the old ones go: a key lives while something is registered under it.
        self.register(to, first);
        for key in further {
            self.register(to, key);
        }
        self.forget_keys(from);
    }

    fn is_registered(&self, block: BlockId, key: BlockKey) -> bool {
        self.key_of(block) == key
            || self.further_of.get(&block).is_some_and(|ids| ids.iter().any(|&id| self.registration(id).key == key))
    }

    /// A registration of `block` under `key`, the newest there.
    fn register(&mut self, block: BlockId, key: BlockKey) {
        if !self.key_of(block).is_some() {
            self.register_first(block, key);
            return;
        }
        let id = self.new_further(block);
        self.registration_mut(id).key = key;
        if self.keys.register_alone(key, id) {
            self.link(id, id);
        } else {
            self.link_newest(id, key);
        }
    }

    /// Puts `id` behind the registrations that are under `key` already.
    pub(super) fn link_newest(&mut self, id: RegistrationId, key: BlockKey) {
        let oldest = self.keys.registered(key);
        let newest = self.registration(oldest).previous;
        self.link(newest, id);
        self.link(id, oldest);
    }

    fn new_further(&mut self, block: BlockId) -> RegistrationId {
        let further = Further { block, registration: Registration::NONE };
        let id = match self.unused_further.pop() {
            Some(id) => {
                self.further[id as usize - self.blocks.len()] = further;
                id
            }
            None => {
                self.further.push(further);
                math::usize_to_u32(self.blocks.len() + self.further.len() - 1)
            }
        };
        self.further_of.entry(block).or_default().push(id);
        id
    }

    pub(super) fn registration(&self, id: RegistrationId) -> &Registration {
        match self.blocks.get(id as usize) {
            Some(block) => &block.registration,
            None => &self.further[id as usize - self.blocks.len()].registration,
        }
    }

    fn registration_mut(&mut self, id: RegistrationId) -> &mut Registration {
        let num_blocks = self.blocks.len();
        match self.blocks.get_mut(id as usize) {
            Some(block) => &mut block.registration,
            None => &mut self.further[id as usize - num_blocks].registration,
        }
    }

    fn link(&mut self, previous: RegistrationId, next: RegistrationId) {
        self.registration_mut(previous).next = next;
        self.registration_mut(next).previous = previous;
    }

    pub(super) fn forget_further_keys(&mut self, block: BlockId) {
        for id in self.further_of.remove(&block).unwrap_or_default() {
            let Registration { key, previous, next } = *self.registration(id);
            self.unlink(id, key, previous, next);
            self.unused_further.push(id);
        }
    }

    /// Takes the registration `id` out of those under `key`.
    pub(super) fn unlink(&mut self, id: RegistrationId, key: BlockKey, previous: RegistrationId, next: RegistrationId) {
        if next == id {
            self.keys.forget_alone(key);
            return;
        }
        if self.keys.registered(key) == id {
            self.keys.set_registered(key, next);
        }
        self.link(previous, next);
        self.keys.count_evictions(key.chain, 1);
    }
}
