//! Estimated GPUs: each measured one is left out, moved to from others, and held against what was measured on it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use serde_json::json;
use sim_core::batch::BatchComposition;
use sim_core::compose::{Setup, compose};
use sim_core::models::Quantization;
use sim_core::operators::gpu::Links;
use sim_core::operators::transfer::Kinship;
use sim_core::operators::{Gpu, Pack, transfer};
use sim_core::profile::{Evidence, Profile, StatedRange, StepTimeModel, StepTimeSettings};

use crate::profile_fixture::{batch, file, h100, h100_bytes};

const MODELS: [&str; 2] = ["llama-3.1-8b", "qwen3-30b-a3b"];
/// Methods of quantising the weights, by vLLM's names; an empty one is the checkpoint's.
const FORMATS: [&str; 2] = ["", "fp8"];
/// Requests, and the tokens that each attends to.
const DECODES: [(u32, u64); 12] = [
    (1, 512),
    (1, 8192),
    (8, 512),
    (8, 8192),
    (32, 512),
    (32, 2048),
    (64, 512),
    (64, 2048),
    (128, 512),
    (128, 2048),
    (256, 512),
    (256, 2048),
];
const PROMPTS: [u32; 4] = [128, 512, 2048, 8192];
/// Measured over estimated times: the median, and from the least to the most.
const FOUND: &str = "\
far a100-sxm from rtx-pro-6000: 1.12 (0.85 to 1.60)
near b200-sxm from b300-sxm: 1.01 (0.78 to 1.11)
far b200-sxm from h200-sxm: 1.01 (0.78 to 1.36)
near b300-sxm from b200-sxm: 0.99 (0.88 to 1.27)
far b300-sxm from h200-sxm: 1.01 (0.73 to 1.56)
near gb200 from gb300: 0.98 (0.79 to 1.29)
far gb200 from h200-sxm: 0.99 (0.78 to 1.34)
near gb300 from gb200: 1.02 (0.74 to 1.27)
far gb300 from h200-sxm: 1.02 (0.76 to 1.45)
near h100-sxm from h200-sxm: 0.99 (0.90 to 1.09)
far h100-sxm from rtx-pro-6000: 0.92 (0.64 to 1.49)
near h200-sxm from h100-sxm: 1.01 (0.91 to 1.12)
far h200-sxm from b200-sxm: 0.97 (0.73 to 1.25)
far l40s from rtx-pro-6000: 1.04 (0.63 to 1.50)
far rtx-pro-6000 from a100-sxm: 0.92 (0.62 to 1.53)
";

/// The packs that are shipped.
fn packs() -> Vec<Pack> {
    let mut paths: Vec<_> = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../www/packs"))
        .expect("the test's own data")
        .map(|entry| entry.expect("the test's own data").path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| Pack::from_json(&fs::read(path).expect("the test's own data")).expect("the test's own data"))
        .collect()
}

/// Times in seconds of passes of a model; none if the pack lacks its operators.
fn times(pack: &Pack, model: &str, quantization: &str, tensor_parallel_size: u32) -> Vec<f64> {
    let config = file(&format!("data/models/{model}.config.json"));
    let quantization = Quantization::from_name(quantization);
    let setup = Setup { tensor_parallel_size, quantization, ..Setup::default() };
    let Ok(profile) = compose(pack, model, &config, &setup) else { return vec![] };
    let settings = StepTimeSettings::vllm_default(&profile, 256, 8192);
    let model = StepTimeModel::new(&profile, &settings).expect("the test's own data");
    let decodes = DECODES.map(|(requests, context)| {
        let mut batch = BatchComposition::default();
        batch.add_decodes(requests, context * u64::from(requests));
        batch
    });
    let prompts = PROMPTS.map(|tokens| {
        let mut batch = BatchComposition::default();
        batch.push(tokens, 0);
        batch
    });
    decodes.iter().chain(&prompts).map(|batch| model.predict(batch).duration.as_secs_f64()).collect()
}

/// Experts in 8 bits are not moved to another architecture: no range holds for them.
fn is_moved(model: &str, quantization: &str, kinship: Kinship) -> bool {
    kinship == Kinship::Near || quantization.is_empty() || !model.contains("a3b")
}

/// Ranks that models are shared among. Over PCI Express more than two depend on the host, and are not moved.
fn num_ranks(from: &Pack, to: &Pack) -> &'static [u32] {
    if from.gpu.links == Links::Fabric && to.gpu.links == Links::Fabric { &[1, 2, 4, 8] } else { &[1, 2] }
}

/// How far apart two GPUs are by their makers' figures.
fn distance(a: &Gpu, b: &Gpu) -> f64 {
    (a.memory_bandwidth / b.memory_bandwidth).ln().abs() + (a.bf16_flops / b.bf16_flops).ln().abs()
}

/// Measured over estimated times of the passes of all models.
fn ratios(from: &Pack, to: &Pack) -> Vec<f64> {
    let moved = transfer(from, &to.gpu);
    moved.pack.validate().expect("the test's own data");
    let mut ratios = vec![];
    for (model, format) in MODELS.iter().flat_map(|model| FORMATS.map(|format| (model, format))) {
        for ranks in num_ranks(from, to).iter().filter(|_| is_moved(model, format, moved.kinship)) {
            let (estimated, measured) = (times(&moved.pack, model, format, *ranks), times(to, model, format, *ranks));
            ratios.extend(measured.iter().zip(&estimated).map(|(measured, estimated)| measured / estimated));
        }
    }
    ratios.sort_by(f64::total_cmp);
    ratios
}

#[test]
fn every_measured_gpu_that_is_left_out_lies_within_the_stated_range() {
    let packs = packs();
    let mut table = String::new();
    let mut found: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for to in &packs {
        for kinship in [Kinship::Near, Kinship::Far] {
            let others = packs.iter().filter(|pack| pack.gpu != to.gpu && Kinship::of(&pack.gpu, &to.gpu) == kinship);
            let nearest = others.min_by(|a, b| distance(&a.gpu, &to.gpu).total_cmp(&distance(&b.gpu, &to.gpu)));
            let Some(from) = nearest else { continue };
            let ratios = ratios(from, to);
            let (Some(&least), Some(&most)) = (ratios.first(), ratios.last()) else { continue };
            let median = ratios[ratios.len() / 2];
            let name = if kinship == Kinship::Near { "near" } else { "far" };
            writeln!(table, "{name} {} from {}: {median:.2} ({least:.2} to {most:.2})", to.gpu.key, from.gpu.key)
                .expect("the test's own data");
            let sum = found.entry(name).or_insert((least, most));
            *sum = (sum.0.min(least), sum.1.max(most));
        }
    }
    assert_eq!(table, FOUND, "FIDELITY.md and Kinship::range say so, too");
    for (name, kinship) in [("near", Kinship::Near), ("far", Kinship::Far)] {
        let (range, (least, most)) = (kinship.range(), found[name]);
        assert!(range.low <= least && most <= range.high, "{name}: {least:.3} to {most:.3} is outside of {range:?}");
        // Rounded to tenths, away from 1.
        let is_tight = least - range.low < 0.11 && range.high - most < 0.11;
        assert!(is_tight, "{name}: {range:?} is wider than {least:.3} to {most:.3} gives reason for");
    }
}

#[test]
fn a_pack_moved_to_its_own_gpu_stays_as_it_is() {
    for pack in packs() {
        let moved = transfer(&pack, &pack.gpu);
        assert_eq!(moved.kinship, Kinship::Near, "{}", pack.gpu.key);
        // Not compared by assert_eq, which would print a million characters.
        assert!(moved.pack.curves == pack.curves && moved.pack.grids == pack.grids, "{}", pack.gpu.key);
    }
}

#[test]
fn an_estimated_profile_says_so_and_how_far_off_it_may_be() {
    let packs = packs();
    for gpu in sim_core::operators::gpu_table::known() {
        let key = sim_core::operators::gpu_table::measured(&gpu.key).expect("the test's own data");
        let pack = packs.iter().find(|pack| pack.gpu.key == key).expect("the test's own data");
        if pack.gpu == gpu {
            continue;
        }
        let moved = transfer(pack, &gpu);
        let mut profile = compose(&moved.pack, "m", &file("data/models/llama-3.1-8b.config.json"), &Setup::default())
            .expect("the test's own data");
        moved.mark(&mut profile);
        let again = Profile::from_json(profile.to_json().expect("the test's own data").as_bytes())
            .expect("the test's own data");
        assert_eq!(again.provenance.range, Some(moved.kinship.range()), "{}", gpu.key);
        assert!(again.provenance.notes[0].contains(&gpu.label), "{:?}", again.provenance.notes);
    }
}

/// A profile of a file with another kind and range.
fn labelled(kind: &str, range: serde_json::Value) -> Result<Profile, sim_core::profile::ProfileError> {
    let mut value: serde_json::Value = serde_json::from_slice(&h100_bytes()).expect("the test's own data");
    value["provenance"]["kind"] = kind.into();
    value["provenance"]["range"] = range;
    Profile::from_json(value.to_string().as_bytes())
}

#[test]
fn an_estimate_states_a_range_and_nothing_else_does() {
    #[track_caller]
    fn check(kind: &str, range: serde_json::Value, expect: &str) {
        let got = labelled(kind, range).map_or_else(|error| error.to_string(), |_| "accepted".to_owned());
        assert!(got.ends_with(expect), "{got}");
    }
    let of = |low: f64, high: f64| json!({"low": low, "high": high});
    let exactly = "$.provenance.range: must be there exactly if kind is estimated";
    check("estimated", of(0.75, 1.5), "accepted");
    check("derived", json!(null), "accepted");
    check("estimated", json!(null), exactly);
    check("derived", of(0.75, 1.5), exactly);
    check("estimated", of(1.1, 1.5), "$.provenance.range: 1.1 to 1.5 must enclose 1, above 0 and up to 100.0");
    check("estimated", of(0.0, 1e9), "$.provenance.range: 0.0 to 1000000000.0 must enclose 1, above 0 and up to 100.0");
    check("estimated", json!({"low": 0.5}), "$.provenance.range: missing field `high`");
}

#[test]
fn step_times_of_an_estimate_are_estimated_and_can_be_read_at_both_ends() {
    let profile = labelled("estimated", json!({"low": 0.75, "high": 1.5})).expect("the test's own data");
    let settings = StepTimeSettings::vllm_default(&profile, 256, 8192);
    let model = StepTimeModel::new(&profile, &settings).expect("the test's own data");
    let range = StatedRange::of(&profile).expect("an estimate has a range").range;
    let own = StepTimeModel::new(&h100(), &settings).expect("the test's own data");
    let of = |model: &StepTimeModel| model.predict(&batch([(1, 1023), (1, 1_000_000)]));
    assert_eq!(of(&model).evidence, Evidence::Estimated, "weaker than extrapolated");
    assert_eq!(of(&own).evidence, Evidence::Extrapolated);
    assert_eq!(of(&model).duration, of(&own).duration, "a label changes no time");
    let times = |factor| of(&model.times(factor)).duration.as_secs_f64() / of(&model).duration.as_secs_f64();
    assert!((times(range.low) - 0.75).abs() < 1e-6 && (times(range.high) - 1.5).abs() < 1e-6);
    assert_eq!(
        model.times(2.0).host().schedule_time(10),
        model.host().schedule_time(10),
        "the host's time is no estimate's"
    );
    assert_eq!(of(&model.times(f64::NAN)), of(&model));
}
