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

/// How far back the layers of one kind look, where that is not to the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttentionSpan {
    /// The last tokens up to the row's own: `sliding_window`.
    Window(u32),
    /// The tokens since the last multiple of `attention_chunk_size`.
    Chunk(u32),
}

impl AttentionSpan {
    /// Earlier tokens that the first of some new ones looks at, of `num_computed_tokens`.
    #[must_use]
    pub fn num_earlier_tokens(self, num_computed_tokens: u32) -> u32 {
        match self {
            Self::Window(window) => num_computed_tokens.min(window.saturating_sub(1)),
            Self::Chunk(chunk) => num_computed_tokens % chunk.max(1),
        }
    }

    /// Tokens that `num_rows` new ones at the end of a context of `num_tokens` look at together.
    #[must_use]
    pub fn num_attended_tokens(self, num_tokens: u32, num_rows: u32) -> u32 {
        let num_computed_tokens = num_tokens.saturating_sub(num_rows);
        self.num_earlier_tokens(num_computed_tokens) + num_tokens.min(num_rows)
    }
}

/// A kind of attention that some of a model's layers have: what a row of theirs looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttentionKind {
    /// All tokens before it.
    Full,
    /// Those of a span.
    Span(AttentionSpan),
    /// A state, which is as large wherever the row stands: Mamba and linear attention.
    State,
}

/// The requests of one forward pass, reduced to the numbers its duration depends on.
///
/// A request with exactly one new token over an existing context counts as a decode, as in vLLM's own batch
/// descriptor (`vllm/v1/worker/gpu/cudagraph_utils.py`): the kernels cannot tell it from a prompt's last token. So does
/// one that also verifies drafts: it reads its context once for all its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchComposition {
    /// Prompt parts, in schedule order.
    pub prefill_chunks: Vec<PrefillChunk>,
    /// Requests with one new token over an existing context, and drafts behind it in a verification pass.
    pub num_decodes: u32,
    /// Sum over the decodes of the tokens each attends to, the new ones included.
    pub decode_context_tokens: u64,
    /// Times that a drafter runs behind the pass, each over all its requests; 0 if it does not.
    pub num_draft_runs: u32,
    /// Sum of `num_tokens` over `prefill_chunks`.
    num_prefill_tokens: u32,
    /// Drafts being verified, over all decodes.
    num_draft_tokens: u32,
    /// Most rows of a decode: one and its drafts.
    max_decode_rows: u32,
    /// The model's spans, each with the decodes' sum of tokens attended to.
    spans: Vec<(AttentionSpan, u64)>,
}

impl BatchComposition {
    /// Says which spans the model's layers have; before any request is added.
    pub fn set_spans(&mut self, spans: &[AttentionSpan]) {
        self.spans.clear();
        self.spans.extend(spans.iter().map(|&span| (span, 0)));
    }

    /// Empties the batch, keeping its memory.
    pub fn clear(&mut self) {
        self.prefill_chunks.clear();
        self.num_decodes = 0;
        self.decode_context_tokens = 0;
        self.num_draft_runs = 0;
        self.num_prefill_tokens = 0;
        self.num_draft_tokens = 0;
        self.max_decode_rows = 0;
        self.spans.clear();
    }

    /// Adds a request that computes `num_tokens` tokens after `num_computed_tokens` earlier ones, in a model without
    /// spans.
    pub fn push(&mut self, num_tokens: u32, num_computed_tokens: u32) {
        if num_tokens == 1 && num_computed_tokens > 0 {
            self.add_decodes(1, u64::from(num_computed_tokens) + 1);
        } else {
            self.prefill_chunks.push(PrefillChunk { num_tokens, num_computed_tokens });
            self.num_prefill_tokens += num_tokens;
        }
    }

    /// Adds `num_decodes` requests with one new token each, which attend to `context_tokens` together.
    #[inline]
    pub const fn add_decodes(&mut self, num_decodes: u32, context_tokens: u64) {
        self.num_decodes += num_decodes;
        self.decode_context_tokens += context_tokens;
    }

    /// Adds, for the model's spans alone, what a decode that [`Self::add_decodes`] counted looks at: it has
    /// `num_computed_tokens` earlier tokens.
    pub fn add_to_spans(&mut self, num_computed_tokens: u32) {
        for (span, num_attended) in &mut self.spans {
            *num_attended += u64::from(span.num_attended_tokens(num_computed_tokens + 1, 1));
        }
    }

    /// Adds a request of which `num_draft_tokens` of the `num_tokens` tokens are drafts.
    pub fn push_verification(&mut self, num_tokens: u32, num_computed_tokens: u32, num_draft_tokens: u32) {
        if num_tokens != num_draft_tokens + 1 || num_computed_tokens == 0 {
            // Drafts behind more than one token follow a prompt's end: all of it is one part.
            self.push(num_tokens, num_computed_tokens);
            return;
        }
        let context = num_computed_tokens + num_tokens;
        self.num_decodes += 1;
        self.decode_context_tokens += u64::from(context);
        self.num_draft_tokens += num_draft_tokens;
        self.max_decode_rows = self.max_decode_rows.max(num_tokens);
        for (span, num_attended) in &mut self.spans {
            *num_attended += u64::from(span.num_attended_tokens(context, num_tokens));
        }
    }

    /// Tokens of the whole pass, without padding.
    #[must_use]
    pub const fn num_tokens(&self) -> u32 {
        self.num_prefill_tokens + self.num_decodes + self.num_draft_tokens
    }

    /// Tokens of the prefill chunks.
    #[must_use]
    pub const fn num_prefill_tokens(&self) -> u32 {
        self.num_prefill_tokens
    }

    /// Drafts being verified.
    #[must_use]
    pub const fn num_draft_tokens(&self) -> u32 {
        self.num_draft_tokens
    }

    /// The model's spans, each with the sum over the decodes of the tokens they look at.
    #[must_use]
    pub fn spans(&self) -> &[(AttentionSpan, u64)] {
        &self.spans
    }

    /// Requests of the pass.
    #[must_use]
    pub fn num_reqs(&self) -> u32 {
        math::usize_to_u32(self.prefill_chunks.len()) + self.num_decodes
    }

    /// Whether all requests are decodes with `num_rows` rows each: vLLM then replays a full CUDA graph.
    #[must_use]
    pub fn is_uniform_decode(&self, num_rows: u32) -> bool {
        self.prefill_chunks.is_empty()
            && self.num_decodes > 0
            && self.max_decode_rows.max(1) == num_rows
            && self.num_decodes + self.num_draft_tokens == self.num_decodes * num_rows
    }

    /// Whether the pass has no tokens at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.num_tokens() == 0
    }
}
