//! Reads the keys of one of `secondary_tiers`, and names those that are not taken.

use alloc::format;
use alloc::string::{String, ToString};

use serde_json::{Map, Value};

use super::kv_transfer_key_error::KvTransferKeyError;

/// Reads the keys of one tier.
pub(super) struct Reader<'a> {
    pub(super) place: usize,
    pub(super) given: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn named(&self, key: &str) -> (String, String) {
        let value = self.given.get(key).map_or_else(|| "nothing".to_string(), ToString::to_string);
        (format!("secondary_tiers[{}].{key}", self.place), value)
    }

    pub(super) fn wrong(&self, key: &str, need: &'static str) -> KvTransferKeyError {
        let (key, value) = self.named(key);
        KvTransferKeyError::Value { key, value, need }
    }

    pub(super) fn not_simulated(&self, key: &str, why: &'static str) -> KvTransferKeyError {
        let (key, value) = self.named(key);
        KvTransferKeyError::NotSimulated { key, value, why }
    }

    /// Refuses keys that neither all tiers have nor this kind. Who is told of its events is nobody.
    pub(super) fn check(&self, own: &[&str]) -> Result<(), KvTransferKeyError> {
        for key in self.given.keys() {
            match key.as_str() {
                "type" | "module_path" | "enable_kv_events" | "locality" | "backpressure" => {}
                key if own.contains(&key) => {}
                _ => return Err(self.not_simulated(key, "leave it out")),
            }
        }
        Ok(())
    }

    pub(super) fn count(&self, key: &str, otherwise: u32) -> Result<u32, KvTransferKeyError> {
        let Some(value) = self.given.get(key) else { return Ok(otherwise) };
        let count =
            value.as_u64().filter(|count| (1..=4096).contains(count)).and_then(|count| u32::try_from(count).ok());
        count.ok_or_else(|| self.wrong(key, "a whole number from 1 to 4096"))
    }

    pub(super) fn is_remote(&self) -> Result<bool, KvTransferKeyError> {
        match self.given.get("locality") {
            None | Some(Value::Null) => Ok(false),
            Some(value) => match value.as_str() {
                Some("LOCAL") => Ok(false),
                Some("REMOTE") => Ok(true),
                _ => Err(self.wrong("locality", "LOCAL or REMOTE")),
            },
        }
    }
}
