//! The groups together: what all of them have of a prefix, and which blocks are kept for it.
//!
//! Source: `vllm/v1/core/kv_cache_coordinator.py`: `UnitaryKVCacheCoordinator` for one group,
//! `HybridKVCacheCoordinator` for several.

use alloc::vec::Vec;

use super::block_keys::KeyPath;
use super::block_pool::BlockPool;
use super::free_block_queue::BlockId;
use super::single_type::{Lookup, SingleType};
use super::spec::{DrafterDemand, KvCacheConfig, KvCacheSpec, LayerKind, MambaCacheMode, MambaState, RequestExtent};
use crate::math;
use crate::vllm_version::VllmVersion;

/// Groups with one spec, looked up together (`SpecGroup`).
#[derive(Debug)]
struct SpecGroup {
    spec: KvCacheSpec,
    ids: Vec<u32>,
    drops_block: bool,
}

/// The managers of all groups, and how they find a prefix together.
#[derive(Debug)]
pub(super) struct Coordinator {
    pub(super) managers: Vec<SingleType>,
    /// Groups with one spec; full attention first, as it bounds the others quickly.
    spec_groups: Vec<SpecGroup>,
    scheduler_block_size: u32,
    hash_block_size: u32,
    num_reprefillable_tokens: u32,
    drops_any_block: bool,
    /// Whether a hit may end inside a Mamba block (`enable_partial_hash_hits`).
    pub(super) has_partial_hits: bool,
    /// Whether there is one group, of full attention.
    pub(super) is_dense: bool,
}

impl Coordinator {
    pub(super) fn new(
        config: &KvCacheConfig,
        extent: RequestExtent,
        drafter: DrafterDemand,
        rules: VllmVersion,
        shared_prefix_checkpoint: bool,
    ) -> Self {
        let is_flagged = config.groups.iter().any(|group| group.is_eagle_group);
        // Where no group is known to be the drafter's, any may be.
        let drops = |id: usize| drafter.drops_block && (!is_flagged || config.groups[id].is_eagle_group);
        let has_partial_hits = config.groups.len() > 1 && allows_partial_hits(config);
        let mut spec_groups: Vec<SpecGroup> = Vec::new();
        for (id, group) in config.groups.iter().enumerate() {
            let number = math::usize_to_u32(id);
            match spec_groups.iter_mut().find(|known| known.spec == group.spec) {
                Some(known) => {
                    known.ids.push(number);
                    known.drops_block |= drops(id);
                }
                None => {
                    spec_groups.push(SpecGroup { spec: group.spec, ids: alloc::vec![number], drops_block: drops(id) });
                }
            }
        }
        spec_groups.sort_by_key(|group| !group.spec.kind.is_full_attention());
        let managers = (0..).zip(&config.groups).map(|(id, group)| SingleType {
            kind: group.spec.kind,
            block_size: group.spec.block_size,
            id,
            hash_scale: (group.spec.block_size / config.hash_block_size).max(1),
            use_eagle: spec_groups.iter().any(|known| known.drops_block && known.ids.contains(&id)),
            drop_eagle_checkpoint_block: drafter.drops_block,
            keeps_block_before_junction: rules.keeps_block_before_junction(),
            skips_keyed_tail: rules.skips_keyed_tail(),
            // vLLM keeps such states for a drafter's sake alone.
            shared_prefix_checkpoint: shared_prefix_checkpoint
                && has_partial_hits
                && (is_flagged || drafter.drops_block)
                && drafter.num_reprefillable_tokens == 0,
            cache_hit_alignment: if has_partial_hits { config.hash_block_size } else { config.scheduler_block_size },
            max_admission_blocks: group.spec.max_admission_blocks(extent),
            cached_this_step: Vec::new(),
            pending_copies: Vec::new(),
        });
        Self {
            managers: managers.collect(),
            spec_groups,
            scheduler_block_size: config.scheduler_block_size,
            hash_block_size: config.hash_block_size,
            num_reprefillable_tokens: drafter.num_reprefillable_tokens,
            drops_any_block: drafter.drops_block,
            has_partial_hits,
            is_dense: config.is_dense(),
        }
    }

    /// Tokens that a hit's length is a multiple of.
    const fn cache_hit_alignment(&self) -> u32 {
        if self.has_partial_hits { self.hash_block_size } else { self.scheduler_block_size }
    }

    /// Positions at which a later request with this prompt, or a longer one, can go on. Source: `replay_boundaries`.
    pub(super) const fn replay_boundaries(&self, num_prompt_tokens: u32) -> [u32; 2] {
        if !self.drops_any_block {
            return [num_prompt_tokens - 1; 2];
        }
        let block = self.scheduler_block_size;
        let resend = math::round_down(num_prompt_tokens - 1, block);
        let extension = math::round_down(num_prompt_tokens, block);
        [resend.saturating_sub(block), extension.saturating_sub(block)]
    }

    /// Tokens of `num_computed_tokens` whose blocks may get keys in the group `id` (`get_num_cacheable_tokens`).
    pub(super) fn num_cacheable_tokens(&self, num_computed_tokens: u32, id: usize) -> u32 {
        let num_final_tokens = num_computed_tokens.saturating_sub(self.num_reprefillable_tokens);
        if self.managers.len() == 1 {
            return num_final_tokens;
        }
        let align = |num_tokens| {
            if self.has_partial_hits { num_tokens } else { math::round_down(num_tokens, self.scheduler_block_size) }
        };
        let aligned = align(num_computed_tokens);
        let manager = &self.managers[id];
        // A hit is found one block further and gives that block up.
        if manager.use_eagle && aligned > 0 {
            num_final_tokens.min(align(num_final_tokens) + manager.block_size)
        } else {
            aligned
        }
    }

    /// The longest prefix of at most `max_length` tokens that every group has, and the longest that one has; the blocks
    /// come to `hits`, per group.
    ///
    /// Each kind of group accepts a length or shortens it; once one shortens it, all are asked again.
    pub(super) fn find_longest_cache_hit(
        &self,
        pool: &BlockPool,
        path: &KeyPath,
        num_hash_blocks: u32,
        max_length: u32,
        hits: &mut [Vec<BlockId>],
    ) -> CacheHit {
        let lookup = |ids, max_length, drop_eagle_block| Lookup {
            pool,
            path,
            ids,
            max_length,
            num_hash_blocks,
            alignment: self.cache_hit_alignment(),
            drop_eagle_block,
        };
        if let [manager] = self.managers.as_slice() {
            let found = Lookup { alignment: manager.block_size, ..lookup(&[0], max_length, manager.use_eagle) };
            let num_tokens = manager.find_longest_cache_hit(&found, hits);
            return CacheHit { num_tokens, longest: num_tokens };
        }
        // With one other kind beside full attention, one round is enough.
        let is_simple = self.spec_groups.len() == 2 && self.spec_groups[0].spec.kind.is_full_attention();
        let mut full_length: Vec<Option<u32>> = alloc::vec![None; self.spec_groups.len()];
        let mut has_dropped = alloc::vec![false; self.spec_groups.len()];
        let (mut num_tokens, mut longest) = (max_length, 0);
        loop {
            let mut current = num_tokens;
            for (place, group) in self.spec_groups.iter().enumerate() {
                let is_full = group.spec.kind.is_full_attention();
                if let Some(length) = full_length[place].filter(|_| is_full) {
                    current = current.min(length);
                    continue;
                }
                let manager = &self.managers[group.ids[0] as usize];
                let drop = group.drops_block && !has_dropped[place];
                let mut most = current;
                if drop && !manager.kind.is_mamba() {
                    let margin = self.eagle_proof_margin(manager);
                    most = (current + margin).min(num_hash_blocks * self.hash_block_size);
                }
                let found = manager.find_longest_cache_hit(&lookup(&group.ids, most, drop), hits);
                if drop {
                    has_dropped[place] = true;
                } else if found < current {
                    has_dropped.fill(false);
                }
                current = found;
                full_length[place] = Some(found);
                longest = longest.max(current);
            }
            let is_settled = current >= num_tokens;
            if !is_settled {
                num_tokens = current;
            }
            if is_settled || is_simple {
                break;
            }
        }
        for group in self.spec_groups.iter().filter(|group| group.spec.kind.is_full_attention()) {
            for &id in &group.ids {
                hits[id as usize].truncate(num_tokens.div_ceil(group.spec.block_size) as usize);
            }
        }
        CacheHit { num_tokens, longest }
    }

    /// Tokens that a drafter's group has to have behind a hit, to give them up.
    const fn eagle_proof_margin(&self, manager: &SingleType) -> u32 {
        let is_fine = self.has_partial_hits && manager.supports_fine_grained_hash_lookup();
        if is_fine && manager.block_size > self.hash_block_size { self.hash_block_size } else { manager.block_size }
    }
}

/// A prefix found in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CacheHit {
    /// Tokens that all groups have.
    pub(super) num_tokens: u32,
    /// Tokens that the group with the most has.
    pub(super) longest: u32,
}

/// Whether hits may end inside a Mamba block (`kv_cache_utils.py::partial_hash_hits_enabled`): some group keeps states at
/// block ends further apart than hashes, and every other can be searched as finely or has blocks as short.
pub(crate) fn allows_partial_hits(config: &KvCacheConfig) -> bool {
    let hash_block_size = config.hash_block_size;
    let has_long_states = config.groups.iter().any(|group| {
        matches!(group.spec.kind, LayerKind::Mamba(MambaState { mode: MambaCacheMode::Align, .. }))
            && group.spec.block_size > hash_block_size
    });
    has_long_states
        && config.groups.iter().all(|group| {
            let kind = group.spec.kind;
            kind.is_full_attention() || kind.is_mamba() || group.spec.block_size == hash_block_size
        })
}
