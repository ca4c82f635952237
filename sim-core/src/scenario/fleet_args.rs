//! `--replicas` and `--router`: how many engines answer, and who gives them requests.

use super::{Scenario, ScenarioError};
use crate::config::flags::FlagError;
use crate::fleet::router::{Policy, RouterWeights};
use crate::fleet::{Dispatch, RouterSettings};

/// Most replicas of a fleet: each has an engine, with tables of all KV blocks and requests.
pub const MAX_REPLICAS: u32 = 1024;

/// What the flags take.
const NUMBERS: &str = "a whole number from 1 to 1024";
const NAMES: &str = "one of round-robin, random, least-loaded, power-of-two, consistent-hash, prefix-aware, cache-aware, \
                     weighted-scorers, kv-cost";

/// The fleet of a scenario.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FleetArgs {
    /// Engines, all alike, from 1 to [`MAX_REPLICAS`].
    pub replicas: u32,
    /// Who decides which of them gets a request.
    pub router: Policy,
    /// What routers weigh with.
    pub weights: RouterWeights,
}

impl Default for FleetArgs {
    fn default() -> Self {
        Self { replicas: 1, router: Policy::default(), weights: RouterWeights::default() }
    }
}

impl FleetArgs {
    pub(super) fn set_replicas(&mut self, value: &str) -> Result<(), ScenarioError> {
        let wrong = || FlagError::value("--replicas", value, NUMBERS);
        let replicas = value.parse().ok().filter(|replicas| (1..=MAX_REPLICAS).contains(replicas)).ok_or_else(wrong)?;
        self.replicas = replicas;
        Ok(())
    }

    pub(super) fn set_router(&mut self, value: &str) -> Result<(), ScenarioError> {
        self.router = Policy::from_name(value).map_err(|_unknown| FlagError::value("--router", value, NAMES))?;
        Ok(())
    }

    /// Who gives out requests, drawing from `seed`.
    #[must_use]
    pub fn dispatch(&self, seed: u64) -> Dispatch {
        Dispatch::Router(self.router_settings(seed))
    }

    /// The router, drawing from `seed`.
    #[must_use]
    pub fn router_settings(&self, seed: u64) -> RouterSettings {
        RouterSettings { policy: self.router, seed, weights: self.weights, ..RouterSettings::default() }
    }

    /// Refuses what only a fleet has, for those who simulate one engine.
    ///
    /// # Errors
    /// [`ScenarioError::Flag`] for more than one replica.
    pub(super) fn check_one(&self) -> Result<(), ScenarioError> {
        if self.replicas > 1 {
            let why = "this asks about one engine; several replicas are simulated by `profiler simulate` and by the page's \"What if?\"";
            return Err(FlagError::NotSimulated { flag: "--replicas".into(), why }.into());
        }
        Ok(())
    }
}

impl Scenario {
    /// How many engines answer, and who gives them requests.
    #[must_use]
    pub const fn fleet(&self) -> FleetArgs {
        self.fleet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_values_holds() {
        assert!(NUMBERS.ends_with(&alloc::format!(" {MAX_REPLICAS}")), "{NUMBERS}");
        let names: alloc::vec::Vec<_> = NAMES.trim_start_matches("one of ").split(", ").collect();
        assert_eq!(names, Policy::NAMES);
        let mut args = FleetArgs::default();
        for wrong in ["0", "1025", "-1", "two", ""] {
            let error = args.set_replicas(wrong).expect_err(wrong);
            assert!(alloc::format!("{error}").contains("--replicas"), "{error}");
        }
        assert!(args.set_router("fastest").is_err(), "no such router");
        assert_eq!(args, FleetArgs::default(), "nothing has changed");
        args.set_replicas("2").expect("two");
        assert!(args.check_one().is_err(), "they are two");
    }
}
