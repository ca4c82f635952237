//! The worker on the host: what it answers, against the simulator asked directly.

use sim_core::metrics::bench_outputs::{BenchOutputs, RecordedOutputs};
use sim_core::metrics::bench_serve::{BenchmarkMetrics, Latencies};
use sim_core::metrics::digest::digest;
use sim_core::metrics::distribution::Percentile;
use sim_core::metrics::json_measured::MeasuredResult;
use sim_core::profile::Profile;
use sim_core::scenario::{Scenario, prepare};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{SimulationOptions, simulate};

use super::session::{Host, Session};
use crate::answer::{Answer, Limit};
use crate::detail::{GanttWindow, RequestRow};
use crate::protocol::{ExportKind, Found, Reply, Request, RunInput};

const PROFILE: &[u8] = include_bytes!("../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

/// A clock that ticks at each look, and everything that was reported.
#[derive(Default)]
struct Desk {
    progress: Vec<(u32, u32, f64)>,
}

impl Host for Desk {
    fn now_ms(&self) -> f64 {
        0.0
    }
    fn wall_clock_ms(&self) -> u64 {
        1_767_225_599_123
    }
    fn progress(&mut self, done: u32, total: u32, sim_time: f64) {
        self.progress.push((done, total, sim_time));
    }
}

type Flags<'a> = &'a [(&'a str, &'a str)];

/// A run with queues, preemption-free, and objectives that some requests miss.
const BUSY: Flags<'_> = &[
    ("num-prompts", "600"),
    ("request-rate", "40"),
    ("max-num-seqs", "48"),
    ("goodput", "ttft:500 tpot:12"),
    ("random-range-ratio", "0.5"),
];

fn input(flags: Flags<'_>) -> RunInput {
    RunInput {
        flags: flags.iter().map(|&(flag, value)| (flag.to_owned(), Some(value.to_owned()))).collect(),
        profile_name: "h100".to_owned(),
        profile: PROFILE.to_vec(),
        is_of_lockstep: false,
        dataset: None,
    }
}

fn answer(session: &mut Session, flags: Flags<'_>) -> Answer {
    match session.handle(Request::Run { id: 7, input: input(flags) }, &mut Desk::default()) {
        Reply::Answer { id: 7, answer } => *answer,
        other => panic!("{other:?}"),
    }
}

fn rows(session: &mut Session, sort_by: &str, descending: bool, (offset, limit): (u32, u32)) -> Vec<RequestRow> {
    let request = Request::Requests { id: 8, sort_by: sort_by.to_owned(), descending, offset, limit };
    match session.handle(request, &mut Desk::default()) {
        Reply::Requests { id: 8, rows } => rows,
        other => panic!("{other:?}"),
    }
}

fn gantt(session: &mut Session, range: Option<(f64, f64)>, width: u32, max_requests: u32) -> GanttWindow {
    let request = Request::Gantt { id: 9, range, width, max_requests, engine: 0 };
    match session.handle(request, &mut Desk::default()) {
        Reply::Gantt { id: 9, window } => *window,
        other => panic!("{other:?}"),
    }
}

fn export(session: &mut Session, kind: ExportKind) -> (String, String) {
    let request = Request::Export { id: 10, kind, date: "20260102-030405".to_owned(), range: None };
    match session.handle(request, &mut Desk::default()) {
        Reply::Export { id: 10, file_name, content, .. } => (file_name, String::from_utf8(content).expect("a text")),
        other => panic!("{other:?}"),
    }
}

fn found(name: &str, content: &[u8]) -> Result<Found, String> {
    let request = Request::Read { id: 11, name: name.to_owned(), content: content.to_vec() };
    match Session::default().handle(request, &mut Desk::default()) {
        Reply::Found { id: 11, found, .. } => Ok(found),
        Reply::Fault { id: 11, message } => Err(message),
        other => panic!("{other:?}"),
    }
}

/// The same run without a worker.
fn directly(flags: Flags<'_>, record_emissions: bool) -> (SimulationResult, sim_core::scenario::Prepared) {
    let profile = Profile::from_json(PROFILE).expect("the shipped profile");
    let scenario = Scenario::from_flags(flags.iter().map(|&(flag, value)| (flag, Some(value)))).expect("known flags");
    let prepared = prepare(&scenario, &profile, None, None).expect("a possible run");
    let keep = SimulationOptions { record_emissions };
    let result = simulate(&prepared.workload, &prepared.engine.config, &prepared.step_time, keep).expect("a run");
    (result, prepared)
}

#[test]
fn the_answer_is_of_the_very_run_that_the_simulator_makes() {
    let (result, prepared) = directly(BUSY, false);
    let answer = answer(&mut Session::default(), BUSY);
    assert_eq!(answer.digest, format!("{:016x}", digest(&result.recording)));
    let outputs = RecordedOutputs::new(&result.recording);
    let latencies = Latencies::new(&outputs);
    let percentiles: Vec<Percentile> =
        [50.0, 75.0, 90.0, 95.0, 99.0, 99.9].into_iter().filter_map(Percentile::new).collect();
    let mut options = prepared.options;
    options.metric_percentiles.clone_from(&percentiles);
    options.percentile_metrics.push(sim_core::metrics::bench_serve::LatencyMetric::E2el);
    let metrics = BenchmarkMetrics::new(&outputs, &latencies, &options);
    assert_eq!(answer.metrics.len(), 4, "TTFT, TPOT, ITL, E2EL");
    for (metric, expect) in answer.metrics.iter().zip(&metrics.latencies) {
        assert_eq!(metric.key, expect.metric.key());
        assert_eq!((metric.mean * 1000.0).to_bits(), expect.mean_ms.to_bits(), "mean of {}", metric.key);
        for ((percent, got), (percentile, expect)) in metric.percentiles.iter().zip(&expect.percentiles_ms) {
            assert_eq!(percent.to_bits(), percentile.percent().to_bits(), "{}", metric.key);
            assert_eq!((got * 1000.0).to_bits(), expect.to_bits(), "P{percent} of {}", metric.key);
        }
        let counted: u64 = metric.linear_histogram.counts.iter().sum();
        assert_eq!(counted, metric.count, "{}: the histogram has every sample", metric.key);
        let last = metric.ecdf.last().expect("points");
        assert!((last.1 - 1.0).abs() < 1e-12 && (last.0 - metric.max).abs() < 1e-12, "{}: {last:?}", metric.key);
        assert!(metric.ecdf.len() <= 600, "{}: {} points", metric.key, metric.ecdf.len());
    }
    assert_eq!(answer.totals.request_throughput.to_bits(), metrics.request_throughput.to_bits());
    assert_eq!(answer.verdict.goodput.to_bits(), metrics.request_goodput.to_bits());
    assert!((answer.verdict.share_met - options.goodput.share_met(&outputs)).abs() < 1e-12);
    assert!(answer.verdict.share_met < 1.0, "no request misses an objective");
}

#[test]
fn the_parts_of_ttft_add_up() {
    let answer = answer(&mut Session::default(), BUSY);
    let labels: Vec<&str> = answer.ttft_split.iter().map(|row| row.label.as_str()).collect();
    assert_eq!(labels, ["Mean", "P50", "P90", "P95", "P99"]);
    let mean = &answer.ttft_split[0];
    let sum = mean.front_end + mean.front_end_wait + mean.queue + mean.prefill + mean.delivery;
    assert!((sum - answer.metrics[0].mean).abs() < 1e-9, "{mean:?} is {sum}, not {}", answer.metrics[0].mean);
    assert!(mean.queue > 0.0 && mean.front_end > 0.0, "{mean:?}");
}

#[test]
fn the_verdict_names_the_limit_and_what_to_change() {
    for (flag, value, limit, words) in [
        ("max-num-seqs", "8", Limit::BatchSize, "--max-num-seqs above 8"),
        ("num-gpu-blocks-override", "8300", Limit::KvBlocks, "--gpu-memory-utilization"),
        ("max-num-batched-tokens", "1024", Limit::TokenBudget, "--max-num-batched-tokens above 1024"),
        ("max-concurrency", "2", Limit::ClientConcurrency, "--max-concurrency above 2"),
    ] {
        let output = if limit == Limit::KvBlocks { "1500" } else { "128" };
        let flags =
            [("num-prompts", "200"), ("random-output-len", output), ("goodput", "ttft:1 tpot:1"), (flag, value)];
        let verdict = answer(&mut Session::default(), &flags).verdict;
        assert_eq!((verdict.limit, verdict.meets), (limit, Some(false)), "{flag}: {verdict:?}");
        let advice = verdict.advice.unwrap_or_default();
        assert!(advice.contains(words), "{flag}: {advice}");
        assert_eq!(verdict.overload, None, "{flag}: everything at once is no overload");
    }
    let light = [("num-prompts", "50"), ("request-rate", "1"), ("goodput", "ttft:1000")];
    let verdict = answer(&mut Session::default(), &light).verdict;
    assert_eq!((verdict.limit, verdict.meets, verdict.advice), (Limit::Nothing, Some(true), None));
    let heavy = [("num-prompts", "4000"), ("request-rate", "45")];
    let verdict = answer(&mut Session::default(), &heavy).verdict;
    assert!(verdict.overload.is_some() && verdict.meets.is_none(), "{verdict:?}");
    assert!(verdict.advice.unwrap_or_default().contains("Lower --request-rate below"), "what to do about overload");
}

#[test]
fn rows_come_sorted_and_equal_ones_in_their_order() {
    let session = &mut Session::default();
    answer(session, BUSY);
    let by_index = rows(session, "index", false, (0, 600));
    assert!(by_index.iter().map(|row| row.index).eq(0..600), "all rows");
    for (column, value) in [
        ("ttft", (|row: &RequestRow| row.ttft) as fn(&RequestRow) -> f64),
        ("num_output_tokens", |row| f64::from(row.num_output_tokens)),
        ("is_good", |row| f64::from(u8::from(row.is_good))),
    ] {
        for descending in [false, true] {
            let sorted = rows(session, column, descending, (0, 600));
            assert_eq!(sorted.len(), 600, "{column}");
            for pair in sorted.windows(2) {
                let (a, b) = if descending { (&pair[1], &pair[0]) } else { (&pair[0], &pair[1]) };
                assert!(value(a) <= value(b), "{column}, {descending}: {pair:?}");
                let are_equal = value(a).to_bits() == value(b).to_bits();
                assert!(!are_equal || pair[0].index < pair[1].index, "{column}, {descending}: {pair:?}");
            }
            assert_eq!(rows(session, column, descending, (100, 7)), sorted[100..107], "{column}: a part");
        }
    }
    assert!(rows(session, "ttft", false, (600, 10)).is_empty(), "beyond the end");
    let request = Request::Requests { id: 1, sort_by: "color".to_owned(), descending: false, offset: 0, limit: 1 };
    let Reply::Fault { message, .. } = session.handle(request, &mut Desk::default()) else { panic!("not refused") };
    assert!(message.contains("no column \"color\"; it has index, send,"), "{message}");
}

#[test]
fn a_stretch_shows_every_pass_and_request_in_it() {
    let session = &mut Session::default();
    answer(session, BUSY);
    let (result, _) = directly(BUSY, false);
    let recording = &result.recording;
    let whole = gantt(session, Some((0.0, 1e9)), 10_000, 5000);
    assert_eq!((whole.requests.len(), whole.num_hidden), (600, 0));
    assert!((whole.range.1 - whole.end).abs() < 1e-12, "cut at the end of the run");
    let most = recording.passes.iter().map(|pass| pass.num_tokens).max();
    let thin = gantt(session, Some((0.0, 1e9)), 50, 10);
    assert_eq!((thin.requests.len(), thin.num_hidden), (10, 590));
    assert!(thin.passes.len() <= 101, "{} bars on 50 pixels", thin.passes.len());
    assert_eq!(thin.passes.iter().map(|bar| bar.num_tokens).max(), most, "no peak is lost");
    let first = gantt(session, None, 1000, 100);
    assert!((first.range.1 - first.range.0 - 2.0).abs() < 1e-9, "{:?}", first.range);
    let (from, to) = first.range;
    let single = recording
        .passes
        .iter()
        .filter(|pass| pass.end_time.as_secs_f64() >= from && pass.start_time.as_secs_f64() <= to);
    assert_eq!(first.passes.len(), single.count(), "a pass of some milliseconds is wider than a pixel of 2 ms");
    for range in [(2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
        let request = Request::Gantt { id: 1, range: Some(range), width: 100, max_requests: 1, engine: 0 };
        assert!(matches!(session.handle(request, &mut Desk::default()), Reply::Fault { .. }), "{range:?}");
    }
}

#[test]
fn exports_are_the_files_of_the_command_line() {
    let session = &mut Session::default();
    let answer = answer(session, BUSY);
    let (name, json) = export(session, ExportKind::BenchJson);
    assert_eq!(name, "simulated-40.0qps-Llama-3.1-8B-20260102-030405.json");
    let result = MeasuredResult::from_json(json.as_bytes()).expect("a result");
    assert!(result.is_simulated && result.outputs.is_none());
    assert!(json.contains(&format!("\"digest\": \"{}\"", answer.digest)), "{}", &json[json.len() - 300..]);

    let (_, json) = export(session, ExportKind::BenchJsonDetailed);
    let outputs = MeasuredResult::from_json(json.as_bytes()).expect("a result").outputs.expect("lists");
    let (direct, _) = directly(BUSY, true);
    let expect = RecordedOutputs::new(&direct.recording);
    assert_eq!(outputs.num_requests(), 600);
    for request in 0..600 {
        assert_eq!(outputs.output(request), expect.output(request), "request {request}");
        assert!(outputs.itls(request).eq(expect.itls(request)), "the latencies of request {request}");
    }

    let (name, csv) = export(session, ExportKind::RequestCsv);
    assert_eq!((name.ends_with(".requests.csv"), csv.lines().count()), (true, 601), "{name}");
    let (name, trace) = export(session, ExportKind::ChromeTrace);
    assert!(name.ends_with(".trace.json"), "{name}");
    let trace: serde_json::Value = serde_json::from_str(&trace).expect("JSON");
    assert!(trace["traceEvents"].as_array().is_some_and(|events| events.len() > 600), "events");
}

#[test]
fn dropped_files_say_what_they_are_good_for() {
    let Ok(Found::Profile { card }) = found("my.json", PROFILE) else { panic!("no profile") };
    assert_eq!((card.name.as_str(), card.kind.as_str()), ("my", "derived"));
    let trace = b"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,374,44\n2023-11-16 18:15:50.68,396,0\n2023-11-16 18:15:56.68,100,56\n";
    let Ok(Found::Trace { flags, summary }) = found("a.csv", trace) else { panic!("no trace") };
    assert_eq!(flags, [("dataset-name".to_owned(), Some("azure".to_owned()))]);
    let expect = "an Azure trace: 2 requests over 10.0 s, in the mean 237 prompt and 50 output tokens; 1 entries without \
                  tokens are left out";
    assert_eq!(summary, expect);
    let mut session = Session::default();
    let input = RunInput { flags, dataset: Some(trace.to_vec()), ..input(&[]) };
    let Reply::Answer { answer, .. } = session.handle(Request::Run { id: 1, input }, &mut Desk::default()) else {
        panic!("the flags that were found do not run")
    };
    assert_eq!((answer.num_requests, answer.num_skipped), (2, 1));

    let mooncake = br#"{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0,1,2,3,4,5,6,7,8,9,10,11,12,13]}"#;
    let Ok(Found::Trace { flags, summary }) = found("m.jsonl", mooncake) else { panic!("no trace") };
    assert_eq!(flags[1].1.as_deref(), Some("512"));
    assert!(summary.ends_with("; read as 512 tokens per hash and times in milliseconds"), "{summary}");
    let bailian = include_bytes!("../../../tests/data/bench_serve/timed_trace_bailian.jsonl");
    let Ok(Found::Trace { flags, summary }) = found("b.jsonl", bailian) else { panic!("no trace") };
    assert_eq!(flags.len(), 1, "vLLM's defaults: {flags:?}");
    assert!(
        summary.starts_with("a timed trace: ") && summary.ends_with("16 tokens per hash and times in seconds"),
        "{summary}"
    );
    let Ok(Found::Link { fragment }) = found("", b"https://host/x#v=1&a=b ") else { panic!("no link") };
    assert_eq!(fragment, "v=1&a=b");
    assert!(matches!(found("", b"vllm serve m"), Ok(Found::Command { .. })), "a command");
    let Err(message) = found("x", b"hello") else { panic!("found something") };
    assert!(message.starts_with("x: ") && message.contains("none of what can be read here"), "{message}");
    let Err(message) = found("x", &PROFILE[..PROFILE.len() / 2]) else { panic!("half a profile") };
    assert!(message.contains("the profile is not JSON: the text ends"), "{message}");
}

#[test]
fn a_ramp_up_is_dated_in_the_result_as_the_command_line_dates_it() {
    const RAMP_UP: Flags<'_> =
        &[("num-prompts", "60"), ("ramp-up-strategy", "linear"), ("ramp-up-start-rps", "2"), ("ramp-up-end-rps", "9")];
    let session = &mut Session::default();
    answer(session, RAMP_UP);
    let scenario = Scenario::from_flags(RAMP_UP.iter().map(|&(flag, value)| (flag, Some(value)))).expect("known flags");
    let (_, mut prepared) = directly(RAMP_UP, false);
    let traffic = scenario.workload().traffic();
    prepared.date_rate_changes(&traffic, |time| super::date::iso_date(1_767_225_599_123, time)).expect("in order");
    let events = prepared.options.ramp_up.expect("a ramp-up").rps_change_events;
    let events: Vec<(u64, String)> = events.into_iter().map(|(rps, date)| (u64::from(rps), date)).collect();
    assert_eq!(events.len(), 8, "{events:?}");
    for kind in [ExportKind::BenchJson, ExportKind::BenchJsonDetailed] {
        let result: serde_json::Value = serde_json::from_str(&export(session, kind).1).expect("JSON");
        let written = result["rps_change_events"].as_array().expect("a list").iter();
        let written: Vec<(u64, String)> = written
            .map(|event| (event["rps"].as_u64().unwrap_or(0), event["timestamp"].as_str().unwrap_or("").to_owned()))
            .collect();
        assert_eq!(written, events, "{kind:?}");
    }
}

#[test]
fn a_measured_file_without_details_has_the_statistics_it_states() {
    let json =
        br#"{"backend": "vllm", "model_id": "m", "request_rate": "inf", "duration": 2.0, "completed": 8, "failed": 1,
        "mean_ttft_ms": 150.0, "median_ttft_ms": 140.0, "std_ttft_ms": 7.0, "p99_ttft_ms": 200.0,
        "mean_itl_ms": NaN, "request_throughput": 4.0, "max_concurrent_requests": 3}"#;
    let Ok(Found::Measured(run)) = found("r.json", json) else { panic!("no result") };
    assert_eq!((run.title.as_str(), run.completed, run.failed, run.is_simulated), ("m · vllm", 8, 1, false));
    assert_eq!(run.metrics.len(), 1, "NaN is no statistic");
    assert_eq!(run.metrics[0].percentiles, [(50.0, 0.14), (99.0, 0.2)]);
    assert!((run.totals.request_throughput - 4.0).abs() < 1e-12 && run.metrics[0].ecdf.is_empty());
    assert_eq!(run.settings[0], ("request_rate".to_owned(), "inf".to_owned()));
}

#[test]
fn a_fault_says_what_is_wrong_and_leaves_the_last_run() {
    let session = &mut Session::default();
    let nothing = Request::Export { id: 3, kind: ExportKind::RequestCsv, date: String::new(), range: None };
    assert!(matches!(session.handle(nothing, &mut Desk::default()), Reply::Fault { id: 3, .. }), "nothing was run");
    answer(session, &[("num-prompts", "20")]);
    for (flags, expect) in [
        (&[("max-num-seqz", "1")][..], "max-num-seqz"),
        (&[("max-num-seqs", "0")][..], "max_num_seqs"),
        (&[("dataset-name", "azure")][..], "needs a file"),
        (&[("dataset-name", "sharegpt")][..], "file"),
    ] {
        let Reply::Fault { id: 4, message } =
            session.handle(Request::Run { id: 4, input: input(flags) }, &mut Desk::default())
        else {
            panic!("{flags:?} ran")
        };
        assert!(message.contains(expect), "{message}");
    }
    assert_eq!(rows(session, "index", false, (0, 100)).len(), 20, "the rows of the last run");
}

#[test]
fn progress_is_reported_as_a_run_goes_on() {
    let mut desk = Desk::default();
    let flags = [("num-prompts", "20000"), ("random-input-len", "20"), ("request-rate", "20")];
    let reply = Session::default().handle(Request::Run { id: 1, input: input(&flags) }, &mut desk);
    assert!(matches!(reply, Reply::Answer { .. }), "{reply:?}");
    assert!(desk.progress.len() > 5, "{} reports", desk.progress.len());
    assert!(desk.progress.is_sorted_by(|a, b| a.0 <= b.0 && a.2 < b.2), "it only goes on");
    assert!(desk.progress.iter().all(|report| report.1 == 20_000 && report.0 <= 20_000), "out of all");
}
