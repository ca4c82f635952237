//! The comparison against engines whose truth is known.

use anyhow::Result;
use sim_core::config::VllmVersion;
use sim_core::profile::{Profile, SyntheticCosts};

use super::bootstrap::Interval;
use super::per_request::Metric;
use super::report::{Limits, MetricReport, Pair, Report, Verdict};
use super::table::Table;
use super::workloads::{NamedScript, generate};
use super::{Settings, plot, store, verify_metrics};
use crate::engine::mock::MockEngine;
use crate::engine::{Engine, EngineFacts, Run, Script, ScriptedRequest};

/// KV blocks of 16 tokens: few enough to fill.
pub(super) const NUM_BLOCKS: u32 = 400;

/// About 10 ms a pass, and more for tokens and context.
pub(super) fn truth() -> SyntheticCosts {
    SyntheticCosts {
        pass_us: 8_000.0,
        token_us: 40.0,
        request_us: 100.0,
        decode_context_token_us: 0.2,
        schedule_us: 300.0,
        update_us: 200.0,
        num_gpu_blocks: NUM_BLOCKS,
        max_model_len: 1024,
        ..SyntheticCosts::default()
    }
}

pub(super) fn profile(costs: SyntheticCosts) -> Profile {
    let mut profile = costs.profile();
    profile.engine.max_num_seqs = 32;
    profile.engine.max_num_batched_tokens = 512;
    VllmVersion::NEWEST.name().clone_into(&mut profile.engine.vllm_version);
    profile
}

pub(super) fn engine(noise: f64) -> MockEngine {
    MockEngine::new(&profile(truth()), NUM_BLOCKS, noise, 7)
}

const SETTINGS: Settings = Settings {
    repeats: 5,
    num_resamples: 200,
    seed: 3,
    limits: Limits { ttft_percent: 5.0, tpot_percent: 2.0, e2el_percent: 2.0 },
};

fn compare(engine: &mut dyn Engine, costs: SyntheticCosts, settings: Settings) -> Report {
    let workloads = generate(engine.facts(), &[], 96, 0).expect("all workloads");
    verify_metrics(engine, &profile(costs), &workloads, settings, &mut |_| {}).expect("a comparison")
}

fn of(report: &Report, metric: Metric) -> &MetricReport {
    report.metrics.iter().find(|summary| summary.metric == metric).expect("every metric is there")
}

#[test]
fn a_perfect_profile_and_no_noise_leave_no_error() {
    let mut engine = engine(0.0);
    let report = compare(&mut engine, truth(), SETTINGS);
    assert!(report.workloads.len() >= 12, "{} workloads", report.workloads.len());
    assert_eq!(engine.num_runs as usize, 1 + 5 * report.workloads.len(), "runs, and one to warm up");
    for metric in &report.metrics {
        let errors = metric.errors.as_ref().expect("requests");
        let name = metric.metric.name();
        let nothing = Interval { value: 0.0, low: 0.0, high: 0.0 };
        assert_eq!((errors.mean_absolute_error_percent, errors.noise_percent), (nothing, Some(nothing)), "{name}");
        let slope = errors.slope_percent_per_1000_passes.expect("requests of different lengths");
        assert!(slope.holds_zero(), "{name}: {slope:?}");
        assert_eq!(metric.p99_s, Pair::new(metric.p99_s.measured, metric.p99_s.measured), "{name}");
    }
    let durations = report.workloads.iter().map(|workload| workload.duration_s.expect("compared"));
    assert!(durations.into_iter().all(|pair| pair == Pair::new(pair.measured, pair.measured)), "durations");
    assert!(report.passed && report.warnings.is_empty(), "{:?}", report.warnings);
}

#[test]
fn a_profile_that_is_too_slow_is_measured_as_such() {
    // All that a pass costs, 5 % more: every time of every request is 5 % too long.
    let costs = truth();
    let slow = SyntheticCosts {
        pass_us: costs.pass_us * 1.05,
        token_us: costs.token_us * 1.05,
        request_us: costs.request_us * 1.05,
        decode_context_token_us: costs.decode_context_token_us * 1.05,
        schedule_us: costs.schedule_us * 1.05,
        update_us: costs.update_us * 1.05,
        ..costs
    };
    let report = compare(&mut engine(0.02), slow, SETTINGS);
    for metric in &report.metrics {
        let errors = metric.errors.as_ref().expect("requests");
        let signed = errors.mean_error_percent;
        assert!(signed.low < 5.0 && 5.0 < signed.high && signed.high - signed.low < 1.0, "{metric:?}");
    }
    let verdicts = [Metric::Tpot, Metric::E2el, Metric::Tgt].map(|metric| of(&report, metric).verdict);
    assert_eq!(verdicts, [Verdict::Failed, Verdict::Failed, Verdict::NoLimit]);
    assert!(!report.passed);
    let throughput = report.workloads[0].output_throughput.expect("tokens");
    assert!((throughput.error_percent + 100.0 / 21.0).abs() < 0.5, "{throughput:?}");
}

#[test]
fn an_error_that_grows_with_the_passes_has_a_slope() {
    // A long answer has a long context: a context term that is too dear shows in long requests.
    let profile = profile(SyntheticCosts { decode_context_token_us: 0.9, ..truth() });
    let compare = |names: &[&str]| {
        let mut engine = engine(0.02);
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let workloads = generate(engine.facts(), &names, 96, 0).expect("workloads");
        let report = verify_metrics(&mut engine, &profile, &workloads, SETTINGS, &mut |_| {}).expect("a report");
        of(&report, Metric::E2el).errors.clone().expect("requests")
    };
    let errors = compare(&["mixed-lengths"]);
    let slope = errors.slope_percent_per_1000_passes.expect("requests of different lengths");
    assert!(slope.low > 0.0, "{slope:?}");
    // What differs between workloads is no proof of a slope: with few of them the interval is wide.
    let of_few = compare(&["mixed-lengths", "bursts", "one-by-one"]).slope_percent_per_1000_passes.expect("a slope");
    assert!(of_few.high - of_few.low > slope.high - slope.low, "{of_few:?} {slope:?}");
    let (first, last) = (errors.fit[0], errors.fit[errors.fit.len() - 1]);
    let risen = last.error_percent.value - first.error_percent.value;
    let expected = slope.value * (last.num_passes - first.num_passes) / 1000.0;
    assert!((risen - expected).abs() < 1e-9, "the line rises by {risen}, the slope says {expected}");
}

#[test]
fn noise_alone_passes_and_is_named() {
    // Limits that nothing meets: only the noise can excuse the errors.
    let limits = Limits { ttft_percent: 0.0, tpot_percent: 0.0, e2el_percent: 0.0 };
    let report = compare(&mut engine(0.2), truth(), Settings { limits, ..SETTINGS });
    for metric in [Metric::Ttft, Metric::Tpot, Metric::E2el] {
        assert_eq!(of(&report, metric).verdict, Verdict::WithinNoise, "{:?}", of(&report, metric));
    }
    assert!(report.passed);
    assert!(Table(&report).to_string().contains("passed: ≤ noise"), "{}", Table(&report));
    let slope = of(&report, Metric::E2el).errors.as_ref().and_then(|errors| errors.slope_percent_per_1000_passes);
    assert!(slope.is_some_and(|slope| slope.low < slope.high), "{slope:?}");
}

#[test]
fn a_drift_of_the_machine_shows_by_round() {
    // From the fourth round on (one run warms up, two workloads a round) everything takes twice as long.
    let spoil: fn(&mut Run, u32) = |run, num_runs| {
        let factor = if num_runs > 7 { 2 } else { 1 };
        run.passes.iter_mut().for_each(|pass| {
            (pass.instants.begin, pass.instants.end) = (pass.instants.begin * factor, pass.instants.end * factor);
        });
    };
    let mut engine = Other { inner: engine(0.0), min_requests: 0, spoil };
    let names = ["one-by-one", "bursts"].map(str::to_owned);
    let workloads = generate(engine.facts(), &names, 96, 0).expect("two workloads");
    let report = verify_metrics(&mut engine, &profile(truth()), &workloads, SETTINGS, &mut |_| {}).expect("a report");
    let rounded = |percent: &f64| format!("{percent:.3}");
    let rounds: Vec<String> = report.round_deviations_percent.iter().map(rounded).collect();
    assert_eq!(rounds, ["0.000", "0.000", "0.000", "100.000", "100.000"]);
    assert!(report.passed, "the median is that of the good rounds");
}

#[test]
fn a_workload_of_aborted_requests_is_not_compared() {
    let mut engine = engine(0.0);
    let request = ScriptedRequest { prompt_token_ids: vec![1], max_tokens: 9, ..Default::default() };
    let script =
        Script { requests: vec![request], queries_per_iter: vec![1], aborts: vec![(4, 0)], ..Script::default() };
    let workload = NamedScript { name: "gone".to_owned(), description: String::new(), script };
    let report = verify_metrics(&mut engine, &profile(truth()), &[workload], SETTINGS, &mut |_| {}).expect("a report");
    assert_eq!(report.workloads[0].not_compared.as_deref(), Some("no request ran to its end"));
    assert!(!report.passed, "nothing was compared");
    assert!(Table(&report).to_string().contains("gone: not compared: no request ran to its end"), "{}", Table(&report));
    assert!(plot::svg(&report).expect("a plot").contains("No request has it."), "an empty plot says so");
}

#[test]
fn one_run_knows_no_noise() {
    let report = compare(&mut engine(0.2), truth(), Settings { repeats: 1, ..SETTINGS });
    assert!(report.metrics.iter().all(|metric| metric.errors.as_ref().is_some_and(|e| e.noise_percent.is_none())));
}

/// An engine that does something else than it should in its runs of more than `min_requests` requests.
struct Other {
    inner: MockEngine,
    min_requests: usize,
    spoil: fn(&mut Run, u32),
}

impl Engine for Other {
    fn facts(&self) -> &EngineFacts {
        self.inner.facts()
    }

    fn run(&mut self, script: &Script) -> Result<Run> {
        let mut run = self.inner.run(script)?;
        if script.requests.len() > self.min_requests {
            (self.spoil)(&mut run, self.inner.num_runs);
        }
        Ok(run)
    }
}

#[track_caller]
fn check_difference(spoil: fn(&mut Run, u32), expected: &str) {
    let mut engine = Other { inner: engine(0.0), min_requests: 100, spoil };
    let names = ["one-by-one", "saturating"].map(str::to_owned);
    let workloads: Vec<NamedScript> = generate(engine.facts(), &names, 200, 0).expect("two workloads");
    let report = verify_metrics(&mut engine, &profile(truth()), &workloads, SETTINGS, &mut |_| {}).expect("a report");
    let [saturating, one_by_one] = &report.workloads[..] else { panic!("{} workloads", report.workloads.len()) };
    assert_eq!(saturating.not_compared.as_deref(), Some(expected));
    assert_eq!((saturating.metrics.len(), one_by_one.metrics.len()), (0, 4), "metrics");
    assert!(!report.passed, "a workload that was not compared cannot pass");
    assert!(Table(&report).to_string().contains(expected), "{}", Table(&report));
}

#[test]
fn a_schedule_that_differs_is_named_and_not_compared() {
    check_difference(
        |run, _| run.passes[3].iteration.free = Some(1),
        "the schedules differ: iteration 3, free blocks after scheduling (free): expected Some(1), found Some(329)",
    );
    check_difference(|run, _| run.passes.truncate(2), "the engine ended after 2 iterations, the simulator goes on");
}

/// An engine whose request 0 generates another first token in the third run.
struct Restless(MockEngine);

impl Engine for Restless {
    fn facts(&self) -> &EngineFacts {
        self.0.facts()
    }

    fn run(&mut self, script: &Script) -> Result<Run> {
        if self.0.num_runs < 2 {
            return self.0.run(script);
        }
        // Another token in the answer, or in the prompt that repeats it: either way they share one block less.
        let mut other = script.clone();
        other.requests[1].prompt_token_ids[16] += 1;
        let mut run = self.0.run(&other)?;
        run.output_token_ids[0][0] += 1;
        Ok(run)
    }
}

#[test]
fn an_engine_that_does_not_repeat_its_schedule_is_named() {
    let request = |prompt: &mut dyn Iterator<Item = u32>| ScriptedRequest {
        prompt_token_ids: prompt.collect(),
        max_tokens: 20,
        ..Default::default()
    };
    // The mock's request 0 generates 0, 1, …; request 1 repeats its prompt and answer.
    let requests = vec![request(&mut (500..516)), request(&mut (500..516).chain(0..18))];
    let mut queries_per_iter = vec![0; 41];
    (queries_per_iter[0], queries_per_iter[40]) = (1, 1);
    let script = Script { requests, queries_per_iter, ..Script::default() };
    let workload = NamedScript { name: "echo".to_owned(), description: String::new(), script };
    let mut engine = Restless(engine(0.0));
    let report = verify_metrics(&mut engine, &profile(truth()), &[workload], SETTINGS, &mut |_| {}).expect("a report");
    assert_eq!(
        report.workloads[0].not_compared.as_deref(),
        Some(
            "the engine does not repeat its own schedule: iteration 40, request 1, num_scheduled_tokens (s): \
             expected (1, 2), found (1, 18)"
        ),
        "32 tokens in the cache, then 16"
    );
}

#[test]
fn instants_that_are_out_of_order_are_refused() {
    let spoil: fn(&mut Run, u32) = |run, _| run.passes.iter_mut().for_each(|pass| pass.instants.begin += 1 << 40);
    let mut engine = Other { inner: engine(0.0), min_requests: 0, spoil };
    let workloads = generate(engine.facts(), &["bursts".to_owned()], 96, 0).expect("a workload");
    let error = verify_metrics(&mut engine, &profile(truth()), &workloads, SETTINGS, &mut |_| {}).expect_err("refused");
    assert_eq!(format!("{error:#}"), "bursts: request 0: its instants are out of order");
}

#[test]
fn the_table_is_aligned() {
    let mut costs = truth();
    costs.token_us *= 1.04;
    let mut report = compare(&mut engine(0.05), costs, SETTINGS);
    report.warnings.push("dtype: the profile has bfloat16, the engine float32".to_owned());
    let table = Table(&report).to_string();
    for line in table.lines() {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
    }
    insta::assert_snapshot!(table);
}

#[test]
fn every_request_is_a_dot_of_the_plot() {
    let report = compare(&mut engine(0.05), truth(), SETTINGS);
    let svg = plot::svg(&report).expect("a plot");
    let num_dots: usize =
        [Metric::Ttft, Metric::Tpot, Metric::E2el].map(|metric| of(&report, metric).num_requests).iter().sum();
    assert_eq!(svg.matches("<circle").count(), 2 * num_dots);
}

#[test]
fn a_png_has_the_dots_and_the_words() {
    let report = compare(&mut engine(0.05), truth(), SETTINGS);
    let file = plot::png(&report).expect("a plot");
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().expect("PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("one picture");
    assert_eq!((info.width, info.height, info.color_type), (1200, 800, png::ColorType::Rgb));
    let rows: Vec<&[u8]> = pixels.chunks(3 * 1200).collect();
    let dark = |row: &&[u8]| row.chunks(3).filter(|rgb| rgb.iter().all(|&part| part < 0x60)).count();
    let heading: usize = rows[8..36].iter().map(dark).sum();
    assert!(heading > 200, "{heading} dark pixels are no heading");
    let blue = rows.iter().flat_map(|row| row.chunks(3)).filter(|rgb| rgb[2] > rgb[0].saturating_add(0x20)).count();
    assert!(blue > 1000, "{blue} blue pixels are not all dots");
}

#[test]
fn what_is_stored_is_in_the_profile_once() {
    let report = compare(&mut engine(0.05), truth(), SETTINGS);
    let mut profile = profile(truth());
    store::store(&report, &mut profile);
    let num_runs = profile.validation.runs.len();
    store::store(&report, &mut profile);
    assert_eq!((profile.validation.runs.len(), num_runs), (num_runs, 7 * report.workloads.len()), "replaced");
    let run = &profile.validation.runs[0];
    assert_eq!(run.metric, "mean_ttft_ms");
    let ttft = report.workloads[0].metrics[0].mean_s;
    assert_eq!((run.measured, run.predicted), (ttft.measured * 1e3, ttft.simulated * 1e3));
    let read = Profile::from_json(profile.to_json().expect("valid").as_bytes()).expect("valid");
    assert_eq!(read, profile);
}
