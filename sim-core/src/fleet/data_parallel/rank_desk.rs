//! vLLM's front end of several ranks: API servers, each with a balancer of its own, and the coordinator that tells them
//! what ranks told it. Source: `vllm/v1/engine/core_client.py::DPLBAsyncMPClient`, `coordinator.py::DPCoordinatorProc`.
//!
//! Requests come to the API servers in turn, as in `api_servers.rs`. Only when one is to be placed does it matter what was
//! told and published before: then it is caught up with, in order of time.

use alloc::collections::{BinaryHeap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::balancer::{Balancer, EngineCounts};
use super::coordinator::{Coordinator, WaveStep};
use crate::fleet::desk::Desk;
use crate::fleet::router::Arrival;
use crate::request::RequestId;
use crate::simulator::Simulation;
use crate::time::SimTime;

/// The front end. A message between processes takes no time.
#[derive(Debug)]
pub(in crate::fleet) struct RankDesk {
    num_ranks: usize,
    is_lockstep: bool,
    /// One for each API server.
    balancers: Vec<Balancer>,
    /// Who gets the next request.
    next_server: usize,
    coordinator: Coordinator,
    /// What ranks told and nobody looked at yet, by time.
    told: VecDeque<Told>,
    /// Each request's API server.
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
    pub(in crate::fleet) fn new(num_ranks: usize, num_servers: u32, is_lockstep: bool) -> Self {
        let balancer = |server| Balancer::new(num_ranks, num_servers.max(1), server);
        Self {
            num_ranks,
            is_lockstep,
            balancers: (0..num_servers.max(1)).map(balancer).collect(),
            next_server: 0,
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
                    self.balancers.iter_mut().for_each(|balancer| balancer.take_snapshot(&counts));
                }
                None => break,
            }
        }
        while let Some(&Reverse((time, id, rank))) = self.ends.peek()
            && time <= now
        {
            self.ends.pop();
            if let Some(balancer) = self.servers.get(id.index()).and_then(|&server| self.balancers.get_mut(server)) {
                balancer.finish(rank);
            }
        }
    }
}

impl Desk for RankDesk {
    fn choose(&mut self, now: SimTime, arrival: &Arrival<'_>) -> usize {
        self.catch_up(now);
        let server = self.next_server;
        self.next_server = (server + 1) % self.balancers.len();
        let place = arrival.id.index();
        if self.servers.len() <= place {
            self.servers.resize(place + 1, 0);
        }
        self.servers[place] = server;
        self.balancers[server].choose()
    }

    fn hear(&mut self, time: SimTime, id: RequestId, replica: usize, is_end: bool) {
        if is_end {
            self.ends.push(Reverse((time, id, replica)));
        }
    }

    fn next_look(&self) -> SimTime {
        SimTime::MAX
    }

    fn look(&mut self, _now: SimTime, _replicas: &[Simulation<'_>]) {}

    fn take_counts(&mut self, time: SimTime, rank: usize, counts: EngineCounts, step: Option<WaveStep>) {
        let place = self.told.partition_point(|told| told.time <= time);
        self.told.insert(place, Told { time, rank, counts, step });
    }

    fn begin_group(&mut self) {
        while let Some(Reverse((_, id, rank))) = self.ends.pop() {
            self.balancers[self.servers[id.index()]].finish(rank);
        }
        // Ranks are at rest, and long enough for all balancers to know it.
        self.told.clear();
        self.coordinator = Coordinator::new(self.num_ranks, self.is_lockstep);
        let at_rest = vec![EngineCounts::default(); self.num_ranks];
        self.balancers.iter_mut().for_each(|balancer| balancer.take_snapshot(&at_rest));
    }
}
