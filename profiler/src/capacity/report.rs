//! What is carried, in words, as a table and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sim_core::answers::capacity::trial::Point;
use sim_core::answers::capacity::{Answer, LoadKind};
use sim_core::metrics::goodput::Goodput;
use sim_core::metrics::limits::Limit;
use sim_core::scenario::DatasetName;

/// What was asked, beside the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    pub(crate) kind: LoadKind,
    pub(crate) dataset: DatasetName,
    pub(crate) goodput: Goodput,
    pub(crate) required_share: f64,
    pub(crate) num_seeds: u32,
}

/// The latencies, in the order of [`sim_core::answers::capacity::Trial::latencies_ms`].
pub(crate) const LATENCIES: [&str; 3] = ["TTFT", "TPOT", "E2EL"];

/// A capacity, told.
pub(crate) fn text(question: &Question, answer: &Answer) -> String {
    let mut text = format!("{}\n", headline(question, answer));
    for line in lines(question, answer) {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(&format!("\n{}", table(question, answer)));
    text
}

fn bounds(question: &Question) -> Vec<(usize, f64)> {
    let Goodput { ttft_ms, tpot_ms, e2el_ms } = question.goodput;
    [ttft_ms, tpot_ms, e2el_ms].into_iter().enumerate().filter_map(|(place, bound)| Some((place, bound?))).collect()
}

fn headline(question: &Question, answer: &Answer) -> String {
    let bounds = bounds(question);
    let words: Vec<String> = bounds.iter().map(|(place, bound)| format!("{} {bound} ms", LATENCIES[*place])).collect();
    let share = 100.0 * question.required_share;
    let condition = match (words.is_empty(), question.kind) {
        (true, LoadKind::Rate) => "before its queue stops emptying (no --goodput was given)".to_owned(),
        (true, LoadKind::Concurrency | LoadKind::Users) => {
            "without any objective: give --goodput, such as ttft:500 tpot:50".to_owned()
        }
        (false, _) => format!("with {share} % of requests within {}", words.join(", ")),
    };
    let is_queue =
        answer.is_limited && question.kind == LoadKind::Rate && !words.is_empty() && meets_beyond(question, answer);
    let condition = if is_queue { format!("{condition}, before its queue stops emptying") } else { condition };
    let unit = question.kind.unit(question.dataset);
    match (answer.capacity, answer.is_limited) {
        (None, _) => {
            let lowest = answer.curve.first().map_or(0.0, |point| point.load);
            format!("Carries nothing {condition}: not even {lowest} {unit} do.")
        }
        (Some(capacity), true) => {
            let interval = answer.interval.map_or(String::new(), |(low, high)| {
                format!(" (95 % over {} seeds: {low:.3} to {high:.3})", question.num_seeds)
            });
            format!("Carries {capacity} {unit} {condition}{interval}.")
        }
        (Some(capacity), false) => {
            format!("Carries {capacity} {unit} and more {condition}: nothing that was tried misses.")
        }
    }
}

/// Whether the objectives are met beyond the capacity, too: then the engine's throughput is the limit.
fn meets_beyond(question: &Question, answer: &Answer) -> bool {
    let beyond = answer.curve.iter().find(|point| answer.capacity.is_some_and(|capacity| point.load > 1.01 * capacity));
    beyond.is_some_and(|point| point.share_met() >= question.required_share)
}

fn lines(question: &Question, answer: &Answer) -> Vec<String> {
    let mut lines = vec![];
    let Some(at) = answer.at_capacity() else { return lines };
    let p99 = |latency: usize| at.mean(|trial| trial.latencies_ms[latency][2]);
    lines.push(format!(
        "there: {:.0} tokens/s, P99 TTFT {:.0} ms, TPOT {:.1} ms, E2EL {:.0} ms; KV cache up to {:.0} %, {:.1} preemptions a run",
        at.mean(|trial| trial.output_throughput),
        p99(0),
        p99(1),
        p99(2),
        100.0 * at.mean(|trial| trial.kv_cache_peak),
        at.mean(|trial| trial.num_preemptions as f64)
    ));
    let capacity = answer.capacity.unwrap_or(0.0);
    let beyond = |factor: f64| answer.curve.iter().find(|point| point.load >= capacity * factor);
    if let Some(behind) = beyond(1.04).filter(|_| answer.is_limited) {
        lines.push(format!("what fails first: {}", fails_first(question, behind)));
    }
    for point in [1.04, 1.09].into_iter().filter_map(beyond) {
        lines.push(format!(
            "{:.0} % more: {:.1} % of requests are good, P99 TTFT {:.0} ms, TPOT {:.1} ms",
            100.0 * (point.load / capacity - 1.0),
            100.0 * point.share_met(),
            point.mean(|trial| trial.latencies_ms[0][2]),
            point.mean(|trial| trial.latencies_ms[1][2])
        ));
    }
    let waiting = at.trials.first().and_then(|trial| Some((trial.waiting.0?, trial.waiting.1)));
    lines.push(match waiting {
        Some((limit, share)) => {
            format!("requests waited {:.0} % of the time, mostly for {}", 100.0 * share, name(limit))
        }
        None => "no request waited longer than a pass".to_owned(),
    });
    lines
}

/// The objective that fewest requests beyond the capacity meet.
fn fails_first(question: &Question, behind: &Point) -> String {
    let bound = |place: usize| bounds(question).into_iter().find(|(other, _)| *other == place);
    match behind.fails_first(question.required_share).and_then(bound) {
        Some((place, bound)) => {
            format!(
                "{} within {bound} ms, at {} {}",
                LATENCIES[place],
                behind.load,
                question.kind.unit(question.dataset)
            )
        }
        None => "the engine answers no more, and its queue grows for as long as requests come".to_owned(),
    }
}

pub(crate) const fn name(limit: Limit) -> &'static str {
    match limit {
        Limit::KvBlocks => "free KV blocks",
        Limit::BatchSize => "a place in the batch (--max-num-seqs)",
        Limit::TokenBudget => "tokens of a pass (--max-num-batched-tokens)",
        Limit::PrefillInterval => "passes kept for decodes (--prefill-schedule-interval)",
    }
}

fn table(question: &Question, answer: &Answer) -> String {
    let load = match question.kind {
        LoadKind::Rate if question.dataset == DatasetName::Sessions => "sess/s",
        LoadKind::Rate => "req/s",
        LoadKind::Concurrency => "at once",
        LoadKind::Users => "users",
    };
    let mut text = format!(
        "{load:>10}{:>9}{:>10}{:>10}{:>10}{:>10}{:>11}{:>10}{:>10}{:>8}{:>10}\n",
        "good",
        "TTFT P50",
        "TTFT P99",
        "TPOT P50",
        "TPOT P99",
        "E2EL P99",
        "answered",
        "tokens/s",
        "KV max",
        "preempted"
    );
    for point in &answer.curve {
        let ms = |latency: usize, percentile: usize| point.mean(|trial| trial.latencies_ms[latency][percentile]);
        let mark = if answer.capacity.is_some_and(|capacity| capacity.to_bits() == point.load.to_bits()) {
            " ←"
        } else {
            ""
        };
        // Writing to a string cannot fail.
        writeln!(
            text,
            "{:>10}{:>7.2} %{:>10.1}{:>10.1}{:>10.2}{:>10.2}{:>11.0}{:>10.3}{:>10.0}{:>6.0} %{:>10.1}{mark}",
            point.load,
            100.0 * point.share_met(),
            ms(0, 0),
            ms(0, 2),
            ms(1, 0),
            ms(1, 2),
            ms(2, 2),
            point.mean(|trial| trial.request_throughput),
            point.mean(|trial| trial.output_throughput),
            100.0 * point.mean(|trial| trial.kv_cache_peak),
            point.mean(|trial| trial.num_preemptions as f64)
        )
        .unwrap_or(());
    }
    text
}

/// The answer for other programs: every trial, its digest included.
pub(crate) fn to_json(question: &Question, answer: &Answer) -> Value {
    let trial = |trial: &sim_core::answers::capacity::Trial| {
        let [ttft, tpot, e2el] = trial.latencies_ms;
        json!({
            "seed": trial.seed,
            "num_requests": trial.num_requests,
            "num_good": trial.num_met,
            "keeps_up": trial.keeps_up,
            "request_throughput": trial.request_throughput,
            "output_throughput": trial.output_throughput,
            "ttft_ms_p50_p90_p99": ttft,
            "tpot_ms_p50_p90_p99": tpot,
            "e2el_ms_p50_p90_p99": e2el,
            "kv_cache_peak": trial.kv_cache_peak,
            "num_preemptions": trial.num_preemptions,
            "digest": format!("{:016x}", trial.digest),
        })
    };
    let point = |point: &Point| {
        json!({
            "load": point.load,
            "share_good": point.share_met(),
            "trials": point.trials.iter().map(trial).collect::<Vec<_>>(),
        })
    };
    json!({
        "simulated": true,
        "load": question.kind.flag(),
        "goodput_ms": {
            "ttft": question.goodput.ttft_ms, "tpot": question.goodput.tpot_ms, "e2el": question.goodput.e2el_ms,
        },
        "required_share": question.required_share,
        "capacity": answer.capacity,
        "is_limited": answer.is_limited,
        "interval_95": answer.interval.map(|(low, high)| [low, high]),
        "curve": answer.curve.iter().map(point).collect::<Vec<_>>(),
    })
}
