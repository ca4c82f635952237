//! A model's `config.json`, read as vLLM reads it, to tell whether a profile was made with that model.
//!
//! Source: `vllm/transformers_utils/model_arch_config_convertor.py::ModelArchConfigConvertorBase`. The exceptions that
//! vLLM makes for single models are not repeated here, except for Falcon's and DBRX's heads.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde_json::{Map, Value};

use crate::json_message;
use crate::models;
use crate::models::max_len::LENGTHS;
use crate::models::python_json::as_json;
use crate::profile::schema::Model;

/// The facts of a model that profiles are matched by, under the names of `config.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelConfig {
    /// Classes of the model.
    pub architectures: Vec<String>,
    /// Family.
    pub model_type: String,
    /// Width of the residual stream.
    pub hidden_size: u32,
    /// Layers.
    pub num_hidden_layers: u32,
    /// Width of the MLP; 0 if the file does not say.
    pub intermediate_size: u32,
    /// Query heads.
    pub num_attention_heads: u32,
    /// Key and value heads.
    pub num_key_value_heads: u32,
    /// Width of one head.
    pub head_dim: u32,
    /// Tokens in the vocabulary.
    pub vocab_size: u32,
    /// Number format of the weights; vLLM looks into the weights themselves if this is `None`.
    pub dtype: Option<String>,
    /// Longest sequence the model was made for; `None` if the file does not say.
    pub max_position_embeddings: Option<u32>,
    /// Experts per layer; 0 for a dense model.
    pub num_experts: u32,
    /// Width of the compressed keys and values of multi-head latent attention; 0 without.
    pub kv_lora_rank: u32,
    /// Quantisation method.
    pub quantization: Option<String>,
}

/// Why a `config.json` is not read. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelConfigError {
    /// More than [`ModelConfig::MAX_BYTES`].
    TooLarge {
        /// Bytes of the file.
        num_bytes: usize,
    },
    /// Not JSON, or not an object.
    Json {
        /// What, and where.
        message: String,
    },
    /// A field that profiles are matched by is absent or null.
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field is no whole number in its range.
    Value {
        /// The field.
        field: &'static str,
        /// Its value, shortened.
        value: String,
        /// The largest allowed.
        limit: u32,
    },
}

impl fmt::Display for ModelConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("config.json: ")?;
        match self {
            Self::TooLarge { num_bytes } => write!(f, "{num_bytes} bytes; the limit is {}", ModelConfig::MAX_BYTES),
            Self::Json { message } => f.write_str(message),
            Self::Missing { field } => write!(
                f,
                "{field} is absent; it must be there, or in text_config: is this the config.json of a language model?"
            ),
            Self::Value { field, value, limit } => {
                write!(f, "{field} is {value}; it must be a whole number from 1 to {limit}")
            }
        }
    }
}

impl core::error::Error for ModelConfigError {}

/// Most of anything that is counted here, far above every model.
const MAX_COUNT: u32 = 1 << 26;
const MAX_LAYERS: u32 = 10_000;

/// Where vLLM looks for the number of key and value heads.
const KV_HEADS: [&str; 5] =
    ["n_head_kv", "num_kv_heads", "num_key_value_heads", "multi_query_group_num", "num_attention_groups"];
/// Where vLLM looks for the number of experts.
const EXPERTS: [&str; 4] = ["num_experts", "moe_num_experts", "n_routed_experts", "num_local_experts"];

impl ModelConfig {
    /// Longest file that is read.
    pub const MAX_BYTES: usize = models::error::MAX_BYTES;

    /// Reads a `config.json`. Unknown fields are ignored: every model has its own.
    ///
    /// # Errors
    /// See [`ModelConfigError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, ModelConfigError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(ModelConfigError::TooLarge { num_bytes: bytes.len() });
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut root: Map<String, Value> =
            serde_json::from_slice(&as_json(bytes)).map_err(|error| json_error(&error))?;
        models::add_defaults(&mut root);
        // The language model of a multimodal one.
        let nested = ["text_config", "llm_config", "language_config", "thinker_config"];
        let text = nested.iter().find_map(|key| root.get(*key).and_then(Value::as_object));
        let text = text.and_then(|text| text.get("text_config").and_then(Value::as_object).or(Some(text)));
        let fields = Fields { text: text.unwrap_or(&root), root: &root };
        let num_attention_heads = fields.needed(&["num_attention_heads", "n_head", "num_heads", "n_heads"])?;
        let hidden_size = fields.needed(&["hidden_size", "n_embd", "d_model"])?;
        // Latent attention has heads of two parts, and what some files call head_dim is one of those.
        let head_dim =
            match (fields.count(&["qk_nope_head_dim"], 1 << 16)?, fields.count(&["qk_rope_head_dim"], 1 << 16)?) {
                (Some(nope), Some(rope)) => Some(nope + rope),
                _ => fields.count(&["head_dim", "hidden_size_per_head"], MAX_COUNT)?,
            };
        Ok(Self {
            architectures: fields.architectures(),
            model_type: fields.text("model_type").unwrap_or_default(),
            hidden_size,
            num_hidden_layers: fields
                .count(&["num_hidden_layers", "n_layer", "n_layers", "num_layers"], MAX_LAYERS)?
                .ok_or(ModelConfigError::Missing { field: "num_hidden_layers" })?,
            intermediate_size: fields
                .count(&["intermediate_size", "ffn_hidden_size", "n_inner"], MAX_COUNT)?
                .unwrap_or(0),
            num_attention_heads,
            num_key_value_heads: fields.num_key_value_heads()?.unwrap_or(num_attention_heads),
            head_dim: head_dim.unwrap_or(hidden_size / num_attention_heads),
            vocab_size: fields.needed(&["vocab_size"])?,
            dtype: fields.text("dtype").or_else(|| fields.text("torch_dtype")),
            max_position_embeddings: fields.length()?,
            num_experts: fields.count(&EXPERTS, MAX_COUNT)?.unwrap_or(0),
            kv_lora_rank: fields.count(&["kv_lora_rank"], MAX_COUNT)?.unwrap_or(0),
            quantization: fields.quantization(),
        })
    }

    /// What differs between this model and that of a profile, of all that step times and memory depend on: field,
    /// value here, value there. Fields that the file does not give are left out.
    ///
    /// A profile is of a dense model with a cache of plain keys and values, so experts and latent attention differ
    /// always. The context length is not compared: it is a limit and costs nothing.
    #[must_use]
    pub fn differences(&self, model: &Model) -> Vec<(&'static str, String, String)> {
        let counts = [
            ("num_hidden_layers", self.num_hidden_layers, model.num_hidden_layers),
            ("hidden_size", self.hidden_size, model.hidden_size),
            ("intermediate_size", self.intermediate_size, model.intermediate_size),
            ("num_attention_heads", self.num_attention_heads, model.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads, model.num_key_value_heads),
            ("head_dim", self.head_dim, model.head_dim),
            ("vocab_size", self.vocab_size, model.vocab_size),
        ];
        let differing = counts.into_iter().filter(|&(_, ours, theirs)| ours != theirs && ours != 0);
        let mut differences: Vec<_> =
            differing.map(|(field, ours, theirs)| (field, ours.to_string(), theirs.to_string())).collect();
        if let Some(dtype) = self.dtype.as_ref().filter(|dtype| **dtype != model.dtype) {
            differences.push(("dtype", dtype.clone(), model.dtype.clone()));
        }
        if self.num_experts > 0 {
            differences.push(("num_experts", self.num_experts.to_string(), "none, a dense model".to_string()));
        }
        if self.kv_lora_rank > 0 {
            differences.push((
                "kv_lora_rank",
                self.kv_lora_rank.to_string(),
                "none, plain keys and values".to_string(),
            ));
        }
        differences
    }
}

/// The fields of the language model, and those of the whole file.
struct Fields<'a> {
    text: &'a Map<String, Value>,
    root: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn value(&self, name: &str) -> Option<&Value> {
        self.text.get(name).filter(|value| !value.is_null())
    }

    /// The first of `names` that is there. 0 and null count as absent, as vLLM has it for head sizes and experts.
    fn count(&self, names: &[&'static str], limit: u32) -> Result<Option<u32>, ModelConfigError> {
        for &field in names {
            // Ernie lists its experts; the numbers are the same.
            let value = self.value(field).map(|value| value.as_array().and_then(|list| list.first()).unwrap_or(value));
            let Some(value) = value else { continue };
            match value.as_u64().and_then(|count| u32::try_from(count).ok()) {
                Some(0) => {}
                Some(count) if count <= limit => return Ok(Some(count)),
                _ => return Err(ModelConfigError::Value { field, value: shown(value), limit }),
            }
        }
        Ok(None)
    }

    fn needed(&self, names: &[&'static str]) -> Result<u32, ModelConfigError> {
        let field = names.first().copied().unwrap_or_default();
        self.count(names, MAX_COUNT)?.ok_or(ModelConfigError::Missing { field })
    }

    fn num_key_value_heads(&self) -> Result<Option<u32>, ModelConfigError> {
        let is = |name: &str| self.value(name).and_then(Value::as_bool).unwrap_or(false);
        if is("multi_query") && !is("new_decoder_architecture") {
            return Ok(Some(1));
        }
        if let Some(attention) = self.value("attn_config").and_then(Value::as_object) {
            return Fields { text: attention, root: self.root }.count(&["kv_n_heads"], MAX_COUNT);
        }
        self.count(&KV_HEADS, MAX_COUNT)
    }

    fn length(&self) -> Result<Option<u32>, ModelConfigError> {
        if let Some(length) = self.count(&["model_max_length"], u32::MAX)? {
            return Ok(Some(length));
        }
        let mut smallest = None;
        for field in LENGTHS {
            if let Some(length) = self.count(&[field], u32::MAX)? {
                smallest = Some(smallest.map_or(length, |smallest: u32| smallest.min(length)));
            }
        }
        Ok(smallest)
    }

    fn text(&self, name: &str) -> Option<String> {
        let text = |fields: &Map<String, Value>| fields.get(name).and_then(Value::as_str).map(shortened);
        // vLLM takes the whole model's type and number format first.
        text(self.root).or_else(|| text(self.text))
    }

    fn architectures(&self) -> Vec<String> {
        const MAX_ARCHITECTURES: usize = 16;
        let list = self.root.get("architectures").or_else(|| self.text.get("architectures")).and_then(Value::as_array);
        let names = list.into_iter().flatten().filter_map(Value::as_str).map(shortened);
        names.take(MAX_ARCHITECTURES).collect()
    }

    fn quantization(&self) -> Option<String> {
        let config = [self.root, self.text].into_iter().find_map(|fields| {
            fields.get("quantization_config").or_else(|| fields.get("compression_config")).and_then(Value::as_object)
        })?;
        config.get("quant_method").and_then(Value::as_str).map(shortened)
    }
}

fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 100;
    text.chars().take(MAX_CHARS).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_string(),
        Value::Object(_) => "an object".to_string(),
        Value::String(text) => alloc::format!("{:?}", shortened(text)),
        value => value.to_string(),
    }
}

fn json_error(error: &serde_json::Error) -> ModelConfigError {
    let message = error.to_string();
    let place = alloc::format!(" at line {} column {}", error.line(), error.column());
    let message = message.strip_suffix(&place).unwrap_or(&message);
    ModelConfigError::Json { message: alloc::format!("{}{place}", json_message::for_people(message)) }
}
