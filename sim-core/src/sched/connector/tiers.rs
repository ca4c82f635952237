//! What a connector tells of tiers behind the host's memory, and what it is told of them.
//!
//! Source: `vllm/v1/kv_offload/tiering/base.py`: `TransferJob`, `JobResult`.

use alloc::vec::Vec;

use crate::request::RequestId;

/// Number of a transfer between the host's memory and a tier behind it.
pub type TierJobId = u32;

/// Chunks that begin to be moved between the host's memory and a tier behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierJob {
    /// Its number, over all tiers.
    pub id: TierJobId,
    /// Place of the tier.
    pub tier: usize,
    /// Whose text.
    pub request: RequestId,
    /// Whether they come from the tier (a promotion), and do not go there (a cascade).
    pub is_promotion: bool,
    /// How many.
    pub num_chunks: u32,
    /// Of these, those that have to be moved: a tier that has one already leaves it.
    pub num_moved: u32,
}

/// Chunks that a tier begins to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierLookups {
    /// Place of the tier.
    pub tier: usize,
    /// Requests that ask.
    pub num_requests: u32,
    /// Chunks that they ask for.
    pub num_chunks: u32,
}

/// What a pass decided for the tiers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TierPass {
    /// Transfers that began since the pass before.
    pub begun: Vec<TierJob>,
    /// Batches that are looked up from now on, one for each tier at most.
    pub lookups: Vec<TierLookups>,
    /// Transfers that were found to be over.
    pub over: Vec<TierJobId>,
    /// Chunks that were kept from tiers that do not keep up, since the pass before.
    pub num_dropped: u32,
    /// Chunks that each tier has.
    pub num_chunks: Vec<u32>,
    /// Loads of this pass, and how many of their tokens came from behind the host's memory: only such with some.
    pub loaded: Vec<(RequestId, u32)>,
}

/// What happened in the tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TierEvent {
    /// A transfer has ended.
    JobEnded(TierJobId),
    /// The tier has an answer to the batch that it was asked first, of those without one.
    Answered {
        /// Its place.
        tier: usize,
    },
}
