//! The engines of either role, where some compute prompts and others answer: each with flags and a profile of its own, or
//! both as all engines are.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use super::super::role_args::in_role;
use super::{DisaggregationArgs, FleetArgs, MAX_REPLICAS, Ranks, Scenario, ScenarioError};
use crate::config::ResolvedEngine;
use crate::fleet::disaggregated::settings::{self, Disaggregated, KvBlock};
use crate::fleet::disaggregated::simulation::DisaggregatedSimulation;
use crate::fleet::life::LifeSettings;
use crate::fleet::simulation::Replica;
use crate::profile::{Profile, StepTimeModel};
use crate::scenario::role_args::Role;
use crate::scenario::{Prepared, check_admission};
use crate::simulation_error::SimulationError;
use crate::simulation_result::SimulationOptions;
use crate::workload::Workload;

/// What each engine of a role is.
#[derive(Debug, Clone)]
pub struct RoleEngine {
    /// The engine, with the reason for every value.
    pub engine: ResolvedEngine,
    /// How long its passes take.
    pub step_time: StepTimeModel,
    /// The data-parallel ranks that a replica is, or the one.
    pub ranks: Ranks,
    /// Devices of an engine: those that send or receive.
    pub num_devices: u32,
    /// GPUs of an engine, over all its stages.
    pub num_gpus: u32,
    model: String,
    kv_cache_dtype: String,
}

impl RoleEngine {
    /// The engine of `role` that answers `workload`; `scenario` is [`Scenario::of_role`], and `is_lockstep` says whether its
    /// ranks have experts in common.
    ///
    /// # Errors
    /// [`ScenarioError::InRole`]: what vLLM would refuse, and drafters.
    pub fn new(
        role: Role,
        scenario: &Scenario,
        (profile, is_lockstep): (&Profile, bool),
        workload: &Workload,
    ) -> Result<Self, ScenarioError> {
        let prepare = || {
            let ranks = scenario.ranks(is_lockstep)?;
            let mut engine = scenario.resolve(profile)?;
            ranks.apply(&mut engine);
            check_admission(workload, &engine.config, scenario.usage_context())?;
            let step_time = scenario.client_work.applied(scenario.step_time(profile, &engine.config)?);
            Ok(Self::of((engine, step_time), ranks, profile))
        };
        prepare().map_err(|error| in_role(role, error))
    }

    /// The engine that all are, where no role has anything of its own.
    #[must_use]
    pub fn of_all(prepared: &Prepared, ranks: Ranks, profile: &Profile) -> Self {
        Self::of((prepared.engine.clone(), prepared.step_time.clone()), ranks, profile)
    }

    fn of((engine, step_time): (ResolvedEngine, StepTimeModel), ranks: Ranks, profile: &Profile) -> Self {
        Self {
            num_devices: profile.hardware.num_devices,
            num_gpus: profile.engine.tensor_parallel_size * engine.config.pipeline_parallel_size,
            model: profile.model.name.clone(),
            kv_cache_dtype: profile.engine.kv_cache_dtype.clone(),
            engine,
            step_time,
            ranks,
        }
    }

    /// So many replicas of it.
    fn replicas(&self, num_replicas: u32) -> Vec<Replica<'_>> {
        let engine = Replica { config: &self.engine.config, step_time: &self.step_time };
        vec![engine; num_replicas.saturating_mul(self.ranks.count) as usize]
    }
}

/// Both roles' engines.
#[derive(Debug)]
pub struct RoleEngines<'a> {
    /// One of each: prefill, decode.
    each: [&'a RoleEngine; 2],
    lives: &'a [LifeSettings; 2],
    prefill: Vec<Replica<'a>>,
    decode: Vec<Replica<'a>>,
}

impl<'a> RoleEngines<'a> {
    /// As many as `args` says of each, `prefill` and `decode`, and as `lives` may make of them.
    ///
    /// # Errors
    /// [`ScenarioError::InRole`] if one cannot take over from the other, [`ScenarioError::Value`] for more than
    /// [`MAX_REPLICAS`] engines of a role.
    pub fn new(
        args: &DisaggregationArgs,
        lives: &'a [LifeSettings; 2],
        each: [&'a RoleEngine; 2],
    ) -> Result<Self, ScenarioError> {
        let [prefill, decode] = each;
        let num_prefill = lives[0].num_engines(args.prefill_replicas);
        let num_decode = lives[1].num_engines(args.decode_replicas);
        let counts = [("prefill-replicas", num_prefill), ("decode-replicas", num_decode)];
        for ((flag, count), role) in counts.into_iter().zip(each) {
            if count.saturating_mul(role.ranks.count) > MAX_REPLICAS {
                let need = alloc::format!(
                    "possible: each replica has {} data-parallel ranks, and {MAX_REPLICAS} engines are the most of a role",
                    role.ranks.count
                );
                return Err(ScenarioError::Value { flag, value: count.to_string(), need });
            }
        }
        let block_size = |role: &RoleEngine| role.engine.config.kv_cache.scheduler_block_size.to_string();
        let same = [
            ("model", prefill.model.clone(), decode.model.clone()),
            ("format of keys and values", prefill.kv_cache_dtype.clone(), decode.kv_cache_dtype.clone()),
            ("tokens of a KV block", block_size(prefill), block_size(decode)),
        ];
        for (what, given, need) in same {
            if given != need {
                let need = alloc::format!(
                    "the {what} of the prompts' other half, {need} (decode replicas): blocks are handed over as they are"
                );
                let error = ScenarioError::Value { flag: Role::Prefill.flag(), value: given.clone(), need };
                return Err(ScenarioError::InRole { role: Role::Prefill, error: Box::new(error) });
            }
        }
        let (prefill, decode) = (prefill.replicas(num_prefill), decode.replicas(num_decode));
        Ok(Self { each, lives, prefill, decode })
    }

    /// GPUs of all engines of either role.
    #[must_use]
    pub fn num_gpus(&self) -> [u32; 2] {
        let of = |engines: &[Replica<'_>], each: &RoleEngine| {
            crate::math::usize_to_u32(engines.len()).saturating_mul(each.num_gpus)
        };
        [of(&self.prefill, self.each[0]), of(&self.decode, self.each[1])]
    }

    /// GPUs of a replica of either role: of its ranks together.
    #[must_use]
    pub fn gpus_of_replica(&self) -> [u32; 2] {
        self.each.map(|each| each.num_gpus.saturating_mul(each.ranks.count))
    }

    /// A run of `workload` on them that has not begun; `prefill` is
    /// [`prefill_workload`](crate::fleet::disaggregated::settings::prefill_workload) of it.
    ///
    /// # Errors
    /// If the simulator refuses it.
    pub fn simulation(
        &'a self,
        (args, fleet, seed): (&DisaggregationArgs, &FleetArgs, u64),
        (workload, prefill): (&'a Workload, &'a Workload),
        options: SimulationOptions,
    ) -> Result<DisaggregatedSimulation<'a>, SimulationError> {
        let run = DisaggregatedSimulation::new((workload, prefill), self.setup(args, fleet, seed), options)?;
        let is_uneventful = self.lives.iter().all(LifeSettings::is_uneventful);
        Ok(if is_uneventful { run } else { run.living(self.lives, seed) })
    }

    /// Both roles, and what is between them.
    fn setup(&self, args: &DisaggregationArgs, fleet: &FleetArgs, seed: u64) -> Disaggregated<'_> {
        let [prefill, decode] = self.each;
        let router = fleet.router_settings(seed);
        Disaggregated {
            prefill: settings::Role { engines: &self.prefill, dispatch: prefill.ranks.dispatch_behind(router) },
            decode: settings::Role { engines: &self.decode, dispatch: decode.ranks.dispatch_behind(router) },
            costs: args.costs([prefill.num_devices, decode.num_devices]),
            block: KvBlock::of(&decode.engine.config, decode.num_devices),
            kv_load_failure_policy: args.kv_load_failure_policy,
            failure_rate: args.failure_rate,
            seed,
        }
    }
}
