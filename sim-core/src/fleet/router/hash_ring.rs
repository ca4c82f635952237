//! The same session goes to the same replica, and few sessions move when a replica comes or goes.
//!
//! A ring of points, some for each replica; a session belongs to the first point at or behind its own (Karger et al.,
//! *Consistent Hashing and Random Trees*, 1997). Which replica that is depends on the hash, and real routers hash
//! addresses, which nobody has here: how sessions are spread is theirs in kind, not one by one. Sources: production-stack,
//! `routing_logic.py::SessionRouter` (160 points in `uhashring`), vllm-router, `src/policies/consistent_hash.rs` (160).

use alloc::vec::Vec;

use super::routing::{Arrival, ReplicaView, Router};
use super::spread::least_loaded;
use crate::math;
use crate::rng::Pcg64;

/// Points of a replica (`VIRTUAL_NODES_PER_WORKER`).
const POINTS_PER_REPLICA: u32 = 160;

/// By session. A request without one goes to the least loaded.
#[derive(Debug, Default)]
pub(super) struct ConsistentHash {
    /// Points and their replicas, in order.
    ring: Vec<(u64, usize)>,
    /// Whose points these are.
    replicas: Vec<usize>,
}

impl ConsistentHash {
    fn rebuild(&mut self, replicas: &[ReplicaView]) {
        if self.replicas.iter().copied().eq(replicas.iter().map(|view| view.replica)) {
            return;
        }
        self.replicas = replicas.iter().map(|view| view.replica).collect();
        self.ring.clear();
        for &replica in &self.replicas {
            let number = u64::from(math::usize_to_u32(replica));
            self.ring.extend((0..POINTS_PER_REPLICA).map(|point| (mixed((number << 32) | u64::from(point)), replica)));
        }
        self.ring.sort_unstable();
    }
}

impl Router for ConsistentHash {
    fn route(&mut self, arrival: &Arrival<'_>, replicas: &[ReplicaView], _rng: &mut Pcg64) -> usize {
        let Some(session) = arrival.session else { return least_loaded(replicas) };
        self.rebuild(replicas);
        let point = mixed(session ^ SESSION_SALT);
        let behind = self.ring.partition_point(|&(at, _)| at < point);
        let owner = self.ring.get(behind).or_else(|| self.ring.first()).map(|&(_, replica)| replica);
        replicas.iter().position(|view| Some(view.replica) == owner).unwrap_or(0)
    }
}

/// Sessions and replicas have numbers from 0 alike, and must not share points.
const SESSION_SALT: u64 = 0x5E55_1014_0000_0000;

/// A number that looks random, one to one (Steele et al., *Fast Splittable Pseudorandom Number Generators*, 2014: the
/// output function of `SplitMix64`).
const fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
