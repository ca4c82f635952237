//! What every router is asked, and what it is shown.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::fleet::data_parallel::balancer::EngineCounts;
use crate::math;
use crate::request::{RequestId, TokenRun};
use crate::rng::Pcg64;

/// Characters that a token stands for where a router looks at text.
pub const CHARACTERS_PER_TOKEN: u32 = 4;

/// A request at the router.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The request.
    pub id: RequestId,
    /// Its prompt.
    pub prompt: &'a [TokenRun],
    /// Whose conversation it belongs to, where the client says it.
    pub session: Option<u64>,
}

impl Arrival<'_> {
    /// Tokens of the prompt.
    #[must_use]
    pub fn num_prompt_tokens(&self) -> u64 {
        self.prompt.iter().map(|run| u64::from(run.len)).sum()
    }
}

/// A replica as a router sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplicaView {
    /// Number of the replica in the fleet.
    pub replica: usize,
    /// Requests that this router sent there and that have not ended.
    pub num_in_flight: u64,
    /// What its metrics said when they were read last.
    pub scraped: EngineCounts,
}

/// A router. The same arrivals and views give the same choices.
pub trait Router: fmt::Debug {
    /// The place in `replicas` (at least one, in the order of their numbers, all ready) of the replica that gets a request.
    fn route(&mut self, arrival: &Arrival<'_>, replicas: &[ReplicaView], rng: &mut Pcg64) -> usize;

    /// The first token of a request came back from `replica`.
    fn note_first_token(&mut self, _id: RequestId, _replica: usize) {}

    /// A request ended, or failed, on `replica`.
    fn note_end(&mut self, _id: RequestId, _replica: usize) {}

    /// A replica is gone, and what it had cached with it.
    fn note_gone(&mut self, _replica: usize) {}
}

/// A router of its own for each fleet.
pub type BoxedRouter = Box<dyn Router>;

/// The places of the smallest of `keys`.
pub(super) fn places_of_least<K: PartialOrd + Copy>(keys: impl Iterator<Item = K>) -> Vec<usize> {
    let mut least: Option<K> = None;
    let mut places = Vec::new();
    for (place, key) in keys.enumerate() {
        if least.is_none_or(|least| key < least) {
            least = Some(key);
            places.clear();
        }
        if least.is_some_and(|least| key <= least) {
            places.push(place);
        }
    }
    places
}

/// One of `places`, each as likely; 0 if there are none.
pub(super) fn any_of(places: &[usize], rng: &mut Pcg64) -> usize {
    let count = math::usize_to_u32(places.len());
    if count <= 1 {
        return places.first().copied().unwrap_or(0);
    }
    places.get(rng.integers(0, count - 1) as usize).copied().unwrap_or(0)
}
