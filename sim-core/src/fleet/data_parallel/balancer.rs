//! Which rank gets a request. Source: `vllm/v1/engine/core_client.py::DPLBAsyncMPClient.get_core_engine_for_request`.

use alloc::vec;
use alloc::vec::Vec;

use crate::math;

/// What a rank tells of itself (`DPCoordinatorProc`: waiting, running, KV usage).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EngineCounts {
    /// Waiting requests, and what clients added to them since they were told.
    pub num_waiting: u64,
    /// Running requests.
    pub num_running: u64,
    /// Used share of the KV blocks, from 0 to 1.
    pub kv_cache_usage: f64,
}

impl EngineCounts {
    /// Of so many running and waiting requests, and of KV blocks, of which so many are free and can be used.
    #[must_use]
    pub fn new(num_running: u32, num_waiting: u32, (num_free_blocks, num_usable_blocks): (u32, u32)) -> Self {
        let blocks = (u64::from(num_free_blocks), u64::from(num_usable_blocks));
        Self::of_several(u64::from(num_running), u64::from(num_waiting), blocks)
    }

    /// The same of several engines together.
    #[must_use]
    pub(in crate::fleet) fn of_several(
        num_running: u64,
        num_waiting: u64,
        (num_free_blocks, num_usable_blocks): (u64, u64),
    ) -> Self {
        let num_used = math::u64_to_f64(num_usable_blocks.saturating_sub(num_free_blocks));
        let kv_cache_usage = num_used / math::max(1.0, math::u64_to_f64(num_usable_blocks));
        Self { num_waiting, num_running, kv_cache_usage }
    }
}

/// Each waiting request counts for so many more at a full KV cache, and for none more below half of it.
const WAITING_WEIGHT: f64 = 6.0;
/// Share of the KV cache in use above which waiting requests weigh more.
const FREE_KV_CACHE_USAGE: f64 = 0.5;

/// The balancer of one API server: it knows its own requests exactly, and of all others what it was told last.
#[derive(Debug, Clone, PartialEq)]
pub struct Balancer {
    /// API servers that give requests to the same ranks.
    num_clients: u64,
    /// Rank that is looked at first, so that equal ranks take turns.
    start: usize,
    counts: Vec<EngineCounts>,
    /// This server's requests that have not ended, by rank.
    num_in_flight: Vec<u64>,
}

impl Balancer {
    /// The balancer of API server `client` of `num_clients`, with nothing under way on `num_ranks` ranks. Servers start at
    /// ranks that are evenly spread.
    #[must_use]
    pub fn new(num_ranks: usize, num_clients: u32, client: u32) -> Self {
        Self {
            num_clients: u64::from(num_clients),
            start: num_ranks * client as usize / num_clients.max(1) as usize,
            counts: vec![EngineCounts::default(); num_ranks],
            num_in_flight: vec![0; num_ranks],
        }
    }

    /// The rank that gets the next request: the first with the lowest score. The count it was told is raised, until it is
    /// told another.
    pub fn choose(&mut self) -> usize {
        let num_ranks = self.counts.len();
        let ranks = (0..num_ranks).map(|place| (self.start + place) % num_ranks);
        let mut best: Option<(f64, usize)> = None;
        for rank in ranks {
            let score = self.score(rank);
            if best.is_none_or(|(lowest, _)| score < lowest) {
                best = Some((score, rank));
            }
        }
        let rank = best.map_or(0, |(_, rank)| rank);
        if let Some(counts) = self.counts.get_mut(rank) {
            counts.num_waiting += self.num_clients;
        }
        self.start = (self.start + 1) % num_ranks.max(1);
        self.assign(rank);
        rank
    }

    /// A request goes to `rank` because it says so (`X-data-parallel-rank`): what was told and whose turn it is stay.
    pub fn assign(&mut self, rank: usize) {
        if let Some(num_in_flight) = self.num_in_flight.get_mut(rank) {
            *num_in_flight += 1;
        }
    }

    /// A request of this server ended on `rank`.
    pub fn finish(&mut self, rank: usize) {
        if let Some(num_in_flight) = self.num_in_flight.get_mut(rank) {
            *num_in_flight = num_in_flight.saturating_sub(1);
        }
    }

    /// The coordinator tells the counts of all ranks; what was added to the last ones is forgotten.
    pub fn take_snapshot(&mut self, counts: &[EngineCounts]) {
        self.counts.clear();
        self.counts.extend_from_slice(counts);
        self.num_in_flight.resize(counts.len(), 0);
    }

    /// The counts as this server sees them.
    #[must_use]
    pub fn counts(&self) -> &[EngineCounts] {
        &self.counts
    }

    /// Rank that the next choice begins with.
    #[must_use]
    pub const fn start(&self) -> usize {
        self.start
    }

    /// How busy a rank seems: what was told, but at least this server's own requests times the number of servers.
    fn score(&self, rank: usize) -> f64 {
        let Some(counts) = self.counts.get(rank) else { return f64::INFINITY };
        let own = self.num_in_flight.get(rank).map_or(0, |number| number * self.num_clients);
        let load = math::u64_to_f64(own.max(counts.num_waiting + counts.num_running));
        if counts.num_waiting == 0 {
            return load;
        }
        let pressure = math::max(0.0, counts.kv_cache_usage - FREE_KV_CACHE_USAGE);
        load + math::u64_to_f64(counts.num_waiting) * WAITING_WEIGHT * pressure
    }
}
