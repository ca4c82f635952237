//! `--prefill-replicas`, `--decode-replicas` and what is between them: engines that compute prompts, engines that answer,
//! and the way of KV blocks from one to the other.

use super::fleet_args::MAX_REPLICAS;
use super::{Scenario, ScenarioError};
use crate::config::flags::FlagError;
use crate::fleet::disaggregated::links::Bandwidths;
use crate::fleet::disaggregated::transfer::TransferCosts;
use crate::math;
use crate::sched::connector::interface::KvLoadFailurePolicy;
use crate::time::SimDuration;

/// What the flags take.
const REPLICAS: &str = "a whole number from 0 to 1024";
const BANDWIDTH: &str = "GB/s above 0; inf for transfers that take no time but their latency";
const SPAN: &str = "a number from 0 to 1000000";
const SHARE: &str = "a share from 0 to 1";
const POLICIES: &str = "fail or recompute";

/// Prefill and decode on engines of their own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DisaggregationArgs {
    /// Engines that compute prompts; 0 if all engines do everything.
    pub prefill_replicas: u32,
    /// Engines that load them and answer; 0 if and only if the others are.
    pub decode_replicas: u32,
    /// What each of an engine's devices sends, and receives, in GB/s (10^9 bytes).
    pub bandwidth_gb_s: f64,
    /// From the decision to load until the first byte comes, in milliseconds.
    pub latency_ms: f64,
    /// What each descriptor of a transfer adds to that, in microseconds.
    pub descriptor_us: f64,
    /// Share of loads that fail.
    pub failure_rate: f64,
    /// What becomes of a request whose load failed.
    pub kv_load_failure_policy: KvLoadFailurePolicy,
}

impl Default for DisaggregationArgs {
    /// One 400 Gbit/s adapter for each device, 10 us from point to point, as aiconfigurator's system files have it for
    /// links between nodes; vLLM's policy.
    fn default() -> Self {
        Self {
            prefill_replicas: 0,
            decode_replicas: 0,
            bandwidth_gb_s: 50.0,
            latency_ms: 0.01,
            descriptor_us: 0.0,
            failure_rate: 0.0,
            kv_load_failure_policy: KvLoadFailurePolicy::Fail,
        }
    }
}

impl DisaggregationArgs {
    /// Sets the field of a flag; false if it is none of these.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<bool, ScenarioError> {
        match name {
            "prefill-replicas" => self.prefill_replicas = replicas("--prefill-replicas", value)?,
            "decode-replicas" => self.decode_replicas = replicas("--decode-replicas", value)?,
            "kv-transfer-bandwidth" => {
                let is_right = |&bandwidth: &f64| bandwidth > 0.0;
                self.bandwidth_gb_s = number("--kv-transfer-bandwidth", value, BANDWIDTH, is_right)?;
            }
            "kv-transfer-latency" => self.latency_ms = span("--kv-transfer-latency", value)?,
            "kv-transfer-descriptor-time" => self.descriptor_us = span("--kv-transfer-descriptor-time", value)?,
            "kv-transfer-failure-rate" => {
                let is_right = |share: &f64| (0.0..=1.0).contains(share);
                self.failure_rate = number("--kv-transfer-failure-rate", value, SHARE, is_right)?;
            }
            "kv-load-failure-policy" => {
                self.kv_load_failure_policy = match value {
                    "fail" => KvLoadFailurePolicy::Fail,
                    "recompute" => KvLoadFailurePolicy::Recompute,
                    _ => return Err(FlagError::value("--kv-load-failure-policy", value, POLICIES).into()),
                };
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether there are engines for one thing only.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.prefill_replicas > 0
    }

    /// How long transfers take from engines of so many devices to engines of so many others, which send and receive side
    /// by side.
    #[must_use]
    pub fn costs(&self, [num_prefill, num_decode]: [u32; 2]) -> TransferCosts {
        let bandwidth = |num_devices| self.bandwidth_gb_s * 1e9 * math::u32_to_f64(num_devices);
        TransferCosts {
            bandwidths: Bandwidths { sending: bandwidth(num_prefill), receiving: bandwidth(num_decode) },
            latency: SimDuration::from_micros_f64(1000.0 * self.latency_ms),
            per_descriptor: SimDuration::from_micros_f64(self.descriptor_us),
        }
    }

    /// Refuses a fleet with one of the roles alone, and what has no meaning without both.
    ///
    /// # Errors
    /// [`ScenarioError::Flag`].
    pub(super) fn check(&self, num_replicas: u32) -> Result<(), ScenarioError> {
        let refuse = |flag: &str, why| Err(FlagError::NotSimulated { flag: flag.into(), why }.into());
        let of_roles = Self { prefill_replicas: 0, decode_replicas: 0, ..*self };
        match (self.prefill_replicas, self.decode_replicas) {
            (0, 0) if of_roles != Self::default() => refuse(
                "--kv-transfer-*",
                "KV is transferred between engines of two roles; give --prefill-replicas and --decode-replicas",
            ),
            (0, 1..) => refuse("--decode-replicas", "somebody has to compute the prompts; give --prefill-replicas"),
            (1.., 0) => refuse("--prefill-replicas", "somebody has to answer; give --decode-replicas"),
            (1.., 1..) if num_replicas > 1 => {
                refuse("--replicas", "they do everything; leave it out beside --prefill-replicas and --decode-replicas")
            }
            _ => Ok(()),
        }
    }

    /// Refuses what only a fleet has, for those who simulate one engine.
    ///
    /// # Errors
    /// [`ScenarioError::Flag`] for engines of either role.
    pub(super) fn check_one(&self) -> Result<(), ScenarioError> {
        if self.prefill_replicas > 0 || self.decode_replicas > 0 {
            let why = "this asks about one engine; prefill and decode on engines of their own are simulated by `profiler \
                       simulate` and by the page's \"What if?\"";
            return Err(FlagError::NotSimulated { flag: "--prefill-replicas".into(), why }.into());
        }
        Ok(())
    }
}

impl Scenario {
    /// Prefill and decode on engines of their own, if they are.
    #[must_use]
    pub const fn disaggregation(&self) -> DisaggregationArgs {
        self.disaggregation
    }
}

fn replicas(flag: &str, value: &str) -> Result<u32, ScenarioError> {
    let wrong = || FlagError::value(flag, value, REPLICAS);
    Ok(value.parse().ok().filter(|&replicas| replicas <= MAX_REPLICAS).ok_or_else(wrong)?)
}

fn span(flag: &str, value: &str) -> Result<f64, ScenarioError> {
    number(flag, value, SPAN, |span| (0.0..=1e6).contains(span))
}

fn number(
    flag: &str,
    value: &str,
    expected: &'static str,
    is_right: impl Fn(&f64) -> bool,
) -> Result<f64, ScenarioError> {
    let wrong = || FlagError::value(flag, value, expected);
    Ok(value.parse().ok().filter(is_right).ok_or_else(wrong)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(flags: &[(&str, &str)]) -> Result<DisaggregationArgs, ScenarioError> {
        let mut args = DisaggregationArgs::default();
        for (name, value) in flags {
            assert!(args.set(name, value)?, "{name} is one of these");
        }
        Ok(args)
    }

    #[test]
    fn values_are_checked_by_name() {
        let wrong = [
            ("prefill-replicas", "-1"),
            ("decode-replicas", "1025"),
            ("kv-transfer-bandwidth", "0"),
            ("kv-transfer-bandwidth", "nan"),
            ("kv-transfer-latency", "-0.1"),
            ("kv-transfer-latency", "inf"),
            ("kv-transfer-descriptor-time", "x"),
            ("kv-transfer-failure-rate", "1.1"),
            ("kv-load-failure-policy", "retry"),
        ];
        for (name, value) in wrong {
            let text = alloc::format!("{}", set(&[(name, value)]).expect_err(name));
            assert!(text.contains(name) && text.contains(value), "{name} {value}: {text}");
        }
        assert!(!DisaggregationArgs::default().set("replicas", "2").expect("not looked at"), "somebody else's");
    }

    #[test]
    fn both_roles_or_none() {
        let check = |flags: &[(&str, &str)], num_replicas, named: Option<&str>| {
            let found = set(flags).expect("values").check(num_replicas).map_err(|error| alloc::format!("{error}"));
            match (&found, named) {
                (Ok(()), None) => {}
                (Err(text), Some(named)) => assert!(text.contains(named), "{text}"),
                _ => panic!("{flags:?} with {num_replicas}: {found:?}"),
            }
        };
        check(&[], 3, None);
        check(&[("prefill-replicas", "2"), ("decode-replicas", "1"), ("kv-transfer-bandwidth", "inf")], 1, None);
        check(&[("prefill-replicas", "2")], 1, Some("--decode-replicas"));
        check(&[("decode-replicas", "2")], 1, Some("--prefill-replicas"));
        check(&[("prefill-replicas", "2"), ("decode-replicas", "1")], 2, Some("--replicas"));
        check(&[("kv-transfer-latency", "5")], 1, Some("--prefill-replicas"));
        let Bandwidths { sending, receiving } = set(&[]).expect("none").costs([4, 1]).bandwidths;
        assert!((sending - 2e11).abs() < 1.0 && (receiving - 5e10).abs() < 1.0, "four devices, and one");
    }
}
