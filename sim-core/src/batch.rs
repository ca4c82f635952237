//! What the duration of one forward pass depends on, and nothing else.
//!
//! This is the waist of the simulator: the scheduler above it produces a [`BatchComposition`], the measured profile
//! below it answers one. The profiler plans its measurements in the same type, so a question that cannot be measured
//! cannot be asked.

use alloc::vec::Vec;

use crate::math;

/// Part of a prompt computed in one pass: `num_tokens` new tokens attending to themselves and to `num_computed_tokens`
/// earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefillChunk {
    /// Tokens of this request in this pass.
    pub num_tokens: u32,
    /// Tokens of this request whose KV exists already (computed earlier or found in the prefix cache).
    pub num_computed_tokens: u32,
}

/// The requests of one forward pass, reduced to the numbers its duration depends on.
///
/// A request with exactly one new token over an existing context counts as a decode, as in vLLM's own batch
/// descriptor (`vllm/v1/worker/gpu/cudagraph_utils.py`): the kernels cannot tell it from a prompt's last token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchComposition {
    /// Prompt parts, in schedule order.
    pub prefill_chunks: Vec<PrefillChunk>,
    /// Requests with one new token over an existing context.
    pub num_decodes: u32,
    /// Sum over the decodes of the tokens each attends to, the new one included.
    pub decode_context_tokens: u64,
    /// Sum of `num_tokens` over `prefill_chunks`.
    num_prefill_tokens: u32,
}

impl BatchComposition {
    /// Empties the batch, keeping its memory.
    pub fn clear(&mut self) {
        self.prefill_chunks.clear();
        self.num_decodes = 0;
        self.decode_context_tokens = 0;
        self.num_prefill_tokens = 0;
    }

    /// Adds a request that computes `num_tokens` tokens after `num_computed_tokens` earlier ones.
    pub fn push(&mut self, num_tokens: u32, num_computed_tokens: u32) {
        if num_tokens == 1 && num_computed_tokens > 0 {
            self.num_decodes += 1;
            self.decode_context_tokens += u64::from(num_computed_tokens) + 1;
        } else {
            self.prefill_chunks.push(PrefillChunk { num_tokens, num_computed_tokens });
            self.num_prefill_tokens += num_tokens;
        }
    }

    /// Tokens of the whole pass, without padding.
    #[must_use]
    pub const fn num_tokens(&self) -> u32 {
        self.num_prefill_tokens + self.num_decodes
    }

    /// Tokens of the prefill chunks.
    #[must_use]
    pub const fn num_prefill_tokens(&self) -> u32 {
        self.num_prefill_tokens
    }

    /// Requests of the pass.
    #[must_use]
    pub fn num_reqs(&self) -> u32 {
        math::usize_to_u32(self.prefill_chunks.len()) + self.num_decodes
    }

    /// Whether every request has exactly one new token over an existing context: vLLM then replays a full CUDA graph.
    #[must_use]
    pub fn is_uniform_decode(&self) -> bool {
        self.prefill_chunks.is_empty() && self.num_decodes > 0
    }

    /// Whether the pass has no tokens at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.num_tokens() == 0
    }
}
