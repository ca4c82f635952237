//! A model's `config.json`: what is accepted is within its limits and can be compared with a profile.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::models::{Catalogue, ModelConfig};
use sim_core::profile::SyntheticCosts;
use sim_core::scenario::check_same_config;

fuzz_target!(|bytes: &[u8]| {
    let model = match ModelConfig::from_json(bytes) {
        Ok(model) => model,
        Err(refused) => {
            let text = refused.to_string();
            assert!(!text.is_empty() && text.len() < 4_000, "{} bytes: {text}", text.len());
            return;
        }
    };
    for count in [model.hidden_size, model.num_hidden_layers, model.num_attention_heads, model.num_key_value_heads] {
        assert!((1..=1 << 26).contains(&count), "{model:?}");
    }
    assert!(model.summary().len() <= 400, "{model:?}");
    // Whatever it says, a model is the profile's or is not.
    let profile = SyntheticCosts::default().profile();
    if let Err(other) = check_same_config("a model", bytes, &profile, &Catalogue::default()) {
        assert!(!other.to_string().is_empty());
    }
});
