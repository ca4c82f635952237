//! Among which replicas production-stack's prefix-aware router would draw.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use sim_core::fleet::router::Arrival;
use sim_core::fleet::router::prefixes::PrefixAware;
use sim_core::request::{RequestId, TokenRun};

use super::super::difference::{Difference, compare_value};

#[derive(Debug, Deserialize)]
struct RouterTrace {
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
struct Event {
    /// Runs of tokens: first, number.
    prompt: Vec<(u64, u32)>,
    available: Vec<usize>,
    candidates: Vec<usize>,
    choice: usize,
}

pub(super) fn verify(json: &[u8]) -> Result<Option<Difference>> {
    let trace: RouterTrace = serde_json::from_slice(json).context("not a recording of a router")?;
    let mut router = PrefixAware::new();
    for (index, event) in (0..).zip(&trace.events) {
        let prompt: Vec<_> = event.prompt.iter().map(|&(start, len)| TokenRun { start, len }).collect();
        ensure!(prompt.iter().all(|run| run.len > 0), "events[{index}].prompt: a run of no tokens");
        let arrival = Arrival { id: RequestId(index), prompt: &prompt, session: None };
        let found = router.candidates(&arrival, &event.available);
        let difference = compare_value(index, "replicas that are drawn from (candidates)", &event.candidates, &found);
        if difference.is_some() {
            return Ok(difference);
        }
        router.learn(&prompt, event.choice);
    }
    Ok(None)
}
