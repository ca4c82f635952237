//! The longest sequence that a model is made for.
//!
//! Source: `vllm/config/model.py::_get_and_verify_max_len`, `vllm/transformers_utils/model_arch_config_convertor.py`
//! (`derive_max_model_len_and_key`). A tokenizer's own limit, which vLLM looks at too, is in another file.

use alloc::vec::Vec;

use serde_json::Value;

use super::config_file::Fields;
use super::error::ModelConfigError;
use crate::math;

/// Where the length stands; the smallest counts.
pub(crate) const LENGTHS: [&str; 9] = [
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "max_target_positions",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
];
/// Rotary positions with which `max_position_embeddings` is scaled already.
const SCALED: [&str; 6] = ["su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"];

/// The length in tokens; `default` where the file does not say.
pub(super) fn max_model_len(
    fields: Fields<'_>,
    architecture: &str,
    default: Option<u32>,
) -> Result<u32, ModelConfigError> {
    let mut length = fields.number("model_max_length", u32::MAX)?.filter(|&length| length > 0);
    if length.is_none() {
        for field in LENGTHS {
            if let Some(other) = fields.number(field, u32::MAX)?.filter(|&other| other > 0) {
                length = Some(length.map_or(other, |length| length.min(other)));
            }
        }
    }
    let length = length.or(default).ok_or(ModelConfigError::missing("max_position_embeddings"))?;
    let rotary = rotary_kinds(fields)?;
    if rotary.iter().any(|kind| rope_type(*kind) == "longrope") {
        return Ok(fields.number("original_max_position_embeddings", u32::MAX)?.unwrap_or(length).max(1));
    }
    // Gemma 3's length is the scaled one.
    if architecture.starts_with("Gemma3") {
        return Ok(length);
    }
    let mut factor = 1.0;
    for kind in rotary {
        let field = "factor";
        if SCALED.contains(&rope_type(kind)) {
            continue;
        }
        let Some(value) = kind.value(field) else { continue };
        let need = "a number from 1 to 1000000";
        let valid = value.as_f64().filter(|factor| (1.0..=1e6).contains(factor));
        factor = valid.ok_or_else(|| ModelConfigError::value(field, value, need))?;
    }
    Ok(math::f64_to_u32(math::floor(math::u32_to_f64(length) * factor)))
}

/// The parameters of rotary positions, of all kinds of layers.
fn rotary_kinds(fields: Fields<'_>) -> Result<Vec<Fields<'_>>, ModelConfigError> {
    let rope = match fields.object("rope_parameters")? {
        Some(rope) => Some(rope),
        None => fields.object("rope_scaling")?,
    };
    let Some(rope) = rope else { return Ok(Vec::new()) };
    let mut kinds = alloc::vec![rope];
    for kind in ["full_attention", "sliding_attention"] {
        if rope.value(kind).is_some_and(Value::is_object) {
            kinds.extend(rope.object(kind)?);
        }
    }
    Ok(kinds)
}

fn rope_type(kind: Fields<'_>) -> &str {
    let name = kind.value("rope_type").or_else(|| kind.value("type"));
    name.and_then(Value::as_str).unwrap_or("default")
}
