//! The device: one pass at a time in each stage of the pipeline, and what is known of a pass under way.

use alloc::vec;
use alloc::vec::Vec;

use crate::metrics::recorder::PassRecord;
use crate::sched::output::SchedulerOutput;
use crate::time::{SimDuration, SimTime};

/// The pipeline's stages, each with one pass at a time. The layers are spread evenly, so each stage takes an equal
/// part of a pass's time.
#[derive(Debug)]
pub(crate) struct Device {
    stage_free: Vec<SimTime>,
    /// Whether passes begin only when others' do: [`Self::run`] then keeps what was issued for [`Self::take_issued`].
    waits_for_others: bool,
    issued: Option<(SimTime, SimDuration)>,
}

impl Device {
    /// An idle device of so many stages.
    pub(crate) fn new(num_stages: u32) -> Self {
        Self { stage_free: vec![SimTime::ZERO; num_stages as usize], waits_for_others: false, issued: None }
    }

    /// From now on passes begin when others' do.
    pub(crate) const fn wait_for_others(&mut self) {
        self.waits_for_others = true;
    }

    /// When the pass was issued that waits for others, and how long it takes alone.
    pub(crate) const fn take_issued(&mut self) -> Option<(SimTime, SimDuration)> {
        self.issued.take()
    }

    /// Runs a pass that was issued at `issue_time`; returns its start and end, which are not known yet if it waits for
    /// others.
    pub(crate) fn run(&mut self, issue_time: SimTime, duration: SimDuration) -> (SimTime, SimTime) {
        if self.waits_for_others {
            self.issued = Some((issue_time, duration));
            return (issue_time, issue_time + duration);
        }
        self.run_now(issue_time, duration)
    }

    /// Runs a pass for which nobody is waited any longer; returns its start and end.
    pub(crate) fn run_now(&mut self, issue_time: SimTime, duration: SimDuration) -> (SimTime, SimTime) {
        if let [free] = self.stage_free.as_mut_slice() {
            let start_time = issue_time.max(*free);
            *free = start_time + duration;
            return (start_time, *free);
        }
        let num_stages = self.stage_free.len() as u64;
        let per_stage = SimDuration::from_nanos(duration.as_nanos() / num_stages);
        let start_time = issue_time.max(self.stage_free[0]);
        let mut time = issue_time;
        for (stage, free) in (1..).zip(&mut self.stage_free) {
            // The last stage takes what the division left.
            let rest = if stage == num_stages { duration.as_nanos() % num_stages } else { 0 };
            time = time.max(*free) + per_stage + SimDuration::from_nanos(rest);
            *free = time;
        }
        (start_time, time)
    }
}

/// A pass under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InFlight {
    pub(crate) end_time: SimTime,
    /// Index of its record; `None` for a pass without tokens.
    pub(crate) record: Option<u32>,
}

/// The record of a pass that was issued; what comes of it is not known yet.
pub(crate) fn record(
    output: &SchedulerOutput,
    schedule_time: SimTime,
    start_time: SimTime,
    end_time: SimTime,
) -> PassRecord {
    PassRecord {
        schedule_time,
        start_time,
        end_time,
        output_time: end_time,
        delivery_time: end_time,
        delivery_wait: SimDuration::ZERO,
        num_tokens: output.batch.num_tokens(),
        num_prefill_tokens: output.batch.num_prefill_tokens(),
        num_draft_tokens: output.batch.num_draft_tokens(),
        num_reqs: output.batch.num_reqs(),
        num_outputs: 0,
        num_running_reqs: output.num_running_reqs,
        num_waiting_reqs: output.num_waiting_reqs,
        num_free_blocks: output.num_free_blocks,
    }
}
