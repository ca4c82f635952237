//! The table that `vllm bench serve` prints, character for character, trailing blanks included
//! (`vllm/benchmarks/serve.py::benchmark`).

use alloc::string::{String, ToString};
use core::fmt;

use crate::math;
use crate::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics, LatencyStatistics};
use crate::metrics::python_float::Fixed2;
use crate::metrics::recorder::SpecDecodingTotals;

/// The table, ending with a line break.
#[must_use]
pub fn table(metrics: &BenchmarkMetrics, options: &BenchServeOptions) -> String {
    Table { metrics, options }.to_string()
}

struct Table<'a> {
    metrics: &'a BenchmarkMetrics,
    options: &'a BenchServeOptions,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metrics, options } = self;
        let has_tokenizer = options.tokenizer_id.is_some();
        writeln!(f, "{:=^50}", " Serving Benchmark Result ")?;
        count(f, "Successful requests:", metrics.completed)?;
        count(f, "Failed requests:", metrics.failed)?;
        if let Some(max_concurrency) = options.max_concurrency {
            count(f, "Maximum request concurrency:", u64::from(max_concurrency))?;
        }
        if options.request_rate < f64::INFINITY {
            number(f, "Request rate configured (RPS):", options.request_rate)?;
        }
        number(f, "Benchmark duration (s):", metrics.duration)?;
        count(f, "Total input tokens:", metrics.total_input)?;
        if has_tokenizer {
            count(f, "Total generated tokens:", metrics.total_output)?;
        }
        number(f, "Request throughput (req/s):", metrics.request_throughput)?;
        if !options.goodput.is_empty() {
            number(f, "Request goodput (req/s):", metrics.request_goodput)?;
        }
        if has_tokenizer {
            number(f, "Output token throughput (tok/s):", metrics.output_throughput)?;
            let peak = math::u64_to_f64(metrics.max_output_tokens_per_s);
            number(f, "Peak output token throughput (tok/s):", peak)?;
        }
        number(f, "Peak concurrent requests:", math::u64_to_f64(metrics.max_concurrent_requests))?;
        // A row on audio follows in vLLM if the inputs have any.
        if has_tokenizer {
            number(f, "Total token throughput (tok/s):", metrics.total_token_throughput)?;
        }
        for latency in &metrics.latencies {
            section(f, latency)?;
        }
        if let Some(totals) = &metrics.spec_decoding {
            spec_decoding(f, totals)?;
        }
        writeln!(f, "{:=^50}", "")
    }
}

fn spec_decoding(f: &mut fmt::Formatter<'_>, totals: &SpecDecodingTotals) -> fmt::Result {
    writeln!(f, "{:-^50}", "Speculative Decoding")?;
    number(f, "Acceptance rate (%):", totals.acceptance_rate().unwrap_or(0.0))?;
    number(f, "Acceptance length:", totals.acceptance_length())?;
    count(f, "Drafts:", totals.num_drafts)?;
    count(f, "Draft tokens:", totals.num_draft_tokens)?;
    count(f, "Accepted tokens:", totals.num_accepted_tokens)?;
    let per_position = totals.per_position_acceptance_rates();
    if !per_position.is_empty() {
        writeln!(f, "Per-position acceptance (%):")?;
    }
    for (position, rate) in per_position.iter().enumerate() {
        number(f, format_args!("  Position {position}:"), rate * 100.0)?;
    }
    Ok(())
}

fn section(f: &mut fmt::Formatter<'_>, latency: &LatencyStatistics) -> fmt::Result {
    let name = latency.metric.name();
    writeln!(f, "{:-^50}", latency.metric.header())?;
    number(f, format_args!("Mean {name} (ms):"), latency.mean_ms)?;
    number(f, format_args!("Median {name} (ms):"), latency.median_ms)?;
    for (percentile, value) in &latency.percentiles_ms {
        number(f, format_args!("P{percentile} {name} (ms):"), *value)?;
    }
    Ok(())
}

fn count(f: &mut fmt::Formatter<'_>, label: &str, value: u64) -> fmt::Result {
    writeln!(f, "{label:<40} {value:<10}")
}

fn number(f: &mut fmt::Formatter<'_>, label: impl fmt::Display, value: f64) -> fmt::Result {
    // Through strings, because only those are padded whatever they are made of.
    writeln!(f, "{:<40} {:<10}", label.to_string(), Fixed2(value).to_string())
}
