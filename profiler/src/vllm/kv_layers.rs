//! What the layers keep in the KV cache: from the driver's facts to the profile's list.

use anyhow::{Context as _, Result, bail};
use sim_core::profile::schema::{KvCacheLayerKind, KvCacheLayers, PrefillCheckpoint};

use crate::verify::recorded_model::{RecordedLayers, RecordedModel};

/// The layers of the model, in its order; a drafter's are left out. Bytes are those of one rank.
///
/// # Errors
/// If the profile has no words for a layer.
pub(super) fn kv_cache_layers(model: &RecordedModel) -> Result<Vec<KvCacheLayers>> {
    let layers = model.layers.as_deref().unwrap_or_default();
    layers.iter().filter(|layers| !layers.draft).map(one).collect()
}

/// Bytes of one token in all layers that keep tokens.
pub(super) fn bytes_per_token(layers: &[KvCacheLayers]) -> u64 {
    let keeps_tokens = layers.iter().filter(|layers| layers.kind != KvCacheLayerKind::Mamba);
    keeps_tokens
        .fold(0, |sum: u64, layers| sum.saturating_add(layers.bytes.saturating_mul(u64::from(layers.num_layers))))
}

fn one(layers: &RecordedLayers) -> Result<KvCacheLayers> {
    let (kind, span_tokens) = match layers.kind.as_str() {
        "full" if layers.window.is_none() && layers.chunk.is_none() => (KvCacheLayerKind::FullAttention, None),
        "mla" if layers.window.is_none() => (KvCacheLayerKind::Mla, None),
        "window" => (KvCacheLayerKind::SlidingWindow, layers.window),
        "chunked" => (KvCacheLayerKind::ChunkedLocalAttention, layers.chunk),
        "mamba" => (KvCacheLayerKind::Mamba, None),
        other => bail!(
            "planning.model.layers: a layer of kind {other} with a window of {:?} tokens or chunks of {:?}, which a \
             profile has no words for",
            layers.window,
            layers.chunk
        ),
    };
    let num_kv_heads = layers.kv_heads.unwrap_or(1);
    let bytes = layers.bytes.context("planning.model.layers: bytes is missing")?;
    Ok(KvCacheLayers {
        num_layers: layers.n,
        kind,
        span_tokens,
        num_kv_heads,
        head_size: layers.head_size.unwrap_or(0),
        bytes: bytes.saturating_mul(u64::from(num_kv_heads)),
        bytes_per_draft_token: 0,
        prefill_checkpoint: layers
            .checkpoint_alignment
            .map(|alignment| PrefillCheckpoint { alignment, at_block_ends: false }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(json: &str) -> Result<Vec<KvCacheLayers>> {
        let model: RecordedModel = serde_json::from_str(&format!(r#"{{"layers":[{json}]}}"#)).expect("a model");
        kv_cache_layers(&model)
    }

    #[test]
    fn a_token_takes_its_bytes_in_every_layer_that_keeps_tokens() {
        let made = layers(
            r#"{"kind":"window","n":2,"window":96,"block_size":32,"kv_heads":2,"head_size":64,"bytes":256},
               {"kind":"full","n":1,"block_size":32,"kv_heads":2,"head_size":64,"bytes":256},
               {"kind":"mamba","n":3,"block_size":800,"bytes":4096},
               {"kind":"full","n":1,"block_size":32,"kv_heads":2,"head_size":64,"bytes":256,"draft":true}"#,
        )
        .expect("layers");
        assert_eq!(made.len(), 3, "the drafter's are left out");
        assert_eq!((made[0].kind, made[0].span_tokens), (KvCacheLayerKind::SlidingWindow, Some(96)));
        assert_eq!((made[0].bytes, made[2].bytes), (512, 4096));
        assert_eq!(bytes_per_token(&made), 3 * 512, "a state is no token");
    }

    #[test]
    fn layers_without_words_are_refused() {
        for (json, part) in [
            (r#"{"kind":"full","n":1,"window":96,"bytes":256}"#, "window of Some(96)"),
            (r#"{"kind":"full","n":1}"#, "bytes is missing"),
        ] {
            let error = layers(json).expect_err(json).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
