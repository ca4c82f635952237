//! Which chain departs where: numbers found by the hash of what they stand for.
//!
//! A table of open addresses. Equal hashes are told apart by whoever asks, so nothing depends on them but how long a
//! search takes; and the table is never walked through, so nothing depends on its order.

use alloc::vec;
use alloc::vec::Vec;

use crate::math;

/// A number and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    hash: u32,
    number: u32,
}

const EMPTY: Entry = Entry { hash: 0, number: u32::MAX };

/// Numbers below `u32::MAX` by hash.
#[derive(Debug)]
pub(super) struct ChainIndex {
    /// A power of two, at most half of them taken; an entry stands at its hash or behind it, without a gap between.
    entries: Vec<Entry>,
    num_taken: usize,
}

/// The hash of some numbers.
pub(super) fn hash(numbers: impl IntoIterator<Item = u64>) -> u32 {
    let mix = |hash: u64, number: u64| (hash.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    math::low_u32(numbers.into_iter().fold(0, mix) >> 32)
}

impl ChainIndex {
    pub(super) fn new() -> Self {
        Self { entries: vec![EMPTY; 64], num_taken: 0 }
    }

    const fn mask(&self) -> usize {
        self.entries.len() - 1
    }

    /// The number under `hash` that `is_it`, if there is one.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut place = math::u32_to_usize(hash) & self.mask();
        loop {
            let entry = self.entries[place];
            if entry == EMPTY {
                return None;
            }
            if entry.hash == hash && is_it(entry.number) {
                return Some(entry.number);
            }
            place = (place + 1) & self.mask();
        }
    }

    /// Adds `number`, which is not there.
    pub(super) fn insert(&mut self, hash: u32, number: u32) {
        self.num_taken += 1;
        if 2 * self.num_taken > self.entries.len() {
            let twice = vec![EMPTY; 2 * self.entries.len()];
            let before = core::mem::replace(&mut self.entries, twice);
            before.into_iter().filter(|&entry| entry != EMPTY).for_each(|entry| self.put(entry));
        }
        self.put(Entry { hash, number });
    }

    fn put(&mut self, entry: Entry) {
        let mut place = math::u32_to_usize(entry.hash) & self.mask();
        while self.entries[place] != EMPTY {
            place = (place + 1) & self.mask();
        }
        self.entries[place] = entry;
    }

    /// Takes `number`, which is there, away.
    pub(super) fn remove(&mut self, hash: u32, number: u32) {
        let mask = self.mask();
        let mut gap = math::u32_to_usize(hash) & mask;
        while self.entries[gap] != (Entry { hash, number }) {
            gap = (gap + 1) & mask;
        }
        // Whoever stands behind the gap and would be looked for at it or before it moves up.
        let mut place = gap;
        loop {
            place = (place + 1) & mask;
            let entry = self.entries[place];
            if entry == EMPTY {
                break;
            }
            let home = math::u32_to_usize(entry.hash) & mask;
            if place.wrapping_sub(home) & mask >= place.wrapping_sub(gap) & mask {
                self.entries[gap] = entry;
                gap = place;
            }
        }
        self.entries[gap] = EMPTY;
        self.num_taken -= 1;
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;

    #[test]
    fn finds_what_an_ordered_map_finds() {
        let (mut index, mut expect) = (ChainIndex::new(), BTreeMap::new());
        // Few different hashes, so that entries stand in each other's way, around the end of the table, too.
        let hash_of = |number: u32| (hash([u64::from(number)]) % 7).wrapping_sub(3);
        for turn in 0..10_000_u32 {
            let number = hash([u64::from(turn)]) % 300;
            let has = expect.remove(&number).is_some();
            assert_eq!(index.find(hash_of(number), |found| found == number).is_some(), has, "turn {turn}");
            if has {
                index.remove(hash_of(number), number);
            } else {
                index.insert(hash_of(number), number);
                expect.insert(number, ());
            }
        }
        for number in 0..300 {
            let found = index.find(hash_of(number), |found| found == number);
            assert_eq!(found, expect.contains_key(&number).then_some(number));
        }
        assert_eq!(index.num_taken, expect.len());
    }
}
