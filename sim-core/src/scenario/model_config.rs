//! A model's `config.json`.

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// What a `config.json` says about the model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// `model_type`.
    pub model_type: String,
}

impl ModelConfig {
    /// Fields that differ: name, the config's value, the profile's.
    #[must_use]
    pub fn differences(&self, _: &crate::profile::schema::Model) -> alloc::vec::Vec<(String, String, String)> {
        alloc::vec::Vec::new()
    }
}
