//! What clients reach of a replica: addresses, each with API servers, and vLLM's balancers where engines are behind one.

use alloc::vec::Vec;
use core::ops::Range;

use super::data_parallel::balancer::EngineCounts;
use super::data_parallel::coordinator::WaveStep;
use super::data_parallel::rank_desk::RankDesk;
use super::router::Arrival;
use crate::api_servers::ApiServers;
use crate::request::RequestId;
use crate::simulator::Simulation;
use crate::time::SimTime;

/// The front end of a replica.
#[derive(Debug)]
pub(super) struct Front {
    /// Its engines.
    engines: Range<usize>,
    /// Engines behind each address.
    num_local_ranks: usize,
    /// `None` where each address has one engine, which has API servers itself.
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    desk: RankDesk,
    /// Of each address; `None` where nobody waits for one, and while an engine has them.
    api_servers: Vec<Option<ApiServers>>,
}

impl Front {
    /// The front end of these engines of `all`, which have not begun; `is_lockstep` if they step together.
    pub(super) fn new(
        engines: Range<usize>,
        num_local_ranks: usize,
        all: &mut [Simulation<'_>],
        is_lockstep: bool,
    ) -> Self {
        let num_servers = all.get(engines.start).map_or(1, |engine| engine.config().api_server_count);
        let shared = (num_local_ranks > 1).then(|| Shared {
            desk: RankDesk::new((engines.len(), num_local_ranks), num_servers, is_lockstep),
            api_servers: Vec::new(),
        });
        let mut front = Self { engines, num_local_ranks, shared };
        front.share_api_servers(all);
        front
    }

    /// Engines that have not begun, or begin a group, put their API servers together.
    fn share_api_servers(&mut self, all: &mut [Simulation<'_>]) {
        let Some(shared) = &mut self.shared else { return };
        shared.api_servers.clear();
        for local in all[self.engines.clone()].chunks_mut(self.num_local_ranks) {
            let mut api_servers = None;
            for engine in local.iter_mut().rev() {
                // Those of the first are as good as any.
                api_servers = None;
                engine.swap_api_servers(&mut api_servers);
                engine.count_for_others();
            }
            shared.api_servers.push(api_servers);
        }
    }

    /// The engine of a request that comes to the address of this number, of all that the replica has, at `now`.
    pub(super) fn choose(&mut self, now: SimTime, address: usize, arrival: &Arrival<'_>) -> usize {
        let rank = match &mut self.shared {
            Some(shared) => shared.desk.choose(now, address, arrival),
            None => address,
        };
        self.engines.start + rank
    }

    /// At `time` it will be known here that a request of `engine` has ended.
    pub(super) fn hear_end(&mut self, time: SimTime, id: RequestId, engine: usize) {
        let rank = engine - self.engines.start;
        self.shared.iter_mut().for_each(|shared| shared.desk.hear_end(time, id, rank));
    }

    fn api_servers(&mut self, engine: usize) -> Option<&mut Option<ApiServers>> {
        let address = (engine - self.engines.start) / self.num_local_ranks;
        self.shared.as_mut()?.api_servers.get_mut(address)
    }

    /// Its API servers go to `simulation`, the engine of this number that is at work, or come back.
    pub(super) fn lend(&mut self, engine: usize, simulation: &mut Simulation<'_>) {
        if let Some(api_servers) = self.api_servers(engine) {
            simulation.swap_api_servers(api_servers);
        }
    }

    /// Whether what comes out of `engine` can keep what comes out of another waiting.
    pub(super) fn is_shared(&mut self, engine: usize) -> bool {
        self.api_servers(engine).is_some_and(|api_servers| api_servers.is_some())
    }

    /// The counts of `simulation`, the engine of this number, go to the coordinator, if they changed.
    pub(super) fn tell_counts(&mut self, engine: usize, simulation: &mut Simulation<'_>, step: Option<WaveStep>) {
        let Some(shared) = &mut self.shared else { return };
        if !simulation.is_suspended() {
            simulation.tell_counts();
        }
        let num_usable_blocks = simulation.engine().scheduler().kv_cache().num_usable_blocks();
        for (time, (num_running, num_waiting, num_free_blocks)) in simulation.take_counts() {
            let counts = EngineCounts::new(num_running, num_waiting, (num_free_blocks, num_usable_blocks));
            shared.desk.take_counts(time, engine - self.engines.start, counts, step);
        }
    }

    /// All requests so far have been answered, and the clock begins again.
    pub(super) fn begin_group(&mut self, all: &mut [Simulation<'_>]) {
        self.share_api_servers(all);
        self.shared.iter_mut().for_each(|shared| shared.desk.begin_group());
    }
}
