//! Free blocks in the order in which they will be reused.

use alloc::vec;
use alloc::vec::Vec;

use crate::math;

/// Number of a KV block. Block 0 is the null block and is never handed out.
pub type BlockId = u32;

/// Stands for "no block". The null block can play this part: it is never in use.
pub const NULL_BLOCK: BlockId = 0;

/// A doubly linked list over the blocks `1..num_blocks`; removal from the middle costs the same as from the ends.
///
/// Source: `vllm/v1/core/kv_cache_utils.py::FreeKVCacheBlockQueue`. The list is a ring through the null block.
#[derive(Debug, Clone)]
pub struct FreeBlockQueue {
    links: Vec<Link>,
    num_free_blocks: u32,
}

/// Neighbours in the ring. The links of a block that is not free mean nothing.
#[derive(Debug, Clone, Copy)]
struct Link {
    previous: BlockId,
    next: BlockId,
}

impl FreeBlockQueue {
    /// All blocks but the null block, in the order of their numbers. `num_blocks` counts the null block.
    ///
    /// # Panics
    /// If `num_blocks` is 0.
    #[must_use]
    pub fn new(num_blocks: u32) -> Self {
        assert!(num_blocks > 0, "the pool has at least the null block");
        let last = num_blocks - 1;
        let links = (0..num_blocks)
            .map(|block| Link {
                previous: if block == 0 { last } else { block - 1 },
                next: if block == last { 0 } else { block + 1 },
            })
            .collect();
        Self { links, num_free_blocks: last }
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

    /// Takes the first `num_blocks` blocks and appends them to `taken`.
    ///
    /// # Panics
    /// If there are fewer: callers ask [`Self::len`] first.
    pub fn popleft_n(&mut self, num_blocks: u32, taken: &mut Vec<BlockId>) {
        assert!(num_blocks <= self.num_free_blocks, "popleft_n needs as many free blocks");
        let links = self.links.as_slice();
        let mut next = links[0].next;
        taken.extend((0..num_blocks).map(|_| {
            let block = next;
            next = links[block as usize].next;
            block
        }));
        self.links[0].next = next;
        self.links[next as usize].previous = 0;
        self.num_free_blocks -= num_blocks;
    }

    /// Takes `block`, which must be free, out of its place.
    pub fn remove(&mut self, block: BlockId) {
        let Link { previous, next } = self.links[block as usize];
        self.links[previous as usize].next = next;
        self.links[next as usize].previous = previous;
        self.num_free_blocks -= 1;
    }

    /// Puts `block` first.
    pub fn prepend(&mut self, block: BlockId) {
        self.insert_after(0, block);
    }

    /// Puts `block` last.
    pub fn append(&mut self, block: BlockId) {
        let last = self.links[0].previous;
        self.insert_after(last, block);
    }

    /// Puts `blocks` last, in order.
    pub fn append_all(&mut self, blocks: impl Iterator<Item = BlockId>) {
        let links = self.links.as_mut_slice();
        let (mut last, mut count) = (links[0].previous, 0);
        for block in blocks {
            links[last as usize].next = block;
            links[block as usize].previous = last;
            last = block;
            count += 1;
        }
        links[last as usize].next = NULL_BLOCK;
        links[0].previous = last;
        self.num_free_blocks += count;
    }

    /// Puts `block` behind `previous`, which is free or the null block (then `block` becomes the first).
    pub fn insert_after(&mut self, previous: BlockId, block: BlockId) {
        let next = self.links[previous as usize].next;
        self.links[block as usize] = Link { previous, next };
        self.links[previous as usize].next = block;
        self.links[next as usize].previous = block;
        self.num_free_blocks += 1;
    }

    /// All free blocks, first to be reused first. For tests and invariants: costs a walk.
    ///
    /// # Panics
    /// If the list and its count disagree.
    #[must_use]
    pub fn to_vec(&self) -> Vec<BlockId> {
        let mut blocks = vec![];
        let mut block = self.links[0].next;
        while block != NULL_BLOCK {
            blocks.push(block);
            block = self.links[block as usize].next;
        }
        assert!(math::usize_to_u32(blocks.len()) == self.num_free_blocks, "the count agrees with the list");
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
