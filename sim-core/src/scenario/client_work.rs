//! `--client-work`: what the benchmark's own process takes, which is a queue, too.

use super::ScenarioError;
use crate::config::flags::FlagError;
use crate::metrics::python_float;
use crate::profile::StepTimeModel;
use crate::time::SimDuration;

/// How long the client works; nothing unless asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ClientWork {
    per_request: SimDuration,
    per_token: SimDuration,
}

impl ClientWork {
    /// `off`, or microseconds per request and per received token.
    pub(super) fn parse(text: &str) -> Result<Self, ScenarioError> {
        let wrong = || {
            let expected = "off, or REQUEST_US,TOKEN_US: microseconds from 0 to 1000000 that the client works for each \
                            request and each token it receives";
            ScenarioError::from(FlagError::value("--client-work", text, expected))
        };
        if text == "off" {
            return Ok(Self::default());
        }
        let duration = |part: &str| {
            let micros = python_float::parse(part.trim()).filter(|micros| (0.0..=1e6).contains(micros));
            micros.map(SimDuration::from_micros_f64).ok_or_else(wrong)
        };
        let (per_request, per_token) = text.split_once(',').ok_or_else(wrong)?;
        Ok(Self { per_request: duration(per_request)?, per_token: duration(per_token)? })
    }

    /// `step_time` with a client that works so long.
    pub(super) fn applied(self, step_time: StepTimeModel) -> StepTimeModel {
        step_time.with_client_work(self.per_request, self.per_token)
    }
}
