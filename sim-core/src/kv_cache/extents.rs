//! Blocks many at once, where nobody asks which ones: for an engine with one group of full attention.
//!
//! Such a request takes its blocks one behind the other, gives them back together, and what others find of them is a
//! prefix. So blocks with successive positions in a chain of keys ([`super::block_keys`]) that came there together mostly
//! have the same users all their life: one *extent*, taken, found, freed and forgotten as a whole, or a part of it that
//! is cut off first. Blocks without a key are alike, and counted: free ones are always first in the queue, as they are in
//! the beginning and as they are put there later.
//!
//! Decisions are those of [`super::block_pool`], to the block: which is reused next, which of several with the same
//! content is found. An engine that looks at every request has that pool, and is the oracle of this one.

use alloc::vec::Vec;

use super::block_keys::{BlockKeys, KeyPath};
use super::extent_lists::{ExtentId, ExtentLists, NO_EXTENT};

/// Blocks that stand behind each other in a chain and in a request, from the first of an extent on; they may have become
/// several extents since.
#[derive(Debug, Clone, Copy)]
struct Piece {
    first: ExtentId,
    len: u32,
}

/// Blocks of an extent that were found: at the positions `from..to` of its chain.
#[derive(Debug, Clone, Copy)]
struct Hit {
    extent: ExtentId,
    from: u32,
    to: u32,
}

/// The blocks that a request holds.
#[derive(Debug, Clone, Default)]
pub(super) struct HeldBlocks {
    /// Those with a key, first to last.
    pieces: Vec<Piece>,
    num_keyed: u32,
    /// Those behind them, without.
    num_blank: u32,
}

impl HeldBlocks {
    pub(super) const fn len(&self) -> u32 {
        self.num_keyed + self.num_blank
    }

    /// So many more, which were taken for it.
    #[inline]
    pub(super) const fn add(&mut self, num_blocks: u32) {
        self.num_blank += num_blocks;
    }
}

/// All blocks of an engine.
#[derive(Debug)]
pub(super) struct Extents {
    lists: ExtentLists,
    /// Free blocks without a key.
    num_blank: u32,
    num_free: u32,
    /// What the last search found.
    hits: Vec<Hit>,
    /// Scratch: the extents of a piece.
    parts: Vec<ExtentId>,
}

impl Extents {
    /// So many blocks, all free.
    pub(super) const fn new(num_blocks: u32) -> Self {
        Self {
            lists: ExtentLists::new(),
            num_blank: num_blocks,
            num_free: num_blocks,
            hits: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Blocks that nobody uses, those that hold cached content included.
    pub(super) const fn num_free_blocks(&self) -> u32 {
        self.num_free
    }

    /// Takes so many fresh blocks for [`HeldBlocks::add`]; returns how many of them held something, which is forgotten.
    /// The caller has made sure that there are as many.
    #[inline]
    pub(super) fn take(&mut self, num_blocks: u32, keys: &mut BlockKeys) -> u32 {
        self.num_free -= num_blocks;
        let num_blank = num_blocks.min(self.num_blank);
        self.num_blank -= num_blank;
        let num_evicted = num_blocks - num_blank;
        let mut left = num_evicted;
        while left > 0 {
            let oldest = self.lists.oldest();
            let extent = self.lists.get_mut(oldest);
            let (chain, num_forgotten) = (extent.chain, extent.len().min(left));
            // A request's last block is freed first.
            extent.to -= num_forgotten;
            if extent.to == extent.from {
                self.lists.dequeue(oldest);
                self.lists.drop_extent(oldest);
            }
            keys.count_evictions(chain, num_forgotten);
            left -= num_forgotten;
        }
        num_evicted
    }

    /// Finds the longest prefix of `path` that is there, of at most `most` blocks; returns how many it has.
    pub(super) fn find(&mut self, path: &KeyPath, most: u32) -> u32 {
        self.hits.clear();
        let mut left = most;
        for slice in &path.slices {
            let most = left.min(slice.len);
            let num_found = self.find_in_chain(slice.chain, most);
            left -= num_found;
            if num_found < most || left == 0 {
                break;
            }
        }
        most - left
    }

    /// The same in one chain, whose extents are in the order of their first positions.
    fn find_in_chain(&mut self, chain: u32, most: u32) -> u32 {
        let (mut found, mut lowest) = (0, self.lists.lowest(chain));
        while found < most && lowest != NO_EXTENT {
            if self.lists.get(lowest).to <= found {
                lowest = self.lists.get(lowest).upper;
                continue;
            }
            // Of all with the next position the one that came first, up to where one begins that came before it.
            let (mut hit, mut number) = (Hit { extent: NO_EXTENT, from: found, to: found }, u64::MAX);
            let mut next = lowest;
            while next != NO_EXTENT {
                let extent = self.lists.get(next);
                if extent.from > found && extent.from >= hit.to {
                    break;
                }
                if extent.number < number && extent.to > found {
                    if extent.from > found {
                        hit.to = extent.from;
                        break;
                    }
                    (hit.extent, hit.to, number) = (next, extent.to.min(most), extent.number);
                }
                next = extent.upper;
            }
            if hit.extent == NO_EXTENT {
                break;
            }
            self.hits.push(hit);
            found = hit.to;
        }
        found
    }

    /// The last search's result ends before its last block.
    pub(super) fn give_up_last(&mut self) {
        if let Some(last) = self.hits.last_mut() {
            last.to -= 1;
            if last.to == last.from {
                self.hits.pop();
            }
        }
    }

    /// Free blocks among those that the last search found.
    pub(super) fn num_free_hits(&self) -> u32 {
        let free = self.hits.iter().filter(|hit| self.lists.get(hit.extent).ref_cnt == 0);
        free.map(|hit| hit.to - hit.from).sum()
    }

    /// Gives what the last search found to `held`, which has nothing.
    pub(super) fn touch(&mut self, held: &mut HeldBlocks) {
        // The last first: what is cut off is the upper part, and what is cut keeps its number.
        for place in (0..self.hits.len()).rev() {
            let Hit { mut extent, from, to } = self.hits[place];
            if to < self.lists.get(extent).to {
                self.lists.cut(extent, to);
            }
            if from > self.lists.get(extent).from {
                extent = self.lists.cut(extent, from);
            }
            self.hits[place].extent = extent;
            if self.lists.get(extent).ref_cnt == 0 {
                self.lists.dequeue(extent);
                self.num_free -= to - from;
            }
            self.lists.get_mut(extent).ref_cnt += 1;
        }
        held.pieces.extend(self.hits.iter().map(|hit| Piece { first: hit.extent, len: hit.to - hit.from }));
        held.num_keyed = self.hits.iter().map(|hit| hit.to - hit.from).sum();
    }

    /// Gives the first `num_full_blocks` of `held` the keys of `path`, as far as they have none.
    pub(super) fn register(
        &mut self,
        held: &mut HeldBlocks,
        num_full_blocks: u32,
        path: &KeyPath,
        keys: &mut BlockKeys,
    ) {
        for slice in &path.slices {
            let end = (slice.from + slice.len).min(num_full_blocks);
            if held.num_keyed < end {
                let (from, to) = (held.num_keyed - slice.from, end - slice.from);
                keys.count_registrations(slice.chain, to - from);
                if !self.lengthen(held, slice.chain, (from, to)) {
                    held.pieces.push(Piece { first: self.lists.add(slice.chain, (from, to)), len: to - from });
                }
                held.num_blank -= to - from;
                held.num_keyed = end;
            }
        }
    }

    /// Lets the last extent of `held` reach to the position `to` of `chain`, if it ends at `from`, has no other user, and
    /// would be found after all others there.
    fn lengthen(&mut self, held: &mut HeldBlocks, chain: u32, (from, to): (u32, u32)) -> bool {
        let Some(piece) = held.pieces.last_mut() else { return false };
        Self::parts_of(&self.lists, *piece, &mut self.parts);
        let Some(last) = self.lists.newest(chain).filter(|newest| self.parts.last() == Some(newest)) else {
            return false;
        };
        let last = self.lists.get_mut(last);
        let is_same = last.to == from && last.ref_cnt == 1;
        if is_same {
            last.to = to;
            piece.len += to - from;
        }
        is_same
    }

    /// Takes all blocks from `held`, the last first. Those with a key come to the tail of the free queue.
    pub(super) fn free(&mut self, held: &mut HeldBlocks) {
        while let Some(piece) = held.pieces.pop() {
            Self::parts_of(&self.lists, piece, &mut self.parts);
            while let Some(part) = self.parts.pop() {
                let extent = self.lists.get_mut(part);
                extent.ref_cnt -= 1;
                if extent.ref_cnt == 0 {
                    self.num_free += extent.len();
                    self.lists.enqueue(part);
                }
            }
        }
        self.num_blank += held.num_blank;
        self.num_free += held.num_blank;
        (held.num_keyed, held.num_blank) = (0, 0);
    }

    /// The extents that `piece` consists of now.
    #[inline]
    fn parts_of(lists: &ExtentLists, piece: Piece, parts: &mut Vec<ExtentId>) {
        parts.clear();
        parts.push(piece.first);
        let (mut last, mut left) = (piece.first, piece.len - lists.get(piece.first).len());
        while left > 0 {
            last = lists.cut_from(last);
            left -= lists.get(last).len();
            parts.push(last);
        }
    }

    /// Checks that counts and lists agree. For tests: costs a walk over all extents.
    ///
    /// # Panics
    /// If they do not.
    pub(super) fn assert_invariants(&self, keys: &BlockKeys) {
        let num_queued_blocks = self.lists.assert_invariants(keys);
        assert!(self.num_free == self.num_blank + num_queued_blocks, "free blocks are blank or in the queue");
    }
}
