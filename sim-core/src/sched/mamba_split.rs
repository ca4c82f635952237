//! Where a prompt chunk has to end so that a Mamba state can be kept.
//!
//! Source: `vllm/v1/core/sched/scheduler.py::_mamba_block_aligned_split`.

use crate::config::EngineConfig;
use crate::kv_cache::mamba::{CheckpointQuery, prefill_checkpoint_position};
use crate::kv_cache::manager::KvCacheManager;
use crate::kv_cache::spec::{LayerKind, MambaCacheMode};
use crate::math;

/// The rule, for an engine whose Mamba states are kept at block ends.
#[derive(Debug)]
pub(super) struct MambaSplit {
    /// Tokens that states are kept at multiples of.
    block_size: u32,
    scheduler_block_size: u32,
    hash_block_size: u32,
    /// Most tokens of a prompt in one pass.
    max_prefill_tokens: u32,
    drops_eagle_block: bool,
    num_hash_lookahead_tokens: u32,
    /// Whether a hit may end inside a block.
    has_partial_hits: bool,
    /// Whether a pass may also stop where a shared prefix ends inside a block.
    has_shared_prefix_checkpoints: bool,
    /// Whether every such layer can save a state inside a chunk.
    has_checkpoint_blocks: bool,
    checkpoint_alignment: Option<u32>,
}

/// The chunk in question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    /// Tokens computed or found before it.
    pub(super) start: u32,
    pub(super) num_new_tokens: u32,
    pub(super) num_prompt_tokens: u32,
    /// Known tokens.
    pub(super) num_tokens: u32,
    /// Where a prefix shared with others ends; 0 for nowhere.
    pub(super) shared_prefix_boundary: u32,
}

impl MambaSplit {
    /// The rule, if `config` asks for it.
    pub(super) fn new(config: &EngineConfig, kv_cache: &KvCacheManager) -> Option<Self> {
        let states = || {
            config.kv_cache.groups.iter().filter_map(|group| match group.spec.kind {
                LayerKind::Mamba(state) => Some(state),
                _ => None,
            })
        };
        let first = states().next().filter(|state| state.mode == MambaCacheMode::Align)?;
        let threshold = config.long_prefill_token_threshold;
        let most = config.max_num_scheduled_tokens;
        Some(Self {
            block_size: config.block_size(),
            scheduler_block_size: config.kv_cache.scheduler_block_size,
            hash_block_size: config.kv_cache.hash_block_size,
            max_prefill_tokens: if threshold > 0 { most.min(threshold) } else { most },
            drops_eagle_block: config.drops_eagle_block(),
            num_hash_lookahead_tokens: config.num_hash_lookahead_tokens(),
            has_partial_hits: kv_cache.has_partial_hits()
                && config.kv_cache.hash_block_size < config.kv_cache.scheduler_block_size,
            has_shared_prefix_checkpoints: kv_cache.has_shared_prefix_checkpoints(),
            has_checkpoint_blocks: states().all(|state| state.num_prefill_checkpoint_blocks > 0),
            checkpoint_alignment: first.prefill_checkpoint_alignment,
        })
    }

    fn checkpoint_position(&self, num_tokens: u32, unit: u32) -> u32 {
        prefill_checkpoint_position(num_tokens, unit, self.drops_eagle_block, self.num_hash_lookahead_tokens)
    }

    /// Tokens of `chunk` that may be computed now, maybe none.
    pub(super) fn num_new_tokens(&self, chunk: &Chunk) -> u32 {
        let start = chunk.start;
        // What is computed again after a preemption counts as prompt.
        let prefill_end = chunk.num_prompt_tokens.max(chunk.num_tokens - 1);
        if start >= prefill_end {
            return chunk.num_new_tokens;
        }
        let mut end = start + chunk.num_new_tokens;
        let saves_inside = self.saves_inside(start, end, prefill_end);
        let last_cache_position =
            if saves_inside { 0 } else { self.checkpoint_position(chunk.num_tokens, self.block_size) };
        // A state is kept behind a whole number of blocks, so a chunk ends there; the prompt's last may not.
        if end < prefill_end {
            let aligned = math::round_down(end, self.block_size);
            if aligned > start || self.block_size <= self.max_prefill_tokens {
                end = aligned;
            }
        }
        let stops = [
            self.next_block_boundary(start, saves_inside),
            last_cache_position,
            self.tail_boundary(chunk, last_cache_position, saves_inside),
            self.junction(chunk, end),
        ];
        let end = stops.into_iter().filter(|stop| (start + 1..end).contains(stop)).min().unwrap_or(end);
        end.saturating_sub(start)
    }

    /// Whether the pass that reaches the prompt's end saves the last state worth keeping on its way.
    fn saves_inside(&self, start: u32, end: u32, prefill_end: u32) -> bool {
        let unit = if self.has_partial_hits { self.hash_block_size } else { self.scheduler_block_size };
        self.has_checkpoint_blocks
            && end >= prefill_end
            && CheckpointQuery {
                start,
                end,
                position: self.checkpoint_position(prefill_end, unit),
                hash_block_size: self.hash_block_size,
                block_size: self.block_size,
                alignment: self.checkpoint_alignment,
            }
            .is_valid()
    }

    /// A chunk that starts inside a block ends with it.
    const fn next_block_boundary(&self, start: u32, saves_inside: bool) -> u32 {
        if start.is_multiple_of(self.block_size) || saves_inside {
            0
        } else {
            math::round_down(start, self.block_size) + self.block_size
        }
    }

    /// The last position inside the prompt at which a finer hit can end.
    fn tail_boundary(&self, chunk: &Chunk, last_cache_position: u32, saves_inside: bool) -> u32 {
        if !self.has_partial_hits || saves_inside {
            return 0;
        }
        let tail = self.checkpoint_position(chunk.num_prompt_tokens, self.hash_block_size);
        if last_cache_position < tail && tail < chunk.num_prompt_tokens { tail } else { 0 }
    }

    /// The end of a prefix shared with others, or the last block end before it.
    const fn junction(&self, chunk: &Chunk, end: u32) -> u32 {
        let (start, junction) = (chunk.start, chunk.shared_prefix_boundary);
        if junction <= start || junction >= end {
            return 0;
        }
        if self.has_shared_prefix_checkpoints && junction <= chunk.num_prompt_tokens {
            junction
        } else {
            start + math::round_down(junction - start, self.block_size)
        }
    }
}
