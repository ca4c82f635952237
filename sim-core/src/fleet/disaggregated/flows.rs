//! Transfers whose bytes are under way, over links that they share.
//!
//! Rates change only when a transfer begins to flow or ends, and then of those alone that share a link with it, or with one
//! that does; between two such instants all is linear.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::links::{Bandwidths, End, Route, fair_rates};
use crate::math;
use crate::time::{SimDuration, SimTime};

/// What is to be brought from where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// The caller's number for it.
    pub id: u32,
    /// Its engines.
    pub route: Route,
    /// Its bytes.
    pub num_bytes: u64,
    /// Pieces of memory that it is divided into.
    pub num_descriptors: u64,
}

/// A transfer whose bytes are under way.
#[derive(Debug, Clone, Copy)]
struct Flow {
    transfer: Transfer,
    /// Bytes that have not come by `since`, when its rate changed last.
    rest: f64,
    since: SimTime,
    /// Bytes per second.
    rate: f64,
    end: SimTime,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Flows {
    bandwidths: Bandwidths,
    /// By number, which is the order in which they came to flow.
    flows: BTreeMap<u64, Flow>,
    num_flows: u64,
    /// When each ends, and its number.
    ends: BTreeSet<(SimTime, u64)>,
    /// Numbers of those that go through each link.
    links: BTreeMap<End, BTreeSet<u64>>,
}

impl Flows {
    pub(super) fn new(bandwidths: Bandwidths) -> Self {
        let (flows, ends, links) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { bandwidths, flows, num_flows: 0, ends, links }
    }

    /// When the next one ends.
    pub(super) fn next_end(&self) -> SimTime {
        self.ends.first().map_or(SimTime::MAX, |&(end, _)| end)
    }

    /// The first that ends at `now`, if one does; [`Self::share`] is to follow.
    pub(super) fn take_ended(&mut self, now: SimTime) -> Option<Transfer> {
        let &(_, number) = self.ends.first().filter(|(end, _)| *end == now)?;
        self.remove(number)
    }

    /// The first byte of `transfer` comes now; [`Self::share`] is to follow.
    pub(super) fn add(&mut self, now: SimTime, transfer: Transfer) {
        let (number, rest) = (self.num_flows, math::u64_to_f64(transfer.num_bytes));
        self.num_flows += 1;
        self.flows.insert(number, Flow { transfer, rest, since: now, rate: 0.0, end: SimTime::MAX });
        self.ends.insert((SimTime::MAX, number));
        for end in transfer.route.ends() {
            self.links.entry(end).or_default().insert(number);
        }
    }

    /// The transfer `id` is given up; false if it is none of these.
    pub(super) fn give_up(&mut self, now: SimTime, id: u32) -> bool {
        let found = self.flows.iter().find(|(_, flow)| flow.transfer.id == id).map(|(&number, _)| number);
        let Some(transfer) = found.and_then(|number| self.remove(number)) else { return false };
        self.share(now, transfer.route.ends().into());
        true
    }

    fn remove(&mut self, number: u64) -> Option<Transfer> {
        let Flow { transfer, end, .. } = self.flows.remove(&number)?;
        self.ends.remove(&(end, number));
        for end in transfer.route.ends() {
            self.links.get_mut(&end).map(|flows| flows.remove(&number));
        }
        Some(transfer)
    }

    /// Divides the links anew at which something has changed by `now`, and those that share a transfer with one of these:
    /// nobody else's rate depends on them.
    pub(super) fn share(&mut self, now: SimTime, changed: Vec<End>) {
        let together = self.together(changed);
        let route = |number: &u64| Some(self.flows.get(number)?.transfer.route);
        let routes: Vec<Route> = together.iter().filter_map(route).collect();
        let rates = fair_rates(&routes, self.bandwidths);
        for (number, rate) in together.into_iter().zip(rates) {
            let Some(flow) = self.flows.get_mut(&number) else { continue };
            if rate.to_bits() == flow.rate.to_bits() {
                continue;
            }
            let span = now.saturating_since(flow.since);
            // An infinite rate leaves nothing, and ends at once.
            let come = if span == SimDuration::ZERO { 0.0 } else { flow.rate * span.as_secs_f64() };
            (flow.rest, flow.since, flow.rate) = (math::max(0.0, flow.rest - come), now, rate);
            self.ends.remove(&(flow.end, number));
            flow.end = now + SimDuration::from_secs_f64(flow.rest / rate);
            self.ends.insert((flow.end, number));
        }
    }

    /// Flows whose links are connected to `ends` by flows.
    fn together(&self, mut ends: Vec<End>) -> BTreeSet<u64> {
        let (mut flows, mut seen) = (BTreeSet::new(), BTreeSet::new());
        while let Some(end) = ends.pop() {
            if !seen.insert(end) {
                continue;
            }
            for &number in self.links.get(&end).into_iter().flatten() {
                if flows.insert(number)
                    && let Some(flow) = self.flows.get(&number)
                {
                    ends.extend(flow.transfer.route.ends());
                }
            }
        }
        flows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Pcg64;

    fn at(seconds: f64) -> SimTime {
        SimTime::from_secs_f64(seconds)
    }

    fn transfer(id: u32, from: u32, to: u32) -> Transfer {
        Transfer { id, route: Route { from, to }, num_bytes: 4_000_000_000, num_descriptors: 0 }
    }

    #[test]
    fn rates_are_those_of_all_links_looked_at_together() {
        for seed in 0..200 {
            let mut random = Pcg64::new(seed);
            let bandwidths = Bandwidths { sending: 1e9, receiving: 1e9 * f64::from(random.integers(1, 3)) };
            let mut flows = Flows::new(bandwidths);
            let mut now = SimTime::ZERO;
            for id in 0..40 {
                now += SimDuration::from_nanos(u64::from(random.integers(0, 900_000_000)));
                let mut changed = Vec::new();
                while flows.next_end() < now {
                    let end = flows.next_end();
                    let ended = flows.take_ended(end).expect("it ends then");
                    flows.share(end, ended.route.ends().into());
                }
                let new = transfer(id, random.integers(0, 4), random.integers(0, 6));
                flows.add(now, new);
                changed.extend(new.route.ends());
                flows.share(now, changed);
                if id % 5 == 4 {
                    flows.give_up(now, id - 2);
                }
                let routes: Vec<_> = flows.flows.values().map(|flow| flow.transfer.route).collect();
                let rates: Vec<_> = flows.flows.values().map(|flow| flow.rate).collect();
                assert_eq!(rates, fair_rates(&routes, bandwidths), "{seed}: {routes:?}");
                assert!(
                    flows.ends.iter().map(|(_, number)| number).collect::<BTreeSet<_>>().len() == routes.len(),
                    "{seed}: each ends once"
                );
            }
        }
    }

    #[test]
    fn a_change_is_nothing_to_those_who_share_no_link_with_it() {
        let mut flows = Flows::new(Bandwidths::both(1e9));
        for id in 0..1000 {
            flows.add(at(0.0), transfer(id, id, id));
            flows.share(at(0.0), transfer(id, id, id).route.ends().into());
        }
        let more = transfer(1000, 7, 8);
        flows.add(at(1.0), more);
        assert_eq!(flows.together(more.route.ends().into()).len(), 3, "of a thousand, it and those at its two ends");
        flows.share(at(1.0), more.route.ends().into());
        assert_eq!(flows.flows.values().filter(|flow| flow.since == at(1.0)).count(), 3, "nobody else was looked at");
    }
}
