//! The whole measurement against engines whose times are known.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sim_core::batch::BatchComposition;
use sim_core::profile::schema::{DeviceType, MixedBatch, ProvenanceKind};
use sim_core::profile::{CaptureSizes, Profile, StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::rng::Pcg64;

use super::coverage::Coverage;
use super::journal::Journal;
use super::limits::{Limits, composition};
use super::outliers::quantile;
use super::plan::{Plan, Role};
use super::sample::{PassRole, Sample, samples};
use super::script::script;
use super::{Measured, Options, measure};
use crate::engine::Engine as _;
use crate::engine::mock::MockEngine;

/// Times as of a processor: a kink where weights stop to rule, attention in proportion to what is read.
pub(super) fn truth() -> Profile {
    let mut axis: Vec<u32> = (1..=32).collect();
    axis.extend((1..40).map(|i| 32 + i * 12));
    let costs = SyntheticCosts { schedule_us: 150.0, update_us: 80.0, max_model_len: 512, ..Default::default() };
    let mut profile = costs.profile();
    profile.hardware.device_type = DeviceType::Cpu;
    profile.engine.max_num_seqs = 16;
    profile.engine.max_num_batched_tokens = 256;
    profile.host.schedule.per_request.time_us = 4.0;
    profile.host.update.per_request.time_us = 9.0;
    let tables = &mut profile.step_time;
    let line = |f: &dyn Fn(f64) -> f64| axis.iter().map(|&x| f(f64::from(x))).collect::<Vec<f64>>();
    let grid = |f: &dyn Fn(f64, f64) -> f64, columns: &[u32]| -> Vec<Vec<Option<f64>>> {
        let row = |&r: &u32| columns.iter().map(|&c| Some(f(f64::from(r), f64::from(c)))).collect();
        axis.iter().map(row).collect()
    };
    tables.non_attention.num_tokens.clone_from(&axis);
    tables.non_attention.time_us = line(&|tokens| 500.0 + 1500_f64.hypot(30.0 * tokens));
    tables.head.num_seqs.clone_from(&axis);
    tables.head.time_us = line(&|requests| 50.0 + 40.0 * requests);
    tables.decode_attention.num_seqs.clone_from(&axis);
    tables.decode_attention.context_tokens.clone_from(&axis);
    tables.decode_attention.time_us = grid(&|n, context| 20.0 + n * (3.0 + 0.5 * context), &axis);
    let prefixes = vec![0, 512];
    tables.prefill_attention.chunk_tokens.clone_from(&axis);
    tables.prefill_attention.time_us =
        grid(&|chunk, prefix| 20.0 + 2.0 * chunk + 0.04 * chunk * (chunk / 2.0 + prefix), &prefixes);
    tables.prefill_attention.prefix_tokens = prefixes;
    tables.mixed_batch = Some(MixedBatch { decode_term_factor: 0.8, samples: vec![] });
    profile
}

fn engine(noise: f64, seed: u64) -> MockEngine {
    MockEngine::new(&truth(), 1001, noise, seed)
}

/// A journal of its own for each test, in the build folder.
fn journal(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/measure-tests");
    fs::create_dir_all(&folder).expect("a folder in the build folder");
    let path = folder.join(format!("{name}.jsonl"));
    drop(fs::remove_file(&path));
    path
}

pub(super) fn options(name: &str, seconds: u64) -> Options {
    Options {
        time_budget: Duration::from_secs(seconds),
        precision: 0.01,
        max_context: None,
        seed: 7,
        journal: journal(name),
        fresh: false,
        load_before: None,
        show_progress: false,
    }
}

fn model(profile: &Profile) -> StepTimeModel {
    let settings = StepTimeSettings {
        capture_sizes: CaptureSizes::none(),
        pipeline_parallel_size: 1,
        ..StepTimeSettings::default()
    };
    StepTimeModel::new(profile, &settings).expect("a valid profile")
}

/// Random passes within the engine's limits.
fn random_passes(count: usize, seed: u64) -> Vec<BatchComposition> {
    let mut random = Pcg64::stream(seed, "random passes");
    let limits = Limits::new(engine(0.0, 0).facts(), None);
    let mut passes = vec![];
    while passes.len() < count {
        let num_decodes = random.integers(0, 16);
        let context = random.integers(16, 512);
        let chunks: Vec<(u32, u32)> =
            (0..random.integers(0, 3)).map(|_| (random.integers(2, 200), 16 * random.integers(0, 16))).collect();
        let batch = composition(&chunks, num_decodes, u64::from(num_decodes) * u64::from(context));
        if limits.fit(&batch) {
            passes.push(batch);
        }
    }
    passes
}

/// Median and largest |error| of the measured profile against the truth.
fn errors(measured: &Measured, engine: &MockEngine) -> (f64, f64) {
    let model = model(&measured.profile);
    let error = |batch: &BatchComposition| {
        let [got, true_time] = [&model, &engine.truth].map(|model| model.predict(batch).duration.as_secs_f64());
        (got / true_time - 1.0).abs()
    };
    let mut errors: Vec<f64> = random_passes(300, 1).iter().map(error).collect();
    errors.sort_by(f64::total_cmp);
    (quantile(&errors, 0.5).expect("errors"), quantile(&errors, 1.0).expect("errors"))
}

#[test]
fn every_script_brings_its_point_about() {
    for caching in [true, false] {
        let mut engine = engine(0.0, 0);
        engine.facts.config.enable_prefix_caching = caching;
        let plan = Plan::new(engine.facts(), None, 3);
        assert!(plan.points.iter().filter(|point| point.role == Role::HeldOut).count() == 24, "too few held out");
        for point in &plan.points {
            let run = engine.run(&script(point, &plan.limits, plan.seed, 0)).expect("a run");
            let samples = samples(&run, point, &[]);
            let targets = samples.iter().filter(|sample| sample.role == PassRole::Target);
            let contexts: Vec<f64> = targets.map(|sample| sample.batch.decode_context_tokens as f64).collect();
            assert!(contexts.len() >= 5, "caching {caching}, {:?}: {} samples", point.batch, contexts.len());
            let mean = contexts.iter().sum::<f64>() / contexts.len() as f64;
            let (wanted, per_decode) = (point.batch.decode_context_tokens as f64, f64::from(point.batch.num_decodes));
            let off = (mean - wanted).abs() / per_decode.max(1.0);
            assert!(off <= 16.0, "caching {caching}, {:?}: {off} tokens off", point.batch);
        }
    }
}

#[track_caller]
fn check_truth(name: &str, mut engine: MockEngine, most: (f64, f64)) -> Measured {
    let measured = measure(&mut engine, &options(name, 100_000)).expect("a profile");
    let (median, worst) = errors(&measured, &engine);
    assert!(median < most.0 && worst < most.1, "{name}: median {median}, worst {worst}\n{}", measured.report);
    measured
}

#[test]
fn without_noise_the_truth_comes_back() {
    let measured = check_truth("exact", engine(0.0, 1), (0.002, 0.01));
    let host = &measured.profile.host;
    let costs = [&host.schedule.per_pass, &host.schedule.per_request, &host.update.per_pass, &host.update.per_request];
    for (cost, true_us) in costs.into_iter().zip([150.0, 4.0, 80.0, 9.0]) {
        assert!((cost.time_us - true_us).abs() < 0.01, "{} instead of {true_us}", cost.time_us);
    }
}

#[test]
fn with_noise_the_truth_comes_back_within_a_percent() {
    for seed in 0..3 {
        check_truth(&format!("noise-{seed}"), engine(0.03, seed), (0.007, 0.05));
    }
}

#[test]
fn without_prefix_caching_ends_of_long_prompts_are_measured() {
    let mut engine = engine(0.0, 1);
    engine.facts.config.enable_prefix_caching = false;
    let measured = check_truth("no-caching", engine, (0.002, 0.02));
    let notes = &measured.profile.provenance.notes;
    assert!(notes.iter().any(|note| note.starts_with("Prefix caching is off")), "{notes:?}");
}

#[test]
fn outliers_are_rejected_and_counted() {
    let mut engine = engine(0.01, 5);
    engine.outliers = 0.02;
    let options = options("outliers", 100_000);
    let measured = measure(&mut engine, &options).expect("a profile");
    let (median, worst) = errors(&measured, &engine);
    assert!(median < 0.005 && worst < 0.05, "median {median}, worst {worst}\n{}", measured.report);
    let plan = Plan::new(engine.facts(), None, options.seed);
    let (_, visits) = Journal::open(&options.journal, engine.facts(), &plan, false).expect("the journal");
    let num_rejected = Coverage::new(&plan, &visits).total().num_outliers;
    let samples: Vec<&Sample> = visits.iter().flat_map(|visit| &visit.samples).collect();
    let targets = samples.into_iter().filter(|sample| sample.role == PassRole::Target);
    let is_outlier = |sample: &&Sample| sample.device_ns > 2 * engine.truth.predict(&sample.batch).duration.as_nanos();
    let num_outliers = targets.filter(is_outlier).count();
    assert!(num_outliers > 30, "{num_outliers} outliers are too few to see anything");
    let most = num_outliers + num_outliers / 5;
    assert!((num_outliers..=most).contains(&num_rejected), "{num_rejected} rejected, {num_outliers} were there");
    assert!(measured.profile.provenance.notes.iter().any(|note| note.contains(" outliers rejected")), "not noted");
}

#[test]
fn scripts_that_were_disturbed_throughout_are_left_out() {
    for seed in 0..6 {
        let mut engine = engine(0.02, seed);
        engine.disturbed = 0.3;
        let measured = check_truth(&format!("disturbed-{seed}"), engine, (0.007, 0.05));
        assert!(measured.report.contains("warning: Other load on the machine: "), "{}", measured.report);
    }
}

#[test]
fn the_profile_is_a_measured_one_and_comes_back_from_its_file() {
    let measured = check_truth("file", engine(0.03, 9), (0.01, 0.05));
    let json = measured.profile.to_json().expect("a valid profile");
    let profile = Profile::from_json(json.as_bytes()).expect("what was written");
    assert_eq!(profile, measured.profile);
    assert_eq!(profile.provenance.kind, ProvenanceKind::Measured);
    assert_eq!((profile.hardware.device_type, profile.has_cuda_graphs()), (DeviceType::Cpu, false));
    assert_eq!(profile.validation.steps.len(), 24);
    assert!(measured.report.contains("held-out passes: |error|"), "{}", measured.report);
}

/// The places of the plan's points among the scripts of a journal.
fn points_measured(options: &Options) -> Vec<usize> {
    let engine = engine(0.0, 0);
    let plan = Plan::new(engine.facts(), None, options.seed);
    let (_, visits) = Journal::open(&options.journal, engine.facts(), &plan, false).expect("the journal");
    visits.iter().map(|visit| visit.point).collect()
}

#[test]
fn a_measurement_that_died_goes_on_as_if_it_had_not() {
    let whole = options("whole", 100_000);
    let expected = measure(&mut engine(0.0, 1), &whole).expect("a profile").profile;
    let order = points_measured(&whole);
    for num_runs in [0, 1, 2, 100, 250] {
        let options = options(&format!("died-{num_runs}"), 100_000);
        let mut first = engine(0.0, 1);
        first.dies_after = Some(num_runs);
        let error = format!("{:#}", measure(&mut first, &options).expect_err("it died"));
        assert!(error.contains("is not lost") && error.contains("the engine died"), "{error}");
        let mut second = engine(0.0, 1);
        assert_eq!(measure(&mut second, &options).expect("a profile").profile, expected);
        assert_eq!((num_runs + second.num_runs) as usize, order.len(), "scripts ran twice or not at all");
        assert_eq!(points_measured(&options), order);
    }
}

#[test]
fn a_journal_cut_anywhere_goes_on_and_covers_the_same_plan() {
    let options = options("cut", 100_000);
    let expected = measure(&mut engine(0.0, 1), &options).expect("a profile").profile;
    let order = points_measured(&options);
    let journal = fs::read(&options.journal).expect("the journal");
    let header =
        journal.iter().position(|&byte| byte == b'\n').map(|end| u32::try_from(end).unwrap()).expect("a header");
    let mut random = Pcg64::stream(11, "where the journal is cut");
    let mut cuts: Vec<u32> = (0..20).map(|_| random.integers(0, u32::try_from(journal.len()).unwrap() - 1)).collect();
    cuts.extend([0, 1, header - 1, header, header + 1, header + 2]);
    for cut in cuts {
        let kept = &journal[..cut as usize];
        fs::write(&options.journal, kept).expect("a shorter journal");
        let num_kept = kept.iter().filter(|&&byte| byte == b'\n').count().saturating_sub(1);
        let mut engine = engine(0.0, 1);
        let profile = measure(&mut engine, &options).expect("a profile").profile;
        assert_eq!(points_measured(&options), order, "seed 11, cut at byte {cut}");
        assert_eq!(engine.num_runs as usize, order.len() - num_kept, "seed 11, cut at byte {cut}");
        assert_eq!(profile, expected, "seed 11, cut at byte {cut}");
    }
}

#[track_caller]
fn check_refused(engine: &mut MockEngine, options: &Options, expect: &str) {
    let error = format!("{:#}", measure(engine, options).expect_err("refused"));
    assert!(error.contains(expect), "{error}");
}

#[test]
fn a_journal_of_something_else_is_refused_by_name() {
    let mut options = options("else", 1);
    drop(measure(&mut engine(0.0, 1), &options));
    let before = fs::read(&options.journal).expect("the journal");
    let mut other = engine(0.0, 1);
    other.facts.model.name = "another-model".to_owned();
    check_refused(&mut other, &options, "is of another measurement (formula on formula, vLLM ");
    check_refused(&mut other, &options, "this one is another-model on formula");
    options.seed += 1;
    check_refused(&mut engine(0.0, 1), &options, "--fresh");
    assert_eq!(fs::read(&options.journal).expect("the journal"), before, "a refused journal was changed");
    fs::write(&options.journal, "{}\n").expect("written");
    check_refused(&mut engine(0.0, 1), &options, "is no journal of this program");
    options.fresh = true;
    options.time_budget = Duration::from_secs(1000);
    measure(&mut engine(0.0, 1), &options).expect("a fresh start");
}

#[test]
fn engines_that_cannot_be_timed_are_refused_with_the_flag() {
    let options = options("refused", 1);
    let mut asynchronous = engine(0.0, 1);
    asynchronous.facts.config.async_scheduling = true;
    check_refused(&mut asynchronous, &options, "--no-async-scheduling");
    let mut single = engine(0.0, 1);
    single.facts.config.max_num_active_seqs = 1;
    check_refused(&mut single, &options, "--max-num-seqs allows 1");
    let short = Options { time_budget: Duration::from_millis(100), ..options };
    check_refused(&mut engine(0.0, 1), &short, "A larger --time-budget goes on from here");
}

#[track_caller]
fn check_warned(name: &str, mut engine: MockEngine, change: impl FnOnce(&mut Options), expect: &str) {
    let mut options = options(name, 100_000);
    change(&mut options);
    let measured = measure(&mut engine, &options).expect("a profile");
    let notes = &measured.profile.provenance.notes;
    assert!(notes.iter().any(|note| note.starts_with(expect)), "{notes:#?}");
    assert!(measured.report.contains(&format!("warning: {expect}")), "{}", measured.report);
}

#[test]
fn doubts_are_told_and_kept_in_the_profile() {
    let mut slowing = engine(0.0, 1);
    slowing.slowdown = 0.0005;
    check_warned("slowing", slowing, |_| {}, "Throttled, perhaps: the same point was ");
    check_warned("noisy", engine(0.3, 1), |options| options.precision = 0.1, "Noisy: half of the samples");
    check_warned(
        "short",
        engine(0.0, 1),
        |options| options.time_budget = Duration::from_secs(6),
        "Time budget too small",
    );
    check_warned("few", engine(0.0, 1), |options| options.time_budget = Duration::from_secs(6), "Too few samples: ");
    check_warned(
        "loaded",
        engine(0.0, 1),
        |options| options.load_before = Some(0.9),
        "Other load on the machine before",
    );
    let measured = check_truth("quiet", engine(0.01, 1), (0.01, 0.05));
    assert!(!measured.report.contains("warning"), "{}", measured.report);
}

#[test]
fn a_machine_that_slows_down_is_taken_out() {
    let mut slowing = engine(0.01, 3);
    slowing.slowdown = 0.0001;
    let measured = measure(&mut slowing, &options("drift", 100_000)).expect("a profile");
    let notes = &measured.profile.provenance.notes;
    assert!(notes.iter().any(|note| note.starts_with("Corrected for drift: ")), "{notes:#?}");
    // As slow as in the middle of the measurement, everywhere.
    let model = model(&measured.profile);
    let ratio = |batch: &BatchComposition| {
        let [got, true_time] = [&model, &slowing.truth].map(|model| model.predict(batch).duration.as_secs_f64());
        got / true_time
    };
    let mut ratios: Vec<f64> = random_passes(300, 1).iter().map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let [low, middle, high] = [0.05, 0.5, 0.95].map(|share| quantile(&ratios, share).expect("ratios"));
    assert!((1.01..1.1).contains(&middle), "{middle}");
    assert!(high / middle < 1.015 && middle / low < 1.015, "{low} {middle} {high}");
}
