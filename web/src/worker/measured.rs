//! A measured result as the page lays it over a prediction.

use sim_core::math;
use sim_core::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics, Latencies, LatencyMetric};
use sim_core::metrics::goodput::Goodput;
use sim_core::metrics::json_measured::MeasuredResult;
use sim_core::scenario::repeat;

use super::{metric, summary};
use crate::answer::{Metric, Totals};
use crate::detail::MeasuredRun;

/// The result of file `name`: distributions if it is detailed, else the statistics it has.
pub(crate) fn measured_run(result: &MeasuredResult, name: &str) -> MeasuredRun {
    let text = |key: &str| result.texts.get(key).map(String::as_str);
    let title = ["label", "model_id", "backend"].into_iter().filter_map(text).collect::<Vec<_>>().join(" · ");
    let mut settings = repeat::settings(result);
    settings.extend(text("date").map(|date| ("date".to_owned(), date.to_owned())));
    let (mut totals, metrics) = match &result.outputs {
        Some(outputs) => {
            let latencies = Latencies::new(outputs);
            let options = BenchServeOptions::new(String::new());
            let metrics = BenchmarkMetrics::new(outputs, &latencies, &options);
            (summary::totals(&metrics), metric::metrics(&latencies, &Goodput::default()))
        }
        None => (Totals::default(), stated_metrics(result)),
    };
    prefer_stated(&mut totals, result);
    MeasuredRun {
        file: name.to_owned(),
        title,
        completed: result.completed,
        failed: result.failed,
        settings,
        totals,
        metrics,
        is_simulated: result.is_simulated,
        notes: result.notes.clone(),
        model: text("model_id").unwrap_or_default().to_owned(),
    }
}

/// What the file itself says in total wins: it was counted with what the file may lack.
fn prefer_stated(totals: &mut Totals, result: &MeasuredResult) {
    let stated = |key: &str| result.numbers.get(key).copied().filter(|number| number.is_finite() && *number >= 0.0);
    let number = |place: &mut f64, key: &str| *place = stated(key).unwrap_or(*place);
    number(&mut totals.duration, "duration");
    number(&mut totals.request_throughput, "request_throughput");
    number(&mut totals.output_throughput, "output_throughput");
    number(&mut totals.total_token_throughput, "total_token_throughput");
    number(&mut totals.max_output_tokens_per_s, "max_output_tokens_per_s");
    number(&mut totals.max_concurrent_requests, "max_concurrent_requests");
    let count = |place: u64, key: &str| stated(key).map_or(place, math::round_to_u64);
    totals.total_input_tokens = count(totals.total_input_tokens, "total_input_tokens");
    totals.total_output_tokens = count(totals.total_output_tokens, "total_output_tokens");
}

/// The metrics of which a file without details gives the mean.
fn stated_metrics(result: &MeasuredResult) -> Vec<Metric> {
    let shown = LatencyMetric::ALL.into_iter().filter(|&metric| metric != LatencyMetric::E2elIncludingClientQueue);
    shown.filter_map(|metric| stated_metric(result, metric)).collect()
}

fn stated_metric(result: &MeasuredResult, latency: LatencyMetric) -> Option<Metric> {
    let key = latency.key();
    let seconds = |name: String| {
        let milliseconds = result.numbers.get(&name).copied().filter(|number| number.is_finite());
        milliseconds.map(|milliseconds| milliseconds / 1000.0)
    };
    let mean = seconds(format!("mean_{key}_ms"))?;
    let median = seconds(format!("median_{key}_ms"));
    let percentiles = metric::PERCENTS.into_iter().filter_map(|percent| {
        let stated = seconds(format!("p{percent}_{key}_ms"));
        let value = if percent.to_bits() == 50f64.to_bits() { stated.or(median) } else { stated };
        Some((percent, value?))
    });
    Some(Metric {
        count: result.completed,
        mean,
        std: seconds(format!("std_{key}_ms")).unwrap_or(0.0),
        percentiles: percentiles.collect(),
        ..metric::named(latency)
    })
}
