//! The profiles the other modules test with.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
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
