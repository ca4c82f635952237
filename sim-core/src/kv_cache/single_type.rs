//! The blocks of one group of layers: what is common to all kinds.
//!
//! Source: `vllm/v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager`. What differs by kind is in
//! [`super::by_kind`].

use alloc::vec::Vec;

use super::block_keys::{BlockKey, ChainSlice, KeyPath};
use super::block_pool::BlockPool;
use super::event_log::Told;
use super::free_block_queue::{BlockId, NULL_BLOCK};
use super::group_blocks::{GroupBlocks, PartialHit};
use super::spec::{LayerKind, MambaCacheMode, MambaState};

/// The tokens that a request needs room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Tokens that need a slot, look-ahead included.
    pub(super) num_tokens: u32,
    /// The same without look-ahead.
    pub(super) num_tokens_main_model: u32,
    /// Tokens computed or found before.
    pub(super) num_computed_tokens: u32,
    /// Where the prompt, or what is computed again after a preemption, ends; 0 where every chunk may save a state.
    pub(super) prefill_end: u32,
    /// Whether to count no more blocks than an admission is held against.
    pub(super) is_capped: bool,
}

/// What decides which full blocks get a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caching<'a> {
    /// The request's keys.
    pub(super) path: &'a KeyPath,
    /// Tokens whose content is final.
    pub(super) num_tokens: u32,
    /// Hash blocks whose keys are known.
    pub(super) num_hash_blocks: u32,
    pub(super) num_prompt_tokens: u32,
    /// Tokens computed before the pass.
    pub(super) num_computed_tokens: u32,
    /// `None` to keep all, 0 for those at `boundaries` alone, else one every so many tokens.
    pub(super) retention_interval: Option<u32>,
    /// Positions at which a later request can go on (`replay_boundaries`).
    pub(super) replay_boundaries: [u32; 2],
    /// Where a shared prefix ends that this group does not have yet; 0 for nowhere.
    pub(super) shared_prefix_boundary: u32,
}

/// The manager of one group.
#[derive(Debug)]
pub(super) struct SingleType {
    pub(super) kind: LayerKind,
    pub(super) block_size: u32,
    /// The group's number.
    pub(super) id: u32,
    /// Hash blocks of a block.
    pub(super) hash_scale: u32,
    /// Whether a hit gives up its last block for the drafter.
    pub(super) use_eagle: bool,
    /// Whether any group's does: then states are saved a block earlier, too.
    pub(super) drop_eagle_checkpoint_block: bool,
    /// Whether such a group also keeps the block before the end of a shared prefix.
    pub(super) keeps_block_before_junction: bool,
    /// Whether a block that has its key already is not counted as keyed in this pass.
    pub(super) skips_keyed_tail: bool,
    /// Whether a state is also saved where a shared prefix ends (`--enable-mamba-shared-prefix-checkpoint`).
    pub(super) shared_prefix_checkpoint: bool,
    /// Tokens that a hit's length is a multiple of.
    pub(super) cache_hit_alignment: u32,
    /// Most blocks that an admission is held against.
    pub(super) max_admission_blocks: Option<u32>,
    /// Keys given to states in this pass, which has not computed them yet.
    pub(super) cached_this_step: Vec<BlockKey>,
    /// Source and copy of each block that this pass copies; both stay in use until the pass is decided.
    pub(super) pending_copies: Vec<BlockId>,
}

impl SingleType {
    /// Its Mamba state, if it keeps one a block.
    pub(super) const fn aligned_mamba(&self) -> Option<MambaState> {
        match self.kind {
            LayerKind::Mamba(state) if matches!(state.mode, MambaCacheMode::Align) => Some(state),
            _ => None,
        }
    }

    /// Whether a prefix that ends inside a block can be found (`supports_fine_grained_hash_lookup`).
    pub(super) const fn supports_fine_grained_hash_lookup(&self) -> bool {
        self.kind.is_full_attention() || self.kind.is_mamba()
    }

    /// Leading tokens that the next token after `num_computed_tokens` does not attend to.
    pub(super) const fn num_skipped_tokens(&self, num_computed_tokens: u32) -> u32 {
        match self.kind {
            LayerKind::FullAttention { .. } | LayerKind::Mla => 0,
            LayerKind::SlidingWindow { sliding_window, extra_retained_tokens } => {
                (num_computed_tokens + 1).saturating_sub(sliding_window).saturating_sub(extra_retained_tokens)
            }
            LayerKind::ChunkedLocal { attention_chunk_size } => {
                num_computed_tokens / attention_chunk_size * attention_chunk_size
            }
            LayerKind::Mamba(_) => num_computed_tokens.saturating_sub(1),
        }
    }

    /// Processed tokens at which the next block is given back; `u32::MAX` for never.
    pub(super) fn next_skip(&self, blocks: &GroupBlocks) -> u32 {
        let end = (blocks.num_skipped_blocks + 1).saturating_mul(self.block_size);
        match self.kind {
            LayerKind::FullAttention { .. } | LayerKind::Mla => u32::MAX,
            LayerKind::SlidingWindow { sliding_window, extra_retained_tokens } => {
                end.saturating_add(sliding_window - 1).saturating_add(extra_retained_tokens)
            }
            LayerKind::ChunkedLocal { attention_chunk_size } => {
                end.div_ceil(attention_chunk_size).saturating_mul(attention_chunk_size)
            }
            LayerKind::Mamba(_) => end.saturating_add(1),
        }
    }

    /// Tokens that a table has room for; 0 where the group has to be asked at every pass.
    #[inline]
    pub(super) fn capacity(&self, blocks: &GroupBlocks) -> u32 {
        match self.kind {
            LayerKind::Mamba(MambaState { mode: MambaCacheMode::Align, .. }) => 0,
            // States of drafts stand behind the tokens' own.
            LayerKind::Mamba(state) => blocks.len().saturating_sub(state.num_speculative_blocks) * self.block_size,
            _ => blocks.len() * self.block_size,
        }
    }

    /// Tokens at which the next block can get its key; 0 where a prefix that ends inside a block may get one, too.
    #[inline]
    pub(super) const fn next_full_block_end(&self, blocks: &GroupBlocks) -> u32 {
        if self.aligned_mamba().is_some() || (self.kind.is_full_attention() && self.hash_scale > 1) {
            0
        } else {
            (blocks.num_cached_blocks + 1) * self.block_size
        }
    }

    /// Whether a hit of `num_computed_tokens` ends inside one of the group's blocks.
    pub(super) fn is_partial_hit(&self, hits: &[BlockId], num_computed_tokens: u32) -> bool {
        !hits.is_empty() && !num_computed_tokens.is_multiple_of(self.block_size)
    }

    /// Takes over the blocks found for a prefix of `num_computed_tokens`; those that no token to come attends to are
    /// left where they are.
    pub(super) fn add_computed_blocks(
        &self,
        pool: &mut BlockPool,
        blocks: &mut GroupBlocks,
        hits: &[BlockId],
        num_computed_tokens: u32,
    ) {
        assert!(blocks.table.is_empty(), "an admitted request holds no blocks");
        let num_skipped_blocks = self.num_skipped_tokens(num_computed_tokens) / self.block_size;
        let kept = &hits[(num_skipped_blocks as usize).min(hits.len())..];
        pool.touch(kept);
        blocks.table.resize(num_skipped_blocks as usize, NULL_BLOCK);
        blocks.table.extend_from_slice(kept);
        blocks.num_cached_blocks = blocks.len();
        blocks.num_skipped_blocks = num_skipped_blocks;
        if self.is_partial_hit(kept, num_computed_tokens)
            && let Some(&block) = kept.last()
        {
            let index = num_computed_tokens / self.block_size;
            blocks.partial_hit = Some(PartialHit { index, block });
            blocks.num_cached_blocks = index;
        }
    }

    /// One fresh block, in no table yet.
    pub(super) fn new_block(&self, pool: &mut BlockPool) -> BlockId {
        pool.get_new_block()
    }

    /// Puts `copy` in the place of a block that others may find (`_apply_cow`).
    pub(super) fn copy_on_write(
        &mut self,
        pool: &mut BlockPool,
        blocks: &mut GroupBlocks,
        partial: PartialHit,
        copy: BlockId,
    ) {
        blocks.table[partial.index as usize] = copy;
        self.pending_copies.extend([partial.block, copy]);
        pool.retain(copy);
    }

    /// Gives all blocks up to `num_full_blocks` their keys.
    pub(super) fn cache_full_blocks(
        &self,
        pool: &mut BlockPool,
        blocks: &mut GroupBlocks,
        num_full_blocks: u32,
        path: &KeyPath,
    ) {
        let stride = pool.keys.num_groups() * self.hash_scale;
        let mut block = blocks.num_cached_blocks;
        for slice in &path.slices {
            // A block's key is that of its last hash block.
            let end = ((slice.from + slice.len) / self.hash_scale).min(num_full_blocks);
            if block < end {
                let full = &blocks.table[block as usize..end as usize];
                pool.cache_full_blocks(full, self.key(slice, pool, block), stride);
                block = end;
            }
        }
        if blocks.num_cached_blocks < num_full_blocks {
            let is_kept = |block: u32| blocks.table[block as usize] != NULL_BLOCK;
            pool.note_stored(self.told(), path, blocks.num_cached_blocks..num_full_blocks, is_kept);
            blocks.num_cached_blocks = num_full_blocks;
        }
    }

    /// As others are told of its blocks.
    pub(super) const fn told(&self) -> Told {
        Told { group: self.id, block_size: self.block_size, hash_scale: self.hash_scale }
    }

    /// Registers `block` under the key of the prefix of `num_hash_blocks` hash blocks, which ends inside it or at its end;
    /// returns the key, if there is one.
    pub(super) fn cache_partial_block(
        &self,
        pool: &mut BlockPool,
        (block, replaces_keys): (BlockId, bool),
        path: &KeyPath,
        num_hash_blocks: u32,
    ) -> Option<BlockKey> {
        let key = pool.keys.key(path, num_hash_blocks - 1, self.id)?;
        if pool.cache_partial_block(block, key, replaces_keys) {
            let told = Told { group: self.id, block_size: pool.keys.hash_block_size(), hash_scale: 1 };
            pool.note_stored(told, path, num_hash_blocks - 1..num_hash_blocks, |_| true);
        }
        Some(key)
    }

    /// The key of `block`, whose last hash block is in `slice`.
    pub(super) const fn key(&self, slice: &ChainSlice, pool: &BlockPool, block: u32) -> BlockKey {
        let position = (block + 1) * self.hash_scale - 1 - slice.from;
        BlockKey { chain: slice.chain, slot: position * pool.keys.num_groups() + self.id }
    }

    /// Positions at which a later request can go on, the end of a shared prefix included.
    pub(super) fn reachable_boundaries(&self, caching: &Caching<'_>) -> impl Iterator<Item = u32> + use<> {
        let shared = Some(caching.shared_prefix_boundary).filter(|&boundary| boundary > 0);
        // A request that departs right behind the junction cannot use the block past it, so its hit is one lower.
        let before = shared
            .filter(|_| self.use_eagle && self.keeps_block_before_junction)
            .and_then(|boundary| boundary.checked_sub(self.block_size));
        caching.replay_boundaries.into_iter().chain(shared).chain(before)
    }

    /// Gives back all blocks of a request.
    pub(super) fn free(&self, pool: &mut BlockPool, blocks: &mut GroupBlocks) {
        match &mut pool.extents {
            Some(extents) => extents.free(&mut blocks.held),
            None => pool.free_table(&mut blocks.table),
        }
        blocks.reset();
    }
}

/// A search for a cached prefix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lookup<'a> {
    pub(super) pool: &'a BlockPool,
    pub(super) path: &'a KeyPath,
    /// Groups that must all have it.
    pub(super) ids: &'a [u32],
    /// Most tokens.
    pub(super) max_length: u32,
    /// Hash blocks whose keys are known.
    pub(super) num_hash_blocks: u32,
    /// Tokens that its length is a multiple of.
    pub(super) alignment: u32,
    /// Whether the last block found is given up.
    pub(super) drop_eagle_block: bool,
}

impl Lookup<'_> {
    /// Looks the hash block `hash_block` up in all groups, and calls `found` with each group and its block if all have
    /// it.
    pub(super) fn cached(&self, hash_block: u32, mut found: impl FnMut(u32, BlockId)) -> bool {
        let block = |&id: &u32| self.pool.keys.key(self.path, hash_block, id).map(|key| self.pool.cached_block(key));
        if hash_block >= self.num_hash_blocks
            || self.ids.iter().any(|id| block(id).is_none_or(|block| block == NULL_BLOCK))
        {
            return false;
        }
        for id in self.ids {
            found(*id, block(id).unwrap_or(NULL_BLOCK));
        }
        true
    }
}
