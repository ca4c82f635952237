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

/// Transfers in one direction between the device and the host's memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransferTotals {
    /// How many.
    pub num_transfers: u64,
    /// Bytes of one device.
    pub num_bytes: u64,
    /// Time of the link.
    pub time: SimDuration,
}

/// What an engine did that keeps KV blocks in the host's memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OffloadingTotals {
    /// Tokens that came from there instead of being computed.
    pub num_loaded_tokens: u64,
    /// To the device.
    pub loads: TransferTotals,
    /// From the device.
    pub stores: TransferTotals,
    /// Time for which passes waited until blocks were saved that they were to write to.
    pub flush_wait: SimDuration,
    /// Chunks in the tier, at the most.
    pub max_chunks: u32,
}

impl OffloadingTotals {
    /// What both did, beside each other.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let both = |one: TransferTotals, other: TransferTotals| TransferTotals {
            num_transfers: one.num_transfers + other.num_transfers,
            num_bytes: one.num_bytes.saturating_add(other.num_bytes),
            time: one.time + other.time,
        };
        Self {
            num_loaded_tokens: self.num_loaded_tokens + other.num_loaded_tokens,
            loads: both(self.loads, other.loads),
            stores: both(self.stores, other.stores),
            flush_wait: self.flush_wait + other.flush_wait,
            max_chunks: self.max_chunks.saturating_add(other.max_chunks),
        }
    }
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
    /// What was kept in the host's memory, and came back; `None` without that.
    pub offloading: Option<OffloadingTotals>,
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
