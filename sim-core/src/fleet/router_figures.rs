//! What came of a workload with one router, to be held against others'.

use super::replica_result::{FleetResult, imbalance};
use super::router::Policy;
use crate::math;
use crate::metrics::bench_outputs::{BenchOutputs as _, RecordedOutputs};
use crate::metrics::digest::digest;
use crate::metrics::latency_summary::LatencySummary;

/// What came of a router.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RouterFigures {
    /// Which.
    pub router: Policy,
    /// Of all finished requests.
    pub latencies: LatencySummary,
    /// Share of the looked up prompt tokens that prefix caches held.
    pub hit_rate: f64,
    /// The most of any replica over the mean: requests, and output tokens.
    pub imbalance: [f64; 2],
    /// Finished requests per second, as `vllm bench serve` counts them.
    pub request_throughput: f64,
    /// Requests that failed with their replica.
    pub num_failed: usize,
    /// Of the run.
    pub digest: u64,
}

impl RouterFigures {
    /// Of a run with `router`.
    #[must_use]
    pub fn new(router: Policy, result: &FleetResult) -> Self {
        let (stats, recording) = (&result.whole.stats, &result.whole.recording);
        let latencies = LatencySummary::of_all(recording);
        let duration = RecordedOutputs::without_itls(recording).duration();
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        Self {
            router,
            latencies,
            hit_rate: share(math::u64_to_f64(stats.prefix_cache_hits), math::u64_to_f64(stats.prefix_cache_queries)),
            imbalance: [
                imbalance(result.replicas.iter().map(|replica| replica.num_requests)),
                imbalance(result.replicas.iter().map(|replica| replica.num_output_tokens)),
            ],
            request_throughput: share(math::usize_to_f64(latencies.num_requests), duration),
            num_failed: result.life.as_ref().map_or(0, |life| life.failed.len()),
            digest: digest(recording),
        }
    }
}
