//! Latencies of some requests of a run, as lines of small tables say them.

use serde_json::{Value, json};
use sim_core::metrics::distribution::{Distribution, Percentile};
use sim_core::metrics::recorder::Recording;
use sim_core::metrics::request_metrics::tpot;

/// P50 and P99 of each latency, in seconds; zeros without requests.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    /// Finished requests.
    pub(super) num_requests: usize,
    pub(super) ttft: [f64; 2],
    pub(super) tpot: [f64; 2],
    pub(super) e2el: [f64; 2],
}

impl Latencies {
    /// Of the finished requests whose numbers `is_of` holds for.
    pub(super) fn of(recording: &Recording, is_of: impl Fn(usize) -> bool) -> Self {
        let (mut ttfts, mut tpots, mut e2els) = (Vec::new(), Vec::new(), Vec::new());
        for (_, request) in recording.requests.iter().enumerate().filter(|(index, _)| is_of(*index)) {
            let Some(instants) = recording.instants(request) else { continue };
            let (ttft, e2el) = (instants.ttft().as_secs_f64(), instants.e2el().as_secs_f64());
            tpots.extend(tpot(e2el, ttft, request.num_output_tokens));
            ttfts.push(ttft);
            e2els.push(e2el);
        }
        let num_requests = ttfts.len();
        Self { num_requests, ttft: percentiles(ttfts), tpot: percentiles(tpots), e2el: percentiles(e2els) }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let [ttft, tpot, e2el] =
            [self.ttft, self.tpot, self.e2el].map(|[p50, p99]| json!({"p50_s": p50, "p99_s": p99}));
        json!({"num_requests": self.num_requests, "ttft": ttft, "tpot": tpot, "e2el": e2el})
    }
}

fn percentiles(samples: Vec<f64>) -> [f64; 2] {
    let distribution = Distribution::from_samples(samples);
    [50.0, 99.0].map(|percent| match Percentile::new(percent) {
        Some(percentile) if !distribution.is_empty() => distribution.percentile(percentile),
        _ => 0.0,
    })
}
