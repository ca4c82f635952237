//! An engine as a rank that steps together with others: what a step of all asks of it.
//!
//! A forward pass is one of all ranks, so it begins when the last of them has issued its part, and takes as long as the
//! longest part. Source: `vllm/v1/engine/core.py::DPEngineCoreProc.run_busy_loop`; the ranks' workers wait for each other
//! in front of every pass (`vllm/v1/worker/dp_utils.py::coordinate_batch_across_dp`).

use super::Simulation;
use crate::batch::BatchComposition;
use crate::profile::PassShape;
use crate::profile::step_time::StepTime;
use crate::time::{SimDuration, SimTime};

/// A rank's part of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepPart {
    /// When the rank has issued it.
    pub(crate) issue_time: SimTime,
    /// How long it takes if no other takes longer: in its own shape until ranks have agreed on one.
    pub(crate) duration: SimDuration,
    /// How it would be run alone.
    pub(crate) shape: PassShape,
    /// Whether it has no tokens: a dummy batch.
    pub(crate) is_dummy: bool,
    /// False if nothing can change any more unless something is sent.
    pub(crate) goes_on: bool,
}

impl Simulation<'_> {
    /// From now on passes run together with those of others.
    pub(crate) const fn join_lockstep(&mut self) {
        self.device.wait_for_others();
    }

    /// A dummy batch: one request with one token (`GPUModelRunner._dummy_run`), with a drafter as many more as it proposes.
    fn dummy_batch(&self) -> BatchComposition {
        let num_drafts = self.config.num_speculative_tokens();
        let mut batch = BatchComposition::default();
        batch.set_spans(&self.config.kv_cache.spans());
        batch.push_verification(1 + num_drafts, 1, num_drafts);
        batch
    }

    /// What the pass computes that was issued last.
    fn issued_batch(&self) -> &BatchComposition {
        &self.engine.issued().unwrap_or_else(|| self.engine.processed()).batch
    }

    /// A part is run in the shape that all ranks agreed on: how long it takes then if no other takes longer, and counts as.
    pub(crate) fn agree(&mut self, part: &mut StepPart, agreed: PassShape) {
        let dummy = part.is_dummy.then(|| self.dummy_batch());
        let batch = dummy.as_ref().unwrap_or_else(|| self.issued_batch());
        let [own, agreed] = [part.shape, agreed].map(|shape| self.step_time.predict_in(batch, shape));
        // What it takes beyond the prediction stays.
        let in_agreed = |own_shape: SimDuration| {
            SimDuration::from_nanos((own_shape + agreed.duration).as_nanos().saturating_sub(own.duration.as_nanos()))
        };
        if !part.is_dummy {
            let between_passes = self.step_time.host().time_between_passes(batch.num_reqs());
            let issued = SimDuration::from_nanos(part.duration.as_nanos().saturating_sub(between_passes.as_nanos()));
            self.device_time.take_back(&StepTime { duration: issued, ..own });
            self.device_time.count(&StepTime { duration: in_agreed(issued), ..agreed });
        }
        part.duration = in_agreed(part.duration);
    }

    /// Whether a request that is here, or comes by `now`, makes ranks step that pause.
    pub(crate) fn begins_wave(&self, now: SimTime) -> bool {
        let has_unfinished = self.engine.scheduler().has_unfinished_requests();
        !self.is_suspended() && (has_unfinished || self.client.next_arrival().is_some_and(|arrival| arrival <= now))
    }

    /// Whether it has requests that have not ended.
    pub(crate) fn has_unfinished_requests(&self) -> bool {
        self.engine.scheduler().has_unfinished_requests()
    }

    /// Begins its part of a step: who has arrived joins, and a pass is decided, which waits for [`Self::run_part`].
    pub(crate) fn begin_part(&mut self, throttles_prefills: bool) -> StepPart {
        self.engine.throttle_prefills(throttles_prefills);
        let is_awaited = self.client.next_arrival().is_some_and(|arrival| arrival <= self.now);
        let goes_on = !(is_awaited || self.engine.has_work()) || self.advance_until(SimTime::ZERO);
        if let Some((issue_time, duration)) = self.device.take_issued() {
            let shape = self.step_time.shape(self.issued_batch());
            return StepPart { issue_time, duration, shape, is_dummy: false, goes_on };
        }
        // A dummy batch comes behind the step that had no tokens, and that has waited for results.
        let issue_time = if self.is_suspended() { self.take_in_time() } else { self.now };
        let batch = self.dummy_batch();
        let duration = self.step_time.predict(&batch).duration + self.step_time.host().time_between_passes(1);
        StepPart { issue_time, duration, shape: self.step_time.shape(&batch), is_dummy: true, goes_on }
    }

    /// All ranks have issued their parts, the last at `issue_time`, and the longest takes `duration`; returns when they
    /// begin to run.
    pub(crate) fn run_part(&mut self, part: StepPart, issue_time: SimTime, duration: SimDuration) -> SimTime {
        let times = self.device.run_now(issue_time, duration);
        if let Some(pass) = self.in_flight.back_mut().filter(|_| !part.is_dummy) {
            pass.end_time = times.1;
            pass.record.into_iter().for_each(|record| self.recorder.run(record, times));
        }
        times.0
    }

    /// Nothing is done before `time`.
    pub(crate) fn wait_until(&mut self, time: SimTime) {
        self.now = self.now.max(time);
    }
}
