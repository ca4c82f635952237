//! Which engines answer a scenario, and runs on all of them that have not begun: the same on the command line and the page.

mod json;
mod result;
mod roles;

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::vec;

pub use json::routers_json;
pub use result::{EnginesResult, RanksResult, ReplicasResult, RolesResult, imbalances};
pub use roles::{RoleEngine, RoleEngines};

use super::{DisaggregationArgs, FleetArgs, MAX_REPLICAS, Ranks, Scenario, ScenarioError};
use crate::config::flags::FlagError;
use crate::fleet::RouterSettings;
use crate::fleet::life::LifeSettings;
use crate::fleet::simulation::{FleetSimulation, Replica};
use crate::simulation_error::SimulationError;
use crate::simulation_result::SimulationOptions;
use crate::workload::Workload;

/// The engines of a scenario: all alike, but for those of two roles ([`RoleEngine`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Engines {
    /// One that stands alone.
    One,
    /// Replicas behind a router, what happens to them, and the data-parallel ranks that each of them is, or the one.
    Replicas(FleetArgs, LifeSettings, Ranks),
    /// The data-parallel ranks of one replica.
    Ranks(Ranks),
    /// Prefill and decode on engines of their own, each role behind a router, and what happens to the replicas of each.
    Roles(DisaggregationArgs, FleetArgs, [LifeSettings; 2]),
}

impl Scenario {
    /// Which engines answer; `is_lockstep` if data-parallel ranks have experts in common.
    ///
    /// # Errors
    /// [`ScenarioError`] for flags of engines that are not there, for too many engines, and for what does not go together.
    pub fn engines(&self, is_lockstep: bool) -> Result<Engines, ScenarioError> {
        let (fleet, life, roles) = (self.fleet(), self.life()?, self.disaggregation());
        let ranks = self.ranks(is_lockstep)?;
        fleet.check_router_args()?;
        roles.check(fleet.replicas)?;
        let refuse = |flag: &str, why| Err(ScenarioError::from(FlagError::NotSimulated { flag: flag.to_owned(), why }));
        self.check_role_args()?;
        let lives = self.life_of_roles()?;
        if !life.is_uneventful() && roles.is_on() {
            let flag = if life.outages.is_empty() { "--autoscaler" } else { "--replica-fails" };
            return refuse(
                flag,
                "it is of the replicas that --replicas has; of either role there are --prefill-replica-fails, \
                 --prefill-autoscaler, --decode-replica-fails and --decode-autoscaler",
            );
        }
        let num_replicas = life.num_engines(fleet.replicas);
        if num_replicas.saturating_mul(ranks.count) > MAX_REPLICAS {
            let need = format!(
                "possible: each has {} data-parallel ranks, and {MAX_REPLICAS} engines are the most",
                ranks.count
            );
            return Err(ScenarioError::Value { flag: "replicas", value: format!("{num_replicas}"), need });
        }
        Ok(if roles.is_on() {
            Engines::Roles(roles, fleet, lives)
        } else if fleet.replicas > 1 || !life.is_uneventful() {
            Engines::Replicas(fleet, life, ranks)
        } else if ranks.count > 1 {
            Engines::Ranks(ranks)
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
    /// A run of `workload` on replicas that are each the `ranks`, each of which is as `engine`, drawing from `seed`.
    ///
    /// # Errors
    /// If the simulator refuses it.
    pub fn simulation<'a>(
        &self,
        (life, ranks): (&LifeSettings, Ranks),
        (workload, engine): (&'a Workload, Replica<'a>),
        seed: u64,
        options: SimulationOptions,
    ) -> Result<FleetSimulation<'a>, SimulationError> {
        let num_engines = life.num_engines(self.replicas).saturating_mul(ranks.count);
        let engines = vec![engine; num_engines as usize];
        let dispatch = ranks.dispatch_behind(self.router_settings(seed));
        let fleet = FleetSimulation::new(workload, &engines, dispatch, options)?;
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
        FleetSimulation::new(workload, &ranks, self.dispatch_behind(RouterSettings::default()), options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        check(&[("replicas", "3")], Ok(|engines| matches!(engines, Engines::Replicas(args, ..) if args.replicas == 3)));
        check(&[("replica-fails", "0@1..2")], Ok(|engines| matches!(engines, Engines::Replicas(..))));
        check(
            &[("data-parallel-size", "4")],
            Ok(|engines| matches!(engines, Engines::Ranks(ranks) if ranks.count == 4)),
        );
        let of_ranks = [("data-parallel-size", "4"), ("replicas", "2")];
        check(
            &of_ranks,
            Ok(
                |engines| matches!(engines, Engines::Replicas(args, _, ranks) if (args.replicas, ranks.count) == (2, 4)),
            ),
        );
        check(
            &[("data-parallel-size", "2"), ("replica-fails", "0@1..2")],
            Ok(
                |engines| matches!(engines, Engines::Replicas(args, _, ranks) if (args.replicas, ranks.count) == (1, 2)),
            ),
        );
        let roles = [("prefill-replicas", "1"), ("decode-replicas", "2"), ("data-parallel-size", "2")];
        let scaled = ("decode-autoscaler", "planner-load:max-replicas=5");
        check(
            &[roles[0], roles[1], scaled, ("prefill-replica-fails", "0@1..2")],
            Ok(|engines| {
                matches!(engines, Engines::Roles(_, _, [prefill, decode])
                if (prefill.outages.len(), decode.num_engines(2)) == (1, 5))
            }),
        );
        check(&roles, Ok(|engines| matches!(engines, Engines::Roles(args, ..) if args.decode_replicas == 2)));
    }

    #[test]
    fn what_does_not_go_together_is_refused_by_the_flag() {
        let roles = [("prefill-replicas", "1"), ("decode-replicas", "2")];
        check(&[roles[0], roles[1], ("replica-fails", "0@1..2")], Err("--replica-fails"));
        check(&[roles[0], roles[1], ("autoscaler", "saturation")], Err("--prefill-autoscaler"));
        check(&[("replicas", "2"), ("prefill-replica-fails", "0@1..2")], Err("--prefill-replica-fails"));
        check(&[("decode-autoscaler", "saturation")], Err("--decode-autoscaler"));
        check(&[roles[0], roles[1], ("prefill-replica-fails", "1@1..2")], Err("--prefill-replica-fails: there is no"));
        check(&[roles[0], roles[1], ("decode-replica-fails", "1@2..1")], Err("--decode-replica-fails: replica 1"));
        let few = ("decode-autoscaler", "saturation:max-replicas=1");
        check(&[roles[0], roles[1], few], Err("--decode-replicas: \"2\" is not from the autoscaler's"));
        check(&[("data-parallel-size", "64"), ("replicas", "17")], Err("--replicas"));
        check(&[("decode-args", "--max-num-seqs 8"), ("replicas", "2")], Err("--decode-args"));
        check(&roles[..1], Err("--decode-replicas"));
    }
}
