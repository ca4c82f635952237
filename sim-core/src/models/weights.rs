//! How large a model's weights are: parameters, and bytes on one rank as vLLM holds them.
//!
//! Source: the files that `weight_parts` names; `vllm/model_executor/layers/quantization` for scales,
//! `vllm/model_executor/layers/fused_moe/oracle/mxfp4.py` for padding.

use super::settings::ComputeCapability;
use super::shape::{ModelShape, WeightFormat};
use super::weight_parts::{PartOf, Parts, Store};

/// Words that a vocabulary is padded to a multiple of (`DEFAULT_VOCAB_PADDING_SIZE`).
const VOCABULARY_STEP: u64 = 64;

/// How ranks share the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightSharing {
    /// Ranks that share every matrix (`--tensor-parallel-size`), at least 1.
    pub tensor_parallel_size: u32,
    /// Engines that share the experts if those are spread (`--data-parallel-size`), at least 1.
    pub data_parallel_size: u32,
    /// Whether each rank has whole experts (`--enable-expert-parallel`) instead of a slice of each.
    pub enable_expert_parallel: bool,
    /// The GPU, which decides about kernels and so about padding.
    pub compute_capability: ComputeCapability,
}

impl WeightSharing {
    /// One rank that holds everything.
    pub const ALONE: Self = Self {
        tensor_parallel_size: 1,
        data_parallel_size: 1,
        enable_expert_parallel: false,
        compute_capability: ComputeCapability::HOPPER,
    };

    /// `tensor_parallel_size` ranks of one engine, with slices of experts.
    #[must_use]
    pub const fn tensor_parallel(tensor_parallel_size: u32) -> Self {
        Self { tensor_parallel_size, ..Self::ALONE }
    }

    /// Ranks that the experts are spread over, at least 1.
    pub(super) fn expert_ranks(&self) -> u64 {
        let ranks = u64::from(self.tensor_parallel_size).saturating_mul(u64::from(self.data_parallel_size));
        ranks.max(1)
    }

    /// The widths of a stream and of an expert, as the kernels for a format want them. gpt-oss on an H100 has Triton's.
    pub(super) fn padded(&self, format: WeightFormat, hidden: u64, width: u64) -> (u64, u64) {
        match (format, self.compute_capability.major) {
            (WeightFormat::Mxfp4, 9) => (hidden, width.next_multiple_of(64)),
            (WeightFormat::Mxfp4, _) => (hidden.next_multiple_of(256), width.next_multiple_of(128)),
            _ => (hidden, width),
        }
    }
}

/// The bytes of one rank's weights, by what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WeightBytes {
    /// The embedding of the vocabulary.
    pub embedding: u64,
    /// The matrix of the logits; 0 where it is the embedding's.
    pub lm_head: u64,
    /// Attention and states, with norms and small gates.
    pub mixers: u64,
    /// MLPs that every token goes through, routers, shared experts.
    pub mlps: u64,
    /// Routed experts.
    pub experts: u64,
    /// What belongs to no layer.
    pub other: u64,
}

impl WeightBytes {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        [self.embedding, self.lm_head, self.mixers, self.mlps, self.experts, self.other]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

impl ModelShape {
    /// The weights of one rank, in bytes, scales and padding included.
    #[must_use]
    pub fn weights(&self, sharing: &WeightSharing) -> WeightBytes {
        let mut bytes = WeightBytes::default();
        let parts = Parts::new(self, sharing);
        for run in &self.layers {
            parts.of_layer(&run.layer, &mut |part| {
                let one = self.bytes_of(part.store, part.rows, part.columns);
                let all = one.saturating_mul(part.copies).saturating_mul(u64::from(run.num_layers));
                let of = match part.of {
                    PartOf::Mixer => &mut bytes.mixers,
                    PartOf::Mlp => &mut bytes.mlps,
                    PartOf::Experts => &mut bytes.experts,
                };
                *of = of.saturating_add(all);
            });
        }
        let hidden = u64::from(self.hidden_size);
        let words = u64::from(self.vocab_size).next_multiple_of(VOCABULARY_STEP);
        let words = words.div_ceil(u64::from(sharing.tensor_parallel_size.max(1)));
        bytes.embedding = self.bytes_of(Store::Plain, words, hidden);
        if !self.tie_word_embeddings {
            bytes.lm_head = self.bytes_of(Store::Format(self.formats.lm_head), words, hidden);
        }
        bytes.other = self.bytes_of(Store::Plain, 1, self.other_parameters.saturating_add(hidden));
        bytes
    }

    /// All parameters, as publishers count them: without scales and padding, and once where they are shared.
    #[must_use]
    pub fn num_parameters(&self) -> u64 {
        self.parameters(|_| None)
    }

    /// Parameters that one token meets: of the routed experts those that it goes through, everything else whole.
    #[must_use]
    pub fn num_active_parameters(&self) -> u64 {
        self.parameters(|layer| match layer.mlp {
            super::shape::Mlp::Experts(experts) => Some(u64::from(experts.num_experts_per_tok)),
            _ => None,
        })
    }

    /// Parameters, of so many experts of a layer.
    fn parameters(&self, num_experts: impl Fn(&super::shape::LayerShape) -> Option<u64>) -> u64 {
        let unpadded = Self { formats: super::shape::WeightFormats::all(WeightFormat::Unquantized), ..self.clone() };
        let hidden = u64::from(self.hidden_size);
        let vocabularies = if self.tie_word_embeddings { 1 } else { 2 };
        let words = u64::from(self.vocab_size).saturating_mul(vocabularies).saturating_mul(hidden);
        let mut sum = words.saturating_add(self.other_parameters).saturating_add(hidden);
        let parts = Parts::new(&unpadded, &WeightSharing::ALONE);
        for run in &self.layers {
            let chosen = num_experts(&run.layer);
            parts.of_layer(&run.layer, &mut |part| {
                let copies = if part.of == PartOf::Experts { chosen.unwrap_or(part.copies) } else { part.copies };
                let one = part.rows.saturating_mul(part.columns).saturating_mul(copies);
                sum = sum.saturating_add(one.saturating_mul(u64::from(run.num_layers)));
            });
        }
        sum
    }

    /// Bytes of a matrix of `rows` × `columns`.
    fn bytes_of(&self, store: Store, rows: u64, columns: u64) -> u64 {
        let numbers = rows.saturating_mul(columns);
        let format = match store {
            Store::Plain | Store::Copy => WeightFormat::Unquantized,
            Store::Wide => return numbers.saturating_mul(4),
            Store::Format(format) => format,
        };
        let scales = |group: u64| rows.saturating_mul(columns.div_ceil(group.max(1)));
        match format {
            WeightFormat::Unquantized => numbers.saturating_mul(self.dtype.num_bytes()),
            // A scale of 32 bits for each row.
            WeightFormat::Fp8 | WeightFormat::Int8 => numbers.saturating_add(rows.saturating_mul(4)),
            WeightFormat::Fp8Block => {
                let blocks = rows.div_ceil(128).saturating_mul(columns.div_ceil(128));
                numbers.saturating_add(blocks.saturating_mul(4))
            }
            // Two scales of 32 bits for the whole: of the weights and of what goes in.
            WeightFormat::Nvfp4 => (numbers / 2).saturating_add(scales(16)).saturating_add(8),
            WeightFormat::Mxfp4 => (numbers / 2).saturating_add(scales(32)),
            WeightFormat::Int4 { group } => {
                let scales = scales(u64::from(group));
                let zeros = if self.formats.has_zeros { scales / 2 } else { 0 };
                (numbers / 2).saturating_add(scales.saturating_mul(2)).saturating_add(zeros)
            }
        }
    }
}
