//! The two formats of 16 bits that the operators compute in, and e4m3, in which weights, their inputs, keys and values
//! may be kept.

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

/// How numbers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Storage {
    /// In the model's 16 bits.
    #[default]
    Half,
    /// In e4m3, times a scale.
    Fp8,
}

impl Storage {
    /// Of a number.
    pub(crate) const fn num_bytes(self) -> u64 {
        match self {
            Self::Half => 2,
            Self::Fp8 => 1,
        }
    }
}

/// The largest number of e4m3.
pub(crate) const FP8_MAX: f64 = 448.0;
/// The least exponent of e4m3; below 2 to its power numbers have no leading 1.
const FP8_LEAST_EXPONENT: i32 = -6;

/// The number that these bits of e4m3 are: a sign, four bits of exponent (bias 7), three of mantissa.
pub(crate) fn fp8_to_f64(bits: u8) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 3 & 15), f64::from(bits & 7));
    let size = match (exponent, bits & 7) {
        (15, 7) => f64::NAN,
        (0, _) => mantissa * 2_f64.powi(FP8_LEAST_EXPONENT - 3),
        _ => (8.0 + mantissa) * 2_f64.powi(exponent - 10),
    };
    if bits & 0x80 == 0 { size } else { -size }
}

/// The bits of the number of e4m3 nearest to `x`, which is a number; of two as near the even one. Beyond the largest it is
/// the largest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the code of the largest, 126")]
pub(crate) fn fp8_bits(x: f64) -> u8 {
    let size = x.abs().min(FP8_MAX);
    // Of 0 it is minus infinity.
    let exponent = size.log2().floor().max(f64::from(FP8_LEAST_EXPONENT));
    let steps = (size * (3.0 - exponent).exp2()).round_ties_even();
    // Below 8 steps there is no leading 1; 16 carry into the exponent by themselves.
    let code = (exponent - f64::from(FP8_LEAST_EXPONENT)) * 8.0 + steps;
    code as u8 | if x.is_sign_negative() { 0x80 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::{FP8_MAX, fp8_bits, fp8_to_f64};

    #[test]
    fn every_number_of_e4m3_comes_back() {
        for bits in (0..=255_u8).filter(|bits| bits & 0x7f != 0x7f) {
            assert_eq!(fp8_bits(fp8_to_f64(bits)), bits, "{bits:#x}");
        }
        assert!(fp8_to_f64(0x7f).is_nan());
        for (bits, size) in [(0x01, 1.0 / 512.0), (0x08, 1.0 / 64.0), (0x38, 1.0), (0x7e, FP8_MAX)] {
            assert!((fp8_to_f64(bits) - size).abs() < 1e-12, "{bits:#x} is {}", fp8_to_f64(bits));
        }
    }

    #[test]
    fn numbers_between_go_to_the_nearer_and_large_ones_to_the_largest() {
        assert_eq!([1.0624, 1.0625, 1.0626, 1.1875].map(fp8_bits), [0x38, 0x38, 0x39, 0x3a]);
        assert_eq!([1e9, -1e9, 463.9].map(fp8_bits), [0x7e, 0xfe, 0x7e]);
    }
}
