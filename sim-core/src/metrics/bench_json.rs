//! The result file that `vllm bench serve --save-result` writes: the same keys in the same order, the same digits
//! (`vllm/benchmarks/serve.py::{benchmark, main_async}`).
//!
//! So that nobody takes it for a measurement, `backend` and `endpoint_type` are always `simulated`, a label always
//! begins with that word, `--metadata` cannot replace them, and an object `simulation` comes last. Everything else
//! is as vLLM writes it, oddities included: `request_rate` is the string `"inf"` but other infinite numbers are
//! Python's bare `Infinity`, and without `--save-detailed` the lists `latencies` and `queue_times` stay.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::math;
use crate::metrics::bench_outputs::{BenchOutputs, RequestOutput};
use crate::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics, RampUp};
use crate::metrics::by_class::{self, ClassMetrics};
use crate::metrics::figure_ranges::RunRange;
use crate::metrics::kv_tiers::KvTiers;
use crate::metrics::python_float::{JsonFloat, Repr};
use crate::metrics::python_json::{write_list, write_string};
use crate::metrics::recorder::SpecDecodingTotals;

/// The value of `backend` and `endpoint_type`, and the first word of every label.
pub const BACKEND: &str = "simulated";

/// What the object `simulation` says.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation<'a> {
    /// Version of the simulator.
    pub version: &'a str,
    /// Version of vLLM whose scheduler it follows.
    pub vllm_version: &'a str,
    /// Name of the profile that gave the step times.
    pub profile: &'a str,
    /// Where that comes from: `measured`, `derived`, `estimated` or `synthetic`.
    pub provenance: &'a str,
    /// How far the figures may be off; not written where nobody asked.
    pub range: Option<&'a RunRange>,
    /// Share of the device's time that was extrapolated beyond the profile, 0 to 1.
    pub extrapolated_share: f64,
    /// [`crate::metrics::digest::digest`] of the run.
    pub digest: u64,
    /// Every flag that says what was simulated, with its value as given: what is not here was left to its default. Made
    /// by [`crate::scenario::repeat::stated_flags`]; with the profile it is the run.
    pub flags: &'a [(&'static str, String)],
    /// Fingerprint of the dataset's file, if it had one.
    pub dataset: Option<u64>,
    /// The classes of a mixture; not written where there are none.
    pub classes: &'a [ClassMetrics],
    /// What came from which tier of KV blocks; not written where there is one.
    pub kv_tiers: Option<KvTiers>,
}

/// Why there is no result file. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResultError {
    /// `--save-detailed`, and the run kept no times of single tokens.
    NoEmissions,
    /// `--metadata` gives a key that says that this is a simulation.
    ReservedMetadata {
        /// The key.
        key: String,
    },
}

impl fmt::Display for ResultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEmissions => f.write_str(
                "a detailed result needs the time of every token; run the simulation with emissions recorded",
            ),
            Self::ReservedMetadata { key } => {
                write!(f, "metadata cannot set {key:?}; reserved are backend, endpoint_type, label and simulation")
            }
        }
    }
}

impl core::error::Error for ResultError {}

/// A result, displayed as JSON on one line without a line break, without a copy of it in memory.
#[derive(Debug)]
pub struct ResultJson<'a, O> {
    outputs: &'a O,
    entries: Vec<(Cow<'a, str>, Value<'a>)>,
}

#[derive(Debug, Clone)]
enum Value<'a> {
    Null,
    Count(u64),
    Number(f64),
    Numbers(Vec<f64>),
    Text(Cow<'a, str>),
    RpsChangeEvents(&'a [(u32, String)]),
    Column(Column),
    Simulation(&'a Simulation<'a>),
}

/// A list with one element per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    InputLens,
    OutputLens,
    Ttfts,
    Itls,
    Latencies,
    StartTimes,
    QueueTimes,
    GeneratedTexts,
    Errors,
}

/// What the file depends on besides the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaveResult<'a> {
    /// Date and time of the run, `YYYYmmdd-HHMMSS`.
    pub date: &'a str,
    /// `--save-detailed`.
    pub save_detailed: bool,
}

impl<'a, O: BenchOutputs> ResultJson<'a, O> {
    /// The result of a simulated run.
    ///
    /// # Errors
    /// See [`ResultError`].
    pub fn new(
        outputs: &'a O,
        metrics: &'a BenchmarkMetrics,
        options: &'a BenchServeOptions,
        simulation: &'a Simulation<'a>,
        save: SaveResult<'a>,
    ) -> Result<Self, ResultError> {
        if save.save_detailed && !outputs.has_itls() {
            return Err(ResultError::NoEmissions);
        }
        let reserved = ["backend", "endpoint_type", "label", "simulation"];
        if let Some((key, _)) = options.metadata.iter().find(|(key, _)| reserved.contains(&key.as_str())) {
            return Err(ResultError::ReservedMetadata { key: key.clone() });
        }
        let mut result = Self { outputs, entries: Vec::with_capacity(80) };
        result.setup(options, save.date);
        result.totals(metrics, options, save.save_detailed);
        if let Some(totals) = &metrics.spec_decoding {
            result.spec_decoding(totals);
        }
        for latency in &metrics.latencies {
            let key = latency.metric.key();
            result.set(format!("mean_{key}_ms"), Value::Number(latency.mean_ms));
            result.set(format!("median_{key}_ms"), Value::Number(latency.median_ms));
            result.set(format!("std_{key}_ms"), Value::Number(latency.std_ms));
            for (percentile, value) in &latency.percentiles_ms {
                result.set(format!("p{percentile}_{key}_ms"), Value::Number(*value));
            }
        }
        result.set("simulation", Value::Simulation(simulation));
        Ok(result)
    }

    fn setup(&mut self, options: &'a BenchServeOptions, date: &'a str) {
        let text = |text: &'a str| Value::Text(Cow::Borrowed(text));
        self.set("date", text(date));
        self.set("endpoint_type", text(BACKEND));
        self.set("backend", text(BACKEND));
        self.set("label", simulated_label(options).map_or(Value::Null, Value::Text));
        self.set("model_id", text(&options.model_id));
        self.set("tokenizer_id", options.tokenizer_id.as_deref().map_or(Value::Null, text));
        self.set("num_prompts", Value::Count(math::usize_to_u64(self.outputs.num_requests())));
        for (key, value) in &options.metadata {
            self.set(key.as_str(), text(value));
        }
        let finite = options.request_rate < f64::INFINITY;
        self.set("request_rate", if finite { Value::Number(options.request_rate) } else { text("inf") });
        self.set("burstiness", Value::Number(options.burstiness));
        let max_concurrency = options.max_concurrency.map_or(Value::Null, |max| Value::Count(u64::from(max)));
        self.set("max_concurrency", max_concurrency);
        if let Some(ramp_up) = &options.ramp_up {
            self.set("ramp_up_strategy", text(&ramp_up.strategy));
            self.set("ramp_up_start_rps", Value::Count(u64::from(ramp_up.start_rps)));
            self.set("ramp_up_end_rps", Value::Count(u64::from(ramp_up.end_rps)));
        }
    }

    fn totals(&mut self, metrics: &BenchmarkMetrics, options: &'a BenchServeOptions, save_detailed: bool) {
        self.set("duration", Value::Number(metrics.duration));
        self.set("completed", Value::Count(metrics.completed));
        self.set("failed", Value::Count(metrics.failed));
        self.set("total_input_tokens", Value::Count(metrics.total_input));
        self.set("total_output_tokens", Value::Count(metrics.total_output));
        self.set("request_throughput", Value::Number(metrics.request_throughput));
        let goodput = if options.goodput.is_empty() { Value::Null } else { Value::Number(metrics.request_goodput) };
        self.set("request_goodput", goodput);
        self.set("output_throughput", Value::Number(metrics.output_throughput));
        self.set("total_token_throughput", Value::Number(metrics.total_token_throughput));
        for (key, column, always) in [
            ("input_lens", Column::InputLens, false),
            ("output_lens", Column::OutputLens, false),
            ("ttfts", Column::Ttfts, false),
            ("itls", Column::Itls, false),
            ("latencies", Column::Latencies, true),
            ("start_times", Column::StartTimes, false),
            ("queue_times", Column::QueueTimes, true),
            ("generated_texts", Column::GeneratedTexts, false),
            ("errors", Column::Errors, false),
        ] {
            if save_detailed || always {
                self.set(key, Value::Column(column));
            }
        }
        self.set("max_output_tokens_per_s", Value::Number(math::u64_to_f64(metrics.max_output_tokens_per_s)));
        self.set("max_concurrent_requests", Value::Count(metrics.max_concurrent_requests));
        self.set("rtfx", Value::Number(0.0));
        if let Some(ramp_up) = options.ramp_up.as_ref().filter(|ramp_up| !ramp_up.rps_change_events.is_empty()) {
            self.set("rps_change_events", Value::RpsChangeEvents(&ramp_up.rps_change_events));
        }
    }

    fn spec_decoding(&mut self, totals: &SpecDecodingTotals) {
        let rate = totals.acceptance_rate().unwrap_or(0.0);
        self.set("spec_decode_acceptance_rate", Value::Number(rate));
        self.set("spec_decode_acceptance_length", Value::Number(totals.acceptance_length()));
        self.set("spec_decode_num_drafts", Value::Count(totals.num_drafts));
        self.set("spec_decode_draft_tokens", Value::Count(totals.num_draft_tokens));
        self.set("spec_decode_accepted_tokens", Value::Count(totals.num_accepted_tokens));
        let rates = totals.per_position_acceptance_rates();
        self.set("spec_decode_per_position_acceptance_rates", Value::Numbers(rates));
    }

    /// As a Python dict: a known key keeps its place.
    fn set(&mut self, key: impl Into<Cow<'a, str>>, value: Value<'a>) {
        let key = key.into();
        match self.entries.iter_mut().find(|entry| entry.0 == key) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((key, value)),
        }
    }

    fn write_column(&self, f: &mut fmt::Formatter<'_>, column: Column) -> fmt::Result {
        let requests = 0..self.outputs.num_requests();
        let mut write = |cell: fn(&mut fmt::Formatter<'_>, &RequestOutput<'_>) -> fmt::Result| {
            write_list(f, requests.clone(), |f, request| cell(f, &self.outputs.output(request)))
        };
        match column {
            Column::InputLens => write(|f, output| write!(f, "{}", output.prompt_len)),
            Column::OutputLens => write(|f, output| write!(f, "{}", output.output_len)),
            Column::Ttfts => write(|f, output| write!(f, "{}", JsonFloat(output.ttft))),
            Column::Latencies => write(|f, output| write!(f, "{}", JsonFloat(output.latency))),
            Column::StartTimes => write(|f, output| write!(f, "{}", JsonFloat(output.start_time))),
            Column::QueueTimes => write(|f, output| write!(f, "{}", JsonFloat(output.client_queue_time))),
            // A simulation generates no text.
            Column::GeneratedTexts => write(|f, _| write_string(f, "")),
            Column::Errors => write(|f, output| write_string(f, output.error)),
            Column::Itls => write_list(f, requests, |f, request| {
                write_list(f, self.outputs.itls(request), |f, itl| write!(f, "{}", JsonFloat(itl)))
            }),
        }
    }
}

impl<O: BenchOutputs> fmt::Display for ResultJson<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (i, (key, value)) in self.entries.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            write_string(f, key)?;
            f.write_str(": ")?;
            match value {
                Value::Null => f.write_str("null")?,
                Value::Count(count) => write!(f, "{count}")?,
                Value::Number(number) => write!(f, "{}", JsonFloat(*number))?,
                Value::Numbers(numbers) => {
                    write_list(f, numbers.iter(), |f, number| write!(f, "{}", JsonFloat(*number)))?;
                }
                Value::Text(text) => write_string(f, text)?,
                Value::Column(column) => self.write_column(f, *column)?,
                Value::Simulation(simulation) => simulation.write(f)?,
                Value::RpsChangeEvents(events) => {
                    write_list(f, events.iter(), |f, (rps, timestamp)| {
                        write!(f, "{{\"rps\": {rps}, \"timestamp\": ")?;
                        write_string(f, timestamp)?;
                        f.write_char('}')
                    })?;
                }
            }
        }
        f.write_char('}')
    }
}

impl Simulation<'_> {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{\"simulator\": \"VllmSimulator\"")?;
        for (key, text) in [
            ("version", self.version),
            ("vllm_version", self.vllm_version),
            ("profile", self.profile),
            ("provenance", self.provenance),
        ] {
            write!(f, ", \"{key}\": ")?;
            write_string(f, text)?;
        }
        if let Some(range) = self.range {
            f.write_str(", \"range\": ")?;
            range.write(f)?;
        }
        let share = JsonFloat(self.extrapolated_share);
        write!(f, ", \"extrapolated_share\": {share}, \"digest\": \"{:016x}\", \"flags\": {{", self.digest)?;
        for (place, (name, value)) in self.flags.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { ", " })?;
            write_string(f, name)?;
            f.write_str(": ")?;
            write_string(f, value)?;
        }
        f.write_char('}')?;
        if let Some(dataset) = self.dataset {
            write!(f, ", \"dataset\": \"{dataset:016x}\"")?;
        }
        if !self.classes.is_empty() {
            f.write_str(", \"classes\": ")?;
            by_class::write_json(self.classes, f)?;
        }
        if let Some(kv_tiers) = &self.kv_tiers {
            f.write_str(", \"kv_offloading\": ")?;
            kv_tiers.write_json(f)?;
        }
        f.write_char('}')
    }
}

/// The user's label, made to begin with [`BACKEND`].
fn simulated_label(options: &BenchServeOptions) -> Option<Cow<'_, str>> {
    let label = options.label.as_deref()?;
    let says_so = label.starts_with(BACKEND);
    Some(if says_so { Cow::Borrowed(label) } else { Cow::Owned(format!("{BACKEND}-{label}")) })
}

/// The name that vLLM gives the result file if none is asked for (`compute_result_filename`). Empty labels count as
/// none.
#[must_use]
pub fn result_filename(options: &BenchServeOptions, date: &str) -> String {
    let label = simulated_label(options).filter(|_| options.label.as_deref() != Some("")).unwrap_or(BACKEND.into());
    let base_model_id = options.model_id.rsplit('/').next().unwrap_or_default();
    let concurrency = options.max_concurrency.map_or_else(String::new, |max| format!("-concurrency{max}"));
    let rate = match &options.ramp_up {
        Some(RampUp { strategy, start_rps, end_rps, .. }) => {
            format!("ramp-up-{strategy}-{start_rps}qps-{end_rps}qps")
        }
        None => format!("{}qps", Repr(options.request_rate)),
    };
    format!("{label}-{rate}{concurrency}-{base_model_id}-{date}.json")
}
