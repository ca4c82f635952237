//! Requests that are sent when another has been answered: turns of conversations, steps of agents.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::math;
use crate::request::RequestId;
use crate::time::SimTime;
use crate::workload::After;

/// When the requests of [`Traffic::Answered`](crate::workload::Traffic::Answered) may be sent, as far as that is known.
#[derive(Debug)]
pub(crate) struct FollowUps<'a> {
    not_before: &'a [SimTime],
    after: &'a [Option<After>],
    /// The first request that waits for each, and the next that waits for the same; [`NOBODY`] at the end.
    first: Vec<u32>,
    next: Vec<u32>,
    /// Requests that wait for no answer any more, by the time from which they may be sent; equals in their order.
    ready: BinaryHeap<Reverse<(SimTime, u32)>>,
}

const NOBODY: u32 = u32::MAX;

impl<'a> FollowUps<'a> {
    /// Before anything was sent. Both lists are of the same length, and nobody waits for a later request.
    pub(crate) fn new(not_before: &'a [SimTime], after: &'a [Option<After>]) -> Self {
        let (mut first, mut next) = (vec![NOBODY; after.len()], vec![NOBODY; after.len()]);
        let mut ready = BinaryHeap::new();
        for (index, (&time, after)) in not_before.iter().zip(after).enumerate().rev() {
            let number = math::usize_to_u32(index);
            match after {
                Some(after) => next[index] = core::mem::replace(&mut first[after.request.index()], number),
                None => ready.push(Reverse((time, number))),
            }
        }
        Self { not_before, after, first, next, ready }
    }

    /// The next request that may be sent, and from when on.
    pub(crate) fn peek(&self) -> Option<(SimTime, u32)> {
        self.ready.peek().map(|&Reverse(next)| next)
    }

    /// That request is sent.
    pub(crate) fn pop(&mut self) {
        self.ready.pop();
    }

    /// The last token of `id` has arrived at `time`.
    pub(crate) fn complete(&mut self, id: RequestId, time: SimTime) {
        let mut number = self.first[id.index()];
        while number != NOBODY {
            let index = math::u32_to_usize(number);
            let delay = self.after[index].map_or_else(Default::default, |after| after.delay);
            self.ready.push(Reverse((self.not_before[index].max(time + delay), number)));
            number = self.next[index];
        }
    }
}
