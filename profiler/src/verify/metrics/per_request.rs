//! The times of one request, in the engine and in the simulator by the same definitions.

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use sim_core::metrics::recorder::Recording;
use sim_core::metrics::request_metrics::tpot;

use crate::engine::{Pass, Run};

/// What is compared; the definitions stand in the module above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Metric {
    /// Time to first token.
    Ttft,
    /// Time per output token after the first.
    Tpot,
    /// Token generation time.
    Tgt,
    /// End-to-end latency.
    E2el,
}

impl Metric {
    /// In the order in which they are shown.
    pub(crate) const ALL: [Self; 4] = [Self::Ttft, Self::Tpot, Self::Tgt, Self::E2el];

    /// Its name for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ttft => "TTFT",
            Self::Tpot => "TPOT",
            Self::Tgt => "TGT",
            Self::E2el => "E2EL",
        }
    }
}

/// Latencies of one request, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct RequestTimes {
    /// Time to first token.
    pub(crate) ttft_s: f64,
    /// Time per output token after the first; none for a single token.
    pub(crate) tpot_s: Option<f64>,
    /// From the first token to the last; none for a single token.
    pub(crate) tgt_s: Option<f64>,
    /// End-to-end latency.
    pub(crate) e2el_s: f64,
}

impl RequestTimes {
    /// From a request's instants in nanoseconds; `None` if they are out of order.
    pub(super) fn new(joined: u64, first_token: u64, last_token: u64, num_output_tokens: u32) -> Option<Self> {
        let seconds = |from: u64, to: u64| Some(to.checked_sub(from)? as f64 / 1e9);
        let (ttft_s, e2el_s) = (seconds(joined, first_token)?, seconds(joined, last_token)?);
        let tgt_s = seconds(first_token, last_token)?;
        Some(Self {
            ttft_s,
            tpot_s: tpot(e2el_s, ttft_s, num_output_tokens),
            tgt_s: (num_output_tokens > 1).then_some(tgt_s),
            e2el_s,
        })
    }

    /// The value of `metric`, if the request has one.
    pub(crate) const fn get(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Ttft => Some(self.ttft_s),
            Metric::Tpot => self.tpot_s,
            Metric::Tgt => self.tgt_s,
            Metric::E2el => Some(self.e2el_s),
        }
    }
}

/// In which iterations of the engine's loop a finished request joined and got its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    /// Index in the script.
    pub(super) request: usize,
    joined_at: usize,
    first_token_at: usize,
    last_token_at: usize,
    /// Prompt tokens.
    pub(super) num_prompt_tokens: u32,
    /// Tokens generated.
    pub(super) num_output_tokens: u32,
    /// Forward passes from its joining to its last token, both ends included.
    pub(super) num_passes: u32,
}

/// The lives of all requests that ran to their end. `recording` is the simulator's, of the same passes as `passes`.
///
/// # Errors
/// If the two are not of the same passes.
pub(super) fn lives(recording: &Recording, passes: &[Pass]) -> Result<Vec<Life>> {
    let mut joined_at = vec![None; recording.requests.len()];
    // Iteration in which the tokens of a pass came out; that of the pass itself if scheduling is synchronous.
    let mut delivered_at: Vec<usize> = (0..passes.len()).collect();
    for (at, pass) in passes.iter().enumerate() {
        for &request in &pass.iteration.add {
            *joined_at.get_mut(request as usize).with_context(|| format!("no request {request}"))? = Some(at);
        }
        if let Some(issued_at) = pass.iteration.done {
            *delivered_at.get_mut(issued_at as usize).context("a result of an unknown pass")? = at;
        }
    }
    let has_tokens = |pass: &Pass| pass.iteration.s.as_ref().is_some_and(|scheduled| !scheduled.is_empty());
    let issued_at: Vec<usize> = (0..passes.len()).filter(|&at| has_tokens(&passes[at])).collect();
    let (simulated, run) = (recording.passes.len(), issued_at.len());
    ensure!(simulated == run, "{simulated} passes were simulated, but {run} were run");
    let delivery = |pass: u32| issued_at.get(pass as usize).map(|&at| delivered_at[at]).context("no such pass");
    let finished = recording.requests.iter().zip(joined_at).enumerate().filter(|(_, (record, _))| record.is_finished);
    finished
        .map(|(request, (record, joined_at))| {
            let joined_at = joined_at.with_context(|| format!("request {request} never joined"))?;
            let first_pass = issued_at.partition_point(|&at| at < joined_at);
            Ok(Life {
                request,
                joined_at,
                first_token_at: delivery(record.first_token_pass)?,
                last_token_at: delivery(record.last_token_pass)?,
                num_prompt_tokens: record.num_prompt_tokens,
                num_output_tokens: record.num_output_tokens,
                num_passes: (record.last_token_pass + 1).saturating_sub(u32::try_from(first_pass)?),
            })
        })
        .collect()
}

/// The times of each of `lives` in one run of the engine, and the run's duration in seconds: from the first joining to
/// the last token.
///
/// # Errors
/// If the run's instants are missing or out of order.
pub(super) fn measured(lives: &[Life], run: &Run) -> Result<(Vec<RequestTimes>, f64)> {
    let instants = |at: usize| run.passes.get(at).map(|pass| pass.instants).context("the run is shorter than before");
    let (mut start, mut end) = (u64::MAX, 0);
    let mut times = Vec::with_capacity(lives.len());
    for life in lives {
        let joined = instants(life.joined_at)?.begin;
        let (first, last) = (instants(life.first_token_at)?.end, instants(life.last_token_at)?.end);
        let request = RequestTimes::new(joined, first, last, life.num_output_tokens);
        times.push(request.with_context(|| format!("request {}: its instants are out of order", life.request))?);
        (start, end) = (start.min(joined), end.max(last));
    }
    Ok((times, end.saturating_sub(start) as f64 / 1e9))
}
