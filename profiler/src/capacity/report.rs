//! What is carried, in words, as a table and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sim_core::answers::capacity::trial::Point;
use sim_core::answers::capacity::{Answer, LoadKind, Question};
use sim_core::answers::cost::Cost;
use sim_core::answers::said::three_digits;
use sim_core::scenario::DatasetName;

/// A capacity, told; with what it costs there, or why that is not known, where it was asked for.
pub(crate) fn text(question: &Question, answer: &Answer, cost: Option<&Result<Cost, String>>) -> String {
    let mut text = format!("{}\n", question.headline(answer));
    for line in question.lines(answer) {
        text.push_str(&format!("  {line}\n"));
    }
    if let Some(cost) = cost {
        text.push_str(&format!("  cost there: {}\n", cost.as_ref().map_or_else(String::clone, Cost::told)));
    }
    text.push_str(&format!("\n{}", table(question, answer)));
    text
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
        let ms = |latency: usize, percentile: usize| {
            three_digits(point.mean(|trial| trial.latencies_ms[latency][percentile]))
        };
        let mark = if answer.capacity.is_some_and(|capacity| capacity.to_bits() == point.load.to_bits()) {
            " ←"
        } else {
            ""
        };
        // Writing to a string cannot fail.
        writeln!(
            text,
            "{:>10}{:>7.2} %{:>10}{:>10}{:>10}{:>10}{:>11}{:>10}{:>10}{:>6.0} %{:>10.1}{mark}",
            question.kind.said(point.load),
            100.0 * point.share_met(),
            ms(0, 0),
            ms(0, 2),
            ms(1, 0),
            ms(1, 2),
            ms(2, 2),
            three_digits(point.mean(|trial| trial.request_throughput)),
            three_digits(point.mean(|trial| trial.output_throughput)),
            100.0 * point.mean(|trial| trial.kv_cache_peak),
            point.mean(|trial| trial.num_preemptions as f64)
        )
        .unwrap_or(());
    }
    text
}

/// The answer for other programs: every trial, its digest included.
pub(crate) fn to_json(question: &Question, answer: &Answer, cost: Option<&Result<Cost, String>>) -> Value {
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
    let mut value = json!({
        "simulated": true,
        "load": question.kind.flag(),
        "goodput_ms": {
            "ttft": question.goodput.ttft_ms, "tpot": question.goodput.tpot_ms, "e2el": question.goodput.e2el_ms,
        },
        "required_share": question.required_share,
        "capacity": answer.capacity,
        "is_limited": answer.is_limited,
        "digest": format!("{:016x}", answer.digest()),
        "interval_95": answer.interval.map(|(low, high)| [low, high]),
        "curve": answer.curve.iter().map(point).collect::<Vec<_>>(),
    });
    if let Some(cost) = cost {
        value["cost"] = json_of(cost);
    }
    value
}

/// What something costs, or why that is not known, for other programs.
pub(crate) fn json_of(cost: &Result<Cost, String>) -> Value {
    match cost {
        Ok(cost) => json!({
            "usd_per_hour": cost.usd_per_hour,
            "usd_per_million_output_tokens": cost.usd_per_million_tokens,
            "usd_per_request": cost.usd_per_request,
        }),
        Err(why) => json!({"why_unknown": why}),
    }
}
