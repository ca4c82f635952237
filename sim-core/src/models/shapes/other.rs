//! Parameters that belong to no layer of the language model.
//!
//! Source: the same files as the layers'.

use super::super::config_file::{ConfigFile, Fields};
use super::super::error::ModelConfigError;
use super::vision;
use super::windows::per_layer_width;

/// Parameters beside layers, embedding and logits: embeddings of layers, ways from one residual stream to
/// several, towers that look at pictures.
pub(in super::super) fn other_parameters(file: &ConfigFile, architecture: &str) -> Result<u64, ModelConfigError> {
    Ok(of_language_model(file.text()?, architecture)?.saturating_add(vision::parameters(file, architecture)?))
}

fn of_language_model(fields: Fields<'_>, architecture: &str) -> Result<u64, ModelConfigError> {
    if architecture.starts_with("Gemma3n") {
        let hidden = u64::from(fields.count("hidden_size")?);
        let streams = u64::from(fields.count_or("altup_num_inputs", 4)?);
        // One matrix to each further stream, and one back.
        let altup = streams.saturating_sub(1).saturating_mul(2).saturating_mul(hidden.saturating_mul(hidden));
        return Ok(altup.saturating_add(layer_embeddings(fields, 256, 262_144)?));
    }
    if architecture.starts_with("Gemma4") {
        return layer_embeddings(fields, 0, fields.count("vocab_size")?);
    }
    Ok(0)
}

/// An embedding that every layer has a part of, with the way to it from the model's own.
fn layer_embeddings(fields: Fields<'_>, width: u32, vocab_size: u32) -> Result<u64, ModelConfigError> {
    let width = u64::from(per_layer_width(fields, width)?);
    if width == 0 {
        return Ok(0);
    }
    let vocab_size = u64::from(fields.count_or("vocab_size_per_layer_input", vocab_size)?);
    let hidden = u64::from(fields.count("hidden_size")?);
    let all = width.saturating_mul(u64::from(fields.num_layers("layer_types")?));
    Ok(all.saturating_mul(vocab_size.saturating_add(hidden)).saturating_add(width))
}
