//! Requests that stand deep inside one JSON value: GuideLLM's reports, traces of OpenTelemetry. The files are made by hand
//! in their formats: `tests/data/documents/README.md`.

use sim_core::scenario::{Recognised, dataset_flags, recognise};
use sim_core::workload::WorkloadError;
use sim_core::workload::dataset::{Dataset, Sample, SampleOptions, sample};
use sim_core::workload::table::{ColumnNames, Table, TableOptions};
use sim_core::workload::trace::TraceKind;

const REPORT: &str = include_str!("../../data/documents/guidellm.json");
const OLD_REPORT: &str = include_str!("../../data/documents/guidellm-0.3.json");
const SPANS: &str = include_str!("../../data/documents/otlp.json");
const LINES: &str = include_str!("../../data/documents/otlp.jsonl");

fn read(file: &str) -> Result<Sample, WorkloadError> {
    let all = SampleOptions { num_prompts: None, ..SampleOptions::default() };
    sample(&Dataset::Table(Table { file: file.as_bytes(), options: TableOptions::default() }), &all)
}

/// Nanoseconds from the first, prompt and output of each request, and what was taken for what.
#[track_caller]
fn check(file: &str, expect: &[(u64, u32, u32)], columns: &str) {
    let sample = read(file).unwrap_or_else(|error| panic!("{error}"));
    let times = sample.send_times.clone().expect("times");
    let found: Vec<(u64, u32, u32)> = times
        .iter()
        .zip(sample.requests.as_slice())
        .map(|(time, request)| (time.as_nanos(), request.num_prompt_tokens, request.num_output_tokens))
        .collect();
    assert_eq!(found, expect, "times, prompts, outputs");
    assert_eq!(sample.notes[0], format!("the dataset's columns: {columns}"), "what was taken for what");
    assert_eq!(recognise(file.as_bytes()), Ok(Recognised::Trace(TraceKind::Table)), "known by its content");
    assert_eq!(dataset_flags(file.as_bytes()).expect("a dataset")[0].1, "table", "read as a table");
}

#[test]
fn a_report_of_guidellm_is_its_answered_requests_in_order_of_time() {
    let columns =
        |time: &str| format!("time from {time} (seconds), prompt from prompt_tokens, output from output_tokens");
    let both = [(0, 374, 44), (1_500_000_000, 396, 109)];
    let all = [both[0], both[1], (10_250_000_000, 879, 55)];
    check(REPORT, &all, &columns("request_start_time"));
    check(OLD_REPORT, &both, &columns("start_time"));
}

#[test]
fn a_trace_of_vllm_is_its_requests_and_not_what_clients_say_of_the_same() {
    let columns = "time from startTimeUnixNano (nanoseconds), prompt from gen_ai.usage.prompt_tokens, output from \
                   gen_ai.usage.completion_tokens";
    check(SPANS, &[(0, 396, 109), (499_999_999, 374, 44)], columns);
    check(LINES, &[(0, 374, 44), (1_500_000_000, 396, 109)], columns);
}

#[track_caller]
fn check_refused(file: &str, expect: &str) {
    let error = read(file).map(|sample| sample.requests.len()).expect_err(file).to_string();
    assert!(error.contains(expect), "{error}\nwithout\n{expect}");
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let tokens = "it must be a whole number of tokens, from 0 to 67108864";
    check_refused(
        &REPORT.replace("\"prompt_tokens\": 374", "\"prompt_tokens\": \"many\""),
        &format!("line 32: prompt_tokens is \"many\"; {tokens}"),
    );
    check_refused(&REPORT.replace("\"output_tokens\": 55", "\"output_tokens\": null"), "output_tokens is absent");
    check_refused(&REPORT.replace("successful", "succeeded"), "no request that was answered");
    check_refused(&REPORT.replace("\"prompt_tokens\"", "\"length\""), "length of a prompt");
    check_refused(&REPORT[..REPORT.len() / 2], "line ");
    check_refused("{\"benchmarks\": 3}", "it must be a list");
    check_refused("{\"benchmarks\": [{\"requests\": [1]}]}", "it must be an object with \"successful\"");
    check_refused(&SPANS.replace("\"374\"", "\"-1\""), &format!("gen_ai.usage.prompt_tokens is \"-1\"; {tokens}"));
    check_refused(&SPANS.replace("\"1764000000500000000\"", "null"), "startTimeUnixNano is absent");
    check_refused(&SPANS.replace("gen_ai.usage", "usage"), "--otlp-traces-endpoint");
    check_refused(&format!("{LINES}{{"), "line 3");
    check_refused(&LINES.replacen("\"396\"", "1.5", 1), "line 1: gen_ai.usage.prompt_tokens is 1.5");
    let deep = format!("{{\"benchmarks\": {}1{}}}", "[".repeat(500), "]".repeat(500));
    check_refused(&deep, "line 1");
}

#[test]
fn columns_of_a_report_can_be_said_and_attributes_of_spans_cannot() {
    let said = |file: &str, columns: &str| {
        let options =
            TableOptions { columns: ColumnNames::parse(columns).expect("columns"), ..TableOptions::default() };
        let all = SampleOptions { num_prompts: None, ..SampleOptions::default() };
        sample(&Dataset::Table(Table { file: file.as_bytes(), options }), &all)
    };
    let times = said(REPORT, "time=request_end_time").expect("a column").send_times.expect("times");
    assert_eq!(times[1].as_nanos(), 2_000_000_000, "from the first end to the second");
    let error = said(SPANS, "time=endTimeUnixNano").map(|_| ()).expect_err("spans have no columns").to_string();
    assert!(error.contains("spans have attributes"), "{error}");
}
