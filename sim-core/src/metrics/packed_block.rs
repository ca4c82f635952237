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

/// A value is read and written as eight bytes, of which the last may lie behind it.
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
        let rows: Vec<[u64; N]> = rows.iter().take(ROWS).map(R::to_columns).collect();
        let (mut bases, mut maxima) = ([u64::MAX; N], [0; N]);
        for row in &rows {
            for ((base, max), &value) in bases.iter_mut().zip(&mut maxima).zip(row) {
                *base = value.min(*base);
                *max = value.max(*max);
            }
        }
        let (mut starts, mut widths, mut num_bytes) = ([0; N], [0; N], 0);
        for column in 0..N {
            let width = (u64::BITS - (maxima[column] - bases[column]).leading_zeros()).div_ceil(u8::BITS);
            starts[column] = math::u32_to_u16(num_bytes);
            widths[column] = math::u32_to_u16(width);
            num_bytes += width * math::usize_to_u32(ROWS);
        }
        let mut bytes = vec![0; math::u32_to_usize(num_bytes) + WORD].into_boxed_slice();
        for column in (0..N).filter(|&column| widths[column] > 0) {
            let (mut at, width) = (usize::from(starts[column]), usize::from(widths[column]));
            for row in &rows {
                // The zeros behind it are where the next one is written.
                bytes[at..at + WORD].copy_from_slice(&(row[column] - bases[column]).to_le_bytes());
                at += width;
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

    /// Appends all rows to `rows`: cheaper than one by one.
    pub(super) fn unpack<R: Row<N>>(&self, rows: &mut Vec<R>) {
        let mut places = self.starts.map(usize::from);
        let widths = self.widths.map(usize::from);
        let masks = widths.map(|width| MASKS[width]);
        rows.extend((0..ROWS).map(|_| {
            R::from_columns(core::array::from_fn(|column| {
                let at = places[column];
                places[column] = at + widths[column];
                self.bases[column] + (word(&self.bytes[at..at + WORD]) & masks[column])
            }))
        }));
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
