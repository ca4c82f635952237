//! What a cache tells others: which blocks can be found from now on, and which no longer. Routers listen to it.
//!
//! Source: `vllm/distributed/kv_events.py`.

use alloc::vec::Vec;

use super::spec::LayerKind;
use crate::request::TokenRun;

/// A change of what can be found in the prefix cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvCacheEvent {
    /// Blocks of one request were given keys.
    BlockStored(BlockStored),
    /// A block lost a key.
    BlockRemoved {
        /// As it was told when the block was stored.
        block_hash: u64,
        /// Its group of layers.
        group: u32,
    },
    /// The cache was emptied (`POST /reset_prefix_cache`).
    AllBlocksCleared,
}

/// What is told of stored blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockStored {
    /// One of each block: a number that all sequences with the same tokens up to its end share. It is of the token
    /// numbers of [`TokenRun`]s and of a fixed function, so all engines agree on it; it is not vLLM's hash.
    pub block_hashes: Vec<u64>,
    /// That of the block before the first; `None` at the beginning of a sequence.
    pub parent_block_hash: Option<u64>,
    /// All tokens from the first block to the last, those of blocks between that are not kept included.
    pub tokens: Vec<TokenRun>,
    /// Tokens of a block.
    pub block_size: u32,
    /// The group of layers.
    pub group: u32,
    /// The salt that is part of the first hash, if the first block of a sequence with one is among them; otherwise 0.
    pub cache_salt: u32,
}

/// The name of a kind of layers in events (`vllm/v1/kv_cache_interface.py::get_kv_cache_spec_kind`), and its window.
#[must_use]
pub const fn spec_kind(kind: &LayerKind) -> (&'static str, Option<u32>) {
    match *kind {
        LayerKind::FullAttention { sliding_window, .. } => ("full_attention", sliding_window),
        LayerKind::Mla => ("mla_attention", None),
        LayerKind::SlidingWindow { sliding_window, .. } => ("sliding_window", Some(sliding_window)),
        LayerKind::ChunkedLocal { .. } => ("chunked_local_attention", None),
        LayerKind::Mamba(_) => ("mamba", None),
    }
}
