//! What the API server's event loop computes: the processor time of its thread over whole runs, and by how many requests
//! and tokens it is explained.
//!
//! The loop is the server's main thread (`vllm/entrypoints/openai/api_server.py`: `uvloop.run`), and Linux says how long
//! a thread ran. That is work, not waiting: another process on the same core lengthens the run, not this time. What the
//! tokenizer's and the sender's own threads do is not in it.

use anyhow::{Context as _, Result};
use sim_core::profile::schema::{Basis, Cost, FrontEndWork};

use super::client_run::TimedRequest;
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
}

impl WorkObservation {
    /// What `run` of `requests` was; `busy_ns` is the thread's time over it.
    pub(crate) fn new(requests: &[TimedRequest], run: &ServerRun, busy_ns: u64) -> Self {
        let passes = run.engine.passes.iter().map(|pass| pass.tokens.iter().map(|token| token.1).sum::<u32>());
        let with_tokens: Vec<u32> = passes.filter(|&num_tokens| num_tokens > 0).collect();
        #[expect(clippy::cast_precision_loss, reason = "counts of a short run")]
        let count = |count: usize| count as f64;
        Self {
            num_requests: count(requests.len()),
            num_prompt_tokens: count(requests.iter().map(|request| request.prompt_token_ids.len()).sum()),
            num_messages: count(with_tokens.len()),
            num_tokens: with_tokens.iter().map(|&num_tokens| f64::from(num_tokens)).sum(),
            busy_us: 1e6 * super::client_run::seconds(busy_ns),
        }
    }

    const fn counts(&self) -> [f64; 4] {
        [self.num_requests, self.num_prompt_tokens, self.num_messages, self.num_tokens]
    }
}

/// How long the main thread of a process has run, in nanoseconds; `None` where the system does not tell.
pub(crate) fn main_thread_ns(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// The profile's terms: least squares over the runs, each weighted by its own size.
///
/// # Errors
/// If there are no observations.
pub(crate) fn work(observations: &[WorkObservation]) -> Result<FrontEndWork> {
    let seen: Vec<&WorkObservation> = observations.iter().filter(|one| one.busy_us > 0.0).collect();
    let largest = seen.last().context("no run was timed")?;
    let mut equations = NormalEquations::new(4);
    for one in &seen {
        equations.add(&one.counts(), one.busy_us, 1.0 / (one.busy_us * one.busy_us));
    }
    let terms = equations.solve(&[1.0; 4], &[true; 4]);
    let mut errors: Vec<f64> = seen.iter().map(|one| (predicted(&terms, one) / one.busy_us - 1.0).abs()).collect();
    errors.sort_unstable_by(f64::total_cmp);
    let reason = format!(
        "vllm serve over HTTP on this machine: processor time of the event loop's thread over {} runs of up to {} \
         requests, least squares over requests, prompt tokens, passes and tokens, median error {:.0} %.",
        seen.len(),
        seen.iter().map(|one| one.num_requests).fold(largest.num_requests, f64::max),
        100.0 * errors[errors.len() / 2]
    );
    let cost = |time_us: f64| Cost { time_us, basis: Basis::Measured, reason: reason.clone() };
    let [per_request, per_prompt_token, per_pass, per_token] = [0, 1, 2, 3].map(|place| cost(terms[place]));
    Ok(FrontEndWork { per_request, per_prompt_token, per_pass, per_token })
}

fn predicted(terms: &[f64], one: &WorkObservation) -> f64 {
    terms.iter().zip(one.counts()).map(|(term, count)| term * count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(counts: [f64; 4]) -> WorkObservation {
        let [num_requests, num_prompt_tokens, num_messages, num_tokens] = counts;
        let busy_us = 900.0 * num_requests + 0.5 * num_prompt_tokens + 200.0 * num_messages + 40.0 * num_tokens;
        WorkObservation { num_requests, num_prompt_tokens, num_messages, num_tokens, busy_us }
    }

    #[test]
    fn terms_are_what_the_times_were_made_from() {
        let counts = [[1.0, 16.0, 8.0, 8.0], [1.0, 1024.0, 8.0, 8.0], [32.0, 512.0, 24.0, 768.0], [64.0, 1024.0, 2.0, 64.0]];
        let work = work(&counts.map(observed)).expect("observations");
        for (cost, expected) in
            [(&work.per_request, 900.0), (&work.per_prompt_token, 0.5), (&work.per_pass, 200.0), (&work.per_token, 40.0)]
        {
            assert!((cost.time_us - expected).abs() < 1e-3 * expected, "{} instead of {expected}", cost.time_us);
            assert_eq!(cost.basis, Basis::Measured);
        }
        assert!(super::work(&[]).is_err(), "nothing was observed");
    }

    #[test]
    fn a_thread_that_works_is_seen_to() {
        let pid = std::process::id();
        let Some(before) = main_thread_ns(pid) else { return };
        assert!(main_thread_ns(pid).is_some_and(|after| after >= before), "time goes on");
        assert_eq!(main_thread_ns(u32::MAX), None, "no such process");
    }
}
