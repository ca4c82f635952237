//! Packed records as a sequence: in order, compared, gathered, changed.

use alloc::vec::Vec;
use core::fmt;

use super::packed::{Packed, Row};

/// The rows of a [`Packed`] in order.
#[derive(Clone)]
pub struct Rows<'a, R, const N: usize> {
    packed: &'a Packed<R, N>,
    /// The rows of the block that is being read, if they are as they were recorded.
    open: &'a [R],
    /// And if they had to be unpacked; one of the two is empty.
    unpacked: Vec<R>,
    /// How many rows that block has, and how many of them were read.
    num_rows: usize,
    num_read: usize,
    /// Rows before that block.
    from: usize,
}

impl<R: Row<N>, const N: usize> Packed<R, N> {
    /// All rows, in order.
    pub fn iter(&self) -> Rows<'_, R, N> {
        Rows { packed: self, open: &[], unpacked: Vec::new(), num_rows: 0, num_read: 0, from: 0 }
    }

    /// Shows each row beside the one behind it, in order; none is copied but the last of a block.
    pub(super) fn for_each_with_next(&self, mut see: impl FnMut(&R, Option<&R>)) {
        let (mut rows, mut last) = (self.iter(), None::<R>);
        while rows.read_next_block() {
            let block = rows.unread();
            if let (Some(last), Some(first)) = (&last, block.first()) {
                see(last, Some(first));
            }
            block.iter().zip(block.iter().skip(1)).for_each(|(row, next)| see(row, Some(next)));
            last = block.last().copied();
        }
        last.iter().for_each(|last| see(last, None));
    }

    /// All rows as they are, in order.
    #[must_use]
    pub fn to_vec(&self) -> Vec<R> {
        self.iter().collect()
    }

    /// Changes every row by `change`, which is told its index too.
    pub fn change(&mut self, mut change: impl FnMut(usize, &mut R)) {
        let rows = self.iter().enumerate().map(|(index, mut row)| {
            change(index, &mut row);
            row
        });
        *self = rows.collect();
    }
}

impl<R: Row<N>, const N: usize> Rows<'_, R, N> {
    /// What was not read of its block.
    fn unread(&self) -> &[R] {
        let rows = if self.open.is_empty() { &self.unpacked } else { self.open };
        rows.get(self.num_read..self.num_rows).unwrap_or_default()
    }

    /// Goes on to the next block; false if there is none.
    fn read_next_block(&mut self) -> bool {
        self.from += self.num_rows;
        self.open = self.packed.read_block(self.from, &mut self.unpacked);
        let left = self.packed.len() - self.from.min(self.packed.len());
        (self.num_rows, self.num_read) = ((self.open.len() + self.unpacked.len()).min(left), 0);
        self.num_rows > 0
    }
}

impl<R: Row<N>, const N: usize> Iterator for Rows<'_, R, N> {
    type Item = R;

    #[inline]
    fn next(&mut self) -> Option<R> {
        if self.num_read == self.num_rows && !self.read_next_block() {
            return None;
        }
        let row = self.open.get(self.num_read).or_else(|| self.unpacked.get(self.num_read)).copied();
        self.num_read += 1;
        row
    }

    /// A block at a time, and of its rows nothing but what is asked for.
    fn fold<T, F: FnMut(T, R) -> T>(mut self, start: T, mut join: F) -> T {
        let mut so_far = start;
        while self.num_read < self.num_rows || self.read_next_block() {
            so_far = self.unread().iter().copied().fold(so_far, &mut join);
            self.num_read = self.num_rows;
        }
        so_far
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.packed.len().saturating_sub(self.from + self.num_read);
        (left, Some(left))
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
        rows.into_iter().for_each(|row| self.push_settled(row));
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
        self.len() == other.len() && self.iter().eq(other)
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
        f.debug_struct("Rows").field("from", &self.from).field("num_read", &self.num_read).finish_non_exhaustive()
    }
}
