//! The sizes that follow from the groups: of a hit, of a block's hash, of the pool.
//!
//! Source: `vllm/v1/core/kv_cache_utils.py::resolve_kv_cache_block_sizes`.

use alloc::vec::Vec;

use super::coordinator::allows_partial_hits;
use super::planning_error::PlanningError;
use super::spec::{KvCacheConfig, KvCacheGroup, LayerKind, MambaCacheMode, MambaState, RequestExtent};
use crate::batch::AttentionKind;
use crate::math::{gcd, lcm};

/// What decides where a hit can end.
#[derive(Debug, Clone, Copy)]
pub struct HitSettings {
    /// Whether full blocks are kept and found again by content.
    pub enable_prefix_caching: bool,
    /// Finest boundary of a hit, if given (`--prefix-match-unit`).
    pub prefix_match_unit: Option<u32>,
    /// See [`KvCacheConfig::retention_interval`].
    pub retention_interval: Option<u32>,
}

/// `resolve_kv_cache_block_sizes`, and the coordinator's check of the retention interval.
pub(super) fn with_block_sizes(
    groups: Vec<KvCacheGroup>,
    attention: Vec<AttentionKind>,
    settings: &HitSettings,
) -> Result<KvCacheConfig, PlanningError> {
    let block_size = groups[0].spec.block_size;
    let mut config = KvCacheConfig {
        groups,
        attention,
        scheduler_block_size: block_size,
        hash_block_size: block_size,
        retention_interval: settings.retention_interval,
    };
    if config.groups.len() == 1 {
        let unit = settings.prefix_match_unit.filter(|&unit| settings.enable_prefix_caching && unit != block_size);
        if let Some(prefix_match_unit) = unit {
            return Err(PlanningError::PrefixMatchUnitNotBlockSize { prefix_match_unit, block_size });
        }
    } else {
        let sizes = || config.groups.iter().map(|group| group.spec.block_size);
        let multiple = sizes().try_fold(1u32, lcm).ok_or(PlanningError::BlockSizes)?;
        let divisor = sizes().fold(0, gcd);
        config.scheduler_block_size = multiple;
        config.hash_block_size = multiple;
        let keeps_states_by_request = config
            .groups
            .iter()
            .any(|group| matches!(group.spec.kind, LayerKind::Mamba(MambaState { mode: MambaCacheMode::None, .. })));
        if settings.enable_prefix_caching && !keeps_states_by_request {
            config.hash_block_size = settings.prefix_match_unit.unwrap_or(divisor);
            let unit = config.hash_block_size;
            if let Some(block_size) = sizes().find(|size| !size.is_multiple_of(unit)) {
                return Err(PlanningError::PrefixMatchUnit { prefix_match_unit: unit, block_size });
            }
        }
    }
    check_retention(&config)?;
    Ok(config)
}

/// `_validate_prefix_cache_retention_interval`.
fn check_retention(config: &KvCacheConfig) -> Result<(), PlanningError> {
    let Some(retention_interval) = config.retention_interval.filter(|&interval| interval > 0) else { return Ok(()) };
    let is_sparse = |kind: &LayerKind| matches!(kind, LayerKind::SlidingWindow { .. } | LayerKind::Mamba(_));
    if !config.groups.iter().any(|group| is_sparse(&group.spec.kind)) {
        return Err(PlanningError::RetentionWithoutSparseGroup { retention_interval });
    }
    let scheduler_block_size = config.scheduler_block_size;
    if !retention_interval.is_multiple_of(scheduler_block_size) {
        return Err(PlanningError::RetentionInterval { retention_interval, scheduler_block_size });
    }
    Ok(())
}

impl KvCacheConfig {
    /// Bytes that a block takes of the memory: those of the group with the most.
    #[must_use]
    pub fn bytes_per_block(&self) -> u64 {
        self.groups.iter().map(|group| group.bytes_per_block).max().unwrap_or(1)
    }

    /// Tokens of the shortest group's blocks: what `CacheConfig.block_size` is once the groups are known.
    #[must_use]
    pub fn block_size(&self) -> u32 {
        self.groups.iter().map(|group| group.spec.block_size).min().unwrap_or(0)
    }

    /// Whether there is one group, of full attention.
    pub(super) fn is_dense(&self) -> bool {
        matches!(self.groups.as_slice(), [group] if group.spec.kind.is_full_attention())
    }

    /// Blocks of the longest request over all groups.
    #[must_use]
    pub fn max_blocks_per_request(&self, extent: RequestExtent) -> u64 {
        self.groups.iter().map(|group| u64::from(group.spec.max_blocks_per_request(extent))).sum()
    }

    /// Whether a hit may end inside a Mamba block.
    #[must_use]
    pub fn has_partial_hits(&self) -> bool {
        self.groups.len() > 1 && allows_partial_hits(self)
    }
}
