//! A run on all engines that a scenario has, and what is told of each where there are several.

use anyhow::{Result, ensure};
use serde_json::Value;
use sim_core::config::EngineConfig;
use sim_core::fleet::FleetResult;
use sim_core::math;
use sim_core::metrics::recorder::Recording;
use sim_core::profile::StepTimeModel;
use sim_core::scenario::Ranks;
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{Simulation, SimulationOptions};
use sim_core::workload::Workload;

use super::disaggregated::{Roles, run_disaggregated};
use super::fleet::{self, Fleet};
use super::inputs::Inputs;
use super::ranks::{RanksReport, run_ranks};
use super::report_flags::ReportFlags;
use super::run::run;

/// The requests, and the engine that each of several is alike.
pub(crate) type OfRun<'a> = (&'a Workload, &'a EngineConfig, &'a StepTimeModel);

/// What came of several engines, beside what came of all together.
#[derive(Debug)]
pub(crate) enum Engines {
    /// Replicas behind a router.
    Replicas(Fleet),
    /// Data-parallel ranks.
    Ranks(RanksReport),
    /// Prefill and decode on replicas of their own.
    Roles(Roles),
}

impl Engines {
    /// A line for each, and what they did to each other.
    pub(crate) fn text(&self, recording: &Recording) -> String {
        match self {
            Self::Replicas(fleet) => fleet.text(recording),
            Self::Ranks(ranks) => ranks.text(),
            Self::Roles(roles) => roles.text(),
        }
    }

    /// The same for programs.
    pub(crate) fn json(&self, recording: &Recording) -> Value {
        match self {
            Self::Replicas(fleet) => fleet.json(recording),
            Self::Ranks(ranks) => ranks.json(),
            Self::Roles(roles) => roles.json(),
        }
    }

    /// Engines whose devices the whole's passes ran on.
    pub(crate) fn num_at_work(&self) -> usize {
        match self {
            Self::Replicas(fleet) => fleet.replicas.len(),
            Self::Ranks(ranks) => ranks.ranks.len(),
            Self::Roles(roles) => roles.num_decode(),
        }
    }

    /// Engines that are paid for from the first request to the last answer; `None` if they come and go.
    pub(crate) fn num_paid(&self) -> Option<u32> {
        match self {
            Self::Replicas(Fleet { life: Some(_), .. }) => None,
            Self::Replicas(_) | Self::Ranks(_) => Some(math::usize_to_u32(self.num_at_work())),
            Self::Roles(roles) => Some(roles.num_replicas()),
        }
    }

    /// Requests that failed with their engine.
    pub(crate) fn num_failed(&self) -> usize {
        match self {
            Self::Replicas(fleet) => fleet.num_failed(),
            Self::Ranks(_) => 0,
            Self::Roles(roles) => roles.num_failed(),
        }
    }
}

/// What routers draw from.
pub(crate) fn seed_of(inputs: &Inputs) -> u64 {
    u64::from(inputs.scenario.workload().seed())
}

/// Runs what `inputs` ask for to its end; of one engine no more is kept than the report needs.
///
/// # Errors
/// If flags of one engine are given for several, or the reverse; and if the simulator refuses the run.
pub(crate) fn run_engines(
    (inputs, ranks): (&Inputs, Ranks),
    of_run: OfRun<'_>,
    flags: &ReportFlags,
    (needs_records, has_range): (bool, bool),
) -> Result<(SimulationResult, Option<Engines>)> {
    let (args, life) = (inputs.scenario.fleet(), inputs.scenario.life()?);
    let disaggregation = inputs.scenario.disaggregation();
    args.check_router_args()?;
    ensure!(
        life.is_uneventful() || ranks.count == 1 && !disaggregation.is_on(),
        "outages and autoscalers are of the replicas that --replicas has: not of --data-parallel-size ranks, nor of \
         --prefill-replicas and --decode-replicas"
    );
    if disaggregation.is_on() {
        ensure!(
            ranks.count == 1,
            "prefill and decode replicas of several --data-parallel-size ranks are not simulated"
        );
        fleet::check_flags(flags, has_range)?;
        let num_devices = inputs.choice.profile.hardware.num_devices;
        let of_fleet = (&disaggregation, &args, seed_of(inputs));
        let (result, roles) = run_disaggregated(of_fleet, of_run, num_devices, flags)?;
        return Ok((result, Some(Engines::Roles(roles))));
    }
    if ranks.count > 1 {
        fleet::check_flags(flags, has_range)?;
        let (result, ranks) = run_ranks(ranks, of_run, flags)?;
        return Ok((result, Some(Engines::Ranks(ranks))));
    }
    if args.replicas > 1 || !life.is_uneventful() {
        fleet::check_flags(flags, has_range)?;
        let FleetResult { whole, replicas, life, .. } =
            fleet::run_fleet((&args, &life), of_run, seed_of(inputs), flags)?;
        let num_gpus = inputs.choice.profile.engine.tensor_parallel_size * of_run.1.pipeline_parallel_size;
        return Ok((whole, Some(Engines::Replicas(Fleet { router: args.router, replicas, num_gpus, life }))));
    }
    ensure!(
        flags.replicas_json.is_none(),
        "--replicas-json is of several engines: give --replicas or --data-parallel-size above 1, or --prefill-replicas and \
         --decode-replicas"
    );
    Ok((run_one(of_run, flags, needs_records)?, None))
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
