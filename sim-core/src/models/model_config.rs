//! What a `config.json` says of a model, in the few numbers that people know models by and that profiles are matched by.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::config_file::ConfigFile;
use super::defaults;
use super::error::{MAX_BYTES, ModelConfigError, shortened};
use super::max_len::max_model_len;
use super::model_shape::layers;
use super::settings::ModelSettings;
use super::shape::{LayerRun, Mixer, Mlp};
use super::weight_formats::quantization_config;

/// A model in numbers, under the names of `config.json`. Where layers differ it is their first that counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelConfig {
    /// The model's class in vLLM.
    pub architecture: String,
    /// Family.
    pub model_type: String,
    /// Width of the residual stream.
    pub hidden_size: u32,
    /// Layers.
    pub num_hidden_layers: u32,
    /// Width of the MLP, or of one expert.
    pub intermediate_size: u32,
    /// Query heads; 1 without attention.
    pub num_attention_heads: u32,
    /// Key and value heads; 1 without attention, all heads for latent attention.
    pub num_key_value_heads: u32,
    /// Elements of a query and a key of one head: for latent attention both parts, `qk_nope_head_dim` and
    /// `qk_rope_head_dim`.
    pub head_dim: u32,
    /// Elements of a value of one head.
    pub v_head_dim: u32,
    /// Tokens in the vocabulary.
    pub vocab_size: u32,
    /// Number format of the weights; vLLM looks into the weights themselves if this is `None`.
    pub dtype: Option<String>,
    /// Longest sequence the model was made for.
    pub max_position_embeddings: u32,
    /// Experts per layer; 0 for a dense model.
    pub num_experts: u32,
    /// Width of the compressed keys and values of multi-head latent attention; 0 without.
    pub kv_lora_rank: u32,
    /// Quantisation method.
    pub quantization: Option<String>,
}

impl ModelConfig {
    /// Longest file that is read.
    pub const MAX_BYTES: usize = MAX_BYTES;

    /// Reads a `config.json`. Unknown fields are ignored: every model has its own.
    ///
    /// # Errors
    /// See [`ModelConfigError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, ModelConfigError> {
        let file = ConfigFile::parse(bytes)?;
        let settings = ModelSettings::default();
        let (architecture, rank, layers) = layers(&file, &settings)?;
        let (root, fields) = (file.root(), rank.fields);
        let model_type = match root.text("model_type")? {
            Some(own) => shortened(own),
            None => defaults::type_of(architecture.name).unwrap_or_default().to_string(),
        };
        let dtype = |field| Ok(root.text(field)?.or(fields.text(field)?).map(shortened));
        let quantization = match quantization_config(&file)? {
            Some(config) => config.text("quant_method")?.or(config.text("quant_algo")?).map(shortened),
            None => None,
        };
        Ok(Self {
            architecture: architecture.name.into(),
            model_type,
            hidden_size: fields.count("hidden_size")?,
            vocab_size: fields.count("vocab_size")?,
            dtype: dtype("dtype")?.or(dtype("torch_dtype")?),
            max_position_embeddings: max_model_len(fields, architecture.name, architecture.default_max_model_len())?,
            quantization,
            ..Self::of_layers(&layers)
        })
    }

    /// A sentence on the sizes that a file leaves out, so that they are as in its class of the library; `None` if it says
    /// all of them.
    ///
    /// # Errors
    /// If it is no `config.json`.
    pub fn note_on_defaults(bytes: &[u8]) -> Result<Option<String>, ModelConfigError> {
        let file = ConfigFile::parse(bytes)?;
        let sizes = file.left_out().join(", ");
        let told = || format!("The model's config.json leaves out what its class in transformers has: {sizes}.");
        Ok((!sizes.is_empty()).then(told))
    }

    /// What follows from the layers alone.
    pub(crate) fn of_layers(layers: &[LayerRun]) -> Self {
        let mut model = Self {
            num_hidden_layers: layers.iter().map(|run| run.num_layers).fold(0, u32::saturating_add),
            num_attention_heads: 1,
            num_key_value_heads: 1,
            head_dim: 1,
            v_head_dim: 1,
            ..Self::default()
        };
        if let Some(run) = layers.iter().find(|run| !matches!(run.layer.mixer, Mixer::Nothing | Mixer::State(_))) {
            model.take_heads(&run.layer.mixer);
        }
        for run in layers {
            let (width, experts) = match run.layer.mlp {
                Mlp::Dense(mlp) => (mlp.intermediate_size, 0),
                Mlp::Experts(experts) => (experts.intermediate_size, experts.num_experts),
                Mlp::Nothing => continue,
            };
            if model.intermediate_size == 0 {
                model.intermediate_size = width;
            }
            model.num_experts = model.num_experts.max(experts);
        }
        model
    }

    fn take_heads(&mut self, mixer: &Mixer) {
        match mixer {
            Mixer::Attention(heads) | Mixer::AttentionAndState(heads, _) => {
                (self.num_attention_heads, self.num_key_value_heads) = (heads.num_heads, heads.num_kv_heads);
                (self.head_dim, self.v_head_dim) = (heads.head_dim, heads.v_head_dim);
            }
            Mixer::Mla(mla) => {
                (self.num_attention_heads, self.num_key_value_heads) = (mla.num_heads, mla.num_heads);
                self.head_dim = mla.qk_nope_head_dim.saturating_add(mla.qk_rope_head_dim);
                (self.v_head_dim, self.kv_lora_rank) = (mla.v_head_dim, mla.kv_lora_rank);
            }
            Mixer::Nothing | Mixer::State(_) => {}
        }
    }

    /// It in a few words: `32 layers of 4096, 32 heads of 128 with 8 of keys and values, bfloat16`.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        parts.push(format!("{} layers of {}", self.num_hidden_layers, self.hidden_size));
        let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
        match (self.kv_lora_rank, heads) {
            (0, 1) if self.head_dim == 1 => {}
            (0, _) if kv_heads == heads => parts.push(format!("{heads} heads of {}", self.head_dim)),
            (0, _) => parts.push(format!("{heads} heads of {} with {kv_heads} of keys and values", self.head_dim)),
            (rank, _) => parts.push(format!(
                "{heads} heads of latent attention (queries and keys of {}, values of {}, {rank} compressed)",
                self.head_dim, self.v_head_dim
            )),
        }
        if self.num_experts > 0 {
            parts.push(format!("{} experts", self.num_experts));
        }
        parts.extend(self.quantization.clone().or_else(|| self.dtype.clone()));
        parts.join(", ")
    }
}
