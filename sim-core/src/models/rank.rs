//! What one layer keeps on one rank, in bytes.
//!
//! Source: `vllm/v1/kv_cache_interface.py::AttentionSpec`, `vllm/config/model.py::ModelConfig.get_num_kv_heads`.

use super::config_file::{ConfigFile, Fields};
use super::error::ModelConfigError;
use super::layers::{ModelLayerKind, ModelLayers};
use super::quantization;
use super::settings::{ComputeCapability, Dtype, KvCacheDtype, ModelSettings};

/// A language model's fields, with the number formats of what its layers keep and the ranks that share it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rank<'a> {
    /// Fields of the language model.
    pub(super) fields: Fields<'a>,
    /// Number format of weights and activations.
    pub(super) dtype: Dtype,
    /// Whether keys and values are stored in one byte a number.
    pub(super) is_fp8: bool,
    /// Ranks, at least 1.
    pub(super) tensor_parallel_size: u32,
    /// The GPU.
    pub(super) compute_capability: ComputeCapability,
    mamba_cache_dtype: Option<Dtype>,
    mamba_ssm_cache_dtype: Option<Dtype>,
    /// Bytes of a number of keys and values.
    pub(super) kv_bytes: u64,
}

/// Keys and values of a token in one layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    /// Key and value heads over all ranks.
    pub(super) num_kv_heads: u32,
    /// Elements of a key.
    pub(super) head_size: u32,
    /// Elements of a value.
    pub(super) head_size_v: u32,
}

impl Heads {
    /// Heads whose keys and values are as wide.
    pub(super) const fn new(num_kv_heads: u32, head_size: u32) -> Self {
        Self { num_kv_heads, head_size, head_size_v: head_size }
    }

    /// `num_key_value_heads` of `head_dim` elements, under the names that most models have for them.
    pub(super) fn of(fields: Fields<'_>) -> Result<Self, ModelConfigError> {
        let num_heads = fields.optional_count("num_attention_heads")?;
        let num_kv_heads = match fields.optional_count("num_key_value_heads")? {
            Some(num_kv_heads) => num_kv_heads,
            None => num_heads.ok_or(ModelConfigError::missing("num_attention_heads"))?,
        };
        let head_size = match fields.optional_count("head_dim")? {
            Some(head_size) => head_size,
            None => per_head(fields, 1)?,
        };
        Ok(Self::new(num_kv_heads, head_size))
    }
}

/// `times` the width of the residual stream, divided among the query heads.
pub(super) fn per_head(fields: Fields<'_>, times: u32) -> Result<u32, ModelConfigError> {
    let (hidden_size, num_heads) = (fields.count("hidden_size")?, fields.count("num_attention_heads")?);
    let head_size = hidden_size.saturating_mul(times) / num_heads;
    if head_size == 0 {
        let value = serde_json::Value::from(num_heads);
        return Err(ModelConfigError::value("num_attention_heads", &value, "at most hidden_size"));
    }
    Ok(head_size)
}

impl<'a> Rank<'a> {
    /// The language model of `file` under `settings`.
    pub(super) fn new(file: &'a ConfigFile, settings: &ModelSettings) -> Result<Self, ModelConfigError> {
        let tensor_parallel_size = settings.tensor_parallel_size;
        if tensor_parallel_size == 0 {
            let why = "there is at least one rank";
            return Err(ModelConfigError::Setting { field: "tensor_parallel_size", value: "0".into(), why });
        }
        let dtype = quantization::dtype(file, settings)?;
        let kv_cache_dtype = quantization::kv_cache_dtype(file, settings, dtype)?;
        let (is_fp8, kv_bytes) = match kv_cache_dtype {
            KvCacheDtype::Fp8 => (true, 1),
            KvCacheDtype::Plain(dtype) => (false, dtype.num_bytes()),
            KvCacheDtype::Auto => (false, dtype.num_bytes()),
        };
        Ok(Self {
            fields: file.text()?,
            dtype,
            is_fp8,
            tensor_parallel_size,
            compute_capability: settings.compute_capability,
            mamba_cache_dtype: settings.mamba_cache_dtype,
            mamba_ssm_cache_dtype: settings.mamba_ssm_cache_dtype,
            kv_bytes,
        })
    }

    /// Another model of the same engine, whose cache has the same number formats: a drafter.
    pub(super) fn with_fields<'b>(&self, file: &'b ConfigFile) -> Result<Rank<'b>, ModelConfigError> {
        Ok(Rank { fields: file.text()?, ..*self })
    }

    /// `amount` of something that the ranks share.
    pub(super) fn share(&self, amount: u64) -> u64 {
        amount / u64::from(self.tensor_parallel_size)
    }

    /// Number format of a state's convolution.
    pub(super) fn conv_dtype(&self) -> Dtype {
        self.mamba_cache_dtype.unwrap_or(self.dtype)
    }

    /// Number format of a state's recurrent part that was asked for.
    pub(super) const fn given_ssm_dtype(&self) -> Option<Dtype> {
        self.mamba_ssm_cache_dtype
    }

    /// One layer of full attention.
    pub(super) fn full(&self, heads: Heads) -> ModelLayers {
        self.attention(ModelLayerKind::FullAttention, heads)
    }

    /// One layer over the last `window` tokens, the newest included.
    pub(super) fn window(&self, heads: Heads, window: u32) -> ModelLayers {
        self.attention(ModelLayerKind::SlidingWindow(window), heads)
    }

    /// One layer of attention of `kind`.
    pub(super) fn attention(&self, kind: ModelLayerKind, heads: Heads) -> ModelLayers {
        // Ranks beyond the heads hold copies of one.
        let num_kv_heads = (heads.num_kv_heads / self.tensor_parallel_size).max(1);
        let width = u64::from(heads.head_size) + u64::from(heads.head_size_v);
        let bytes = u64::from(num_kv_heads).saturating_mul(width).saturating_mul(self.kv_bytes);
        layer(kind, (num_kv_heads, heads.head_size), bytes)
    }

    /// One layer of latent attention with `width` numbers a token, all on every rank.
    pub(super) fn mla(&self, width: u32) -> ModelLayers {
        self.mla_row(width, u64::from(width).saturating_mul(self.kv_bytes))
    }

    /// The same, with a row of `bytes` a token.
    pub(super) fn mla_row(&self, width: u32, bytes: u64) -> ModelLayers {
        layer(ModelLayerKind::Mla, (1, width), bytes)
    }
}

/// One layer of `heads`, a number of them and their width.
pub(super) const fn layer(kind: ModelLayerKind, heads: (u32, u32), bytes: u64) -> ModelLayers {
    ModelLayers {
        num_layers: 1,
        kind,
        num_kv_heads: heads.0,
        head_size: heads.1,
        bytes,
        bytes_per_draft_token: 0,
        prefill_checkpoint: None,
        is_draft: false,
    }
}
