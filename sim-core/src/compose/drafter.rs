//! Drafters beside a model, and what verifying their drafts takes.
//!
//! A drafter is a model of few layers: its products, experts and collectives are those of such a layer, its attention that
//! over a usual context. A verification reads a request's keys and values once for all its rows; what it computes grows
//! with the rows.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec;
use alloc::vec::Vec;

use super::attention::Attention;
use super::error::ComposeError;
use super::layers::{Layers, Parts};
use super::setup::DrafterSetup;
use crate::math;
use crate::models::shape::{LayerRun, ModelShape, WeightFormats};
use crate::models::weights::WeightSharing;
use crate::models::{DrafterLayers, ModelSettings};
use crate::profile::schema::{Basis, Bytes, Drafter, KvCacheLayers, OverSeqs, OverTokens};
use crate::speculative::SpeculativeMethod;

/// Tokens that a request of a drafter's run attends to: its time depends on them little, and no table of drafters does.
const CONTEXT: u32 = 2048;
const TOKENS: [u32; 15] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];
const SEQS: [u32; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
/// What n-grams are found in, in microseconds for each run: judged, on the processor that schedules.
const NGRAM_US: f64 = 100.0;

/// The drafter of a setup.
///
/// # Errors
/// [`ComposeError::Model`] if its layers are not known, [`ComposeError::Operator`] if the pack lacks an operator.
pub(super) fn drafter(
    setup: &DrafterSetup,
    config: &[u8],
    parts: &Parts<'_>,
    settings: &ModelSettings,
    is_fp8: bool,
) -> Result<Drafter, ComposeError> {
    let (method, drafts) = (setup.method, setup.num_speculative_tokens);
    let own_config = setup.config.as_deref();
    let kept = DrafterLayers::from_json(config, own_config, (method, drafts), settings)?;
    let mut drafter = Drafter {
        method: method.name().to_owned(),
        model: None,
        kv_cache_layers: kept.layers.iter().map(KvCacheLayers::from).collect(),
        memory: Bytes { bytes: 0, basis: Basis::Derived, reason: "It has no weights.".to_string() },
        first_run: OverTokens {
            num_tokens: vec![1, 1 << 16],
            time_us: vec![NGRAM_US; 2],
            num_samples: None,
            spread_us: None,
        },
        next_run: None,
    };
    if matches!(method, SpeculativeMethod::Ngram | SpeculativeMethod::NgramGpu) {
        return Ok(drafter);
    }
    let shape = match own_config {
        Some(file) => ModelShape::from_json(file, &ModelSettings { quantization: None, ..*settings })?,
        None => own_layer(parts.shape),
    };
    let draft = Parts { shape: &shape, ..*parts };
    let mut layers = Layers::new(&draft)?;
    if own_config.is_none() {
        // The state and the embedding of the next token become one.
        layers.add_projection((shape.hidden_size, 2 * shape.hidden_size), &draft)?;
    }
    let attention = Attention::new(&draft, is_fp8)?;
    let gpu = &parts.pack.gpu;
    let of_requests =
        |requests: u32| attention.decode_us(requests, CONTEXT) + layers.head.at(math::u32_to_f64(requests));
    let first = |tokens: u32| layers.at(tokens, gpu) + of_requests((tokens / (1 + drafts)).max(1));
    let next = |requests: u32| layers.at(requests, gpu) + of_requests(requests);
    let num_tokens: Vec<u32> = TOKENS.into_iter().filter(|&tokens| layers.encloses(tokens)).collect();
    let time_us = rising(num_tokens.iter().map(|&tokens| first(tokens)));
    drafter.first_run = OverTokens { num_tokens, time_us, num_samples: None, spread_us: None };
    let time_us = rising(SEQS.iter().map(|&requests| next(requests)));
    drafter.next_run =
        (drafts > 1).then(|| OverSeqs { num_seqs: SEQS.to_vec(), time_us, num_samples: None, spread_us: None });
    let weights = shape.weights(&WeightSharing::tensor_parallel(parts.ranks.tensor));
    // The embedding and the logits are the model's.
    let bytes = weights.total().saturating_sub(weights.embedding).saturating_sub(weights.lm_head);
    let reason = format!("{} parameters without embedding and logits, which are the model's.", shape.num_parameters());
    drafter.memory = Bytes { bytes, basis: Basis::Derived, reason };
    Ok(drafter)
}

/// A model's own layer for further tokens is like its last; its matrices are as the checkpoint has the others.
fn own_layer(shape: &ModelShape) -> ModelShape {
    let last = shape.layers.last().map(|run| LayerRun { num_layers: 1, ..*run });
    ModelShape {
        layers: last.into_iter().collect(),
        formats: WeightFormats { ..shape.formats },
        other_parameters: 0,
        ..shape.clone()
    }
}

fn rising(times: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut before = 0.0;
    let rise = |time: f64| {
        before = math::max(before, math::round(time * 100.0) / 100.0);
        before
    };
    times.map(rise).collect()
}
