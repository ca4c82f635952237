//! Records in little memory, each found in constant time.
//!
//! A million requests make millions of passes, and what is recorded of neighbours is nearly the same: counts that hardly
//! vary, times a few milliseconds apart. Rows are kept as they are while they are few or may change; where they are many, a
//! block of them that is settled is packed ([`super::packed_block`]).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::packed_block::{Block, ROWS};

pub use super::packed_block::Row;

/// So many rows are kept as they are: some 20 MB at the most, and the quickest to read.
const FEW_ROWS: usize = 1 << 18;

/// What becomes of [`ROWS`] rows.
#[derive(Clone)]
enum Slot<R, const N: usize> {
    /// All are the default.
    Untouched,
    /// They may change; so many will not.
    Open { rows: Vec<R>, num_settled: usize },
    Packed(Box<Block<N>>),
    /// Nobody asks for them any more.
    Forgotten,
}

/// Rows in order, packed where they are settled.
///
/// It gives rows by value. One that is changed afterwards ([`Self::row_mut`]) is unpacked with its neighbours first.
#[derive(Clone)]
pub struct Packed<R, const N: usize> {
    slots: Vec<Slot<R, N>>,
    len: usize,
    has_packed: bool,
}

impl<R, const N: usize> Default for Packed<R, N> {
    fn default() -> Self {
        Self { slots: Vec::new(), len: 0, has_packed: false }
    }
}

impl<R: Row<N>, const N: usize> Packed<R, N> {
    /// So many default rows.
    #[must_use]
    pub fn with_len(len: usize) -> Self {
        Self { slots: (0..len.div_ceil(ROWS)).map(|_| Slot::Untouched).collect(), len, has_packed: len > FEW_ROWS }
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
        match self.slots.get(index / ROWS)? {
            Slot::Untouched => Some(R::default()),
            Slot::Open { rows, .. } => rows.get(index % ROWS).copied(),
            Slot::Packed(block) => Some(block.row(index % ROWS)),
            Slot::Forgotten => None,
        }
    }

    /// These columns of the row of this index: cheaper than all of them.
    #[inline]
    pub(super) fn columns<const M: usize>(&self, index: usize, which: [usize; M]) -> Option<[u64; M]> {
        if let Slot::Packed(block) = self.slots.get(index / ROWS)? {
            return (index < self.len).then(|| which.map(|column| block.value(column, index % ROWS)));
        }
        let columns = self.get(index)?.to_columns();
        Some(which.map(|column| columns[column]))
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

    /// All rows, in order, up to the first that is forgotten.
    pub fn iter(&self) -> Rows<'_, R, N> {
        Rows { packed: self, index: 0, block: Vec::new() }
    }

    /// All rows as they are, in order.
    #[must_use]
    pub fn to_vec(&self) -> Vec<R> {
        self.iter().collect()
    }

    /// Appends a row.
    pub fn push(&mut self, row: R) {
        if self.len.is_multiple_of(ROWS) {
            self.slots.push(Slot::Open { rows: Vec::with_capacity(ROWS), num_settled: 0 });
        }
        if let Some(rows) = self.open(self.len / ROWS * ROWS) {
            rows.push(row);
            self.len += 1;
        }
    }

    /// The row of this index, to be changed.
    #[inline]
    pub fn row_mut(&mut self, index: usize) -> Option<&mut R> {
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
        self.has_packed = true;
        self.slots.iter_mut().for_each(|slot| slot.pack_if(|_| true));
    }

    /// As [`Self::settle`], where nobody asks for a block that does not change any more.
    pub(super) fn settle_and_forget(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index / ROWS) else { return };
        let Slot::Open { num_settled, .. } = slot else { return };
        *num_settled += 1;
        if *num_settled == ROWS {
            *slot = Slot::Forgotten;
        }
    }

    /// Nobody asks for packed blocks that end before `index` any more, from that of `from` on; returns where the first that
    /// is left begins.
    pub(super) fn forget_before(&mut self, from: usize, index: usize) -> usize {
        let slots = from / ROWS..(index / ROWS).min(self.slots.len());
        let begin = slots.end * ROWS;
        for slot in self.slots.get_mut(slots).unwrap_or_default() {
            if matches!(slot, Slot::Packed(_)) {
                *slot = Slot::Forgotten;
            }
        }
        begin
    }

    /// Where the first block from that of `from` on begins that is not forgotten.
    pub(super) fn first_kept(&self, from: usize) -> usize {
        let mut slots = self.slots.iter().skip(from / ROWS);
        let num_forgotten = slots.position(|slot| !matches!(slot, Slot::Forgotten)).unwrap_or(0);
        (from / ROWS + num_forgotten) * ROWS
    }

    /// The rows that may change, from the block of `from` on.
    pub(super) fn open_rows(&self, from: usize) -> impl Iterator<Item = &[R]> {
        self.slots.iter().skip(from / ROWS).filter_map(|slot| match slot {
            Slot::Open { rows, .. } => Some(rows.as_slice()),
            _ => None,
        })
    }

    /// Changes every row by `change`, which is told its index too.
    pub fn change(&mut self, mut change: impl FnMut(usize, &mut R)) {
        *self = self.iter().enumerate().fold(Self::default(), |mut changed, (index, mut row)| {
            change(index, &mut row);
            changed.push(row);
            changed.settle(index);
            changed
        });
    }

    /// Leaves the first `len` rows.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.slots.truncate(len.div_ceil(ROWS));
        self.len = len;
        if !len.is_multiple_of(ROWS)
            && let Some(rows) = self.open(len - 1)
        {
            rows.truncate(len % ROWS);
        }
    }
}

impl<R: Row<N>, const N: usize> Slot<R, N> {
    /// Makes it one whose rows may change: there are so many.
    #[cold]
    fn reopen(&mut self, num_rows: usize) {
        let mut rows = Vec::with_capacity(ROWS);
        match self {
            Self::Untouched => rows.resize(num_rows, R::default()),
            Self::Packed(block) => block.unpack(&mut rows),
            Self::Open { .. } | Self::Forgotten => return,
        }
        *self = Self::Open { rows, num_settled: 0 };
    }

    /// Packs it if it is whole and of its settled rows that holds.
    fn pack_if(&mut self, holds: impl Fn(usize) -> bool) {
        if let Self::Open { rows, num_settled } = self
            && rows.len() == ROWS
            && holds(*num_settled)
        {
            *self = Self::Packed(Box::new(Block::pack(rows)));
        }
    }
}

/// The rows of a [`Packed`] in order.
#[derive(Clone)]
pub struct Rows<'a, R, const N: usize> {
    packed: &'a Packed<R, N>,
    index: usize,
    /// The block that `index` lies in, where that is a packed one.
    block: Vec<R>,
}

impl<R: Row<N>, const N: usize> Iterator for Rows<'_, R, N> {
    type Item = R;

    #[inline]
    fn next(&mut self) -> Option<R> {
        let Self { packed, index, block } = self;
        if *index >= packed.len {
            return None;
        }
        let place = *index % ROWS;
        *index += 1;
        match packed.slots.get((*index - 1) / ROWS)? {
            Slot::Open { rows, .. } => rows.get(place).copied(),
            Slot::Untouched => Some(R::default()),
            Slot::Packed(packed) => {
                if place == 0 || block.is_empty() {
                    packed.unpack(block);
                }
                block.get(place).copied()
            }
            Slot::Forgotten => None,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.packed.len - self.index.min(self.packed.len);
        (left, Some(left))
    }

    fn nth(&mut self, count: usize) -> Option<R> {
        let before = self.index / ROWS;
        self.index = self.index.saturating_add(count);
        if self.index / ROWS != before {
            self.block.clear();
        }
        self.next()
    }
}

impl<'a, R: Row<N>, const N: usize> IntoIterator for &'a Packed<R, N> {
    type Item = R;
    type IntoIter = Rows<'a, R, N>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<R: Row<N>, const N: usize> Extend<R> for Packed<R, N> {
    fn extend<I: IntoIterator<Item = R>>(&mut self, rows: I) {
        for row in rows {
            self.push(row);
            self.settle(self.len - 1);
        }
    }
}

impl<R: Row<N>, const N: usize> FromIterator<R> for Packed<R, N> {
    fn from_iter<I: IntoIterator<Item = R>>(rows: I) -> Self {
        let mut packed = Self::default();
        packed.extend(rows);
        packed
    }
}

impl<R: Row<N>, const N: usize> From<Vec<R>> for Packed<R, N> {
    fn from(rows: Vec<R>) -> Self {
        rows.into_iter().collect()
    }
}

impl<R: Row<N> + PartialEq, const N: usize> PartialEq for Packed<R, N> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other)
    }
}

impl<R: Row<N> + Eq, const N: usize> Eq for Packed<R, N> {}

impl<R: Row<N> + fmt::Debug, const N: usize> fmt::Debug for Packed<R, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<R, const N: usize> fmt::Debug for Rows<'_, R, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("index", &self.index).finish_non_exhaustive()
    }
}
