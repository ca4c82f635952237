//! Latencies of some requests of a run, as lines of small tables say them.

use alloc::vec::Vec;

use crate::metrics::distribution::{Distribution, Percentile};
use crate::metrics::recorder::Recording;
use crate::metrics::request_metrics::tpot;

/// P50 and P99 of each latency, in seconds; zeros without requests.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LatencySummary {
    /// Finished requests.
    pub num_requests: usize,
    /// Time to first token.
    pub ttft: [f64; 2],
    /// Time per output token after the first, of requests that have several.
    pub tpot: [f64; 2],
    /// End-to-end latency.
    pub e2el: [f64; 2],
}

impl LatencySummary {
    /// Of all finished requests.
    #[must_use]
    pub fn of_all(recording: &Recording) -> Self {
        Self::of(recording, 0..recording.requests.len())
    }

    /// Of those of `requests` that finished.
    #[must_use]
    pub fn of(recording: &Recording, requests: impl Iterator<Item = usize>) -> Self {
        let (mut ttfts, mut tpots, mut e2els) = (Vec::new(), Vec::new(), Vec::new());
        for request in requests.filter_map(|index| recording.requests.get(index)) {
            let Some(instants) = recording.instants(request) else { continue };
            let (ttft, e2el) = (instants.ttft().as_secs_f64(), instants.e2el().as_secs_f64());
            tpots.extend(tpot(e2el, ttft, request.num_output_tokens));
            ttfts.push(ttft);
            e2els.push(e2el);
        }
        let num_requests = ttfts.len();
        Self { num_requests, ttft: middle_and_tail(ttfts), tpot: middle_and_tail(tpots), e2el: middle_and_tail(e2els) }
    }
}

/// The 50th and the 99th percentile; zeros of nothing.
#[must_use]
pub fn middle_and_tail(samples: Vec<f64>) -> [f64; 2] {
    let distribution = Distribution::from_samples(samples);
    [50.0, 99.0].map(|percent| match Percentile::new(percent) {
        Some(percentile) if !distribution.is_empty() => distribution.percentile(percentile),
        _ => 0.0,
    })
}
