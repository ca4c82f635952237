//! Result files of `vllm bench serve`, read back: what vLLM wrote into them follows from their own lists.
//!
//! The data are recorded by `tests/recorder/record_bench_table.py`: vLLM's own code evaluated timings that were given
//! to it, so `backend` is `simulated`.

use std::fs;
use std::path::PathBuf;

use sim_core::metrics::bench_json::{ResultJson, SaveResult, Simulation};
use sim_core::metrics::bench_outputs::{BenchOutputs, MeasuredOutputs, RecordedOutputs};
use sim_core::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics, Latencies, LatencyMetric};
use sim_core::metrics::distribution::Percentile;
use sim_core::metrics::json_measured::MeasuredResult;
use sim_core::scenario::{Scenario, prepare};
use sim_core::simulator::{SimulationOptions, simulate};

use crate::profile_fixture::h100;

const NAMES: [&str; 9] = [
    "defaults",
    "everything",
    "concurrency_at_infinite_rate",
    "failures",
    "all_failed",
    "single_tokens",
    "ramp_up",
    "no_tokenizer",
    "long_run",
];

fn read(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/bench_serve_table").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse(bytes: &[u8]) -> MeasuredResult {
    MeasuredResult::from_json(bytes).unwrap_or_else(|error| panic!("{error}"))
}

fn all_metrics() -> BenchServeOptions {
    BenchServeOptions {
        percentile_metrics: LatencyMetric::ALL.to_vec(),
        metric_percentiles: [25.0, 50.0, 90.0, 99.0, 99.9].into_iter().filter_map(Percentile::new).collect(),
        request_rate: 1.0,
        max_concurrency: Some(1),
        ..BenchServeOptions::new("org/model".to_owned())
    }
}

/// Every number of the file that follows from its lists, and how many were compared.
#[track_caller]
fn compare(name: &str, result: &MeasuredResult, outputs: &MeasuredOutputs) -> u32 {
    let metrics = BenchmarkMetrics::new(outputs, &Latencies::new(outputs), &all_metrics());
    let mut expected = vec![
        ("request_throughput".to_owned(), metrics.request_throughput),
        ("output_throughput".to_owned(), metrics.output_throughput),
        ("total_token_throughput".to_owned(), metrics.total_token_throughput),
        ("max_output_tokens_per_s".to_owned(), metrics.max_output_tokens_per_s as f64),
        ("max_concurrent_requests".to_owned(), metrics.max_concurrent_requests as f64),
        ("total_input_tokens".to_owned(), metrics.total_input as f64),
        ("total_output_tokens".to_owned(), metrics.total_output as f64),
        ("completed".to_owned(), metrics.completed as f64),
        ("failed".to_owned(), metrics.failed as f64),
    ];
    for latency in &metrics.latencies {
        let key = latency.metric.key();
        expected.push((format!("mean_{key}_ms"), latency.mean_ms));
        expected.push((format!("median_{key}_ms"), latency.median_ms));
        expected.push((format!("std_{key}_ms"), latency.std_ms));
        let percentiles = latency.percentiles_ms.iter();
        expected.extend(percentiles.map(|(percentile, value)| (format!("p{percentile}_{key}_ms"), *value)));
    }
    let mut num_compared = 0;
    for (key, expect) in expected {
        if let Some(stated) = result.numbers.get(&key) {
            assert_eq!(stated.to_bits(), expect.to_bits(), "{name}: {key} is {stated}, its lists give {expect}");
            num_compared += 1;
        }
    }
    num_compared
}

#[test]
fn the_lists_of_a_file_give_its_own_statistics_to_the_bit() {
    for name in NAMES {
        let result = parse(&read(&format!("{name}.detailed.json")));
        let outputs = result.outputs.as_ref().unwrap_or_else(|| panic!("{name} has no lists"));
        assert_eq!(result.notes, Vec::<String>::new(), "{name}: nothing is to be concluded");
        let num_compared = compare(name, &result, outputs);
        assert!(num_compared >= 13, "{name}: only {num_compared} numbers were compared");
    }
}

#[test]
fn a_file_without_details_has_its_statistics_only() {
    for name in NAMES {
        let (detailed, result) =
            (parse(&read(&format!("{name}.detailed.json"))), parse(&read(&format!("{name}.result.json"))));
        assert_eq!(result.outputs, None, "{name}");
        assert_eq!(format!("{:?}", result.numbers), format!("{:?}", detailed.numbers), "{name}");
        assert_eq!(result.texts, detailed.texts, "{name}");
        assert_eq!((result.completed, result.failed), (detailed.completed, detailed.failed), "{name}");
    }
}

#[test]
fn failed_requests_are_failed() {
    let result = parse(&read("failures.detailed.json"));
    let outputs = result.outputs.expect("lists");
    let failed = outputs.outputs.iter().filter(|output| !output.success).count();
    assert_eq!((result.completed, result.failed, failed), (23, 7, 7));
    assert_eq!(outputs.output(3).error, "Service Unavailable");
}

/// A detailed file with `text` in place of part of it.
fn changed(from: &str, to: &str) -> Vec<u8> {
    let text = SMALL.replacen(from, to, 1);
    assert_ne!(text, SMALL, "{from} is not in the file");
    text.into_bytes()
}

const SMALL: &str = r#"{"date": "20260101-000000", "backend": "vllm", "label": null, "model_id": "org/m",
 "request_rate": "inf", "num_prompts": 3, "duration": 2.0, "completed": 2, "failed": 1,
 "mean_ttft_ms": 150.0, "p99_ttft_ms": NaN, "request_goodput": -Infinity, "input_lens": [10, 11, 12],
 "output_lens": [3, 1, 0], "ttfts": [0.1, 0.2, 0.0], "itls": [[0.25, 0.5], [], []],
 "latencies": [0.85, 0.2, 0.0], "start_times": [5.0, 5.5, 6.0], "queue_times": [0.0, 0.0, 0.0],
 "generated_texts": ["NaN \" Infinity", "", ""], "errors": ["", "", "Infinity"]}"#;

#[test]
fn bare_words_of_python_are_numbers() {
    let result = parse(SMALL.as_bytes());
    assert!(result.numbers["p99_ttft_ms"].is_nan(), "NaN");
    assert!(result.numbers["request_goodput"] < f64::MIN, "-Infinity");
    assert_eq!(result.texts["request_rate"], "inf");
    assert!(!result.texts.contains_key("label"), "null is no text");
    assert!(!result.is_simulated);
    let outputs = result.outputs.expect("lists").outputs;
    assert_eq!(outputs.iter().map(|output| output.success).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!((outputs[0].prompt_len, outputs[0].output_len, outputs[0].itl.as_slice()), (10, 3, &[0.25, 0.5][..]));
}

#[test]
fn the_last_of_several_results_is_read_and_it_is_said() {
    let (first, last) = (SMALL.replace('\n', " "), SMALL.replace('\n', " ").replace("org/m", "org/last"));
    let result = parse(format!("{first}\n{last}\n").as_bytes());
    assert_eq!((result.num_results, result.texts["model_id"].as_str()), (2, "org/last"));
    assert_eq!(result.notes, ["The file holds 2 results; the last one was read."]);
}

#[test]
fn what_older_files_lack_is_concluded_and_said() {
    let old = SMALL
        .replace(
            r#" "latencies": [0.85, 0.2, 0.0], "start_times": [5.0, 5.5, 6.0], "queue_times": [0.0, 0.0, 0.0],"#,
            "",
        )
        .replace(r#", "failed": 1"#, "")
        .replace(r#", "errors": ["", "", "Infinity"]"#, "");
    let result = parse(old.as_bytes());
    assert_eq!(
        result.notes,
        [
            "The file has no latencies; E2EL is TTFT plus the sum of the request's ITLs.",
            "The file has no start_times: when requests were sent is not known.",
            "Requests without output tokens were taken as failed, as completed says.",
        ]
    );
    assert_eq!(result.failed, 1, "of num_prompts");
    let outputs = result.outputs.expect("lists").outputs;
    let latencies: Vec<f64> = outputs.iter().map(|output| output.latency).collect();
    assert!((latencies[0] - 0.85).abs() < 1e-12 && (latencies[1] - 0.2).abs() < 1e-12, "{latencies:?}");
    assert_eq!(outputs.iter().map(|output| output.success).collect::<Vec<_>>(), [true, true, false]);
}

#[track_caller]
fn check_refused(bytes: &[u8], expect: &str) {
    match MeasuredResult::from_json(bytes) {
        Ok(result) => panic!("read as {result:?}, not refused with {expect}"),
        Err(error) => assert_eq!(error.to_string(), expect, "the fault"),
    }
}

#[test]
fn faults_name_key_index_value_and_limit() {
    let number = "it must be a number from 0 to 1e10";
    check_refused(&changed("[0.1, 0.2, 0.0]", "[0.1, NaN, 0.0]"), &format!("ttfts[1] is NaN; {number}"));
    check_refused(&changed("[[0.25, 0.5]", "[[0.25, -0.5]"), &format!("itls[0][1] is -0.5; {number}"));
    check_refused(&changed("[[0.25, 0.5]", "[[0.25, null]"), &format!("itls[0][1] is null; {number}"));
    check_refused(&changed("[5.0, 5.5", "[5.0, Infinity"), &format!("start_times[1] is inf; {number}"));
    check_refused(&changed("[5.0, 5.5", "[5.0, 1e200"), &format!("start_times[1] is 1e200; {number}"));
    check_refused(&changed("[0.0, 0.0, 0.0]", "[0.0, [], 0.0]"), &format!("queue_times[1] is a list; {number}"));
    check_refused(&changed("\"duration\": 2.0", "\"duration\": NaN"), &format!("duration is NaN; {number}"));
    check_refused(
        &changed("[10, 11, 12]", "[10, 11.5, 12]"),
        "input_lens[1] is 11.5; it must be a whole number from 0 to 67108864",
    );
    check_refused(
        &changed("[3, 1, 0]", "[3, 1]"),
        "output_lens has 2 entries, but ttfts has 3: each must have one per request",
    );
    check_refused(
        &changed(", \"completed\": 2", ""),
        "the result file has no \"completed\", which every result has: was it written by vllm bench serve?",
    );
    check_refused(
        &changed("\"itls\"", "\"other\""),
        "the result file has no \"itls\", without which its lists say nothing: was it written by vllm bench serve?",
    );
    check_refused(b" \n", "the result file is not JSON as Python writes it: the file is empty");
    check_refused(b"\xff{}", "the result file is not JSON as Python writes it: byte 0 is not UTF-8");
    check_refused(
        b"[1]",
        "the result file is not JSON as Python writes it: found an array; it must be an object at line 1 column 0",
    );
    check_refused(
        &vec![b' '; MeasuredResult::MAX_BYTES + 1],
        "the result file has 67108865 bytes; the limit is 67108864: save it without --save-detailed",
    );
}

#[test]
fn a_simulated_file_comes_back_as_it_was_and_says_what_it_is() {
    let flags = [("num-prompts", "200"), ("request-rate", "20"), ("max-concurrency", "64")];
    let scenario = Scenario::from_flags(flags.map(|(flag, value)| (flag, Some(value)))).expect("known flags");
    let prepared = prepare(&scenario, &h100(), None, None).expect("a possible run");
    let keep = SimulationOptions { record_emissions: true };
    let result = simulate(&prepared.workload, &prepared.engine.config, &prepared.step_time, keep).expect("a run");
    let outputs = RecordedOutputs::new(&result.recording);
    let metrics = BenchmarkMetrics::new(&outputs, &Latencies::new(&outputs), &prepared.options);
    let simulation = Simulation {
        version: "0",
        vllm_version: "0.32.0",
        profile: "p",
        provenance: "derived",
        range: None,
        extrapolated_share: 0.0,
        kv_tiers: None,
        digest: 1,
        flags: &[],
        dataset: None,
        classes: &[],
    };
    let save = SaveResult { date: "20260101-000000", save_detailed: true };
    let json = ResultJson::new(&outputs, &metrics, &prepared.options, &simulation, save).expect("a file").to_string();
    let read = parse(json.as_bytes());
    assert!(read.is_simulated);
    let measured = read.outputs.expect("lists");
    assert_eq!(measured.num_requests(), 200);
    for request in 0..200 {
        assert_eq!(measured.output(request), outputs.output(request), "request {request}");
        assert!(measured.itls(request).eq(outputs.itls(request)), "the latencies of request {request}");
    }
}
