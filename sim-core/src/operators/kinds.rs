//! The operators of a pack.

use serde::Serialize;

use crate::profile::from_json::names;

/// An operator that was measured by itself, in one of vLLM's own layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// A matrix product. Shape: n, k, of `m × k` with `k × n`. Curve over m, the tokens. Format: the matrix's.
    Product,
    /// Routing, the experts of one rank, activation and sum. Shape: `hidden_size`, `intermediate_size`, experts of a token,
    /// experts, ranks that slice each expert, ranks that share them out. Curve over the tokens of all ranks. Format: the
    /// matrices'; variant: how tokens fall on experts.
    Experts,
    /// Attention of one whole prompt. Shape: query heads, key heads, elements of a head, window (0: none). Curve over
    /// the prompt's tokens. Format: the KV cache's.
    PromptAttention,
    /// Attention of requests with one new token. Shape as before. Grid over requests and the tokens each attends to.
    DecodeAttention,
    /// A block of latent attention with its projections (DeepSeek-V3's widths), one prompt. Shape: heads. Curve over tokens.
    /// Format: the KV cache's; variant: the projections' format.
    LatentPrompt,
    /// The same for requests with one new token. Grid over requests and context.
    LatentDecode,
    /// The same where an index chooses the tokens that are attended to (DeepSeek-V3.2 and GLM-5). Shape: heads, heads of the
    /// index. Curve over tokens.
    SparsePrompt,
    /// The same for requests with one new token. Grid over requests and context.
    SparseDecode,
    /// Convolution and scan of a gated delta network, one prompt. Shape: key heads, value heads. Curve over tokens.
    DeltaPrompt,
    /// The same for requests with one new token. Curve over requests.
    DeltaDecode,
    /// Convolution and scan of Kimi's delta attention, one prompt. Shape: heads. Curve over tokens.
    KimiDeltaPrompt,
    /// The same for requests with one new token. Curve over requests.
    KimiDeltaDecode,
    /// vLLM's own all-reduce inside a CUDA graph. Shape: GPUs. Curve over the numbers (of 16 bits) that are summed.
    AllReduce,
    /// NCCL's all-reduce. Shape and axis as before.
    NcclAllReduce,
    /// NCCL's all-gather; the axis counts what all ranks hold together.
    AllGather,
    /// NCCL's reduce-scatter; the axis counts what each rank begins with.
    ReduceScatter,
    /// Tokens sent to the ranks of their experts and back (`DeepEP`). Shape: ranks, `hidden_size`, experts of a token. Curve
    /// over a rank's tokens.
    AllToAll,
}

impl Operator {
    /// As it stands in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Experts => "experts",
            Self::PromptAttention => "prompt_attention",
            Self::DecodeAttention => "decode_attention",
            Self::LatentPrompt => "latent_prompt",
            Self::LatentDecode => "latent_decode",
            Self::SparsePrompt => "sparse_prompt",
            Self::SparseDecode => "sparse_decode",
            Self::DeltaPrompt => "delta_prompt",
            Self::DeltaDecode => "delta_decode",
            Self::KimiDeltaPrompt => "kimi_delta_prompt",
            Self::KimiDeltaDecode => "kimi_delta_decode",
            Self::AllReduce => "all_reduce",
            Self::NcclAllReduce => "nccl_all_reduce",
            Self::AllGather => "all_gather",
            Self::ReduceScatter => "reduce_scatter",
            Self::AllToAll => "all_to_all",
        }
    }

    /// Numbers that a shape of it has.
    #[must_use]
    pub const fn num_sizes(self) -> usize {
        match self {
            Self::Product | Self::DeltaPrompt | Self::DeltaDecode | Self::SparsePrompt | Self::SparseDecode => 2,
            Self::Experts => 6,
            Self::PromptAttention | Self::DecodeAttention => 4,
            Self::AllToAll => 3,
            _ => 1,
        }
    }

    /// Whether its times are a grid over requests and context; the others' are a curve.
    #[must_use]
    pub const fn is_grid(self) -> bool {
        matches!(self, Self::DecodeAttention | Self::LatentDecode | Self::SparseDecode)
    }
}

names! {
    Operator {
        "product" => Product,
        "experts" => Experts,
        "prompt_attention" => PromptAttention,
        "decode_attention" => DecodeAttention,
        "latent_prompt" => LatentPrompt,
        "latent_decode" => LatentDecode,
        "sparse_prompt" => SparsePrompt,
        "sparse_decode" => SparseDecode,
        "delta_prompt" => DeltaPrompt,
        "delta_decode" => DeltaDecode,
        "kimi_delta_prompt" => KimiDeltaPrompt,
        "kimi_delta_decode" => KimiDeltaDecode,
        "all_reduce" => AllReduce,
        "nccl_all_reduce" => NcclAllReduce,
        "all_gather" => AllGather,
        "reduce_scatter" => ReduceScatter,
        "all_to_all" => AllToAll,
    }
}
