//! A model's `config.json`, read for what its layers compute, and the same bytes as a name and as a list of models: what is
//! accepted has weights of a possible size, and what is refused says why in a few lines.
#![no_main]

use std::fmt::Display;

use libfuzzer_sys::fuzz_target;
use sim_core::models::{Catalogue, ModelSettings, ModelShape, Quantization, WeightSharing};

/// Most layers that come of a file.
const MAX_LAYERS: u64 = 8192;

fuzz_target!(|bytes: &[u8]| {
    let quantization = bytes.len().is_multiple_of(5).then(|| Quantization::from_name("fp8")).flatten();
    let settings = ModelSettings { quantization, ..ModelSettings::default() };
    match ModelShape::from_json(bytes, &settings) {
        Ok(shape) => check(&shape),
        Err(refused) => check_refusal(&refused),
    }
    match Catalogue::from_json(bytes) {
        Ok(list) => {
            for entry in list.entries() {
                // Another entry may have the same name; one of the two is found.
                let _ = list.find(&entry.name);
            }
        }
        Err(refused) => check_refusal(&refused),
    }
    if let Err(refused) = shipped().find(&String::from_utf8_lossy(bytes)) {
        check_refusal(&refused);
    }
});

fn check(shape: &ModelShape) {
    let num_layers: u64 = shape.layers.iter().map(|run| u64::from(run.num_layers)).sum();
    assert!((1..=MAX_LAYERS).contains(&num_layers), "{num_layers} layers");
    let (all, active) = (shape.num_parameters(), shape.num_active_parameters());
    assert!(0 < active && active <= all, "{active} of {all}");
    for tensor_parallel_size in [1, 8] {
        let sharing = WeightSharing {
            enable_expert_parallel: all % 2 == 0,
            ..WeightSharing::tensor_parallel(tensor_parallel_size)
        };
        assert!(shape.weights(&sharing).total() > 0);
    }
}

fn check_refusal(refused: &impl Display) {
    let text = refused.to_string();
    assert!(!text.is_empty() && text.len() < 4_000, "{} bytes: {text}", text.len());
}

fn shipped() -> Catalogue {
    Catalogue::from_json(include_bytes!("../../../www/models.json")).expect("the list that ships")
}
