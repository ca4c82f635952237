//! What is registered under which key, and how much in each chain.

use super::block_keys::{BlockKey, BlockKeys, NO_REGISTRATION, RegistrationId};

impl BlockKeys {
    /// The registration under `key`: of several the first.
    pub(crate) fn registered(&self, key: BlockKey) -> RegistrationId {
        self.chains[key.chain as usize].registered[key.slot as usize]
    }

    /// Per position and group of `chain`, the registration or [`NO_REGISTRATION`].
    pub(super) fn registered_in(&self, chain: u32) -> &[RegistrationId] {
        &self.chains[chain as usize].registered
    }

    /// Makes `registration` the one to be found under `key`.
    pub(super) fn set_registered(&mut self, key: BlockKey, registration: RegistrationId) {
        self.chains[key.chain as usize].registered[key.slot as usize] = registration;
    }

    /// What is registered at the positions of `key`'s chain from `key` on, a group after another, and the count of all
    /// registrations in the chain.
    pub(super) fn slots(&mut self, key: BlockKey) -> (&mut [RegistrationId], &mut u32) {
        let chain = &mut self.chains[key.chain as usize];
        (&mut chain.registered[key.slot as usize..], &mut chain.num_registered)
    }

    /// Counts `registration` under `key`, and makes it the one to be found if there is no other; says whether it did.
    #[inline]
    pub(crate) fn register_alone(&mut self, key: BlockKey, registration: RegistrationId) -> bool {
        let chain = &mut self.chains[key.chain as usize];
        chain.num_registered += 1;
        let first = &mut chain.registered[key.slot as usize];
        let is_alone = *first == NO_REGISTRATION;
        if is_alone {
            *first = registration;
        }
        is_alone
    }

    /// Forgets the only registration under `key`.
    #[inline]
    pub(crate) fn forget_alone(&mut self, key: BlockKey) {
        let chain = &mut self.chains[key.chain as usize];
        chain.registered[key.slot as usize] = NO_REGISTRATION;
        chain.num_registered -= 1;
        if chain.num_registered == 0 {
            self.drop_unused(key.chain);
        }
    }

    /// So many blocks less are registered in `chain`.
    #[inline]
    pub(super) fn count_evictions(&mut self, chain: u32, num_blocks: u32) {
        let known = &mut self.chains[chain as usize];
        known.num_registered -= num_blocks;
        if known.num_registered == 0 {
            self.drop_unused(chain);
        }
    }

    /// So many blocks more are registered in `chain`.
    #[inline]
    pub(super) fn count_registrations(&mut self, chain: u32, num_blocks: u32) {
        self.chains[chain as usize].num_registered += num_blocks;
    }

    /// Blocks registered in `chain`.
    pub(super) fn num_registered(&self, chain: u32) -> u32 {
        self.chains[chain as usize].num_registered
    }
}
