//! `secondary_tiers` of `--kv-transfer-config`: tiers behind host memory, as a user gives them.
//!
//! Source: `vllm/v1/kv_offload/tiering/factory.py::SecondaryTierFactory` and the constructors of its tiers `fs` and `obj`.

use alloc::string::String;

use serde_json::{Map, Value};

use super::kv_transfer_key_error::KvTransferKeyError;
use super::tier_backpressure;
use super::tier_keys::Reader;
use crate::kv_offload::settings::{SecondaryTierSettings, TierKind};

/// Threads of a tier of files, of either kind, and of a tier of objects, where none are given.
const NUM_FILE_THREADS: u32 = 16;
const NUM_OBJECT_THREADS: u32 = 4;

/// A tier, and the object that it was given as.
#[derive(Debug, Clone, PartialEq)]
pub struct SecondaryTierArgs {
    /// What is simulated of it.
    pub settings: SecondaryTierSettings,
    given: Map<String, Value>,
}

impl SecondaryTierArgs {
    /// The tier at `place` of the list; `backpressure` is that of tiers without their own.
    pub(super) fn from_json(
        place: usize,
        value: &Value,
        backpressure: Option<&Map<String, Value>>,
    ) -> Result<Self, KvTransferKeyError> {
        let given = value.as_object().ok_or(KvTransferKeyError::NotAnObject)?.clone();
        let reader = Reader { place, given: &given };
        let settings = match given.get("type").and_then(Value::as_str) {
            Some("fs") => {
                reader.check(&["root_dir", "n_read_threads", "n_write_threads"])?;
                if given.get("root_dir").and_then(Value::as_str).is_none() {
                    return Err(reader.wrong("root_dir", "the folder that the files are in"));
                }
                let num_read_threads = reader.count("n_read_threads", NUM_FILE_THREADS)?;
                let num_write_threads = reader.count("n_write_threads", NUM_FILE_THREADS)?;
                let kind = TierKind::Files { num_read_threads, num_write_threads };
                let is_remote = reader.is_remote()?;
                let backpressure = tier_backpressure::of_tier(&reader, backpressure, is_remote)?;
                SecondaryTierSettings { kind, is_remote, backpressure }
            }
            Some("obj") => {
                reader.check(&["store_config", "prefix", "io_threads"])?;
                if given.get("store_config").and_then(Value::as_object).is_none() {
                    return Err(reader.wrong("store_config", "an object that says where the store is"));
                }
                reader.is_remote()?;
                let kind = TierKind::Objects { num_threads: reader.count("io_threads", NUM_OBJECT_THREADS)? };
                let backpressure = tier_backpressure::of_tier(&reader, backpressure, true)?;
                SecondaryTierSettings { kind, is_remote: true, backpressure }
            }
            _ => return Err(reader.not_simulated("type", "tiers of files (fs) and of objects (obj) are")),
        };
        Ok(Self { settings, given })
    }

    pub(super) fn to_json(&self) -> Value {
        Value::Object(self.given.clone())
    }
}
