//! Routers that look at no prompt.

use alloc::vec::Vec;

use super::routing::{Arrival, ReplicaView, Router, any_of, places_of_least};
use crate::math;
use crate::rng::Pcg64;

/// In turn, by number. Source: production-stack, `routing_logic.py::RoundRobinRouter`.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    num_routed: usize,
}

impl Router for RoundRobin {
    fn route(&mut self, _arrival: &Arrival<'_>, replicas: &[ReplicaView], _rng: &mut Pcg64) -> usize {
        let place = self.num_routed % replicas.len().max(1);
        self.num_routed += 1;
        place
    }
}

/// Any, each as likely. Source: vllm-router, `src/policies/random.rs`.
#[derive(Debug)]
pub(super) struct Random;

impl Router for Random {
    fn route(&mut self, _arrival: &Arrival<'_>, replicas: &[ReplicaView], rng: &mut Pcg64) -> usize {
        rng.integers(0, math::usize_to_u32(replicas.len()).saturating_sub(1)) as usize
    }
}

/// The first of those with the fewest requests of this router under way.
#[derive(Debug)]
pub(super) struct LeastLoaded;

impl Router for LeastLoaded {
    fn route(&mut self, _arrival: &Arrival<'_>, replicas: &[ReplicaView], _rng: &mut Pcg64) -> usize {
        least_loaded(replicas)
    }
}

/// The place of the first replica with the fewest requests under way.
pub(super) fn least_loaded(replicas: &[ReplicaView]) -> usize {
    places_of_least(replicas.iter().map(|view| view.num_in_flight)).first().copied().unwrap_or(0)
}

/// The less loaded of two that are drawn; the first drawn of equals. Load is this router's own requests. Source: vllm-router,
/// `src/policies/power_of_two.rs`, which adds what servers answer to `/load`: that is 0 unless they count their requests
/// (vLLM's `--enable-server-load-tracking`, off by default).
#[derive(Debug)]
pub(super) struct PowerOfTwo;

impl Router for PowerOfTwo {
    fn route(&mut self, _arrival: &Arrival<'_>, replicas: &[ReplicaView], rng: &mut Pcg64) -> usize {
        let count = math::usize_to_u32(replicas.len());
        if count < 2 {
            return 0;
        }
        let first = rng.integers(0, count - 1) as usize;
        // Another one, each as likely.
        let step = rng.integers(1, count - 1) as usize;
        let second = (first + step) % replicas.len();
        let load = |place: usize| replicas.get(place).map_or(0, |view| view.num_in_flight);
        if load(first) <= load(second) { first } else { second }
    }
}

/// Whichever comes first in `replicas`, of `chosen` numbers drawn at random.
pub(super) fn any_with_number(replicas: &[ReplicaView], chosen: &[usize], rng: &mut Pcg64) -> Option<usize> {
    let places: Vec<_> = replicas
        .iter()
        .enumerate()
        .filter(|(_, view)| chosen.contains(&view.replica))
        .map(|(place, _)| place)
        .collect();
    (!places.is_empty()).then(|| any_of(&places, rng))
}
