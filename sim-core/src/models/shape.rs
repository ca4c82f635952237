//! What a model's layers compute: the shapes of their matrices, whole, before ranks share them.
//!
//! Step times and the size of the weights follow from these; what the layers keep in the KV cache is
//! [`super::layers`]'. Names are those of vLLM's layers and of `config.json`.

use alloc::string::String;
use alloc::vec::Vec;

use super::settings::Dtype;
use crate::batch::AttentionSpan;

/// A model, by what its layers compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelShape {
    /// The model's class in vLLM.
    pub architecture: String,
    /// Width of the residual stream.
    pub hidden_size: u32,
    /// Tokens in the vocabulary.
    pub vocab_size: u32,
    /// Whether the logits use the embedding's matrix.
    pub tie_word_embeddings: bool,
    /// Number format of activations and of everything that is not quantised.
    pub dtype: Dtype,
    /// Layers that follow each other and are alike, in the model's order.
    pub layers: Vec<LayerRun>,
    /// Number formats of the checkpoint's matrices.
    pub formats: WeightFormats,
    /// Parameters that no layer here has, whole on every rank: vision towers, projections, embeddings of layers.
    pub other_parameters: u64,
}

/// Layers that follow each other and are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerRun {
    /// How many.
    pub num_layers: u32,
    /// One of them.
    pub layer: LayerShape,
}

/// One layer: a mixer of tokens, then an MLP; each behind a norm. Some models' layers have one of the two alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerShape {
    /// What mixes tokens.
    pub mixer: Mixer,
    /// What each token goes through alone.
    pub mlp: Mlp,
    /// Norms over the residual stream in front of and behind mixer and MLP: 2 for Llama, 4 for Gemma 2.
    pub num_norms: u32,
    /// Parameters that follow from nothing else here, whole on every rank: routers' biases, sinks, small gates.
    pub extra_parameters: u64,
    /// Whether its matrices are those of an earlier layer, so that they are computed but not stored again (Zamba 2).
    pub shares_weights: bool,
}

/// What mixes tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mixer {
    /// None: the layer is an MLP alone.
    Nothing,
    /// Attention of heads.
    Attention(AttentionShape),
    /// Latent attention.
    Mla(MlaShape),
    /// A state.
    State(StateShape),
    /// Attention and a state side by side (Falcon-H1).
    AttentionAndState(AttentionShape, StateShape),
}

/// Attention of heads, over all ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionShape {
    /// Query heads.
    pub num_heads: u32,
    /// Key and value heads.
    pub num_kv_heads: u32,
    /// Elements of a query and a key.
    pub head_dim: u32,
    /// Elements of a value.
    pub v_head_dim: u32,
    /// How far back it looks; `None` for all tokens.
    pub span: Option<AttentionSpan>,
    /// Whether queries and keys are normalised by weights, as many as a head has elements.
    pub has_qk_norm: bool,
    /// Whether queries and keys are normalised over all heads together, so that ranks must sum (MiniMax-M2).
    pub norms_all_heads: bool,
    /// Whether queries, keys and values have a bias.
    pub has_qkv_bias: bool,
    /// Whether the output projection has a bias.
    pub has_output_bias: bool,
    /// Whether the output is gated by as many numbers as the queries have (Qwen3-Next, Qwen3.5): the query projection is
    /// twice as wide.
    pub has_output_gate: bool,
    /// Whether it uses another layer's keys and values, so that it projects only queries (Gemma 3n).
    pub shares_kv: bool,
}

/// Latent attention, over all ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MlaShape {
    /// Heads.
    pub num_heads: u32,
    /// Width of the compressed query; `None` if queries are projected at once.
    pub q_lora_rank: Option<u32>,
    /// Width of the compressed keys and values.
    pub kv_lora_rank: u32,
    /// Elements of a query without a position.
    pub qk_nope_head_dim: u32,
    /// Elements of a query with a position.
    pub qk_rope_head_dim: u32,
    /// Elements of a value.
    pub v_head_dim: u32,
    /// Whether the output is gated by as many numbers as the values have (Kimi-K3).
    pub has_output_gate: bool,
    /// The index that chooses which tokens are attended to, if there is one.
    pub indexer: Option<IndexerShape>,
}

/// The index of sparse attention (DeepSeek-V3.2, GLM-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexerShape {
    /// Heads of the index.
    pub num_heads: u32,
    /// Elements of one.
    pub head_dim: u32,
    /// Tokens that are chosen.
    pub topk: u32,
    /// Whether the layer computes the choice itself; others take that of the layer before.
    pub is_own: bool,
}

/// A layer with a state, over all ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateShape {
    /// Gated delta network (Qwen3-Next, Qwen3.5).
    GatedDeltaNet {
        /// Heads of keys.
        num_key_heads: u32,
        /// Heads of values.
        num_value_heads: u32,
        /// Elements of a key.
        key_head_dim: u32,
        /// Elements of a value.
        value_head_dim: u32,
        /// Tokens of the convolution.
        conv_kernel: u32,
    },
    /// Kimi's delta attention (Kimi-Linear, Kimi-K3).
    KimiDelta {
        /// Heads.
        num_heads: u32,
        /// Elements of a head.
        head_dim: u32,
        /// Tokens of the convolution.
        conv_kernel: u32,
        /// Whether the output's gate is a whole matrix (Kimi-K3), not two of the rank of a head.
        has_full_gate: bool,
    },
    /// Mamba-1.
    Mamba1 {
        /// Width inside.
        intermediate_size: u32,
        /// Elements of the state for each number.
        state_size: u32,
        /// Tokens of the convolution.
        conv_kernel: u32,
        /// Width of the projection of time steps.
        time_step_rank: u32,
    },
    /// Mamba-2.
    Mamba2 {
        /// Width inside.
        intermediate_size: u32,
        /// Heads.
        num_heads: u32,
        /// Elements of a head.
        head_dim: u32,
        /// Groups that share B and C.
        num_groups: u32,
        /// Elements of the state for each number.
        state_size: u32,
        /// Tokens of the convolution.
        conv_kernel: u32,
    },
    /// A short convolution (LFM2).
    ShortConv {
        /// Width.
        width: u32,
        /// Tokens of the convolution.
        conv_kernel: u32,
    },
}

/// What each token goes through alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mlp {
    /// None: the layer is a mixer alone.
    Nothing,
    /// One MLP.
    Dense(DenseMlp),
    /// Some of many.
    Experts(ExpertsShape),
}

/// One MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DenseMlp {
    /// Its width.
    pub intermediate_size: u32,
    /// Whether it has a gate beside the way up: three matrices instead of two.
    pub is_gated: bool,
}

/// A mixture of experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertsShape {
    /// Experts that the router chooses from.
    pub num_experts: u32,
    /// Experts that each token goes through.
    pub num_experts_per_tok: u32,
    /// Width of one expert.
    pub intermediate_size: u32,
    /// Whether an expert has a gate.
    pub is_gated: bool,
    /// Whether experts have biases (gpt-oss).
    pub has_bias: bool,
    /// Width of the experts that every token goes through, all together; 0 if there are none.
    pub shared_intermediate_size: u32,
    /// Width of the tokens inside the experts where it is not the residual stream's (Nemotron 3's latent experts).
    pub latent_size: Option<u32>,
    /// Width of a dense MLP beside the experts (Gemma 4); 0 if there is none.
    pub dense_intermediate_size: u32,
    /// Whether the router's matrix has 32 bits a number, whatever the model's have.
    pub has_f32_router: bool,
}

/// The number format of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WeightFormat {
    /// The model's own 16 or 32 bits.
    Unquantized,
    /// 8 bits, float, one scale a tensor or channel (w8a8).
    Fp8,
    /// 8 bits, float, one scale a block of 128 × 128.
    Fp8Block,
    /// 8 bits, whole numbers (w8a8).
    Int8,
    /// 4 bits, float, one scale of 8 bits for 16 numbers.
    Nvfp4,
    /// 4 bits, float, one scale of 8 bits for 32 numbers; activations of 16 bits.
    Mxfp4,
    /// 4 bits, whole numbers, one scale for `group` numbers (AWQ, GPTQ, compressed-tensors w4a16).
    Int4 {
        /// Numbers that share a scale.
        group: u32,
    },
}

/// Which of a model's matrices have which format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightFormats {
    /// Projections of attention and states.
    pub mixer: WeightFormat,
    /// Dense MLPs.
    pub mlp: WeightFormat,
    /// Routed experts.
    pub experts: WeightFormat,
    /// Experts that every token goes through.
    pub shared_experts: WeightFormat,
    /// The matrix of the logits, where it is not the embedding's.
    pub lm_head: WeightFormat,
    /// Whether whole numbers of 4 bits have a zero for each scale (AWQ).
    pub has_zeros: bool,
}

impl WeightFormats {
    /// All of the layers in one format, the logits as they are.
    #[must_use]
    pub const fn all(format: WeightFormat) -> Self {
        Self {
            mixer: format,
            mlp: format,
            experts: format,
            shared_experts: format,
            lm_head: WeightFormat::Unquantized,
            has_zeros: false,
        }
    }
}
