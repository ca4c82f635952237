//! The profiles the other modules test with.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use sim_core::batch::BatchComposition;
use sim_core::profile::{CaptureSizes, Profile, StepTimeModel, StepTimeSettings};

pub(crate) fn file(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A frozen copy of a derived profile: the gallery is made anew when its data are, and tests count its rows.
pub(crate) fn h100_bytes() -> Vec<u8> {
    file("data/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json")
}

pub(crate) fn h100() -> Profile {
    Profile::from_json(&h100_bytes()).expect("the frozen profile is valid")
}

pub(crate) fn v0() -> Profile {
    Profile::from_json(&file("data/profiles/v0.json")).expect("the frozen file is valid")
}

/// The model without CUDA-graph padding.
pub(crate) fn unpadded(profile: &Profile) -> StepTimeModel {
    let settings = StepTimeSettings {
        capture_sizes: CaptureSizes::none(),
        pipeline_parallel_size: profile.engine.pipeline_parallel_size,
        ..StepTimeSettings::default()
    };
    StepTimeModel::new(profile, &settings).expect("valid settings")
}

/// `(new tokens, earlier tokens)` per request.
pub(crate) fn batch(requests: impl IntoIterator<Item = (u32, u32)>) -> BatchComposition {
    let mut batch = BatchComposition::default();
    for (num_tokens, num_computed_tokens) in requests {
        batch.push(num_tokens, num_computed_tokens);
    }
    batch
}

/// The frozen profile with the value at a JSON pointer replaced (`null` in `value` stays a null).
pub(crate) fn changed(pointer: &str, value: Value) -> Vec<u8> {
    let mut root: Value = serde_json::from_slice(&h100_bytes()).expect("JSON");
    *root.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    serde_json::to_vec(&root).expect("JSON")
}

/// The frozen profile as if half of its layers had a window, with a drafter and times of both.
pub(crate) fn layered() -> Value {
    let mut root: Value = serde_json::from_slice(&h100_bytes()).expect("JSON");
    let full = root["memory"]["kv_cache_layers"][0].clone();
    let with = |changes: &[(&str, Value)]| {
        let mut layers = full.clone();
        for (field, value) in changes {
            layers[*field] = value.clone();
        }
        layers
    };
    root["memory"]["kv_cache_layers"] = json!([
        with(&[("num_layers", json!(16))]),
        with(&[("num_layers", json!(16)), ("kind", json!("sliding_window")), ("span_tokens", json!(1024))]),
    ]);
    let tables = &root["step_time"];
    let (decode, prefill) = (tables["decode_attention"].clone(), tables["prefill_attention"].clone());
    let (first_run, next_run) = (tables["non_attention"].clone(), tables["head"].clone());
    let mut verification = decode.clone();
    verification["num_rows"] = json!(4);
    root["step_time"]["verification_attention"] = json!([verification]);
    root["step_time"]["span_attention"] = json!([{
        "kind": "sliding_window",
        "num_tokens": 1024,
        "decode_attention": decode,
        "prefill_attention": prefill,
        "verification_attention": [verification],
    }]);
    root["drafters"] = json!([{
        "method": "eagle3",
        "model": "head",
        "kv_cache_layers": [with(&[("num_layers", json!(1))])],
        "memory": root["memory"]["weights"],
        "first_run": first_run,
        "next_run": next_run,
    }]);
    root
}
