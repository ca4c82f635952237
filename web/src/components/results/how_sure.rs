//! What is said of how far the figures may be off. Pure text: data in, sentences out.

use super::sentences;
use crate::answer::{Answer, RangeAnswer, Verdict};
use crate::format::{percent, three_digits};

/// Whether the objectives are met over the whole range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sureness {
    /// At both ends.
    Met,
    /// At one end but not at the other: the target lies inside the range.
    Open,
    /// At neither.
    Missed,
}

/// How sure the verdict is; `None` without objectives.
pub(crate) fn sureness(answer: &Answer, range: &RangeAnswer) -> Option<Sureness> {
    answer.verdict.meets?;
    let num_met = shares(answer, range).filter(|share| *share >= Verdict::REQUIRED_SHARE).count();
    Some(match num_met {
        0 => Sureness::Missed,
        count if count == shares(answer, range).count() => Sureness::Met,
        _ => Sureness::Open,
    })
}

/// Shares of requests within every objective: the run's own, and those at the ends.
fn shares(answer: &Answer, range: &RangeAnswer) -> impl Iterator<Item = f64> {
    std::iter::once(answer.verdict.share_met).chain(range.bounds.iter().map(|bound| bound.share_met))
}

/// The first line of the answer, which says if it is not certain.
pub(crate) fn headline(answer: &Answer, range: Option<&RangeAnswer>) -> String {
    let said = sentences::headline(answer);
    let is_open = range.is_some_and(|range| sureness(answer, range) == Some(Sureness::Open));
    let verb = |verb: &str| said.strip_prefix(verb).filter(|_| is_open && answer.num_finished > 0);
    match (verb("Meets"), verb("Misses")) {
        (Some(rest), _) => format!("Probably meets{rest}"),
        (_, Some(rest)) => format!("Probably misses{rest}"),
        _ => said,
    }
}

/// The line under it: label and text.
pub(crate) fn certainty(answer: &Answer, range: &RangeAnswer) -> Option<(&'static str, String)> {
    let of_requests = |shares| match least_to_most(shares, percent) {
        Some(text) => text,
        None => percent(answer.verdict.share_met),
    };
    let shares = of_requests(shares(answer, range));
    Some(match sureness(answer, range)? {
        Sureness::Met => ("Clearly met:", format!("at both ends of the range, too, with {shares} of requests.")),
        Sureness::Open => {
            let required = three_digits(Verdict::REQUIRED_SHARE * 100.0);
            let required = required.trim_end_matches('0').trim_end_matches('.');
            let text = format!("the target, {required} % of requests, lies inside the range, {shares}.");
            ("Not certain:", text)
        }
        Sureness::Missed => ("Clearly missed:", format!("at both ends of the range, too, with {shares} of requests.")),
    })
}

/// That the device was never measured; nothing of others.
pub(crate) fn estimated(answer: &Answer) -> Option<String> {
    let said = &answer.profile.estimated;
    (!said.is_empty()).then(|| format!("{said}."))
}

/// How the ends were found, behind the sentence on what the range rests on.
pub(crate) fn draws(range: &RangeAnswer) -> Option<String> {
    let num_draws = range.bounds.len() / 2;
    (num_draws > 1).then(|| format!(" Passes differ at random: each end is drawn {num_draws} times."))
}

/// `210 – 340 ms`: the least and the most of a figure; nothing if they are written alike.
pub(crate) fn least_to_most(values: impl IntoIterator<Item = f64>, write: impl Fn(f64) -> String) -> Option<String> {
    let ends = values.into_iter().filter(|value| !value.is_nan()).map(|value| (value, value));
    let (least, most) = ends.reduce(|ends, value| (ends.0.min(value.0), ends.1.max(value.1)))?;
    let (least, most) = (write(least), write(most));
    let unit = |text: &str| text.split_once(' ').map(|(_, unit)| unit.to_owned());
    let number = match least.split_once(' ') {
        // A unit of both is said once; one with a number in it, as in `2 min 6 s`, is none.
        Some((number, own)) if unit(&most).as_deref() == Some(own) && !own.contains(' ') => number,
        _ => &least,
    };
    (least != most).then(|| format!("{number} – {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Bound, Totals};
    use crate::components::results::sample::answer;
    use crate::format::duration;
    use sim_core::metrics::figure_ranges::RunRange;

    fn range(shares: &[f64]) -> RangeAnswer {
        let bound = |&share_met: &f64| Bound {
            factor: 1.0,
            share_met,
            goodput: 1.0,
            totals: Totals::default(),
            metrics: Vec::new(),
        };
        RangeAnswer { range: RunRange::default(), bounds: shares.iter().map(bound).collect() }
    }

    /// The run meets the objectives with `own` of its requests; at the ends `shares` do.
    #[track_caller]
    fn check(own: f64, shares: &[f64], sure: Sureness, begins: &str, expect: (&str, &str)) {
        let mut run = answer();
        run.verdict.share_met = own;
        run.verdict.meets = Some(own >= Verdict::REQUIRED_SHARE);
        let range = range(shares);
        assert_eq!(sureness(&run, &range), Some(sure), "{own}, {shares:?}");
        let headline = headline(&run, Some(&range));
        assert!(headline.starts_with(begins), "{headline}");
        assert_eq!(certainty(&run, &range), Some((expect.0, expect.1.to_owned())));
    }

    #[test]
    fn a_verdict_is_clear_or_the_target_lies_inside_the_range() {
        let met = ("Clearly met:", "at both ends of the range, too, with 99.2 – 99.9 % of requests.");
        check(0.995, &[0.999, 0.992], Sureness::Met, "Meets the objectives: 99.5 %", met);
        let alike = ("Clearly met:", "at both ends of the range, too, with 100.0 % of requests.");
        check(1.0, &[1.0, 1.0], Sureness::Met, "Meets the objectives: 100.0 %", alike);
        let open = ("Not certain:", "the target, 99 % of requests, lies inside the range, 81.0 – 99.9 %.");
        check(0.995, &[0.999, 0.81], Sureness::Open, "Probably meets the objectives: 99.5 %", open);
        check(0.9, &[0.999, 0.81], Sureness::Open, "Probably misses: only 90.0 %", open);
        let missed = ("Clearly missed:", "at both ends of the range, too, with 20.0 – 97.0 % of requests.");
        check(0.5, &[0.97, 0.2], Sureness::Missed, "Misses: only 50.0 %", missed);
    }

    #[test]
    fn without_objectives_nothing_is_sure_or_not() {
        let mut run = answer();
        run.verdict.meets = None;
        let range = range(&[1.0, 0.0]);
        assert_eq!((sureness(&run, &range), certainty(&run, &range)), (None, None));
        assert!(headline(&run, Some(&range)).starts_with("No objectives set;"));
    }

    #[test]
    fn a_range_is_what_is_written_differently() {
        let check = |values: &[f64], expect: Option<&str>| {
            assert_eq!(least_to_most(values.iter().copied(), duration).as_deref(), expect, "{values:?}");
        };
        check(&[0.6, 1.0, 0.5], Some("500 ms – 1.00 s"));
        check(&[0.21, 0.34], Some("210 – 340 ms"));
        check(&[125.0, 130.0], Some("2 min 5 s – 2 min 10 s"));
        check(&[0.5, 0.5001], None);
        check(&[f64::NAN, 0.5], None);
        check(&[], None);
    }

    #[test]
    fn an_estimate_says_so_whether_ranges_are_shown_or_not() {
        let mut run = answer();
        assert_eq!(estimated(&run), None);
        run.profile.estimated = "Estimated".to_owned();
        assert_eq!(estimated(&run).as_deref(), Some("Estimated."));
        assert_eq!(sentences::evidence(&run.profile), [("estimated", 1.0)]);
        assert_eq!(draws(&range(&[1.0, 1.0])), None);
        assert!(draws(&range(&[1.0; 6])).is_some_and(|said| said.contains("3 times")));
    }
}
