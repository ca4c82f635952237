//! `--kv-transfer-config` and `--kv-offloading-*`: the connector that keeps KV blocks in host memory, as a user gives it.
//!
//! Source: `vllm/config/kv_transfer.py::KVTransferConfig`, `vllm/config/vllm.py::_post_init_kv_transfer_config` and, for
//! the keys inside, `vllm/distributed/kv_transfer/kv_connector/v1/offloading/config.py` and `vllm/v1/kv_offload`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::kv_transfer_key_error::KvTransferKeyError;
use super::secondary_tiers::SecondaryTierArgs;
use crate::kv_offload::settings::{EvictionPolicy, MAX_SECONDARY_TIERS};

/// The connector that is simulated.
const CONNECTOR: &str = "OffloadingConnector";
/// Who has tiers behind host memory.
const TIERING_SPEC: &str = "TieringOffloadingSpec";

/// What of the two is simulated, each `None` until given. Other keys are refused by name unless nothing depends on them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
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
    /// Whether `spec_name` is the one that has tiers behind host memory.
    pub is_tiering: bool,
    /// These tiers.
    pub secondary_tiers: Vec<SecondaryTierArgs>,
    /// What is kept from tiers that do not keep up, and that have no such settings of their own.
    pub backpressure: Option<Map<String, Value>>,
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
                self.set_tiers(extra)?;
            }
            _ if WITHOUT_EFFECT.contains(&key) => {}
            _ => return not_simulated("leave it out"),
        }
        Ok(())
    }

    fn set_tiers(&mut self, extra: &Map<String, Value>) -> Result<(), KvTransferKeyError> {
        let get = |key: &str| extra.get(key).filter(|value| !value.is_null());
        let wrong = |key: &str, need| {
            let value = get(key).map_or_else(String::new, ToString::to_string);
            KvTransferKeyError::Value { key: key.to_string(), value, need }
        };
        if let Some(backpressure) = get("backpressure") {
            let backpressure = backpressure.as_object().ok_or_else(|| wrong("backpressure", "an object"))?;
            self.backpressure = Some(backpressure.clone());
        }
        let Some(tiers) = get("secondary_tiers") else { return Ok(()) };
        let most = "a list of at most 4 tiers behind host memory, each an object";
        let tiers = tiers.as_array().filter(|tiers| tiers.len() <= MAX_SECONDARY_TIERS);
        let tiers = tiers.ok_or_else(|| wrong("secondary_tiers", most))?.iter().enumerate();
        let tiers = tiers.map(|(place, tier)| SecondaryTierArgs::from_json(place, tier, self.backpressure.as_ref()));
        self.secondary_tiers = tiers.collect::<Result<_, _>>()?;
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
            "spec_name" if value.as_str() == Some(TIERING_SPEC) => self.is_tiering = true,
            "spec_name" => return Err(not_simulated("CPUOffloadingSpec and TieringOffloadingSpec are")),
            "secondary_tiers" | "backpressure" => {}
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
        let mut extra: Self = extra.map(|(key, value)| (key.to_string(), value)).collect();
        if args.is_tiering {
            extra.insert("spec_name".to_string(), json!(TIERING_SPEC));
        }
        if let Some(backpressure) = args.backpressure {
            extra.insert("backpressure".to_string(), Value::Object(backpressure));
        }
        if !args.secondary_tiers.is_empty() {
            let tiers = args.secondary_tiers.iter().map(SecondaryTierArgs::to_json);
            extra.insert("secondary_tiers".to_string(), tiers.collect());
        }
        let mut object = Self::new();
        if args.has_connector {
            object.insert("kv_connector".to_string(), json!(CONNECTOR));
            object.insert("kv_role".to_string(), json!("kv_both"));
        }
        object.insert("kv_connector_extra_config".to_string(), Value::Object(extra));
        object
    }
}
