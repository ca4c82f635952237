//! What a time to first token consists of.
//!
//! | part | from | to |
//! |---|---|---|
//! | front end | send | queued in the engine, without the next |
//! | waiting for the front end | | what request and first token waited for a busy API server |
//! | queue | queued | begin of the first pass that computes tokens of it |
//! | prefill | that | the engine core puts out the first token |
//! | delivery | that | the client holds it, without waiting |
//!
//! The parts of one request add up to its TTFT, to the nanosecond. A percentile of each part alone would not: its
//! requests differ from part to part. So a percentile here is the mean over the requests around that rank of TTFT, and
//! its parts add up to a TTFT that was really there.

use alloc::vec::Vec;

use crate::math;
use crate::metrics::distribution::Percentile;
use crate::metrics::recorder::Recording;
use crate::metrics::request_metrics::RequestInstants;
use crate::time::SimDuration;

/// Parts of a time to first token, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TtftParts {
    /// From sending until the engine's queue.
    pub front_end: f64,
    /// Waiting for a busy API server, on the way in and on the way out.
    pub front_end_wait: f64,
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
        self.front_end + self.front_end_wait + self.queue + self.prefill + self.delivery
    }

    /// The means over `requests`; zeros without any.
    fn mean(requests: impl Iterator<Item = RequestInstants>) -> Self {
        let parts: [fn(&RequestInstants) -> SimDuration; 5] = [
            |request| request.queued.saturating_since(request.send + request.front_end_wait[0]),
            |request| request.front_end_wait[0] + request.front_end_wait[1],
            RequestInstants::queue_time,
            RequestInstants::prefill_time,
            |request| request.first_delivery.saturating_since(request.first_output + request.front_end_wait[1]),
        ];
        let (mut sums, mut count) = ([0u64; 5], 0u64);
        for request in requests {
            count += 1;
            for (sum, part) in sums.iter_mut().zip(parts) {
                // 64 bits hold the sum: a million requests of five hours each.
                *sum = sum.saturating_add(part(&request).as_nanos());
            }
        }
        let [front_end, front_end_wait, queue, prefill, delivery] =
            sums.map(|sum| math::u64_to_f64(sum) / math::u64_to_f64(count.max(1)) / 1e9);
        Self { front_end, front_end_wait, queue, prefill, delivery }
    }
}

/// Finished requests in the order of their TTFT.
#[derive(Debug, Clone)]
pub struct TtftSplit<'a> {
    recording: &'a Recording,
    /// TTFT and index of each.
    ranked: Vec<(SimDuration, u32)>,
}

impl<'a> TtftSplit<'a> {
    /// Ranks the finished requests of `recording`; equal ones stay in their order.
    #[must_use]
    pub fn new(recording: &'a Recording) -> Self {
        let finished = recording
            .requests
            .iter()
            .zip(0..)
            .filter_map(|(request, index)| Some((recording.instants(request)?.ttft(), index)));
        let mut ranked: Vec<(SimDuration, u32)> = finished.collect();
        ranked.sort_unstable();
        Self { recording, ranked }
    }

    /// The mean over all requests.
    #[must_use]
    pub fn mean(&self) -> TtftParts {
        self.mean_of(&self.ranked)
    }

    /// The mean over the requests within 0.5 % of all ranks around that of the percentile, at least the one that is
    /// there. Near the ends there are fewer, so that they stay around it.
    #[must_use]
    pub fn percentile(&self, percentile: Percentile) -> TtftParts {
        let Some(last) = self.ranked.len().checked_sub(1) else { return TtftParts::default() };
        let rank = math::round_to_u64(math::usize_to_f64(last) * percentile.percent() / 100.0);
        let rank = usize::try_from(rank).unwrap_or(last).min(last);
        let width = (self.ranked.len() / 200).min(rank).min(last - rank);
        self.mean_of(self.ranked.get(rank - width..=rank + width).unwrap_or_default())
    }

    fn mean_of(&self, ranked: &[(SimDuration, u32)]) -> TtftParts {
        let request = |&(_, index): &(SimDuration, u32)| {
            let request = self.recording.requests.get(math::u32_to_usize(index))?;
            self.recording.instants(request)
        };
        TtftParts::mean(ranked.iter().filter_map(request))
    }
}
