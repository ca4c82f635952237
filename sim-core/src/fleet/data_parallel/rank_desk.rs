//! vLLM's front end of several ranks: API servers, each with a balancer of its own, and the coordinator that tells them
//! what ranks told it. Source: `vllm/v1/engine/core_client.py::DPLBAsyncMPClient`, `coordinator.py::DPCoordinatorProc`.
//!
//! With `--data-parallel-hybrid-lb` each node has an address, API servers of its own behind that, and balancers that know of
//! the node's ranks only; the coordinator is that of all (`DPLBAsyncMPClient.count_slice`).
//!
//! Requests come to the API servers of an address in turn, as in `api_servers.rs`. Only when one is to be placed does it matter what was
//! told and published before: then it is caught up with, in order of time.

use alloc::collections::{BinaryHeap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::balancer::{Balancer, EngineCounts};
use super::coordinator::{Coordinator, WaveStep};
use crate::fleet::router::Arrival;
use crate::math;
use crate::request::RequestId;
use crate::time::SimTime;

/// The front end. A message between processes takes no time.
#[derive(Debug)]
pub(in crate::fleet) struct RankDesk {
    num_ranks: usize,
    /// Ranks behind each address.
    num_local_ranks: usize,
    is_lockstep: bool,
    /// API servers of each address.
    num_servers: usize,
    /// One for each API server: those of the first address, then those of the next.
    balancers: Vec<Balancer>,
    /// Of each address, who gets the next request.
    next_servers: Vec<usize>,
    coordinator: Coordinator,
    /// What ranks told and nobody looked at yet, by time.
    told: VecDeque<Told>,
    /// Each request's API server, by its place in [`Self::balancers`].
    servers: Vec<usize>,
    /// Answers on their way back: when they are here, whose, and of which rank.
    ends: BinaryHeap<Reverse<(SimTime, RequestId, usize)>>,
}

/// Counts of a rank, as it tells them.
#[derive(Debug, Clone, Copy)]
struct Told {
    time: SimTime,
    rank: usize,
    counts: EngineCounts,
    step: Option<WaveStep>,
}

impl RankDesk {
    /// A front end of so many ranks, so many of them behind each address, which has so many API servers.
    pub(in crate::fleet) fn new(
        (num_ranks, num_local_ranks): (usize, usize),
        num_servers: u32,
        is_lockstep: bool,
    ) -> Self {
        let (num_servers, num_addresses) = (num_servers.max(1), num_ranks / num_local_ranks.max(1));
        let balancers = |_| (0..num_servers).map(|server| Balancer::new(num_local_ranks, num_servers, server));
        Self {
            num_ranks,
            num_local_ranks,
            is_lockstep,
            num_servers: math::u32_to_usize(num_servers),
            balancers: (0..num_addresses).flat_map(balancers).collect(),
            next_servers: vec![0; num_addresses],
            coordinator: Coordinator::new(num_ranks, is_lockstep),
            told: VecDeque::new(),
            servers: Vec::new(),
            ends: BinaryHeap::new(),
        }
    }

    /// All that was told and published, and who was answered, until `now`.
    fn catch_up(&mut self, now: SimTime) {
        loop {
            let publish_time = self.coordinator.next_publish_time();
            match self.told.front().copied().filter(|told| told.time <= publish_time.min(now)) {
                Some(told) => {
                    self.told.pop_front();
                    self.coordinator.report(told.time, told.rank, told.counts, told.step);
                }
                None if publish_time <= now => {
                    let counts = self.coordinator.publish(publish_time);
                    self.tell_balancers(&counts);
                }
                None => break,
            }
        }
        while let Some(&Reverse((time, id, rank))) = self.ends.peek()
            && time <= now
        {
            self.ends.pop();
            if let Some(balancer) = self.servers.get(id.index()).and_then(|&server| self.balancers.get_mut(server)) {
                balancer.finish(rank % self.num_local_ranks);
            }
        }
    }

    /// Each balancer is told the counts of its ranks.
    fn tell_balancers(&mut self, counts: &[EngineCounts]) {
        let of_addresses = self.balancers.chunks_mut(self.num_servers).zip(counts.chunks(self.num_local_ranks));
        for (balancers, counts) in of_addresses {
            balancers.iter_mut().for_each(|balancer| balancer.take_snapshot(counts));
        }
    }

    /// The rank of a request that comes to an address at `now`. Times do not decrease from call to call.
    pub(in crate::fleet) fn choose(&mut self, now: SimTime, address: usize, arrival: &Arrival<'_>) -> usize {
        self.catch_up(now);
        let next = self.next_servers[address];
        self.next_servers[address] = (next + 1) % self.num_servers;
        let server = address * self.num_servers + next;
        let place = arrival.id.index();
        if self.servers.len() <= place {
            self.servers.resize(place + 1, 0);
        }
        self.servers[place] = server;
        address * self.num_local_ranks + self.balancers[server].choose()
    }

    /// At `time` it will have come back from `rank` that the request's last token is there. Told in any order.
    pub(in crate::fleet) fn hear_end(&mut self, time: SimTime, id: RequestId, rank: usize) {
        self.ends.push(Reverse((time, id, rank)));
    }

    /// `rank` tells that its counts have become these at `time`; in lockstep it says in which step. Told in any order.
    pub(in crate::fleet) fn take_counts(
        &mut self,
        time: SimTime,
        rank: usize,
        counts: EngineCounts,
        step: Option<WaveStep>,
    ) {
        let place = self.told.partition_point(|told| told.time <= time);
        self.told.insert(place, Told { time, rank, counts, step });
    }

    /// All requests so far have been answered, and the clock begins again.
    pub(in crate::fleet) fn begin_group(&mut self) {
        while let Some(Reverse((_, id, rank))) = self.ends.pop() {
            self.balancers[self.servers[id.index()]].finish(rank % self.num_local_ranks);
        }
        // Ranks are at rest, and long enough for all balancers to know it.
        self.told.clear();
        self.coordinator = Coordinator::new(self.num_ranks, self.is_lockstep);
        let at_rest = vec![EngineCounts::default(); self.num_ranks];
        self.tell_balancers(&at_rest);
    }
}
