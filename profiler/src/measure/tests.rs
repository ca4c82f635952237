//! The whole measurement against engines whose times are known.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sim_core::batch::BatchComposition;
use sim_core::profile::schema::{DeviceType, MixedBatch, ProvenanceKind};
use sim_core::profile::{CaptureSizes, Profile, StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::rng::Pcg64;

use super::limits::{Limits, composition};
use super::outliers::quantile;
use super::plan::{Plan, Role};
use super::sample::{PassRole, samples};
use super::script::script;
use super::{Measured, Options, measure};
use crate::engine::Engine as _;
use crate::engine::mock::MockEngine;

/// Times as of a processor: a kink where weights stop to rule, attention in proportion to what is read.
fn truth() -> Profile {
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
    tables.mixed_batch = Some(MixedBatch { shorter_term_factor: 0.8, samples: vec![] });
    profile
}

fn engine(noise: f64, seed: u64) -> MockEngine {
    MockEngine::new(&truth(), 1001, noise, seed)
}

/// A journal of its own for each test.
fn journal(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("profiler-measure-{}-{name}.jsonl", std::process::id()));
    drop(fs::remove_file(&path));
    path
}

fn options(name: &str, seconds: u64) -> Options {
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
    let settings = StepTimeSettings { capture_sizes: CaptureSizes::none(), pipeline_parallel_size: 1 };
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
            let samples = samples(&run, point);
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

#[test]
fn without_noise_the_truth_comes_back() {
    let mut engine = engine(0.0, 1);
    let measured = measure(&mut engine, &options("truth", 100_000)).expect("a profile");
    let (median, worst) = errors(&measured, &engine);
    eprintln!(
        "{}\nmedian {median} worst {worst} {:?}",
        measured.report,
        measured.profile.step_time.mixed_batch.as_ref().map(|m| m.shorter_term_factor)
    );
    assert!(median < 0.005 && worst < 0.05, "median {median}, worst {worst}\n{}", measured.report);
}

#[test]
fn with_noise_the_truth_comes_back_within_a_percent() {
    for seed in 0..3 {
        let mut engine = engine(0.03, seed);
        let measured = measure(&mut engine, &options(&format!("noise-{seed}"), 100_000)).expect("a profile");
        let (median, worst) = errors(&measured, &engine);
        eprintln!("{}\nmedian {median} worst {worst} {:?} runs {}", measured.report, measured.profile.step_time.mixed_batch.as_ref().map(|m| m.shorter_term_factor), engine.num_runs);
        let host = &measured.profile.host;
        eprintln!("{host:?}");
        assert!(median < 0.01 && worst < 0.05, "seed {seed}: median {median}, worst {worst}\n{}", measured.report);
    }
}
