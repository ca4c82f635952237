//! What came of a fleet's life.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::math;
use crate::metrics::latency_summary::LatencySummary;
use crate::metrics::recorder::Recording;
use crate::request::RequestId;
use crate::time::SimTime;

/// What happened to a fleet, and to its requests because of that.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LifeResult {
    /// Times that a request lost its replica, in all.
    pub num_losses: u64,
    /// Times that a measured request was sent again without having got a token, or found no replica.
    pub num_retries: u64,
    /// Times that a measured request was gone on with elsewhere.
    pub num_migrations: u64,
    /// Measured requests that any of this happened to, by number.
    pub touched: Vec<RequestId>,
    /// Measured requests that failed, by number; what they had got by then is in their records.
    pub failed: Vec<RequestId>,
    /// Which replicas there were.
    pub presence: Presence,
}

/// Which replicas there were.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Presence {
    /// How many and when, in order and without gaps.
    pub phases: Vec<Phase>,
    /// Seconds of all replicas together, from when one begins to start until it has stopped; one that is to come back
    /// after it died keeps its machine.
    pub replica_seconds: f64,
}

/// What happened to a fleet whose prompts are computed by some replicas and whose answers by others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RolesLife {
    /// What happened to requests, on replicas of either role; its replicas are those that answer.
    pub life: LifeResult,
    /// Which replicas there were that compute prompts.
    pub prefill: Presence,
}

/// For how long there were so many replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// Begin.
    pub from: SimTime,
    /// End.
    pub until: SimTime,
    /// Replicas that take requests.
    pub num_ready: u32,
    /// Replicas that do not yet: they start, or come back.
    pub num_coming: u32,
    /// Replicas that answer what they have and take no more.
    pub num_draining: u32,
}

/// Seconds in an hour.
const HOUR: f64 = 3600.0;

impl LifeResult {
    /// Latencies of the requests that something happened to, and of all others; `recording` is the fleet's.
    #[must_use]
    pub fn latencies(&self, recording: &Recording) -> [LatencySummary; 2] {
        let touched: BTreeSet<_> = self.touched.iter().map(|id| id.index()).collect();
        [true, false].map(|is_touched| {
            let requests = 0..recording.requests.len();
            LatencySummary::of(recording, requests.filter(|index| touched.contains(index) == is_touched))
        })
    }

    /// Tokens that clients got of answers that failed.
    #[must_use]
    pub fn num_tokens_of_failed(&self, recording: &Recording) -> u64 {
        let records = self.failed.iter().filter_map(|id| recording.requests.get(id.index()));
        records.map(|record| u64::from(record.num_output_tokens)).sum()
    }
}

impl Presence {
    /// Replicas that took requests, in the mean over time.
    #[must_use]
    pub fn mean_ready(&self) -> f64 {
        let seconds = |phase: &Phase| phase.until.saturating_since(phase.from).as_secs_f64();
        let sum: f64 = self.phases.iter().map(|phase| seconds(phase) * math::u32_to_f64(phase.num_ready)).sum();
        let length: f64 = self.phases.iter().map(seconds).sum();
        if length > 0.0 { sum / length } else { 0.0 }
    }

    /// Hours of all GPUs together, of so many to a replica; see [`Self::replica_seconds`].
    #[must_use]
    pub fn gpu_hours(&self, num_gpus: u32) -> f64 {
        self.replica_seconds * math::u32_to_f64(num_gpus) / HOUR
    }
}
