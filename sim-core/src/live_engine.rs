//! An engine that requests come to while it runs, for a caller who has a clock: what `simulator.rs` does for a workload
//! that is known beforehand.
//!
//! Times are simulated ones. The caller lets the engine [`LiveEngine::advance`] once its own clock has come to
//! [`LiveEngine::now`]: until then requests may come that join the next pass. `tests/tests/it/live_engine.rs` holds it to
//! the simulator, token by token.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::api_servers::ApiServers;
use crate::config::EngineConfig;
use crate::device::Device;
use crate::engine_core::EngineCore;
use crate::kv_cache::events::KvCacheEvent;
use crate::profile::pass_times::PassTimes;
use crate::profile::step_time::StepTimeModel;
use crate::request::RequestId;
use crate::request_set::{NewRequest, RequestError, RequestSet};
use crate::sched::connector::interface::KvConnectorError;
use crate::sched::output::{EngineCoreOutputs, SchedulerOutput};
use crate::sched::scheduler::{Scheduler, SchedulerStats};
use crate::simulation_result::{EndedTransfer, OffloadingTotals};
use crate::simulator::{Looks, Transfers, before, live_engine_of};
use crate::speculative::Acceptance;
use crate::time::{SimDuration, SimTime};

/// As in `simulator.rs`: `vllm/v1/engine/core.py::_process_engine_step` after a step without tokens.
const IDLE_STEP_SLEEP: SimDuration = SimDuration::from_nanos(1_000_000);

/// Engine, device and host. Requests that have ended give their places to new ones, so it runs for as long as one likes.
#[derive(Debug)]
pub struct LiveEngine<'a> {
    step_time: &'a StepTimeModel,
    engine: EngineCore<'a>,
    places: Places,
    /// `None` where nobody waits for an API server.
    api_servers: Option<ApiServers>,
    device: Device,
    /// `None` if every pass takes what is predicted.
    noise: Option<PassTimes>,
    in_flight: VecDeque<PassUnderWay>,
    now: SimTime,
    last_delivery_time: SimTime,
    /// Between the device, the host's memory and tiers behind it.
    transfers: Transfers,
    looks: Looks,
    /// Of these, those whose ends were taken in last.
    ended: Vec<EndedTransfer>,
}

#[derive(Debug)]
struct PassUnderWay {
    end_time: SimTime,
    has_tokens: bool,
}

/// Places of requests that have ended, to be used again once no pass under way speaks of them.
#[derive(Debug, Default)]
struct Places {
    /// Each with the number of passes issued when it ended; in order.
    ended: VecDeque<(RequestId, u64)>,
    num_issued: u64,
    num_processed: u64,
}

/// A pass as it was issued.
#[derive(Debug, Clone, Copy)]
pub struct IssuedPass<'a> {
    /// What is in it; nothing, if it has no tokens.
    pub output: &'a SchedulerOutput,
    /// When the scheduler began to decide it.
    pub schedule_time: SimTime,
}

impl<'a> LiveEngine<'a> {
    /// An idle engine at time zero. `acceptance` says how many drafts the model accepts, where there is a drafter.
    ///
    /// # Errors
    /// If the engine's rules with a KV connector are not known.
    pub fn new(
        config: &'a EngineConfig,
        step_time: &'a StepTimeModel,
        acceptance: Acceptance,
    ) -> Result<Self, KvConnectorError> {
        let mut requests = RequestSet::new();
        requests.set_acceptance(acceptance);
        let mut transfers = Transfers::new(config, step_time);
        transfers.keep_ended();
        Ok(Self {
            step_time,
            engine: live_engine_of(config, requests)?,
            places: Places::default(),
            api_servers: ApiServers::new(config.api_server_count, step_time),
            device: Device::new(config.pipeline_parallel_size),
            noise: step_time.noise(),
            in_flight: VecDeque::new(),
            now: SimTime::ZERO,
            last_delivery_time: SimTime::ZERO,
            transfers,
            looks: Looks::default(),
            ended: Vec::new(),
        })
    }

    /// When the engine's loop goes on; requests that are in its queue by then join.
    #[must_use]
    pub const fn now(&self) -> SimTime {
        self.now
    }

    /// Whether [`Self::advance`] has anything to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.engine.has_work()
    }

    /// The scheduler, for its blocks.
    #[must_use]
    pub const fn scheduler(&self) -> &Scheduler<'a> {
        self.engine.scheduler()
    }

    /// Counters since the beginning.
    #[must_use]
    pub const fn stats(&self) -> SchedulerStats {
        self.engine.scheduler().stats()
    }

    /// What was moved between the device, the host's memory and tiers behind it, if anything is to be.
    #[must_use]
    pub fn offloading(&self) -> Option<OffloadingTotals> {
        self.transfers.totals()
    }

    /// When the engine next does anything that can have come of something, unless a request comes or is aborted: an engine that
    /// only waits for transfers looks for their ends every millisecond, and sees nothing until then. At [`Self::now`] or later;
    /// [`Self::skip_looks`] goes there.
    #[must_use]
    pub fn next_step(&self, next_request: Option<SimTime>) -> SimTime {
        self.now + self.looks.time_of(self.num_looks_before(next_request.unwrap_or(SimTime::MAX)))
    }

    /// Counts the looks in vain that begin before `until` as made.
    pub fn skip_looks(&mut self, until: SimTime) {
        let num_looks = self.num_looks_before(until);
        if num_looks > 0 {
            self.now += self.looks.time_of(num_looks);
            self.engine.skip_steps(num_looks);
        }
    }

    fn num_looks_before(&self, until: SimTime) -> u32 {
        if !self.looks.is_in_vain() {
            return 0;
        }
        // Who decides a pass needs time, and then the workers look.
        let decision = self.step_time.host().schedule_time(0);
        let event = self.transfers.next_event();
        event.map_or(0, |event| self.looks.num_before(self.now, before(event, decision).min(until)))
    }

    /// When a request of so many prompt tokens, sent at `send_time`, stands in the engine's queue. Calls are in the order
    /// of sending, and come before [`Self::delivery_time`] of what the engine puts out later.
    pub fn queue_time(&mut self, send_time: SimTime, num_prompt_tokens: u32) -> SimTime {
        let wait = self.api_servers.as_mut().map_or(SimDuration::ZERO, |servers| {
            servers.take_request(send_time, self.step_time.host().request_work(num_prompt_tokens))
        });
        send_time + wait + self.step_time.host().request_latency(num_prompt_tokens)
    }

    /// Puts a request that came at `queue_time` into the waiting queue; an engine without work has slept until then.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn add_request(&mut self, new: &NewRequest<'_>, queue_time: SimTime) -> Result<RequestId, RequestError> {
        self.looks.interrupt();
        let id = match self.places.unused(self.engine.scheduler()) {
            Some(id) => {
                self.engine.scheduler.requests_mut().replace(id, new)?;
                self.places.ended.pop_front();
                id
            }
            None => self.engine.scheduler.requests_mut().push(new)?,
        };
        if !self.engine.has_work() {
            self.now = self.now.max(queue_time);
        }
        self.engine.add_request(id);
        Ok(id)
    }

    /// Ends a request for its client. It must have been added, and not have ended.
    pub fn abort_request(&mut self, id: RequestId) {
        self.looks.interrupt();
        self.engine.abort_request(id);
        self.retire(id);
    }

    /// Forgets what all blocks hold, as `POST /reset_prefix_cache`; false if some request holds any. The host's memory keeps
    /// what it has.
    pub fn reset_prefix_cache(&mut self) -> bool {
        self.looks.interrupt();
        self.engine.scheduler.kv_cache_mut().reset_prefix_cache()
    }

    /// From now on events of the KV cache are kept for [`Self::take_kv_cache_events`]. For a new engine.
    pub fn keep_kv_cache_events(&mut self) {
        self.engine.keep_kv_cache_events();
    }

    /// As [`EngineCore::take_kv_cache_events`].
    pub fn take_kv_cache_events(&mut self) -> Vec<KvCacheEvent> {
        self.engine.take_kv_cache_events()
    }

    /// One iteration of the engine's loop. `on_issue` sees the pass that it issued, if any; if the results of one were
    /// taken in, they are in [`Self::outputs`], and the time at which they leave the engine core is returned.
    pub fn advance(&mut self, mut on_issue: impl FnMut(IssuedPass<'_>)) -> Option<SimTime> {
        let mut has_run_tokens = false;
        let (host, step_time) = (self.step_time.host(), self.step_time);
        let (now, device, noise) = (&mut self.now, &mut self.device, &mut self.noise);
        let (in_flight, places) = (&mut self.in_flight, &mut self.places);
        let (transfers, looks) = (&mut self.transfers, &mut self.looks);
        self.ended.clear();
        looks.begin(*now, transfers.report_tiers(*now, &mut self.engine));
        let step = self.engine.step(|_, output| {
            places.num_issued += 1;
            on_issue(IssuedPass { output, schedule_time: *now });
            *now += host.schedule_time(output.batch.num_reqs());
            has_run_tokens = output.has_tokens();
            let launch_time = transfers.launch(*now, output);
            looks.decide(output);
            let end_time = if has_run_tokens {
                let expected = step_time.predict(&output.batch).duration;
                let duration = noise.as_mut().map_or(expected, |noise| noise.draw(expected));
                let end_time = device.run(launch_time, duration + host.time_between_passes(output.batch.num_reqs())).1;
                transfers.note_pass(end_time);
                end_time
            } else {
                launch_time
            };
            in_flight.push_back(PassUnderWay { end_time, has_tokens: has_run_tokens });
        });
        let output_time = step.processed.and_then(|_| self.process());
        if !has_run_tokens && self.engine.scheduler().has_requests() {
            self.now += IDLE_STEP_SLEEP;
        }
        self.looks.process(step);
        self.looks.end(self.now);
        output_time
    }

    /// What the results brought that were taken in last.
    #[must_use]
    pub const fn outputs(&self) -> &EngineCoreOutputs {
        self.engine.outputs()
    }

    /// Transfers between the device and the host's memory whose ends were taken in with them.
    #[must_use]
    pub fn ended_transfers(&self) -> &[EndedTransfer] {
        &self.ended
    }

    /// When clients hold the `num_outputs` tokens that left the engine core at `output_time`. Calls are in that order.
    pub fn delivery_time(&mut self, output_time: SimTime, num_outputs: u32) -> SimTime {
        let (wait, part) = match &mut self.api_servers {
            Some(servers) if num_outputs > 0 => {
                (servers.take_outputs(output_time, num_outputs, self.step_time), servers.part_of(num_outputs))
            }
            _ => (SimDuration::ZERO, num_outputs),
        };
        let time = output_time + wait + self.step_time.host().output_latency(part);
        // Messages of one connection do not overtake each other.
        self.last_delivery_time = self.last_delivery_time.max(time);
        self.last_delivery_time
    }

    /// Waits for the oldest pass under way; returns when its tokens leave, if it has any.
    fn process(&mut self) -> Option<SimTime> {
        let pass = self.in_flight.pop_front()?;
        self.places.num_processed += 1;
        self.now = self.now.max(pass.end_time);
        self.now += self.step_time.host().update_time(self.engine.processed().batch.num_reqs());
        for place in 0..self.engine.outputs().finished.len() {
            let id = self.engine.outputs().finished[place].id;
            self.retire(id);
        }
        for &id in self.engine.processed().kv_connector.iter().flat_map(|pass| &pass.report.completed_jobs) {
            self.ended.extend(self.transfers.take_ended(id));
        }
        pass.has_tokens.then_some(self.now)
    }

    fn retire(&mut self, id: RequestId) {
        self.engine.scheduler.requests_mut().take_out(id);
        self.places.ended.push_back((id, self.places.num_issued));
    }
}

impl Places {
    /// The place that has been free for longest, if every pass that may speak of its last request has come back, and no
    /// transfer of it is under way.
    fn unused(&self, scheduler: &Scheduler<'_>) -> Option<RequestId> {
        let &(id, num_issued) = self.ended.front()?;
        (num_issued <= self.num_processed && scheduler.has_forgotten(id)).then_some(id)
    }
}
