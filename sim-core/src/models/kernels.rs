//! The blocks that a model's attention kernels take.
//!
//! Source: `vllm/platforms/cuda.py::_get_backend_priorities` for which kernels vLLM chooses, each backend's
//! `get_supported_kernel_block_sizes` for what they take, `vllm/platforms/interface.py::update_block_size_for_backend` for
//! the block size that follows.

use alloc::format;

use super::error::ModelConfigError;
use super::rank::Rank;
use super::settings::{AttentionBackend, ModelSettings};

/// What kind of attention a model has, as far as kernels are chosen by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attention {
    /// None: states alone.
    None,
    /// Keys and values of heads.
    Heads,
    /// The same with heads of 512 numbers in some layers (Gemma 4).
    WideHeads,
    /// Latent vectors.
    Mla,
    /// Latent vectors of chosen tokens.
    SparseMla,
}

/// Blocks that the kernels of all layers take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockSizes {
    /// Tokens of a block unless others are asked for; `None` for vLLM's 16.
    pub(super) default: Option<u32>,
    /// Smallest number of tokens whose multiples are taken.
    pub(super) kernel: u32,
    /// Most tokens in one piece; `None` where any multiple is.
    pub(super) max_kernel: Option<u32>,
}

impl BlockSizes {
    /// Any multiple of 16 tokens.
    const ANY_SIXTEEN: Self = Self { default: None, kernel: 16, max_kernel: None };
    /// 16, 32 or 64 tokens.
    const FLASHINFER: Self = Self { default: None, kernel: 16, max_kernel: Some(64) };
    /// 64 tokens.
    const SIXTY_FOUR: Self = Self { default: Some(64), kernel: 64, max_kernel: None };

    /// The blocks of a model's kernels.
    pub(super) fn of(
        architecture: &str,
        attention: Attention,
        rank: &Rank<'_>,
        settings: &ModelSettings,
    ) -> Result<Self, ModelConfigError> {
        let asked = settings.attention_backend;
        let capability = settings.compute_capability;
        let is_hopper = capability.major == 9;
        let unknown = || ModelConfigError::ComputeCapability { architecture: architecture.into(), capability };
        let sizes = match attention {
            Attention::None => Self::ANY_SIXTEEN,
            Attention::Heads | Attention::WideHeads => match asked {
                // FlashAttention 4 serves the wide heads.
                _ if attention == Attention::WideHeads && rank.is_fp8 && is_hopper => {
                    Self { default: Some(64), ..Self::ANY_SIXTEEN }
                }
                _ if attention == Attention::WideHeads && rank.is_fp8 => return Err(unknown()),
                Some(AttentionBackend::AnySixteen) => Self::ANY_SIXTEEN,
                Some(AttentionBackend::FlashInfer) => Self::FLASHINFER,
                None if capability.major == 10 => Self::FLASHINFER,
                None => Self::ANY_SIXTEEN,
                Some(other) => return Err(other_kind(other)),
            },
            Attention::Mla => match asked {
                Some(AttentionBackend::MlaAnySixteen) => Self::ANY_SIXTEEN,
                Some(AttentionBackend::FlashMla) => Self::SIXTY_FOUR,
                None if capability.major == 10 => Self { default: Some(32), kernel: 32, max_kernel: Some(64) },
                None if is_hopper && rank.is_fp8 => Self::SIXTY_FOUR,
                None => Self::ANY_SIXTEEN,
                Some(other) => return Err(other_kind(other)),
            },
            Attention::SparseMla => match asked {
                _ if !is_hopper => return Err(unknown()),
                None | Some(AttentionBackend::MlaSparse) => Self::SIXTY_FOUR,
                Some(other) => return Err(other_kind(other)),
            },
        };
        Ok(sizes)
    }
}

fn other_kind(asked: AttentionBackend) -> ModelConfigError {
    let why = "these kernels are for another kind of attention than the model's";
    ModelConfigError::Setting { field: "attention_backend", value: format!("{asked:?}"), why }
}
