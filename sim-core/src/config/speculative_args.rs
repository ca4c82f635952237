//! `--speculative-config`: the keys of vLLM's `SpeculativeConfig` as a user gives them, nothing filled in yet.
//!
//! Source: `vllm/config/speculative.py::SpeculativeConfig`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::speculative::SpeculativeMethod;

/// The keys that are simulated, each `None` until given. Others are refused by name unless nothing depends on them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct SpeculativeArgs {
    /// How drafts come about.
    pub method: Option<SpeculativeMethod>,
    /// The draft model, or the folder of an EAGLE head; which one the profile's drafter was measured with.
    pub model: Option<String>,
    /// Drafts of a verification at most.
    pub num_speculative_tokens: Option<i64>,
    /// Drafts by the number of requests in a pass: first, last, drafts.
    pub num_speculative_tokens_per_batch_size: Option<Vec<(u32, u32, u32)>>,
    /// Whether all drafts come from one pass of a model made for it.
    pub parallel_drafting: Option<bool>,
    /// Whether a hit keeps the block whose draft keys depend on the next token.
    pub disable_eagle_block_drop: Option<bool>,
    /// Whether a block's key covers its own tokens alone.
    pub disable_lookahead_block_hashes: Option<bool>,
    /// Longest text that is looked up.
    pub prompt_lookup_max: Option<i64>,
    /// Shortest text that is looked up.
    pub prompt_lookup_min: Option<i64>,
    /// What decides which drafts are accepted; anything but `synthetic` leaves it to the workload.
    pub rejection_sample_method: Option<String>,
    /// Unconditional rates of the `synthetic` method.
    pub synthetic_acceptance_rates: Option<Vec<f64>>,
    /// Mean acceptance length of the `synthetic` method.
    pub synthetic_acceptance_length: Option<f64>,
}

/// Why a key is not taken. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpeculativeKeyError {
    /// The text is no JSON object.
    NotAnObject,
    /// vLLM has no such key.
    Unknown {
        /// The key.
        key: String,
    },
    /// The key changes results in a way that is not simulated.
    NotSimulated {
        /// The key.
        key: String,
        /// Why not.
        why: &'static str,
    },
    /// The key is given twice.
    Twice {
        /// The key.
        key: String,
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

/// Keys that change nothing that is simulated, or that were decided when the drafter was measured.
const WITHOUT_EFFECT: [&str; 17] = [
    "enforce_eager",
    "draft_tensor_parallel_size",
    "quantization",
    "moe_backend",
    "attention_backend",
    "kv_cache_dtype",
    "revision",
    "code_revision",
    "index_share_for_mtp_iteration",
    "draft_lm_head_quantization",
    "use_local_argmax_reduction",
    "draft_load_config",
    "draft_sample_method",
    "dspark_draft_topk",
    "xpress_topc",
    "fly_window_size",
    "fly_entropy_threshold",
];

/// Keys that are refused unless they have this value, and why.
const NOT_SIMULATED: [(&str, Value, &str); 8] = [
    ("max_model_len", Value::Null, "beyond it requests would go on without drafts, or the model's length would be cut"),
    (
        "disable_padded_drafter_batch",
        Value::Bool(false),
        "it changes which requests have drafts ready when the next pass is decided",
    ),
    ("use_heterogeneous_vocab", Value::Bool(false), "drafts that the model has no word for are dropped"),
    ("enable_adaptive_verification", Value::Bool(false), "the drafts of a pass then depend on their confidence"),
    ("suffix_decoding_max_tree_depth", Value::Null, "suffix decoding is not simulated"),
    ("suffix_decoding_max_cached_requests", Value::Null, "suffix decoding is not simulated"),
    ("suffix_decoding_max_spec_factor", Value::Null, "suffix decoding is not simulated"),
    ("suffix_decoding_min_token_prob", Value::Null, "suffix decoding is not simulated"),
];

/// Methods that vLLM has and that are not simulated, and why.
const OTHER_METHODS: [(&str, &str); 5] = [
    ("suffix", "how many drafts it proposes depends on the text"),
    ("custom_class", "a drafter of your own cannot run here"),
    ("extract_hidden_states", "it drafts nothing"),
    ("medusa", "it is not in vLLM 0.33"),
    ("mlp_speculator", "it is not in vLLM 0.33"),
];

impl SpeculativeArgs {
    /// Reads the JSON object that vLLM takes, keys with `_` or `-`.
    ///
    /// # Errors
    /// See [`SpeculativeKeyError`].
    pub fn from_json(text: &str) -> Result<Self, SpeculativeKeyError> {
        let object: Map<String, Value> = serde_json::from_str(text).or(Err(SpeculativeKeyError::NotAnObject))?;
        Self::try_from(object)
    }

    /// The same as a JSON object, without what was not given.
    #[must_use]
    pub fn to_json(&self) -> String {
        Value::Object(self.clone().into()).to_string()
    }

    /// The key that a flag of its own stands for: `--spec-method`, or the part behind the dot of
    /// `--speculative-config.method`.
    #[must_use]
    pub fn key_of_flag(flag: &str) -> Option<&str> {
        let flag = flag.trim_start_matches('-');
        match flag {
            "spec-method" | "spec_method" => Some("method"),
            "spec-model" | "spec_model" => Some("model"),
            "spec-tokens" | "spec_tokens" => Some("num_speculative_tokens"),
            _ => match flag.split_once('.')? {
                ("speculative-config" | "speculative_config" | "sc", key) => Some(key),
                _ => None,
            },
        }
    }

    /// Sets one key from the text of a flag, which is JSON or else a plain text.
    ///
    /// # Errors
    /// See [`SpeculativeKeyError`].
    pub fn set_from_flag(&mut self, key: &str, text: &str) -> Result<(), SpeculativeKeyError> {
        let key = key.replace('-', "_");
        let given: Map<String, Value> = self.clone().into();
        if given.contains_key(&key) {
            return Err(SpeculativeKeyError::Twice { key });
        }
        let is_text = matches!(key.as_str(), "method" | "model");
        let json = || serde_json::from_str(text).ok();
        let value = Some(text).filter(|_| !is_text).and_then(|_| json());
        let value = value.unwrap_or_else(|| Value::String(text.to_string()));
        self.set(&key, &value)
    }

    /// Sets one key from its JSON value.
    fn set(&mut self, key: &str, value: &Value) -> Result<(), SpeculativeKeyError> {
        let wrong = |need| SpeculativeKeyError::Value { key: key.to_string(), value: value.to_string(), need };
        let count = || value.as_i64().ok_or_else(|| wrong("a whole number"));
        let switch = || value.as_bool().ok_or_else(|| wrong("true or false"));
        let text = || value.as_str().map(ToString::to_string).ok_or_else(|| wrong("a text"));
        match key {
            "method" => self.method = Some(method(&text()?)?),
            "model" => self.model = Some(text()?),
            "num_speculative_tokens" => self.num_speculative_tokens = Some(count()?),
            "num_speculative_tokens_per_batch_size" => {
                let need = "a list of [first number of requests, last, drafts]";
                self.num_speculative_tokens_per_batch_size = Some(ranges(value).ok_or_else(|| wrong(need))?);
            }
            "parallel_drafting" => self.parallel_drafting = Some(switch()?),
            "disable_eagle_block_drop" => self.disable_eagle_block_drop = Some(switch()?),
            "disable_lookahead_block_hashes" => self.disable_lookahead_block_hashes = Some(switch()?),
            "prompt_lookup_max" => self.prompt_lookup_max = Some(count()?),
            "prompt_lookup_min" => self.prompt_lookup_min = Some(count()?),
            "rejection_sample_method" => {
                let method = text()?;
                if !["standard", "block", "fly", "synthetic"].contains(&method.as_str()) {
                    return Err(wrong("one of standard, block, fly, synthetic"));
                }
                self.rejection_sample_method = Some(method);
            }
            "synthetic_acceptance_rates" => {
                let rates = value.as_array().and_then(|rates| rates.iter().map(Value::as_f64).collect());
                self.synthetic_acceptance_rates = Some(rates.ok_or_else(|| wrong("a list of numbers"))?);
            }
            "synthetic_acceptance_length" => {
                self.synthetic_acceptance_length = Some(value.as_f64().ok_or_else(|| wrong("a number"))?);
            }
            _ => return check_other(key, value),
        }
        Ok(())
    }
}

fn method(name: &str) -> Result<SpeculativeMethod, SpeculativeKeyError> {
    SpeculativeMethod::from_name(name).ok_or_else(|| {
        let key = "method".to_string();
        match OTHER_METHODS.iter().find(|(other, _)| *other == name) {
            Some((_, why)) => SpeculativeKeyError::NotSimulated { key: alloc::format!("method {name:?}"), why },
            None => {
                let need = "one of ngram, ngram_gpu, draft_model, eagle, eagle3, mtp, dflash, dspark";
                SpeculativeKeyError::Value { key, value: alloc::format!("{name:?}"), need }
            }
        }
    })
}

fn ranges(value: &Value) -> Option<Vec<(u32, u32, u32)>> {
    let count = |value: &Value| value.as_u64().and_then(|count| u32::try_from(count).ok());
    let range = |value: &Value| match &value.as_array()?[..] {
        [first, last, drafts] => Some((count(first)?, count(last)?, count(drafts)?)),
        _ => None,
    };
    value.as_array()?.iter().map(range).collect()
}

/// A key that has no field.
fn check_other(key: &str, value: &Value) -> Result<(), SpeculativeKeyError> {
    if WITHOUT_EFFECT.contains(&key) || key == "fly_entropy_top_k" {
        return Ok(());
    }
    match NOT_SIMULATED.iter().find(|(name, ..)| *name == key) {
        Some((_, harmless, _)) if harmless == value => Ok(()),
        Some((.., why)) => Err(SpeculativeKeyError::NotSimulated { key: key.to_string(), why }),
        None => Err(SpeculativeKeyError::Unknown { key: key.to_string() }),
    }
}

impl TryFrom<Map<String, Value>> for SpeculativeArgs {
    type Error = SpeculativeKeyError;

    fn try_from(object: Map<String, Value>) -> Result<Self, SpeculativeKeyError> {
        let mut args = Self::default();
        // Null is "not given", as in Python.
        for (key, value) in object.iter().filter(|(_, value)| !value.is_null()) {
            args.set(&key.replace('-', "_"), value)?;
        }
        Ok(args)
    }
}

impl From<SpeculativeArgs> for Map<String, Value> {
    fn from(args: SpeculativeArgs) -> Self {
        let pairs = [
            ("method", json!(args.method.map(SpeculativeMethod::name))),
            ("model", json!(args.model)),
            ("num_speculative_tokens", json!(args.num_speculative_tokens)),
            ("num_speculative_tokens_per_batch_size", json!(args.num_speculative_tokens_per_batch_size)),
            ("parallel_drafting", json!(args.parallel_drafting)),
            ("disable_eagle_block_drop", json!(args.disable_eagle_block_drop)),
            ("disable_lookahead_block_hashes", json!(args.disable_lookahead_block_hashes)),
            ("prompt_lookup_max", json!(args.prompt_lookup_max)),
            ("prompt_lookup_min", json!(args.prompt_lookup_min)),
            ("rejection_sample_method", json!(args.rejection_sample_method)),
            ("synthetic_acceptance_rates", json!(args.synthetic_acceptance_rates)),
            ("synthetic_acceptance_length", json!(args.synthetic_acceptance_length)),
        ];
        pairs.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_string(), value)).collect()
    }
}

impl fmt::Display for SpeculativeKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("speculative_config: ")?;
        match self {
            Self::NotAnObject => f.write_str(
                "must be a JSON object such as {\"method\": \"eagle3\", \"model\": \"…\", \"num_speculative_tokens\": 3}",
            ),
            Self::Unknown { key } => write!(f, "vLLM has no key {key:?} in it"),
            Self::Twice { key } => write!(f, "{key} is given twice"),
            Self::NotSimulated { key, why } => write!(f, "{key} is not simulated: {why}"),
            Self::Value { key, value, need } => write!(f, "{key} = {value}: must be {need}"),
        }
    }
}

impl core::error::Error for SpeculativeKeyError {}
