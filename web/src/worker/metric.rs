//! A latency's distribution, thinned to what a plot can show.

use sim_core::metrics::bench_serve::{Latencies, LatencyMetric};
use sim_core::metrics::distribution::{Distribution, Percentile};
use sim_core::metrics::goodput::Goodput;
use sim_core::metrics::plot_points::Histogram;

use crate::answer::{Bins, Metric};

/// Percentiles of every metric.
pub(crate) const PERCENTS: [f64; 6] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9];

/// Points of a curve, those of its tail, and bins of a histogram.
const ECDF_POINTS: u32 = 500;
const ECDF_TAIL_POINTS: u32 = 100;
const BINS: u32 = 60;

/// TTFT, TPOT, ITL and E2EL, and the client's queue time if there was any.
pub(crate) fn metrics(latencies: &Latencies, goodput: &Goodput) -> Vec<Metric> {
    let always = [LatencyMetric::Ttft, LatencyMetric::Tpot, LatencyMetric::Itl, LatencyMetric::E2el];
    let client = Some(LatencyMetric::ClientQueueTime).filter(|&metric| latencies.get(metric).max() > 0.0);
    always.into_iter().chain(client).map(|metric| of(metric, latencies.get(metric), goodput)).collect()
}

fn of(metric: LatencyMetric, distribution: &Distribution, goodput: &Goodput) -> Metric {
    let objective = match metric {
        LatencyMetric::Ttft => goodput.ttft_ms,
        LatencyMetric::Tpot => goodput.tpot_ms,
        LatencyMetric::E2el => goodput.e2el_ms,
        _ => None,
    };
    let percentiles = PERCENTS.into_iter().filter_map(Percentile::new);
    Metric {
        count: distribution.len(),
        mean: distribution.mean(),
        std: distribution.std(),
        min: distribution.min(),
        max: distribution.max(),
        percentiles: percentiles
            .map(|percentile| (percentile.percent(), distribution.percentile(percentile)))
            .collect(),
        objective: objective.map(|milliseconds| milliseconds / 1000.0),
        ecdf: distribution.ecdf_with_tail(ECDF_POINTS, ECDF_TAIL_POINTS),
        linear_histogram: bins(distribution.linear_histogram(BINS)),
        log_histogram: bins(distribution.log_histogram(BINS)),
        ..named(metric)
    }
}

/// A metric that has nothing but its names.
pub(crate) fn named(metric: LatencyMetric) -> Metric {
    Metric {
        key: metric.key().to_owned(),
        name: metric.name().to_owned(),
        header: metric.header().to_owned(),
        ..Metric::default()
    }
}

fn bins(histogram: Histogram) -> Bins {
    Bins { edges: histogram.edges, counts: histogram.counts }
}
