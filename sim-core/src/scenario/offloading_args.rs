//! `--kv-offloading-bandwidth` and `-latency`: the way of KV blocks to the host's memory and back; and `--kv-tier-*`: the way
//! on to tiers behind that memory.

use super::{Scenario, ScenarioError};
use crate::config::EngineConfig;
use crate::config::flags::FlagError;
use crate::metrics::python_float;
use crate::profile::{OffloadingLink, StepTimeModel, TierSpeed, TierSpeeds};
use crate::time::SimDuration;

const BANDWIDTH: &str = "GB/s, at least 0.001; inf for transfers that take no time but their latency";
const LATENCY: &str = "milliseconds from 0 to 100";

/// How fast transfers are, where it is not as [`OffloadingLink::default`] estimates.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct OffloadingArgs {
    bandwidth_gb_s: Option<f64>,
    latency_ms: Option<f64>,
    tiers: TierArgs,
}

/// The same of tiers behind host memory: of all of them, where it is given.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct TierArgs {
    read_gb_s: Option<f64>,
    write_gb_s: Option<f64>,
    latency_ms: Option<f64>,
    lookup_ms: Option<f64>,
}

impl OffloadingArgs {
    /// Sets the field of a flag; false if it is none of these.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<bool, ScenarioError> {
        let is_bandwidth = |value: f64| value >= 1e-3;
        let is_latency = |value: f64| (0.0..=100.0).contains(&value);
        type Field<'a> = (&'a mut Option<f64>, &'static str, &'static str, fn(f64) -> bool);
        let (field, flag, expected, is_right): Field<'_> = match name {
            "kv-offloading-bandwidth" => {
                (&mut self.bandwidth_gb_s, "--kv-offloading-bandwidth", BANDWIDTH, is_bandwidth)
            }
            "kv-offloading-latency" => (&mut self.latency_ms, "--kv-offloading-latency", LATENCY, is_latency),
            "kv-tier-read-bandwidth" => {
                (&mut self.tiers.read_gb_s, "--kv-tier-read-bandwidth", BANDWIDTH, is_bandwidth)
            }
            "kv-tier-write-bandwidth" => {
                (&mut self.tiers.write_gb_s, "--kv-tier-write-bandwidth", BANDWIDTH, is_bandwidth)
            }
            "kv-tier-latency" => (&mut self.tiers.latency_ms, "--kv-tier-latency", LATENCY, is_latency),
            "kv-tier-lookup-latency" => (&mut self.tiers.lookup_ms, "--kv-tier-lookup-latency", LATENCY, is_latency),
            _ => return Ok(false),
        };
        let number = python_float::parse(value).filter(|&number| is_right(number));
        *field = Some(number.ok_or_else(|| ScenarioError::from(FlagError::value(flag, value, expected)))?);
        Ok(true)
    }

    /// `step_time` with such a link.
    pub(super) fn applied(self, step_time: StepTimeModel) -> StepTimeModel {
        let OffloadingLink { bandwidth, latency } = OffloadingLink::default();
        let TierSpeeds { local, remote } = TierSpeeds::default();
        let speeds = TierSpeeds { local: self.tiers.applied(local), remote: self.tiers.applied(remote) };
        let link = OffloadingLink {
            bandwidth: self.bandwidth_gb_s.map_or(bandwidth, |bandwidth| bandwidth * 1e9),
            latency: self.latency_ms.map_or(latency, of_ms),
        };
        step_time.with_offloading_link(link).with_tier_speeds(speeds)
    }
}

fn of_ms(ms: f64) -> SimDuration {
    SimDuration::from_micros_f64(1000.0 * ms)
}

impl TierArgs {
    fn applied(self, speed: TierSpeed) -> TierSpeed {
        TierSpeed {
            read_bandwidth: self.read_gb_s.map_or(speed.read_bandwidth, |bandwidth| bandwidth * 1e9),
            write_bandwidth: self.write_gb_s.map_or(speed.write_bandwidth, |bandwidth| bandwidth * 1e9),
            latency: self.latency_ms.map_or(speed.latency, of_ms),
            lookup_latency: self.lookup_ms.map_or(speed.lookup_latency, of_ms),
        }
    }
}

impl Scenario {
    /// Refuses links to memory and tiers that nothing goes over, and host memory in fleets of which it is not simulated.
    ///
    /// # Errors
    /// [`ScenarioError::Flag`].
    pub fn check_offloading(&self, config: &EngineConfig) -> Result<(), ScenarioError> {
        let refuse = |flag: &str, why| Err(FlagError::NotSimulated { flag: flag.into(), why }.into());
        let has_tiers = config.kv_offloading.is_some_and(|settings| settings.secondary_tiers().next().is_some());
        if !has_tiers && self.offloading.tiers != TierArgs::default() {
            return refuse(
                "--kv-tier-*",
                "there is no tier behind the host's memory; give --kv-transfer-config with secondary_tiers",
            );
        }
        let Some(settings) = config.kv_offloading else {
            return if self.offloading == OffloadingArgs::default() {
                Ok(())
            } else {
                refuse("--kv-offloading-*", "nothing goes to the host's memory; give --kv-offloading-size")
            };
        };
        if self.disaggregation().is_on() {
            return refuse(
                "--kv-offloading-size",
                "beside --prefill-replicas it needs two connectors (MultiConnector)",
            );
        }
        if self.get("data-parallel-size").is_some_and(|ranks| ranks != "1") {
            return refuse(
                "--kv-offloading-size",
                "ranks of one host share its memory; leave out --data-parallel-size",
            );
        }
        let shares_tiers = settings.secondary_tiers().any(|tier| tier.is_remote);
        if shares_tiers && self.get("replicas").is_some_and(|replicas| replicas != "1") {
            return refuse(
                "--kv-transfer-config",
                "replicas share tiers behind a network; with --replicas a tier is simulated on each one's own host",
            );
        }
        Ok(())
    }
}
