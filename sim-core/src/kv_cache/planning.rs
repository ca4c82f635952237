//! From a model's layers to groups that share block tables, and to the number of blocks.
//!
//! Source: `vllm/v1/core/kv_cache_planning.py` (`kv_cache_utils.py` in 0.32), with the layers of one rank after another
//! and each layer's pages in one piece.

use alloc::vec;
use alloc::vec::Vec;

use super::block_sizes::{HitSettings, with_block_sizes};
use super::planning_error::{MAX_LAYERS, PlanningError};
use super::spec::{KvCacheConfig, KvCacheGroup, KvCacheSpec, LayerKind};
use crate::batch::AttentionKind;
use crate::math;
use crate::speculative::{SpeculativeConfig, SpeculativeMethod};
use crate::vllm_version::VllmVersion;

/// How the layers are to be grouped.
#[derive(Debug, Clone, Copy)]
pub struct PlanningOptions {
    /// Whether layers with a window or chunks keep all blocks, so that one table serves all
    /// (`--disable-hybrid-kv-cache-manager`).
    pub disable_hybrid_kv_cache_manager: bool,
    /// What decides where a hit can end.
    pub hits: HitSettings,
    /// Whether a drafter's keys depend on the next token: its group is then marked
    /// (`SpeculativeConfig.use_eagle_block_drop`).
    pub marks_drafter: bool,
    /// Which group that is where no layer says so.
    pub drafter_layer: DrafterLayer,
    /// Tokens behind a window that stay for a chain of MTP layers.
    pub extra_retained_tokens: u32,
}

/// How the drafter's layers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrafterLayer {
    /// Each layer says whether it is one (0.33).
    Marked,
    /// The model's last layer is one, where there are groups by kind (0.32 with MTP).
    Last,
    /// Nobody knows (0.32 with other methods): then it may be any.
    Unknown,
}

impl DrafterLayer {
    /// How `version` tells the layers of a drafter.
    #[must_use]
    pub fn of(version: VllmVersion, drafter: Option<&SpeculativeConfig>) -> Self {
        match drafter.map(|drafter| drafter.method) {
            _ if version.marks_draft_layers() => Self::Marked,
            Some(SpeculativeMethod::Mtp) => Self::Last,
            _ => Self::Unknown,
        }
    }
}

/// Groups `layers`, given in the model's order, as vLLM does.
///
/// # Errors
/// See [`PlanningError`].
pub fn plan(layers: &[KvCacheSpec], options: &PlanningOptions) -> Result<KvCacheConfig, PlanningError> {
    check(layers)?;
    let mut specs = layers.to_vec();
    for spec in &mut specs {
        if let LayerKind::SlidingWindow { extra_retained_tokens, .. } = &mut spec.kind {
            *extra_retained_tokens = options.extra_retained_tokens;
        }
    }
    let (mut groups, are_by_kind) = group_layers(&mut specs, options.disable_hybrid_kv_cache_manager)?;
    if options.marks_drafter {
        for group in &mut groups {
            group.is_eagle_group = match options.drafter_layer {
                DrafterLayer::Unknown => false,
                DrafterLayer::Last if !are_by_kind => false,
                DrafterLayer::Marked => group.layers.iter().any(|&layer| layers[layer as usize].is_draft),
                DrafterLayer::Last => group.layers.contains(&(math::usize_to_u32(layers.len()) - 1)),
            };
        }
    }
    let mut attention: Vec<AttentionKind> =
        layers.iter().filter(|layer| !layer.is_draft).map(|layer| layer.kind.attention()).collect();
    attention.sort_unstable();
    attention.dedup();
    with_block_sizes(groups, attention, &options.hits)
}

fn check(layers: &[KvCacheSpec]) -> Result<(), PlanningError> {
    if layers.is_empty() || layers.len() > MAX_LAYERS {
        return Err(PlanningError::NumLayers { num_layers: layers.len() });
    }
    for (layer, spec) in layers.iter().enumerate() {
        let length = match spec.kind {
            LayerKind::SlidingWindow { sliding_window, .. } => sliding_window,
            LayerKind::ChunkedLocal { attention_chunk_size } => attention_chunk_size,
            _ => 1,
        };
        let sizes = [
            ("block_size", u64::from(spec.block_size)),
            ("num_kv_heads", u64::from(spec.num_kv_heads)),
            ("bytes", spec.state_bytes),
            ("window or chunk", u64::from(length)),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|size| size.1 == 0) {
            return Err(PlanningError::ZeroSize { layer, field });
        }
    }
    Ok(())
}

/// `get_kv_cache_groups`, and whether they are by kind; specs are changed where layers keep all their blocks.
fn group_layers(specs: &mut [KvCacheSpec], is_one_table: bool) -> Result<(Vec<KvCacheGroup>, bool), PlanningError> {
    if is_one_table {
        promote_local_layers(specs)?;
    }
    if let Some(spec) = merged(specs) {
        return Ok((vec![group(spec, specs, &(0..specs.len()).collect::<Vec<_>>())], false));
    }
    if is_uniform_type(specs) {
        return Ok((vec![group(specs[0], specs, &(0..specs.len()).collect::<Vec<_>>())], false));
    }
    // A failure part of the way must leave the sizes as they were.
    let mut unified = specs.to_vec();
    match unify_page_sizes(&mut unified) {
        Ok(()) => Ok((group_by_spec(&unified), true)),
        Err(error) => full_allocation(specs).map(|groups| (groups, false)).ok_or(error),
    }
}

/// One spec for all, if they can share one: equal ones, and full attention that differs in its window alone
/// (`KVCacheSpec.merge`).
fn merged(specs: &[KvCacheSpec]) -> Option<KvCacheSpec> {
    let mut all = specs[0];
    for spec in &specs[1..] {
        if let (
            LayerKind::FullAttention { sliding_window: window, attention_chunk_size: chunk },
            LayerKind::FullAttention { sliding_window, attention_chunk_size },
        ) = (&mut all.kind, spec.kind)
        {
            for (all, one) in [(window, sliding_window), (chunk, attention_chunk_size)] {
                if all.is_some() && one.is_some() && *all != one {
                    return None;
                }
                *all = all.or(one);
            }
            if (KvCacheSpec { kind: all.kind, ..*spec }) != all {
                return None;
            }
        } else if *spec != all {
            return None;
        }
    }
    let has_both =
        matches!(all.kind, LayerKind::FullAttention { sliding_window: Some(_), attention_chunk_size: Some(_) });
    (!has_both).then_some(all)
}

/// Whether all layers need as many slots, so that one table serves them (`UniformTypeKVCacheSpecs.is_uniform_type`).
fn is_uniform_type(specs: &[KvCacheSpec]) -> bool {
    let first = &specs[0];
    specs.iter().all(|spec| {
        spec.block_size == first.block_size
            && match (first.kind, spec.kind) {
                (LayerKind::Mamba(one), LayerKind::Mamba(other)) => {
                    one == other && first.page_size_bytes() == spec.page_size_bytes()
                }
                (
                    LayerKind::SlidingWindow { sliding_window: one, .. },
                    LayerKind::SlidingWindow { sliding_window: other, .. },
                )
                | (
                    LayerKind::ChunkedLocal { attention_chunk_size: one },
                    LayerKind::ChunkedLocal { attention_chunk_size: other },
                ) => one == other,
                (one, other) => one.is_full_attention() && other.is_full_attention(),
            }
    })
}

/// Layers with a window or chunks keep all blocks (`_promote_local_kv_cache_specs`).
fn promote_local_layers(specs: &mut [KvCacheSpec]) -> Result<(), PlanningError> {
    if merged(specs).is_some() || is_uniform_type(specs) {
        return Ok(());
    }
    let mut full_sizes: Vec<u32> =
        specs.iter().filter(|spec| spec.kind.is_full_attention()).map(|spec| spec.block_size).collect();
    full_sizes.sort_unstable();
    full_sizes.dedup();
    if !full_sizes.is_empty() {
        for spec in specs.iter_mut() {
            spec.kind = match spec.kind {
                LayerKind::SlidingWindow { sliding_window, .. } => {
                    LayerKind::FullAttention { sliding_window: Some(sliding_window), attention_chunk_size: None }
                }
                LayerKind::ChunkedLocal { attention_chunk_size } => {
                    LayerKind::FullAttention { sliding_window: None, attention_chunk_size: Some(attention_chunk_size) }
                }
                _ => continue,
            };
            let block_size = if let [size] = full_sizes[..] { size } else { spec.block_size };
            if let Some(padded) = &mut spec.page_size_padded {
                let content = u64::from(block_size) * u64::from(spec.num_kv_heads) * spec.state_bytes;
                *padded = content.max(*padded);
            }
            spec.block_size = block_size;
        }
    }
    if merged(specs).is_some() || is_uniform_type(specs) { Ok(()) } else { Err(PlanningError::NotOneType) }
}

/// Makes all pages as large as the largest: by longer blocks where that is exact, else by padding
/// (`unify_kv_cache_spec_page_size`).
fn unify_page_sizes(specs: &mut [KvCacheSpec]) -> Result<(), PlanningError> {
    let largest = specs.iter().map(KvCacheSpec::page_size_bytes).max().unwrap_or(0);
    for spec in specs {
        let page_size = spec.page_size_bytes();
        if page_size == largest {
            continue;
        }
        match spec.kind {
            LayerKind::Mamba(_) => spec.page_size_padded = Some(largest),
            _ if largest.is_multiple_of(page_size) => {
                let ratio = u32::try_from(largest / page_size).or(Err(PlanningError::BlockSizes))?;
                spec.block_size = spec.block_size.checked_mul(ratio).ok_or(PlanningError::BlockSizes)?;
                // A padded page of a longer block keeps its padding in bytes.
                if spec.page_size_padded.is_some() {
                    spec.page_size_padded = Some(largest);
                }
            }
            LayerKind::Mla => return Err(PlanningError::PageSizes { page_size, largest }),
            _ => spec.page_size_padded = Some(largest),
        }
    }
    Ok(())
}

/// All layers in one group, windows kept whole: what is left where an MLA model has a drafter with a window whose pages
/// do not fit (`_try_get_full_allocation_fallback_groups`).
fn full_allocation(specs: &mut [KvCacheSpec]) -> Option<Vec<KvCacheGroup>> {
    let has = |is_one: fn(&LayerKind) -> bool| specs.iter().any(|spec| is_one(&spec.kind));
    let is_eligible = has(|kind| matches!(kind, LayerKind::Mla))
        && has(|kind| matches!(kind, LayerKind::SlidingWindow { .. }))
        && !has(|kind| matches!(kind, LayerKind::ChunkedLocal { .. }));
    if !is_eligible {
        return None;
    }
    promote_local_layers(specs).ok()?;
    is_uniform_type(specs).then(|| vec![group(specs[0], specs, &(0..specs.len()).collect::<Vec<_>>())])
}

/// Groups of equally many layers: as many as the rarest kind has, or as the most frequent has where that is little more
/// (`_get_kv_cache_groups_uniform_page_size`).
fn group_by_spec(specs: &[KvCacheSpec]) -> Vec<KvCacheGroup> {
    let mut buckets: Vec<(Vec<KvCacheSpec>, Vec<usize>)> = Vec::new();
    for (spec, layers) in same_specs(specs) {
        let known = buckets.iter_mut().find(|(members, _)| {
            let mut members = members.clone();
            members.push(spec);
            merged(&members).is_some()
        });
        match known {
            Some((members, known)) => {
                members.push(spec);
                known.extend(layers);
            }
            None => buckets.push((vec![spec], layers)),
        }
    }
    let fewest = buckets.iter().map(|bucket| bucket.1.len()).min().unwrap_or(1);
    let most = buckets.iter().map(|bucket| bucket.1.len()).max().unwrap_or(1);
    // Half as many again, in whole numbers.
    let group_size = if 2 * most < 3 * fewest { most } else { fewest };
    let mut groups = Vec::new();
    for (members, layers) in buckets {
        let num_groups = layers.len().div_ceil(group_size);
        let spec = merged(&members).unwrap_or(members[0]);
        for place in 0..num_groups {
            // Every so-manieth, so that stages of a pipeline get some of each.
            let layers: Vec<_> = layers.iter().copied().skip(place).step_by(num_groups).collect();
            groups.push(group(spec, specs, &layers));
        }
    }
    groups
}

/// The layers of each spec, in the order in which the specs first occur.
fn same_specs(specs: &[KvCacheSpec]) -> Vec<(KvCacheSpec, Vec<usize>)> {
    let mut same: Vec<(KvCacheSpec, Vec<usize>)> = Vec::new();
    for (layer, spec) in specs.iter().enumerate() {
        match same.iter_mut().find(|known| known.0 == *spec) {
            Some(known) => known.1.push(layer),
            None => same.push((*spec, vec![layer])),
        }
    }
    same
}

fn group(spec: KvCacheSpec, specs: &[KvCacheSpec], layers: &[usize]) -> KvCacheGroup {
    KvCacheGroup {
        spec,
        layers: layers.iter().map(|&layer| math::usize_to_u32(layer)).collect(),
        bytes_per_block: layers.iter().map(|&layer| specs[layer].page_size_bytes()).fold(0, u64::saturating_add),
        is_eagle_group: false,
    }
}
