//! The only door to floating-point functions and to casts between integers and floats.
//!
//! `std`'s `ln`, `exp` and `powf` differ in the last bits between x86-64 and Wasm; `libm`'s do not.
//! Free functions, never methods: a method call can resolve to `std`'s in a test build.

/// Natural logarithm.
#[must_use]
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// `ln(1 + x)`, exact for small `x`.
#[must_use]
pub fn ln_1p(x: f64) -> f64 {
    libm::log1p(x)
}

/// Exponential function.
#[must_use]
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// `x` to the power `y`.
#[must_use]
pub fn pow(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}

/// Square root.
#[must_use]
pub fn sqrt(x: f64) -> f64 {
    libm::sqrt(x)
}

/// Largest integer not above `x`, as a float.
#[must_use]
pub fn floor(x: f64) -> f64 {
    libm::floor(x)
}

/// Smallest integer not below `x`, as a float.
#[must_use]
pub fn ceil(x: f64) -> f64 {
    libm::ceil(x)
}

/// Nearest integer to `x`, as a float; halves away from zero.
#[must_use]
pub fn round(x: f64) -> f64 {
    libm::round(x)
}

/// The smaller of two numbers that are not NaN.
#[must_use]
pub fn min(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}

/// The larger of two numbers that are not NaN.
#[must_use]
pub fn max(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// The largest multiple of `unit` that is not above `x`.
#[must_use]
pub const fn round_down(x: u32, unit: u32) -> u32 {
    x - x % unit
}

/// `x` as a float; exact below 2^53.
#[must_use]
pub const fn u64_to_f64(x: u64) -> f64 {
    x as f64
}

/// `x` as a float; exact.
#[must_use]
pub const fn u32_to_f64(x: u32) -> f64 {
    x as f64
}

/// `x` as a float; exact below 2^53.
#[must_use]
pub const fn usize_to_f64(x: usize) -> f64 {
    x as f64
}

/// `x` as a float, to the nearest.
#[must_use]
pub const fn u128_to_f64(x: u128) -> f64 {
    x as f64
}

/// `x` as 64 bits; exact.
#[must_use]
pub const fn usize_to_u64(x: usize) -> u64 {
    x as u64
}

/// `x` without its fraction; negative and NaN give 0, too large gives the maximum.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturation is the documented result")]
#[must_use]
pub const fn f64_to_u64(x: f64) -> u64 {
    x as u64
}

/// `x` to the nearest integer; negative and NaN give 0, too large gives the maximum.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "halves are looked for below 2^53 only"
)]
#[must_use]
pub const fn round_to_u64(x: f64) -> u64 {
    const ALL_WHOLE: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    if x >= ALL_WHOLE {
        return f64_to_u64(x);
    }
    // Signed, as processors convert. Exact: what is taken off are the leading digits. Halves go away from zero.
    let whole = x as i64;
    let rounded = whole + (x - whole as f64 >= 0.5) as i64;
    if rounded > 0 { rounded.unsigned_abs() } else { 0 }
}

/// `x`, which indexes memory and so is below 2^32 wherever this is called.
///
/// # Panics
/// If it is not.
#[expect(clippy::cast_possible_truncation, reason = "checked on the line above the cast")]
#[must_use]
pub const fn usize_to_u32(x: usize) -> u32 {
    assert!(x <= u32::MAX as usize, "an index must fit in 32 bits");
    x as u32
}

/// `x`, which counts drafts and so is small wherever this is called.
///
/// # Panics
/// If it does not fit.
#[expect(clippy::cast_possible_truncation, reason = "checked on the line above the cast")]
#[must_use]
pub const fn u32_to_u16(x: u32) -> u16 {
    assert!(x <= u16::MAX as u32, "a count must fit in 16 bits");
    x as u16
}

/// `x`, which is bounded by a 32-bit quantity wherever this is called.
///
/// # Panics
/// If it does not fit.
#[expect(clippy::cast_possible_truncation, reason = "checked on the line above the cast")]
#[must_use]
pub const fn u64_to_u32(x: u64) -> u32 {
    assert!(x <= u32::MAX as u64, "a count must fit in 32 bits");
    x as u32
}

/// The lower half of `x`.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
#[must_use]
pub const fn low_u32(x: u64) -> u32 {
    x as u32
}

/// The lower half of `x`.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
#[must_use]
pub const fn low_u64(x: u128) -> u64 {
    x as u64
}

/// `x` as an index; exact, as every supported platform addresses at least 32 bits.
#[must_use]
pub const fn u32_to_usize(x: u32) -> usize {
    x as usize
}

/// `x` without its fraction; negative and NaN give 0, too large gives the maximum.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturation is the documented result")]
#[must_use]
pub const fn f64_to_u32(x: f64) -> u32 {
    x as u32
}

/// The greatest common divisor.
#[must_use]
pub const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The least common multiple; `None` beyond 32 bits. Of anything and 0 it is 0.
#[must_use]
pub const fn lcm(a: u32, b: u32) -> Option<u32> {
    match gcd(a, b) {
        0 => Some(0),
        divisor => (a / divisor).checked_mul(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_goes_to_the_nearest_and_halves_away_from_zero() {
        let largest_with_halves = 4_503_599_627_370_495.5; // 2^52 - 1/2
        for (x, expect) in [
            (0.0, 0),
            (0.499_999_999_999_999_94, 0),
            (0.5, 1),
            (1.499_999_999_999_999_8, 1),
            (2.5, 3),
            (largest_with_halves, 1 << 52),
            (9_007_199_254_740_991.0, (1 << 53) - 1),
            (9_007_199_254_740_992.0, 1 << 53),
            (u64_to_f64(1 << 63), 1 << 63),
            (1.8e19, 18_000_000_000_000_000_000),
            (1e300, u64::MAX),
            (f64::INFINITY, u64::MAX),
            (-0.4, 0),
            (-0.5, 0),
            (-7.9, 0),
            (-1e300, 0),
            (f64::NEG_INFINITY, 0),
            (f64::NAN, 0),
        ] {
            assert_eq!(round_to_u64(x), expect, "{x}");
        }
    }
}
