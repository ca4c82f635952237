//! What all connections share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use sim_core::config::EngineConfig;

use super::admission::{QueueLimits, Rejection};
use super::api::body::Bodies;
use super::lateness::Lateness;
use super::lengths::OutputLengths;
use super::metrics::Metrics;
use super::submission::EngineHandle;
use super::tokens::Tokens;

/// What it takes to read a request.
#[derive(Debug)]
pub(crate) struct Served {
    /// Names under which the model is served; at least one.
    pub(crate) names: Vec<String>,
    pub(crate) tokens: Arc<Tokens>,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) served: Served,
    /// The model, as `/v1/models` calls its root.
    pub(crate) root: String,
    pub(crate) config: EngineConfig,
    pub(crate) lengths: OutputLengths,
    pub(crate) limits: QueueLimits,
    /// `--enable-prompt-tokens-details`
    pub(crate) tells_cached_tokens: bool,
    pub(crate) time_scale: f64,
    pub(crate) engine: EngineHandle,
    pub(crate) metrics: Arc<Mutex<Metrics>>,
    pub(crate) lateness: Lateness,
    pub(crate) bodies: Bodies,
}

impl State {
    /// The name that answers carry.
    pub(crate) fn name(&self) -> &str {
        self.served.names.first().map_or("", String::as_str)
    }

    /// What every answer says of the server in its header `server`.
    pub(crate) fn banner(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "profiler-emulate/{version} (SIMULATED vLLM {}; filler text; tokens counted {})",
            self.config.vllm_version.name(),
            self.served.tokens.described()
        )
    }

    /// A request was turned away.
    pub(crate) fn note_rejection(&self, rejection: Rejection) {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner).reject(rejection);
    }
}

/// Seconds since 1970.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
