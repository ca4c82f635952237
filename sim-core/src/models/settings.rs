//! The engine arguments that decide what a layer keeps.

use core::fmt;

use super::shape::WeightFormat;

/// A number format of weights and states (`--dtype`, `--mamba-cache-dtype`, `--mamba-ssm-cache-dtype`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// 4 bytes.
    Float32,
    /// 2 bytes.
    Float16,
    /// 2 bytes.
    Bfloat16,
}

impl Dtype {
    /// The format that `name` means to vLLM, `torch.` before it or not.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("torch.").unwrap_or(name) {
            "float32" | "float" => Self::Float32,
            "float16" | "half" => Self::Float16,
            "bfloat16" => Self::Bfloat16,
            _ => return None,
        })
    }

    /// vLLM's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
        }
    }

    /// Bytes of one number.
    #[must_use]
    pub const fn num_bytes(self) -> u64 {
        match self {
            Self::Float32 => 4,
            Self::Float16 | Self::Bfloat16 => 2,
        }
    }
}

/// The number format of keys and values (`--kv-cache-dtype`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvCacheDtype {
    /// The checkpoint's, which is the weights' unless its quantization says otherwise.
    #[default]
    Auto,
    /// This one.
    Plain(Dtype),
    /// One byte a number: `fp8`, `fp8_e4m3` and `fp8_e5m2`.
    Fp8,
}

impl KvCacheDtype {
    /// The format that `name` means to vLLM; `None` for the formats that are not simulated.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Self::Auto,
            "fp8" | "fp8_e4m3" | "fp8_e5m2" => Self::Fp8,
            "float16" | "bfloat16" => Self::Plain(Dtype::from_name(name)?),
            _ => return None,
        })
    }
}

/// Attention kernels that were asked for by name (`--attention-backend`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionBackend {
    /// `FLASH_ATTN`, `TRITON_ATTN`, `FLEX_ATTENTION`: they take blocks of any multiple of 16 tokens.
    AnySixteen,
    /// `FLASHINFER`: blocks of 16, 32 or 64 tokens.
    FlashInfer,
    /// `FLASH_ATTN_MLA`, `TRITON_MLA`: latent attention over any multiple of 16 tokens.
    MlaAnySixteen,
    /// `FLASHMLA`: latent attention over blocks of 64 tokens.
    FlashMla,
    /// `FLASH_ATTN_MLA_SPARSE`, `FLASHMLA_SPARSE`: latent attention over chosen tokens.
    MlaSparse,
}

impl AttentionBackend {
    /// The kernels called `name` by vLLM; `None` if what they take is not known.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "FLASH_ATTN" | "TRITON_ATTN" | "FLEX_ATTENTION" => Self::AnySixteen,
            "FLASHINFER" => Self::FlashInfer,
            "FLASH_ATTN_MLA" | "TRITON_MLA" => Self::MlaAnySixteen,
            "FLASHMLA" => Self::FlashMla,
            "FLASH_ATTN_MLA_SPARSE" | "FLASHMLA_SPARSE" => Self::MlaSparse,
            _ => return None,
        })
    }
}

/// A method of quantising weights (`--quantization`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantization {
    name: &'static str,
}

impl Quantization {
    /// The method that vLLM 0.33 calls `name` (`QUANTIZATION_METHODS`).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        const METHODS: [&str; 28] = [
            "awq",
            "auto_awq",
            "awq_marlin",
            "fp8",
            "fbgemm_fp8",
            "fp_quant",
            "modelopt",
            "modelopt_fp4",
            "modelopt_mxfp8",
            "modelopt_mixed",
            "auto_gptq",
            "gptq",
            "gptq_marlin",
            "humming",
            "compressed-tensors",
            "experts_int8",
            "quark",
            "moe_wna16",
            "torchao",
            "inc",
            "mxfp4",
            "gpt_oss_mxfp4",
            "bitsandbytes",
            "gguf",
            "fp8_per_tensor",
            "fp8_per_block",
            "fp8_per_channel",
            "mxfp8",
        ];
        METHODS.into_iter().find(|known| *known == name).map(|name| Self { name })
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The format that the weights of an unquantised checkpoint get while they are loaded; `None` for methods that need a
    /// checkpoint of their own.
    pub(super) fn online(self) -> Option<WeightFormat> {
        Some(match self.name {
            "fp8" | "fp8_per_tensor" | "fp8_per_channel" => WeightFormat::Fp8,
            // The nearest to 8 bits with a scale for 32 numbers.
            "fp8_per_block" | "mxfp8" => WeightFormat::Fp8Block,
            _ => return None,
        })
    }

    /// Whether vLLM takes it for a checkpoint of `method`: the same, or another kernel for the same weights.
    pub(crate) fn goes_with(self, method: &str) -> bool {
        const FAMILIES: [&[&str]; 5] = [
            &["awq", "auto_awq", "awq_marlin", "moe_wna16"],
            &["gptq", "auto_gptq", "gptq_marlin", "moe_wna16"],
            &["modelopt", "modelopt_fp4", "modelopt_mxfp8", "modelopt_mixed"],
            &["mxfp4", "gpt_oss_mxfp4"],
            &["inc", "auto-round"],
        ];
        self.name == method || FAMILIES.iter().any(|family| family.contains(&self.name) && family.contains(&method))
    }
}

impl fmt::Display for Quantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// CUDA's number of a generation of GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComputeCapability {
    /// Before the dot.
    pub major: u32,
    /// Behind it.
    pub minor: u32,
}

impl ComputeCapability {
    /// H100 and H200.
    pub const HOPPER: Self = Self { major: 9, minor: 0 };

    /// The number that is written as `9.0`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let (major, minor) = name.split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for ComputeCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The settings beside the model, as vLLM's flags have them; the default is vLLM's on an H100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelSettings {
    /// Ranks that share the heads, at least 1.
    pub tensor_parallel_size: u32,
    /// Number format of weights and activations; `None` for the checkpoint's.
    pub dtype: Option<Dtype>,
    /// Number format of keys and values.
    pub kv_cache_dtype: KvCacheDtype,
    /// Number format of a state's convolution; `None` for the weights'.
    pub mamba_cache_dtype: Option<Dtype>,
    /// Number format of a state's recurrent part; `None` for what the model asks for.
    pub mamba_ssm_cache_dtype: Option<Dtype>,
    /// Attention kernels; `None` for those that vLLM chooses.
    pub attention_backend: Option<AttentionBackend>,
    /// The GPU, which decides about kernels.
    pub compute_capability: ComputeCapability,
    /// How the weights are quantised; `None` for what the checkpoint says.
    pub quantization: Option<Quantization>,
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            tensor_parallel_size: 1,
            dtype: None,
            kv_cache_dtype: KvCacheDtype::Auto,
            mamba_cache_dtype: None,
            mamba_ssm_cache_dtype: None,
            attention_backend: None,
            compute_capability: ComputeCapability::HOPPER,
            quantization: None,
        }
    }
}
