//! Which values an axis names, and how values are written.

use super::axis::{Axis, Scale};

/// What an axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Seconds, written as µs, ms, s, min or h.
    Seconds,
    /// A share of 1, written in per cent.
    Share,
    /// Whole things.
    Count,
    /// A number of any kind, such as requests a second.
    Number,
}

/// A named value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) label: String,
}

/// At most `max_ticks` (at least 2) round values on the axis, in order. None if no round value falls on it.
pub(crate) fn ticks(axis: &Axis, max_ticks: usize) -> Vec<Tick> {
    let max_ticks = max_ticks.max(2);
    if axis.scale() == Scale::Log
        && let Some(ticks) = log_ticks(axis, max_ticks)
    {
        return ticks;
    }
    linear_ticks(axis, max_ticks)
}

/// Values between the decades of a logarithmic axis that get a line and no name.
pub(crate) fn minor_values(axis: &Axis) -> Vec<f64> {
    let (low, high) = axis.range();
    if axis.scale() == Scale::Linear || high / low > 1e6 {
        return Vec::new();
    }
    multiples(axis, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])
}

/// Steps of time that people count in, beyond ten seconds.
const TIME_STEPS: [f64; 14] =
    [20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0];
const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;

fn linear_ticks(axis: &Axis, max_ticks: usize) -> Vec<Tick> {
    let (low, high) = axis.range();
    let last = |step: f64| (high / step + 1e-9).floor();
    let first = |step: f64| (low / step - 1e-9).ceil();
    let most = f64::from(u32::try_from(max_ticks).unwrap_or(u32::MAX));
    let fits = |step: &f64| last(*step) - first(*step) + 1.0 <= most;
    let Some(step) = steps(axis.unit(), high - low).into_iter().find(fits) else {
        return Vec::new();
    };
    let scale = linear_scale(axis.unit(), low.abs().max(high.abs()), step);
    let (mut i, end) = (first(step), last(step));
    let mut ticks = Vec::new();
    while i <= end {
        let value = i * step;
        ticks.push(Tick { value, label: scale.label(value, step) });
        i += 1.0;
    }
    ticks
}

/// Round steps for a span, the finest first.
fn steps(unit: Unit, span: f64) -> Vec<f64> {
    let mut decade = 10f64.powf((span / 1000.0).log10().floor());
    let mut steps = Vec::new();
    while decade <= span * 10.0 {
        for factor in [1.0, 2.0, 2.5, 5.0] {
            let step = decade * factor;
            let is_quarter = factor > 2.0 && factor < 5.0;
            let allowed = match unit {
                // Quarters of a whole, and no other steps that need one digit more.
                _ if is_quarter => unit == Unit::Share && (0.2..0.3).contains(&step),
                Unit::Seconds => step <= 10.0,
                Unit::Count => step >= 1.0 - 1e-9,
                Unit::Share | Unit::Number => true,
            };
            if allowed {
                steps.push(step);
            }
        }
        decade *= 10.0;
    }
    if unit == Unit::Seconds && span > 10.0 {
        steps.extend(TIME_STEPS);
        let mut day = 10.0 * 24.0 * HOUR;
        while day <= span * 10.0 {
            steps.extend([day, day * 2.0, day * 5.0]);
            day *= 10.0;
        }
    }
    steps
}

/// How the values of one axis are written: all in the same unit.
struct LabelScale {
    one: f64,
    suffix: &'static str,
}

impl LabelScale {
    fn label(&self, value: f64, step: f64) -> String {
        let number = decimal(value / self.one, step / self.one);
        if number == "0" { number } else { format!("{number}{}", self.suffix) }
    }
}

fn linear_scale(unit: Unit, largest: f64, step: f64) -> LabelScale {
    let (one, suffix) = match unit {
        Unit::Share => (0.01, "%"),
        Unit::Count | Unit::Number => count_scale(largest),
        Unit::Seconds if step >= 24.0 * HOUR => (24.0 * HOUR, " d"),
        Unit::Seconds if step >= HOUR => (HOUR, " h"),
        Unit::Seconds if step >= MINUTE => (MINUTE, " min"),
        Unit::Seconds => time_scale(largest),
    };
    LabelScale { one, suffix }
}

fn count_scale(value: f64) -> (f64, &'static str) {
    match value.abs() {
        v if v >= 1e12 => (1e12, "T"),
        v if v >= 1e9 => (1e9, "G"),
        v if v >= 1e6 => (1e6, "M"),
        v if v >= 1e4 => (1e3, "k"),
        _ => (1.0, ""),
    }
}

fn time_scale(value: f64) -> (f64, &'static str) {
    // A little less than the limit is the limit: 0.9999999 ms comes from arithmetic, not from a clock.
    match value.abs() * (1.0 + 1e-9) {
        v if v >= 1.0 => (1.0, " s"),
        v if v >= 1e-3 => (1e-3, " ms"),
        v if v >= 1e-6 => (1e-6, " µs"),
        _ => (1e-9, " ns"),
    }
}

/// A number with the digits that tell it from one a `step` away, and no zeros at the end.
fn decimal(value: f64, step: f64) -> String {
    let mut digits = 0;
    let mut step = step.abs();
    while digits < 9 && (step - step.round()).abs() > 1e-6 * step.max(1e-9) {
        step *= 10.0;
        digits += 1;
    }
    trimmed(value, digits)
}

fn trimmed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// `None` where the axis spans too little for round values on a logarithmic scale.
fn log_ticks(axis: &Axis, max_ticks: usize) -> Option<Vec<Tick>> {
    let sets: [&[f64]; 4] = [&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], &[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];
    let found = sets.iter().map(|set| multiples(axis, set)).find(|values| values.len() <= max_ticks);
    let values = found.unwrap_or_else(|| {
        let decades = multiples(axis, &[1.0]);
        let stride = decades.len().div_ceil(max_ticks).max(1);
        decades.into_iter().rev().step_by(stride).collect::<Vec<f64>>().into_iter().rev().collect()
    });
    let label = |value: f64| Tick { value, label: text_of_round(axis.unit(), value) };
    (values.len() >= 3.min(max_ticks)).then(|| values.into_iter().map(label).collect())
}

/// The round values on a logarithmic axis: powers of ten times `factors`; above ten seconds minutes and hours.
fn multiples(axis: &Axis, factors: &[f64]) -> Vec<f64> {
    let (low, high) = axis.range();
    let mut bases = Vec::new();
    let mut decade = 10f64.powf(low.log10().floor());
    while decade <= high * (1.0 + 1e-9) {
        if axis.unit() != Unit::Seconds || decade < 10.0 + 1e-6 {
            bases.push((decade, 10.0));
        }
        decade *= 10.0;
    }
    if axis.unit() == Unit::Seconds {
        bases.extend([(MINUTE, 10.0), (10.0 * MINUTE, 6.0)]);
        let mut hours = HOUR;
        while hours <= high {
            bases.push((hours, 10.0));
            hours *= 10.0;
        }
        if let Some(ten_seconds) = bases.iter_mut().find(|base| (base.0 - 10.0).abs() < 1e-6) {
            ten_seconds.1 = 6.0;
        }
    }
    let mut values: Vec<f64> = bases
        .iter()
        .flat_map(|&(base, until)| factors.iter().filter(move |&&factor| factor < until).map(move |&f| base * f))
        .filter(|value| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(value))
        .map(|value| value.clamp(low, high))
        .collect();
    values.dedup();
    values
}

/// A round value by itself, each in the unit that suits it.
fn text_of_round(unit: Unit, value: f64) -> String {
    let (one, suffix) = match unit {
        Unit::Share => (0.01, "%"),
        Unit::Count | Unit::Number => count_scale(value * (1.0 + 1e-9)),
        Unit::Seconds if value >= HOUR => {
            let (one, suffix) = count_scale(value / HOUR);
            return format!("{}{suffix} h", significant(value / HOUR / one, 2));
        }
        Unit::Seconds if value >= MINUTE => (MINUTE, " min"),
        Unit::Seconds => time_scale(value),
    };
    format!("{}{suffix}", significant(value / one, 2))
}

/// `value` with `digits` significant digits, no exponent and no zeros at the end.
fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return trimmed(value, 0);
    }
    let magnitude = value.abs().log10().floor();
    let after = (f64::from(digits) - 1.0 - magnitude).clamp(0.0, 9.0);
    trimmed(value, sim_core::math::u32_to_usize(sim_core::math::f64_to_u32(after)))
}

/// A value for a sentence or a read-out, with three significant digits: `231 ms`, `1.23 s`, `2 min 5 s`, `99.3%`,
/// `12,345`.
pub(crate) fn text(unit: Unit, value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    match unit {
        Unit::Share => format!("{}%", significant(value * 100.0, if (0.99..1.0).contains(&value) { 4 } else { 3 })),
        Unit::Number if value.abs() < 100.0 => significant(value, 3),
        Unit::Count | Unit::Number if value.abs() < 1e15 => grouped(value),
        Unit::Seconds if (2.0 * MINUTE..1e12).contains(&value) => minutes(value),
        Unit::Count | Unit::Number => format!("{value:e}"),
        Unit::Seconds if value == 0.0 => "0 s".to_owned(),
        Unit::Seconds => {
            let (one, suffix) = time_scale(value);
            format!("{}{suffix}", significant(value / one, 3))
        }
    }
}

fn minutes(seconds: f64) -> String {
    let seconds = seconds.round();
    let (hours, rest) = ((seconds / HOUR).floor(), seconds % HOUR);
    if hours > 0.0 {
        return format!("{hours:.0} h {:.0} min", (rest / MINUTE).floor());
    }
    format!("{:.0} min {:.0} s", (rest / MINUTE).floor(), rest % MINUTE)
}

/// Thousands apart; one decimal if the value is small and not whole.
fn grouped(value: f64) -> String {
    if value.abs() < 100.0 {
        return trimmed(value, 1);
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scale: Scale, unit: Unit, range: (f64, f64), max_ticks: usize, expect: &str) {
        let axis = Axis::new(scale, unit, range, (0.0, 100.0));
        let labels: Vec<String> = ticks(&axis, max_ticks).into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels.join(" | "), expect, "{scale:?} {unit:?} {range:?}");
    }

    #[test]
    fn linear_axes_name_round_values_in_one_unit() {
        use Scale::Linear;
        check(Linear, Unit::Seconds, (0.0, 2.1), 6, "0 | 0.5 s | 1 s | 1.5 s | 2 s");
        check(Linear, Unit::Seconds, (0.0, 0.18), 6, "0 | 50 ms | 100 ms | 150 ms");
        check(Linear, Unit::Seconds, (0.0, 300.0), 6, "0 | 1 min | 2 min | 3 min | 4 min | 5 min");
        check(
            Linear,
            Unit::Seconds,
            (0.0, 100.0),
            6,
            "0 | 20 s | 40 s | 1 min".replace("1 min", "60 s | 80 s | 100 s").as_str(),
        );
        check(Linear, Unit::Seconds, (12.3, 12.45), 4, "12.3 s | 12.35 s | 12.4 s | 12.45 s");
        check(Linear, Unit::Seconds, (0.0, 1e9), 4, "0 | 5000 d | 10000 d");
        check(Linear, Unit::Seconds, (0.0, 4e-9), 5, "0 | 1 ns | 2 ns | 3 ns | 4 ns");
        check(Linear, Unit::Share, (0.0, 1.0), 6, "0 | 20% | 40% | 60% | 80% | 100%");
        check(Linear, Unit::Share, (0.0, 1.0), 5, "0 | 25% | 50% | 75% | 100%");
        check(Linear, Unit::Count, (0.0, 2.0), 8, "0 | 1 | 2");
        check(Linear, Unit::Number, (0.0, 2.0), 6, "0 | 0.5 | 1 | 1.5 | 2");
        check(Linear, Unit::Count, (0.0, 12_000.0), 4, "0 | 5k | 10k");
        check(Linear, Unit::Count, (0.0, 1e6), 3, "0 | 0.5M | 1M");
    }

    #[test]
    fn logarithmic_axes_name_each_value_in_its_own_unit() {
        use Scale::Log;
        check(Log, Unit::Seconds, (1e-3, 10.0), 6, "1 ms | 10 ms | 100 ms | 1 s | 10 s");
        check(Log, Unit::Seconds, (0.03, 2.0), 6, "50 ms | 100 ms | 200 ms | 500 ms | 1 s | 2 s");
        check(Log, Unit::Seconds, (1.0, 7200.0), 6, "1 s | 10 s | 1 min | 10 min | 1 h");
        check(Log, Unit::Seconds, (0.0091, 0.0095), 5, "9.1 ms | 9.2 ms | 9.3 ms | 9.4 ms | 9.5 ms");
        check(Log, Unit::Share, (1e-4, 1.0), 6, "0.01% | 0.1% | 1% | 10% | 100%");
        check(Log, Unit::Count, (1.0, 1e6), 8, "1 | 10 | 100 | 1000 | 10k | 100k | 1M");
        check(Log, Unit::Seconds, (1e-9, 1e9), 4, "1 µs | 100 ms | 1 h | 100k h");
    }

    #[test]
    fn values_are_written_with_three_digits() {
        for (unit, value, expect) in [
            (Unit::Seconds, 0.2314, "231 ms"),
            (Unit::Seconds, 1.234, "1.23 s"),
            (Unit::Seconds, 125.2, "2 min 5 s"),
            (Unit::Seconds, 7384.0, "2 h 3 min"),
            (Unit::Seconds, 0.0, "0 s"),
            (Unit::Seconds, f64::NAN, "–"),
            (Unit::Share, 0.9931, "99.31%"),
            (Unit::Share, 0.5, "50%"),
            (Unit::Share, 1.0, "100%"),
            (Unit::Count, 12_345.0, "12,345"),
            (Unit::Count, 3.25, "3.2"),
            (Unit::Count, 100.0, "100"),
            (Unit::Number, 12.345, "12.3"),
            (Unit::Number, 0.01234, "0.0123"),
            (Unit::Number, 1234.5, "1,234"),
        ] {
            assert_eq!(text(unit, value), expect, "{unit:?} {value}");
        }
    }
}
