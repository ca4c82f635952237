//! What the layers keep, and the drafters beside the model, checked.

use alloc::format;

use super::schema::{Drafter, KvCacheLayerKind, KvCacheLayers, Profile};
use super::validate::Faults;
use super::validate_tables::{over_seqs, over_tokens};
use crate::speculative::SpeculativeMethod;

/// Most bytes of a token or a state in one layer.
const MAX_LAYER_BYTES: u64 = 1 << 40;

pub(super) fn layers(profile: &Profile, faults: &mut Faults) {
    let path = "$.memory.kv_cache_layers";
    let layers = &profile.memory.kv_cache_layers;
    faults.require(
        !layers.is_empty(),
        format_args!("{path}"),
        format_args!("is empty; it must hold what each layer keeps, in the model's order"),
    );
    for (i, layers) in layers.iter().enumerate() {
        one(layers, &format!("{path}[{i}]"), faults);
    }
    let keeps_tokens = |layers: &&KvCacheLayers| layers.kind != KvCacheLayerKind::Mamba;
    let per_token: u128 =
        layers.iter().filter(keeps_tokens).map(|layers| u128::from(layers.bytes) * u128::from(layers.num_layers)).sum();
    let said = profile.memory.kv_cache_per_token.bytes;
    faults.require(
        layers.is_empty() || per_token == u128::from(said),
        format_args!("$.memory.kv_cache_per_token.bytes"),
        format_args!("{said} must be what the layers of kv_cache_layers keep of a token together, {per_token}"),
    );
}

fn one(layers: &KvCacheLayers, path: &str, faults: &mut Faults) {
    faults.count(layers.num_layers, 1, format_args!("{path}.num_layers"));
    faults.count(layers.num_kv_heads, 1, format_args!("{path}.num_kv_heads"));
    let has_span = matches!(layers.kind, KvCacheLayerKind::SlidingWindow | KvCacheLayerKind::ChunkedLocalAttention);
    match layers.span_tokens {
        Some(tokens) if has_span => faults.count(tokens, 1, format_args!("{path}.span_tokens")),
        None if !has_span => {}
        _ => faults.require(
            false,
            format_args!("{path}.span_tokens"),
            format_args!("must be a number for layers with a window or chunks, and null for others"),
        ),
    }
    for (field, bytes, min) in [("bytes", layers.bytes, 1), ("bytes_per_draft_token", layers.bytes_per_draft_token, 0)]
    {
        faults.require(
            (min..=MAX_LAYER_BYTES).contains(&bytes),
            format_args!("{path}.{field}"),
            format_args!("{bytes} must be from {min} to {MAX_LAYER_BYTES}"),
        );
    }
    if let Some(checkpoint) = layers.prefill_checkpoint {
        faults.count(checkpoint.alignment, 1, format_args!("{path}.prefill_checkpoint.alignment"));
    }
}

pub(super) fn drafters(drafters: &[Drafter], faults: &mut Faults) {
    for (i, drafter) in drafters.iter().enumerate() {
        let path = format!("$.drafters[{i}]");
        let method = drafter.method.as_str();
        let is_known = SpeculativeMethod::ALL.iter().any(|known| known.name() == method);
        faults.require(
            is_known,
            format_args!("{path}.method"),
            format_args!("{method:?} is no method of speculative decoding that is simulated"),
        );
        let is_double = drafters[..i].iter().any(|other| other.method == method);
        faults.require(!is_double, format_args!("{path}.method"), format_args!("{method:?} stands before, too"));
        for (at, layers) in drafter.kv_cache_layers.iter().enumerate() {
            one(layers, &format!("{path}.kv_cache_layers[{at}]"), faults);
        }
        faults.bytes(&drafter.memory, 0, &format!("{path}.memory"));
        over_tokens(&format!("{path}.first_run"), &drafter.first_run, true, faults);
        if let Some(next_run) = &drafter.next_run {
            over_seqs(&format!("{path}.next_run"), next_run, true, faults);
        }
    }
}
