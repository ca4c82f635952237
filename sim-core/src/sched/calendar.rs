//! What happens to whom in which pass, known beforehand.

use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use crate::math;

/// Something that happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) pass: u64,
    /// Number of the request's admission, by which it is known and the running list is sorted.
    pub(super) admission: u64,
    pub(super) slot: u32,
}

/// Days are passes. A ring of days: what is further off than the ring is long stays on its day for another round.
#[derive(Debug)]
pub(super) struct Calendar {
    days: Vec<Vec<Due>>,
    /// Which days are not empty, a bit for each.
    marks: [u64; NUM_MARKS],
}

/// Length of the ring: a power of two, so that a day is found without a division; longer than most answers are.
const NUM_DAYS: u64 = 512;

const NUM_MARKS: usize = math::u32_to_usize(math::low_u32(NUM_DAYS) / u64::BITS);

/// Where the mark of a pass's day is: its word, and the bit in that.
const fn mark(pass: u64) -> (usize, u32) {
    let day = math::low_u32(pass % NUM_DAYS);
    (math::u32_to_usize(day / u64::BITS), day % u64::BITS)
}

impl Calendar {
    pub(super) fn new() -> Self {
        Self { days: vec![Vec::new(); math::u32_to_usize(math::low_u32(NUM_DAYS))], marks: [0; NUM_MARKS] }
    }

    /// Where what happens in `pass` is noted.
    fn day(&mut self, pass: u64) -> &mut Vec<Due> {
        &mut self.days[math::u32_to_usize(math::low_u32(pass % NUM_DAYS))]
    }

    pub(super) fn note(&mut self, due: Due) {
        let (word, bit) = mark(due.pass);
        self.marks[word] |= 1 << bit;
        self.day(due.pass).push(due);
    }

    /// How many passes from `pass` on have an empty day, at most a round of them. On a day that is not, nothing may happen
    /// for a round or more.
    pub(super) fn num_empty_days(&self, pass: u64) -> u32 {
        let (first, bit) = mark(pass);
        let mut num_empty = (self.marks[first] >> bit).trailing_zeros().min(u64::BITS - bit);
        let mut has_found_one = num_empty < u64::BITS - bit;
        for place in first + 1..first + NUM_MARKS {
            if has_found_one {
                break;
            }
            let in_word = self.marks[place % NUM_MARKS].trailing_zeros();
            num_empty += in_word;
            has_found_one = in_word < u64::BITS;
        }
        num_empty
    }

    /// Whether anything happens in `pass`.
    #[inline]
    pub(super) fn has(&self, pass: u64) -> bool {
        let day = &self.days[math::u32_to_usize(math::low_u32(pass % NUM_DAYS))];
        day.iter().any(|noted| noted.pass == pass)
    }

    /// Moves what happens in `pass` to `due`, in the order of the running list. Passes must be taken in order; what was
    /// noted for one that was left out is forgotten.
    pub(super) fn take(&mut self, pass: u64, due: &mut Vec<Due>) {
        due.clear();
        let day = self.day(pass);
        if day.is_empty() {
            return;
        }
        if day.iter().all(|noted| noted.pass == pass) {
            mem::swap(day, due);
        } else {
            day.retain(|noted| {
                if noted.pass == pass {
                    due.push(*noted);
                }
                noted.pass > pass
            });
        }
        if self.day(pass).is_empty() {
            let (word, bit) = mark(pass);
            self.marks[word] &= !(1 << bit);
        }
        if !due.is_sorted_by_key(|due| due.admission) {
            due.sort_unstable_by_key(|due| due.admission);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.days.iter_mut().for_each(Vec::clear);
        self.marks = [0; NUM_MARKS];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn due(pass: u64, admission: u64) -> Due {
        Due { pass, admission, slot: 7 }
    }

    /// Empty days from `pass` on of a calendar with these dates.
    #[track_caller]
    fn check_empty(dates: &[u64], pass: u64, expect: u32) {
        let mut calendar = Calendar::new();
        dates.iter().for_each(|&pass| calendar.note(due(pass, 0)));
        assert_eq!(calendar.num_empty_days(pass), expect, "{dates:?} from {pass}");
        for pass in pass..pass + u64::from(expect) {
            assert!(!calendar.has(pass), "{dates:?}: {pass}");
        }
    }

    #[test]
    fn days_without_dates_are_counted() {
        check_empty(&[], 0, 512);
        check_empty(&[], 63, 449);
        check_empty(&[], 64, 512);
        check_empty(&[70], 64, 6);
        check_empty(&[70], 70, 0);
        check_empty(&[128], 64, 64);
        check_empty(&[129], 64, 65);
        check_empty(&[600], 500, 100);
        check_empty(&[511, 512], 70, 441);
        check_empty(&[512], 70, 442);
        // Of another round.
        check_empty(&[70 + NUM_DAYS], 64, 6);
    }

    #[test]
    fn a_day_whose_dates_are_taken_is_empty_again() {
        let mut calendar = Calendar::new();
        [due(5, 1), due(5 + NUM_DAYS, 2)].into_iter().for_each(|due| calendar.note(due));
        let mut taken = vec![];
        calendar.take(5, &mut taken);
        assert_eq!(calendar.num_empty_days(1), 4, "one is of the next round");
        calendar.take(5 + NUM_DAYS, &mut taken);
        assert_eq!(calendar.num_empty_days(0), 512);
        calendar.note(due(6, 1));
        calendar.clear();
        assert_eq!(calendar.num_empty_days(0), 512);
    }

    #[test]
    fn a_day_comes_once_and_in_the_order_of_admissions() {
        let mut calendar = Calendar::new();
        let noted = [due(3, 9), due(3 + NUM_DAYS, 1), due(3, 2), due(4, 5), due(3 + 2 * NUM_DAYS, 4)];
        noted.into_iter().for_each(|due| calendar.note(due));
        let mut taken = vec![due(0, 0)];
        let mut days = vec![];
        for pass in 1..=3 + 2 * NUM_DAYS {
            calendar.take(pass, &mut taken);
            days.extend(taken.iter().map(|due| (pass, due.admission)));
        }
        assert_eq!(days, [(3, 2), (3, 9), (4, 5), (3 + NUM_DAYS, 1), (3 + 2 * NUM_DAYS, 4)]);
        calendar.note(due(9, 1));
        calendar.take(9 + NUM_DAYS, &mut taken);
        assert!(taken.is_empty(), "the ninth was left out");
    }
}
