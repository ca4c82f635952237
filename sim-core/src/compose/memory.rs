//! What is left for the KV cache of a composed profile.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::layers::Parts;
use crate::models::layers::ModelLayers;
use crate::models::memory::{MemoryEra, MemoryLimits, MemorySettings, MemoryTerms, other_resident};
use crate::models::weights::WeightSharing;
use crate::models::{ComputeCapability, ModelShape};
use crate::profile::CaptureSizes;
use crate::profile::schema::{Basis, Bytes, Engine, Hardware, KvCacheLayers, LimitTerms, Memory};

/// Where the rule and its constants come from.
const RULE: &str = "the rule of models/memory.rs, whose constants were fitted to published start-up logs of vLLM.";

/// Memory of one rank.
pub(super) fn memory(parts: &Parts<'_>, layers: &[ModelLayers], engine: &Engine, hardware: &Hardware) -> Memory {
    let (shape, ranks) = (parts.shape, parts.ranks);
    let compute_capability =
        ComputeCapability::from_name(&parts.pack.gpu.compute_capability).unwrap_or(ComputeCapability::HOPPER);
    let sharing = WeightSharing {
        tensor_parallel_size: ranks.tensor,
        data_parallel_size: ranks.data,
        enable_expert_parallel: ranks.shares_experts,
        compute_capability,
    };
    let settings = MemorySettings {
        tensor_parallel_size: ranks.tensor,
        pipeline_parallel_size: 1,
        expert_parallel_size: if ranks.shares_experts { ranks.of_experts() } else { 1 },
        compute_capability,
        era: MemoryEra::of_version(&engine.vllm_version).unwrap_or_default(),
    };
    let ceiling = CaptureSizes::ceiling(hardware);
    let sizes = CaptureSizes::vllm_default(engine.max_num_seqs, engine.max_num_batched_tokens, ceiling);
    let limits = MemoryLimits {
        max_num_batched_tokens: engine.max_num_batched_tokens,
        max_num_seqs: engine.max_num_seqs,
        num_capture_sizes: crate::math::usize_to_u32(sizes.as_slice().len()),
    };
    let terms = MemoryTerms::of(shape, &settings);
    Memory {
        weights: Bytes {
            bytes: shape.weights(&sharing).total(),
            basis: Basis::Derived,
            reason: format!(
                "{} parameters, as the checkpoint's number formats store them on one of {} ranks.",
                shape.num_parameters(),
                ranks.all()
            ),
        },
        other_resident: estimate(other_resident(&settings), "Library workspaces and the collectives' buffers"),
        activation_peak: estimate(terms.activation_peak(&limits), "The peak of the largest pass"),
        cuda_graphs: estimate(terms.cuda_graphs(&limits), "CUDA graphs of the default capture sizes"),
        kv_cache_per_token: kv_cache_per_token(layers),
        kv_cache_layers: layers.iter().map(KvCacheLayers::from).collect(),
        reported: None,
        limit_terms: Some(LimitTerms::new(&terms, Basis::Estimate, format!("Both by the limits of a run, by {RULE}"))),
    }
}

fn estimate(bytes: u64, what: &str) -> Bytes {
    Bytes { bytes, basis: Basis::Estimate, reason: format!("{what}, by {RULE}") }
}

fn kv_cache_per_token(layers: &[ModelLayers]) -> Bytes {
    let of_tokens: Vec<&ModelLayers> = layers.iter().filter(|run| !run.is_mamba()).collect();
    let bytes =
        of_tokens.iter().map(|run| u64::from(run.num_layers).saturating_mul(run.bytes)).fold(0, u64::saturating_add);
    let reason: String = "What all layers that keep tokens keep of one.".to_string();
    Bytes { bytes, basis: Basis::Derived, reason }
}

/// A model of `shape` with the most layers of what it is mostly made of, for a profile's summary.
pub(super) fn num_layers(shape: &ModelShape) -> u32 {
    shape.layers.iter().map(|run| run.num_layers).fold(0, u32::saturating_add)
}
