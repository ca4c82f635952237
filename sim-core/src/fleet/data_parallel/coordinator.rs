//! When balancers are told how busy the ranks are. Source: `vllm/v1/engine/coordinator.py::DPCoordinatorProc`.
//!
//! The process polls its sockets and publishes when nothing came for long enough. The time of a message between processes
//! is taken as none.

use alloc::vec;
use alloc::vec::Vec;

use super::balancer::EngineCounts;
use crate::time::{SimDuration, SimTime};

/// Between publications while counts change (`min_stats_update_interval_ms`).
const UPDATE_INTERVAL: SimDuration = SimDuration::from_nanos(100_000_000);
/// Between publications while nothing changes.
const IDLE_INTERVAL: SimDuration = SimDuration::from_nanos(5_000_000_000);
/// With ranks in lockstep so long must no message have come, for all of a step to be there.
const STEP_SETTLES: SimDuration = SimDuration::from_nanos(50_000_000);

/// A step of ranks in lockstep: its wave, and its number in that.
pub type WaveStep = (u64, u64);

/// The coordinator.
#[derive(Debug, Clone, PartialEq)]
pub struct Coordinator {
    is_lockstep: bool,
    counts: Vec<EngineCounts>,
    has_changed: bool,
    last_step: Option<WaveStep>,
    /// Counts when the newest step began: those of whole steps.
    step_counts: Option<Vec<EngineCounts>>,
    last_message_time: SimTime,
    last_publish_time: SimTime,
}

impl Coordinator {
    /// A coordinator that has heard nothing.
    #[must_use]
    pub fn new(num_ranks: usize, is_lockstep: bool) -> Self {
        Self {
            is_lockstep,
            counts: vec![EngineCounts::default(); num_ranks],
            has_changed: false,
            last_step: None,
            step_counts: None,
            last_message_time: SimTime::ZERO,
            last_publish_time: SimTime::ZERO,
        }
    }

    /// A rank tells its counts; in lockstep it says of which step they are.
    pub fn report(&mut self, now: SimTime, rank: usize, counts: EngineCounts, step: Option<WaveStep>) {
        self.last_message_time = self.last_message_time.max(now);
        if self.is_lockstep && step > self.last_step {
            if self.has_changed {
                self.step_counts = Some(self.counts.clone());
            }
            self.last_step = step;
        }
        if let Some(known) = self.counts.get_mut(rank) {
            *known = counts;
        }
        self.has_changed = true;
    }

    /// When counts are published next if nobody reports before.
    #[must_use]
    pub fn next_publish_time(&self) -> SimTime {
        let interval = if self.has_changed { UPDATE_INTERVAL } else { IDLE_INTERVAL };
        let settles = if self.is_lockstep && self.step_counts.is_none() { STEP_SETTLES } else { SimDuration::ZERO };
        let polled = self.last_message_time.max(self.last_publish_time);
        (self.last_publish_time + interval).max(polled + settles)
    }

    /// Publishes at `now`: what all balancers are told. In lockstep it is the last step that all ranks have told of.
    pub fn publish(&mut self, now: SimTime) -> Vec<EngineCounts> {
        self.last_publish_time = now;
        self.step_counts.take().unwrap_or_else(|| {
            self.has_changed = false;
            self.counts.clone()
        })
    }
}
