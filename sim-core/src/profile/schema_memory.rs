//! The profile file: what activations and CUDA graphs take, by the limits of a run.

use alloc::string::String;

use serde::Serialize;

use super::schema::Basis;
use crate::models::memory::MemoryTerms;

/// All fields but `limit_terms` must be written out: files of before it was known have none.
#[cfg(feature = "schema")]
pub(super) fn require_all_but_terms(schema: &mut schemars::Schema) {
    super::schema::require_all(schema);
    if let Some(required) = schema.get_mut("required").and_then(serde_json::Value::as_array_mut) {
        required.retain(|name| name != "limit_terms");
    }
}

/// What the profiling pass takes at its peak, and what is set aside for CUDA graphs, as coefficients of a run's limits:
/// `max(layer × tokens, sampling × requests + residual × tokens, encoder) + workspace × tokens + fixed`, and `graphs` for
/// each size that is captured. Tokens are `max_num_batched_tokens`, requests `max_num_seqs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct LimitTerms {
    /// Bytes of a layer's widest moment, for each token.
    pub layer_bytes_per_token: u64,
    /// Bytes of sampling, for each request.
    pub sampling_bytes_per_seq: u64,
    /// Bytes that stay of the layers while requests are sampled, for each token.
    pub residual_bytes_per_token: u64,
    /// Bytes of the peak of an encoder of images; 0 if there is none.
    pub encoder_bytes: u64,
    /// Bytes that stay beside all of these, for each token.
    pub workspace_bytes_per_token: u64,
    /// The same, whatever the limits.
    pub fixed_bytes: u64,
    /// Bytes that are set aside for CUDA graphs of one number of tokens.
    pub graph_bytes_per_capture_size: u64,
    /// What they rest on.
    pub basis: Basis,
    /// One sentence: how they were computed or judged.
    pub reason: String,
}

impl LimitTerms {
    /// The terms as a file has them.
    #[must_use]
    pub const fn new(terms: &MemoryTerms, basis: Basis, reason: String) -> Self {
        Self {
            layer_bytes_per_token: terms.layer_per_token,
            sampling_bytes_per_seq: terms.sampling_per_seq,
            residual_bytes_per_token: terms.residual_per_token,
            encoder_bytes: terms.encoder,
            workspace_bytes_per_token: terms.workspace_per_token,
            fixed_bytes: terms.fixed,
            graph_bytes_per_capture_size: terms.graphs_per_capture_size,
            basis,
            reason,
        }
    }

    /// The terms as the rule has them.
    #[must_use]
    pub const fn terms(&self) -> MemoryTerms {
        MemoryTerms {
            layer_per_token: self.layer_bytes_per_token,
            sampling_per_seq: self.sampling_bytes_per_seq,
            residual_per_token: self.residual_bytes_per_token,
            encoder: self.encoder_bytes,
            workspace_per_token: self.workspace_bytes_per_token,
            fixed: self.fixed_bytes,
            graphs_per_capture_size: self.graph_bytes_per_capture_size,
        }
    }
}
