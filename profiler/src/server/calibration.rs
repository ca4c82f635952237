//! A calibration run: light load, several prompt lengths, several tokens a pass.

use anyhow::Result;
use sim_core::profile::schema::FrontEnd;
use sim_core::rng::Pcg64;

use super::client_run::TimedRequest;
use super::event_loop::work;
use super::front_end::{DecodePassTimes, FrontEndObservations, decode_pass_times};
use super::session::ServerSession;

/// Requests of each prompt length, one at a time.
const REPEATS: u32 = 8;
/// Tokens each of them generates.
const OUTPUT_TOKENS: u32 = 8;
/// Requests sent at once, and how often.
const BURSTS: [u32; 5] = [2, 4, 8, 16, 32];
const BURST_REPEATS: u32 = 2;
/// Tokens each request of a burst generates, and those of its prompt.
const BURST_OUTPUT_TOKENS: u32 = 24;
const BURST_PROMPT_TOKENS: u32 = 16;

/// Requests of one token each, sent at once.
const SHORT_BURST: u32 = 64;

/// What a calibration gives.
#[derive(Debug, Clone)]
pub(crate) struct Calibration {
    /// The profile's terms.
    pub(crate) front_end: FrontEnd,
    /// What they were fitted to.
    pub(crate) observations: FrontEndObservations,
    /// Times of decode-only passes in the server.
    pub(crate) decode_passes: Vec<DecodePassTimes>,
}

/// Measures the front-end terms of a server that nobody else uses; `progress` is told how many of how many runs are
/// done.
///
/// # Errors
/// If a request fails, or the server dies.
pub(crate) fn measure_front_end(
    session: &mut ServerSession,
    seed: u64,
    mut progress: impl FnMut(usize, usize),
) -> Result<Calibration> {
    let plan = plan(session, seed);
    // Whatever is slow the first time: imports, connections, kernels.
    for requests in plan.iter().take(2) {
        session.run(requests)?;
    }
    let (mut observations, mut recordings) = (FrontEndObservations::default(), vec![]);
    for (number, requests) in plan.iter().enumerate() {
        progress(number, plan.len());
        let run = session.run(requests)?;
        observations.add(requests, &run);
        recordings.push(run.engine);
    }
    progress(plan.len(), plan.len());
    let decode_passes = decode_pass_times(recordings.iter());
    let mut front_end = observations.front_end()?;
    front_end.work = (!observations.work.is_empty()).then(|| work(&observations.work)).transpose()?;
    Ok(Calibration { front_end, observations, decode_passes })
}

/// The runs: each prompt length in turn, so that drift falls on all of them, with bursts in between.
fn plan(session: &ServerSession, seed: u64) -> Vec<Vec<TimedRequest>> {
    let config = session.config();
    let mut random = Pcg64::stream(seed, "front end");
    let mut request = |num_tokens: u32, max_tokens: u32| TimedRequest {
        at_ns: 0,
        prompt_token_ids: session.prompt(&mut random, num_tokens),
        max_tokens,
    };
    let mut runs = vec![];
    for repeat in 0..REPEATS {
        for num_tokens in prompt_lengths(config.max_model_len) {
            runs.push(vec![request(num_tokens, OUTPUT_TOKENS)]);
        }
        let fits = BURST_PROMPT_TOKENS + BURST_OUTPUT_TOKENS <= config.max_model_len;
        if repeat % (REPEATS / BURST_REPEATS) == 0 && fits {
            for size in BURSTS.into_iter().filter(|&size| size <= config.max_num_seqs) {
                runs.push((0..size).map(|_| request(BURST_PROMPT_TOKENS, BURST_OUTPUT_TOKENS)).collect());
            }
            // Many requests and few tokens: what a request costs the event loop, apart from its tokens.
            runs.push((0..SHORT_BURST).map(|_| request(BURST_PROMPT_TOKENS, 1)).collect());
        }
    }
    runs
}

/// Four times as long each, up to the longest prompt.
fn prompt_lengths(max_model_len: u32) -> Vec<u32> {
    let longest = max_model_len.saturating_sub(OUTPUT_TOKENS).max(1);
    let mut lengths: Vec<u32> = [16, 64, 256, 1024, 4096].into_iter().filter(|&length| length <= longest).collect();
    if lengths.len() < 2 {
        lengths = vec![1, longest];
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_fit_the_model() {
        assert_eq!(prompt_lengths(2048), [16, 64, 256, 1024]);
        assert_eq!(prompt_lengths(1 << 17), [16, 64, 256, 1024, 4096]);
        assert_eq!(prompt_lengths(20), [1, 12]);
    }
}
