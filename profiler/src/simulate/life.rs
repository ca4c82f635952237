//! What is told of a fleet's life: requests that lost their replica, and how many replicas there were when.

use std::fmt::Write as _;

use sim_core::fleet::life::{LifeResult, Presence, RolesLife};
use sim_core::metrics::recorder::Recording;

/// What happened, and what it did to latencies.
pub(super) fn text(life: &LifeResult, recording: &Recording, num_gpus: u32) -> String {
    format!("{}{}", replicas_text("Replicas", &life.presence, num_gpus), requests_text(life, recording))
}

/// The same of replicas of two roles, whose replicas have so many GPUs.
pub(super) fn text_of_roles(roles: &RolesLife, recording: &Recording, [prefill, decode]: [u32; 2]) -> String {
    let RolesLife { life, prefill: presence } = roles;
    let (prefill, decode) = (
        replicas_text("Prefill replicas", presence, prefill),
        replicas_text("Decode replicas", &life.presence, decode),
    );
    format!("{prefill}{decode}{}", requests_text(life, recording))
}

/// What happened to requests.
fn requests_text(life: &LifeResult, recording: &Recording) -> String {
    let mut text = String::new();
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
        life.num_tokens_of_failed(recording),
    )
    .unwrap_or_default();
    for (of, name) in life.latencies(recording).iter().zip(["sent again or gone on with", "all others"]) {
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
fn replicas_text(name: &str, presence: &Presence, num_gpus: u32) -> String {
    let ready = || presence.phases.iter().map(|phase| phase.num_ready);
    let (least, most) = (ready().min().unwrap_or(0), ready().max().unwrap_or(0));
    format!(
        "{name} that took requests: {least} to {most}, {:.2} in the mean; {:.3} GPU hours of all, starting and stopping \
         ones too\n",
        presence.mean_ready(),
        presence.gpu_hours(num_gpus),
    )
}
