//! The two formats of 16 bits that the operators compute in.

use half::{bf16, f16};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    BFloat16,
    Float16,
}

impl Format {
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::BFloat16, Self::Float16].into_iter().find(|format| format.name() == name)
    }

    /// As vLLM and `config.json` have it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BFloat16 => "bfloat16",
            Self::Float16 => "float16",
        }
    }

    /// The number that these bits are.
    pub(crate) fn to_f64(self, bits: u16) -> f64 {
        match self {
            Self::BFloat16 => bf16::from_bits(bits).to_f64(),
            Self::Float16 => f16::from_bits(bits).to_f64(),
        }
    }

    /// The bits of the number nearest to `x`.
    pub(crate) fn bits(self, x: f64) -> u16 {
        match self {
            Self::BFloat16 => bf16::from_f64(x).to_bits(),
            Self::Float16 => f16::from_f64(x).to_bits(),
        }
    }

    /// Distance from 1 to the next number, which is twice the relative error of rounding.
    pub(crate) const fn epsilon(self) -> f64 {
        match self {
            Self::BFloat16 => 0.007_812_5,
            Self::Float16 => 0.000_976_562_5,
        }
    }
}
