//! What is said to the driver and what it answers: one JSON object a line.

use serde::{Deserialize, Serialize};

use crate::engine::{PassInstants, Script, ScriptedRequest};
use crate::verify::recorded_trace::Iteration;

/// To the driver.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Command<'a> {
    /// Build an engine.
    Start {
        /// Flags of `vllm serve`.
        flags: &'a [String],
    },
    /// Run a script on it.
    Run(RunCommand<'a>),
}

/// A [`Script`] in the driver's words, or requests with their times.
#[derive(Debug, Serialize)]
pub(super) struct RunCommand<'a> {
    requests: Vec<RunRequest<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queries_per_iter: Option<&'a [u32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_times_ns: Option<&'a [u64]>,
    aborts: &'a [(u32, u32)],
    #[serde(skip_serializing_if = "Option::is_none")]
    forced_drafts: Option<u32>,
}

#[derive(Debug, Serialize)]
struct RunRequest<'a> {
    prompt_token_ids: &'a [u32],
    max_tokens: u32,
    priority: i32,
    cache_salt: Option<&'a str>,
    temperature: f64,
}

impl<'a> RunCommand<'a> {
    /// Requests that join as the script says.
    pub(super) fn scripted(script: &'a Script) -> Self {
        Self {
            requests: script.requests.iter().map(RunRequest::from).collect(),
            queries_per_iter: Some(&script.queries_per_iter),
            send_times_ns: None,
            aborts: &script.aborts,
            forced_drafts: script.forced_drafts,
        }
    }

    /// Requests that join before the first iteration after their time, in nanoseconds since the run began.
    pub(super) fn timed(requests: &'a [ScriptedRequest], send_times_ns: &'a [u64]) -> Self {
        Self {
            requests: requests.iter().map(RunRequest::from).collect(),
            queries_per_iter: None,
            send_times_ns: Some(send_times_ns),
            aborts: &[],
            forced_drafts: None,
        }
    }
}

impl RunCommand<'_> {
    /// Requests of the run.
    pub(super) fn num_requests(&self) -> usize {
        self.requests.len()
    }
}

impl<'a> From<&'a ScriptedRequest> for RunRequest<'a> {
    fn from(request: &'a ScriptedRequest) -> Self {
        Self {
            prompt_token_ids: &request.prompt_token_ids,
            max_tokens: request.max_tokens,
            priority: request.priority,
            cache_salt: request.cache_salt.as_deref(),
            temperature: f64::from(request.temperature_permille) / 1e3,
        }
    }
}

/// From the driver.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// The first line: vLLM loads.
    Hello {
        /// Its version.
        vllm: String,
    },
    /// The engine is up.
    Started(Box<super::facts::Facts>),
    /// The script has run.
    Ran {
        /// Every call of the step function.
        passes: Vec<RanPass>,
        /// Tokens generated, per request.
        outputs: Vec<Vec<u32>>,
        /// Per request, how many drafts were proposed after each pass that gave it a token.
        #[serde(default)]
        proposals: Vec<Vec<u32>>,
    },
    /// It could not be done.
    Failed {
        /// Whose fault.
        kind: FailureKind,
        /// What Python says.
        message: String,
    },
}

/// One call of the step function.
#[derive(Debug, Deserialize)]
pub(super) struct RanPass {
    /// As the trace format has it.
    pub(super) entry: Iteration,
    /// Begin, called, scheduled, executed, updated, end, in nanoseconds since the script began.
    pub(super) ns: [u64; 6],
}

impl RanPass {
    pub(super) const fn instants(&self) -> PassInstants {
        let [begin, called, scheduled, executed, updated, end] = self.ns;
        PassInstants { begin, called, scheduled, executed, updated, end }
    }
}

/// Why the driver could not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FailureKind {
    /// vLLM cannot be imported.
    NoVllm,
    /// It lacks what is driven.
    UnsupportedVersion,
    /// The model or its cache is of a kind that is not simulated.
    NotSimulated,
    /// The engine did not start.
    EngineStart,
    /// Memory ran out.
    OutOfMemory,
    /// The engine failed while it ran.
    Engine,
    /// The two sides do not understand each other.
    Protocol,
}
