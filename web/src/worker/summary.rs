//! A finished run as an [`Answer`].

use sim_core::math;
use sim_core::metrics::bench_outputs::RecordedOutputs;
use sim_core::metrics::bench_serve::{BenchmarkMetrics, Latencies};
use sim_core::metrics::bench_table::table;
use sim_core::metrics::digest::digest;
use sim_core::metrics::distribution::Percentile;
use sim_core::metrics::recorder::Recording;
use sim_core::metrics::time_series::{Series, SeriesPoint};
use sim_core::metrics::ttft_split::{TtftParts, TtftSplit};
use sim_core::scenario::told;
use sim_core::simulation_result::never_end;

use super::run::FinishedRun;
use super::{advice, cards, metric};
use crate::answer::{Answer, SeriesPoints, SplitRow, TimeSeries, Totals};

/// Spans of the time series.
const SERIES_POINTS: u32 = 400;

/// The rows of the TTFT split besides the mean.
const SPLIT_PERCENTS: [f64; 4] = [50.0, 90.0, 95.0, 99.0];

impl FinishedRun {
    /// All that the page shows without asking again.
    pub(crate) fn answer(&self) -> Answer {
        let recording = &self.result.recording;
        let outputs = RecordedOutputs::without_itls(recording);
        let latencies = Latencies::new(&outputs);
        let metrics = BenchmarkMetrics::new(&outputs, &latencies, &self.options);
        let summary = match &self.several {
            Some(several) => several.summary(&self.engine.config, &self.result),
            None => told::engine_summary(&self.engine.config, &self.result),
        };
        let profile = cards::profile_card(&self.profile, &self.input.profile_name, &self.result.device_time);
        let num_requests = math::usize_to_u32(recording.requests.len());
        let num_finished = math::u64_to_u32(metrics.completed);
        let mut warnings: Vec<String> = self.engine.warnings.iter().map(ToString::to_string).collect();
        let num_failed = self.several.as_ref().map_or(0, |several| math::usize_to_u32(several.result.num_failed()));
        if num_failed > 0 {
            warnings.push(format!("{num_failed} requests failed with their engine; latencies are of the others"));
        }
        let unfinished = num_requests.saturating_sub(num_finished).saturating_sub(num_failed);
        if unfinished > 0 {
            warnings.push(never_end(math::u32_to_usize(unfinished)));
        }
        if self.num_skipped > 0 {
            warnings.push(format!("{} entries of the dataset ask for no token and are left out", self.num_skipped));
        }
        warnings.extend(self.notes.iter().map(|note| format!("Taken: {note}")));
        for class in self.classes.iter().flat_map(|classes| classes.metrics(&outputs, self.options.goodput)) {
            warnings.push(format!(
                "Class {}: {:.1} % of {} requests are good, {:.2} a second; P99 TTFT {:.0} ms, TPOT {:.1} ms",
                class.name,
                100.0 * class.share_good(),
                class.num_requests,
                class.request_goodput,
                class.latencies_ms[0][2],
                class.latencies_ms[1][2]
            ));
        }
        Answer {
            digest: format!("{:016x}", digest(recording)),
            num_requests,
            num_finished,
            num_skipped: self.num_skipped,
            wall_ms: self.wall_ms,
            engine: cards::engine_fields(&self.engine),
            kv_cache: cards::kv_cache(&self.engine.config),
            warnings,
            verdict: advice::verdict(self, &outputs, &metrics),
            spec_decoding: told::spec_decoding(&self.engine.config, &recording.spec_decoding).unwrap_or_default(),
            totals: Totals {
                num_preemptions: summary.totals.num_preemptions,
                prefix_cache_hit_rate: summary.totals.prefix_cache_hit_rate(),
                ..totals(&metrics)
            },
            metrics: metric::metrics(&latencies, &self.options.goodput),
            ttft_split: ttft_split(recording),
            series: if self.several.is_some() { TimeSeries::default() } else { self.series() },
            fleet: self.several.as_ref().map(|several| several.answer(recording, &self.engine.config)),
            bench_table: table(&metrics, &self.options),
            engine_lines: told::engine_lines(&summary, profile.extrapolated_share)
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            profile,
        }
    }

    fn series(&self) -> TimeSeries {
        let config = &self.engine.config;
        let points = |series| -> SeriesPoints {
            let points = self.result.recording.time_series(series, config.num_gpu_blocks, SERIES_POINTS);
            points.iter().map(|&SeriesPoint { time_s, min, mean, max }| (time_s, min, mean, max)).collect()
        };
        TimeSeries {
            running: points(Series::Running),
            waiting: points(Series::Waiting),
            kv_cache_usage: points(Series::KvCacheUsage),
            tokens_per_pass: points(Series::TokensPerPass),
            prefill_tokens_per_pass: points(Series::PrefillTokensPerPass),
            draft_tokens_per_pass: if config.speculative.is_some() {
                points(Series::DraftTokensPerPass)
            } else {
                Vec::new()
            },
            max_num_seqs: config.max_num_active_seqs,
            max_num_batched_tokens: config.max_num_scheduled_tokens.min(config.max_num_batched_tokens),
        }
    }
}

/// What `vllm bench serve` says in total; what only the engine knows is 0.
pub(crate) fn totals(metrics: &BenchmarkMetrics) -> Totals {
    Totals {
        duration: metrics.duration,
        request_throughput: metrics.request_throughput,
        output_throughput: metrics.output_throughput,
        total_token_throughput: metrics.total_token_throughput,
        max_output_tokens_per_s: math::u64_to_f64(metrics.max_output_tokens_per_s),
        max_concurrent_requests: math::u64_to_f64(metrics.max_concurrent_requests),
        total_input_tokens: metrics.total_input,
        total_output_tokens: metrics.total_output,
        ..Totals::default()
    }
}

fn ttft_split(recording: &Recording) -> Vec<SplitRow> {
    let row = |label: String, parts: TtftParts| SplitRow {
        label,
        front_end: parts.front_end,
        front_end_wait: parts.front_end_wait,
        queue: parts.queue,
        prefill: parts.prefill,
        delivery: parts.delivery,
    };
    let split = TtftSplit::new(recording);
    let percentiles = SPLIT_PERCENTS.into_iter().filter_map(Percentile::new);
    let rows = percentiles.map(|percentile| row(format!("P{percentile}"), split.percentile(percentile)));
    core::iter::once(row("Mean".to_owned(), split.mean())).chain(rows).collect()
}
