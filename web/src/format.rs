//! Numbers as people read them.

/// Seconds with a fitting unit and three digits: `8.31 ms`, `1.24 s`, `2 min 5 s`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "–".to_owned();
    }
    let ms = seconds * 1000.0;
    if ms == 0.0 {
        "0 ms".to_owned()
    } else if ms < 0.995 {
        format!("{} µs", three_digits(ms * 1000.0))
    } else if ms < 999.5 {
        format!("{} ms", three_digits(ms))
    } else if seconds < 99.95 {
        format!("{} s", three_digits(seconds))
    } else if seconds < 5999.5 {
        let whole = seconds.round();
        let minutes = (whole / 60.0).floor();
        format!("{minutes:.0} min {:.0} s", whole - 60.0 * minutes)
    } else {
        format!("{} h", three_digits(seconds / 3600.0))
    }
}

/// A number with three significant digits, or all before the point.
pub(crate) fn three_digits(value: f64) -> String {
    let magnitude = value.abs();
    if !value.is_finite() {
        "–".to_owned()
    } else if magnitude >= 99.95 {
        grouped(value)
    } else if magnitude >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// A whole number with thin groups of three: `12,345`.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let text = with_groups(&digits);
    if value < 0.0 && digits != "0" { format!("−{text}") } else { text }
}

/// The digits of a whole number in groups of three.
pub(crate) fn with_groups(digits: &str) -> String {
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as a percentage: `99.3 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    // 99.96 % of the requests are not all of them.
    let capped = if percent < 100.0 { percent.min(99.9) } else { percent };
    if capped > 0.0 && capped < 0.1 { "< 0.1 %".to_owned() } else { format!("{capped:.1} %") }
}

/// A change relative to `from`: `+12.4 %`.
pub(crate) fn change(from: f64, to: f64) -> String {
    if from == 0.0 || !from.is_finite() || !to.is_finite() {
        return "–".to_owned();
    }
    let percent = (to / from - 1.0) * 100.0;
    if percent.abs() < 0.05 {
        "±0.0 %".to_owned()
    } else if percent < 0.0 {
        format!("−{:.1} %", -percent)
    } else {
        format!("+{percent:.1} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(got: String, expect: &str) {
        assert_eq!(got, expect);
    }

    #[test]
    fn numbers_are_short_and_have_units() {
        check(duration(0.0), "0 ms");
        check(duration(0.000_25), "250 µs");
        check(duration(0.008_312), "8.31 ms");
        check(duration(0.999_6), "1.00 s");
        check(duration(1.24), "1.24 s");
        check(duration(125.0), "2 min 5 s");
        check(duration(f64::NAN), "–");
        check(grouped(1_234_567.0), "1,234,567");
        check(grouped(-0.4), "0");
        check(percent(0.9996), "99.9 %");
        check(percent(1.0), "100.0 %");
        check(percent(0.0001), "< 0.1 %");
        check(change(100.0, 112.4), "+12.4 %");
        check(change(100.0, 50.0), "−50.0 %");
        check(change(0.0, 1.0), "–");
    }
}
