//! What is told of a fleet's life: requests that lost their replica, and how many replicas there were when.

use std::fmt::Write as _;

use sim_core::fleet::life::LifeResult;
use sim_core::metrics::recorder::Recording;

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
fn replicas_text(life: &LifeResult, num_gpus: u32) -> String {
    let ready = || life.phases.iter().map(|phase| phase.num_ready);
    let (least, most) = (ready().min().unwrap_or(0), ready().max().unwrap_or(0));
    format!(
        "Replicas that took requests: {least} to {most}, {:.2} in the mean; {:.3} GPU hours of all, starting and stopping \
         ones too\n",
        life.mean_ready(),
        life.gpu_hours(num_gpus),
    )
}
