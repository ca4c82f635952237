//! What is said of a run in words. Pure text: data in, sentences out.

use crate::answer::{Answer, Limit, Metric, ProfileCard, SplitRow, Verdict};
use crate::format::{duration, grouped, percent, three_digits};

/// Below this many samples, what P99 rests on is said.
const ENOUGH_SAMPLES: u64 = 1_000;

/// A percentile of a metric, in seconds.
pub(crate) fn percentile(metric: &Metric, percent: f64) -> Option<f64> {
    metric.percentiles.iter().find(|entry| (entry.0 - percent).abs() < 1e-9).map(|entry| entry.1)
}

/// The metric of a key.
pub(crate) fn metric<'a>(metrics: &'a [Metric], key: &str) -> Option<&'a Metric> {
    metrics.iter().find(|metric| metric.key == key)
}

/// The first line of the answer.
pub(crate) fn headline(answer: &Answer) -> String {
    let verdict = &answer.verdict;
    let goodput = format!("goodput {} req/s", three_digits(verdict.goodput));
    if answer.num_finished == 0 {
        return format!("None of the {} requests was answered", grouped(f64::from(answer.num_requests)));
    }
    match verdict.meets {
        Some(true) => format!(
            "Meets the objectives: {} of requests within {} ({goodput})",
            percent(verdict.share_met),
            bounds(verdict)
        ),
        Some(false) => {
            let share = percent(verdict.share_met);
            let worst = verdict.objectives.iter().min_by(|a, b| a.2.total_cmp(&b.2));
            let fails = worst.filter(|_| verdict.objectives.len() > 1).map(|(key, bound, share)| {
                format!("; {} is what fails: {} within {bound} ms", key.to_uppercase(), percent(*share))
            });
            format!("Misses: only {share} of requests within {}{}", bounds(verdict), fails.unwrap_or_default())
        }
        None => {
            let known = ["ttft", "tpot"].into_iter().filter_map(|key| metric(&answer.metrics, key));
            let known = known.filter(|metric| metric.count > 0);
            let said = known.filter_map(|m| Some(format!("P99 {} is {}", m.name, duration(percentile(m, 99.0)?))));
            format!("No objectives set; {}", said.collect::<Vec<_>>().join(", "))
        }
    }
}

/// `ttft ≤ 500 ms and tpot ≤ 50 ms`.
fn bounds(verdict: &Verdict) -> String {
    let bounds = verdict.objectives.iter().map(|(key, bound, _)| format!("{key} ≤ {bound} ms"));
    bounds.collect::<Vec<_>>().join(" and ")
}

/// What is asked of the share, for the line under the first.
pub(crate) fn requirement(verdict: &Verdict) -> Option<String> {
    verdict.meets.map(|_| {
        let required = three_digits(Verdict::REQUIRED_SHARE * 100.0);
        let required = required.trim_end_matches('0').trim_end_matches('.').to_owned();
        format!("Met means: at least {required} % of the requests are within every bound.")
    })
}

const fn limit_name(limit: Limit) -> &'static str {
    match limit {
        Limit::Nothing => "nothing",
        Limit::KvBlocks => "the KV cache",
        Limit::BatchSize => "the batch size (max_num_seqs)",
        Limit::TokenBudget => "the token budget of a pass (max_num_batched_tokens)",
        Limit::ClientConcurrency => "the client's max_concurrency",
        Limit::PrefillInterval => "passes kept for decodes (prefill_schedule_interval)",
    }
}

/// What held requests back.
pub(crate) fn limits(verdict: &Verdict) -> String {
    let waiting = percent(verdict.waiting_share);
    let engine: Vec<&(Limit, f64)> = verdict.limits.iter().filter(|limit| limit.1 >= 0.005).take(3).collect();
    let engine_part = || {
        let named = engine.iter().enumerate().map(|(place, (limit, share))| {
            let (name, share) = (limit_name(*limit), percent(*share));
            if place == 0 { format!("{name} was the limit {share} of the time") } else { format!("{name} {share}") }
        });
        format!("While requests waited ({waiting} of the run), {}.", named.collect::<Vec<_>>().join(", "))
    };
    match (verdict.limit, engine.is_empty()) {
        (Limit::ClientConcurrency, true) => {
            "The client's own max_concurrency held requests back; in the engine none waited longer than a pass."
                .to_owned()
        }
        (Limit::ClientConcurrency, false) => {
            format!("The client's own max_concurrency held requests back most. {}", engine_part())
        }
        (Limit::Nothing, true) => {
            "Nothing held requests back: none waited in the engine for longer than a pass.".to_owned()
        }
        (limit, true) => format!("Requests waited {waiting} of the run; the limit was {}.", limit_name(limit)),
        (_, false) => engine_part(),
    }
}

/// That requests are sent faster than they are answered.
pub(crate) fn overload(verdict: &Verdict) -> Option<String> {
    verdict.overload.map(|found| {
        format!(
            "Offered load exceeds capacity: {} req/s sent, {} req/s answered; latencies grow with the length of the run.",
            three_digits(found.offered),
            three_digits(found.answered)
        )
    })
}

/// What a percentile far out rests on, where that is little.
pub(crate) fn sample_note(metric: &Metric) -> Option<String> {
    if metric.count == 0 {
        return Some("no samples".to_owned());
    }
    (metric.count < ENOUGH_SAMPLES).then(|| {
        let beyond = metric.count.div_ceil(100);
        let samples = if beyond == 1 { "1 sample" } else { "samples" };
        let number = if beyond == 1 { String::new() } else { format!("{beyond} ") };
        format!("P99 rests on {number}{samples} of {}", metric.count)
    })
}

/// What is to be known of a tile's numbers: that they grow with the run, or rest on little.
pub(crate) fn tile_note(verdict: &Verdict, metric: &Metric) -> Option<String> {
    let grows = verdict.overload.is_some() && matches!(metric.key.as_str(), "ttft" | "e2el") && metric.count > 0;
    let grows = grows.then(|| "overload: grows with the length of the run".to_owned());
    let notes: Vec<String> = grows.into_iter().chain(sample_note(metric)).collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// Requests that are not in the numbers.
pub(crate) fn left_out(answer: &Answer) -> Option<String> {
    let mut parts = Vec::new();
    if answer.num_finished < answer.num_requests {
        parts.push(format!(
            "{} of {} requests ended; the others are in no latency.",
            grouped(f64::from(answer.num_finished)),
            grouped(f64::from(answer.num_requests))
        ));
    }
    if answer.num_skipped > 0 {
        let skipped = grouped(f64::from(answer.num_skipped));
        parts.push(format!("{skipped} entries of the dataset ask for no token and were left out."));
    }
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// Shares of the device time by what they rest on, the strongest first. Nothing is measured of an estimated device.
pub(crate) fn evidence(card: &ProfileCard) -> Vec<(&'static str, f64)> {
    if !card.estimated.is_empty() {
        return vec![("estimated", 1.0)];
    }
    let measured = card.measured_share.clamp(0.0, 1.0);
    let extrapolated = card.extrapolated_share.clamp(0.0, 1.0 - measured);
    vec![("measured", measured), ("interpolated", 1.0 - measured - extrapolated), ("extrapolated", extrapolated)]
}

/// How well the profile was tried, in a sentence.
pub(crate) fn validation(card: &ProfileCard) -> String {
    let runs = median_error(&card.validation_runs).map(|(count, error)| {
        format!("Against a running engine: median error {} over {count} comparisons", percent(error))
    });
    let steps = card.validation_steps.map(|(count, error)| {
        format!("{} held-out passes: median error {}", grouped(f64::from(count)), percent(error))
    });
    match (runs, steps) {
        (None, None) => "Not validated: never compared with a running engine.".to_owned(),
        (None, Some(steps)) => format!("{steps}. Whole runs were never compared with a running engine."),
        (Some(runs), None) => format!("{runs}."),
        (Some(runs), Some(steps)) => format!("{runs}. {steps}."),
    }
}

/// Number of comparisons and the median of their errors relative to the measurement.
fn median_error(runs: &[(String, String, f64, f64)]) -> Option<(usize, f64)> {
    let errors = runs.iter().filter(|run| run.2 > 0.0 && run.3.is_finite()).map(|run| (run.3 / run.2 - 1.0).abs());
    middle(errors.collect())
}

/// Number of values and their median.
pub(crate) fn middle(mut values: Vec<f64>) -> Option<(usize, f64)> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let count = values.len();
    let upper = *values.get(count / 2)?;
    let lower = *values.get(count.saturating_sub(1) / 2)?;
    Some((count, f64::midpoint(lower, upper)))
}

/// What the bars of the TTFT split show.
pub(crate) fn split(rows: &[SplitRow]) -> String {
    let said = rows.iter().filter(|row| matches!(row.label.as_str(), "Mean" | "P99")).map(|row| {
        let total = row.front_end + row.front_end_wait + row.queue + row.prefill + row.delivery;
        let busy = match row.front_end_wait {
            wait if wait > 0.0 => format!(", waiting for a busy API server {}", duration(wait)),
            _ => String::new(),
        };
        format!(
            "{} TTFT {}: front end {}{busy}, queue {}, prefill {}, return {}",
            row.label,
            duration(total),
            duration(row.front_end),
            duration(row.queue),
            duration(row.prefill),
            duration(row.delivery)
        )
    });
    said.collect::<Vec<_>>().join(". ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Overload;
    use crate::components::results::sample::answer;

    #[track_caller]
    fn check(got: &str, expect: &str) {
        assert_eq!(got, expect);
    }

    #[test]
    fn the_headline_says_whether_the_objectives_are_met_and_which_fails() {
        let mut run = answer();
        check(
            &headline(&run),
            "Meets the objectives: 99.3 % of requests within ttft ≤ 500 ms and tpot ≤ 50 ms (goodput 7.94 req/s)",
        );
        run.verdict.meets = Some(false);
        run.verdict.share_met = 0.712;
        run.verdict.objectives[0].2 = 0.714;
        check(
            &headline(&run),
            "Misses: only 71.2 % of requests within ttft ≤ 500 ms and tpot ≤ 50 ms; TTFT is what fails: 71.4 % within 500 ms",
        );
        run.verdict.meets = None;
        check(&headline(&run), "No objectives set; P99 TTFT is 812 ms, P99 TPOT is 31.0 ms");
        run.num_finished = 0;
        check(&headline(&run), "None of the 1,000 requests was answered");
    }

    #[test]
    fn what_holds_requests_back_is_named_with_its_share() {
        let mut verdict = answer().verdict;
        check(&limits(&verdict), "Nothing held requests back: none waited in the engine for longer than a pass.");
        verdict.limit = Limit::KvBlocks;
        verdict.waiting_share = 0.34;
        verdict.limits = vec![(Limit::KvBlocks, 0.98)];
        check(
            &limits(&verdict),
            "While requests waited (34.0 % of the run), the KV cache was the limit 98.0 % of the time.",
        );
        verdict.limits.push((Limit::BatchSize, 0.02));
        check(
            &limits(&verdict),
            "While requests waited (34.0 % of the run), the KV cache was the limit 98.0 % of the time, the batch size \
             (max_num_seqs) 2.0 %.",
        );
        verdict.overload = Some(Overload { offered: 20.0, answered: 11.4 });
        check(
            &overload(&verdict).unwrap_or_default(),
            "Offered load exceeds capacity: 20.0 req/s sent, 11.4 req/s answered; latencies grow with the length of the run.",
        );
    }

    #[test]
    fn few_samples_are_admitted() {
        let note = |count| sample_note(&Metric { count, ..Metric::default() }).unwrap_or_default();
        check(&note(0), "no samples");
        check(&note(80), "P99 rests on 1 sample of 80");
        check(&note(300), "P99 rests on 3 samples of 300");
        check(&note(1_000), "");
    }

    #[test]
    fn an_overload_marks_what_grows_with_the_run() {
        let mut run = answer();
        run.verdict.overload = Some(Overload { offered: 20.0, answered: 11.4 });
        let note = |key: &str| metric(&run.metrics, key).and_then(|metric| tile_note(&run.verdict, metric));
        assert_eq!(note("ttft").as_deref(), Some("overload: grows with the length of the run"), "TTFT");
        assert_eq!(note("tpot"), None, "TPOT");
    }

    #[test]
    fn a_profile_that_was_never_tried_says_so() {
        let mut card = ProfileCard::default();
        check(&validation(&card), "Not validated: never compared with a running engine.");
        let run = |measured, predicted| (String::new(), String::new(), measured, predicted);
        card.validation_runs = vec![run(100.0, 110.0), run(100.0, 96.0), run(100.0, 102.0)];
        card.validation_steps = Some((40, 0.021));
        check(
            &validation(&card),
            "Against a running engine: median error 4.0 % over 3 comparisons. 40 held-out passes: median error 2.1 %.",
        );
    }

    #[test]
    fn shares_of_the_evidence_add_up() {
        let card = ProfileCard { measured_share: 0.7, extrapolated_share: 0.5, ..ProfileCard::default() };
        let shares: Vec<f64> = evidence(&card).iter().map(|part| part.1).collect();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12 && shares[1].abs() < 1e-12, "{shares:?}");
    }
}
