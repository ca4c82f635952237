//! A run of several engines, as `profiler simulate` makes it.

use core::ops::Range;

use sim_core::answers::capacity::Asked;
use sim_core::answers::recommend::splits::{AskedOfEngines, OfRanks};
use sim_core::fleet::disaggregated::result::{DisaggregatedResult, RoleResult};
use sim_core::fleet::disaggregated::settings::prefill_workload;
use sim_core::fleet::life::LifeSettings;
use sim_core::fleet::router::Policy;
use sim_core::fleet::simulation::FleetSimulation;
use sim_core::fleet::{FleetResult, ReplicaResult, RouterFigures};
use sim_core::math;
use sim_core::metrics::engine_part::by_owner;
use sim_core::metrics::latency_summary::LatencySummary;
use sim_core::scenario::{
    DisaggregationArgs, Engines, EnginesResult, FleetArgs, Ranks, RanksResult, ReplicasResult, Role, RoleEngine,
    RoleEngines, RolesResult, Scenario, prepare_fleet,
};
use sim_core::simulation_result::{SimulationOptions, SimulationResult};
use sim_core::time::SimDuration;
use sim_core::workload::Workload;

use super::run::{Host, OTHER_PART, Ready, Setup, Ticker};
use crate::fleet_answer::RouterRow;
use crate::protocol::{Tried, Trying};

/// What came of all engines together, and of each.
type Whole = (SimulationResult, Several);

type Simulating = fn(&Ready, SimulationOptions, &mut dyn Host) -> Result<Whole, String>;
type Asking = fn((Asked<'_>, bool), Trying) -> Result<Tried, String>;
type Routing = fn(u32, &Scenario, OfRanks<'_>, Option<&[u8]>) -> Result<RouterRow, String>;

/// What simulates several engines: a part of its own (`side.rs`), for most runs are of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fleets {
    simulate: Simulating,
    ask: Asking,
    route: Routing,
}

/// What came of several engines beside what came of all together.
#[derive(Debug)]
pub(crate) struct Several {
    /// What simulated them.
    pub(super) fleets: Fleets,
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

impl Fleets {
    /// All of it; who calls this has all of it at once. Hidden from the optimizer, which would see that nothing else can be
    /// meant by calls through it, and make them calls of what they mean.
    pub(crate) fn whole() -> Self {
        core::hint::black_box(Self { simulate: simulated, ask: tried, route: routed })
    }

    /// Simulates what is `ready`; of one engine there is only what came of all, and nobody is needed.
    ///
    /// # Errors
    /// The message of whatever refuses it.
    pub(super) fn simulated(
        fleets: Option<Self>,
        ready: &Ready,
        keep: SimulationOptions,
        host: &mut dyn Host,
    ) -> Result<(SimulationResult, Option<Several>), String> {
        if matches!(ready.engines, Engines::One) {
            return Setup::of(&ready.prepared).alone(keep, host).map(|whole| (whole, None));
        }
        let (whole, several) = (fleets.ok_or(OTHER_PART)?.simulate)(ready, keep, host)?;
        Ok((whole, Some(several)))
    }

    /// One run of many on all engines of what is `asked`, with whether ranks of its profile step together.
    ///
    /// # Errors
    /// The message of whatever refuses the run.
    pub(super) fn asked(fleets: Option<Self>, asked: (Asked<'_>, bool), trying: Trying) -> Result<Tried, String> {
        (fleets.ok_or(OTHER_PART)?.ask)(asked, trying)
    }

    /// What comes of the requests with the router that has this place among all, and everything else as `scenario` says.
    ///
    /// # Errors
    /// If there is nothing to choose from, and the message of whatever refuses the run.
    pub(super) fn routed(
        fleets: Option<Self>,
        place: u32,
        scenario: &Scenario,
        (profile, dataset): (OfRanks<'_>, Option<&[u8]>),
    ) -> Result<RouterRow, String> {
        (fleets.ok_or(OTHER_PART)?.route)(place, scenario, profile, dataset)
    }
}

fn simulated(ready: &Ready, keep: SimulationOptions, host: &mut dyn Host) -> Result<Whole, String> {
    let setup = Setup::of(&ready.prepared);
    match &ready.engines {
        Engines::One => Err("one engine is no fleet".to_owned()),
        Engines::Replicas(args, life, _) => replicas(args, life, ready, (&setup, keep), host),
        Engines::Ranks(_) => of_ranks(ready.ranks, &setup, keep, host),
        Engines::Roles(args, fleet, lives) => of_roles((args, fleet, lives), ready, keep, host),
    }
}

fn replicas(
    args: &FleetArgs,
    life: &LifeSettings,
    ready: &Ready,
    (setup, keep): (&Setup<'_>, SimulationOptions),
    host: &mut dyn Host,
) -> Result<Whole, String> {
    let of_run = (setup.workload, setup.engine());
    let fleet = args.simulation((life, ready.ranks), of_run, ready.scenario.fleet_seed(), keep);
    let result = finished(fleet.map_err(|error| error.to_string())?, setup, host);
    let FleetResult { whole, replicas, num_ranks, owners, life, lockstep } = result;
    let of_engine = ready.profile.engine.tensor_parallel_size * setup.config.pipeline_parallel_size;
    let engines = named("replica", (&replicas, num_ranks), &owners, setup.busy(&whole));
    let num_gpus = of_engine * num_ranks;
    let result = ReplicasResult { router: args.router, replicas, num_ranks, lockstep, num_gpus, life };
    Ok((whole, Several { fleets: Fleets::whole(), result: EnginesResult::Replicas(result), engines }))
}

fn of_ranks(ranks: Ranks, setup: &Setup<'_>, keep: SimulationOptions, host: &mut dyn Host) -> Result<Whole, String> {
    let fleet = ranks.simulation((setup.workload, setup.engine()), keep).map_err(|error| error.to_string())?;
    let FleetResult { whole, replicas, owners, lockstep, .. } = finished(fleet, setup, host);
    let engines = named("rank", (&replicas, 1), &owners, setup.busy(&whole));
    let result = RanksResult {
        ranks: replicas,
        lockstep,
        num_api_servers: setup.config.api_server_count,
        router: ranks.settings.router.map(|router| router.policy),
        end: SimDuration::from_nanos(whole.end_time.as_nanos()),
    };
    Ok((whole, Several { fleets: Fleets::whole(), result: EnginesResult::Ranks(result), engines }))
}

fn of_roles(
    (args, fleet, lives): (&DisaggregationArgs, &FleetArgs, &[LifeSettings; 2]),
    ready: &Ready,
    keep: SimulationOptions,
    host: &mut dyn Host,
) -> Result<Whole, String> {
    let workload = &ready.prepared.workload;
    let prefill_side = prefill_workload(workload);
    let prefill = role_engine(Role::Prefill, ready, &prefill_side)?;
    let decode = role_engine(Role::Decode, ready, workload)?;
    let num_devices = [prefill.num_devices, decode.num_devices];
    let engines = RoleEngines::new(args, lives, [&prefill, &decode]).map_err(|error| error.to_string())?;
    let run = engines.simulation((args, fleet, ready.scenario.fleet_seed()), (workload, &prefill_side), keep);
    let mut run = run.map_err(|error| error.to_string())?;
    let mut ticker = Ticker::new(workload, host);
    while run.advance() {
        ticker.tick(|| (run.num_finished(), run.now()));
    }
    let DisaggregatedResult { whole, prefill, decode, transfers, life } = run.finish();
    let life = life.map(Box::new);
    let num_gpus = engines.num_gpus();
    let (router, gpus_of_replica) = (fleet.router, engines.gpus_of_replica());
    let result =
        RolesResult { args: *args, router, num_devices, num_gpus, gpus_of_replica, prefill, decode, transfers, life };
    let engines = both_roles(&result);
    Ok((whole, Several { fleets: Fleets::whole(), result: EnginesResult::Roles(result), engines }))
}

/// The engine of a role: as all are, unless the role has flags of its own.
///
/// # Errors
/// What vLLM would refuse; and flags that ask for a profile of their own, which only the command line composes.
fn role_engine(role: Role, ready: &Ready, workload: &Workload) -> Result<RoleEngine, String> {
    let Ready { profile, scenario, ranks, is_of_lockstep, prepared, .. } = ready;
    if !scenario.has_own_args(role) {
        return Ok(RoleEngine::of_all(prepared, *ranks, profile));
    }
    let own = with_the_profile(role, scenario)?;
    RoleEngine::new(role, &own, (profile, *is_of_lockstep), workload).map_err(|error| error.to_string())
}

/// The flags of a role, whose profile is that of all.
///
/// # Errors
/// Flags that ask for another one, which only the command line composes.
fn with_the_profile(role: Role, scenario: &Scenario) -> Result<Scenario, String> {
    let own = scenario.of_role(role).map_err(|error| error.to_string())?;
    let of_profile = |scenario: &Scenario| {
        scenario.composed_of().map(|(flag, value)| (flag.name, value.to_owned())).collect::<Vec<_>>()
    };
    if of_profile(&own) != of_profile(scenario) {
        let value = scenario.get(role.flag()).unwrap_or_default();
        return Err(format!(
            "--{} {value:?}: flags that decide about the profile (model, GPU, formats, parallelism) are the same for both \
             roles on this page; `profiler simulate` has profiles of each role",
            role.flag()
        ));
    }
    Ok(own)
}

fn tried((asked, is_lockstep): (Asked<'_>, bool), trying: Trying) -> Result<Tried, String> {
    if asked.scenario.disaggregation().is_on() {
        Role::ALL.into_iter().try_for_each(|role| with_the_profile(role, asked.scenario).map(drop))?;
    }
    let roles = [(asked.profile, is_lockstep); 2];
    let asked = AskedOfEngines { asked, is_lockstep, roles };
    let tried = match trying {
        Trying::SaturatedOfAll { seed } => asked.saturated(seed, None).map(Tried::Saturated),
        Trying::TrialOfAll { load, seed } => asked.run(load, seed, None).map(|trial| Tried::Trial(Box::new(trial))),
        Trying::Saturated { .. } | Trying::Trial { .. } | Trying::Router { .. } => return Err(OTHER_PART.to_owned()),
    };
    tried.map_err(|error| error.to_string())
}

fn routed(
    place: u32,
    scenario: &Scenario,
    (profile, is_lockstep): OfRanks<'_>,
    dataset: Option<&[u8]>,
) -> Result<RouterRow, String> {
    let router = *Policy::ALL.get(math::u32_to_usize(place)).ok_or("there is no such router")?;
    let Engines::Replicas(args, life, ranks) = scenario.engines(is_lockstep).map_err(|error| error.to_string())? else {
        return Err("--replicas has to be above 1: routers are compared over replicas to choose from".to_owned());
    };
    let mut prepared = prepare_fleet(scenario, profile, dataset, None).map_err(|error| error.to_string())?;
    ranks.apply(&mut prepared.engine);
    let args = FleetArgs { router, ..args };
    let setup = Setup::of(&prepared);
    let of_run = (setup.workload, setup.engine());
    let fleet = args.simulation((&life, ranks), of_run, scenario.fleet_seed(), SimulationOptions::default());
    let mut fleet = fleet.map_err(|error| error.to_string())?;
    while fleet.advance() {}
    Ok(row(&RouterFigures::new(router, &fleet.finish())))
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

impl Setup<'_> {
    /// Share of the run in which an engine's devices were busy.
    fn busy(&self, whole: &SimulationResult) -> impl Fn(&ReplicaResult) -> f64 {
        let num_stages = math::u32_to_f64(self.config.pipeline_parallel_size.max(1));
        let end = whole.end_time.as_secs_f64();
        move |engine| if end > 0.0 { engine.device_time.as_secs_f64() / num_stages / end } else { 0.0 }
    }
}

/// Engines whose passes follow each other in the recording of all; of replicas of several ranks each has two numbers.
fn named(
    name: &str,
    (replicas, num_ranks): (&[ReplicaResult], u32),
    owners: &[u32],
    busy: impl Fn(&ReplicaResult) -> f64,
) -> Vec<EngineOf> {
    let (mut first, num_ranks) = (0, math::u32_to_usize(num_ranks.max(1)));
    let owned = by_owner(owners, replicas.len());
    let engine = |(number, (figures, owned)): (usize, (&ReplicaResult, Vec<u32>))| {
        let passes = first..first + math::u32_to_usize(math::u64_to_u32(figures.num_passes));
        first = passes.end;
        let name = match num_ranks {
            1 => format!("{name} {number}"),
            _ => format!("{name} {}.{}", number / num_ranks, number % num_ranks),
        };
        EngineOf { name, figures: *figures, is_answering: true, passes, owned, busy: busy(figures) }
    };
    replicas.iter().zip(owned).enumerate().map(engine).collect()
}

/// Both roles' engines; only those that answer have passes in the recording of all.
fn both_roles(roles: &RolesResult) -> Vec<EngineOf> {
    let role = |name, role: &RoleResult| {
        let mut engines = named(name, (&role.replicas, role.num_ranks), &role.owners, |_| 0.0);
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
