//! One request's blocks, and what it can ask for.

use alloc::vec::Vec;

use super::block_keys::KeyPath;
use super::group_blocks::GroupBlocks;

/// The blocks of one request.
#[derive(Debug, Clone, Default)]
pub struct RequestBlocks {
    /// Tokens that all tables have room for; 0 where a group has to be asked each time.
    pub(super) capacity: u32,
    /// Tokens at which the next block can get its key; 0 where a group has to be asked each time.
    pub(super) next_full_block_end: u32,
    /// Processed tokens at which the next block is given back.
    pub(super) next_skip: u32,
    pub(super) num_prompt_tokens: u32,
    /// Where a prefix ends that some group has and this request had to compute for another; 0 for nowhere.
    pub(super) shared_prefix_boundary: u32,
    /// Per group.
    pub(super) groups: Vec<GroupBlocks>,
    pub(super) path: KeyPath,
}

impl RequestBlocks {
    /// Whether its content ends in `chain`.
    pub(crate) fn ends_in(&self, chain: u32) -> bool {
        self.path.slices.last().is_some_and(|slice| slice.chain == chain)
    }

    /// Where a prefix ends that some group has and this request has to compute for another; 0 for nowhere.
    pub(crate) const fn shared_prefix_boundary(&self) -> u32 {
        self.shared_prefix_boundary
    }
}

/// What a request needs slots for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlotDemand {
    /// Tokens computed, or being computed by a pass issued.
    pub(crate) num_computed_tokens: u32,
    /// Tokens of the pass being decided, drafts included.
    pub(crate) num_new_tokens: u32,
    /// Known tokens.
    pub(crate) num_tokens: u32,
    /// Of the computed ones, those of passes not yet processed.
    pub(crate) num_in_flight_tokens: u32,
}

/// What an admission has to leave free.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdmissionLimits {
    /// Admit only if all known tokens would fit now (`scheduler_reserve_full_isl`).
    pub(crate) reserve_full: bool,
    /// Hold the watermark's blocks back.
    pub(crate) keep_watermark: bool,
}
