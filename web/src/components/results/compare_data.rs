//! Two runs side by side, and a prediction beside a measurement: differences as text.

use std::collections::BTreeMap;

use sim_core::scenario::FLAGS;

use super::sentences::{metric, middle, percentile};
use crate::answer::{Answer, Metric, Totals};
use crate::detail::MeasuredRun;
use crate::format::{change, duration, grouped, three_digits};
use crate::state::Run;

/// The statistics that are compared: heading and percent; the mean first.
pub(crate) const STATISTICS: [(&str, Option<f64>); 5] =
    [("Mean", None), ("P50", Some(50.0)), ("P90", Some(90.0)), ("P95", Some(95.0)), ("P99", Some(99.0))];

/// Relative changes below this are no change.
const SAME: f64 = 5e-4;
/// Mean lengths that differ by more are another workload.
const LENGTH_TOLERANCE: f64 = 0.05;

/// Which way a change is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Latencies.
    Less,
    /// Throughputs.
    More,
    /// Neither.
    Neither,
}

/// A change, judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// As wished.
    Better,
    /// Not as wished.
    Worse,
    /// None, or none that is good or bad.
    Same,
}

impl Judgement {
    /// For the style sheet.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Better => "delta-better",
            Self::Worse => "delta-worse",
            Self::Same => "delta-same",
        }
    }

    /// For those who do not see colours.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Same => "",
        }
    }
}

/// One line of the comparison.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// Such as `P99`, or `Request throughput`.
    pub(crate) label: String,
    /// Of the pinned run, and of the one on the page.
    pub(crate) values: (String, String),
    /// B − A.
    pub(crate) delta: String,
    /// The same relative to A.
    pub(crate) percent: String,
    /// `▲`, `▼`, or nothing.
    pub(crate) arrow: &'static str,
    /// Whether it is good.
    pub(crate) judgement: Judgement,
}

impl Line {
    /// From two values; `write` gives them their unit.
    pub(crate) fn new(label: &str, (a, b): (f64, f64), wish: Wish, write: fn(f64) -> String) -> Self {
        let difference = b - a;
        let is_same = difference.abs() <= SAME * a.abs() || !difference.is_finite();
        let sign = if difference < 0.0 { "−" } else { "+" };
        let delta = if is_same { format!("±{}", write(0.0)) } else { format!("{sign}{}", write(difference.abs())) };
        let arrow = match (is_same, difference > 0.0) {
            (true, _) => "",
            (false, true) => "▲",
            (false, false) => "▼",
        };
        let judgement = match (is_same, wish, difference > 0.0) {
            (true, ..) | (_, Wish::Neither, _) => Judgement::Same,
            (_, Wish::Less, false) | (_, Wish::More, true) => Judgement::Better,
            _ => Judgement::Worse,
        };
        Self { label: label.to_owned(), values: (write(a), write(b)), delta, percent: change(a, b), arrow, judgement }
    }
}

/// A metric with its lines.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    /// Such as `TTFT`.
    pub(crate) name: String,
    /// One per statistic that both have.
    pub(crate) lines: Vec<Line>,
}

/// The mean, or a percentile, if there are samples.
fn statistic(metric: &Metric, percent: Option<f64>) -> Option<f64> {
    match percent {
        _ if metric.count == 0 => None,
        None => Some(metric.mean),
        Some(percent) => percentile(metric, percent),
    }
}

/// Latencies of `a` and `b`, those that both have.
pub(crate) fn latencies(a: &[Metric], b: &[Metric]) -> Vec<Group> {
    let groups = b.iter().filter_map(|b| {
        let a = metric(a, &b.key)?;
        let lines = STATISTICS.iter().filter_map(|(label, percent)| {
            let values = (statistic(a, *percent)?, statistic(b, *percent)?);
            Some(Line::new(label, values, Wish::Less, duration))
        });
        Some(Group { name: b.name.clone(), lines: lines.collect() })
    });
    groups.filter(|group| !group.lines.is_empty()).collect()
}

fn per_second(value: f64) -> String {
    format!("{}/s", three_digits(value))
}

/// Throughputs and totals of `a` and `b`.
pub(crate) fn totals(a: &Answer, b: &Answer) -> Vec<Line> {
    let of = |label, value: fn(&Totals) -> f64, wish, write| {
        Line::new(label, (value(&a.totals), value(&b.totals)), wish, write)
    };
    let mut lines = vec![of("Requests", |t| t.request_throughput, Wish::More, per_second)];
    if a.verdict.meets.is_some() && b.verdict.meets.is_some() {
        lines.push(Line::new("Goodput", (a.verdict.goodput, b.verdict.goodput), Wish::More, per_second));
    }
    lines.extend([
        of("Output tokens", |t| t.output_throughput, Wish::More, per_second),
        of("All tokens", |t| t.total_token_throughput, Wish::More, per_second),
        of("Duration", |t| t.duration, Wish::Neither, duration),
        of("Preemptions", |t| sim_core::math::u64_to_f64(t.num_preemptions), Wish::Less, grouped),
    ]);
    lines
}

/// What differs between two runs besides their results: name, A's, B's.
pub(crate) fn differences(a: &Run, b: &Run) -> Vec<(String, String, String)> {
    let file = |run: &Run| run.dataset.as_ref().map(|file| file.name.clone());
    let mut found = vec![
        ("profile".to_owned(), Some(a.profile.name.clone()), Some(b.profile.name.clone())),
        ("model".to_owned(), Some(a.answer.profile.model.clone()), Some(b.answer.profile.model.clone())),
        ("hardware".to_owned(), Some(a.answer.profile.hardware.clone()), Some(b.answer.profile.hardware.clone())),
        ("profile kind".to_owned(), Some(a.answer.profile.kind.clone()), Some(b.answer.profile.kind.clone())),
        ("dataset file".to_owned(), file(a), file(b)),
    ];
    found.extend(flag_differences(&a.scenario.flags(), &b.scenario.flags()));
    let is_other = |(_, a, b): &(String, Option<String>, Option<String>)| a != b;
    let written = |value: Option<String>| value.unwrap_or_else(|| "default".to_owned());
    found.into_iter().filter(is_other).map(|(name, a, b)| (name, written(a), written(b))).collect()
}

type Given = [(String, Option<String>)];

/// Every flag that either has: with dashes, A's and B's value.
fn flag_differences(a: &Given, b: &Given) -> Vec<(String, Option<String>, Option<String>)> {
    let mut all: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    let split = |(name, value): &(String, Option<String>)| match (name.strip_prefix("no-"), value) {
        (Some(switch), None) => (switch.to_owned(), "off".to_owned()),
        (_, value) => (name.clone(), value.clone().unwrap_or_else(|| "on".to_owned())),
    };
    for (name, value) in a.iter().map(split) {
        all.entry(name).or_default().0 = Some(value);
    }
    for (name, value) in b.iter().map(split) {
        all.entry(name).or_default().1 = Some(value);
    }
    all.into_iter().map(|(name, (a, b))| (format!("--{name}"), a, b)).collect()
}

/// Median of the errors relative to the measurement, without sign, and how many they are: `predicted` is B.
pub(crate) fn median_error(measured: &[Metric], predicted: &[Metric]) -> Option<(usize, f64)> {
    let errors = predicted.iter().flat_map(|predicted| {
        let measured = metric(measured, &predicted.key);
        STATISTICS.iter().filter_map(move |(_, percent)| {
            let (measured, predicted) = (statistic(measured?, *percent)?, statistic(predicted, *percent)?);
            (measured > 0.0).then(|| (predicted / measured - 1.0).abs())
        })
    });
    middle(errors.collect())
}

/// A setting of the measured run beside ours.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    /// Such as `request_rate`.
    pub(crate) name: String,
    /// The file's.
    pub(crate) measured: String,
    /// This run's.
    pub(crate) ours: String,
    /// Whether they are different loads.
    pub(crate) differs: bool,
}

/// Mean prompt and output length.
fn lengths(totals: &Totals, count: f64) -> [f64; 2] {
    let mean = |total: u64| if count > 0.0 { sim_core::math::u64_to_f64(total) / count } else { 0.0 };
    [mean(totals.total_input_tokens), mean(totals.total_output_tokens)]
}

/// Settings of the file that can be compared, and the mean lengths.
pub(crate) fn settings(measured: &MeasuredRun, run: &Run) -> Vec<Setting> {
    let ours = |name: &str| {
        let flag = name.replace('_', "-");
        let given = run.scenario.get(&flag).map(str::to_owned);
        given.unwrap_or_else(|| match name {
            "max_concurrency" => "none".to_owned(),
            "num_prompts" => run.answer.num_requests.to_string(),
            _ => FLAGS.iter().find(|known| known.name == flag).map_or("", |known| known.default).to_owned(),
        })
    };
    let comparable = measured.settings.iter().filter(|(name, _)| name != "date");
    let mut all: Vec<Setting> = comparable
        .map(|(name, value)| {
            let ours = ours(name);
            Setting { name: name.clone(), measured: value.clone(), differs: !is_same_value(value, &ours), ours }
        })
        .collect();
    // What the file would have, had its run been like this one.
    for name in ["max_concurrency", "ramp_up_strategy", "ramp_up_start_rps", "ramp_up_end_rps"] {
        let is_given = run.scenario.get(&name.replace('_', "-")).is_some();
        if is_given && !all.iter().any(|setting| setting.name == name) {
            let measured = "none".to_owned();
            all.push(Setting { name: name.to_owned(), measured, ours: ours(name), differs: true });
        }
    }
    let theirs = lengths(&measured.totals, sim_core::math::u64_to_f64(measured.completed));
    let own = lengths(&run.answer.totals, f64::from(run.answer.num_finished));
    for (name, (theirs, own)) in
        ["mean prompt tokens", "mean output tokens"].into_iter().zip(theirs.into_iter().zip(own))
    {
        if theirs > 0.0 {
            let differs = (own / theirs - 1.0).abs() > LENGTH_TOLERANCE;
            let (measured, ours) = (three_digits(theirs), three_digits(own));
            all.push(Setting { name: name.to_owned(), measured, ours, differs });
        }
    }
    all
}

/// Equal as numbers, or as text.
fn is_same_value(a: &str, b: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let is_unlimited = |text: &str| matches!(text.trim(), "" | "none" | "None" | "null");
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b).is_eq() || (a - b).abs() <= 1e-9 * a.abs(),
        _ => a.trim() == b.trim() || (is_unlimited(a) && is_unlimited(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::results::sample::answer;

    #[track_caller]
    fn check(values: (f64, f64), wish: Wish, expect: (&str, &str, &str, Judgement)) {
        let line = Line::new("P99", values, wish, duration);
        assert_eq!((&*line.delta, &*line.percent, line.arrow, line.judgement), expect, "{values:?}");
    }

    #[test]
    fn a_change_has_sign_arrow_and_judgement() {
        check((0.2, 0.25), Wish::Less, ("+50.0 ms", "+25.0 %", "▲", Judgement::Worse));
        check((0.2, 0.15), Wish::Less, ("−50.0 ms", "−25.0 %", "▼", Judgement::Better));
        check((0.2, 0.25), Wish::More, ("+50.0 ms", "+25.0 %", "▲", Judgement::Better));
        check((0.2, 0.25), Wish::Neither, ("+50.0 ms", "+25.0 %", "▲", Judgement::Same));
        check((0.2, 0.200_01), Wish::Less, ("±0 ms", "±0.0 %", "", Judgement::Same));
        check((0.0, 0.0), Wish::Less, ("±0 ms", "–", "", Judgement::Same));
    }

    #[test]
    fn only_flags_that_differ_are_told_and_switches_have_words() {
        let given = |flags: &[(&str, Option<&str>)]| -> Vec<(String, Option<String>)> {
            flags.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
        };
        let a = given(&[("request-rate", Some("8")), ("no-enable-prefix-caching", None)]);
        let b = given(&[("request-rate", Some("8")), ("enable-prefix-caching", None), ("seed", Some("3"))]);
        let other: Vec<_> = flag_differences(&a, &b).into_iter().filter(|(_, a, b)| a != b).collect();
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(
            other,
            [("--enable-prefix-caching".to_owned(), text("off"), text("on")), ("--seed".to_owned(), None, text("3")),]
        );
    }

    #[test]
    fn the_error_of_a_prediction_is_the_median_over_metrics_and_percentiles() {
        let predicted = answer().metrics;
        let mut measured = predicted.clone();
        for metric in &mut measured {
            metric.mean *= 2.0;
            for entry in &mut metric.percentiles {
                entry.1 *= 2.0;
            }
        }
        assert_eq!(median_error(&measured, &predicted), Some((20, 0.5)), "all are half of the measurement");
        assert_eq!(median_error(&[], &predicted), None, "nothing to compare");
    }

    #[test]
    fn settings_are_equal_as_numbers() {
        for (a, b, same) in [
            ("inf", "inf", true),
            ("8", "8.0", true),
            ("8", "10", false),
            ("None", "none", true),
            ("64", "none", false),
        ] {
            assert_eq!(is_same_value(a, b), same, "{a} and {b}");
        }
    }
}
