//! How a model is to run.

use alloc::string::String;

use crate::models::settings::Quantization;
use crate::models::{Dtype, KvCacheDtype};

/// The engine arguments that decide about step times and weights, with vLLM's names and defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// Ranks that share each layer.
    pub tensor_parallel_size: u32,
    /// Engines that share the requests, and the experts if there are any.
    pub data_parallel_size: u32,
    /// Whether ranks share experts out instead of slicing each.
    pub enable_expert_parallel: bool,
    /// Number format of weights and activations; `None` for the checkpoint's.
    pub dtype: Option<Dtype>,
    /// The method by which weights are quantised; `None` for the checkpoint's.
    pub quantization: Option<Quantization>,
    /// Number format of the KV cache.
    pub kv_cache_dtype: KvCacheDtype,
    /// The version of vLLM that the profile is for; `None` for the pack's.
    pub vllm_version: Option<String>,
    /// How tokens fall on experts.
    pub routing: Routing,
    /// Whether experts in MXFP4 multiply activations of 8 bits (`VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8`).
    pub has_fp8_activations: bool,
}

/// How tokens fall on experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Routing {
    /// Each expert gets as many.
    Balanced,
    /// Some get much more, by a power law with exponent 1.2.
    #[default]
    Skewed,
}

impl Routing {
    /// As packs have it.
    #[must_use]
    pub const fn variant(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Skewed => "power_law_1.2",
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            tensor_parallel_size: 1,
            data_parallel_size: 1,
            enable_expert_parallel: false,
            dtype: None,
            quantization: None,
            kv_cache_dtype: KvCacheDtype::Auto,
            vllm_version: None,
            routing: Routing::Skewed,
            has_fp8_activations: false,
        }
    }
}
