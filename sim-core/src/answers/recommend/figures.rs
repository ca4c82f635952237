//! What a setup gives at a load, and what that costs.

use alloc::vec::Vec;

use crate::answers::capacity::LoadKind;
use crate::answers::capacity::trial::Point;
use crate::answers::cost::Cost;
use crate::math;

/// What an engine is on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hardware {
    /// GPUs of one engine.
    pub num_gpus: u32,
    /// US dollars an hour for one of them, if known.
    pub usd_per_gpu_hour: Option<f64>,
}

/// An engine at a load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Requests per second, or at once, of one engine.
    pub load: f64,
    /// Requests that one engine answers a second.
    pub requests_per_second: f64,
    /// Output tokens a second and GPU.
    pub tokens_per_second_per_gpu: f64,
    /// Output tokens a second that one user sees: the inverse of the median TPOT. Infinite of answers of one token.
    pub tokens_per_second_per_user: f64,
    /// P99 of TTFT, TPOT and end-to-end latency, in milliseconds.
    pub p99_ms: [f64; 3],
    /// Share of requests that met every objective.
    pub share_met: f64,
    /// US dollars for a million output tokens.
    pub usd_per_million_tokens: Option<f64>,
    /// US dollars for a request.
    pub usd_per_request: Option<f64>,
}

impl Figures {
    /// Of the trials of one load. At a rate the engine answers as many as are sent: a short run's throughput, with its
    /// beginning and end, would be too low. In a closed loop it is the throughput in the middle of the run.
    #[must_use]
    pub fn new(kind: LoadKind, point: &Point, hardware: Hardware) -> Self {
        let answered = point.mean(|trial| trial.request_throughput);
        let tokens = if answered > 0.0 { point.mean(|trial| trial.output_throughput) / answered } else { 0.0 };
        let middle = point.mean(|trial| trial.middle_throughput);
        let rate = if kind == LoadKind::Rate { point.load } else { middle };
        let num_gpus = math::u32_to_f64(hardware.num_gpus);
        let cost = hardware.usd_per_gpu_hour.map(|usd| Cost::new(usd, hardware.num_gpus, rate, rate * tokens));
        let p99 = |latency: usize| point.mean(|trial| trial.latencies_ms[latency][2]);
        Self {
            load: point.load,
            requests_per_second: rate,
            tokens_per_second_per_gpu: rate * tokens / num_gpus,
            tokens_per_second_per_user: 1000.0 / point.mean(|trial| trial.latencies_ms[1][0]),
            p99_ms: [p99(0), p99(1), p99(2)],
            share_met: point.share_met(),
            usd_per_million_tokens: cost.and_then(|cost| cost.usd_per_million_tokens),
            usd_per_request: cost.and_then(|cost| cost.usd_per_request),
        }
    }
}

/// Places of the items that none other is better than in one of two figures without being worse in the other; both are
/// better the higher they are. In the order of the first figure, from its highest. Of equal ones the first stays.
#[must_use]
pub fn front<T>(items: &[T], figures: impl Fn(&T) -> Option<[f64; 2]>) -> Vec<usize> {
    let mut known: Vec<(usize, [f64; 2])> =
        items.iter().enumerate().filter_map(|(place, item)| Some((place, figures(item)?))).collect();
    known.sort_by(|(place, a), (other, b)| b[0].total_cmp(&a[0]).then(b[1].total_cmp(&a[1])).then(place.cmp(other)));
    let mut highest = f64::NEG_INFINITY;
    known.retain(|(_, [_, second])| {
        let is_higher = *second > highest;
        highest = highest.max(*second);
        is_higher
    });
    known.into_iter().map(|(place, _)| place).collect()
}
