//! What a run leaves behind, and what it is asked to.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::kv_offload::settings::MAX_SECONDARY_TIERS;
use crate::metrics::client_figures::ClientFigures;
use crate::metrics::recorder::Recording;
use crate::profile::step_time::{Evidence, StepTime};
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

impl DeviceTime {
    /// A pass takes so long.
    #[inline]
    pub(crate) fn count(&mut self, pass: &StepTime) {
        self.total += pass.duration;
        self.extrapolated += pass.extrapolated;
        if pass.evidence == Evidence::Measured {
            self.measured += pass.duration;
        }
    }

    /// A pass that was counted is run in another way.
    pub(crate) fn take_back(&mut self, pass: &StepTime) {
        let without =
            |of: SimDuration, part: SimDuration| SimDuration::from_nanos(of.as_nanos().saturating_sub(part.as_nanos()));
        self.total = without(self.total, pass.duration);
        self.extrapolated = without(self.extrapolated, pass.extrapolated);
        if pass.evidence == Evidence::Measured {
            self.measured = without(self.measured, pass.duration);
        }
    }
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

impl TransferTotals {
    fn and(self, other: Self) -> Self {
        Self {
            num_transfers: self.num_transfers + other.num_transfers,
            num_bytes: self.num_bytes.saturating_add(other.num_bytes),
            time: self.time + other.time,
        }
    }
}

/// A transfer between the device and the host's memory that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedTransfer {
    /// Whether it left the device.
    pub is_store: bool,
    /// Bytes of one device.
    pub num_bytes: u64,
    /// Time of the link.
    pub time: SimDuration,
}

/// What went between the host's memory and a tier behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TierTotals {
    /// From the tier; bytes of all devices together, time of each transfer since it began.
    pub reads: TransferTotals,
    /// To the tier.
    pub writes: TransferTotals,
    /// Chunks that it was asked for.
    pub num_lookups: u64,
    /// Chunks that it has in the end.
    pub num_chunks: u64,
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
    /// Of the tokens loaded, those that had to be brought from behind the host's memory first.
    pub num_tier_tokens: u64,
    /// Chunks that were kept from tiers that did not keep up.
    pub num_dropped_chunks: u64,
    /// The tiers behind it.
    pub tiers: [TierTotals; MAX_SECONDARY_TIERS],
}

impl OffloadingTotals {
    /// What both did, beside each other.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut tiers = self.tiers;
        for (one, other) in tiers.iter_mut().zip(&other.tiers) {
            *one = TierTotals {
                reads: one.reads.and(other.reads),
                writes: one.writes.and(other.writes),
                num_lookups: one.num_lookups + other.num_lookups,
                num_chunks: one.num_chunks + other.num_chunks,
            };
        }
        Self {
            num_loaded_tokens: self.num_loaded_tokens + other.num_loaded_tokens,
            loads: self.loads.and(other.loads),
            stores: self.stores.and(other.stores),
            flush_wait: self.flush_wait + other.flush_wait,
            max_chunks: self.max_chunks.saturating_add(other.max_chunks),
            num_tier_tokens: self.num_tier_tokens + other.num_tier_tokens,
            num_dropped_chunks: self.num_dropped_chunks + other.num_dropped_chunks,
            tiers,
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

/// What is said where that many requests do not end although nothing else is under way.
#[must_use]
pub fn never_end(num_requests: usize) -> String {
    format!(
        "{num_requests} requests never end: no pass has the budget for a part of their prompt, or there are too few KV \
         blocks for what they compute"
    )
}
