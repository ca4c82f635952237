//! Mixtures of experts, read from the names that models have for their numbers.

use alloc::format;

use serde_json::Value;

use super::super::config_file::Fields;
use super::super::error::ModelConfigError;
use super::super::shape::ExpertsShape;

/// Experts of three matrices by their fields: how many there are, how many a token goes through, how wide one is.
pub(super) fn routed(
    fields: Fields<'_>,
    [all, per_token, width]: [&'static str; 3],
) -> Result<ExpertsShape, ModelConfigError> {
    let (num_experts, num_experts_per_tok) = (fields.count(all)?, fields.count(per_token)?);
    if num_experts_per_tok > num_experts {
        let need = format!("at most {all}, {num_experts}");
        return Err(ModelConfigError::value(per_token, &Value::from(num_experts_per_tok), need));
    }
    Ok(ExpertsShape {
        num_experts,
        num_experts_per_tok,
        intermediate_size: fields.count(width)?,
        is_gated: true,
        has_bias: false,
        shared_intermediate_size: 0,
        latent_size: None,
        dense_intermediate_size: 0,
        has_f32_router: false,
    })
}

/// So many experts that every token goes through, each as wide as the others.
pub(super) fn with_shared(
    experts: ExpertsShape,
    fields: Fields<'_>,
    field: &'static str,
    default: u32,
) -> Result<ExpertsShape, ModelConfigError> {
    let number = if fields.is_null(field) { 0 } else { fields.number(field, 1 << 12)?.unwrap_or(default) };
    Ok(ExpertsShape { shared_intermediate_size: experts.intermediate_size.saturating_mul(number), ..experts })
}

/// A whole number that may be 0, or `default`.
pub(super) fn number_or(fields: Fields<'_>, field: &'static str, default: u32) -> Result<u32, ModelConfigError> {
    Ok(fields.number(field, u32::MAX)?.unwrap_or(default))
}
