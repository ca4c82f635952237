//! A block of records as columns of whole numbers: what `packed.rs` makes of rows that do not change any more.
//!
//! Of each column the smallest value, and of each row how much more it is, in as many bytes as the largest needs. A column
//! that does not vary takes none. Nothing is rounded: what does not fit takes up to eight bytes.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::math;

/// Rows of a block.
pub(super) const ROWS: usize = 128;

/// A value by itself is read as eight bytes, of which the last may lie behind it.
const WORD: usize = 8;

/// A record as `N` whole numbers. Those of which neighbours differ least pack best: differences, not instants.
pub trait Row<const N: usize>: Copy + Default {
    /// Its numbers.
    fn to_columns(&self) -> [u64; N];

    /// The record of these numbers.
    fn from_columns(columns: [u64; N]) -> Self;
}

/// Rows that are settled.
#[derive(Debug, Clone)]
pub(super) struct Block<const N: usize> {
    /// The smallest value of each column.
    bases: [u64; N],
    /// Where each column begins.
    starts: [u16; N],
    /// Bytes of each of its values, which are what is more than the smallest.
    widths: [u16; N],
    bytes: Box<[u8]>,
}

impl<const N: usize> Block<N> {
    /// Packs [`ROWS`] rows.
    pub(super) fn pack<R: Row<N>>(rows: &[R]) -> Self {
        let mut columns = [[0; ROWS]; N];
        for (place, row) in rows.iter().take(ROWS).enumerate() {
            for (column, value) in columns.iter_mut().zip(row.to_columns()) {
                column[place] = value;
            }
        }
        let (mut bases, mut starts, mut widths, mut num_bytes) = ([0; N], [0; N], [0; N], 0);
        for (number, column) in columns.iter().enumerate() {
            let bounds = |(min, max): (u64, u64), &value: &u64| (min.min(value), max.max(value));
            let (min, max) = column.iter().fold((u64::MAX, 0), bounds);
            let width = (u64::BITS - (max - min).leading_zeros()).div_ceil(u8::BITS);
            bases[number] = min;
            starts[number] = math::u32_to_u16(num_bytes);
            widths[number] = math::u32_to_u16(width);
            num_bytes += width * math::usize_to_u32(ROWS);
        }
        let mut bytes = vec![0; math::u32_to_usize(num_bytes) + WORD].into_boxed_slice();
        for (number, column) in columns.iter().enumerate() {
            let (values, base) = (&mut bytes[usize::from(starts[number])..], bases[number]);
            match widths[number] {
                0 => {}
                1 => write::<1>(values, column, base),
                2 => write::<2>(values, column, base),
                3 => write::<3>(values, column, base),
                4 => write::<4>(values, column, base),
                5 => write::<5>(values, column, base),
                6 => write::<6>(values, column, base),
                7 => write::<7>(values, column, base),
                _ => write::<8>(values, column, base),
            }
        }
        Self { bases, starts, widths, bytes }
    }

    #[inline]
    pub(super) fn value(&self, column: usize, place: usize) -> u64 {
        let width = usize::from(self.widths[column]);
        let at = usize::from(self.starts[column]) + place * width;
        self.bases[column] + (word(&self.bytes[at..at + WORD]) & MASKS[width])
    }

    pub(super) fn row<R: Row<N>>(&self, place: usize) -> R {
        R::from_columns(core::array::from_fn(|column| self.value(column, place)))
    }

    /// Reads the values of a column.
    pub(super) fn read_column(&self, number: usize, column: &mut [u64; ROWS]) {
        let (values, base) = (&self.bytes[usize::from(self.starts[number])..], self.bases[number]);
        match self.widths[number] {
            0 => column.fill(base),
            1 => read::<1>(values, column, base),
            2 => read::<2>(values, column, base),
            3 => read::<3>(values, column, base),
            4 => read::<4>(values, column, base),
            5 => read::<5>(values, column, base),
            6 => read::<6>(values, column, base),
            7 => read::<7>(values, column, base),
            _ => read::<8>(values, column, base),
        }
    }

    /// Appends all rows to `rows`: cheaper than one by one.
    pub(super) fn unpack<R: Row<N>>(&self, rows: &mut Vec<R>) {
        let mut columns = [[0; ROWS]; N];
        for (number, column) in columns.iter_mut().enumerate() {
            self.read_column(number, column);
        }
        rows.extend((0..ROWS).map(|place| R::from_columns(core::array::from_fn(|number| columns[number][place]))));
    }
}

/// Writes what the values of a column are more than `base`, in `WIDTH` bytes each: a loop for each width, as a compiler
/// makes short ones of those.
fn write<const WIDTH: usize>(bytes: &mut [u8], column: &[u64; ROWS], base: u64) {
    for (bytes, value) in bytes.chunks_exact_mut(WIDTH).zip(column) {
        bytes.copy_from_slice(&(value - base).to_le_bytes()[..WIDTH]);
    }
}

/// Reads what [`write`] wrote.
fn read<const WIDTH: usize>(bytes: &[u8], column: &mut [u64; ROWS], base: u64) {
    for (value, bytes) in column.iter_mut().zip(bytes.chunks_exact(WIDTH)) {
        let mut word = [0; WORD];
        word[..WIDTH].copy_from_slice(bytes);
        *value = base + u64::from_le_bytes(word);
    }
}

/// The bits of the first 0 to 8 bytes.
const MASKS: [u64; WORD + 1] =
    [0, 0xff, 0xffff, 0xff_ffff, 0xffff_ffff, u64::MAX >> 24, u64::MAX >> 16, u64::MAX >> 8, u64::MAX];

#[inline]
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; WORD];
    word.copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// What becomes of [`ROWS`] rows, where there are many.
#[derive(Clone)]
pub(super) enum Slot<R, const N: usize> {
    /// All are the default.
    Untouched,
    /// They may change; so many will not.
    Open {
        rows: Vec<R>,
        num_settled: usize,
    },
    Packed(Box<Block<N>>),
    /// Nobody asks for them any more.
    Forgotten,
}

impl<R: Row<N>, const N: usize> Slot<R, N> {
    /// At most [`ROWS`] rows, packed if none of them changes any more.
    pub(super) fn of(rows: &[R], num_settled: usize) -> Self {
        if rows.len() == ROWS && num_settled >= ROWS {
            return Self::Packed(Box::new(Block::pack(rows)));
        }
        let mut open = Vec::with_capacity(ROWS);
        open.extend_from_slice(rows);
        Self::Open { rows: open, num_settled }
    }

    /// Makes it one whose rows may change: there are so many.
    #[cold]
    pub(super) fn reopen(&mut self, num_rows: usize) {
        let mut rows = Vec::with_capacity(ROWS);
        match self {
            Self::Untouched => rows.resize(num_rows, R::default()),
            Self::Packed(block) => block.unpack(&mut rows),
            Self::Open { .. } | Self::Forgotten => return,
        }
        *self = Self::Open { rows, num_settled: 0 };
    }

    /// Packs it if it is whole and of its settled rows that holds.
    pub(super) fn pack_if(&mut self, holds: impl Fn(usize) -> bool) {
        if let Self::Open { rows, num_settled } = self
            && rows.len() == ROWS
            && holds(*num_settled)
        {
            *self = Self::Packed(Box::new(Block::pack(rows)));
        }
    }
}
