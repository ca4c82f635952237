//! A small run for tests.

use crate::answer::{Answer, KvCache, Limit, Metric, ProfileCard, TimeSeries, Totals, Verdict};

fn latency(key: &str, p50: f64, p99: f64) -> Metric {
    Metric {
        key: key.to_owned(),
        name: key.to_uppercase(),
        count: 1_000,
        mean: p50 * 1.2,
        min: p50 / 2.0,
        max: p99 * 1.1,
        percentiles: vec![(50.0, p50), (90.0, p99 / 2.0), (95.0, p99 / 1.5), (99.0, p99)],
        ecdf: vec![(p50 / 2.0, 0.001), (p50, 0.5), (p99, 0.99), (p99 * 1.1, 1.0)],
        ..Metric::default()
    }
}

/// A run that meets its objectives.
pub(crate) fn answer() -> Answer {
    Answer {
        digest: "0123456789abcdef".to_owned(),
        num_requests: 1_000,
        num_finished: 1_000,
        num_skipped: 0,
        wall_ms: 20.0,
        profile: ProfileCard::default(),
        engine: Vec::new(),
        kv_cache: KvCache::default(),
        warnings: Vec::new(),
        verdict: Verdict {
            meets: Some(true),
            share_met: 0.993,
            goodput: 7.94,
            objectives: vec![("ttft".to_owned(), 500.0, 0.995), ("tpot".to_owned(), 50.0, 0.998)],
            limit: Limit::Nothing,
            waiting_share: 0.0,
            limits: Vec::new(),
            overload: None,
            advice: None,
        },
        spec_decoding: String::new(),
        totals: Totals { request_throughput: 7.99, output_throughput: 1_020.0, ..Totals::default() },
        metrics: vec![
            latency("ttft", 0.2, 0.812),
            latency("tpot", 0.02, 0.031),
            latency("itl", 0.02, 0.04),
            latency("e2el", 3.0, 5.0),
        ],
        ttft_split: Vec::new(),
        series: TimeSeries::default(),
        fleet: None,
        bench_table: String::new(),
        engine_lines: Vec::new(),
    }
}
