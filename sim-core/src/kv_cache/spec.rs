//! What one layer of a model keeps in the KV cache, and the group of layers that share a block table.
//!
//! Source: `vllm/v1/kv_cache_interface.py`; a spec here is one of its `*Spec` classes.

use alloc::vec::Vec;

use crate::batch::{AttentionKind, AttentionSpan};

/// How many blocks one request may hold, in the words of vLLM's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestExtent {
    /// Longest sequence.
    pub max_model_len: u32,
    /// Most tokens scheduled and not yet settled: a full batch for each pass under way
    /// (`vllm/config/vllm.py::max_in_flight_tokens`).
    pub max_in_flight_tokens: u32,
}

/// What a drafter asks of the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DrafterDemand {
    /// Whether groups with its layers give up the last block of a hit (`use_eagle_block_drop`, where look-ahead hashes
    /// do not make it needless).
    pub drops_block: bool,
    /// Trailing computed tokens that it may compute again (`num_reprefillable_tokens`).
    pub num_reprefillable_tokens: u32,
}

/// When a Mamba layer's state is kept for others (`vllm/config/cache.py::MambaCacheMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MambaCacheMode {
    /// Never: one state a request.
    #[default]
    None,
    /// At block ends that a chunk was made to stop at: prefix caching.
    Align,
}

/// The state of a Mamba or linear-attention layer (`MambaSpec`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MambaState {
    /// When states are kept.
    pub mode: MambaCacheMode,
    /// States beside the running one, one for each draft token to be verified.
    pub num_speculative_blocks: u32,
    /// 1 if a pass can save the state at a position inside its chunk, else 0.
    pub num_prefill_checkpoint_blocks: u32,
    /// Such a position is a multiple of this many tokens behind the chunk's start; `None` if it cannot.
    pub prefill_checkpoint_alignment: Option<u32>,
}

/// The kind of a layer, which decides who manages its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// Every token attends to all before it (`FullAttentionSpec`). A window or chunk is set where a layer computes with
    /// one but keeps all its blocks, as `--disable-hybrid-kv-cache-manager` asks.
    FullAttention {
        /// Tokens that its attention sees, if fewer than all.
        sliding_window: Option<u32>,
        /// Tokens of its chunks, if it attends in chunks.
        attention_chunk_size: Option<u32>,
    },
    /// Full attention over one latent vector a token (`MLAAttentionSpec`).
    Mla,
    /// A token attends to itself and the `sliding_window - 1` before it (`SlidingWindowSpec`).
    SlidingWindow {
        /// Tokens that it sees, itself included.
        sliding_window: u32,
        /// Tokens behind the window that stay: a chain of several MTP modules computes them again.
        extra_retained_tokens: u32,
    },
    /// A token attends to those of its own chunk (`ChunkedLocalAttentionSpec`).
    ChunkedLocal {
        /// Tokens of a chunk.
        attention_chunk_size: u32,
    },
    /// A state instead of keys and values (`MambaSpec`).
    Mamba(MambaState),
}

impl LayerKind {
    /// Plain full attention.
    pub const FULL: Self = Self::FullAttention { sliding_window: None, attention_chunk_size: None };

    /// The name of vLLM's class.
    #[must_use]
    pub const fn vllm_class(&self) -> &'static str {
        match self {
            Self::FullAttention { .. } => "FullAttentionSpec",
            Self::Mla => "MLAAttentionSpec",
            Self::SlidingWindow { .. } => "SlidingWindowSpec",
            Self::ChunkedLocal { .. } => "ChunkedLocalAttentionSpec",
            Self::Mamba(_) => "MambaSpec",
        }
    }

    /// Whether blocks are kept for all tokens (`FullAttentionSpec` and its subclasses).
    #[must_use]
    pub const fn is_full_attention(&self) -> bool {
        matches!(self, Self::FullAttention { .. } | Self::Mla)
    }

    /// What its rows look at.
    #[must_use]
    pub const fn attention(&self) -> AttentionKind {
        match *self {
            Self::Mamba(_) => AttentionKind::State,
            Self::SlidingWindow { sliding_window: window, .. }
            | Self::FullAttention { sliding_window: Some(window), .. } => {
                AttentionKind::Span(AttentionSpan::Window(window))
            }
            Self::ChunkedLocal { attention_chunk_size: chunk }
            | Self::FullAttention { attention_chunk_size: Some(chunk), .. } => {
                AttentionKind::Span(AttentionSpan::Chunk(chunk))
            }
            Self::FullAttention { .. } | Self::Mla => AttentionKind::Full,
        }
    }

    /// Whether it is a [`LayerKind::Mamba`].
    #[must_use]
    pub const fn is_mamba(&self) -> bool {
        matches!(self, Self::Mamba(_))
    }
}

/// What one layer keeps in the KV cache.
#[derive(Debug, Clone, Copy)]
pub struct KvCacheSpec {
    /// Who manages it.
    pub kind: LayerKind,
    /// Tokens of a block.
    pub block_size: u32,
    /// Key-value heads on one rank; 1 for MLA and Mamba.
    pub num_kv_heads: u32,
    /// Elements of a head; 0 for Mamba.
    pub head_size: u32,
    /// Bytes of one head's keys and values of one token; for Mamba, of the whole state.
    pub state_bytes: u64,
    /// Bytes of a block where they are more than its content.
    pub page_size_padded: Option<u64>,
    /// Whether it is a layer of the draft model. Layers are grouped without regard to it.
    pub is_draft: bool,
}

impl PartialEq for KvCacheSpec {
    fn eq(&self, other: &Self) -> bool {
        let Self { kind, block_size, num_kv_heads, head_size, state_bytes, page_size_padded, is_draft: _ } = *self;
        (kind, block_size, num_kv_heads, head_size, state_bytes, page_size_padded)
            == (
                other.kind,
                other.block_size,
                other.num_kv_heads,
                other.head_size,
                other.state_bytes,
                other.page_size_padded,
            )
    }
}

impl Eq for KvCacheSpec {}

impl KvCacheSpec {
    /// Full attention with blocks of `block_size` tokens, where bytes do not matter.
    #[must_use]
    pub const fn full_attention(block_size: u32) -> Self {
        Self {
            kind: LayerKind::FULL,
            block_size,
            num_kv_heads: 1,
            head_size: 0,
            state_bytes: 1,
            page_size_padded: None,
            is_draft: false,
        }
    }

    /// Bytes of a block's content (`unpadded_page_size_bytes`).
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        if self.kind.is_mamba() {
            self.state_bytes
        } else {
            u64::from(self.block_size).saturating_mul(u64::from(self.num_kv_heads)).saturating_mul(self.state_bytes)
        }
    }

    /// Bytes of a block of this layer (`page_size_bytes`).
    #[must_use]
    pub fn page_size_bytes(&self) -> u64 {
        self.page_size_padded.unwrap_or_else(|| self.content_bytes())
    }

    /// Blocks of the longest request, as start-up counts them: `max_memory_usage_bytes` in pages.
    #[must_use]
    pub fn max_blocks_per_request(&self, extent: RequestExtent) -> u32 {
        match self.kind {
            LayerKind::FullAttention { .. } | LayerKind::Mla => extent.max_model_len.div_ceil(self.block_size),
            LayerKind::SlidingWindow { .. } | LayerKind::ChunkedLocal { .. } => {
                self.max_admission_blocks(extent).unwrap_or(u32::MAX)
            }
            LayerKind::Mamba(MambaState { mode, num_speculative_blocks, num_prefill_checkpoint_blocks, .. }) => {
                match mode {
                    MambaCacheMode::Align => 2 + num_speculative_blocks + num_prefill_checkpoint_blocks,
                    MambaCacheMode::None => 1 + num_speculative_blocks,
                }
            }
        }
    }

    /// Most blocks that an admission is held against, where blocks are given back as a request proceeds
    /// (`max_admission_blocks_per_request`); `None` where they are not.
    #[must_use]
    pub fn max_admission_blocks(&self, extent: RequestExtent) -> Option<u32> {
        let in_flight = extent.max_in_flight_tokens;
        let blocks = |num_tokens: u32| num_tokens.min(extent.max_model_len).div_ceil(self.block_size);
        match self.kind {
            LayerKind::SlidingWindow { sliding_window, extra_retained_tokens } => {
                let retained = (sliding_window - 1).saturating_add(extra_retained_tokens);
                // One more, as a window need not begin with a block.
                Some(blocks(retained.saturating_add(in_flight)).saturating_add(1))
            }
            LayerKind::ChunkedLocal { attention_chunk_size } => {
                Some(blocks(attention_chunk_size.saturating_add(in_flight)))
            }
            _ => None,
        }
    }
}

/// Layers that share one block table (`KVCacheGroupSpec`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvCacheGroup {
    /// What its layers keep; of layers of several sizes, the first one's.
    pub spec: KvCacheSpec,
    /// The layers' places in the model.
    pub layers: Vec<u32>,
    /// Bytes of a block over all its layers.
    pub bytes_per_block: u64,
    /// Whether it holds a draft model's layers whose keys depend on the next token, so that a hit gives up its last
    /// block.
    pub is_eagle_group: bool,
}

/// The groups of a model, and how tokens are counted over them (`KVCacheConfig`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvCacheConfig {
    /// At least one.
    pub groups: Vec<KvCacheGroup>,
    /// The kinds of attention of the model's layers, the drafter's left out; ascending.
    pub attention: Vec<AttentionKind>,
    /// Tokens that a hit is a multiple of, unless finer ones are possible: the least common multiple of the groups'
    /// block sizes.
    pub scheduler_block_size: u32,
    /// Tokens of a block's hash; divides every group's block size.
    pub hash_block_size: u32,
    /// Tokens between kept checkpoints of windows and states: `Some(0)` keeps those that a repeated or longer prompt
    /// can use, `None` all (`prefix_cache_retention_interval`).
    pub retention_interval: Option<u32>,
}

impl KvCacheConfig {
    /// One group of full attention.
    #[must_use]
    pub fn full_attention(block_size: u32) -> Self {
        Self {
            groups: alloc::vec![KvCacheGroup {
                spec: KvCacheSpec::full_attention(block_size),
                layers: alloc::vec![0],
                bytes_per_block: u64::from(block_size),
                is_eagle_group: false,
            }],
            attention: alloc::vec![AttentionKind::Full],
            scheduler_block_size: block_size,
            hash_block_size: block_size,
            retention_interval: Some(0),
        }
    }

    /// The spans of the model's layers that do not look back to the beginning.
    #[must_use]
    pub fn spans(&self) -> Vec<AttentionSpan> {
        let span = |kind: &AttentionKind| if let AttentionKind::Span(span) = kind { Some(*span) } else { None };
        self.attention.iter().filter_map(span).collect()
    }

    /// Whether any group is of Mamba states.
    #[must_use]
    pub fn has_mamba_layers(&self) -> bool {
        self.groups.iter().any(|group| group.spec.kind.is_mamba())
    }
}
