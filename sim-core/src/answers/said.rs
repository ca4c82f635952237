//! Numbers as sentences and tables say them; files have them exactly.

use alloc::format;
use alloc::string::String;

/// Three significant digits, or all before the point.
#[must_use]
pub fn three_digits(value: f64) -> String {
    let digits = format!("{value:.2e}");
    let exponent = digits.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok()).unwrap_or(0);
    let behind = usize::try_from(2 - exponent).unwrap_or(0);
    format!("{value:.behind$}")
}

/// So many of what one is called: `1 replica`, `3 replicas`.
#[must_use]
pub fn counted(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_with_three_digits() {
        let check = |value: f64, expect: &str| assert_eq!(three_digits(value), expect);
        check(24.5238, "24.5");
        check(9.996, "10.0");
        check(0.001_234_5, "0.00123");
        check(1234.56, "1235");
        check(0.0, "0.00");
        check(f64::INFINITY, "inf");
        assert_eq!([0, 1, 2].map(|number| counted(number, "part")), ["0 parts", "1 part", "2 parts"]);
    }
}
