//! What a run leaves behind, and what it is asked to.

use alloc::vec::Vec;

use crate::metrics::client_figures::ClientFigures;
use crate::metrics::recorder::Recording;
use crate::request::RequestId;
use crate::sched::scheduler::SchedulerStats;
use crate::time::{SimDuration, SimTime};

/// Device time by the evidence behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceTime {
    /// Sum over all passes.
    pub total: SimDuration,
    /// Of passes whose every term was measured at that very point.
    pub measured: SimDuration,
    /// Part beyond the measured range.
    pub extrapolated: SimDuration,
}

/// What a run is asked to keep beyond the summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SimulationOptions {
    /// Keep which passes gave each request its tokens: needed for per-request inter-token latencies.
    pub record_emissions: bool,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct SimulationResult {
    /// Passes and requests; empty where only [`Self::figures`] are kept.
    pub recording: Recording,
    /// What the client saw, where only that is kept ([`Simulation::keeping_figures`](crate::simulator::Simulation::keeping_figures)).
    pub figures: Option<ClientFigures>,
    /// Requests that joined before each iteration of the engine's loop: the run's input as the engine saw it. Empty, as the
    /// next, where it is not told ([`Simulation::without_input`](crate::simulator::Simulation::without_input)).
    pub queries_per_iter: Vec<u32>,
    /// The order in which they joined. Together the two replay the run with [`Traffic::QueriesPerIter`](crate::workload::Traffic::QueriesPerIter).
    pub join_order: Vec<RequestId>,
    /// The scheduler's counters.
    pub stats: SchedulerStats,
    /// Cached blocks that were reused for something else.
    pub num_evictions: u64,
    /// Where the time comes from.
    pub device_time: DeviceTime,
    /// When the engine came to rest.
    pub end_time: SimTime,
}

impl SchedulerStats {
    /// What both counted.
    #[must_use]
    pub const fn and(&self, other: &Self) -> Self {
        Self {
            num_preemptions: self.num_preemptions + other.num_preemptions,
            prefix_cache_queries: self.prefix_cache_queries + other.prefix_cache_queries,
            prefix_cache_hits: self.prefix_cache_hits + other.prefix_cache_hits,
            preempted_queries: self.preempted_queries + other.preempted_queries,
            preempted_hits: self.preempted_hits + other.preempted_hits,
        }
    }
}
