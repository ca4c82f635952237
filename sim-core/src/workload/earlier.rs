//! What is sent before the measured requests, and leaves blocks in the prefix cache.
//!
//! Source: `vllm/benchmarks/serve.py::benchmark`: with a ready check the first request is sent alone until it is
//! answered, then `num_warmups` copies of it together, under the limit of concurrency; each group is waited for. The
//! measured requests come after that.

use super::{Traffic, Workload, WorkloadError};
use crate::request::{RequestId, TokenRun};
use crate::request_set::RequestSet;
use crate::time::SimTime;

use alloc::vec;
use alloc::vec::Vec;

/// A group of requests that is sent, and answered in full, before the next group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierGroup {
    /// When each is sent after the group's start, not decreasing.
    pub send_times: Vec<SimTime>,
    /// Most of them under way; `None` for no limit, else at least 1.
    pub max_concurrency: Option<u32>,
}

/// What a benchmark is to have sent before it measures; nothing by default, as in vLLM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EarlierOptions {
    /// Copies of the first request, sent together (`--num-warmups`).
    pub num_warmups: u32,
    /// Whether the first request is sent alone before all others (`--ready-check-timeout-sec` above 0; benchmarks without
    /// that flag do so always).
    pub has_ready_check: bool,
    /// How often the same benchmark ran on this server before: not vLLM's.
    pub num_earlier_runs: u32,
}

impl Workload {
    /// Requests that are measured: the first of [`Self::requests`].
    #[must_use]
    pub fn num_measured(&self) -> usize {
        let num_earlier: usize = self.earlier.iter().map(|group| group.send_times.len()).sum();
        self.requests.len().saturating_sub(num_earlier)
    }

    /// Adds the requests that `options` ask for. Their prompts are those of the measured requests; their answers are
    /// tokens that nobody else has, since a server samples anew each time.
    ///
    /// # Errors
    /// [`WorkloadError::Option`] if these are too many requests, or the traffic is a script, which would have to hold
    /// them; [`WorkloadError::NoRequests`].
    pub fn send_before(&mut self, options: &EarlierOptions) -> Result<(), WorkloadError> {
        let EarlierOptions { num_warmups, has_ready_check, num_earlier_runs } = *options;
        if *options == EarlierOptions::default() {
            return Ok(());
        }
        let (send_times, max_concurrency) = match &self.traffic {
            Traffic::Timed { send_times, max_concurrency } => (send_times, max_concurrency),
            Traffic::Answered { not_before, max_concurrency, .. } if num_earlier_runs == 0 => {
                (not_before, max_concurrency)
            }
            Traffic::Answered { .. } => {
                const NEED: &str = "0 where requests wait for answers: sessions begin anew with texts of their own";
                return Err(WorkloadError::option("num_earlier_runs", num_earlier_runs, NEED));
            }
            Traffic::QueriesPerIter { .. } => {
                const NEED: &str = "0 where queries_per_iter is the traffic";
                return Err(WorkloadError::option("num_warmups", num_warmups, NEED));
            }
        };
        if self.requests.is_empty() {
            return Err(WorkloadError::NoRequests);
        }
        let num_measured = crate::math::usize_to_u64(send_times.len());
        let of_first = u64::from(num_warmups) + u64::from(has_ready_check);
        let runs = u64::from(num_earlier_runs);
        let total = (num_measured + of_first).saturating_mul(runs + 1);
        if total > u64::from(RequestSet::MAX_REQUESTS) {
            const NEED: &str = "smaller: with the measured ones there may be 10000000 requests";
            let (field, value) =
                if runs > 0 { ("num_earlier_runs", num_earlier_runs) } else { ("num_warmups", num_warmups) };
            return Err(WorkloadError::option(field, value, NEED));
        }
        let (measured, max_concurrency) = (send_times.clone(), *max_concurrency);
        let mut add = Addition { requests: &mut self.requests, next_token: 0 };
        add.next_token = add.first_unused_token();
        for run in 0..=num_earlier_runs {
            if has_ready_check {
                add.copies_of_first(1)?;
                self.earlier.push(EarlierGroup { send_times: vec![SimTime::ZERO], max_concurrency: None });
            }
            if num_warmups > 0 {
                add.copies_of_first(num_warmups)?;
                let send_times = vec![SimTime::ZERO; crate::math::u32_to_usize(num_warmups)];
                self.earlier.push(EarlierGroup { send_times, max_concurrency });
            }
            if run < num_earlier_runs {
                (0..crate::math::usize_to_u32(measured.len())).try_for_each(|request| add.copy(request))?;
                self.earlier.push(EarlierGroup { send_times: measured.clone(), max_concurrency });
            }
        }
        Ok(())
    }
}

/// Copies of requests on their way into the same set.
struct Addition<'a> {
    requests: &'a mut RequestSet,
    /// First token number that nobody has.
    next_token: u64,
}

impl Addition<'_> {
    fn first_unused_token(&self) -> u64 {
        let requests = self.requests.as_slice().iter();
        let ends = requests.flat_map(|request| self.requests.runs(request)).map(|run| run.start + u64::from(run.len));
        ends.max().unwrap_or(0)
    }

    fn copies_of_first(&mut self, count: u32) -> Result<(), WorkloadError> {
        (0..count).try_for_each(|_| self.copy(0))
    }

    fn copy(&mut self, request: u32) -> Result<(), WorkloadError> {
        let num_output_tokens = self.requests.get(RequestId(request)).num_output_tokens;
        let output = TokenRun { start: self.next_token, len: num_output_tokens };
        self.next_token += u64::from(num_output_tokens);
        let index = self.requests.len();
        let pushed = self.requests.push_prompt_of(RequestId(request), output);
        pushed.map(|_| ()).map_err(|error| WorkloadError::Request { index, error })
    }
}
