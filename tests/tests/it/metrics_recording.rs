//! What is said about a recording, against plain counting on its expansion to single tokens.

use sim_core::metrics::bench_json::{ResultError, ResultJson, SaveResult, Simulation, result_filename};
use sim_core::metrics::bench_outputs::{BenchOutputs, MeasuredOutput, MeasuredOutputs, RecordedOutputs};
use sim_core::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics, Latencies, LatencyMetric};
use sim_core::metrics::bench_table::table;
use sim_core::metrics::digest::digest;
use sim_core::metrics::goodput::Goodput;
use sim_core::metrics::recorder::{EmissionRun, PassRecord, Recording, RequestRecord, WeightedGap};
use sim_core::metrics::request_csv::{COLUMNS, write_request_csv};
use sim_core::metrics::summary::{EngineLatencies, EngineSummary, EngineTotals};
use sim_core::metrics::time_series::Series;
use sim_core::time::{SimDuration, SimTime};

const NUM_GPU_BLOCKS: u32 = 101;

struct Lcg(u64);

impl Lcg {
    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn small(&mut self, limit: u64) -> u32 {
        u32::try_from(self.below(limit)).expect("small")
    }
}

const fn at(nanos: u64) -> SimTime {
    SimTime::from_nanos(nanos)
}

/// A made-up run: `num_passes` passes of 5 to 45 ms, requests that skip passes as preempted ones do, some aborted.
fn recording(seed: u64, num_passes: u32) -> Recording {
    let mut random = Lcg(seed);
    let mut now = 0;
    let passes = (0..num_passes).map(|_| {
        let schedule = now + 100;
        let end = schedule + 5_000_000 + random.below(40_000_000);
        now = end + 1_000;
        PassRecord {
            schedule_time: at(schedule),
            start_time: at(schedule + 50_000),
            end_time: at(end),
            output_time: at(end + 500),
            delivery_time: at(end + 500 + 300_000_000),
            delivery_wait: SimDuration::ZERO,
            num_tokens: 1 + random.small(2000),
            num_prefill_tokens: random.small(2),
            num_draft_tokens: 0,
            num_reqs: 1,
            num_outputs: 0,
            num_running_reqs: 1 + random.small(9),
            num_waiting_reqs: random.small(5),
            num_free_blocks: random.small(101),
        }
    });
    let mut recording = Recording { passes: passes.collect(), ..Recording::default() };
    for request in 0..num_passes / 3 {
        add_request(&mut recording, request, &mut random);
    }
    recording
}

fn add_request(recording: &mut Recording, request: u32, random: &mut Lcg) {
    let num_passes = u32::try_from(recording.passes.len()).expect("few passes");
    let first = random.small(u64::from(num_passes));
    let sent = recording.pass(first).expect("a pass").schedule_time.as_nanos();
    let (mut tokens, mut pass) = (vec![], first);
    while pass < num_passes && tokens.len() < 40 {
        tokens.push(pass);
        pass += if random.below(8) == 0 { 2 + random.small(5) } else { 1 };
    }
    let is_finished = random.below(10) != 0;
    if !is_finished {
        tokens.clear();
    }
    for &pass in &tokens {
        recording.passes.row_mut(pass as usize).expect("a pass").num_outputs += 1;
        recording.emissions.push(EmissionRun { request, first_pass: pass, stride: 7, num_messages: 1 });
    }
    let delivery = |pass: u32| recording.pass(pass).expect("a pass").delivery_time;
    let gaps = tokens.windows(2).map(|pair| WeightedGap { gap: delivery(pair[1]) - delivery(pair[0]), count: 1 });
    let gaps: Vec<_> = gaps.collect();
    recording.gaps.extend(gaps);
    recording.requests.push(RequestRecord {
        scheduled_send_time: at(sent.saturating_sub(3_000_000_000)),
        send_time: at(sent.saturating_sub(random.below(2_000_000_000))),
        front_end_wait: SimDuration::ZERO,
        queued_time: at(sent),
        first_scheduled_pass: first,
        first_token_pass: tokens.first().copied().unwrap_or(0),
        last_token_pass: tokens.last().copied().unwrap_or(0),
        num_prompt_tokens: 1 + random.small(500),
        num_output_tokens: u32::try_from(tokens.len()).expect("few"),
        num_cached_tokens: 0,
        num_preemptions: 0,
        num_passes: 1,
        is_finished,
    });
}

/// The same run as a client would have measured it, token by token.
fn measured(recording: &Recording) -> MeasuredOutputs {
    let recorded = RecordedOutputs::new(recording);
    let outputs = (0..recorded.num_requests()).map(|request| {
        let output = recorded.output(request);
        MeasuredOutput {
            success: output.success,
            prompt_len: output.prompt_len,
            output_len: output.output_len,
            ttft: output.ttft,
            itl: recorded.itls(request).collect(),
            latency: output.latency,
            start_time: output.start_time,
            client_queue_time: output.client_queue_time,
            error: output.error.to_owned(),
        }
    });
    MeasuredOutputs { outputs: outputs.collect(), duration: recorded.duration() }
}

fn all_metrics() -> BenchServeOptions {
    let mut options = BenchServeOptions::new("org/model".to_owned());
    options.percentile_metrics = LatencyMetric::ALL.to_vec();
    (options.max_concurrency, options.request_rate) = (Some(7), 12.5);
    options.goodput = Goodput::parse(["ttft:1000", "tpot:30"]).expect("good objectives");
    options
}

fn report(outputs: &impl BenchOutputs, options: &BenchServeOptions) -> BenchmarkMetrics {
    BenchmarkMetrics::new(outputs, &Latencies::new(outputs), options)
}

const SIMULATION: Simulation<'static> = Simulation {
    version: "0",
    vllm_version: "0.32.0",
    profile: "none",
    provenance: "synthetic",
    range: None,
    extrapolated_share: 0.0,
    kv_tiers: None,
    digest: 0,
    flags: &[],
    dataset: None,
    classes: &[],
};

#[test]
fn a_recording_and_its_expansion_give_the_same_report() {
    for seed in 0..20 {
        let recording = recording(seed, 300);
        let (recorded, measured, options) = (RecordedOutputs::new(&recording), measured(&recording), all_metrics());
        let (ours, theirs) = (report(&recorded, &options), report(&measured, &options));
        assert!(ours.failed > 0 && ours.max_output_tokens_per_s > 10, "the run of seed {seed} is too dull");
        assert_eq!(table(&ours, &options), table(&theirs, &options), "seed {seed}");
        let save = SaveResult { date: "d", save_detailed: true };
        // The mean and deviation of weighted gaps are rounded differently: not part of the detailed lists.
        let lists = |json: String| json.split("\"max_output_tokens_per_s\"").next().expect("a part").to_owned();
        let json = ResultJson::new(&recorded, &ours, &options, &SIMULATION, save).expect("a result").to_string();
        let expect = ResultJson::new(&measured, &theirs, &options, &SIMULATION, save).expect("a result").to_string();
        assert_eq!(lists(json), lists(expect), "seed {seed}");
    }
}

#[test]
fn goodput_share_counts_every_request() {
    let recording = recording(3, 300);
    let outputs = RecordedOutputs::new(&recording);
    let everything = Goodput::parse(["e2el:inf"]).expect("a good objective");
    let num_finished = recording.requests.iter().filter(|request| request.is_finished).count();
    assert_eq!(everything.attainment(&outputs).filter(|&met| met).count(), num_finished, "finished requests meet it");
    let share = f64::from(u32::try_from(num_finished).expect("few")) / 100.0;
    assert!((everything.share_met(&outputs) - share).abs() < 1e-15, "of 100 requests");
}

#[test]
fn a_result_without_token_times_refuses_details() {
    let mut recording = recording(1, 60);
    recording.emissions.clear();
    let (outputs, options) = (RecordedOutputs::new(&recording), all_metrics());
    let metrics = report(&outputs, &options);
    let result = |save_detailed| {
        ResultJson::new(&outputs, &metrics, &options, &SIMULATION, SaveResult { date: "d", save_detailed }).err()
    };
    assert_eq!(result(true), Some(ResultError::NoEmissions), "detailed");
    assert_eq!(result(false), None, "not detailed");
}

#[test]
fn no_option_hides_that_a_result_is_simulated() {
    let (recording, mut options) = (recording(1, 60), all_metrics());
    let outputs = RecordedOutputs::new(&recording);
    let save = SaveResult { date: "20260102-030405", save_detailed: false };
    let metrics = report(&outputs, &options);
    for key in ["backend", "endpoint_type", "label", "simulation"] {
        options.metadata = vec![(key.to_owned(), "vllm".to_owned())];
        let got = ResultJson::new(&outputs, &metrics, &options, &SIMULATION, save).err();
        assert_eq!(got, Some(ResultError::ReservedMetadata { key: key.to_owned() }), "{key}");
    }
    options.metadata.clear();
    options.label = Some("h100".to_owned());
    let json = ResultJson::new(&outputs, &metrics, &options, &SIMULATION, save).expect("a result").to_string();
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value["label"], "simulated-h100", "label");
    assert_eq!(value["backend"], "simulated", "backend");
    let name = result_filename(&options, save.date);
    assert_eq!(name, "simulated-h100-12.5qps-concurrency7-model-20260102-030405.json", "file name");
}

#[test]
fn every_request_has_one_csv_row() {
    let recording = recording(5, 90);
    let mut csv = String::new();
    write_request_csv(&mut csv, &recording, &Goodput::default()).expect("memory suffices");
    let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 1 + recording.requests.len(), "header and rows");
    assert_eq!(lines[0].split(',').collect::<Vec<_>>(), COLUMNS, "header");
    let latencies = EngineLatencies::new(&recording);
    let mut num_finished = 0;
    for (line, request) in lines[1..].iter().zip(&recording.requests) {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), COLUMNS.len(), "{line}");
        let Some(instants) = recording.instants(request) else {
            assert_eq!((fields[1], fields[14], fields[20]), ("unfinished", "", ""), "{line}");
            continue;
        };
        num_finished += 1;
        let e2el: f64 = fields[16].parse().expect("a number");
        assert!((e2el - instants.e2el().as_millis_f64()).abs() < 1e-9, "{line}");
        let seconds: f64 = fields[7].parse().expect("a number");
        assert!((seconds - instants.last_delivery.as_secs_f64()).abs() < 1e-12, "{line}");
    }
    assert_eq!(latencies.decode_time.len(), num_finished, "the engine's own latencies are of the finished requests");
}

/// Three passes of 10 s, the third after 10 s without any request.
fn three_passes() -> Recording {
    let mut recording = recording(1, 3);
    recording.passes.change(|i, pass| {
        let start = [0, 10, 30][i] * 1_000_000_000;
        pass.schedule_time = at(start);
        pass.start_time = at(start);
        pass.end_time = at(start + 9_000_000_000);
        pass.output_time = at(start + 10_000_000_000);
        pass.delivery_time = pass.output_time;
        pass.num_running_reqs = [4, 2, 1][i];
        pass.num_free_blocks = [0, 50, 90][i];
        pass.num_tokens = [100, 10, 1][i];
    });
    let request = RequestRecord {
        queued_time: at(0),
        first_scheduled_pass: 0,
        first_token_pass: 0,
        last_token_pass: 1,
        is_finished: true,
        ..recording.requests.first().expect("a request")
    };
    let late = RequestRecord {
        queued_time: at(30_000_000_000),
        first_scheduled_pass: 2,
        first_token_pass: 2,
        last_token_pass: 2,
        ..request
    };
    recording.requests = vec![late, request].into();
    recording
}

#[track_caller]
fn check_series(series: Series, num_points: u32, expect: &[(f64, f64, f64, f64)]) {
    let points = three_passes().time_series(series, NUM_GPU_BLOCKS, num_points);
    let got: Vec<_> = points.iter().map(|point| (point.time_s, point.min, point.mean, point.max)).collect();
    let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
    let same = got.len() == expect.len()
        && got
            .iter()
            .zip(expect)
            .all(|(a, b)| close(a.0, b.0) && close(a.1, b.1) && close(a.2, b.2) && close(a.3, b.3));
    assert!(same, "{series:?} is {got:?}, not {expect:?}");
}

#[test]
fn a_series_falls_to_zero_while_the_engine_is_empty() {
    check_series(
        Series::Running,
        4,
        &[(5.0, 4.0, 4.0, 4.0), (15.0, 2.0, 2.0, 2.0), (25.0, 0.0, 0.0, 0.0), (35.0, 1.0, 1.0, 1.0)],
    );
    check_series(Series::Running, 1, &[(20.0, 0.0, 1.75, 4.0)]);
    check_series(Series::KvCacheUsage, 2, &[(10.0, 0.5, 0.75, 1.0), (30.0, 0.0, 0.05, 0.1)]);
    check_series(
        Series::TokensPerPass,
        4,
        &[(5.0, 100.0, 100.0, 100.0), (15.0, 10.0, 10.0, 10.0), (35.0, 1.0, 1.0, 1.0)],
    );
    check_series(Series::Running, 0, &[]);
}

#[test]
fn the_engine_summary_averages_over_the_whole_run() {
    let totals = EngineTotals { prefix_cache_queries: 8, prefix_cache_hits: 2, ..EngineTotals::default() };
    let summary = EngineSummary::new(&three_passes(), totals, NUM_GPU_BLOCKS);
    assert_eq!((summary.num_tokens, summary.max_running), (111, 4), "tokens and most running requests");
    for (what, got, expect) in [
        ("mean_running", summary.mean_running, 1.75),
        ("mean_kv_cache_usage", summary.mean_kv_cache_usage, 0.4),
        ("max_kv_cache_usage", summary.max_kv_cache_usage, 1.0),
        ("device_busy_share", summary.device_busy_share, 27.0 / 40.0),
        ("engine_busy_share", summary.engine_busy_share, 0.75),
        ("hit rate", summary.totals.prefix_cache_hit_rate(), 0.25),
    ] {
        assert!((got - expect).abs() < 1e-12, "{what} is {got}, not {expect}");
    }
}

type Change = fn(&mut Recording);

#[test]
fn a_digest_changes_with_any_number() {
    let recording = recording(2, 30);
    let before = digest(&recording);
    assert_eq!(before, digest(&recording.clone()), "of a copy");
    let changes: [(&str, Change); 6] = [
        ("a time", |r| r.passes.row_mut(7).expect("a pass").end_time += SimDuration::from_nanos(1)),
        ("a count", |r| r.passes.row_mut(29).expect("a pass").num_free_blocks += 1),
        ("a flag", |r| r.requests.row_mut(3).expect("a request").is_finished ^= true),
        ("a gap", |r| r.gaps.row_mut(0).expect("a gap").count += 1),
        ("an emission", |r| r.emissions[0].stride += 1),
        ("a length", |r| r.passes.truncate(29)),
    ];
    for (what, change) in changes {
        let mut changed = recording.clone();
        change(&mut changed);
        assert_ne!(digest(&changed), before, "{what}");
    }
}
