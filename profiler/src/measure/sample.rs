//! What is kept of every pass that was seen.

use sim_core::batch::{AttentionSpan, BatchComposition};

use super::plan::Point;
use crate::engine::Run;

/// Passes at the start of a script that find cold caches.
const NUM_WARM_UP_PASSES: usize = 2;

/// What a pass was in its script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PassRole {
    /// The first passes of the script, and the first one with the point's composition: not used for device times.
    WarmUp,
    /// On the way to the point.
    SetUp,
    /// A sample of the point.
    Target,
}

/// One pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    /// What it computed.
    pub(crate) batch: BatchComposition,
    /// What it was in its script.
    pub(crate) role: PassRole,
    /// From the decision until the sampled tokens were there.
    pub(crate) device_ns: u64,
    /// The decision.
    pub(crate) schedule_ns: u64,
    /// From the sampled tokens until the next pass could begin.
    pub(crate) update_ns: u64,
}

/// One script that ran to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visit {
    /// The point it was for, as an index into the plan.
    pub(crate) point: usize,
    /// What it took.
    pub(crate) spent_ns: u64,
    /// Its passes, in order; those that computed nothing are left out.
    pub(crate) samples: Vec<Sample>,
}

impl Visit {
    /// Device times of its samples of the point, in microseconds.
    pub(crate) fn target_times_us(&self) -> impl Iterator<Item = f64> {
        self.samples.iter().filter(|sample| sample.role == PassRole::Target).map(Sample::device_us)
    }
}

impl Sample {
    /// The device time in microseconds.
    pub(crate) fn device_us(&self) -> f64 {
        micros(self.device_ns)
    }
}

/// Nanoseconds as microseconds.
pub(crate) fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

/// The passes of a run of `point`'s script.
pub(crate) fn samples(run: &Run, point: &Point, spans: &[AttentionSpan]) -> Vec<Sample> {
    let mut samples = vec![];
    let mut is_warm = false;
    for (index, pass) in run.passes.iter().enumerate() {
        let batch = pass.batch(spans);
        if batch.is_empty() {
            continue;
        }
        let instants = pass.instants;
        let next_begins = run.passes.get(index + 1).map_or(instants.end, |next| next.instants.begin);
        let is_target = point.is_met_by(&batch);
        let role = if samples.len() < NUM_WARM_UP_PASSES || is_target && !is_warm {
            PassRole::WarmUp
        } else if is_target {
            PassRole::Target
        } else {
            PassRole::SetUp
        };
        is_warm |= is_target;
        samples.push(Sample {
            batch,
            role,
            device_ns: instants.executed.saturating_sub(instants.scheduled),
            schedule_ns: instants.scheduled.saturating_sub(instants.called),
            update_ns: next_begins.saturating_sub(instants.executed),
        });
    }
    samples
}
