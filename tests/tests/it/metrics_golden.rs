//! The report against the real `vllm bench serve`: same request timings in, same text out, byte for byte.
//!
//! The data are recorded by `tests/recorder/record_bench_table.py`, whose header says how.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use sim_core::metrics::bench_json::{ResultJson, SaveResult, Simulation, result_filename};
use sim_core::metrics::bench_outputs::{BenchOutputs, MeasuredOutput, MeasuredOutputs, Peaks, RequestOutput};
use sim_core::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics, Latencies, LatencyMetric, RampUp};
use sim_core::metrics::bench_table::table;
use sim_core::metrics::distribution::{Distribution, Percentile};
use sim_core::metrics::goodput::Goodput;
use sim_core::metrics::python_float::{Fixed2, Repr, parse};
use sim_core::metrics::recorder::{SpecDecodingTotals, WeightedGap};
use sim_core::time::SimDuration;

const DATE: &str = "20260102-030405";

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/bench_serve_table").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read_json(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn rows(name: &str) -> Vec<Value> {
    let rows = read_json(name)["rows"].as_array().expect("a list").clone();
    assert!(rows.len() > 10, "{name} has only {} rows", rows.len());
    rows
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn count(value: &Value) -> u32 {
    u32::try_from(value.as_u64().expect("a count")).expect("32 bits")
}

fn optional<T>(value: &Value, read: impl Fn(&Value) -> T) -> Option<T> {
    (!value.is_null()).then(|| read(value))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().map(|list| list.iter().map(text).collect()).unwrap_or_default()
}

fn float_of_bits(value: &Value) -> f64 {
    f64::from_bits(u64::from_str_radix(text(value), 16).expect("16 digits"))
}

fn options(recorded: &Value) -> BenchServeOptions {
    let model = text(&recorded["model"]).to_owned();
    let tokenizer = optional(&recorded["tokenizer"], |value| text(value).to_owned()).unwrap_or_else(|| model.clone());
    let mut options = BenchServeOptions::new(model);
    options.tokenizer_id = (recorded["skip_tokenizer_init"] == false).then_some(tokenizer);
    options.label = optional(&recorded["label"], |value| text(value).to_owned());
    options.metadata = texts(&recorded["metadata"])
        .iter()
        .map(|item| item.split_once('=').expect("KEY=VALUE"))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect();
    options.request_rate = parse(text(&recorded["request_rate"])).expect("a number");
    options.burstiness = parse(text(&recorded["burstiness"])).expect("a number");
    options.max_concurrency = optional(&recorded["max_concurrency"], count);
    options.ramp_up = optional(&recorded["ramp_up_strategy"], |strategy| {
        let (start_rps, end_rps) = (count(&recorded["ramp_up_start_rps"]), count(&recorded["ramp_up_end_rps"]));
        RampUp {
            strategy: text(strategy).to_owned(),
            start_rps,
            end_rps,
            // The recording's clock stands still.
            rps_change_events: (start_rps..=end_rps)
                .map(|rps| (rps, "2026-01-02T03:04:05.678901".to_owned()))
                .collect(),
        }
    });
    if let Some(metrics) = recorded["percentile_metrics"].as_str() {
        options.percentile_metrics =
            metrics.split(',').map(|key| LatencyMetric::from_key(key).expect("a metric")).collect();
    }
    options.metric_percentiles = text(&recorded["metric_percentiles"])
        .split(',')
        .map(|percent| Percentile::new(parse(percent).expect("a number")).expect("in range"))
        .collect();
    options.goodput = Goodput::parse(texts(&recorded["goodput"])).expect("good objectives");
    options
}

fn outputs(recorded: &Value) -> MeasuredOutputs {
    let output = |output: &Value| MeasuredOutput {
        success: output["success"] == true,
        prompt_len: count(&output["prompt_len"]),
        output_len: count(&output["output_tokens"]),
        ttft: number(&output["ttft"]),
        itl: output["itl"].as_array().expect("a list").iter().map(number).collect(),
        latency: number(&output["latency"]),
        start_time: number(&output["start_time"]),
        client_queue_time: number(&output["client_queue_time"]),
        error: text(&output["error"]).to_owned(),
    };
    MeasuredOutputs {
        outputs: recorded["outputs"].as_array().expect("a list").iter().map(output).collect(),
        duration: number(&recorded["duration"]),
    }
}

/// What the client saw, and what the server said of its drafts.
#[derive(Debug)]
struct WithDrafts {
    seen: MeasuredOutputs,
    drafts: Option<SpecDecodingTotals>,
}

impl WithDrafts {
    fn new(recorded: &Value) -> Self {
        let drafts = optional(&recorded["drafts"], |drafts| {
            let per_pos: Vec<_> = drafts["accepted_per_pos"].as_array().expect("a list").iter().map(count).collect();
            SpecDecodingTotals {
                num_drafts: count(&drafts["num_drafts"]).into(),
                num_draft_tokens: count(&drafts["num_draft_tokens"]).into(),
                num_accepted_tokens: per_pos.iter().copied().map(u64::from).sum(),
                num_accepted_tokens_per_pos: per_pos.into_iter().map(u64::from).collect(),
            }
        });
        Self { seen: outputs(recorded), drafts }
    }
}

impl BenchOutputs for WithDrafts {
    fn spec_decoding(&self) -> Option<&SpecDecodingTotals> {
        self.drafts.as_ref()
    }

    fn num_requests(&self) -> usize {
        self.seen.num_requests()
    }

    fn output(&self, request: usize) -> RequestOutput<'_> {
        self.seen.output(request)
    }

    fn itls(&self, request: usize) -> Box<dyn Iterator<Item = f64> + '_> {
        self.seen.itls(request)
    }

    fn has_itls(&self) -> bool {
        self.seen.has_itls()
    }

    fn pooled_itls(&self) -> Distribution {
        self.seen.pooled_itls()
    }

    fn peaks(&self) -> Peaks {
        self.seen.peaks()
    }

    fn duration(&self) -> f64 {
        BenchOutputs::duration(&self.seen)
    }
}

/// Fails at the first difference, showing what surrounds it.
#[track_caller]
fn check_text(what: &str, got: &str, expect: &str) {
    if let Some(at) = got.bytes().zip(expect.bytes()).position(|(a, b)| a != b) {
        let around = |text: &str| {
            String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(60)..]).chars().take(120).collect::<String>()
        };
        panic!("{what} differs at byte {at}:\n   got …{}…\nexpect …{}…", around(got), around(expect));
    }
    assert_eq!(got.len(), expect.len(), "{what} is complete");
}

#[track_caller]
fn check_case(name: &str) {
    let recorded = read_json(&format!("{name}.input.json"));
    let (options, outputs) = (options(&recorded["options"]), WithDrafts::new(&recorded));
    let metrics = BenchmarkMetrics::new(&outputs, &Latencies::new(&outputs), &options);
    check_text(&format!("{name}: table"), &table(&metrics, &options), &read(&format!("{name}.table.txt")));
    let simulation = Simulation {
        version: "0.1.0",
        vllm_version: "0.32.0",
        profile: "a \"profile\"",
        provenance: "measured",
        range: None,
        extrapolated_share: 0.25,
        kv_tiers: None,
        digest: 0x1f,
        flags: &[("seed", "3".to_owned())],
        dataset: Some(0x2e),
        classes: &[],
    };
    for (save_detailed, file) in [(false, "result"), (true, "detailed")] {
        let save = SaveResult { date: DATE, save_detailed };
        let json = ResultJson::new(&outputs, &metrics, &options, &simulation, save).expect("a result").to_string();
        // Ours is vLLM's object with one more key at its end.
        let expect = read(&format!("{name}.{file}.json")).strip_suffix('}').expect("an object").to_owned()
            + ", \"simulation\": {\"simulator\": \"VllmSimulator\", \"version\": \"0.1.0\", \"vllm_version\": \"0.32.0\", \
               \"profile\": \"a \\\"profile\\\"\", \"provenance\": \"measured\", \"extrapolated_share\": 0.25, \
               \"digest\": \"000000000000001f\", \"flags\": {\"seed\": \"3\"}, \"dataset\": \"000000000000002e\"}}";
        check_text(&format!("{name}: {file}"), &json, &expect);
    }
    assert_eq!(result_filename(&options, DATE), text(&recorded["file_name"]), "{name}: file name");
}

#[test]
fn table_and_result_file_are_those_of_vllm() {
    for name in [
        "defaults",
        "everything",
        "concurrency_at_infinite_rate",
        "failures",
        "all_failed",
        "single_tokens",
        "ramp_up",
        "no_tokenizer",
        "long_run",
        "speculation",
        "speculation_in_vain",
    ] {
        check_case(name);
    }
}

#[test]
fn goodput_arguments_are_read_and_refused_as_by_vllm() {
    for row in rows("goodput.json") {
        let arguments = texts(&row["arguments"]);
        let got = Goodput::parse(arguments.iter().copied());
        if let Some(error) = row["error"].as_str() {
            assert_eq!(got.map_err(|error| error.to_string()), Err(error.to_owned()), "{arguments:?}");
            continue;
        }
        let goodput = got.unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        for (key, bound) in [("ttft", goodput.ttft_ms), ("tpot", goodput.tpot_ms), ("e2el", goodput.e2el_ms)] {
            let expect = row["parsed"].get(key).map(|value| text(value).to_owned());
            assert_eq!(bound.map(|bound| Repr(bound).to_string()), expect, "{key} of {arguments:?}");
        }
    }
}

#[test]
fn floats_are_written_as_by_python() {
    for row in rows("python_floats.json") {
        let value = float_of_bits(&row["bits"]);
        assert_eq!(Repr(value).to_string(), text(&row["repr"]), "repr of {value:e}");
        assert_eq!(Fixed2(value).to_string(), text(&row["fixed"]), "two decimals of {value:e}");
        let read = parse(text(&row["repr"])).expect("a number");
        assert!(
            read.to_bits() == value.to_bits() || read.is_nan() && value.is_nan(),
            "{value:e} comes back as {read:e}"
        );
    }
}

/// Mean, deviation, median, smallest, largest, then the percentiles.
fn statistics(distribution: &Distribution, percentiles: &Value) -> Vec<f64> {
    let percentiles = percentiles.as_array().expect("a list").iter().map(number);
    let [mean, std, median] = [distribution.mean(), distribution.std(), distribution.median()];
    [mean, std, median, distribution.min(), distribution.max()]
        .into_iter()
        .chain(percentiles.map(|percent| distribution.percentile(Percentile::new(percent).expect("in range"))))
        .collect()
}

/// The generator of `record_bench_table.py::generated_samples`.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn generated_samples(seed: u64, n: u64) -> Vec<f64> {
    let mut state = seed;
    let sample = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let u = (state >> 11) as f64 / (1u64 << 53) as f64;
        u * u * u
    };
    (0..n).map(sample).collect()
}

#[test]
fn plain_statistics_have_the_bits_of_numpy() {
    for row in rows("numpy_statistics.json") {
        let n = row["n"].as_u64().expect("a count");
        let got = statistics(&Distribution::from_samples(generated_samples(n, n)), &row["percentiles"]);
        let expect: Vec<f64> = row["plain"].as_array().expect("a list").iter().map(float_of_bits).collect();
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&got), bits(&expect), "n={n}: {got:?}, not {expect:?}");
    }
}

#[test]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as the recording script: int() of a small number"
)]
fn weighted_statistics_are_those_of_numpy_on_the_expansion() {
    for row in rows("numpy_statistics.json") {
        let n = row["n"].as_u64().expect("a count");
        let nanos = generated_samples(n, n).into_iter().map(|x| (x * 300.0) as u64 * 1_000_003);
        let gaps: Vec<_> = nanos.map(|nanos| WeightedGap { gap: SimDuration::from_nanos(nanos), count: 1 }).collect();
        let got = statistics(&Distribution::from_gaps(&gaps.into()), &row["percentiles"]);
        let expect: Vec<f64> = row["weighted"].as_array().expect("a list").iter().map(float_of_bits).collect();
        for (i, (got, expect)) in got.iter().zip(&expect).enumerate() {
            // Mean and deviation are rounded once here and at every step there; everything else is the same number.
            let tolerance = if i < 2 { 1e-14 * expect.abs() } else { 0.0 };
            assert!((got - expect).abs() <= tolerance, "n={n}, statistic {i}: {got:e}, not {expect:e}");
        }
    }
}
