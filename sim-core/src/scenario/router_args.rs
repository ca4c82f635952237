//! `--router-args`: what routers weigh with, under the names of their sources' flags.

use alloc::format;
use alloc::string::{String, ToString as _};

use super::flag::{Flag, Form, Part};
use super::{FleetArgs, ScenarioError};
use crate::fleet::router::{Policy, RouterWeights};
use crate::metrics::python_float;

/// `--router-args`.
pub(super) const ROUTER_ARGS: Flag = Flag {
    name: "router-args",
    part: Part::Engine,
    form: Form::Text,
    help: "What the router weighs with, as its source calls it: KEY=VALUE,…, such as cache-threshold=0.3",
    default: "the source's own",
    is_vllms: false,
};

/// Most that a weight is.
const MAX_WEIGHT: f64 = 1e6;

/// A value that a router has.
type Setting = (&'static str, Policy, f64, fn(&mut RouterWeights) -> &mut f64);

/// All but the one that is a whole number.
const SETTINGS: [Setting; 7] = [
    ("cache-threshold", Policy::CacheAware, 1.0, |weights| &mut weights.cache_threshold),
    ("balance-rel-threshold", Policy::CacheAware, MAX_WEIGHT, |weights| &mut weights.balance_rel_threshold),
    ("kv-overlap-score-weight", Policy::KvCost, MAX_WEIGHT, |weights| &mut weights.kv_overlap_score_weight),
    ("router-temperature", Policy::KvCost, MAX_WEIGHT, |weights| &mut weights.router_temperature),
    ("prefix-cache-scorer", Policy::WeightedScorers, MAX_WEIGHT, |weights| &mut weights.prefix_cache_scorer),
    ("queue-scorer", Policy::WeightedScorers, MAX_WEIGHT, |weights| &mut weights.queue_scorer),
    ("kv-cache-utilization-scorer", Policy::WeightedScorers, MAX_WEIGHT, |weights| {
        &mut weights.kv_cache_utilization_scorer
    }),
];
const BALANCE_ABS_THRESHOLD: &str = "balance-abs-threshold";

/// The weights that the value of the flag says.
pub(super) fn parse(text: &str) -> Result<RouterWeights, ScenarioError> {
    let mut weights = RouterWeights::default();
    for pair in text.split(',') {
        let (key, value) = pair.split_once('=').ok_or_else(|| wrong(pair, "KEY=VALUE".to_string()))?;
        set(&mut weights, key.trim(), value.trim())?;
    }
    Ok(weights)
}

fn set(weights: &mut RouterWeights, key: &str, value: &str) -> Result<(), ScenarioError> {
    if key == BALANCE_ABS_THRESHOLD {
        let number = value.parse::<u32>().ok();
        let number =
            number.ok_or_else(|| wrong(&format!("{key}={value}"), format!("a whole number up to {}", u32::MAX)))?;
        weights.balance_abs_threshold = u64::from(number);
        return Ok(());
    }
    let Some((_, _, most, field)) = SETTINGS.iter().find(|(name, ..)| *name == key) else {
        let names = SETTINGS.map(|(name, ..)| name).join(", ");
        return Err(wrong(key, format!("one of {names}, {BALANCE_ABS_THRESHOLD}")));
    };
    let number = python_float::parse(value).filter(|number| (0.0..=*most).contains(number));
    *field(weights) = number.ok_or_else(|| wrong(&format!("{key}={value}"), format!("a number from 0 to {most}")))?;
    Ok(())
}

fn wrong(value: &str, need: String) -> ScenarioError {
    ScenarioError::Value { flag: "router-args", value: value.to_string(), need }
}

impl FleetArgs {
    /// Refuses weights that the router does not look at.
    ///
    /// # Errors
    /// [`ScenarioError::Value`] for the first of them.
    pub fn check_router_args(&self) -> Result<(), ScenarioError> {
        let (mut given, mut unsaid) = (self.weights, RouterWeights::default());
        let abs = (BALANCE_ABS_THRESHOLD, Policy::CacheAware);
        let has_abs = given.balance_abs_threshold != unsaid.balance_abs_threshold;
        let mut others = SETTINGS.iter().filter(|(_, router, ..)| *router != self.router);
        let other = others.find(|(_, _, _, field)| {
            *field(&mut given) < *field(&mut unsaid) || *field(&mut given) > *field(&mut unsaid)
        });
        let other =
            other.map(|&(name, router, ..)| (name, router)).or(Some(abs).filter(|_| has_abs && self.router != abs.1));
        match other {
            None => Ok(()),
            Some((name, router)) => {
                Err(wrong(name, format!("a value of --router {}, but of {}", self.router.name(), router.name())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_and_what_is_wrong_is_named() {
        let weights = parse("cache-threshold=0.3, balance-abs-threshold=64,router-temperature=0.7").expect("weights");
        let expect = RouterWeights {
            cache_threshold: 0.3,
            balance_abs_threshold: 64,
            router_temperature: 0.7,
            ..RouterWeights::default()
        };
        assert_eq!(weights, expect);
        for (wrong, need) in [
            ("cache-threshold", "KEY=VALUE"),
            ("cache-threshold=1.5", "from 0 to 1"),
            ("queue-scorer=-1", "from 0 to 1000000"),
            ("queue-scorer=nan", "from 0 to 1000000"),
            ("balance-abs-threshold=1.5", "a whole number"),
            ("speed=3", "one of cache-threshold"),
        ] {
            let error = parse(wrong).expect_err(wrong).to_string();
            assert!(error.starts_with("--router-args") && error.contains(need), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_router_has_its_own_weights_only() {
        let check = |router, text: &str, is_used: bool| {
            let args = FleetArgs { router, weights: parse(text).expect("weights"), ..FleetArgs::default() };
            assert_eq!(args.check_router_args().is_ok(), is_used, "{text} of {}", router.name());
        };
        check(Policy::CacheAware, "cache-threshold=0.3,balance-abs-threshold=5", true);
        check(Policy::KvCost, "cache-threshold=0.3", false);
        check(Policy::Random, "balance-abs-threshold=5", false);
        check(Policy::KvCost, "router-temperature=0.3", true);
        check(Policy::WeightedScorers, "queue-scorer=0,prefix-cache-scorer=3", true);
        check(Policy::RoundRobin, "queue-scorer=0", false);
    }
}
