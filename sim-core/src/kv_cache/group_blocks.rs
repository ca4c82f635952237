//! The blocks that one request has of one group of layers.

use alloc::vec::Vec;

use super::extents::HeldBlocks;
use super::free_block_queue::BlockId;

/// A request's block table for one group, and what the group's manager remembers of it.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupBlocks {
    /// Block of each `block_size` tokens; the null block where one was given back or skipped.
    pub(super) table: Vec<BlockId>,
    /// Its blocks where they are taken many at once: then the table is empty.
    pub(super) held: HeldBlocks,
    /// Leading blocks of the table that were looked at for a key.
    pub(super) num_cached_blocks: u32,
    /// Leading blocks of the table that were given back as no later token attends to them.
    pub(super) num_skipped_blocks: u32,
    /// The block that a hit ends inside of, or whose key stands for a prefix that does: it is to be copied before this
    /// request writes into it.
    pub(super) partial_hit: Option<PartialHit>,
    pub(super) mamba: MambaBlocks,
}

/// A block of a table that others may find, to be copied first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartialHit {
    pub(super) index: u32,
    pub(super) block: BlockId,
}

/// What is remembered of a Mamba group's table.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MambaBlocks {
    /// Whether this request took blocks for its running state.
    pub(super) has_allocated: bool,
    /// Place of the state before the running one.
    pub(super) last_state_block: Option<u32>,
    /// State that the pass under way saves inside its chunk.
    pub(super) checkpoint: Option<Checkpoint>,
}

/// A state saved inside a chunk: for the first `position` tokens, at `index` of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) position: u32,
    pub(super) index: u32,
}

impl GroupBlocks {
    /// Length of the table, or blocks held without one.
    pub(super) fn len(&self) -> u32 {
        crate::math::usize_to_u32(self.table.len()) + self.held.len()
    }

    /// Forgets everything but the table, which the pool empties.
    pub(super) fn reset(&mut self) {
        self.num_cached_blocks = 0;
        self.num_skipped_blocks = 0;
        self.partial_hit = None;
        self.mamba = MambaBlocks::default();
    }
}
