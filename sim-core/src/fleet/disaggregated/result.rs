//! What came of a fleet with prefill and decode on engines of their own.

use alloc::vec::Vec;

use super::super::life::RolesLife;
use super::super::pool::Together;
use super::super::replica_result::{LockstepResult, Parts, ReplicaResult};
use crate::math;
use crate::simulation_result::SimulationResult;
use crate::time::{SimDuration, SimTime};
use crate::workload::Workload;

/// What came of it.
#[derive(Debug, Clone)]
pub struct DisaggregatedResult {
    /// What clients saw; the passes are those of decode engines.
    pub whole: SimulationResult,
    /// Engines that computed prompts: each request is one token to them.
    pub prefill: RoleResult,
    /// Engines that answered.
    pub decode: RoleResult,
    /// Loads of measured requests that ended, in their order.
    pub transfers: Vec<TransferRecord>,
    /// What happened to replicas, where something could.
    pub life: Option<RolesLife>,
}

/// What came of a role's engines.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleResult {
    /// Each one's: those of the first replica, then those of the next.
    pub replicas: Vec<ReplicaResult>,
    /// Engines of each replica: its data-parallel ranks.
    pub num_ranks: u32,
    /// Share of the run in which passes of it ran on its devices, in the mean over the stages.
    pub utilisations: Vec<f64>,
    /// Each measured request's engine.
    pub owners: Vec<u32>,
    /// What ranks did together, the sums over all replicas; `None` if each engine did what it did alone.
    pub lockstep: Option<LockstepResult>,
}

/// A hand-over of a request's blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransferRecord {
    /// When the prefill side's answer came to the proxy.
    pub answer_time: SimTime,
    /// When the decode engine began to load.
    pub begin_time: SimTime,
    /// When that was over.
    pub end_time: SimTime,
    /// Bytes loaded.
    pub num_bytes: u64,
    /// Whether nothing came after all.
    pub has_failed: bool,
    /// Whether that was because the engine is gone that had the blocks.
    pub is_lost: bool,
    /// Whether it has ended.
    pub is_over: bool,
}

impl TransferRecord {
    /// How long the transfer took.
    #[must_use]
    pub fn duration(&self) -> SimDuration {
        self.end_time.saturating_since(self.begin_time)
    }

    /// How long the request waited for an engine to begin loading it.
    #[must_use]
    pub fn wait(&self) -> SimDuration {
        self.begin_time.saturating_since(self.answer_time)
    }
}

impl RoleResult {
    /// Of what a role's engines of so many stages left, in a run that was over at `end`; and that, put together.
    pub(super) fn of(
        workload: &Workload,
        (parts, together, num_stages): (Parts, Together, u32),
        end: SimTime,
    ) -> (Self, SimulationResult) {
        // A pass is on one of the stages at a time.
        let busy = |result: &SimulationResult| result.device_time.total.as_secs_f64() / math::u32_to_f64(num_stages);
        let busy: Vec<_> = parts.results.iter().map(busy).collect();
        let end = end.as_secs_f64();
        let mut whole = parts.whole(workload);
        let num_ranks = together.num_ranks;
        let lockstep = together.finish(&mut whole.replicas);
        let share = |busy: f64| if end > 0.0 { busy / end } else { 0.0 };
        let role = Self {
            replicas: whole.replicas,
            num_ranks,
            utilisations: busy.into_iter().map(share).collect(),
            owners: whole.owners,
            lockstep,
        };
        (role, whole.whole)
    }

    /// The mean over its engines.
    #[must_use]
    pub fn utilisation(&self) -> f64 {
        self.utilisations.iter().sum::<f64>() / math::max(1.0, math::usize_to_f64(self.utilisations.len()))
    }
}
