//! `--pass-noise`: whether passes of the same batch differ in a run, and by how much.

use alloc::vec::Vec;

use super::ScenarioError;
use crate::config::flags::FlagError;
use crate::metrics::python_float;
use crate::profile::schema::{Basis, PassNoise};
use crate::profile::{Profile, StepTimeModel};

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Noise {
    /// Every pass takes its expectation.
    #[default]
    Off,
    /// As much as the profile says.
    Profile,
    /// As much as the user says.
    Given(PassNoise),
}

impl Noise {
    /// `off`, `profile`, or up to four numbers: standard deviation of the logarithm, its correlation from pass to pass,
    /// share of interrupted passes, milliseconds of an interruption.
    pub(super) fn parse(text: &str) -> Result<Self, ScenarioError> {
        let wrong = || {
            let expected = "off, profile, or SIGMA[,CORRELATION[,LONG_SHARE,LONG_MS]] with SIGMA from 0 to 2, CORRELATION \
                            from 0 to 0.999, LONG_SHARE from 0 to 0.5 and LONG_MS from 0 to 100000";
            ScenarioError::from(FlagError::value("--pass-noise", text, expected))
        };
        match text {
            "off" => return Ok(Self::Off),
            "profile" => return Ok(Self::Profile),
            _ => {}
        }
        let numbers: Option<Vec<f64>> = text.split(',').map(|part| python_float::parse(part.trim())).collect();
        let numbers = numbers.ok_or_else(wrong)?;
        let (sigma, correlation, long_share, long_ms) = match *numbers.as_slice() {
            [sigma] => (sigma, 0.0, 0.0, 0.0),
            [sigma, correlation] => (sigma, correlation, 0.0, 0.0),
            [sigma, correlation, long_share, long_ms] => (sigma, correlation, long_share, long_ms),
            _ => return Err(wrong()),
        };
        let ranges = [(sigma, 2.0), (correlation, 0.999), (long_share, 0.5), (long_ms, 1e5)];
        if ranges.iter().any(|(number, most)| !(0.0..=*most).contains(number)) {
            return Err(wrong());
        }
        Ok(Self::Given(PassNoise {
            sigma,
            correlation,
            long_share,
            long_us: 1000.0 * long_ms,
            basis: Basis::Estimate,
            reason: "Given with --pass-noise.".into(),
        }))
    }

    /// `step_time` with the noise that was asked for, drawn by `seed`.
    ///
    /// # Errors
    /// If the profile's is asked for and it has none.
    pub(super) fn applied(
        &self,
        step_time: StepTimeModel,
        profile: &Profile,
        seed: u64,
    ) -> Result<StepTimeModel, ScenarioError> {
        let noise = match self {
            Self::Off => return Ok(step_time),
            Self::Profile => profile.host.pass_noise.as_ref().ok_or_else(|| {
                let expected = "the profile does not say how much its passes differ; give SIGMA,CORRELATION,LONG_SHARE,\
                                LONG_MS, or measure it with `profiler verify-serve --write-profile`";
                FlagError::value("--pass-noise", "profile", expected)
            })?,
            Self::Given(noise) => noise,
        };
        Ok(step_time.with_noise(noise, seed))
    }
}
