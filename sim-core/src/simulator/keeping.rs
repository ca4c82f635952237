//! What is kept of a run that is to come, where that is not everything, and how records begin again.

use super::Simulation;
use crate::api_servers::ApiServers;
use crate::device::Device;
use crate::engine_core::EngineCore;
use crate::metrics::recorder::{Keep, Recorder};
use crate::sched::scheduler::{Scheduler, SchedulerStats};
use crate::simulation_result::DeviceTime;
use crate::time::SimTime;

#[cfg(doc)]
use crate::simulation_result::SimulationResult;

/// Counts of the engine when the group that is sent began.
#[derive(Debug, Default)]
pub(super) struct Before {
    stats: SchedulerStats,
    num_evictions: u64,
    /// What engines counted that were here since and are gone.
    gone: SchedulerStats,
    num_gone_evictions: u64,
}

impl Before {
    /// What was counted since then, `scheduler` being the one that is here now.
    pub(super) fn stats_since(&self, scheduler: &Scheduler<'_>) -> SchedulerStats {
        self.gone.and(&scheduler.stats().since(&self.stats))
    }

    /// Blocks that lost their content since then.
    pub(super) fn evictions_since(&self, scheduler: &Scheduler<'_>) -> u64 {
        self.num_gone_evictions + scheduler.kv_cache().pool().num_evictions() - self.num_evictions
    }

    /// `scheduler` goes, and a new one takes its place, which has counted nothing.
    pub(super) fn replace(&mut self, scheduler: &Scheduler<'_>) {
        *self = Self {
            gone: self.stats_since(scheduler),
            num_gone_evictions: self.evictions_since(scheduler),
            ..Self::default()
        };
    }
}

impl Simulation<'_> {
    /// The same run, of which only the client's figures are kept ([`SimulationResult::figures`]): for tens of millions of
    /// requests. Before it has begun.
    #[must_use]
    pub fn keeping_figures(mut self) -> Self {
        self.keep = Keep::Figures;
        let num_drafts = self.config.num_speculative_tokens();
        self.recorder = Recorder::new(&self.workload.requests, num_drafts, self.keep);
        self.without_input()
    }

    /// The same run, which does not tell what the engine was given ([`SimulationResult::queries_per_iter`],
    /// [`SimulationResult::join_order`]): it cannot be replayed. Before it has begun.
    #[must_use]
    pub fn without_input(mut self) -> Self {
        // A script goes by the length of what it gave.
        self.keeps_input = self.script.is_some();
        self
    }

    /// The same run by an engine that looks at every request in every pass: the oracle of tests. Before it has begun.
    #[must_use]
    pub fn looking_at_all(mut self) -> Self {
        // With a connector it does so anyway.
        if self.config.kv_offloading.is_none() {
            self.engine = EngineCore::new(self.config, &self.workload.requests);
        }
        self
    }

    /// The same run by an engine that looks for ends of transfers as often as vLLM's does, though it sees nothing: the oracle of
    /// tests. Before it has begun.
    #[must_use]
    pub const fn making_each_look(mut self) -> Self {
        self.looks.make_each();
        self
    }

    /// A group was answered: the next one begins on the engine as it is, at rest, and with a clock and records of its own.
    pub(super) fn begin_next(&mut self) {
        self.client = self.turns.next_client(self.workload, self.step_time.host().client_work());
        self.begin_records();
    }

    pub(super) fn begin_records(&mut self) {
        self.now = SimTime::ZERO;
        self.device = Device::new(self.config.pipeline_parallel_size);
        self.api_servers = ApiServers::new(self.config.api_server_count, self.step_time);
        self.last_delivery_time = SimTime::ZERO;
        self.in_flight.clear();
        self.transfers.begin_group();
        self.looks.interrupt();
        self.queries_per_iter.clear();
        self.join_order.clear();
        self.device_time = DeviceTime::default();
        let num_drafts = self.config.num_speculative_tokens();
        self.recorder = Recorder::new(&self.workload.requests, num_drafts, self.keep);
        let scheduler = self.engine.scheduler();
        let num_evictions = scheduler.kv_cache().pool().num_evictions();
        self.before = Before { stats: scheduler.stats(), num_evictions, ..Before::default() };
    }
}
