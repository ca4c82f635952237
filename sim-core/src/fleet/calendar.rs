//! When each replica's next event is, and whose is the first: a tournament, in which a change costs as many comparisons
//! as there are rounds.

use alloc::vec;
use alloc::vec::Vec;

use crate::time::SimTime;

/// Times by replica; of equal ones the replica of the lower number is the first.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    times: Vec<SimTime>,
    /// The winner of each match; those of match `n` come from `2 n` and `2 n + 1`, and behind all matches stand the
    /// replicas themselves.
    winners: Vec<usize>,
}

impl Calendar {
    /// Nothing happens at any of so many replicas, at least one.
    pub(super) fn new(num_replicas: usize) -> Self {
        let num_places = num_replicas.max(1).next_power_of_two();
        let mut winners = vec![0; num_places];
        winners.extend(0..num_places);
        let mut calendar = Self { times: vec![SimTime::MAX; num_places], winners };
        (1..num_places).rev().for_each(|place| calendar.play(place));
        calendar
    }

    /// The next event of `replica` is at `time`.
    pub(super) fn set(&mut self, replica: usize, time: SimTime) {
        self.times[replica] = time;
        let mut place = (self.times.len() + replica) / 2;
        while place > 0 {
            self.play(place);
            place /= 2;
        }
    }

    /// The first event and whose it is.
    pub(super) fn first(&self) -> (SimTime, usize) {
        // A single replica plays no match.
        let winner = if self.times.len() > 1 { self.winners[1] } else { 0 };
        (self.times[winner], winner)
    }

    fn play(&mut self, place: usize) {
        let (one, other) = (self.winners[2 * place], self.winners[2 * place + 1]);
        self.winners[place] = if self.times[other] < self.times[one] { other } else { one };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Pcg64;

    #[test]
    fn the_first_is_the_earliest_and_of_equal_ones_the_lowest() {
        for num_replicas in 1..20_u32 {
            let mut random = Pcg64::new(u64::from(num_replicas));
            let mut calendar = Calendar::new(num_replicas as usize);
            let mut times = vec![SimTime::MAX; num_replicas as usize];
            for _ in 0..200 {
                let replica = random.integers(0, num_replicas - 1) as usize;
                times[replica] = SimTime::from_nanos(u64::from(random.integers(0, 9)));
                calendar.set(replica, times[replica]);
                let expect = times.iter().enumerate().min_by_key(|&(place, time)| (time, place));
                assert_eq!(Some(calendar.first()), expect.map(|(place, &time)| (time, place)), "{times:?}");
            }
        }
    }
}
