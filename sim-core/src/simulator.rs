//! The whole: a workload, an engine and a measured step-time model become a recording.
//!
//! The only file that knows both the schedule and the time. It owns the clock, turns traffic into the engine's native
//! input (`queries_per_iter`: how many requests join before each iteration), and records that input, so that every
//! run can be replayed pass by pass on a real engine.

mod front_end;
mod in_fleet;
mod in_lockstep;
mod in_vain;
mod keeping;
mod looks;
mod offloading;
mod tiers;
mod stretch;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::api_servers::ApiServers;
use crate::client::{Client, Script, Turns};
use crate::config::EngineConfig;
use crate::device::{Device, InFlight, record};
use crate::engine_core::EngineCore;
use crate::metrics::recorder::{Keep, Recorder};
use crate::profile::pass_times::PassTimes;
use crate::profile::step_time::StepTimeModel;
use crate::request::{FinishReason, RequestId, SteadyTokens};
use crate::sched::connector::interface::KvTransferConfig;
use crate::simulation_error::{check_config, check_requests, check_traffic};
use crate::simulation_result::{DeviceTime, SimulationResult};
use crate::time::SimTime;
use crate::workload::Workload;

pub(crate) use in_fleet::NewConnector;
pub(crate) use in_lockstep::StepPart;
use in_vain::InVain;
use keeping::Before;
pub(crate) use looks::{Looks, before};
pub(crate) use offloading::{Transfers, engine_of, live_engine_of};

pub use crate::simulation_error::SimulationError;
pub use crate::simulation_result::SimulationOptions;

/// Runs `workload` to its end.
///
/// # Errors
/// See [`SimulationError`].
pub fn simulate(
    workload: &Workload,
    config: &EngineConfig,
    step_time: &StepTimeModel,
    options: SimulationOptions,
) -> Result<SimulationResult, SimulationError> {
    let mut simulation = Simulation::new(workload, config, step_time, options)?;
    while simulation.advance() {}
    Ok(simulation.finish())
}

/// A run in progress: for callers that show progress or may stop. Others use [`simulate`].
#[derive(Debug)]
pub struct Simulation<'a> {
    workload: &'a Workload,
    config: &'a EngineConfig,
    step_time: &'a StepTimeModel,
    engine: EngineCore<'a>,
    recorder: Recorder<'a>,
    client: Client<'a>,
    /// `None` where nobody waits for an API server.
    api_servers: Option<ApiServers>,
    /// Where [`crate::workload::Traffic::QueriesPerIter`] stands; `None` if a client sends.
    script: Option<Script<'a>>,
    now: SimTime,
    device: Device,
    /// `None` if every pass takes what is predicted.
    noise: Option<PassTimes>,
    /// Passes issued and not yet processed.
    in_flight: VecDeque<InFlight>,
    last_delivery_time: SimTime,
    queries_per_iter: Vec<u32>,
    join_order: Vec<RequestId>,
    device_time: DeviceTime,
    num_finished: usize,
    /// Scratch.
    steady_tokens: Vec<SteadyTokens>,
    in_vain: InVain,
    keep: Keep,
    keeps_input: bool,
    turns: Turns,
    before: Before,
    /// Before then nothing is sent and nothing arrives, unless a request ends; kept within a stretch.
    quiet_until: SimTime,
    /// From then on others may send something (`simulator/in_fleet.rs`); nobody does where it is alone.
    horizon: SimTime,
    /// A step whose results are taken in only then, and whether it issued tokens.
    suspended: Option<bool>,
    /// For whoever balances engines by their counts (`simulator/in_fleet.rs`).
    counts: Option<in_fleet::ToldCounts>,
    transfers: Transfers,
    looks: Looks,
    /// A KV connector that the fleet gave it, whose transfers the fleet times (`simulator/in_fleet.rs`).
    connector: Option<(KvTransferConfig, NewConnector)>,
}

impl<'a> Simulation<'a> {
    /// A run that has not begun.
    ///
    /// # Errors
    /// See [`SimulationError`].
    pub fn new(
        workload: &'a Workload,
        config: &'a EngineConfig,
        step_time: &'a StepTimeModel,
        options: SimulationOptions,
    ) -> Result<Self, SimulationError> {
        check_config(config)?;
        check_requests(workload, config)?;
        check_traffic(workload)?;
        let keep = if options.record_emissions { Keep::Emissions } else { Keep::Everything };
        let mut turns = Turns::default();
        let client = turns.next_client(workload, step_time.host().client_work());
        Ok(Self {
            workload,
            config,
            step_time,
            engine: engine_of(config, &workload.requests).map_err(SimulationError::Connector)?,
            recorder: Recorder::new(&workload.requests, config.num_speculative_tokens(), keep),
            client,
            api_servers: ApiServers::new(config.api_server_count, step_time),
            script: Script::of(&workload.traffic),
            now: SimTime::ZERO,
            device: Device::new(config.pipeline_parallel_size),
            noise: step_time.noise(),
            in_flight: VecDeque::new(),
            last_delivery_time: SimTime::ZERO,
            queries_per_iter: Vec::new(),
            join_order: Vec::new(),
            device_time: DeviceTime::default(),
            num_finished: 0,
            steady_tokens: Vec::new(),
            in_vain: InVain::default(),
            keep,
            keeps_input: true,
            turns,
            before: Before::default(),
            quiet_until: SimTime::ZERO,
            horizon: SimTime::MAX,
            suspended: None,
            counts: None,
            transfers: Transfers::new(config, step_time),
            looks: Looks::default(),
            connector: None,
        })
    }

    /// Requests that ended so far, of [`Workload::requests`].
    #[must_use]
    pub const fn num_finished(&self) -> usize {
        self.num_finished
    }

    /// Iterations of the engine's loop so far, since the group of requests that is sent began; not counted in a run without
    /// its input.
    #[must_use]
    pub const fn num_iterations(&self) -> usize {
        self.queries_per_iter.len()
    }

    /// Simulated time so far.
    #[must_use]
    pub const fn now(&self) -> SimTime {
        self.now
    }

    /// One iteration of the engine's loop, or as many in a row as only give each running request its next token; false if
    /// the run is over.
    pub fn advance(&mut self) -> bool {
        if let Some(has_run_tokens) = self.suspended.take() {
            self.process();
            return self.end_iteration(has_run_tokens);
        }
        if self.advance_stretch() || self.skip_looks() {
            return true;
        }
        let num_joining = loop {
            let num_joining = match self.script {
                None => self.admit_arrivals(),
                Some(_) => self.admit_scripted(),
            };
            match num_joining {
                Some(num_joining) => break num_joining,
                None if !self.turns.is_last(self.workload) => self.begin_next(),
                None => return false,
            }
        };
        if self.keeps_input {
            self.queries_per_iter.push(num_joining);
        }
        let has_run_tokens = self.step();
        self.suspended.is_some() || self.end_iteration(has_run_tokens)
    }

    /// What came of it.
    #[must_use]
    pub fn finish(mut self) -> SimulationResult {
        self.engine.look_at_all();
        self.record_steady_tokens();
        let scheduler = self.engine.scheduler();
        let (recording, figures) = self.recorder.finish(self.workload.num_measured());
        SimulationResult {
            stats: self.before.stats_since(scheduler),
            num_evictions: self.before.evictions_since(scheduler),
            recording,
            figures,
            queries_per_iter: self.queries_per_iter,
            join_order: self.join_order,
            device_time: self.device_time,
            end_time: self.now,
            offloading: self.transfers.totals(),
        }
    }

    /// The engine, for invariants.
    #[must_use]
    pub const fn engine(&self) -> &EngineCore<'a> {
        &self.engine
    }

    /// One step of the engine, and the time it takes; returns whether any token is computed by the pass it issued.
    fn step(&mut self) -> bool {
        let mut has_run_tokens = false;
        let (step_time, now) = (self.step_time, &mut self.now);
        let (device, device_time) = (&mut self.device, &mut self.device_time);
        let (recorder, in_flight) = (&mut self.recorder, &mut self.in_flight);
        let (noise, transfers, looks) = (&mut self.noise, &mut self.transfers, &mut self.looks);
        looks.begin(*now, transfers.report_tiers(*now, &mut self.engine));
        let step = self.engine.step(|_, output| {
            let schedule_time = *now;
            *now += step_time.host().schedule_time(output.batch.num_reqs());
            has_run_tokens = output.has_tokens();
            let launch_time = transfers.launch(*now, output);
            looks.decide(output);
            if !has_run_tokens {
                in_flight.push_back(InFlight { end_time: launch_time, record: None });
                return;
            }
            let mut prediction = step_time.predict(&output.batch);
            if let Some(noise) = noise {
                prediction.duration = noise.draw(prediction.duration);
            }
            let between_passes = step_time.host().time_between_passes(output.batch.num_reqs());
            let (start_time, end_time) = device.run(launch_time, prediction.duration + between_passes);
            transfers.note_pass(end_time);
            device_time.count(&prediction);
            let record = recorder.issued(record(output, schedule_time, start_time, end_time));
            for admission in &output.new_reqs {
                recorder.admitted(admission.id, record, admission.num_cached_tokens);
            }
            in_flight.push_back(InFlight { end_time, record: Some(record) });
        });
        self.looks.process(step);
        if step.processed.is_some() {
            if self.take_in_time() >= self.horizon {
                self.suspended = Some(has_run_tokens);
            } else {
                self.process();
            }
        }
        has_run_tokens
    }

    /// When the results of the oldest pass under way, which the engine has processed, are taken in.
    fn take_in_time(&self) -> SimTime {
        let update_time = self.step_time.host().update_time(self.engine.processed().batch.num_reqs());
        self.in_flight.front().map_or(self.now, |pass| self.now.max(pass.end_time) + update_time)
    }

    /// Waits for the oldest pass under way and hands its tokens on.
    fn process(&mut self) {
        let time = self.take_in_time();
        let Some(pass) = self.in_flight.pop_front() else { return };
        self.now = time;
        let Some(record) = pass.record else { return self.end_with_errors() };
        self.record_steady_tokens();
        let num_outputs = self.engine.outputs().num_tokens();
        self.in_vain.note_pass(num_outputs);
        let way = self.delivery(num_outputs);
        let delivery = self.deliver(num_outputs, way);
        let outputs = self.engine.outputs();
        self.recorder.processed(record, (&outputs.tokens, outputs.num_steady_tokens), self.now, delivery);
        self.recorder.verified(&outputs.verifications);
        for finished in outputs.finished.iter().filter(|finished| finished.reason != FinishReason::Error) {
            self.recorder.finished(finished.id, finished.num_preemptions, finished.num_passes);
            self.client.complete(finished.id, self.last_delivery_time);
        }
        self.num_finished += outputs.finished.len();
        self.end_with_errors();
    }

    /// Records what requests got that were counted until now.
    fn record_steady_tokens(&mut self) {
        self.engine.take_steady_tokens(&mut self.steady_tokens);
        self.steady_tokens.iter().for_each(|steady| self.recorder.steady(steady));
    }
}
