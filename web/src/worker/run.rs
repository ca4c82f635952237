//! A run, from flags to everything that was recorded.

use sim_core::config::{EngineConfig, ResolvedEngine};
use sim_core::fleet::simulation::Replica;
use sim_core::math;
use sim_core::metrics::bench_serve::BenchServeOptions;
use sim_core::profile::{Profile, StepTimeModel};
use sim_core::scenario::{Engines, Prepared, Ranks, Scenario, prepare_fleet};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{Simulation, SimulationOptions};
use sim_core::time::SimTime;
use sim_core::workload::Workload;
use sim_core::workload::mixture::Classes;

use super::date;
use super::fleet::{Fleets, Several};
use crate::protocol::RunInput;

/// Iterations between two calls of [`Host::progress`].
const ITERATIONS_PER_TICK: u32 = 4_000;

/// The page and its worker are of one build: nobody sees this.
pub(super) const OTHER_PART: &str = "another part answers this";

/// What a run needs of the place it runs at.
pub(crate) trait Host {
    /// Milliseconds of a clock that never goes back.
    fn now_ms(&self) -> f64;

    /// What the clock on the wall says: milliseconds since midnight of 1 January 1970, there.
    fn wall_clock_ms(&self) -> u64;

    /// A run goes on: requests that ended, requests in all, simulated seconds. Called often; showing it is up to the
    /// host.
    fn progress(&mut self, done: u32, total: u32, sim_time: f64);
}

/// A run that is over, and what it was made of. The workload is gone: a million requests are 90 MB.
#[derive(Debug)]
pub(crate) struct FinishedRun {
    pub(crate) input: RunInput,
    pub(crate) profile: Profile,
    pub(crate) engine: ResolvedEngine,
    pub(crate) options: BenchServeOptions,
    pub(crate) num_skipped: u32,
    /// What was assumed of the dataset.
    pub(crate) notes: Vec<String>,
    /// Which requests are of which class, where there are several.
    pub(crate) classes: Option<Classes>,
    pub(crate) result: SimulationResult,
    /// What came of each engine, where there are several.
    pub(crate) several: Option<Several>,
    pub(crate) wall_ms: f64,
}

/// What engines are asked, and what each of them is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup<'a> {
    pub(super) workload: &'a Workload,
    pub(super) config: &'a EngineConfig,
    pub(super) step_time: &'a StepTimeModel,
}

/// All that a run of some input needs.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) profile: Profile,
    pub(super) scenario: Scenario,
    /// Who answers, and the ranks that each of them is, or the one.
    pub(super) engines: Engines,
    pub(super) ranks: Ranks,
    /// Whether ranks step together.
    pub(super) is_of_lockstep: bool,
    pub(super) prepared: Prepared,
}

/// Tells the host now and then how far a run is.
pub(super) struct Ticker<'a> {
    host: &'a mut dyn Host,
    total: u32,
    iterations: u32,
}

impl FinishedRun {
    /// Simulates `input` to its end; several engines need `fleets`.
    ///
    /// # Errors
    /// The message of whatever refuses it: profile, flags, dataset, or the simulator.
    pub(crate) fn new(
        input: RunInput,
        keep: SimulationOptions,
        fleets: Option<Fleets>,
        host: &mut dyn Host,
    ) -> Result<Self, String> {
        let ready = Ready::new(&input, host)?;
        let start = host.now_ms();
        let (mut result, several) = Fleets::simulated(fleets, &ready, keep, host)?;
        let wall_ms = host.now_ms() - start;
        let Ready { profile, prepared, .. } = ready;
        let Prepared { engine, workload, num_skipped, notes, classes, options, .. } = prepared;
        drop(workload);
        // Only a replay on a real engine needs these.
        (result.queries_per_iter, result.join_order) = (Vec::new(), Vec::new());
        Ok(Self { input, profile, engine, options, num_skipped, notes, classes, result, several, wall_ms })
    }
}

impl Ready {
    /// Reads `input`.
    ///
    /// # Errors
    /// The message of whatever refuses it: profile, flags or dataset.
    pub(super) fn new(input: &RunInput, host: &dyn Host) -> Result<Self, String> {
        let profile = Profile::from_json(&input.profile).map_err(|error| format!("{}: {error}", input.profile_name))?;
        let flags = input.flags.iter().map(|(flag, value)| (flag.as_str(), value.as_deref()));
        let scenario = Scenario::from_flags(flags).map_err(|error| error.to_string())?;
        let is_of_lockstep = input.is_of_lockstep;
        let engines = scenario.engines(is_of_lockstep).map_err(|error| error.to_string())?;
        let ranks = scenario.ranks(is_of_lockstep).map_err(|error| error.to_string())?;
        let dataset = input.dataset.as_deref();
        let mut prepared = prepare_fleet(&scenario, &profile, dataset, None).map_err(|error| error.to_string())?;
        ranks.apply(&mut prepared.engine);
        // A simulated run has no date of its own: as if it had begun now.
        let began_ms = host.wall_clock_ms();
        let dated = prepared.date_rate_changes(&scenario.workload().traffic(), |time| date::iso_date(began_ms, time));
        dated.map_err(|error| error.to_string())?;
        Ok(Self { profile, scenario, engines, ranks, is_of_lockstep, prepared })
    }
}

impl<'a> Setup<'a> {
    pub(super) const fn of(prepared: &'a Prepared) -> Self {
        Self { workload: &prepared.workload, config: &prepared.engine.config, step_time: &prepared.step_time }
    }

    pub(super) const fn engine(&self) -> Replica<'a> {
        Replica { config: self.config, step_time: self.step_time }
    }

    /// Simulates it to its end on one engine.
    ///
    /// # Errors
    /// The message of the simulator, if it refuses it.
    pub(super) fn alone(&self, keep: SimulationOptions, host: &mut dyn Host) -> Result<SimulationResult, String> {
        let Self { workload, config, step_time } = *self;
        let mut simulation = Simulation::new(workload, config, step_time, keep).map_err(|error| error.to_string())?;
        let mut ticker = Ticker::new(workload, host);
        while simulation.advance() {
            ticker.tick(|| (simulation.num_finished(), simulation.now()));
        }
        Ok(simulation.finish())
    }
}

impl<'a> Ticker<'a> {
    pub(super) fn new(workload: &Workload, host: &'a mut dyn Host) -> Self {
        Self { host, total: math::usize_to_u32(workload.requests.len()), iterations: 0 }
    }

    /// An iteration has been made; `state` says how many requests ended, and the simulated time.
    pub(super) fn tick(&mut self, state: impl FnOnce() -> (usize, SimTime)) {
        self.iterations += 1;
        if self.iterations == ITERATIONS_PER_TICK {
            self.iterations = 0;
            let (done, now) = state();
            self.host.progress(math::usize_to_u32(done), self.total, now.as_secs_f64());
        }
    }
}
