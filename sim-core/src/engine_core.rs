//! The engine's step loop: decide a pass, issue it, take in the results of the oldest one under way.
//!
//! Source: `vllm/v1/engine/core.py::EngineCore.step`, `step_with_batch_queue`. Nothing here depends on the caller's clock.

mod connector;
pub(crate) mod in_stretch;
mod kv_cache_events;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::config::EngineConfig;
use crate::request::{RequestId, SteadyTokens};
use crate::request_set::RequestSet;
use crate::sched::output::{EngineCoreOutputs, SchedulerOutput};
use crate::sched::scheduler::Scheduler;
use crate::speculative::ModelRunner;

/// Scheduler and passes under way.
#[derive(Debug)]
pub struct EngineCore<'a> {
    pub(crate) scheduler: Scheduler<'a>,
    /// What the worker does with drafts; `None` without a drafter.
    model_runner: Option<ModelRunner>,
    is_async: bool,
    /// Most passes under way.
    max_concurrent_batches: usize,
    /// Passes issued and not yet processed, oldest first.
    batch_queue: VecDeque<Issued>,
    /// Emptied outputs for the next passes.
    #[expect(clippy::vec_box, reason = "they go from here to the queue and back without being copied")]
    unused: Vec<Box<SchedulerOutput>>,
    /// The pass processed last.
    processed: Box<SchedulerOutput>,
    outputs: EngineCoreOutputs,
    num_passes: u32,
}

#[derive(Debug)]
struct Issued {
    number: u32,
    output: Box<SchedulerOutput>,
}

/// What one call of [`EngineCore::step`] did; passes are numbered by issue, empty ones included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step {
    /// The pass issued, if any: [`EngineCore::issued`] has it.
    pub issued: Option<u32>,
    /// The pass whose results were taken in, if any: [`EngineCore::processed`] and [`EngineCore::outputs`] have them.
    pub processed: Option<u32>,
}

impl<'a> EngineCore<'a> {
    /// An idle engine; `requests` are those it may be given. It looks at each in every pass: its passes have all of them.
    /// So it does at each block.
    #[must_use]
    pub fn new(config: &'a EngineConfig, requests: &'a RequestSet) -> Self {
        Self::with_requests(config, Cow::Borrowed(requests), false)
    }

    /// The same, but requests that get one token in every pass are counted (`sched/steady.rs`): passes have their number
    /// ([`SchedulerOutput::num_steady_reqs`]), and [`Self::take_steady_tokens`] tells of their tokens later. Blocks are
    /// taken many at once where the model allows (`kv_cache/extents.rs`).
    #[must_use]
    pub fn counting_steady(config: &'a EngineConfig, requests: &'a RequestSet) -> Self {
        Self::with_requests(config, Cow::Borrowed(requests), true)
    }

    /// An idle engine; requests of its own may become more.
    pub(crate) fn with_requests(config: &'a EngineConfig, requests: Cow<'a, RequestSet>, counts: bool) -> Self {
        Self {
            model_runner: ModelRunner::new(config, requests.len()),
            scheduler: Scheduler::new(config, requests, counts),
            is_async: config.async_scheduling,
            max_concurrent_batches: config.max_concurrent_batches() as usize,
            batch_queue: VecDeque::new(),
            unused: Vec::new(),
            processed: Box::default(),
            outputs: EngineCoreOutputs::default(),
            num_passes: 0,
        }
    }

    /// Puts a request into the waiting queue.
    pub fn add_request(&mut self, id: RequestId) {
        self.scheduler.add_request(id);
    }

    /// Ends a request for its client.
    pub fn abort_request(&mut self, id: RequestId) {
        self.scheduler.abort_request(id);
    }

    /// Says whether the next pass is one that holds prompts back, of ranks in lockstep
    /// ([`EngineConfig::steps_with_others`]).
    pub const fn throttle_prefills(&mut self, is_throttled: bool) {
        self.scheduler.throttle_prefills(is_throttled);
    }

    /// The scheduler, for its counters.
    #[must_use]
    pub const fn scheduler(&self) -> &Scheduler<'a> {
        &self.scheduler
    }

    /// Whether a step has anything to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.scheduler.has_requests() || !self.batch_queue.is_empty()
    }

    /// Whether there are requests and no pass under way has a token. If that outlives as many steps as there can be
    /// passes under way, only a new request can change it: vLLM's scheduler has no test for a part of a prompt that can
    /// never be computed.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.scheduler.has_unfinished_requests() && self.batch_queue.iter().all(|issued| !issued.output.has_tokens())
    }

    /// The pass issued last, if it is still under way.
    ///
    /// With a synchronous engine a pass is issued and processed in one step: then see [`Self::processed`].
    #[must_use]
    pub fn issued(&self) -> Option<&SchedulerOutput> {
        self.batch_queue.back().map(|issued| &*issued.output)
    }

    /// The pass processed last.
    #[must_use]
    pub const fn processed(&self) -> &SchedulerOutput {
        &self.processed
    }

    /// What the pass processed last brought.
    #[must_use]
    pub const fn outputs(&self) -> &EngineCoreOutputs {
        &self.outputs
    }

    /// Moves to `told` the tokens of requests that ceased to be steady; they come before those of
    /// [`EngineCoreOutputs::tokens`].
    pub fn take_steady_tokens(&mut self, told: &mut Vec<SteadyTokens>) {
        self.scheduler.take_told(told);
    }

    /// No request is steady any longer: all their tokens are told of.
    pub fn look_at_all(&mut self) {
        self.scheduler.dissolve();
    }

    /// One iteration of the engine's loop. `on_issue` sees the pass as soon as it is decided, and may add to its report.
    pub fn step(&mut self, mut on_issue: impl FnMut(u32, &mut SchedulerOutput)) -> Step {
        let mut step = Step::default();
        if self.scheduler.has_requests() {
            let number = self.num_passes;
            self.num_passes = self.num_passes.wrapping_add(1);
            let mut output = self.unused.pop().unwrap_or_default();
            self.scheduler.schedule(&mut output);
            if let Some(model_runner) = &mut self.model_runner {
                model_runner.execute(self.scheduler.requests().acceptance(), &mut output);
            }
            on_issue(number, &mut output);
            let has_tokens = output.has_tokens();
            self.batch_queue.push_back(Issued { number, output });
            step.issued = Some(number);
            // Rather fill the pipeline than wait for a result.
            if self.batch_queue.len() < self.max_concurrent_batches && (has_tokens || self.scheduler.has_requests()) {
                return step;
            }
        }
        if let Some(oldest) = self.batch_queue.pop_front() {
            self.scheduler.update_from_output(&oldest.output, &mut self.outputs);
            self.take_draft_token_ids(&oldest.output);
            self.unused.push(core::mem::replace(&mut self.processed, oldest.output));
            step.processed = Some(oldest.number);
        }
        step
    }

    /// Hands the drafts proposed after a pass to the scheduler; with asynchronous scheduling they stay with the worker
    /// (`EngineCore.post_step`).
    #[inline]
    fn take_draft_token_ids(&mut self, output: &SchedulerOutput) {
        let Some(model_runner) = self.model_runner.as_mut().filter(|_| !self.is_async) else { return };
        for place in 0..output.scheduled.len() {
            let num_drafts = model_runner.propose(self.scheduler.requests().acceptance(), output, place);
            self.scheduler.update_draft_token_ids(output, place, num_drafts);
        }
    }
}
