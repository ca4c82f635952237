//! Transfers of KV blocks between engines, in time: each is set up, then its bytes share the links with those of others.
//!
//! Of the real thing (NIXL over UCX) this has a latency, a cost for each descriptor and a bandwidth; what happens inside is
//! not modelled.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::flows::Flows;
pub use super::flows::Transfer;
use super::links::Bandwidths;
use crate::time::{SimDuration, SimTime};

/// How long transfers take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TransferCosts {
    /// Bytes per second that an engine sends, and that one receives, over all its devices; above 0, may be infinite.
    pub bandwidths: Bandwidths,
    /// From the decision to load until the first byte comes.
    pub latency: SimDuration,
    /// For each descriptor of a transfer, before its first byte comes.
    pub per_descriptor: SimDuration,
}

/// All transfers of a fleet.
#[derive(Debug)]
pub struct Transfers {
    costs: TransferCosts,
    /// Transfers whose first byte is still to come, by that time, then in the order in which they began.
    set_up: BinaryHeap<Reverse<(SimTime, usize)>>,
    /// All that began, by number.
    begun: Vec<Transfer>,
    flows: Flows,
}

impl Transfers {
    /// None is under way.
    #[must_use]
    pub fn new(costs: TransferCosts) -> Self {
        Self { costs, set_up: BinaryHeap::new(), begun: Vec::new(), flows: Flows::new(costs.bandwidths) }
    }

    /// A transfer begins at `time`, which is not before any time that [`Self::advance`] was given.
    pub fn begin(&mut self, time: SimTime, transfer: Transfer) {
        let set_up = self.costs.latency + self.costs.per_descriptor.saturating_mul(transfer.num_descriptors);
        self.set_up.push(Reverse((time + set_up, self.begun.len())));
        self.begun.push(transfer);
    }

    /// The transfer `id` is given up at `time`, up to which [`Self::advance`] has come; false if it is not under way.
    pub fn give_up(&mut self, time: SimTime, id: u32) -> bool {
        let (begun, num_set_up) = (&self.begun, self.set_up.len());
        self.set_up.retain(|&Reverse((_, number))| begun[number].id != id);
        self.set_up.len() < num_set_up || self.flows.give_up(time, id)
    }

    /// When the next transfer begins to flow or ends; [`SimTime::MAX`] if none is under way.
    #[must_use]
    pub fn next_event(&self) -> SimTime {
        let first_byte = self.set_up.peek().map_or(SimTime::MAX, |&Reverse((time, _))| time);
        first_byte.min(self.flows.next_end())
    }

    /// Everything up to `time` happens; whoever ends by then is added to `ended`, in order.
    pub fn advance(&mut self, time: SimTime, ended: &mut Vec<(SimTime, Transfer)>) {
        loop {
            let next = self.next_event();
            if next > time || next == SimTime::MAX {
                return;
            }
            let mut changed = Vec::new();
            while let Some(transfer) = self.flows.take_ended(next) {
                ended.push((next, transfer));
                changed.extend(transfer.route.ends());
            }
            while let Some(&Reverse((first_byte, number))) = self.set_up.peek()
                && first_byte == next
            {
                self.set_up.pop();
                let transfer = self.begun[number];
                self.flows.add(next, transfer);
                changed.extend(transfer.route.ends());
            }
            self.flows.share(next, changed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::disaggregated::links::Route;
    use crate::rng::Pcg64;

    const GB: u64 = 1_000_000_000;

    fn at(seconds: f64) -> SimTime {
        SimTime::from_secs_f64(seconds)
    }

    fn costs(gb_per_s: f64, latency_ms: f64, per_descriptor_us: f64) -> TransferCosts {
        TransferCosts {
            bandwidths: Bandwidths::both(gb_per_s * 1e9),
            latency: SimDuration::from_micros_f64(1e3 * latency_ms),
            per_descriptor: SimDuration::from_micros_f64(per_descriptor_us),
        }
    }

    /// Transfers as (begin in s, from, to, GB), and when each ends, in the order of ends.
    fn check(costs: TransferCosts, begun: &[(f64, u32, u32, u64)], expect: &[(u32, f64)]) {
        let mut transfers = Transfers::new(costs);
        let mut ended = Vec::new();
        for (id, &(begin, from, to, num_gb)) in (0..).zip(begun) {
            transfers.advance(at(begin), &mut ended);
            let route = Route { from, to };
            transfers.begin(at(begin), Transfer { id, route, num_bytes: num_gb * GB, num_descriptors: 1000 });
        }
        transfers.advance(at(1e6), &mut ended);
        let found: Vec<_> = ended.iter().map(|(time, transfer)| (transfer.id, *time)).collect();
        let expect: Vec<_> = expect.iter().map(|&(id, end)| (id, at(end))).collect();
        assert_eq!(found, expect, "{begun:?}");
        assert_eq!(transfers.next_event(), SimTime::MAX, "none is left");
    }

    #[test]
    fn simple_transfers_take_what_one_reckons() {
        let plain = costs(10.0, 0.0, 0.0);
        check(plain, &[(0.0, 0, 0, 20)], &[(0, 2.0)]);
        check(plain, &[(0.5, 0, 0, 0)], &[(0, 0.5)]);
        // Latency and descriptors delay it, and use no bandwidth.
        check(costs(10.0, 3.0, 2.0), &[(0.0, 0, 0, 20)], &[(0, 2.005)]);
        check(costs(f64::INFINITY, 3.0, 0.0), &[(0.0, 0, 0, 20), (0.0, 0, 0, 5)], &[(0, 0.003), (1, 0.003)]);
        check(costs(f64::INFINITY, 0.0, 0.0), &[(1.0, 0, 0, 20), (1.0, 0, 0, 5)], &[(0, 1.0), (1, 1.0)]);
        // Two of one size share evenly, on the sender's side or the receiver's; others are not touched.
        check(plain, &[(0.0, 0, 0, 10), (0.0, 0, 1, 10), (0.0, 1, 2, 10)], &[(2, 1.0), (0, 2.0), (1, 2.0)]);
        check(plain, &[(0.0, 0, 1, 10), (0.0, 2, 1, 10)], &[(0, 2.0), (1, 2.0)]);
        // A second one comes: a second alone, two shared, then the first alone again.
        check(plain, &[(0.0, 0, 0, 30), (1.0, 0, 0, 10)], &[(1, 3.0), (0, 4.0)]);
        // The one that two others slow down is slowed by nobody else.
        check(plain, &[(0.0, 0, 0, 5), (0.0, 1, 0, 5), (0.0, 1, 1, 15)], &[(0, 1.0), (1, 1.0), (2, 2.0)]);
    }

    struct Drawn {
        begins: Vec<(SimTime, Transfer)>,
        costs: TransferCosts,
    }

    fn drawn(seed: u64) -> Drawn {
        let mut random = Pcg64::new(seed);
        let mut time = SimTime::ZERO;
        let begins = (0..random.integers(1, 40)).map(|id| {
            time += SimDuration::from_nanos(u64::from(random.integers(0, 300_000_000)));
            let route = Route { from: random.integers(0, 2), to: random.integers(0, 3) };
            let num_bytes = u64::from(random.integers(0, 2_000_000_000));
            (time, Transfer { id, route, num_bytes, num_descriptors: u64::from(random.integers(0, 50)) })
        });
        Drawn { begins: begins.collect(), costs: costs(1.0, 0.5, 1.0) }
    }

    /// Ends by id, looking at every `step`.
    fn ends(drawn: &Drawn, step: SimDuration) -> Vec<SimTime> {
        let mut transfers = Transfers::new(drawn.costs);
        let mut ended = Vec::new();
        let mut now = SimTime::ZERO;
        for &(begin, transfer) in &drawn.begins {
            while now + step < begin {
                now += step;
                transfers.advance(now, &mut ended);
            }
            transfers.begin(begin, transfer);
        }
        transfers.advance(at(1e6), &mut ended);
        assert!(ended.is_sorted_by_key(|(time, _)| *time), "in order");
        let mut ends: Vec<_> = ended.iter().map(|(time, transfer)| (transfer.id, *time)).collect();
        ends.sort_unstable();
        assert!(ends.iter().map(|(id, _)| *id).eq(0..u32::try_from(drawn.begins.len()).expect("few")), "each once");
        ends.into_iter().map(|(_, end)| end).collect()
    }

    #[test]
    fn each_transfer_ends_or_is_given_up() {
        for seed in 0..200 {
            let drawn = drawn(seed);
            let mut transfers = Transfers::new(drawn.costs);
            let (mut ended, mut given_up) = (Vec::new(), 0);
            for (place, &(begin, transfer)) in drawn.begins.iter().enumerate() {
                transfers.advance(begin, &mut ended);
                transfers.begin(begin, transfer);
                if place % 5 == 4 {
                    let id = transfer.id / 2;
                    let is_over = ended.iter().any(|(_, transfer)| transfer.id == id);
                    let is_given_up = transfers.give_up(begin, id);
                    assert!(!is_given_up || !is_over, "{seed}: what is over is not given up");
                    given_up += usize::from(is_given_up);
                }
            }
            transfers.advance(at(1e6), &mut ended);
            assert_eq!(ended.len() + given_up, drawn.begins.len(), "{seed}: each ends or is given up");
        }
    }

    #[test]
    fn nothing_depends_on_when_one_looks_and_nobody_is_faster_than_alone() {
        for seed in 0..200 {
            let drawn = drawn(seed);
            let found = ends(&drawn, SimDuration::from_nanos(3_000_017));
            assert_eq!(found, ends(&drawn, SimDuration::from_nanos(70_000_003)), "{seed}");
            for (&(begin, transfer), &end) in drawn.begins.iter().zip(&found) {
                let alone = Drawn { begins: alloc::vec![(begin, Transfer { id: 0, ..transfer })], ..drawn };
                assert!(end >= ends(&alone, SimDuration::from_nanos(9_999_999))[0], "{seed}: {transfer:?}");
            }
        }
    }

    #[test]
    fn a_link_that_has_something_to_do_does_it() {
        for seed in 0..200 {
            // All through one link: however it is divided, it is done when a queue would be.
            let mut drawn = drawn(seed);
            drawn.begins.iter_mut().for_each(|(_, transfer)| transfer.route.to = 1);
            let mut free = SimTime::ZERO;
            let mut arrivals: Vec<_> = drawn
                .begins
                .iter()
                .map(|&(begin, transfer)| {
                    let set_up =
                        drawn.costs.latency + drawn.costs.per_descriptor.saturating_mul(transfer.num_descriptors);
                    (begin + set_up, transfer.num_bytes)
                })
                .collect();
            arrivals.sort_unstable();
            for (first_byte, num_bytes) in arrivals {
                free = free.max(first_byte) + SimDuration::from_nanos(num_bytes);
            }
            let last = ends(&drawn, SimDuration::from_nanos(50_000_000)).into_iter().max().expect("some");
            let difference = last.as_nanos().abs_diff(free.as_nanos());
            // A nanosecond for each time at which rates changed.
            assert!(difference <= 2 * drawn.begins.len() as u64, "{seed}: {last:?} {free:?}");
        }
    }

    #[test]
    fn of_two_on_one_way_the_smaller_that_began_first_ends_first() {
        for seed in 0..200 {
            let drawn = drawn(seed);
            let found = ends(&drawn, SimDuration::from_nanos(50_000_000));
            for (first, (begin, one)) in drawn.begins.iter().enumerate() {
                for (second, (_, other)) in drawn.begins.iter().enumerate().skip(first + 1) {
                    let is_first = one.num_bytes <= other.num_bytes && one.num_descriptors <= other.num_descriptors;
                    if one.route == other.route && is_first {
                        let (one, other) = (found[first], found[second]);
                        assert!(one.as_nanos() <= other.as_nanos() + 40, "{seed}: begun {begin:?}, {one:?} {other:?}");
                    }
                }
            }
        }
    }
}
