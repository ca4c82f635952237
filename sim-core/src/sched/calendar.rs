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
}

/// Length of the ring: a power of two, so that a day is found without a division; longer than most answers are.
const NUM_DAYS: u64 = 512;

impl Calendar {
    pub(super) fn new() -> Self {
        Self { days: vec![Vec::new(); math::u32_to_usize(math::u64_to_u32(NUM_DAYS))] }
    }

    /// Where what happens in `pass` is noted.
    fn day(&mut self, pass: u64) -> &mut Vec<Due> {
        &mut self.days[math::u32_to_usize(math::low_u32(pass % NUM_DAYS))]
    }

    pub(super) fn note(&mut self, due: Due) {
        self.day(due.pass).push(due);
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
        if !due.is_sorted_by_key(|due| due.admission) {
            due.sort_unstable_by_key(|due| due.admission);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.days.iter_mut().for_each(Vec::clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn due(pass: u64, admission: u64) -> Due {
        Due { pass, admission, slot: 7 }
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
