//! A run, from flags to everything that was recorded.

use sim_core::config::{EngineConfig, ResolvedEngine};
use sim_core::math;
use sim_core::metrics::bench_serve::BenchServeOptions;
use sim_core::profile::{Profile, StepTimeModel};
use sim_core::scenario::{Prepared, Scenario, prepare};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{Simulation, SimulationOptions};
use sim_core::workload::Workload;
use sim_core::workload::mixture::Classes;

use super::date;
use crate::protocol::RunInput;

/// Iterations between two calls of [`Host::progress`].
const ITERATIONS_PER_TICK: u32 = 4_000;

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
    pub(crate) wall_ms: f64,
}

impl FinishedRun {
    /// Simulates `input` to its end.
    ///
    /// # Errors
    /// The message of whatever refuses it: profile, flags, dataset, or the simulator.
    pub(crate) fn new(input: RunInput, keep: SimulationOptions, host: &mut dyn Host) -> Result<Self, String> {
        let (profile, prepared) = prepared(&input, host)?;
        let Prepared { engine, workload, num_skipped, notes, classes, step_time, options } = prepared;
        let start = host.now_ms();
        let mut result = simulated(&workload, &engine.config, &step_time, keep, host)?;
        let wall_ms = host.now_ms() - start;
        drop(workload);
        // Only a replay on a real engine needs these.
        (result.queries_per_iter, result.join_order) = (Vec::new(), Vec::new());
        Ok(Self { input, profile, engine, options, num_skipped, notes, classes, result, wall_ms })
    }
}

/// Everything that a run of `input` needs.
///
/// # Errors
/// The message of whatever refuses it: profile, flags or dataset.
pub(super) fn prepared(input: &RunInput, host: &dyn Host) -> Result<(Profile, Prepared), String> {
    let profile = Profile::from_json(&input.profile).map_err(|error| format!("{}: {error}", input.profile_name))?;
    let flags = input.flags.iter().map(|(flag, value)| (flag.as_str(), value.as_deref()));
    let scenario = Scenario::from_flags(flags).map_err(|error| error.to_string())?;
    let dataset = input.dataset.as_deref();
    let mut prepared = prepare(&scenario, &profile, dataset, None).map_err(|error| error.to_string())?;
    // A simulated run has no date of its own: as if it had begun now.
    let began_ms = host.wall_clock_ms();
    let dated = prepared.date_rate_changes(&scenario.workload().traffic(), |time| date::iso_date(began_ms, time));
    dated.map_err(|error| error.to_string())?;
    Ok((profile, prepared))
}

/// Simulates `workload` to its end.
pub(super) fn simulated(
    workload: &Workload,
    config: &EngineConfig,
    step_time: &StepTimeModel,
    keep: SimulationOptions,
    host: &mut dyn Host,
) -> Result<SimulationResult, String> {
    let mut simulation = Simulation::new(workload, config, step_time, keep).map_err(|error| error.to_string())?;
    let total = math::usize_to_u32(workload.requests.len());
    let mut iterations = 0;
    while simulation.advance() {
        iterations += 1;
        if iterations == ITERATIONS_PER_TICK {
            iterations = 0;
            let done = math::usize_to_u32(simulation.num_finished());
            host.progress(done, total, simulation.now().as_secs_f64());
        }
    }
    Ok(simulation.finish())
}
