//! What the API server's event loop computes: the processor time of its thread over whole runs, and by how many requests
//! and tokens it is explained.
//!
//! The loop is the server's main thread (`vllm/entrypoints/openai/api_server.py`: `uvloop.run`), and Linux says how long
//! a thread ran. That is work, not waiting: another process on the same core lengthens the run, not this time. What the
//! tokenizer's and the sender's own threads do is not in it.

use std::path::Path;

use anyhow::{Result, ensure};
use sim_core::profile::schema::{Basis, Cost, FrontEndWork};

use super::client_run::{TimedRequest, seconds};
use super::session::ServerRun;
use crate::measure::fit::nnls::NormalEquations;

/// A run: what the front end had to do, and how long its thread was busy.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub(crate) struct WorkObservation {
    /// Requests.
    pub(crate) num_requests: f64,
    /// Tokens of their prompts.
    pub(crate) num_prompt_tokens: f64,
    /// Passes that gave tokens: a message each.
    pub(crate) num_messages: f64,
    /// Tokens given.
    pub(crate) num_tokens: f64,
    /// Processor time, in microseconds.
    pub(crate) busy_us: f64,
    /// Of that, time in the engine core's outputs: counting them and turning tokens into text.
    pub(crate) outputs_us: f64,
}

/// How long an event loop worked, in nanoseconds of its thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct EventLoopTime {
    /// With everything.
    pub(crate) total_ns: u64,
    /// Of that, in `OutputProcessor.process_outputs`.
    pub(crate) outputs_ns: u64,
}

impl EventLoopTime {
    /// Of the main thread of process `pid`, which adds up its time in outputs in the file `outputs`; `None` where the
    /// system does not tell.
    pub(crate) fn read(pid: u32, outputs: &Path) -> Option<Self> {
        let schedstat = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).ok()?;
        let total_ns = schedstat.split_whitespace().next()?.parse().ok()?;
        // Before the first output there is no file, or nothing in it.
        let outputs_ns = std::fs::read_to_string(outputs).ok().and_then(|text| text.parse().ok());
        Some(Self { total_ns, outputs_ns: outputs_ns.unwrap_or(0) })
    }

    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            total_ns: self.total_ns.saturating_sub(before.total_ns),
            outputs_ns: self.outputs_ns.saturating_sub(before.outputs_ns),
        }
    }
}

impl WorkObservation {
    /// What `run` of `requests` was, over which the loop worked for `time`.
    pub(crate) fn new(requests: &[TimedRequest], run: &ServerRun, time: EventLoopTime) -> Self {
        let passes = run.engine.passes.iter().map(|pass| pass.tokens.iter().map(|token| token.1).sum::<u32>());
        let with_tokens: Vec<u32> = passes.filter(|&num_tokens| num_tokens > 0).collect();
        #[expect(clippy::cast_precision_loss, reason = "counts of a short run")]
        let count = |count: usize| count as f64;
        Self {
            num_requests: count(requests.len()),
            num_prompt_tokens: count(requests.iter().map(|request| request.prompt_token_ids.len()).sum()),
            num_messages: count(with_tokens.len()),
            num_tokens: with_tokens.iter().map(|&num_tokens| f64::from(num_tokens)).sum(),
            busy_us: 1e6 * seconds(time.total_ns),
            outputs_us: 1e6 * seconds(time.outputs_ns),
        }
    }

    const fn counts(&self) -> [f64; 4] {
        [self.num_requests, self.num_prompt_tokens, self.num_messages, self.num_tokens]
    }
}

/// The profile's terms: least squares over the runs, each weighted by its own size; what is done with outputs, and the
/// rest, apart.
///
/// # Errors
/// If there are no observations.
pub(crate) fn work(observations: &[WorkObservation]) -> Result<FrontEndWork> {
    let seen: Vec<&WorkObservation> = observations.iter().filter(|one| one.busy_us > one.outputs_us).collect();
    ensure!(!seen.is_empty(), "no run was timed");
    let rest = |one: &WorkObservation| one.busy_us - one.outputs_us;
    let outputs = solve(&seen, |one| [0.0, 0.0, one.num_messages, one.num_tokens], |one| one.outputs_us);
    let others = solve(&seen, WorkObservation::counts, rest);
    let mut errors: Vec<f64> = seen
        .iter()
        .map(|one| (predicted(&outputs, one) + predicted(&others, one)) / one.busy_us - 1.0)
        .map(f64::abs)
        .collect();
    errors.sort_unstable_by(f64::total_cmp);
    let reason = format!(
        "vllm serve over HTTP on this machine: processor time of the event loop's thread over {} runs of up to {} \
         requests, least squares over requests, prompt tokens, passes and tokens, median error {:.0} %.",
        seen.len(),
        seen.iter().map(|one| one.num_requests).fold(0.0, f64::max),
        100.0 * errors[errors.len() / 2]
    );
    let cost = |time_us: f64| Cost { time_us, basis: Basis::Measured, reason: reason.clone() };
    Ok(FrontEndWork {
        per_request: cost(others[0]),
        per_prompt_token: cost(others[1]),
        per_pass: cost(outputs[2] + others[2]),
        per_token: cost(outputs[3]),
        per_chunk: cost(others[3]),
    })
}

fn solve(
    seen: &[&WorkObservation],
    counts: impl Fn(&WorkObservation) -> [f64; 4],
    time_us: impl Fn(&WorkObservation) -> f64,
) -> Vec<f64> {
    let mut equations = NormalEquations::new(4);
    for one in seen {
        equations.add(&counts(one), time_us(one), 1.0 / (one.busy_us * one.busy_us));
    }
    equations.solve(&[1.0; 4], &[true; 4])
}

fn predicted(terms: &[f64], one: &WorkObservation) -> f64 {
    terms.iter().zip(one.counts()).map(|(term, count)| term * count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(counts: [f64; 4]) -> WorkObservation {
        let [num_requests, num_prompt_tokens, num_messages, num_tokens] = counts;
        let outputs_us = 50.0 * num_messages + 10.0 * num_tokens;
        let others_us = 900.0 * num_requests + 0.5 * num_prompt_tokens + 150.0 * num_messages + 30.0 * num_tokens;
        let busy_us = outputs_us + others_us;
        WorkObservation { num_requests, num_prompt_tokens, num_messages, num_tokens, busy_us, outputs_us }
    }

    #[test]
    fn terms_are_what_the_times_were_made_from() {
        let counts =
            [[1.0, 16.0, 8.0, 8.0], [1.0, 1024.0, 8.0, 8.0], [32.0, 512.0, 24.0, 768.0], [64.0, 1024.0, 2.0, 64.0]];
        let work = work(&counts.map(observed)).expect("observations");
        for (cost, expected) in [
            (&work.per_request, 900.0),
            (&work.per_prompt_token, 0.5),
            (&work.per_pass, 200.0),
            (&work.per_token, 10.0),
            (&work.per_chunk, 30.0),
        ] {
            assert!((cost.time_us - expected).abs() < 1e-3 * expected, "{} instead of {expected}", cost.time_us);
            assert_eq!(cost.basis, Basis::Measured);
        }
        assert!(super::work(&[]).is_err(), "nothing was observed");
    }

    #[test]
    fn a_thread_that_works_is_seen_to() {
        let read = |pid| EventLoopTime::read(pid, Path::new("/nowhere"));
        let Some(before) = read(std::process::id()) else { return };
        let after = read(std::process::id()).expect("it was there before");
        assert!(after.total_ns >= before.total_ns && after.outputs_ns == 0, "{before:?}, then {after:?}");
        assert_eq!(read(u32::MAX), None, "no such process");
    }
}
