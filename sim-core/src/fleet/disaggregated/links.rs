//! How fast transfers go that share links: max-min fair shares.
//!
//! Each engine has a link for what it sends and one for what it receives, all of a role of the same bandwidth; between
//! engines nothing is narrower. This is what congestion control aims at, not what a network does packet by packet.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use crate::math;

/// From which engine to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The engine that has the blocks.
    pub from: u32,
    /// The engine that gets them.
    pub to: u32,
}

/// The link of an engine that sends, or of one that receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Out of an engine.
    Sending(u32),
    /// Into one.
    Receiving(u32),
}

impl Route {
    /// The links on its way.
    #[must_use]
    pub const fn ends(self) -> [End; 2] {
        [End::Sending(self.from), End::Receiving(self.to)]
    }
}

/// What is left of a link, and how many transfers want a share of that.
#[derive(Debug, Clone, Copy)]
struct Link {
    left: f64,
    num_transfers: u32,
}

impl Link {
    fn share(self) -> f64 {
        if self.num_transfers > 0 { self.left / math::u32_to_f64(self.num_transfers) } else { f64::INFINITY }
    }

    fn give(&mut self, rate: f64) {
        self.left = math::max(0.0, self.left - rate);
        self.num_transfers -= 1;
    }
}

/// What an engine that sends sends in a second, and what one that receives receives; in any unit, may be infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bandwidths {
    /// Of each engine that sends.
    pub sending: f64,
    /// Of each engine that receives.
    pub receiving: f64,
}

impl Bandwidths {
    /// The same either way.
    #[must_use]
    pub const fn both(bandwidth: f64) -> Self {
        Self { sending: bandwidth, receiving: bandwidth }
    }
}

/// The rate of each transfer, in the unit of `bandwidths`: the tightest link is divided evenly among its transfers, then
/// the tightest of what is left. So nobody's rate can grow but at the cost of one that is not higher, and each
/// transfer goes through some link that is used up.
#[must_use]
pub fn fair_rates(routes: &[Route], bandwidths: Bandwidths) -> Vec<f64> {
    let Bandwidths { sending, receiving } = bandwidths;
    let mut rates = vec![math::min(sending, receiving); routes.len()];
    if sending == f64::INFINITY && receiving == f64::INFINITY {
        return rates;
    }
    // Sending links, then receiving ones; only those that somebody wants something of.
    let mut places: BTreeMap<End, usize> = routes.iter().flat_map(|route| route.ends()).map(|end| (end, 0)).collect();
    let mut links = Vec::with_capacity(places.len());
    for (end, place) in &mut places {
        *place = links.len();
        let left = if matches!(end, End::Sending(_)) { sending } else { receiving };
        links.push(Link { left, num_transfers: 0 });
    }
    let ends = |route: &Route| route.ends().map(|end| places.get(&end).copied().unwrap_or_default());
    for end in routes.iter().flat_map(ends) {
        links[end].num_transfers += 1;
    }
    let mut open: Vec<usize> = (0..routes.len()).collect();
    while !open.is_empty() {
        let mut tightest = 0;
        for (place, link) in links.iter().enumerate() {
            if link.share() < links[tightest].share() {
                tightest = place;
            }
        }
        let rate = links[tightest].share();
        open.retain(|&transfer| {
            let ends = ends(&routes[transfer]);
            let is_through = ends.contains(&tightest);
            if is_through {
                rates[transfer] = rate;
                ends.iter().for_each(|&end| links[end].give(rate));
            }
            !is_through
        });
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Pcg64;

    fn check(routes: &[(u32, u32)], expect: &[f64]) {
        let routes: Vec<_> = routes.iter().map(|&(from, to)| Route { from, to }).collect();
        assert_eq!(fair_rates(&routes, Bandwidths::both(12.0)), expect, "{routes:?}");
    }

    #[test]
    fn links_are_shared() {
        check(&[], &[]);
        check(&[(0, 0)], &[12.0]);
        check(&[(0, 0), (1, 1)], &[12.0, 12.0]);
        check(&[(0, 0), (0, 1)], &[6.0, 6.0]);
        check(&[(0, 0), (1, 0), (2, 0)], &[4.0, 4.0, 4.0]);
        // What the third cannot use of its sender's link, the fourth can.
        check(&[(0, 0), (1, 0), (2, 0), (2, 1)], &[4.0, 4.0, 4.0, 8.0]);
        check(&[(0, 0), (0, 1), (1, 1), (2, 1)], &[8.0, 4.0, 4.0, 4.0]);
        let endless = Bandwidths::both(f64::INFINITY);
        assert_eq!(fair_rates(&[Route { from: 0, to: 0 }; 2], endless), [f64::INFINITY; 2]);
    }

    #[test]
    fn the_narrower_side_decides() {
        let check = |sending, receiving, expect: &[f64]| {
            let routes = [Route { from: 0, to: 0 }, Route { from: 0, to: 1 }, Route { from: 1, to: 1 }];
            assert_eq!(fair_rates(&routes, Bandwidths { sending, receiving }), expect, "{sending} {receiving}");
        };
        check(12.0, f64::INFINITY, &[6.0, 6.0, 12.0]);
        check(f64::INFINITY, 12.0, &[12.0, 6.0, 6.0]);
        // One engine sends 4 a second, however much is received.
        check(4.0, 12.0, &[2.0, 2.0, 4.0]);
        check(24.0, 6.0, &[6.0, 3.0, 3.0]);
    }

    #[test]
    fn no_link_is_overfull_and_each_transfer_has_one_that_is_full() {
        for seed in 0..300 {
            let mut random = Pcg64::new(seed);
            let num_engines = random.integers(1, 6);
            let mut engine = || random.integers(0, num_engines - 1);
            let routes: Vec<_> = (0..seed % 17).map(|_| Route { from: engine(), to: engine() }).collect();
            let rates = fair_rates(&routes, Bandwidths::both(1.0));
            let load = |is_of: &dyn Fn(&Route) -> bool| -> f64 {
                routes.iter().zip(&rates).filter(|(route, _)| is_of(route)).map(|(_, rate)| rate).sum()
            };
            for (route, &rate) in routes.iter().zip(&rates) {
                let loads = [load(&|other| other.from == route.from), load(&|other| other.to == route.to)];
                assert!(rate > 0.0 && loads.iter().all(|&load| load < 1.0 + 1e-9), "{seed}: {loads:?}");
                // And on that one nobody is faster: else this one could have more.
                let fastest = |is_of: &dyn Fn(&Route) -> bool| {
                    let rates = routes.iter().zip(&rates).filter(|(other, _)| is_of(other)).map(|(_, &rate)| rate);
                    rates.fold(0.0, f64::max)
                };
                let most = [fastest(&|other| other.from == route.from), fastest(&|other| other.to == route.to)];
                let is_bound = loads.iter().zip(most).any(|(&load, most)| load > 1.0 - 1e-9 && most < rate + 1e-9);
                assert!(is_bound, "{seed}: {routes:?} {rates:?}");
            }
        }
    }
}
