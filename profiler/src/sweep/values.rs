//! The values of one flag of a grid, as they are typed: lists and ranges.

use anyhow::{Result, bail, ensure};
use sim_core::math;

use super::MAX_POINTS;

/// The forms of a range, for messages and help.
pub(crate) const RANGES: &str = "1..20 (by ones), 1..20:0.5 (by steps), 1..20/5 (5 values, evenly spaced), 16..1024*2 (each twice the one \
     before) or 1..100*/5 (5 values, each as many times the one before)";

/// What stands for leaving the flag as the rest of the command line has it.
const LEFT_ALONE: &str = "default";

/// The values of `text`: items with commas between them, each a range or taken as it is. Commas inside braces, brackets and
/// quotes belong to their item. With `is_whole` ranges that are cut into parts have whole numbers, each once.
///
/// # Errors
/// If an item is empty, a range is none, or there are more than [`MAX_POINTS`].
pub(crate) fn expand(text: &str, is_whole: bool) -> Result<Vec<Option<String>>> {
    let mut values = vec![];
    for item in items(text) {
        let item = item.trim();
        ensure!(
            !item.is_empty(),
            "{text:?}: a value is empty; `{LEFT_ALONE}` leaves a flag as it is without the sweep"
        );
        match Range::parse(item)? {
            Some(range) => values.extend(range.values(item, is_whole)?.into_iter().map(Some)),
            None => values.push((item != LEFT_ALONE).then(|| item.to_owned())),
        }
        ensure!(values.len() <= MAX_POINTS, "more than {MAX_POINTS} values, the most points of a sweep");
    }
    Ok(values)
}

/// `text` cut at its commas.
fn items(text: &str) -> Vec<&str> {
    let (mut items, mut start, mut depth, mut is_quoted) = (vec![], 0, 0_usize, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '{' | '[' if !is_quoted => depth += 1,
            '}' | ']' if !is_quoted => depth = depth.saturating_sub(1),
            ',' if !is_quoted && depth == 0 => {
                items.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(text.get(start..).unwrap_or_default());
    items
}

/// From one number to another, both included where they are reached.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    start: f64,
    end: f64,
    cut: Cut,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Cut {
    /// This far apart.
    Step(f64),
    /// So many, evenly spaced.
    Even(usize),
    /// Each so many times the one before.
    Factor(f64),
    /// So many, evenly spaced in logarithm.
    EvenFactor(usize),
}

impl Range {
    /// `None` if `item` is no range: what is before its dots is no number.
    fn parse(item: &str) -> Result<Option<Self>> {
        let Some((start, rest)) = item.split_once("..") else { return Ok(None) };
        let Some(start) = number(start) else { return Ok(None) };
        let at = rest.find([':', '/', '*']).unwrap_or(rest.len());
        let (end, cut) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let cut = match (cut.strip_prefix("*/"), cut.get(..1), cut.get(1..).unwrap_or_default()) {
            (Some(count), ..) => count.parse().ok().map(Cut::EvenFactor),
            (_, Some(":"), step) => number(step).map(Cut::Step),
            (_, Some("/"), count) => count.parse().ok().map(Cut::Even),
            (_, Some("*"), factor) => number(factor).map(Cut::Factor),
            _ => Some(Cut::Step(1.0)),
        };
        let (Some(end), Some(cut)) = (number(end), cut) else { bail!("{item:?} is no range; ranges are {RANGES}") };
        Ok(Some(Self { start, end, cut }))
    }

    fn values(self, item: &str, is_whole: bool) -> Result<Vec<String>> {
        let Self { start, end, cut } = self;
        ensure!(start <= end, "{item:?}: the end of a range is not below its start");
        let is_factor = matches!(cut, Cut::Factor(_) | Cut::EvenFactor(_));
        ensure!(!is_factor || start > 0.0, "{item:?}: what is multiplied begins above 0");
        let (distance, ratio) = (end - start, end / start);
        // A little more than the quotient, or 0.1 to 0.3 by 0.1 would end at 0.2.
        let steps = |quotient: f64| math::floor(quotient + 1e-9) + 1.0;
        let count = match cut {
            Cut::Step(step) => {
                ensure!(step > 0.0, "{item:?}: a step is above 0");
                steps(distance / step)
            }
            Cut::Factor(factor) => {
                ensure!(factor > 1.0, "{item:?}: a factor is above 1");
                steps(math::ln(ratio) / math::ln(factor))
            }
            Cut::Even(count) | Cut::EvenFactor(count) => {
                ensure!(count >= 2, "{item:?}: a range is cut into 2 values or more");
                math::usize_to_f64(count)
            }
        };
        let limit = math::usize_to_f64(MAX_POINTS);
        ensure!(count <= limit, "{item:?} has {count} values, and a sweep has at most {MAX_POINTS} points");
        let share = |place: f64| place / (count - 1.0);
        let value = |place: f64| match cut {
            Cut::Step(step) => start + place * step,
            Cut::Even(_) => start + share(place) * distance,
            Cut::Factor(factor) => start * math::pow(factor, place),
            Cut::EvenFactor(_) => start * math::pow(ratio, share(place)),
        };
        let rounds = is_whole && !matches!(cut, Cut::Step(_));
        let places = 0..math::f64_to_u64(count);
        let mut values: Vec<String> = places
            .map(|place| short(value(math::u64_to_f64(place))))
            .map(|value| if rounds { math::round(value) } else { value }.to_string())
            .collect();
        values.dedup();
        Ok(values)
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// The number with its first twelve digits: 0.1 + 0.2 is 0.3.
fn short(number: f64) -> f64 {
    format!("{number:.11e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[track_caller]
    fn check(text: &str, is_whole: bool, expect: &[&str]) {
        let values = expand(text, is_whole).expect("values");
        let values: Vec<&str> = values.iter().map(|value| value.as_deref().unwrap_or("(left alone)")).collect();
        assert_eq!(values, expect, "{text}");
    }

    #[test]
    fn lists_and_ranges_are_written_out() {
        check("64,128, 256", true, &["64", "128", "256"]);
        check("1..4", false, &["1", "2", "3", "4"]);
        check("0.1..0.3:0.1", false, &["0.1", "0.2", "0.3"]);
        check("1..2:0.4", false, &["1", "1.4", "1.8"]);
        check("1..2/5", false, &["1", "1.25", "1.5", "1.75", "2"]);
        check("16..256*2", true, &["16", "32", "64", "128", "256"]);
        check("1..1000*/4", false, &["1", "10", "100", "1000"]);
        // Each once, though four of the ten round to 1 and 2.
        check("1..4/7", true, &["1", "2", "3", "4"]);
        check("5..5", false, &["5"]);
        check("1,10..30:10,inf", false, &["1", "10", "20", "30", "inf"]);
        check("default,8", true, &["(left alone)", "8"]);
        check("true,false", false, &["true", "false"]);
        check("../a.json,b..c", false, &["../a.json", "b..c"]);
        check(
            r#"{"method":"ngram","n":[1,2]},default,"a,b""#,
            false,
            &[r#"{"method":"ngram","n":[1,2]}"#, "(left alone)", "\"a,b\""],
        );
    }

    #[track_caller]
    fn check_refused(text: &str, expect: &str) {
        let error = expand(text, false).expect_err("refused").to_string();
        assert!(error.contains(expect), "{text}: {error}");
    }

    #[test]
    fn what_is_no_range_is_told_with_the_forms_that_are() {
        check_refused("1..x", "ranges are 1..20");
        check_refused("1..", "ranges are 1..20");
        check_refused("1..9:", "ranges are 1..20");
        check_refused("1..9*/x", "ranges are 1..20");
        check_refused("9..1", "the end of a range is not below its start");
        check_refused("1..9:0", "a step is above 0");
        check_refused("1..9*1", "a factor is above 1");
        check_refused("0..9*2", "begins above 0");
        check_refused("1..9/1", "2 values or more");
        check_refused("1..1e9", "has 1000000000 values, and a sweep has at most 1000000 points");
        check_refused("1..2/99999999999", "at most 1000000 points");
        check_refused("1,,2", "a value is empty");
        check_refused("", "a value is empty");
    }
}
