//! `--autoscaler` and the same of either role: a rule, and behind a colon what it goes by.

use alloc::format;
use alloc::string::{String, ToString as _};

use super::ScenarioError;
use super::fleet_args::MAX_REPLICAS;
use crate::fleet::life::{Autoscaling, PlannerThresholds, SaturationThresholds, ScalingRule};
use crate::metrics::python_float;
use crate::time::SimDuration;

/// Names of the rules.
const RULES: &str = "none, saturation or planner-load, and then :KEY=VALUE,… if need be";
/// Keys of every rule.
const KEYS: &str = "min-replicas, max-replicas, startup-time, interval, metrics-interval";
/// Replicas at most, where it is not said.
const MAX_REPLICAS_UNSAID: u32 = 8;
/// Longest time, in seconds: a day.
const MAX_SECONDS: f64 = 86_400.0;

/// `--autoscaler`, as far as it can be known without the number of replicas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AutoscalerArgs {
    flag: &'static str,
    rule: ScalingRule,
    min_replicas: u32,
    max_replicas: Option<u32>,
    startup_time: SimDuration,
    interval: SimDuration,
    metrics_interval: SimDuration,
}

impl AutoscalerArgs {
    /// The value of `flag`; `None` for none.
    pub(super) fn parse(flag: &'static str, text: &str) -> Result<Option<Self>, ScenarioError> {
        let (name, pairs) = text.split_once(':').unwrap_or((text, ""));
        // The sources' own intervals: `GLOBAL_OPT_INTERVAL` and a scrape of Prometheus', `--adjustment-interval` and
        // `--metric-pulling-interval`.
        let (rule, interval, metrics_interval) = match name {
            "none" if pairs.is_empty() => return Ok(None),
            "saturation" => (ScalingRule::Saturation(SaturationThresholds::default()), 60.0, 15.0),
            "planner-load" => (ScalingRule::PlannerLoad(PlannerThresholds::default()), 180.0, 10.0),
            _ => return Err(wrong(flag, text, RULES.to_string())),
        };
        let mut args = Self {
            flag,
            rule,
            min_replicas: 1,
            max_replicas: None,
            startup_time: SimDuration::from_secs_f64(120.0),
            interval: SimDuration::from_secs_f64(interval),
            metrics_interval: SimDuration::from_secs_f64(metrics_interval),
        };
        for pair in pairs.split(',').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| wrong(flag, pair, "KEY=VALUE".to_string()))?;
            args.set(key.trim(), value.trim())?;
        }
        if let ScalingRule::Saturation(thresholds) = args.rule
            && thresholds.kv_cache_threshold < thresholds.kv_spare_trigger
        {
            let most = thresholds.kv_cache_threshold;
            return Err(wrong(
                flag,
                &format!("kvSpareTrigger={}", thresholds.kv_spare_trigger),
                format!("kvCacheThreshold, {most}, at most"),
            ));
        }
        Ok(Some(args))
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), ScenarioError> {
        let flag = self.flag;
        let count = || {
            let count = value.parse().ok().filter(|count| (1..=MAX_REPLICAS).contains(count));
            count.ok_or_else(|| {
                wrong(flag, &format!("{key}={value}"), format!("a whole number from 1 to {MAX_REPLICAS}"))
            })
        };
        let number = |least: f64, most: f64| {
            let number = python_float::parse(value).filter(|number| (least..=most).contains(number));
            number.ok_or_else(|| wrong(flag, &format!("{key}={value}"), format!("a number from {least} to {most}")))
        };
        match (key, &mut self.rule) {
            ("min-replicas", _) => self.min_replicas = count()?,
            ("max-replicas", _) => self.max_replicas = Some(count()?),
            ("startup-time", _) => self.startup_time = SimDuration::from_secs_f64(number(0.0, MAX_SECONDS)?),
            ("interval", _) => self.interval = SimDuration::from_secs_f64(number(0.1, MAX_SECONDS)?),
            ("metrics-interval", _) => self.metrics_interval = SimDuration::from_secs_f64(number(0.1, MAX_SECONDS)?),
            ("kvCacheThreshold", ScalingRule::Saturation(at)) => at.kv_cache_threshold = number(0.0, 1.0)?,
            ("queueLengthThreshold", ScalingRule::Saturation(at)) => at.queue_length_threshold = number(0.0, 1e6)?,
            ("kvSpareTrigger", ScalingRule::Saturation(at)) => at.kv_spare_trigger = number(0.0, 1.0)?,
            ("queueSpareTrigger", ScalingRule::Saturation(at)) => at.queue_spare_trigger = number(0.0, 1e6)?,
            ("decode-kv-scale-up-threshold", ScalingRule::PlannerLoad(at)) => at.decode_kv_scale_up = number(0.0, 1.0)?,
            ("decode-kv-scale-down-threshold", ScalingRule::PlannerLoad(at)) => {
                at.decode_kv_scale_down = number(0.0, 1.0)?;
            }
            ("prefill-queue-scale-up-threshold", ScalingRule::PlannerLoad(at)) => {
                at.prefill_queue_scale_up = number(0.0, 1e6)?;
            }
            ("prefill-queue-scale-down-threshold", ScalingRule::PlannerLoad(at)) => {
                at.prefill_queue_scale_down = number(0.0, 1e6)?;
            }
            (_, rule) => return Err(wrong(flag, key, format!("one of {KEYS}, {}", keys(rule)))),
        }
        Ok(())
    }

    /// With so many replicas at the beginning, as the flag `count` says.
    ///
    /// # Errors
    /// [`ScenarioError::Value`] if these are fewer than its fewest, or more than its most.
    pub(super) fn of_replicas(self, count: &'static str, initial_replicas: u32) -> Result<Autoscaling, ScenarioError> {
        let max_replicas = self.max_replicas.unwrap_or(MAX_REPLICAS_UNSAID.max(initial_replicas));
        let min_replicas = self.min_replicas;
        if min_replicas > max_replicas {
            return Err(wrong(
                self.flag,
                &format!("min-replicas={min_replicas}"),
                format!("max-replicas, {max_replicas}, at most"),
            ));
        }
        if !(min_replicas..=max_replicas).contains(&initial_replicas) {
            let need = format!(
                "from the autoscaler's min-replicas, {min_replicas}, to its max-replicas, {max_replicas}: so many there \
                 are at the beginning"
            );
            return Err(ScenarioError::Value { flag: count, value: initial_replicas.to_string(), need });
        }
        Ok(Autoscaling {
            rule: self.rule,
            initial_replicas,
            min_replicas,
            max_replicas,
            interval: self.interval,
            metrics_interval: self.metrics_interval,
            startup_time: self.startup_time,
        })
    }
}

/// Keys of one rule.
const fn keys(rule: &ScalingRule) -> &'static str {
    match rule {
        ScalingRule::Saturation(_) => "kvCacheThreshold, queueLengthThreshold, kvSpareTrigger, queueSpareTrigger",
        ScalingRule::PlannerLoad(_) => {
            "decode-kv-scale-up-threshold, decode-kv-scale-down-threshold, prefill-queue-scale-up-threshold, \
             prefill-queue-scale-down-threshold"
        }
    }
}

fn wrong(flag: &'static str, value: &str, need: String) -> ScenarioError {
    ScenarioError::Value { flag, value: value.to_string(), need }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, initial_replicas: u32, expect: Result<(u32, u32, f64), &str>) {
        let found = AutoscalerArgs::parse("autoscaler", text)
            .and_then(|args| args.expect("a rule").of_replicas("replicas", initial_replicas));
        match (found, expect) {
            (Ok(found), Ok(expect)) => {
                let startup_time = found.startup_time.as_secs_f64();
                assert_eq!((found.min_replicas, found.max_replicas, startup_time), expect, "{text}");
            }
            (Err(error), Err(expect)) => {
                let error = error.to_string();
                assert!(error.starts_with("--") && error.contains(expect), "{text}: {error}");
            }
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn rules_and_their_values_are_read_and_what_is_wrong_is_named() {
        assert_eq!(AutoscalerArgs::parse("autoscaler", "none"), Ok(None));
        check("saturation", 1, Ok((1, 8, 120.0)));
        check("planner-load", 20, Ok((1, 20, 120.0)));
        check("saturation:min-replicas=2,max-replicas=4,startup-time=0,kvSpareTrigger=0.3", 3, Ok((2, 4, 0.0)));
        check("planner-load:decode-kv-scale-up-threshold=0.5,interval=5", 1, Ok((1, 8, 120.0)));
        check("fast", 1, Err("none, saturation or planner-load"));
        check("none:interval=3", 1, Err("none, saturation or planner-load"));
        check("saturation:interval", 1, Err("KEY=VALUE"));
        check("saturation:interval=0", 1, Err("\"interval=0\" is not a number from 0.1 to 86400"));
        check("saturation:interval=nan", 1, Err("a number from 0.1"));
        check("saturation:max-replicas=1025", 1, Err("a whole number from 1 to 1024"));
        check("saturation:kvCacheThreshold=1.5", 1, Err("a number from 0 to 1"));
        check("saturation:kvCacheThreshold=0.05", 1, Err("kvCacheThreshold, 0.05, at most"));
        check("saturation:decode-kv-scale-up-threshold=0.5", 1, Err("queueSpareTrigger"));
        check("planner-load:kvCacheThreshold=0.5", 1, Err("prefill-queue-scale-up-threshold"));
        check("saturation:min-replicas=9", 9, Ok((9, 9, 120.0)));
        check("saturation:min-replicas=3,max-replicas=2", 2, Err("max-replicas, 2, at most"));
        check("saturation:min-replicas=3", 2, Err("--replicas: \"2\" is not from the autoscaler's min-replicas, 3"));
    }
}
