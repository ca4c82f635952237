//! Integers as vLLM's command line reads them (`vllm/utils/argparse_utils.py::human_readable_int`).

use core::fmt;

use crate::math;

/// The text is not an integer by vLLM's rules, or does not fit in 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnInteger;

impl fmt::Display for NotAnInteger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an integer: digits, or a number with one suffix (k m g t: powers of 1000, decimals allowed; K M G T: powers of 1024, whole numbers only)")
    }
}

impl core::error::Error for NotAnInteger {}

/// `256`, `1k` = 1000, `1K` = 1024, `25.6k` = 25600: lower-case suffixes k, m, g, t are powers of 1000 and take
/// decimals (what is below 1 is cut off), upper-case ones are powers of 1024 and do not. Without a suffix a sign and
/// single underscores between digits are allowed, as in Python's `int`.
///
/// # Errors
/// [`NotAnInteger`] for any other text.
pub fn human_readable_int(text: &str) -> Result<i64, NotAnInteger> {
    let text = text.trim();
    let Some(suffix) = text.chars().next_back().filter(char::is_ascii_alphabetic) else {
        return python_int(text);
    };
    let number = text.trim_end_matches(suffix);
    if number.len() + 1 != text.len() {
        return Err(NotAnInteger);
    }
    let power = match suffix.to_ascii_lowercase() {
        'k' => 1,
        'm' => 2,
        'g' => 3,
        't' => 4,
        _ => return Err(NotAnInteger),
    };
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !fraction.is_none_or(digits) {
        return Err(NotAnInteger);
    }
    if suffix.is_ascii_uppercase() {
        let whole: i64 = number.parse().or(Err(NotAnInteger))?;
        return whole.checked_mul(1 << (10 * power)).ok_or(NotAnInteger);
    }
    let number: f64 = number.parse().or(Err(NotAnInteger))?;
    let product = number * math::u64_to_f64(1000_u64.pow(power));
    i64::try_from(math::f64_to_u64(product)).ok().filter(|value| *value < i64::MAX).ok_or(NotAnInteger)
}

/// As [`human_readable_int`]; also `auto`, in any case, for -1.
///
/// # Errors
/// [`NotAnInteger`] for any other text.
pub fn human_readable_int_or_auto(text: &str) -> Result<i64, NotAnInteger> {
    if text.trim().eq_ignore_ascii_case("auto") { Ok(-1) } else { human_readable_int(text) }
}

/// Python's `int(text)` for ASCII digits in base 10: white space around it, a sign and single underscores between digits
/// are allowed.
///
/// # Errors
/// [`NotAnInteger`] for any other text, and where it does not fit in 64 bits.
pub(super) fn python_int(text: &str) -> Result<i64, NotAnInteger> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut value = 0_i64;
    let mut digit_before = false;
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' => {
                value =
                    value.checked_mul(10).and_then(|v| v.checked_add(i64::from(byte - b'0'))).ok_or(NotAnInteger)?;
                digit_before = true;
            }
            b'_' if digit_before => digit_before = false,
            _ => return Err(NotAnInteger),
        }
    }
    if !digit_before {
        return Err(NotAnInteger);
    }
    Ok(if negative { -value } else { value })
}
