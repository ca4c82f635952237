//! Which engines answer a scenario, and runs on all of them that have not begun: the same on the command line and the page.

mod json;
mod result;

use alloc::borrow::ToOwned as _;
use alloc::vec;

pub use json::routers_json;
pub use result::{EnginesResult, RanksResult, ReplicasResult, RolesResult, imbalances};

use super::{DisaggregationArgs, FleetArgs, Ranks, Scenario, ScenarioError};
use crate::config::flags::FlagError;
use crate::fleet::disaggregated::settings::{Disaggregated, KvBlock};
use crate::fleet::life::LifeSettings;
use crate::fleet::simulation::{FleetSimulation, Replica};
use crate::simulation_error::SimulationError;
use crate::simulation_result::SimulationOptions;
use crate::workload::Workload;

/// The engines of a scenario, which are all alike.
#[derive(Debug, Clone, PartialEq)]
pub enum Engines {
    /// One that stands alone.
    One,
    /// Replicas behind a router, and what happens to them.
    Replicas(FleetArgs, LifeSettings),
    /// Data-parallel ranks.
    Ranks(Ranks),
    /// Prefill and decode on engines of their own, each role behind a router.
    Roles(DisaggregationArgs, FleetArgs),
}

impl Scenario {
    /// Which engines answer; `is_lockstep` if data-parallel ranks have experts in common.
    ///
    /// # Errors
    /// [`ScenarioError`] for flags of engines that are not there, and for fleets of several kinds at once.
    pub fn engines(&self, is_lockstep: bool) -> Result<Engines, ScenarioError> {
        let (fleet, life, roles) = (self.fleet(), self.life()?, self.disaggregation());
        let ranks = self.ranks(is_lockstep)?;
        fleet.check_router_args()?;
        roles.check(fleet.replicas)?;
        let refuse = |flag: &str, why| Err(ScenarioError::from(FlagError::NotSimulated { flag: flag.to_owned(), why }));
        if !life.is_uneventful() && (ranks.count > 1 || roles.is_on()) {
            let flag = if life.outages.is_empty() { "--autoscaler" } else { "--replica-fails" };
            return refuse(
                flag,
                "outages and autoscalers are of the replicas that --replicas has: not of --data-parallel-size ranks, nor of \
                 --prefill-replicas and --decode-replicas",
            );
        }
        if roles.is_on() && ranks.count > 1 {
            return refuse(
                "--data-parallel-size",
                "prefill and decode replicas of several ranks each are not simulated",
            );
        }
        Ok(if roles.is_on() {
            Engines::Roles(roles, fleet)
        } else if ranks.count > 1 {
            Engines::Ranks(ranks)
        } else if fleet.replicas > 1 || !life.is_uneventful() {
            Engines::Replicas(fleet, life)
        } else {
            Engines::One
        })
    }

    /// What routers and roles draw from.
    #[must_use]
    pub fn fleet_seed(&self) -> u64 {
        u64::from(self.workload().seed())
    }
}

impl FleetArgs {
    /// A run of `workload` on replicas that are each as `replica`, drawing from `seed`.
    ///
    /// # Errors
    /// If the simulator refuses it.
    pub fn simulation<'a>(
        &self,
        life: &LifeSettings,
        (workload, replica): (&'a Workload, Replica<'a>),
        seed: u64,
        options: SimulationOptions,
    ) -> Result<FleetSimulation<'a>, SimulationError> {
        let replicas = vec![replica; life.num_engines(self.replicas) as usize];
        let fleet = FleetSimulation::new(workload, &replicas, self.dispatch(seed), options)?;
        Ok(if life.is_uneventful() { fleet } else { fleet.living(life, seed) })
    }
}

impl Ranks {
    /// A run of `workload` on ranks that are each as `rank`.
    ///
    /// # Errors
    /// If the simulator refuses it.
    pub fn simulation<'a>(
        &self,
        (workload, rank): (&'a Workload, Replica<'a>),
        options: SimulationOptions,
    ) -> Result<FleetSimulation<'a>, SimulationError> {
        let ranks = vec![rank; self.count as usize];
        FleetSimulation::new(workload, &ranks, self.dispatch(), options)
    }
}

impl DisaggregationArgs {
    /// Engines of the larger role.
    #[must_use]
    pub fn num_of_larger_role(&self) -> usize {
        self.prefill_replicas.max(self.decode_replicas) as usize
    }

    /// Both roles, of engines that are alike and of so many devices each; `engines` has [`Self::num_of_larger_role`] of them,
    /// at least one.
    #[must_use]
    pub fn setup<'a>(
        &self,
        (engines, num_devices): (&'a [Replica<'a>], u32),
        fleet: &FleetArgs,
        seed: u64,
    ) -> Disaggregated<'a> {
        let role = |count: u32| engines.get(..count as usize).unwrap_or_default();
        Disaggregated {
            prefill: role(self.prefill_replicas),
            decode: role(self.decode_replicas),
            router: fleet.router_settings(seed),
            costs: self.costs(num_devices),
            block: engines
                .first()
                .map_or(KvBlock { num_bytes: 0, num_descriptors: 0 }, |engine| KvBlock::of(engine.config, num_devices)),
            kv_load_failure_policy: self.kv_load_failure_policy,
            failure_rate: self.failure_rate,
            seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[track_caller]
    fn check(flags: &[(&str, &str)], expect: Result<fn(&Engines) -> bool, &str>) {
        let scenario = Scenario::from_flags(flags.iter().map(|&(flag, value)| (flag, Some(value)))).expect("values");
        match (scenario.engines(false), expect) {
            (Ok(engines), Ok(is_it)) => assert!(is_it(&engines), "{flags:?}: {engines:?}"),
            (Err(error), Err(named)) => assert!(format!("{error}").contains(named), "{flags:?}: {error}"),
            (found, _) => panic!("{flags:?}: {found:?}"),
        }
    }

    #[test]
    fn flags_say_which_engines_there_are() {
        check(&[], Ok(|engines| *engines == Engines::One));
        check(&[("replicas", "1"), ("router", "random")], Ok(|engines| *engines == Engines::One));
        check(&[("replicas", "3")], Ok(|engines| matches!(engines, Engines::Replicas(args, _) if args.replicas == 3)));
        check(&[("replica-fails", "0@1..2")], Ok(|engines| matches!(engines, Engines::Replicas(..))));
        check(
            &[("data-parallel-size", "4")],
            Ok(|engines| matches!(engines, Engines::Ranks(ranks) if ranks.count == 4)),
        );
        let roles = [("prefill-replicas", "1"), ("decode-replicas", "2")];
        check(&roles, Ok(|engines| matches!(engines, Engines::Roles(args, _) if args.num_of_larger_role() == 2)));
    }

    #[test]
    fn fleets_of_several_kinds_are_refused_by_the_flag() {
        let roles = [("prefill-replicas", "1"), ("decode-replicas", "2")];
        check(&[roles[0], roles[1], ("data-parallel-size", "2")], Err("--data-parallel-size"));
        check(&[roles[0], roles[1], ("replica-fails", "0@1..2")], Err("--replica-fails"));
        check(&[("data-parallel-size", "2"), ("replica-fails", "0@1..2")], Err("--replica-fails"));
        check(&[("data-parallel-size", "2"), ("replicas", "2")], Err("--data-parallel-size"));
        check(&roles[..1], Err("--decode-replicas"));
    }
}
