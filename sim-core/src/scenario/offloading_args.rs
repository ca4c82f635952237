//! `--kv-offloading-bandwidth` and `--kv-offloading-latency`: the way of KV blocks to the host's memory and back.

use super::{Scenario, ScenarioError};
use crate::config::EngineConfig;
use crate::config::flags::FlagError;
use crate::metrics::python_float;
use crate::profile::{OffloadingLink, StepTimeModel};
use crate::time::SimDuration;

const BANDWIDTH: &str = "GB/s, at least 0.001; inf for transfers that take no time but their latency";
const LATENCY: &str = "milliseconds from 0 to 100";

/// How fast transfers are, where it is not as [`OffloadingLink::default`] estimates.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct OffloadingArgs {
    bandwidth_gb_s: Option<f64>,
    latency_ms: Option<f64>,
}

impl OffloadingArgs {
    /// Sets the field of a flag; false if it is none of these.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<bool, ScenarioError> {
        let number = |flag, expected, is_right: fn(f64) -> bool| {
            let number = python_float::parse(value).filter(|&number| is_right(number));
            number.ok_or_else(|| ScenarioError::from(FlagError::value(flag, value, expected)))
        };
        match name {
            "kv-offloading-bandwidth" => {
                self.bandwidth_gb_s = Some(number("--kv-offloading-bandwidth", BANDWIDTH, |value| value >= 1e-3)?);
            }
            "kv-offloading-latency" => {
                let is_right = |value: f64| (0.0..=100.0).contains(&value);
                self.latency_ms = Some(number("--kv-offloading-latency", LATENCY, is_right)?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `step_time` with such a link.
    pub(super) fn applied(self, step_time: StepTimeModel) -> StepTimeModel {
        let OffloadingLink { bandwidth, latency } = OffloadingLink::default();
        step_time.with_offloading_link(OffloadingLink {
            bandwidth: self.bandwidth_gb_s.map_or(bandwidth, |bandwidth| bandwidth * 1e9),
            latency: self.latency_ms.map_or(latency, |latency| SimDuration::from_micros_f64(1000.0 * latency)),
        })
    }
}

impl Scenario {
    /// Refuses a link to host memory that nothing goes over, and host memory in fleets of which it is not simulated.
    ///
    /// # Errors
    /// [`ScenarioError::Flag`].
    pub(super) fn check_offloading(&self, config: &EngineConfig) -> Result<(), ScenarioError> {
        let refuse = |flag: &str, why| Err(FlagError::NotSimulated { flag: flag.into(), why }.into());
        if config.kv_offloading.is_none() {
            return if self.offloading == OffloadingArgs::default() {
                Ok(())
            } else {
                refuse("--kv-offloading-*", "nothing goes to the host's memory; give --kv-offloading-size")
            };
        }
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
        Ok(())
    }
}
