//! From a checkpoint's number formats to those of kernels.

use crate::models::shape::WeightFormat;
use crate::operators::format::NumberFormat;

/// The format that kernels multiply a matrix in.
pub(super) const fn of(format: WeightFormat) -> NumberFormat {
    match format {
        WeightFormat::Unquantized => NumberFormat::Bf16,
        WeightFormat::Fp8 => NumberFormat::Fp8,
        WeightFormat::Fp8Block => NumberFormat::Fp8Block,
        WeightFormat::Int8 => NumberFormat::Int8,
        WeightFormat::Nvfp4 => NumberFormat::Nvfp4,
        WeightFormat::Mxfp4 => NumberFormat::Mxfp4,
        WeightFormat::Int4 { .. } => NumberFormat::Int4,
    }
}

/// vLLM's name of the method that runs a format.
pub(super) const fn quantization(format: WeightFormat) -> Option<&'static str> {
    match format {
        WeightFormat::Unquantized => None,
        WeightFormat::Fp8 | WeightFormat::Fp8Block => Some("fp8"),
        WeightFormat::Int8 => Some("compressed-tensors"),
        WeightFormat::Nvfp4 => Some("modelopt_fp4"),
        WeightFormat::Mxfp4 => Some("mxfp4"),
        WeightFormat::Int4 { .. } => Some("awq_marlin"),
    }
}
