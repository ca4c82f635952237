//! What step times depend on besides the batch.

use alloc::vec::Vec;

use super::cuda_graphs::CaptureSizes;
use super::schema::Profile;
use crate::batch::AttentionSpan;
use crate::speculative::SpeculativeMethod;

/// What step times depend on besides the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTimeSettings {
    /// Tokens that CUDA graphs were captured for; [`CaptureSizes::none`] for `enforce_eager`.
    pub capture_sizes: CaptureSizes,
    /// Stages the layers are divided into.
    pub pipeline_parallel_size: u32,
    /// Spans of the model's layers that do not look at all tokens.
    pub spans: Vec<AttentionSpan>,
    /// The drafter, if there is one.
    pub drafting: Option<Drafting>,
}

/// A drafter, as far as times depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drafting {
    /// How drafts come about.
    pub method: SpeculativeMethod,
    /// Drafts of a verification at most.
    pub num_speculative_tokens: u32,
    /// Most requests of a pass.
    pub max_num_seqs: u32,
}

impl Default for StepTimeSettings {
    /// No CUDA graphs, one stage, layers that look at all tokens, no drafter.
    fn default() -> Self {
        Self { capture_sizes: CaptureSizes::none(), pipeline_parallel_size: 1, spans: Vec::new(), drafting: None }
    }
}

impl StepTimeSettings {
    /// vLLM's defaults for this profile's engine with these limits: graphs as captured by default, or none if the
    /// profile was made with `enforce_eager`; pipeline stages as profiled.
    #[must_use]
    pub fn vllm_default(profile: &Profile, max_num_seqs: u32, max_num_batched_tokens: u32) -> Self {
        let ceiling = CaptureSizes::ceiling(&profile.hardware);
        let capture_sizes = if profile.has_cuda_graphs() {
            CaptureSizes::vllm_default(max_num_seqs, max_num_batched_tokens, ceiling)
        } else {
            CaptureSizes::none()
        };
        let pipeline_parallel_size = profile.engine.pipeline_parallel_size;
        Self { capture_sizes, pipeline_parallel_size, ..Self::default() }
    }
    /// Whether the tables of `profile` hold for these settings.
    pub(super) fn hold_for(&self, profile: &Profile) -> bool {
        let has_cuda_graphs = !self.capture_sizes.as_slice().is_empty();
        self.pipeline_parallel_size == profile.engine.pipeline_parallel_size
            && has_cuda_graphs == profile.has_cuda_graphs()
    }
}
