//! What an engine can be asked: the limits of its passes, its sequences and its KV cache.

use sim_core::batch::{AttentionSpan, BatchComposition, PrefillChunk};

use crate::engine::EngineFacts;

/// Tokens that a sequence may grow by while its passes are timed.
const GROWTH: u32 = 64;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most tokens of a pass.
    pub(crate) max_num_tokens: u32,
    /// Most requests of a pass.
    pub(crate) max_num_seqs: u32,
    /// Most tokens of a sequence.
    pub(crate) max_model_len: u32,
    /// Most new tokens of one request in a pass.
    pub(crate) max_chunk: u32,
    /// Tokens after which blocks of all groups of layers end.
    pub(crate) block_size: u32,
    /// Tokens per block of each group.
    group_block_sizes: Vec<u32>,
    /// Spans of the layers that do not look at all tokens.
    pub(crate) spans: Vec<AttentionSpan>,
    /// Drafts of a verification, with a drafter.
    pub(crate) num_drafts: Option<u32>,
    /// KV blocks that requests can hold.
    num_blocks: u32,
    /// Whether a prompt's beginning is found again. Otherwise a chunk over a prefix is the end of a long prompt.
    pub(crate) has_prefix_caching: bool,
    /// Tokens of the vocabulary.
    pub(crate) vocab_size: u32,
}

impl Limits {
    /// Those of an engine, with sequences no longer than `max_context` if that is given.
    pub(crate) fn new(facts: &EngineFacts, max_context: Option<u32>) -> Self {
        let config = &facts.config;
        let num_blocks = config.num_gpu_blocks.saturating_sub(1).saturating_sub(config.watermark_blocks);
        let group_block_sizes: Vec<u32> =
            config.kv_cache.groups.iter().map(|group| group.spec.block_size.max(1)).collect();
        let held = tokens_held(num_blocks, &group_block_sizes);
        let max_model_len = config.max_model_len.min(max_context.unwrap_or(u32::MAX)).min(held);
        let max_num_tokens = config.max_num_scheduled_tokens.min(config.max_num_batched_tokens);
        let threshold = match config.long_prefill_token_threshold {
            0 => u32::MAX,
            tokens => tokens,
        };
        Self {
            max_num_tokens,
            max_num_seqs: config.max_num_active_seqs.min(max_num_tokens),
            max_model_len,
            max_chunk: max_num_tokens.min(threshold).min(max_model_len.saturating_sub(1)),
            block_size: config.kv_cache.scheduler_block_size.max(1),
            group_block_sizes,
            spans: config.kv_cache.spans(),
            num_drafts: config.speculative.as_ref().map(|drafter| drafter.num_speculative_tokens),
            num_blocks,
            has_prefix_caching: config.enable_prefix_caching,
            vocab_size: facts.model.vocab_size,
        }
    }

    /// Whether a script can bring this pass about.
    pub(crate) fn fit(&self, batch: &BatchComposition) -> bool {
        let context = mean_context(batch);
        !batch.is_empty()
            && batch.num_tokens() <= self.max_num_tokens
            && batch.num_reqs() <= self.max_num_seqs
            && context <= self.max_model_len
            && batch.prefill_chunks.iter().all(|chunk| self.chunk_fits(*chunk))
            && self.prefixes_can_be_made(batch)
            && self.blocks(batch, context) <= u64::from(self.num_blocks)
    }

    fn chunk_fits(&self, chunk: PrefillChunk) -> bool {
        let is_decode = chunk.num_tokens == 1 && chunk.num_computed_tokens > 0;
        let len = u64::from(chunk.num_tokens) + u64::from(chunk.num_computed_tokens) + 1;
        !is_decode && chunk.num_tokens <= self.max_chunk && len <= u64::from(self.max_model_len)
    }

    /// Found prefixes end with a block; a prefix that is computed on the way needs the passes for itself.
    fn prefixes_can_be_made(&self, batch: &BatchComposition) -> bool {
        let mut prefixes = batch.prefill_chunks.iter().map(|chunk| chunk.num_computed_tokens);
        if self.has_prefix_caching {
            prefixes.all(|prefix| prefix % self.block_size == 0)
        } else {
            let alone = batch.num_reqs() == 1 && self.max_chunk == self.max_num_tokens;
            let filler_fits = self.max_num_tokens < self.max_model_len;
            prefixes.all(|prefix| prefix == 0 || alone && filler_fits)
        }
    }

    /// Blocks held while the pass is timed.
    fn blocks(&self, batch: &BatchComposition, context: u32) -> u64 {
        // Of windows, too: their old blocks may still be there.
        let blocks =
            |tokens: u32| self.group_block_sizes.iter().map(|&size| u64::from(tokens.div_ceil(size))).sum::<u64>();
        let grown = context.saturating_add(GROWTH).min(self.max_model_len);
        let chunks = batch.prefill_chunks.iter().map(|chunk| blocks(chunk.num_tokens + chunk.num_computed_tokens + 1));
        u64::from(batch.num_decodes) * blocks(grown) + chunks.sum::<u64>()
    }
}

/// Tokens of one sequence that `num_blocks` blocks hold, whole blocks in every group.
fn tokens_held(num_blocks: u32, group_block_sizes: &[u32]) -> u32 {
    // Every group takes a block for each of its stretches: blocks a token.
    let per_token: f64 = group_block_sizes.iter().map(|&size| f64::from(size).recip()).sum();
    let one_group = u64::from(num_blocks) * u64::from(group_block_sizes.first().copied().unwrap_or(1));
    let held = if group_block_sizes.len() > 1 { (f64::from(num_blocks) / per_token).floor() } else { one_group as f64 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
    let held = held.clamp(0.0, f64::from(u32::MAX)) as u32;
    held
}

/// The pass as layers with `spans` see it, every decode at the mean context.
pub(crate) fn with_spans(batch: &BatchComposition, spans: &[AttentionSpan]) -> BatchComposition {
    let mut seen = BatchComposition::default();
    seen.set_spans(spans);
    for chunk in &batch.prefill_chunks {
        seen.push(chunk.num_tokens, chunk.num_computed_tokens);
    }
    let mean = batch.decode_context_tokens.checked_div(u64::from(batch.num_decodes)).unwrap_or(0);
    let more = batch.decode_context_tokens.checked_rem(u64::from(batch.num_decodes)).unwrap_or(0);
    let num_rows = rows(batch);
    for i in 0..u64::from(batch.num_decodes) {
        let context = u32::try_from(mean + u64::from(i < more)).unwrap_or(u32::MAX);
        seen.push_verification(num_rows, context.saturating_sub(num_rows).max(1), num_rows - 1);
    }
    seen
}

/// Rows of each decode, in the mean: one and its drafts.
pub(crate) fn rows(batch: &BatchComposition) -> u32 {
    1 + batch.num_draft_tokens().checked_div(batch.num_decodes).unwrap_or(0)
}

/// The same pass, every decode with `num_drafts` drafts behind it; contexts count them.
pub(crate) fn with_drafts(batch: &BatchComposition, num_drafts: u32) -> BatchComposition {
    let mut verifying = BatchComposition::default();
    for chunk in &batch.prefill_chunks {
        verifying.push(chunk.num_tokens, chunk.num_computed_tokens);
    }
    let each = mean_context(batch);
    for _ in 0..batch.num_decodes {
        verifying.push_verification(num_drafts + 1, each.saturating_sub(num_drafts + 1).max(1), num_drafts);
    }
    verifying
}

/// Tokens that a decode of the pass attends to, on average, rounded down; 0 without decodes.
pub(crate) fn mean_context(batch: &BatchComposition) -> u32 {
    let mean = batch.decode_context_tokens.checked_div(u64::from(batch.num_decodes)).unwrap_or(0);
    u32::try_from(mean).unwrap_or(u32::MAX)
}

/// A pass of `num_decodes` requests with one new token, which attend to `context_tokens` together, and prompt parts.
pub(crate) fn composition(chunks: &[(u32, u32)], num_decodes: u32, context_tokens: u64) -> BatchComposition {
    let mut batch = BatchComposition::default();
    for &(num_tokens, num_computed_tokens) in chunks {
        batch.push(num_tokens, num_computed_tokens);
    }
    let each = context_tokens.checked_div(u64::from(num_decodes)).unwrap_or(0);
    let more = context_tokens.checked_rem(u64::from(num_decodes)).unwrap_or(0);
    for i in 0..u64::from(num_decodes) {
        let context = each + u64::from(i < more);
        // A decode has at least one earlier token.
        batch.push(1, u32::try_from(context).unwrap_or(u32::MAX).saturating_sub(1).max(1));
    }
    batch
}

/// The prompt parts of a pass as (new tokens, earlier tokens).
pub(crate) fn chunk_pairs(batch: &BatchComposition) -> Vec<(u32, u32)> {
    batch.prefill_chunks.iter().map(|chunk| (chunk.num_tokens, chunk.num_computed_tokens)).collect()
}
