//! A run on all engines that a scenario has, and what is told of each where there are several.

use anyhow::{Context as _, Result, ensure};
use sim_core::config::EngineConfig;
use sim_core::fleet::FleetResult;
use sim_core::metrics::recorder::Recording;
use sim_core::profile::StepTimeModel;
use sim_core::scenario::{Engines, EnginesResult, ReplicasResult, RoleEngine};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{Simulation, SimulationOptions};
use sim_core::workload::Workload;

use super::disaggregated::run_disaggregated;
use super::fleet;
use super::inputs::Inputs;
use super::ranks::run_ranks;
use super::report_flags::ReportFlags;
use super::run::run;

/// The requests, and the engine that each of several is alike.
pub(crate) type OfRun<'a> = (&'a Workload, &'a EngineConfig, &'a StepTimeModel);

/// What is told of several engines.
pub(crate) trait Told {
    /// A line for each, and what they did to each other; `recording` is of all together.
    fn text(&self, recording: &Recording) -> String;
}

impl Told for EnginesResult {
    fn text(&self, recording: &Recording) -> String {
        match self {
            Self::Replicas(fleet) => fleet.text(recording),
            Self::Ranks(ranks) => ranks.text(recording),
            Self::Roles(roles) => roles.text(recording),
        }
    }
}

/// Runs what `inputs` ask for to its end, with the engines of `roles` where there are two; of one engine no more is kept than the report needs.
///
/// # Errors
/// If flags of one engine are given for several, or the reverse; and if the simulator refuses the run.
pub(crate) fn run_engines(
    (inputs, roles): (&Inputs, Option<&[RoleEngine; 2]>),
    of_run: OfRun<'_>,
    flags: &ReportFlags,
    (needs_records, has_range): (bool, bool),
) -> Result<(SimulationResult, Option<EnginesResult>)> {
    let (engines, seed) = (inputs.scenario.engines(inputs.choice.is_of_lockstep)?, inputs.scenario.fleet_seed());
    if engines != Engines::One {
        fleet::check_flags(flags, has_range)?;
    }
    let (whole, engines) = match engines {
        Engines::One => {
            ensure!(
                flags.replicas_json.is_none(),
                "--replicas-json is of several engines: give --replicas or --data-parallel-size above 1, or \
                 --prefill-replicas and --decode-replicas"
            );
            return Ok((run_one(of_run, flags, needs_records)?, None));
        }
        Engines::Roles(args, fleet, lives) => {
            let each = roles.context("engines of two roles were not prepared")?;
            let (whole, roles) = run_disaggregated((&args, &fleet, seed), &lives, of_run.0, each, flags)?;
            (whole, EnginesResult::Roles(roles))
        }
        Engines::Ranks(ranks) => {
            let (whole, ranks) = run_ranks(ranks, of_run, flags)?;
            (whole, EnginesResult::Ranks(ranks))
        }
        Engines::Replicas(args, life, ranks) => {
            let result = fleet::run_fleet((&args, &life, ranks), of_run, seed, flags)?;
            let FleetResult { whole, replicas, num_ranks, life, lockstep, .. } = result;
            let of_engine = inputs.choice.profile.engine.tensor_parallel_size * of_run.1.pipeline_parallel_size;
            let (router, num_gpus) = (args.router, of_engine * num_ranks);
            let replicas = ReplicasResult { router, replicas, num_ranks, lockstep, num_gpus, life };
            (whole, EnginesResult::Replicas(replicas))
        }
    };
    Ok((whole, Some(engines)))
}

fn run_one(
    (workload, config, step_time): OfRun<'_>,
    flags: &ReportFlags,
    needs_records: bool,
) -> Result<SimulationResult> {
    let keep = SimulationOptions { record_emissions: flags.save_detailed };
    let mut simulation = Simulation::new(workload, config, step_time, keep)?;
    if !needs_records {
        simulation = simulation.keeping_figures();
    } else if flags.queries_per_iter.is_none() {
        simulation = simulation.without_input();
    }
    Ok(run(simulation, workload.requests.len(), flags.quiet))
}
