//! Records in little memory, each found in constant time.
//!
//! A million requests make millions of passes, and what is recorded of neighbours is nearly the same: counts that hardly
//! vary, times a few milliseconds apart. While rows are few they lie as they are, one behind the other; where they are many
//! they lie in blocks, and one that is settled is packed (`packed_block.rs`).

use alloc::vec::Vec;
use core::{iter, mem};

use super::packed_block::{Block, ROWS, Slot};

pub use super::packed_block::Row;

/// So many rows are kept as they are: some 40 MB at the most, and the quickest to write and to read.
const FEW_ROWS: usize = 1 << 19;

/// Rows that follow each other.
#[derive(Debug)]
pub(super) enum Piece<'a, R, const N: usize> {
    Rows(&'a [R]),
    Block(&'a Block<N>),
}

/// Rows in order, packed where they are settled.
///
/// It gives rows by value. One that is changed afterwards ([`Self::row_mut`]) is unpacked with its neighbours first.
#[derive(Clone)]
pub struct Packed<R, const N: usize> {
    /// All of them, while they are few; none while all are the default.
    few: Vec<R>,
    /// Of each [`ROWS`] of those, how many will not change any more.
    num_settled: Vec<u8>,
    /// All of them, where they lie in blocks.
    slots: Vec<Slot<R, N>>,
    len: usize,
    is_in_blocks: bool,
    has_packed: bool,
}

impl<R, const N: usize> Default for Packed<R, N> {
    fn default() -> Self {
        let (few, num_settled, slots) = (Vec::new(), Vec::new(), Vec::new());
        Self { few, num_settled, slots, len: 0, is_in_blocks: false, has_packed: false }
    }
}

impl<R: Row<N>, const N: usize> Packed<R, N> {
    /// So many default rows.
    #[must_use]
    pub fn with_len(len: usize) -> Self {
        if len > FEW_ROWS {
            return Self { has_packed: true, ..Self::in_blocks(len) };
        }
        Self { len, ..Self::default() }
    }

    /// So many default rows that lie in blocks, so that some of few can be forgotten, too.
    pub(super) fn in_blocks(len: usize) -> Self {
        let slots = (0..len.div_ceil(ROWS)).map(|_| Slot::Untouched).collect();
        Self { slots, len, is_in_blocks: true, ..Self::default() }
    }

    /// Number of rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The row of this index; `None` behind the last, and if it was forgotten.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<R> {
        if index >= self.len {
            return None;
        }
        if !self.is_in_blocks {
            return Some(self.few.get(index).copied().unwrap_or_default());
        }
        match self.slots.get(index / ROWS)? {
            Slot::Untouched => Some(R::default()),
            Slot::Open { rows, .. } => rows.get(index % ROWS).copied(),
            Slot::Packed(block) => Some(block.row(index % ROWS)),
            Slot::Forgotten => None,
        }
    }

    /// What is read of a row by itself or from its block: cheaper than the whole row.
    #[inline]
    pub(super) fn part<T>(
        &self,
        index: usize,
        of_row: impl FnOnce(&R) -> T,
        of_block: impl FnOnce(&Block<N>, usize) -> T,
    ) -> Option<T> {
        if !self.is_in_blocks {
            return self.few.get(index).copied().or_else(|| self.get(index)).as_ref().map(of_row);
        }
        match self.slots.get(index / ROWS)? {
            Slot::Open { rows, .. } => rows.get(index % ROWS).map(of_row),
            Slot::Packed(block) => (index < self.len).then(|| of_block(block, index % ROWS)),
            Slot::Untouched => self.get(index).as_ref().map(of_row),
            Slot::Forgotten => None,
        }
    }

    /// The rows of the block that begins with row `from`, in order: as they are, or unpacked into `rows`, which else are
    /// none. Nothing of what is forgotten. Few are one block.
    pub(super) fn read_block(&self, from: usize, rows: &mut Vec<R>) -> &[R] {
        rows.clear();
        if !self.is_in_blocks {
            rows.resize(self.len.saturating_sub(from.max(self.few.len())), R::default());
            return self.few.get(from..).unwrap_or_default();
        }
        match self.slots.get(from / ROWS) {
            Some(Slot::Open { rows: open, .. }) => return open,
            Some(Slot::Packed(block)) => block.unpack(rows),
            Some(Slot::Untouched) => rows.resize(ROWS, R::default()),
            Some(Slot::Forgotten) | None => {}
        }
        &[]
    }

    /// Whether there were ever so many rows that they were packed.
    pub(super) const fn is_packed(&self) -> bool {
        self.has_packed
    }

    /// What is kept, in order; nothing of blocks that were never touched.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece<'_, R, N>> {
        let of_blocks = self.slots.iter().filter_map(|slot| match slot {
            Slot::Open { rows, .. } => Some(Piece::Rows(rows)),
            Slot::Packed(block) => Some(Piece::Block(block)),
            Slot::Untouched | Slot::Forgotten => None,
        });
        iter::once(Piece::Rows(&self.few)).chain(of_blocks)
    }

    /// The first row.
    #[must_use]
    pub fn first(&self) -> Option<R> {
        self.get(0)
    }

    /// The last row.
    #[must_use]
    pub fn last(&self) -> Option<R> {
        self.get(self.len.checked_sub(1)?)
    }

    /// How many rows, from the first, `holds` for, where it holds for none behind one for which it does not.
    pub fn partition_point(&self, holds: impl Fn(&R) -> bool) -> usize {
        let (mut from, mut to) = (0, self.len);
        while from < to {
            let middle = from + (to - from) / 2;
            if self.get(middle).is_some_and(|row| holds(&row)) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }

    /// Appends a row.
    #[inline]
    pub fn push(&mut self, row: R) {
        if !self.is_in_blocks && self.len < FEW_ROWS {
            if self.few.len() < self.len {
                self.touch();
            }
            if self.len.is_multiple_of(ROWS) {
                self.num_settled.push(0);
            }
            self.few.push(row);
        } else {
            self.push_to_block(row);
        }
        self.len += 1;
    }

    /// Few rows that are the default are there, to be changed.
    #[cold]
    fn touch(&mut self) {
        self.few.resize(self.len, R::default());
        self.num_settled.resize(self.len.div_ceil(ROWS), 0);
    }

    #[inline(never)]
    fn push_to_block(&mut self, row: R) {
        self.spread();
        match self.slots.last_mut() {
            Some(Slot::Open { rows, .. }) if rows.len() < ROWS => rows.push(row),
            _ => self.push_to_another(row),
        }
    }

    /// From now on they lie in blocks, packed where they are settled: they are many, or are to be packed.
    fn spread(&mut self) {
        if self.is_in_blocks {
            return;
        }
        self.touch();
        (self.is_in_blocks, self.has_packed) = (true, true);
        let few = mem::take(&mut self.few);
        for (rows, num_settled) in few.chunks(ROWS).zip(mem::take(&mut self.num_settled)) {
            self.slots.push(Slot::of(rows, num_settled.into()));
        }
    }

    /// Appends a row that does not change any more.
    #[inline]
    pub(super) fn push_settled(&mut self, row: R) {
        self.push(row);
        self.settle(self.len - 1);
    }

    /// Appends a row where there is no slot for it yet, or not as it has to be.
    #[cold]
    fn push_to_another(&mut self, row: R) {
        if self.len.is_multiple_of(ROWS) {
            self.slots.push(Slot::Open { rows: Vec::with_capacity(ROWS), num_settled: 0 });
        }
        if let Some(rows) = self.open(self.len / ROWS * ROWS) {
            rows.push(row);
        }
    }

    /// The row of this index, to be changed.
    #[inline]
    pub fn row_mut(&mut self, index: usize) -> Option<&mut R> {
        if !self.is_in_blocks {
            if self.few.len() < self.len {
                self.touch();
            }
            return self.few.get_mut(index);
        }
        self.open(index)?.get_mut(index % ROWS)
    }

    /// The rows of the slot that `index` lies in, as they are.
    #[inline]
    fn open(&mut self, index: usize) -> Option<&mut Vec<R>> {
        let slot = self.slots.get_mut(index / ROWS)?;
        if !matches!(slot, Slot::Open { .. }) {
            slot.reopen((self.len - index / ROWS * ROWS).min(ROWS));
        }
        match slot {
            Slot::Open { rows, .. } => Some(rows),
            _ => None,
        }
    }

    /// The row of this index does not change any more, which is said once: if there are many, its block is packed when that
    /// holds for all.
    #[inline]
    pub fn settle(&mut self, index: usize) {
        if !self.is_in_blocks {
            if let Some(num_settled) = self.num_settled.get_mut(index / ROWS) {
                *num_settled = num_settled.saturating_add(1);
            }
            return;
        }
        let Some(Slot::Open { num_settled, .. }) = self.slots.get_mut(index / ROWS) else { return };
        *num_settled += 1;
        if *num_settled == ROWS && self.len > FEW_ROWS {
            self.pack_settled(index);
        }
    }

    /// Packs the block of `index`; the first time, all that are settled.
    #[cold]
    fn pack_settled(&mut self, index: usize) {
        let from = if self.has_packed { index / ROWS } else { 0 };
        self.has_packed = true;
        for slot in self.slots.get_mut(from..=index / ROWS).unwrap_or_default() {
            slot.pack_if(|num_settled| num_settled == ROWS);
        }
    }

    /// Packs every whole block, whether they are many or may change.
    pub fn pack(&mut self) {
        self.spread();
        self.has_packed = true;
        self.slots.iter_mut().for_each(|slot| slot.pack_if(|_| true));
    }

    /// As [`Self::settle`], where nobody asks for a block that does not change any more. Of rows that lie in blocks.
    pub(super) fn settle_and_forget(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index / ROWS) else { return };
        let Slot::Open { num_settled, .. } = slot else { return };
        *num_settled += 1;
        if *num_settled == ROWS {
            *slot = Slot::Forgotten;
        }
    }

    /// Nobody asks for settled blocks that end before `index` any more, from that of `from` on; returns where the first
    /// that may be left begins. Of rows that lie in blocks.
    pub(super) fn forget_before(&mut self, from: usize, index: usize) -> usize {
        let slots = from / ROWS..(index / ROWS).min(self.slots.len());
        let begin = slots.end * ROWS;
        for slot in self.slots.get_mut(slots).unwrap_or_default() {
            if matches!(slot, Slot::Packed(_) | Slot::Open { num_settled: ROWS, .. }) {
                *slot = Slot::Forgotten;
            }
        }
        begin
    }

    /// Where the first block from that of `from` on begins that is not forgotten. Of rows that lie in blocks.
    pub(super) fn first_kept(&self, from: usize) -> usize {
        let mut slots = self.slots.iter().skip(from / ROWS);
        let num_forgotten = slots.position(|slot| !matches!(slot, Slot::Forgotten)).unwrap_or(0);
        (from / ROWS + num_forgotten) * ROWS
    }

    /// The rows that may change, from the block of `from` on. Of rows that lie in blocks.
    pub(super) fn open_rows(&self, from: usize) -> impl Iterator<Item = &[R]> {
        self.slots.iter().skip(from / ROWS).filter_map(|slot| match slot {
            Slot::Open { rows, .. } => Some(rows.as_slice()),
            _ => None,
        })
    }

    /// Leaves the first `len` rows.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.len = len;
        if !self.is_in_blocks {
            self.num_settled.truncate(len.div_ceil(ROWS));
            return self.few.truncate(len);
        }
        self.slots.truncate(len.div_ceil(ROWS));
        if !len.is_multiple_of(ROWS)
            && let Some(rows) = self.open(len - 1)
        {
            rows.truncate(len % ROWS);
        }
    }
}
