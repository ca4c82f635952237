//! What a time to first token consists of.
//!
//! | part | from | to |
//! |---|---|---|
//! | front end | send | queued in the engine |
//! | queue | queued | begin of the first pass that computes tokens of it |
//! | prefill | that | the engine core puts out the first token |
//! | delivery | that | the client holds it |
//!
//! The parts of one request add up to its TTFT, to the nanosecond. A percentile of each part alone would not: its
//! requests differ from part to part. So a percentile here is the mean over the requests around that rank of TTFT, and
//! its parts add up to a TTFT that was really there.

use alloc::vec::Vec;

use crate::math;
use crate::metrics::distribution::Percentile;
use crate::metrics::recorder::Recording;
use crate::metrics::request_metrics::RequestInstants;
use crate::time::{SimDuration, SimTime};

/// Parts of a time to first token, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TtftParts {
    /// From sending until the engine's queue.
    pub front_end: f64,
    /// In the engine's queue.
    pub queue: f64,
    /// From the first pass until the engine core puts out the first token.
    pub prefill: f64,
    /// From there to the client.
    pub delivery: f64,
}

impl TtftParts {
    /// The parts together.
    #[must_use]
    pub fn ttft(&self) -> f64 {
        self.front_end + self.queue + self.prefill + self.delivery
    }

    /// The means over `requests`; zeros without any.
    fn mean<'a>(requests: impl ExactSizeIterator<Item = &'a RequestInstants> + Clone) -> Self {
        let count = math::usize_to_f64(requests.len().max(1));
        let mean = |part: fn(&RequestInstants) -> SimDuration| {
            // 64 bits hold the sum: a million requests of three hours each.
            let sum = requests.clone().map(|request| part(request).as_nanos()).fold(0, u64::saturating_add);
            math::u64_to_f64(sum) / count / 1e9
        };
        Self {
            front_end: mean(|request| request.queued.saturating_since(request.send)),
            queue: mean(RequestInstants::queue_time),
            prefill: mean(RequestInstants::prefill_time),
            delivery: mean(|request| request.first_delivery.saturating_since(request.first_output)),
        }
    }
}

/// Finished requests in the order of their TTFT.
#[derive(Debug, Clone)]
pub struct TtftSplit {
    requests: Vec<RequestInstants>,
}

impl TtftSplit {
    /// Ranks the finished requests of `recording`.
    #[must_use]
    pub fn new(recording: &Recording) -> Self {
        let instants = recording.requests.iter().filter_map(|request| recording.instants(request));
        let mut requests: Vec<RequestInstants> = instants.collect();
        let key = |request: &RequestInstants| -> (SimDuration, SimTime) { (request.ttft(), request.send) };
        requests.sort_by_key(key);
        Self { requests }
    }

    /// The mean over all requests.
    #[must_use]
    pub fn mean(&self) -> TtftParts {
        TtftParts::mean(self.requests.iter())
    }

    /// The mean over the requests within 0.5 % of all ranks around that of the percentile, at least the one that is
    /// there. Near the ends there are fewer, so that they stay around it.
    #[must_use]
    pub fn percentile(&self, percentile: Percentile) -> TtftParts {
        let Some(last) = self.requests.len().checked_sub(1) else { return TtftParts::default() };
        let rank = math::round_to_u64(math::usize_to_f64(last) * percentile.percent() / 100.0);
        let rank = usize::try_from(rank).unwrap_or(last).min(last);
        let width = (self.requests.len() / 200).min(rank).min(last - rank);
        TtftParts::mean(self.requests.get(rank - width..=rank + width).unwrap_or_default().iter())
    }
}
