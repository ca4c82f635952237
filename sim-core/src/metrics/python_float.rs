//! Floats as Python writes and reads them: the result file of `vllm bench serve` is Python's, to the last digit.

use core::fmt;

/// Displays a float as Python's `repr` does, and as `json.dumps` does for finite numbers: the shortest digits that
/// read back as the same number, with an exponent below 1e-4 and from 1e16.
#[derive(Debug, Clone, Copy)]
pub struct Repr(pub f64);

/// Displays a float as Python's `json.dumps` does: like [`Repr`], but `Infinity`, `-Infinity` and `NaN`, which
/// Python reads back and strict JSON readers refuse.
#[derive(Debug, Clone, Copy)]
pub struct JsonFloat(pub f64);

/// Displays a float as Python's `'{:.2f}'` does.
#[derive(Debug, Clone, Copy)]
pub struct Fixed2(pub f64);

impl fmt::Display for Repr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        let magnitude = if value < 0.0 { -value } else { value };
        if value.is_nan() {
            return f.write_str("nan");
        }
        if magnitude == f64::INFINITY {
            return f.write_str(if value < 0.0 { "-inf" } else { "inf" });
        }
        if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
            return write!(f, "{value:?}");
        }
        // The digits are those of Rust; the exponent gets a sign and at least two digits.
        let scientific = alloc::format!("{value:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        match exponent.strip_prefix('-') {
            Some(exponent) => write!(f, "{digits}e-{exponent:0>2}"),
            None => write!(f, "{digits}e+{exponent:0>2}"),
        }
    }
}

impl fmt::Display for JsonFloat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() {
            f.write_str("NaN")
        } else if self.0.is_infinite() {
            f.write_str(if self.0 < 0.0 { "-Infinity" } else { "Infinity" })
        } else {
            Repr(self.0).fmt(f)
        }
    }
}

impl fmt::Display for Fixed2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_finite() { write!(f, "{:.2}", self.0) } else { Repr(self.0).fmt(f) }
    }
}

/// The number that Python's `float(text)` gives, `None` where that raises `ValueError`.
///
/// Surrounding white space, `inf`, `nan` and underscores between digits are allowed. Python also reads the digits
/// of other scripts; this does not.
#[must_use]
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    if !text.contains('_') {
        return text.parse().ok();
    }
    let bytes = text.as_bytes();
    let is_digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    let between_digits = |i: usize| i > 0 && is_digit(i - 1) && is_digit(i + 1);
    if text.bytes().enumerate().any(|(i, byte)| byte == b'_' && !between_digits(i)) {
        return None;
    }
    text.replace('_', "").parse().ok()
}
