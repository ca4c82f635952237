//! How engines end: they can go no further, they die, the run is over.

use alloc::vec::Vec;

use super::Pool;
use super::steps::Wave;
use crate::client::Client;
use crate::fleet::front::Front;
use crate::fleet::replica_result::Parts;
use crate::fleet::{LockstepResult, ReplicaResult};
use crate::math;
use crate::request::RequestId;
use crate::simulator::Simulation;
use crate::time::SimTime;

impl<'a> Pool<'a> {
    /// Whether the engine of the next event can go no further, and nobody here has anything else to do.
    pub(in crate::fleet) fn is_next_in_vain(&self) -> bool {
        let (event, engine) = self.calendar.first();
        let is_in_vain = match self.waves.get(engine / self.layout.num_ranks) {
            None => self.is_stuck[engine],
            Some(wave) => wave.is_between_steps(),
        };
        event < SimTime::MAX && is_in_vain && self.are_stuck()
    }

    /// Whether engines that have something to do are stuck, one at least.
    fn are_stuck(&self) -> bool {
        let mut engines = self.engines.iter().zip(&self.is_stuck);
        self.is_any_stuck() && engines.all(|(engine, &is_stuck)| is_stuck || engine.next_event() == SimTime::MAX)
    }

    /// Whether any engine can go no further with the requests that it has.
    pub(in crate::fleet) fn is_any_stuck(&self) -> bool {
        self.is_stuck.contains(&true)
    }

    /// Whether nothing changes here any more unless something comes; engines that only wait for their blocks to be read
    /// have nothing else to do.
    pub(in crate::fleet) fn is_at_rest(&self) -> bool {
        self.engines.iter().zip(&self.is_stuck).all(|(engine, &is_stuck)| is_stuck || engine.is_at_rest())
    }

    /// Whether `replica` takes requests from now on; at first all do.
    pub(in crate::fleet) fn set_ready(&mut self, replica: usize, is_ready: bool) {
        for address in self.addresses_of(replica) {
            self.desk.set_ready(address, is_ready);
        }
    }

    /// The engines of `replica` are gone at `now`, and empty ones are in their place.
    pub(in crate::fleet) fn clear(&mut self, replica: usize, now: SimTime, client: &mut Client<'a>) {
        for engine in self.engines_of(replica) {
            let simulation = &mut self.engines[engine];
            simulation.swap_fleet(client, &mut self.requests);
            simulation.die(now);
            simulation.swap_fleet(client, &mut self.requests);
            self.is_stuck[engine] = false;
        }
        let is_lockstep = self.layout.dp_sync_interval.is_some();
        let (engines, num_local_ranks) = (self.engines_of(replica), self.layout.num_local_ranks);
        self.fronts[replica] = Front::new(engines, num_local_ranks, &mut self.engines, is_lockstep);
        self.pause(replica);
        for engine in self.engines_of(replica) {
            self.calendar.set(engine, self.engines[engine].next_event());
        }
    }

    /// The router hears at `now` that requests of `replica` are lost, and forgets what it knew of it.
    pub(in crate::fleet) fn forget(&mut self, replica: usize, now: SimTime, lost: &[RequestId]) {
        for &id in lost {
            let address = math::u32_to_usize(self.owners[id.index()]) / self.layout.num_local_ranks;
            self.desk.hear(now, id, address, true);
        }
        for address in self.addresses_of(replica) {
            self.desk.forget(now, address);
        }
    }

    /// The latest time of any engine of `replica`.
    pub(in crate::fleet) fn now_of(&self, replica: usize) -> SimTime {
        self.engines[self.engines_of(replica)].iter().map(Simulation::now).max().unwrap_or_default()
    }

    /// The latest time of any engine.
    pub(in crate::fleet) fn last_time(&self) -> SimTime {
        self.engines.iter().map(Simulation::now).max().unwrap_or_default()
    }

    /// Looks at everybody once more.
    pub(in crate::fleet) fn settle(&mut self, client: &mut Client<'a>) {
        for engine in &mut self.engines {
            engine.swap_fleet(client, &mut self.requests);
            engine.settle();
            engine.swap_fleet(client, &mut self.requests);
        }
    }

    /// What engines left, to be put together, and what those did that stepped together.
    pub(in crate::fleet) fn finish(self) -> (Parts, Together) {
        let usable = |engine: &Simulation<'_>| engine.engine().scheduler().kv_cache().num_usable_blocks();
        let parts = Parts {
            life: None,
            num_usable_blocks: self.engines.iter().map(usable).collect(),
            results: self.engines.into_iter().map(Simulation::finish).collect(),
            requests: self.requests,
            owners: self.owners,
        };
        (parts, Together { num_ranks: math::usize_to_u32(self.layout.num_ranks), waves: self.waves })
    }
}

/// How engines belong together, and what those did that stepped together.
#[derive(Debug)]
pub(in crate::fleet) struct Together {
    /// Engines of each replica.
    pub(in crate::fleet) num_ranks: u32,
    waves: Vec<Wave>,
}

impl Together {
    /// The sums over all replicas, and each engine's share of it; `None` if each did what it did alone.
    pub(in crate::fleet) fn finish(self, engines: &mut [ReplicaResult]) -> Option<LockstepResult> {
        let num_dummy_batches = self.waves.iter().flat_map(Wave::num_dummy_batches);
        for (engine, num_dummy_batches) in engines.iter_mut().zip(num_dummy_batches) {
            engine.num_dummy_batches = num_dummy_batches;
        }
        self.waves.iter().map(Wave::result).reduce(LockstepResult::and)
    }
}
