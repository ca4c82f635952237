//! A run of several engines, as `profiler simulate` makes it.

use core::ops::Range;

use sim_core::fleet::disaggregated::result::{DisaggregatedResult, RoleResult};
use sim_core::fleet::disaggregated::settings::prefill_workload;
use sim_core::fleet::disaggregated::simulation::DisaggregatedSimulation;
use sim_core::fleet::router::Policy;
use sim_core::fleet::simulation::{FleetSimulation, Replica};
use sim_core::fleet::{FleetResult, ReplicaResult, RouterFigures};
use sim_core::math;
use sim_core::metrics::engine_part::by_owner;
use sim_core::metrics::latency_summary::LatencySummary;
use sim_core::profile::Profile;
use sim_core::scenario::{
    DisaggregationArgs, Engines, EnginesResult, FleetArgs, RanksResult, ReplicasResult, Role, RoleEngine, RoleEngines,
    RolesResult, Scenario, ScenarioError, prepare_fleet,
};
use sim_core::simulation_result::{SimulationOptions, SimulationResult};
use sim_core::simulator::SimulationError;
use sim_core::time::{SimDuration, SimTime};
use sim_core::workload::Workload;

use super::run::{Host, Setup, Ticker};
use crate::fleet_answer::RouterRow;

/// What came of several engines beside what came of all together.
#[derive(Debug)]
pub(crate) struct Several {
    pub(super) result: EnginesResult,
    /// Each of them, in the order of their numbers; of two roles those that compute prompts first.
    pub(super) engines: Vec<EngineOf>,
}

/// One of several engines.
#[derive(Debug)]
pub(super) struct EngineOf {
    pub(super) name: String,
    pub(super) figures: ReplicaResult,
    /// Whether clients hear from it.
    pub(super) is_answering: bool,
    /// Its passes in the recording of all; none if it does not answer.
    pub(super) passes: Range<usize>,
    /// Its measured requests.
    pub(super) owned: Vec<u32>,
    /// Share of the run in which its devices were busy.
    pub(super) busy: f64,
}

impl Several {
    /// Simulates `setup` on `engines`, which are several.
    ///
    /// # Errors
    /// The message of whatever refuses it.
    pub(super) fn simulated(
        engines: &Engines,
        (scenario, profile): (&Scenario, &Profile),
        setup: &Setup<'_>,
        keep: SimulationOptions,
        host: &mut dyn Host,
    ) -> Result<(SimulationResult, Option<Self>), String> {
        let seed = scenario.fleet_seed();
        let replica = Replica { config: setup.config, step_time: setup.step_time };
        let of_run = (setup.workload, replica);
        let said = |error: SimulationError| error.to_string();
        match engines {
            Engines::One => setup.alone(keep, host).map(|whole| (whole, None)),
            Engines::Replicas(args, life, ranks) => {
                let fleet = args.simulation((life, *ranks), of_run, seed, keep).map_err(said)?;
                let FleetResult { whole, replicas, num_ranks, owners, life, lockstep } = finished(fleet, setup, host);
                let of_engine = profile.engine.tensor_parallel_size * setup.config.pipeline_parallel_size;
                let num_gpus = of_engine * num_ranks;
                let engines = each(("replica", num_ranks), &replicas, &owners, &whole, setup);
                let result = ReplicasResult { router: args.router, replicas, num_ranks, lockstep, num_gpus, life };
                Ok((whole, Some(Self { result: EnginesResult::Replicas(result), engines })))
            }
            Engines::Ranks(ranks) => {
                let fleet = ranks.simulation(of_run, keep).map_err(said)?;
                let FleetResult { whole, replicas, owners, lockstep, .. } = finished(fleet, setup, host);
                let engines = each(("rank", 1), &replicas, &owners, &whole, setup);
                let result = RanksResult {
                    ranks: replicas,
                    lockstep,
                    num_api_servers: setup.config.api_server_count,
                    router: ranks.settings.router.map(|router| router.policy),
                    end: SimDuration::from_nanos(whole.end_time.as_nanos()),
                };
                Ok((whole, Some(Self { result: EnginesResult::Ranks(result), engines })))
            }
            Engines::Roles(args, fleet) => {
                let (whole, result) = roles((args, fleet), (scenario, profile), setup, (keep, host))?;
                let engines = of_roles(&result);
                Ok((whole, Some(Self { result: EnginesResult::Roles(result), engines })))
            }
        }
    }
}

/// What comes of the requests with the router that has this place among all, and everything else as `scenario` says.
///
/// # Errors
/// If there is nothing to choose from, and the message of whatever refuses the run.
pub(super) fn routed(
    place: u32,
    scenario: &Scenario,
    profile: &Profile,
    dataset: Option<&[u8]>,
) -> Result<RouterRow, String> {
    let router = *Policy::ALL.get(math::u32_to_usize(place)).ok_or("there is no such router")?;
    let Engines::Replicas(args, life, ranks) = scenario.engines(true).map_err(|error| error.to_string())? else {
        return Err("--replicas has to be above 1: routers are compared over replicas to choose from".to_owned());
    };
    let mut prepared = prepare_fleet(scenario, profile, dataset, None).map_err(|error| error.to_string())?;
    ranks.apply(&mut prepared.engine);
    let args = FleetArgs { router, ..args };
    let replica = Replica { config: &prepared.engine.config, step_time: &prepared.step_time };
    let of_run = (&prepared.workload, replica);
    let fleet = args.simulation((&life, ranks), of_run, scenario.fleet_seed(), SimulationOptions::default());
    let mut fleet = fleet.map_err(|error| error.to_string())?;
    while fleet.advance() {}
    Ok(row(&RouterFigures::new(router, &fleet.finish())))
}

/// Prefill and decode on engines of their own.
fn roles(
    (args, fleet): (&DisaggregationArgs, &FleetArgs),
    of: (&Scenario, &Profile),
    setup: &Setup<'_>,
    (keep, host): (SimulationOptions, &mut dyn Host),
) -> Result<(SimulationResult, RolesResult), String> {
    let prefill = prefill_workload(setup.workload);
    let each = [role_engine(Role::Prefill, of, &prefill)?, role_engine(Role::Decode, of, setup.workload)?];
    let engines = RoleEngines::new(args, [&each[0], &each[1]]).map_err(|error| error.to_string())?;
    let (num_devices, num_gpus) = (each.each_ref().map(|role| role.num_devices), engines.num_gpus());
    let roles = engines.setup(args, fleet, of.0.fleet_seed());
    let run = DisaggregatedSimulation::new((setup.workload, &prefill), roles, keep);
    let mut run = run.map_err(|error| error.to_string())?;
    let mut ticker = Ticker::new(setup.workload, host);
    while run.advance() {
        ticker.tick(|| (run.num_finished(), run.now()));
    }
    let DisaggregatedResult { whole, prefill, decode, transfers } = run.finish();
    let result = RolesResult { args: *args, router: fleet.router, num_devices, num_gpus, prefill, decode, transfers };
    Ok((whole, result))
}

/// The engine of a role. The page composes one profile, which both roles then have.
fn role_engine(
    role: Role,
    (scenario, profile): (&Scenario, &Profile),
    workload: &Workload,
) -> Result<RoleEngine, String> {
    let said = |error: ScenarioError| error.to_string();
    let of_role = scenario.of_role(role).map_err(said)?;
    let composed = |scenario: &Scenario| {
        scenario.composed_of().map(|(flag, value)| (flag.name, value.to_owned())).collect::<Vec<_>>()
    };
    if composed(&of_role) != composed(scenario) {
        return Err(format!(
            "--{}: here both roles have one GPU, parallelism and number formats; `profiler simulate` has roles that differ in \
             them",
            role.flag()
        ));
    }
    RoleEngine::new(role, &of_role, (profile, true), workload).map_err(said)
}

fn row(figures: &RouterFigures) -> RouterRow {
    let RouterFigures { router, latencies, hit_rate, imbalance, request_throughput, num_failed, digest } = *figures;
    let LatencySummary { num_requests, ttft, tpot, e2el } = latencies;
    RouterRow {
        router: router.name().to_owned(),
        num_finished: math::usize_to_u32(num_requests),
        num_failed: math::usize_to_u32(num_failed),
        ttft,
        tpot,
        e2el,
        request_throughput,
        prefix_cache_hit_rate: hit_rate,
        imbalance,
        digest: format!("{digest:016x}"),
    }
}

fn finished(mut fleet: FleetSimulation<'_>, setup: &Setup<'_>, host: &mut dyn Host) -> FleetResult {
    let mut ticker = Ticker::new(setup.workload, host);
    while fleet.advance() {
        ticker.tick(|| (fleet.num_finished(), fleet.now()));
    }
    fleet.finish()
}

/// Engines whose passes follow each other in the recording of all.
fn each(
    name: (&str, u32),
    replicas: &[ReplicaResult],
    owners: &[u32],
    whole: &SimulationResult,
    setup: &Setup<'_>,
) -> Vec<EngineOf> {
    let num_stages = math::u32_to_f64(setup.config.pipeline_parallel_size.max(1));
    let busy = |replica: &ReplicaResult| share(replica.device_time.as_secs_f64() / num_stages, whole.end_time);
    named(name, replicas, owners, busy)
}

/// Engines of a name, each with its number; of replicas of several ranks with both.
fn named(
    (name, num_ranks): (&str, u32),
    replicas: &[ReplicaResult],
    owners: &[u32],
    busy: impl Fn(&ReplicaResult) -> f64,
) -> Vec<EngineOf> {
    let mut first = 0;
    let owned = by_owner(owners, replicas.len());
    let engine = |(number, (figures, owned)): (usize, (&ReplicaResult, Vec<u32>))| {
        let passes = first..first + math::u32_to_usize(math::u64_to_u32(figures.num_passes));
        first = passes.end;
        let ranks = math::u32_to_usize(num_ranks.max(1));
        let number = if ranks > 1 { format!("{}.{}", number / ranks, number % ranks) } else { number.to_string() };
        let (name, busy) = (format!("{name} {number}"), busy(figures));
        EngineOf { name, figures: *figures, is_answering: true, passes, owned, busy }
    };
    replicas.iter().zip(owned).enumerate().map(engine).collect()
}

/// Both roles' engines; only those that answer have passes in the recording of all.
fn of_roles(roles: &RolesResult) -> Vec<EngineOf> {
    let role = |name, role: &RoleResult| {
        let mut engines = named((name, role.num_ranks), &role.replicas, &role.owners, |_| 0.0);
        for (engine, busy) in engines.iter_mut().zip(&role.utilisations) {
            engine.busy = *busy;
        }
        engines
    };
    let mut engines = role("prefill", &roles.prefill);
    for engine in &mut engines {
        (engine.is_answering, engine.passes) = (false, 0..0);
    }
    engines.extend(role("decode", &roles.decode));
    engines
}

fn share(part: f64, end: SimTime) -> f64 {
    let end = end.as_secs_f64();
    if end > 0.0 { part / end } else { 0.0 }
}
