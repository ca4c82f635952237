//! `--kv-transfer-config` and `--kv-offloading-*`: the connector that keeps KV blocks in host memory, as a user gives it.
//!
//! Source: `vllm/config/kv_transfer.py::KVTransferConfig`, `vllm/config/vllm.py::_post_init_kv_transfer_config` and, for
//! the keys inside, `vllm/distributed/kv_transfer/kv_connector/v1/offloading/config.py` and `vllm/v1/kv_offload`.

use alloc::string::{String, ToString};
use core::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::kv_offload::settings::EvictionPolicy;

/// The connector that is simulated.
const CONNECTOR: &str = "OffloadingConnector";

/// What of the two is simulated, each `None` until given. Other keys are refused by name unless nothing depends on them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct KvTransferArgs {
    /// Whether `kv_connector` is the one that is simulated; with `--kv-offloading-size` it need not be said.
    pub has_connector: bool,
    /// Bytes of the tier over all devices.
    pub cpu_bytes_to_use: Option<u64>,
    /// Tokens of a chunk.
    pub block_size: Option<u32>,
    /// The device's blocks of a chunk, instead of that.
    pub blocks_per_chunk: Option<u32>,
    /// Who is evicted.
    pub eviction_policy: Option<EvictionPolicy>,
    /// Whether only prompts are stored.
    pub offload_prompt_only: Option<bool>,
}

/// Who keeps the blocks (`--kv-offloading-backend`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KvOffloadingBackend {
    /// vLLM itself.
    Native,
    /// A server of `LMCache`.
    Lmcache,
}

/// Why a key is not taken. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KvTransferKeyError {
    /// The text is no JSON object, or `kv_connector_extra_config` is none.
    NotAnObject,
    /// The key, or this value of it, changes results in a way that is not simulated.
    NotSimulated {
        /// The key.
        key: String,
        /// The value, as JSON.
        value: String,
        /// What is.
        why: &'static str,
    },
    /// The value is not of the key's type.
    Value {
        /// The key.
        key: String,
        /// The value, as JSON.
        value: String,
        /// What is needed.
        need: &'static str,
    },
}

/// Keys of either object that change nothing that is simulated: loads from host memory do not fail, and who is told of
/// events is nobody.
const WITHOUT_EFFECT: [&str; 8] = [
    "engine_id",
    "kv_buffer_device",
    "kv_port",
    "enable_permute_local_kv",
    "kv_load_failure_policy",
    "self_describing_kv_events",
    "max_tracker_size",
    "canonical_layout",
];

impl KvTransferArgs {
    /// Reads the JSON object that vLLM takes.
    ///
    /// # Errors
    /// See [`KvTransferKeyError`].
    pub fn from_json(text: &str) -> Result<Self, KvTransferKeyError> {
        let object: Map<String, Value> = serde_json::from_str(text).or(Err(KvTransferKeyError::NotAnObject))?;
        Self::try_from(object)
    }

    /// The same as a JSON object, without what was not given.
    #[must_use]
    pub fn to_json(&self) -> String {
        Value::Object(self.clone().into()).to_string()
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), KvTransferKeyError> {
        let not_simulated =
            |why| Err(KvTransferKeyError::NotSimulated { key: key.to_string(), value: value.to_string(), why });
        match (key, value.as_str()) {
            ("kv_connector", Some(CONNECTOR)) => self.has_connector = true,
            ("kv_connector", _) => {
                return not_simulated(
                    "OffloadingConnector is, and prefill and decode on engines of their own are, by --prefill-replicas \
                     and --decode-replicas",
                );
            }
            ("kv_role", Some("kv_both")) => {}
            ("kv_role", _) => return not_simulated("the connector that keeps blocks in host memory is kv_both"),
            ("kv_connector_extra_config", _) => {
                let extra = value.as_object().ok_or(KvTransferKeyError::NotAnObject)?;
                for (key, value) in extra.iter().filter(|(_, value)| !value.is_null()) {
                    self.set_extra(key, value)?;
                }
            }
            _ if WITHOUT_EFFECT.contains(&key) => {}
            _ => return not_simulated("leave it out"),
        }
        Ok(())
    }

    fn set_extra(&mut self, key: &str, value: &Value) -> Result<(), KvTransferKeyError> {
        let wrong = |need| KvTransferKeyError::Value { key: key.to_string(), value: value.to_string(), need };
        let count = || {
            let count = value.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|&count| count > 0);
            count.ok_or_else(|| wrong("a whole number above 0"))
        };
        let not_simulated =
            |why| KvTransferKeyError::NotSimulated { key: key.to_string(), value: value.to_string(), why };
        match key {
            "cpu_bytes_to_use" => {
                let bytes =
                    value.as_u64().filter(|&bytes| bytes > 0).ok_or_else(|| wrong("bytes, a whole number above 0"))?;
                self.cpu_bytes_to_use = Some(bytes);
            }
            "block_size" => self.block_size = Some(count()?),
            "blocks_per_chunk" => self.blocks_per_chunk = Some(count()?),
            "eviction_policy" => {
                self.eviction_policy = Some(match value.as_str() {
                    Some("lru") => EvictionPolicy::Lru,
                    Some("arc") => EvictionPolicy::Arc,
                    _ => return Err(not_simulated("lru and arc are")),
                });
            }
            "offload_prompt_only" => {
                self.offload_prompt_only = Some(value.as_bool().ok_or_else(|| wrong("true or false"))?);
            }
            "store_threshold" if value.as_u64().is_some_and(|threshold| threshold < 2) => {}
            "store_threshold" => {
                return Err(not_simulated("every chunk is stored when it is offered first; leave it out"));
            }
            "spec_name" if value.as_str() == Some("CPUOffloadingSpec") => {}
            "spec_name" => return Err(not_simulated("one tier in host memory is, CPUOffloadingSpec; leave it out")),
            _ if WITHOUT_EFFECT.contains(&key) => {}
            _ => return Err(not_simulated("leave it out")),
        }
        Ok(())
    }
}

impl TryFrom<Map<String, Value>> for KvTransferArgs {
    type Error = KvTransferKeyError;

    fn try_from(object: Map<String, Value>) -> Result<Self, KvTransferKeyError> {
        let mut args = Self::default();
        // Null is "not given", as in Python.
        for (key, value) in object.iter().filter(|(_, value)| !value.is_null()) {
            args.set(key, value)?;
        }
        Ok(args)
    }
}

impl From<KvTransferArgs> for Map<String, Value> {
    fn from(args: KvTransferArgs) -> Self {
        let policy = args.eviction_policy.map(|policy| match policy {
            EvictionPolicy::Lru => "lru",
            EvictionPolicy::Arc => "arc",
        });
        let extra = [
            ("cpu_bytes_to_use", json!(args.cpu_bytes_to_use)),
            ("block_size", json!(args.block_size)),
            ("blocks_per_chunk", json!(args.blocks_per_chunk)),
            ("eviction_policy", json!(policy)),
            ("offload_prompt_only", json!(args.offload_prompt_only)),
        ];
        let extra = extra.into_iter().filter(|(_, value)| !value.is_null());
        let extra: Self = extra.map(|(key, value)| (key.to_string(), value)).collect();
        let mut object = Self::new();
        if args.has_connector {
            object.insert("kv_connector".to_string(), json!(CONNECTOR));
            object.insert("kv_role".to_string(), json!("kv_both"));
        }
        object.insert("kv_connector_extra_config".to_string(), Value::Object(extra));
        object
    }
}

impl fmt::Display for KvTransferKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("--kv-transfer-config: ")?;
        match self {
            Self::NotAnObject => f.write_str(
                "must be a JSON object such as {\"kv_connector\": \"OffloadingConnector\", \"kv_role\": \"kv_both\", \
                 \"kv_connector_extra_config\": {\"cpu_bytes_to_use\": 68719476736}}",
            ),
            Self::NotSimulated { key, value, why } => write!(f, "{key} = {value} is not simulated: {why}"),
            Self::Value { key, value, need } => write!(f, "{key} = {value}: must be {need}"),
        }
    }
}

impl core::error::Error for KvTransferKeyError {}
