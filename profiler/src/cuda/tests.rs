//! The whole way from a `config.json` to a profile, on a device whose times are a formula.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sim_core::profile::schema::{Basis, ProvenanceKind};
use sim_core::profile::{CaptureSizes, Profile, StepTimeModel, StepTimeSettings};

use super::collectives::TensorParallel;
use super::collectives::tests::times;
use super::engine::CudaEngine;
use super::facts::facts;
use super::flags::tests::flags;
use super::mock::{MockDevice, properties};
use super::provenance::relabel;
use super::shape::tests::{llama_8b, shape_with};
use crate::engine::{Engine as _, EngineFacts, Script, ScriptedRequest};
use crate::measure::limits::composition;
use crate::measure::{Measured, Options, measure};

fn small_config() -> Value {
    let mut config = llama_8b();
    config["num_hidden_layers"] = json!(2);
    config
}

fn small_facts(more: &str) -> EngineFacts {
    let config = small_config();
    let words = format!("--max-num-seqs 16 --max-num-batched-tokens 256 --max-model-len 512 {more}");
    let shape = shape_with(&config, &words).expect("a model");
    facts(&properties(), &shape, &flags(&words).expect("flags"), "small").expect("facts").0
}

fn options(name: &str) -> Options {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/measure-tests");
    std::fs::create_dir_all(&folder).expect("a folder in the build folder");
    let journal = folder.join(format!("cuda-{name}.jsonl"));
    Options {
        time_budget: Duration::from_secs(100_000),
        precision: 0.01,
        max_context: None,
        seed: 7,
        journal,
        fresh: true,
        load_before: None,
        show_progress: false,
    }
}

fn measured(name: &str, facts: EngineFacts, device: MockDevice) -> Measured {
    let mut engine = CudaEngine::new(facts, Box::new(device));
    let mut measured = measure(&mut engine, &options(name)).expect("a profile");
    relabel(&mut measured.profile, engine.history(), &engine.facts().versions);
    measured
}

fn model(profile: &Profile, capture_sizes: &[u32]) -> StepTimeModel {
    let capture_sizes = match capture_sizes {
        [] => CaptureSizes::none(),
        sizes => CaptureSizes::explicit(sizes, 256).expect("sizes"),
    };
    StepTimeModel::new(
        profile,
        &StepTimeSettings { capture_sizes, pipeline_parallel_size: 1, ..StepTimeSettings::default() },
    )
    .expect("a valid profile")
}

#[track_caller]
fn check_truth(name: &str, more: &str, noise: f64, most: f64) -> Measured {
    let facts = small_facts(more);
    let sizes = facts.capture_sizes.clone();
    let truth = MockDevice::new(sizes.clone(), 0.0, 0);
    let measured = measured(name, facts, MockDevice::new(sizes.clone(), noise, 3));
    let profile = &measured.profile;
    let steps = &profile.validation.steps;
    assert_eq!(steps.len(), 24, "held-out passes");
    for step in steps {
        let error = (step.predicted_us / step.measured_us - 1.0).abs();
        assert!(error < most, "{name}: {error} for {step:?}\n{}", measured.report);
    }
    let model = model(profile, &sizes);
    for (chunks, decodes, context) in [
        (&[][..], 1, 300),
        (&[], 16, 4000),
        (&[(200, 0)], 0, 0),
        (&[(100, 128)], 7, 1400),
        (&[(5, 0), (60, 32)], 3, 90),
    ] {
        let batch = composition(chunks, decodes, context);
        let error = model.predict(&batch).duration.as_secs_f64() * 1e6 / truth.truth_us(&batch) - 1.0;
        assert!(error.abs() < most, "{name}: {error} for {batch:?}");
    }
    measured
}

#[test]
fn a_formulas_passes_come_back_from_the_profile() {
    check_truth("exact", "", 0.0, 0.02);
    check_truth("noisy", "", 0.02, 0.04);
    check_truth("eager", "--enforce-eager", 0.0, 0.02);
}

#[test]
fn the_profile_claims_no_more_than_it_is() {
    let facts = small_facts("");
    let device = MockDevice::new(facts.capture_sizes.clone(), 0.0, 3);
    let profile = measured("claims", facts, device).profile;
    profile.validate().expect("a valid profile");
    let json = profile.to_json().expect("a file");
    assert_eq!(Profile::from_json(json.as_bytes()).expect("what was written"), profile);
    assert_eq!(profile.provenance.kind, ProvenanceKind::Derived);
    assert!(profile.provenance.notes[0].starts_with("No vLLM ran."), "{:?}", profile.provenance.notes);
    let costs =
        [&profile.host.schedule.per_pass, &profile.host.update.per_request, &profile.front_end.output_latency.per_pass];
    assert!(costs.iter().all(|cost| cost.basis == Basis::Estimate && cost.time_us > 0.0), "{costs:?}");
    assert!(
        profile.provenance.host.as_ref().is_some_and(|host| host.contains("2900 GB/s")),
        "{:?}",
        profile.provenance
    );
    assert!(profile.has_cuda_graphs(), "graphs were on");
}

#[test]
fn a_profile_in_8_bits_says_so() {
    let facts = small_facts("--quantization fp8 --kv-cache-dtype fp8");
    let device = MockDevice::new(facts.capture_sizes.clone(), 0.0, 3);
    let profile = measured("fp8", facts, device).profile;
    profile.validate().expect("a valid profile");
    assert_eq!((profile.engine.quantization.as_deref(), profile.engine.kv_cache_dtype.as_str()), (Some("fp8"), "fp8"));
    let notes = profile.provenance.notes.join("\n");
    assert!(notes.contains("products are of e4m3") && notes.contains("kept in e4m3 with the scale 1"), "{notes}");
}

#[test]
fn a_profile_of_ranks_has_their_collectives_and_says_what_they_are() {
    let alone = small_facts("");
    let sizes = alone.capture_sizes.clone();
    let rank = shape_with(&small_config(), "").expect("a model").rank(2).expect("a rank");
    let device = TensorParallel::new(Box::new(MockDevice::new(sizes.clone(), 0.0, 3)), rank, times(), sizes.clone());
    let mut engine = CudaEngine::new(small_facts("--tensor-parallel-size 2"), Box::new(device));
    let mut measured = measure(&mut engine, &options("ranks")).expect("a profile");
    relabel(&mut measured.profile, engine.history(), &engine.facts().versions);
    let profile = measured.profile;
    profile.validate().expect("a valid profile");
    assert_eq!((profile.hardware.num_devices, profile.engine.tensor_parallel_size), (2, 2));
    let notes = profile.provenance.notes.join("\n");
    assert!(notes.contains("no pass ran on 2 devices") && notes.contains("upper bound"), "{notes}");
    let settings = StepTimeSettings {
        capture_sizes: CaptureSizes::explicit(&sizes, 256).expect("sizes"),
        pipeline_parallel_size: 1,
        ..StepTimeSettings::default()
    };
    let model = StepTimeModel::new(&profile, &settings).expect("a valid profile");
    let batch = composition(&[], 16, 4000);
    let predicted = model.predict(&batch).duration.as_secs_f64() * 1e6;
    // Two layers: five all-reduces of 16 rows, 128 KiB; 16 rows of half of the logits.
    let collectives = 5.0 * (10.0 + 10.0 / 8.0) + 10.0 + 10.0 * f64::from(2 * 16 * 64_128) / 1_048_576.0;
    let truth = MockDevice::new(sizes, 0.0, 0).truth_us(&batch) + collectives;
    assert!((predicted / truth - 1.0).abs() < 0.02, "{predicted} instead of {truth}");
}

#[test]
fn throttling_is_told_by_the_device_and_by_the_times() {
    let facts = small_facts("");
    let mut device = MockDevice::new(facts.capture_sizes.clone(), 0.0, 3);
    device.throttled_after = Some(1500);
    let notes = measured("throttled", facts, device).profile.provenance.notes.join("\n");
    assert!(notes.contains("Throttled: hardware thermal slowdown after "), "{notes}");
    assert!(notes.contains("between 1320 and 1980 MHz"), "{notes}");
}

#[test]
fn a_device_that_fails_loses_nothing_but_its_script() {
    let facts = small_facts("");
    let mut device = MockDevice::new(facts.capture_sizes.clone(), 0.0, 3);
    device.fails_after = Some(1000);
    let mut engine = CudaEngine::new(facts.clone(), Box::new(device));
    let mut options = options("fails");
    let error = format!("{:#}", measure(&mut engine, &options).expect_err("it fails"));
    assert!(error.contains("the device fell off the bus") && error.contains("is not lost"), "{error}");
    options.fresh = false;
    let device = MockDevice::new(facts.capture_sizes.clone(), 0.0, 3);
    let mut engine = CudaEngine::new(facts, Box::new(device));
    let profile = measure(&mut engine, &options).expect("a profile").profile;
    assert_eq!(profile.engine, engine.facts().engine);
}

#[test]
fn only_wanted_passes_are_executed() {
    let facts = small_facts("");
    let device = MockDevice::new(facts.capture_sizes.clone(), 0.0, 3);
    let mut engine = CudaEngine::new(facts, Box::new(device));
    let request = ScriptedRequest { prompt_token_ids: vec![1; 300], max_tokens: 4, ..ScriptedRequest::default() };
    let script = Script { requests: vec![request], queries_per_iter: vec![1], ..Script::default() };
    let run = engine.run_for(&script, &|batch| batch.num_decodes == 1).expect("a run");
    let passes = run.passes.iter().filter(|pass| !pass.batch(&[]).is_empty());
    let executed = passes.map(|pass| (pass.batch(&[]).num_decodes, pass.instants.end > pass.instants.begin));
    assert_eq!(executed.collect::<Vec<_>>(), [(0, false), (0, false), (1, true), (1, true), (1, true)]);
    let all = engine.run(&script).expect("a run").passes;
    assert!(all.iter().all(|pass| pass.batch(&[]).is_empty() || pass.instants.end > pass.instants.begin), "{all:?}");
}
