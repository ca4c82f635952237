//! Free blocks in the order in which they will be reused.

use alloc::vec;
use alloc::vec::Vec;

use crate::math;

/// Number of a KV block. Block 0 is the null block and is never handed out.
pub type BlockId = u32;

/// Stands for "no block". The null block can play this part: it is never in use.
pub const NULL_BLOCK: BlockId = 0;

/// Free blocks in order; removal from the middle costs the same as from the ends.
///
/// Source: `vllm/v1/core/kv_cache_utils.py::FreeKVCacheBlockQueue`, a doubly linked list. Here it is a row of entries, as
/// blocks mostly come and go many at a time. An entry of a block that was removed stays, and is passed over when its turn
/// comes: a block's oldest entries are those that it has left behind.
#[derive(Debug, Clone)]
pub struct FreeBlockQueue {
    /// Blocks that were put first, the last of them in front.
    first: Vec<BlockId>,
    /// The others, from `head` on.
    entries: Vec<BlockId>,
    head: usize,
    /// Per block, its entries from `head` on that it has left behind; and their sum.
    num_left_behind: Vec<u32>,
    sum_left_behind: u64,
    num_free_blocks: u32,
}

impl FreeBlockQueue {
    /// All blocks but the null block, in the order of their numbers. `num_blocks` counts the null block.
    ///
    /// # Panics
    /// If `num_blocks` is 0.
    #[must_use]
    pub fn new(num_blocks: u32) -> Self {
        assert!(num_blocks > 0, "the pool has at least the null block");
        Self {
            first: Vec::new(),
            entries: (1..num_blocks).collect(),
            head: 0,
            num_left_behind: vec![0; math::u32_to_usize(num_blocks)],
            sum_left_behind: 0,
            num_free_blocks: num_blocks - 1,
        }
    }

    /// Number of free blocks.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.num_free_blocks
    }

    /// Whether no block is free.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.num_free_blocks == 0
    }

    /// Takes the first block.
    ///
    /// # Panics
    /// If there is none: callers ask [`Self::len`] first.
    #[inline]
    pub fn popleft(&mut self) -> BlockId {
        assert!(self.num_free_blocks > 0, "popleft needs a free block");
        self.num_free_blocks -= 1;
        if let Some(block) = self.first.pop() {
            return block;
        }
        loop {
            let block = self.entries[self.head];
            self.head += 1;
            if !self.is_left_behind(block) {
                return block;
            }
        }
    }

    /// Takes the first `num_blocks` blocks and appends them to `taken`.
    ///
    /// # Panics
    /// If there are fewer: callers ask [`Self::len`] first.
    #[inline]
    pub fn popleft_n(&mut self, num_blocks: u32, taken: &mut Vec<BlockId>) {
        assert!(num_blocks <= self.num_free_blocks, "popleft_n needs as many free blocks");
        self.num_free_blocks -= num_blocks;
        let mut left = math::u32_to_usize(num_blocks);
        while left > 0
            && let Some(block) = self.first.pop()
        {
            taken.push(block);
            left -= 1;
        }
        if left == 0 {
            return;
        }
        if self.sum_left_behind == 0 {
            taken.extend_from_slice(&self.entries[self.head..self.head + left]);
            self.head += left;
            return;
        }
        let (mut num_passed, mut num_left_behind) = (0, 0);
        for &block in &self.entries[self.head..] {
            num_passed += 1;
            let times = &mut self.num_left_behind[block as usize];
            if *times > 0 {
                *times -= 1;
                num_left_behind += 1;
                continue;
            }
            taken.push(block);
            left -= 1;
            if left == 0 {
                break;
            }
        }
        self.head += num_passed;
        self.sum_left_behind -= num_left_behind;
    }

    /// Whether the oldest entry of `block` is one that it has left behind; it is passed now.
    #[inline]
    fn is_left_behind(&mut self, block: BlockId) -> bool {
        if self.sum_left_behind == 0 {
            return false;
        }
        let num_left_behind = &mut self.num_left_behind[block as usize];
        let is_left_behind = *num_left_behind > 0;
        *num_left_behind -= u32::from(is_left_behind);
        self.sum_left_behind -= u64::from(is_left_behind);
        is_left_behind
    }

    /// Takes `block`, which was put last and is free since, out of its place.
    pub fn remove(&mut self, block: BlockId) {
        self.num_left_behind[block as usize] += 1;
        self.sum_left_behind += 1;
        self.num_free_blocks -= 1;
    }

    /// Puts `block` first. It is taken from there and never removed.
    pub fn prepend(&mut self, block: BlockId) {
        self.first.push(block);
        self.num_free_blocks += 1;
    }

    /// Puts `block` last.
    pub fn append(&mut self, block: BlockId) {
        self.append_all(core::iter::once(block));
    }

    /// Puts `blocks` last, in order.
    #[inline]
    pub fn append_all(&mut self, blocks: impl Iterator<Item = BlockId>) {
        // Each block has one entry that counts: the others are passed or left behind.
        if self.entries.len() > 2 * self.num_left_behind.len() {
            self.tidy();
        }
        let before = self.entries.len();
        self.entries.extend(blocks);
        self.num_free_blocks += math::usize_to_u32(self.entries.len() - before);
    }

    /// Drops the entries that are passed or left behind.
    #[cold]
    fn tidy(&mut self) {
        let mut entries = core::mem::take(&mut self.entries);
        entries.drain(..core::mem::take(&mut self.head));
        if self.sum_left_behind > 0 {
            entries.retain(|&block| !self.is_left_behind(block));
        }
        self.entries = entries;
    }

    /// All free blocks, first to be reused first. For tests and invariants: costs a walk.
    ///
    /// # Panics
    /// If the row and its count disagree.
    #[must_use]
    pub fn to_vec(&self) -> Vec<BlockId> {
        let mut copy = self.clone();
        copy.tidy();
        let blocks: Vec<BlockId> = copy.first.iter().rev().chain(&copy.entries).copied().collect();
        assert!(math::usize_to_u32(blocks.len()) == self.num_free_blocks, "the count agrees with the row");
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut FreeBlockQueue), expect: &[BlockId]) {
        let mut queue = FreeBlockQueue::new(6);
        change(&mut queue);
        assert_eq!(queue.to_vec(), expect);
    }

    #[test]
    fn starts_with_every_block_but_the_null_block() {
        check(|_| {}, &[1, 2, 3, 4, 5]);
    }

    #[test]
    fn popleft_n_takes_the_first_in_order() {
        let mut taken = vec![9];
        check(|queue| queue.popleft_n(3, &mut taken), &[4, 5]);
        assert_eq!(taken, [9, 1, 2, 3]);
        check(|queue| queue.popleft_n(0, &mut taken), &[1, 2, 3, 4, 5]);
        check(|queue| queue.popleft_n(5, &mut taken), &[]);
    }

    #[test]
    fn blocks_come_back_at_either_end() {
        check(
            |queue| {
                queue.popleft_n(2, &mut Vec::new());
                queue.append(1);
                queue.prepend(2);
            },
            &[2, 3, 4, 5, 1],
        );
    }

    #[test]
    fn a_block_leaves_from_the_middle_and_from_the_ends() {
        check(|queue| [1, 3, 5].into_iter().for_each(|block| queue.remove(block)), &[2, 4]);
    }

    #[test]
    fn a_block_that_comes_back_has_its_new_place_alone() {
        check(
            |queue| {
                for block in [2, 4, 2, 1, 2] {
                    queue.remove(block);
                    queue.append(block);
                }
                queue.remove(3);
            },
            &[5, 4, 1, 2],
        );
        let mut taken = vec![];
        check(
            |queue| {
                // Many times as many as there are blocks: what was left behind is dropped on the way.
                for turn in 0..100 {
                    queue.remove(1 + turn % 3);
                    queue.append(1 + turn % 3);
                }
                queue.popleft_n(3, &mut taken);
            },
            &[3, 1],
        );
        assert_eq!(taken, [4, 5, 2]);
    }

    #[test]
    fn a_queue_emptied_and_refilled_keeps_its_order() {
        check(
            |queue| {
                queue.popleft_n(5, &mut Vec::new());
                assert!(queue.is_empty());
                queue.append_all([3, 1].into_iter());
                queue.append_all(core::iter::empty());
                queue.append_all([2].into_iter());
            },
            &[3, 1, 2],
        );
    }
}
