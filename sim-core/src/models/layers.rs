//! What a model's layers keep for a request, before an engine's settings decide about blocks.

/// What a layer keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelLayerKind {
    /// Keys and values of all tokens.
    FullAttention,
    /// One latent vector of each token.
    Mla,
    /// Keys and values of the last so many tokens.
    SlidingWindow(u32),
    /// Keys and values of the tokens since the last multiple of so many.
    ChunkedLocalAttention(u32),
    /// A state: Mamba and linear attention.
    Mamba,
}

/// Where inside a chunk a pass can save a state (`MambaBase.get_prefill_checkpoint_alignment`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefillCheckpoint {
    /// Tokens at whose multiples it can.
    pub alignment: u32,
    /// Whether it does so only at ends of blocks, and only with prefix caching: gated delta networks, since 0.33.
    pub at_block_ends: bool,
}

/// Layers that follow each other and keep the same, on one rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelLayers {
    /// How many.
    pub num_layers: u32,
    /// What they keep.
    pub kind: ModelLayerKind,
    /// Key and value heads; 1 for MLA and Mamba.
    pub num_kv_heads: u32,
    /// Elements of a head; 0 for Mamba.
    pub head_size: u32,
    /// Bytes of one token in one layer; for Mamba, of one state.
    pub bytes: u64,
    /// Bytes by which a state grows for each draft that is verified at once.
    pub bytes_per_draft_token: u64,
    /// Where inside a chunk a pass can save a state; `None` if it cannot.
    pub prefill_checkpoint: Option<PrefillCheckpoint>,
    /// Whether they are a draft model's.
    pub is_draft: bool,
}

impl ModelLayers {
    /// `num_layers` layers of full attention that keep `bytes_per_token` together, where nothing else is known.
    #[must_use]
    pub const fn full_attention(bytes_per_token: u64) -> Self {
        Self {
            num_layers: 1,
            kind: ModelLayerKind::FullAttention,
            num_kv_heads: 1,
            head_size: 1,
            bytes: bytes_per_token,
            bytes_per_draft_token: 0,
            prefill_checkpoint: None,
            is_draft: false,
        }
    }

    /// Whether they keep states.
    #[must_use]
    pub const fn is_mamba(&self) -> bool {
        matches!(self.kind, ModelLayerKind::Mamba)
    }
}
