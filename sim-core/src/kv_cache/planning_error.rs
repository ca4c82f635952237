//! Why layers cannot be grouped.

use core::fmt;

/// Most layers of a model.
pub(super) const MAX_LAYERS: usize = 4096;

/// Why a model's layers cannot be served together. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanningError {
    /// There are no layers, or more than can be planned.
    NumLayers {
        /// How many there are.
        num_layers: usize,
    },
    /// A size of a layer is 0.
    ZeroSize {
        /// The layer's place.
        layer: usize,
        /// Which size.
        field: &'static str,
    },
    /// With one table for all, layers remain that need tables of their own: a window and chunks, or states.
    NotOneType,
    /// An MLA layer's page does not divide the largest page and cannot be padded.
    PageSizes {
        /// The layer's page in bytes.
        page_size: u64,
        /// The largest page in bytes.
        largest: u64,
    },
    /// A block size is not a multiple of `prefix_match_unit`.
    PrefixMatchUnit {
        /// What was given.
        prefix_match_unit: u32,
        /// The block size.
        block_size: u32,
    },
    /// A single group has another `prefix_match_unit` than its block size.
    PrefixMatchUnitNotBlockSize {
        /// What was given.
        prefix_match_unit: u32,
        /// The block size.
        block_size: u32,
    },
    /// A retention interval is given and no group has windows or states.
    RetentionWithoutSparseGroup {
        /// What was given.
        retention_interval: u32,
    },
    /// A retention interval is not a multiple of the blocks' common multiple.
    RetentionInterval {
        /// What was given.
        retention_interval: u32,
        /// What it must be a multiple of.
        scheduler_block_size: u32,
    },
    /// The blocks' common multiple does not fit in 32 bits.
    BlockSizes,
}

impl fmt::Display for PlanningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NumLayers { num_layers } => {
                write!(f, "{num_layers} layers keep something in the KV cache; 1 to {MAX_LAYERS} are simulated")
            }
            Self::ZeroSize { layer, field } => write!(f, "layer {layer}: {field} is 0"),
            Self::NotOneType => f.write_str(
                "disable_hybrid_kv_cache_manager: the layers are not of one type without windows and chunks, so vLLM \
                 cannot serve them with one block table",
            ),
            Self::PageSizes { page_size, largest } => write!(
                f,
                "an MLA layer has {page_size} bytes a block, which does not divide the {largest} bytes of another \
                 layer: vLLM does not start"
            ),
            Self::PrefixMatchUnit { prefix_match_unit, block_size } => write!(
                f,
                "prefix_match_unit = {prefix_match_unit} does not divide the block size {block_size} of a group of \
                 layers"
            ),
            Self::PrefixMatchUnitNotBlockSize { prefix_match_unit, block_size } => write!(
                f,
                "prefix_match_unit = {prefix_match_unit} is not block_size = {block_size}, the only boundary a \
                 prefix-cache hit can have in this model: leave it out"
            ),
            Self::RetentionWithoutSparseGroup { retention_interval } => write!(
                f,
                "prefix_cache_retention_interval = {retention_interval}: the model has no layers with a window or \
                 states, which alone it acts on; set it to 0"
            ),
            Self::RetentionInterval { retention_interval, scheduler_block_size } => write!(
                f,
                "prefix_cache_retention_interval = {retention_interval} must be a multiple of {scheduler_block_size}, \
                 the common multiple of the groups' block sizes"
            ),
            Self::BlockSizes => f.write_str("the groups' block sizes have no common multiple below 2^32"),
        }
    }
}

impl core::error::Error for PlanningError {}
