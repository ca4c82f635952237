//! What is told of a fleet's life: requests that lost their replica, and how many replicas there were when.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};
use sim_core::fleet::life::{LifeResult, Phase};
use sim_core::metrics::recorder::Recording;

use super::latencies::Latencies;

/// Seconds in an hour.
const HOUR: f64 = 3600.0;

/// Of the requests that something happened to, and of all others.
fn latencies(life: &LifeResult, recording: &Recording) -> [Latencies; 2] {
    let touched: BTreeSet<_> = life.touched.iter().map(|id| id.index()).collect();
    [true, false].map(|is_touched| Latencies::of(recording, |index| touched.contains(&index) == is_touched))
}

/// Tokens that clients got of answers that failed.
fn num_tokens_of_failed(life: &LifeResult, recording: &Recording) -> u64 {
    let records = life.failed.iter().filter_map(|id| recording.requests.get(id.index()));
    records.map(|record| u64::from(record.num_output_tokens)).sum()
}

/// What happened, and what it did to latencies.
pub(super) fn text(life: &LifeResult, recording: &Recording, num_gpus: u32) -> String {
    let mut text = replicas_text(life, num_gpus);
    if life.touched.is_empty() && life.num_losses == 0 {
        return text;
    }
    // Writing to a String cannot fail.
    writeln!(
        text,
        "Requests that lost their replica: {} times; sent again {}, gone on with {}, failed {} ({} tokens streamed until then)",
        life.num_losses,
        life.num_retries,
        life.num_migrations,
        life.failed.len(),
        num_tokens_of_failed(life, recording),
    )
    .unwrap_or_default();
    for (of, name) in latencies(life, recording).iter().zip(["sent again or gone on with", "all others"]) {
        let ([ttft, ttft_high], [e2el, e2el_high]) = (of.ttft, of.e2el);
        writeln!(
            text,
            "  {:>7} {name}: TTFT P50 {ttft:.3} s, P99 {ttft_high:.3} s; E2EL P50 {e2el:.3} s, P99 {e2el_high:.3} s",
            of.num_requests,
        )
        .unwrap_or_default();
    }
    text
}

/// How many replicas there were.
fn replicas_text(life: &LifeResult, num_gpus: u32) -> String {
    let ready = || life.phases.iter().map(|phase| phase.num_ready);
    let (least, most) = (ready().min().unwrap_or(0), ready().max().unwrap_or(0));
    format!(
        "Replicas that took requests: {least} to {most}, {:.2} in the mean; {:.3} GPU hours of all, starting and stopping \
         ones too\n",
        mean_ready(life),
        gpu_hours(life, num_gpus),
    )
}

fn mean_ready(life: &LifeResult) -> f64 {
    let seconds = |phase: &Phase| phase.until.saturating_since(phase.from).as_secs_f64();
    let sum: f64 = life.phases.iter().map(|phase| seconds(phase) * f64::from(phase.num_ready)).sum();
    let length: f64 = life.phases.iter().map(seconds).sum();
    if length > 0.0 { sum / length } else { 0.0 }
}

fn gpu_hours(life: &LifeResult, num_gpus: u32) -> f64 {
    life.replica_seconds * f64::from(num_gpus) / HOUR
}

/// The same for programs.
pub(super) fn json(life: &LifeResult, recording: &Recording, num_gpus: u32) -> Value {
    let [touched, others] = latencies(life, recording);
    let phase = |phase: &Phase| {
        json!({
            "from_s": phase.from.as_secs_f64(), "until_s": phase.until.as_secs_f64(),
            "ready": phase.num_ready, "coming": phase.num_coming, "draining": phase.num_draining,
        })
    };
    json!({
        "num_losses": life.num_losses,
        "num_retries": life.num_retries,
        "num_migrations": life.num_migrations,
        "num_failed": life.failed.len(),
        "num_tokens_of_failed": num_tokens_of_failed(life, recording),
        "failed": life.failed.iter().map(|id| id.0).collect::<Vec<_>>(),
        "touched": touched.json(),
        "others": others.json(),
        "gpu_hours": gpu_hours(life, num_gpus),
        "mean_ready": mean_ready(life),
        "replicas_over_time": life.phases.iter().map(phase).collect::<Vec<_>>(),
    })
}
