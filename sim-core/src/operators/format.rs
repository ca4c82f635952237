//! Number formats of matrices, as kernels see them.

use super::gpu::Gpu;

/// The number format of a matrix and of what is multiplied with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NumberFormat {
    /// 16 bits both.
    Bf16,
    /// 8 bits, float, both; one scale a tensor, channel or token.
    Fp8,
    /// 8 bits, float, both; one scale a block.
    Fp8Block,
    /// 8 bits, whole numbers, both.
    Int8,
    /// 4 bits, float, both.
    Nvfp4,
    /// 4 bits, float; activations of 16 bits.
    Mxfp4,
    /// 4 bits, float; activations of 8.
    Mxfp4Fp8,
    /// 4 bits, whole numbers; activations of 16 bits.
    Int4,
}

impl NumberFormat {
    /// As the source's tables have it; `None` where no table of the kind can exist.
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Bf16 => "bfloat16",
            Self::Fp8 | Self::Int8 => "fp8",
            Self::Fp8Block => "fp8_block",
            Self::Nvfp4 => "nvfp4",
            Self::Mxfp4 => "w4a16_mxfp4",
            Self::Mxfp4Fp8 => "w4a8_mxfp4_mxfp8",
            Self::Int4 => "int4_wo",
        }
    }

    /// The format of a table that is called so.
    pub(crate) fn of_table(name: &str) -> Option<Self> {
        [Self::Bf16, Self::Fp8, Self::Fp8Block, Self::Nvfp4, Self::Mxfp4, Self::Mxfp4Fp8, Self::Int4]
            .into_iter()
            .find(|format| format.table() == name)
    }

    /// Bytes of a number of the matrix, scales included.
    pub(crate) const fn weight_bytes(self) -> f64 {
        match self {
            Self::Bf16 => 2.0,
            Self::Fp8 | Self::Fp8Block | Self::Int8 => 1.0,
            Self::Nvfp4 => 0.5625,
            Self::Mxfp4 | Self::Mxfp4Fp8 | Self::Int4 => 0.53125,
        }
    }

    /// Bytes of a number that is multiplied with it.
    pub(crate) const fn activation_bytes(self) -> f64 {
        match self {
            Self::Bf16 | Self::Mxfp4 | Self::Int4 => 2.0,
            Self::Fp8 | Self::Fp8Block | Self::Int8 | Self::Mxfp4Fp8 => 1.0,
            Self::Nvfp4 => 0.5625,
        }
    }

    /// Operations per second on `gpu`: where it has no units for the format, weights are unpacked to 16 bits.
    pub(crate) fn flops(self, gpu: &Gpu) -> f64 {
        let rate = match self {
            Self::Bf16 | Self::Mxfp4 | Self::Int4 => gpu.bf16_flops,
            Self::Fp8 | Self::Fp8Block | Self::Int8 | Self::Mxfp4Fp8 => gpu.fp8_flops,
            Self::Nvfp4 => gpu.fp4_flops,
        };
        if rate > 0.0 { rate } else { gpu.bf16_flops }
    }
}
