//! Blocks of steady requests that need nothing else, counted.
//!
//! Who needs its next block in which pass depends on the pass's number alone: one every so many passes as a block has
//! tokens. So requests are counted by the remainder of that number, a pass takes as many blocks as it finds there, and a
//! request learns how many of them are its own when somebody looks ([`Scheduler::settle_growth`]).

use alloc::vec;
use alloc::vec::Vec;

use super::live_request::LiveRequest;
use super::scheduler::Scheduler;
use crate::math;

/// How many requests need a block when.
#[derive(Debug)]
pub(super) struct Growth {
    /// By number of the pass, modulo the tokens of a block.
    num_due: Vec<u32>,
    /// The last pass that took any.
    served: u64,
}

impl Growth {
    /// Nobody; `block_size` tokens have a block.
    pub(super) fn new(block_size: u32) -> Self {
        Self { num_due: vec![0; math::u32_to_usize(block_size.max(1))], served: 0 }
    }

    fn place(&self, pass: u64) -> usize {
        math::u32_to_usize(math::low_u32(pass % math::usize_to_u64(self.num_due.len())))
    }

    /// Blocks that are needed in `pass`.
    #[inline]
    pub(super) fn num_due(&self, pass: u64) -> u32 {
        self.num_due[self.place(pass)]
    }

    /// Blocks that are needed in the passes from `pass` on, one after the other: until [`Self::put_back`] nobody else is
    /// told.
    pub(super) fn lend(&mut self, pass: u64) -> DueBlocks {
        let next = self.place(pass);
        DueBlocks { num_due: core::mem::take(&mut self.num_due), next }
    }

    /// Takes back what was lent.
    pub(super) fn put_back(&mut self, due: DueBlocks) {
        self.num_due = due.num_due;
    }
}

/// How many blocks are needed in one pass after the other.
#[derive(Debug, Default)]
pub(super) struct DueBlocks {
    num_due: Vec<u32>,
    next: usize,
}

impl DueBlocks {
    /// Those of the next pass.
    #[inline]
    pub(super) fn peek(&self) -> u32 {
        self.num_due.get(self.next).copied().unwrap_or(0)
    }

    /// Goes on to the pass behind it.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.next += 1;
        if self.next >= self.num_due.len() {
            self.next = 0;
        }
    }

    /// Those of the pass before the next one.
    pub(super) fn last(&self) -> u32 {
        let last = self.next.checked_sub(1).unwrap_or(self.num_due.len().saturating_sub(1));
        self.num_due.get(last).copied().unwrap_or(0)
    }
}

impl LiveRequest {
    /// Whether it takes part.
    const fn is_growing(&self) -> bool {
        self.next_growth < u64::MAX
    }
}

impl Scheduler<'_> {
    /// From `pass` on a request needs nothing but a block every so many passes.
    pub(super) fn begin_growth(&mut self, slot: u32, pass: u64) {
        self.live.get_mut(slot).next_growth = pass;
        let place = self.steady.growth.place(pass);
        self.steady.growth.num_due[place] += 1;
    }

    /// Gives a request the blocks that were taken for it.
    pub(super) fn settle_growth(&mut self, slot: u32) {
        let request = self.live.get_mut(slot);
        let served = self.steady.growth.served;
        if request.is_growing() && request.next_growth <= served {
            let block_size = math::usize_to_u64(self.steady.growth.num_due.len());
            let num_blocks = (served - request.next_growth) / block_size + 1;
            request.next_growth += num_blocks * block_size;
            self.kv_cache.hand_out(&mut request.blocks, math::u64_to_u32(num_blocks));
        }
    }

    /// A request is asked what it needs from now on.
    pub(super) fn end_growth(&mut self, slot: u32) {
        self.settle_growth(slot);
        let request = self.live.get_mut(slot);
        if request.is_growing() {
            let place = self.steady.growth.place(request.next_growth);
            self.steady.growth.num_due[place] -= 1;
            request.next_growth = u64::MAX;
        }
    }

    /// Takes the blocks of this pass; false, and nothing is changed, if that does not leave the blocks that others need:
    /// then it matters who comes first.
    pub(super) fn let_grow(&mut self, num_blocks_of_others: impl FnOnce(&Self) -> u32) -> bool {
        let num_due = self.steady.growth.num_due(self.pass_number);
        if num_due == 0 {
            return true;
        }
        let is_enough = num_due.saturating_add(num_blocks_of_others(self)) <= self.kv_cache.num_free_blocks();
        if is_enough {
            self.grow(self.pass_number, num_due);
        }
        is_enough
    }

    /// Takes the blocks that are due in `pass`; there are as many.
    #[inline]
    pub(super) fn grow(&mut self, pass: u64, num_due: u32) {
        self.kv_cache.take_blocks(num_due);
        self.steady.growth.served = pass;
    }
}
