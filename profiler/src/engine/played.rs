//! An engine without a scheduler of its own: the simulator's schedule, with times from elsewhere.

use anyhow::Result;
use sim_core::batch::BatchComposition;
use sim_core::request::RequestId;
use sim_core::speculative::{Acceptance, RecordedRequest};

use super::{EngineFacts, Pass, PassInstants, Run, Script};
use crate::verify::recorded_trace::RecordedTrace;
use crate::verify::replay::{Admissions, replay};

/// What one pass takes, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PassDurations {
    /// The decision.
    pub(crate) schedule: u64,
    /// From the decision until the sampled tokens are there.
    pub(crate) device: u64,
    /// Until the next pass can begin.
    pub(crate) update: u64,
}

/// Runs `script` on the simulator's scheduler and asks `durations_of` about every pass that was issued, empty ones
/// included.
///
/// # Errors
/// If the script's requests are refused, or the first error of `durations_of`.
pub(crate) fn play(
    facts: &EngineFacts,
    script: &Script,
    mut durations_of: impl FnMut(&BatchComposition) -> Result<PassDurations>,
) -> Result<Run> {
    let output_token_ids: Vec<Vec<u32>> = (0..)
        .zip(&script.requests)
        .map(|(index, request)| (0..request.max_tokens).map(|j| (index * 7919 + j) % facts.model.vocab_size).collect())
        .collect();
    let run = Run { output_token_ids, ..Run::default() };
    let config = facts.config.clone();
    let (mut requests, _) = RecordedTrace::of_run(facts, script, &run).workload.requests(config.max_model_len)?;
    if let Some(num_drafts) = script.forced_drafts {
        let none = RecordedRequest { accepted: vec![0], proposed: vec![num_drafts] };
        let all = vec![none; script.requests.len()];
        requests.set_acceptance(Acceptance::Recorded { requests: all, asks_scheduler: true });
    }
    let admissions = Admissions {
        queries_per_iter: script.queries_per_iter.clone(),
        aborts: script.aborts.iter().map(|&(iteration, request)| (iteration, RequestId(request))).collect(),
    };
    let spans = config.kv_cache.spans();
    let mut passes = vec![];
    let mut now = 0;
    let mut failure = None;
    replay(&config, &requests, &admissions, |iteration| {
        let mut pass = Pass { iteration, instants: PassInstants::default() };
        let durations =
            if pass.iteration.s.is_some() { durations_of(&pass.batch(&spans)) } else { Ok(PassDurations::default()) };
        let durations = match durations {
            Ok(durations) => durations,
            Err(error) => {
                failure = Some(error);
                return false;
            }
        };
        let scheduled = now + durations.schedule;
        let executed = scheduled + durations.device;
        let end = executed + durations.update;
        pass.instants = PassInstants { begin: now, called: now, scheduled, executed, updated: end, end };
        now = end;
        passes.push(pass);
        true
    });
    failure.map_or(Ok(Run { passes, ..run }), Err)
}
