//! A script and the tokens that came of it, as the simulator takes them.

use anyhow::{Context as _, Result, ensure};
use sim_core::request::{RequestId, TokenRun};
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::speculative::{Acceptance, RecordedRequest};

use crate::engine::{Run, Script};
use crate::verify::replay::Admissions;
use crate::verify::run_drafts::run_drafts;

/// Where tokens lie that the engine did not generate: of an aborted request, the rest of its answer.
const NEVER_GENERATED: u64 = 1 << 40;

/// The script's requests, each with the answer that the engine gave in `run` and the drafts on the way to it.
///
/// # Errors
/// If the answers are not one per request, or one is longer than its `max_tokens`.
pub(in crate::verify) fn requests(script: &Script, run: &Run) -> Result<RequestSet> {
    let output_token_ids = &run.output_token_ids;
    let num_requests = script.requests.len();
    let num_answers = output_token_ids.len();
    ensure!(num_answers == num_requests, "the engine answered {num_answers} requests of {num_requests}");
    let token = |&id: &u32| TokenRun { start: u64::from(id), len: 1 };
    let mut salts = vec![];
    let mut requests = RequestSet::with_capacity(num_requests);
    for (index, (request, answer)) in (0..).zip(script.requests.iter().zip(output_token_ids)) {
        let prompt: Vec<_> = request.prompt_token_ids.iter().map(token).collect();
        let mut output: Vec<_> = answer.iter().map(token).collect();
        let num_generated = u32::try_from(answer.len())?;
        let max_tokens = request.max_tokens;
        ensure!(num_generated <= max_tokens, "request {index}: {num_generated} tokens; max_tokens is {max_tokens}");
        if num_generated < max_tokens {
            let start = NEVER_GENERATED * (1 + u64::from(index));
            output.push(TokenRun { start, len: max_tokens - num_generated });
        }
        let new = NewRequest {
            prompt: &prompt,
            output: &output,
            max_tokens,
            stops: false,
            priority: request.priority,
            arrival_order: u64::from(index),
            id_rank: index,
            cache_salt: salt_number(request.cache_salt.as_deref(), &mut salts)?,
        };
        requests.push(&new).with_context(|| format!("request {index}"))?;
    }
    let drafts = run_drafts(run, num_requests);
    if drafts.iter().any(|drafts| *drafts != RecordedRequest::default()) {
        requests.set_acceptance(Acceptance::Recorded { requests: drafts, asks_scheduler: true });
    }
    Ok(requests)
}

/// 0 for no salt, else one number per different salt.
fn salt_number<'a>(salt: Option<&'a str>, salts: &mut Vec<&'a str>) -> Result<u32> {
    let Some(salt) = salt else { return Ok(0) };
    let known = salts.iter().position(|&other| other == salt).unwrap_or_else(|| {
        salts.push(salt);
        salts.len() - 1
    });
    Ok(u32::try_from(known + 1)?)
}

/// When the script's requests join and leave.
pub(in crate::verify) fn admissions(script: &Script) -> Admissions {
    Admissions {
        queries_per_iter: script.queries_per_iter.clone(),
        aborts: script.aborts.iter().map(|&(iteration, request)| (iteration, RequestId(request))).collect(),
    }
}
