//! One run at one load on all engines of a scenario.

use crate::answers::capacity::{Asked, Trial, TrialError};
use crate::config::ResolvedEngine;
use crate::fleet::disaggregated::settings::prefill_workload;
use crate::fleet::simulation::Replica;
use crate::math;
use crate::metrics::goodput::Goodput;
use crate::profile::Profile;
use crate::scenario::{
    Engines, Prepared, Ranks, Role, RoleEngine, RoleEngines, Scenario, ScenarioError, TextTokens, prepare_fleet,
};
use crate::simulation_result::{SimulationOptions, SimulationResult};
use crate::simulator::{SimulationError, simulate};

/// A profile, and whether data-parallel ranks of it have experts in common.
pub type OfRanks<'a> = (&'a Profile, bool);

/// What is asked of all engines of a scenario.
#[derive(Debug, Clone)]
pub struct AskedOfEngines<'a> {
    /// The scenario, with the profile of those that do everything.
    pub asked: Asked<'a>,
    /// Whether data-parallel ranks have experts in common.
    pub is_lockstep: bool,
    /// Of either role: prefill, decode.
    pub roles: [OfRanks<'a>; 2],
}

impl AskedOfEngines<'_> {
    /// Runs the trial of `load` and `seed`.
    ///
    /// # Errors
    /// See [`TrialError`].
    pub fn run(&self, load: f64, seed: u32, counter: Option<TextTokens<'_>>) -> Result<Trial, TrialError> {
        let scenario = self.asked.at(load, seed)?;
        let prepared = self.prepared(&scenario, counter)?;
        let trial = self.trial(&scenario, &prepared, self.asked.scenario.report().goodput())?;
        Ok(Trial { load, seed, ..trial })
    }

    /// What all engines answer a second while their queues never empty; of a concurrency nothing is run.
    ///
    /// # Errors
    /// See [`TrialError`].
    pub fn saturated(&self, seed: u32, counter: Option<TextTokens<'_>>) -> Result<f64, TrialError> {
        if self.asked.kind.is_closed() {
            return Ok(f64::INFINITY);
        }
        let places = self.asked.scenario.resolve(self.asked.profile)?.config.max_num_active_seqs;
        let (roles, fleet) = (self.asked.scenario.disaggregation(), self.asked.scenario.fleet());
        let num_replicas = if roles.is_on() { roles.decode_replicas } else { fleet.replicas };
        let scenario = self.asked.all_at_once(seed, places.saturating_mul(num_replicas))?;
        let mut prepared = self.prepared(&scenario, counter)?;
        let num_arrivals = crate::answers::capacity::trial::without_pauses(&mut prepared.workload);
        let num_requests = prepared.workload.num_measured();
        let trial = self.trial(&scenario, &prepared, Goodput::default())?;
        Ok(trial.middle_throughput * math::usize_to_f64(num_arrivals) / math::usize_to_f64(num_requests.max(1)))
    }

    fn ranks(&self, scenario: &Scenario) -> Result<Ranks, ScenarioError> {
        scenario.ranks(self.is_lockstep)
    }

    fn prepared(&self, scenario: &Scenario, counter: Option<TextTokens<'_>>) -> Result<Prepared, TrialError> {
        let mut prepared = prepare_fleet(scenario, self.asked.profile, self.asked.dataset, counter)?;
        self.ranks(scenario)?.apply(&mut prepared.engine);
        Ok(prepared)
    }

    fn trial(&self, scenario: &Scenario, prepared: &Prepared, goodput: Goodput) -> Result<Trial, TrialError> {
        let options = SimulationOptions::default();
        let replica = Replica { config: &prepared.engine.config, step_time: &prepared.step_time };
        let of_run = (&prepared.workload, replica);
        let seed = scenario.fleet_seed();
        let whole = match scenario.engines(self.is_lockstep)? {
            Engines::One => simulate(&prepared.workload, replica.config, replica.step_time, options)?,
            Engines::Ranks(ranks) => finished(ranks.simulation(of_run, options)?),
            Engines::Replicas(args, life, ranks) => finished(args.simulation((&life, ranks), of_run, seed, options)?),
            Engines::Roles(args, fleet, lives) => {
                let prefill = prefill_workload(&prepared.workload);
                let engine = |role: Role, (profile, is_lockstep), workload| {
                    RoleEngine::new(role, &scenario.of_role(role)?, (profile, is_lockstep), workload)
                };
                let each = [
                    engine(Role::Prefill, self.roles[0], &prefill)?,
                    engine(Role::Decode, self.roles[1], &prepared.workload)?,
                ];
                let engines = RoleEngines::new(&args, &lives, [&each[0], &each[1]])?;
                let mut run = engines.simulation((&args, &fleet, seed), (&prepared.workload, &prefill), options)?;
                while run.advance() {}
                return Ok(told(&run.finish().whole, prepared, &each[1].engine, goodput));
            }
        };
        Ok(told(&whole, prepared, &prepared.engine, goodput))
    }
}

fn finished(mut fleet: crate::fleet::simulation::FleetSimulation<'_>) -> SimulationResult {
    while fleet.advance() {}
    fleet.finish().whole
}

/// Why requests waited is of one engine, and not told of several.
fn told(whole: &SimulationResult, prepared: &Prepared, engine: &ResolvedEngine, goodput: Goodput) -> Trial {
    Trial::of_result(whole, (prepared.classes.as_ref(), &engine.config), goodput, (None, 0.0))
}

impl From<SimulationError> for TrialError {
    fn from(error: SimulationError) -> Self {
        Self::Simulation(error)
    }
}
