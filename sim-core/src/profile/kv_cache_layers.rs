//! What layers keep, in a profile's words and in the engine's.

use super::schema::{KvCacheLayerKind, KvCacheLayers, PrefillCheckpoint};
use crate::models::layers::{self, ModelLayerKind, ModelLayers};

impl From<&KvCacheLayers> for ModelLayers {
    fn from(layers: &KvCacheLayers) -> Self {
        let span = layers.span_tokens.unwrap_or(1);
        Self {
            num_layers: layers.num_layers,
            kind: match layers.kind {
                KvCacheLayerKind::FullAttention => ModelLayerKind::FullAttention,
                KvCacheLayerKind::Mla => ModelLayerKind::Mla,
                KvCacheLayerKind::SlidingWindow => ModelLayerKind::SlidingWindow(span),
                KvCacheLayerKind::ChunkedLocalAttention => ModelLayerKind::ChunkedLocalAttention(span),
                KvCacheLayerKind::Mamba => ModelLayerKind::Mamba,
            },
            num_kv_heads: layers.num_kv_heads,
            head_size: layers.head_size,
            bytes: layers.bytes,
            bytes_per_draft_token: layers.bytes_per_draft_token,
            prefill_checkpoint: layers.prefill_checkpoint.map(|checkpoint| layers::PrefillCheckpoint {
                alignment: checkpoint.alignment,
                at_block_ends: checkpoint.at_block_ends,
            }),
            is_draft: false,
        }
    }
}

impl From<&ModelLayers> for KvCacheLayers {
    fn from(layers: &ModelLayers) -> Self {
        let (kind, span_tokens) = match layers.kind {
            ModelLayerKind::FullAttention => (KvCacheLayerKind::FullAttention, None),
            ModelLayerKind::Mla => (KvCacheLayerKind::Mla, None),
            ModelLayerKind::SlidingWindow(window) => (KvCacheLayerKind::SlidingWindow, Some(window)),
            ModelLayerKind::ChunkedLocalAttention(chunk) => (KvCacheLayerKind::ChunkedLocalAttention, Some(chunk)),
            ModelLayerKind::Mamba => (KvCacheLayerKind::Mamba, None),
        };
        Self {
            num_layers: layers.num_layers,
            kind,
            span_tokens,
            num_kv_heads: layers.num_kv_heads,
            head_size: layers.head_size,
            bytes: layers.bytes,
            bytes_per_draft_token: layers.bytes_per_draft_token,
            prefill_checkpoint: layers.prefill_checkpoint.map(|checkpoint| PrefillCheckpoint {
                alignment: checkpoint.alignment,
                at_block_ends: checkpoint.at_block_ends,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_lead_back() {
        let kinds = [
            ModelLayerKind::FullAttention,
            ModelLayerKind::Mla,
            ModelLayerKind::SlidingWindow(128),
            ModelLayerKind::ChunkedLocalAttention(8192),
            ModelLayerKind::Mamba,
        ];
        for kind in kinds {
            let checkpoint = layers::PrefillCheckpoint { alignment: 64, at_block_ends: true };
            let layers = ModelLayers {
                num_layers: 3,
                kind,
                bytes_per_draft_token: 7,
                prefill_checkpoint: Some(checkpoint),
                ..ModelLayers::full_attention(4096)
            };
            assert_eq!(ModelLayers::from(&KvCacheLayers::from(&layers)), layers);
        }
    }
}
