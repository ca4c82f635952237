//! Front-end times: between the client and the engine core, from runs whose two sides were recorded.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use sim_core::profile::schema::{Basis, Cost, FrontEnd, OutputLatency, RequestLatency};

use super::client_run::{TimedRequest, seconds};
use super::event_loop::WorkObservation;
use super::line_fit::{Line, fit_line, median};
use super::recording::{ServerPass, ServerRecording};
use super::session::ServerRun;

/// What was observed, in microseconds.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub(crate) struct FrontEndObservations {
    /// `(prompt tokens, from sending until it stood in the waiting queue)`, of requests that found the engine idle: a
    /// busy one takes requests in between passes only.
    pub(crate) request: Vec<(f64, f64)>,
    /// `(tokens of the pass, from the end of its update until the client held the token)`, per chunk.
    pub(crate) output: Vec<(f64, f64)>,
    /// Those of `output` that are first tokens.
    pub(crate) first_output: Vec<(f64, f64)>,
    /// What the event loop had to do in each run, and how long it was busy.
    pub(crate) work: Vec<WorkObservation>,
}

/// Times of passes that only decoded, by their number of requests, in microseconds; medians.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub(crate) struct DecodePassTimes {
    /// Requests in the pass.
    pub(crate) num_decodes: u32,
    /// Passes seen.
    pub(crate) num_passes: usize,
    /// `schedule()`.
    pub(crate) schedule_us: f64,
    /// From its end until `update_from_output()` was called.
    pub(crate) execute_us: f64,
    /// `update_from_output()`.
    pub(crate) update_us: f64,
    /// From its end until the next pass was scheduled.
    pub(crate) between_us: f64,
    /// From schedule to schedule.
    pub(crate) period_us: f64,
}

fn microseconds(from_ns: u64, to_ns: u64) -> f64 {
    // Two clocks' reads may be a few nanoseconds the wrong way round.
    1e6 * seconds(to_ns.saturating_sub(from_ns))
}

impl FrontEndObservations {
    /// Adds what `run` of `requests` shows.
    pub(crate) fn add(&mut self, requests: &[TimedRequest], run: &ServerRun) {
        for ((request, seen), joined_ns) in requests.iter().zip(&run.client.requests).zip(&run.engine.joined_ns) {
            if let Some(joined_ns) = *joined_ns
                && run.engine.is_idle(seen.send_ns, joined_ns)
                && let Ok(num_tokens) = u32::try_from(request.prompt_token_ids.len())
            {
                self.request.push((f64::from(num_tokens), microseconds(seen.send_ns, joined_ns)));
            }
        }
        self.work.extend(run.event_loop.map(|time| WorkObservation::new(requests, run, time)));
        let mut next = vec![(0, 0); run.client.requests.len()];
        for pass in &run.engine.passes {
            let num_outputs: u32 = pass.tokens.iter().map(|token| token.1).sum();
            for &(request, num_tokens) in pass.tokens.iter().filter(|token| token.1 > 0) {
                let index = request as usize;
                let (Some(seen), Some((chunk, taken))) = (run.client.requests.get(index), next.get_mut(index)) else {
                    continue;
                };
                for _ in 0..num_tokens {
                    let Some(&(received_ns, tokens_of_chunk)) = seen.chunks.get(*chunk) else { break };
                    let observation = (f64::from(num_outputs), microseconds(pass.update_end_ns, received_ns));
                    self.output.push(observation);
                    if (*chunk, *taken) == (0, 0) {
                        self.first_output.push(observation);
                    }
                    *taken += 1;
                    if *taken >= tokens_of_chunk {
                        (*chunk, *taken) = (*chunk + 1, 0);
                    }
                }
            }
        }
    }

    /// The profile's terms, by robust fits.
    ///
    /// # Errors
    /// If nothing was observed.
    pub(crate) fn front_end(&self) -> Result<FrontEnd> {
        let request = fit_line(&self.request).context("no request found the engine idle")?;
        let output = fit_line(&self.output).context("no token was seen on both sides")?;
        let lengths = self.request.iter().map(|observation| observation.0);
        let (shortest, longest) = lengths.fold((f64::MAX, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
        let request_reason = format!(
            "vllm serve over HTTP on this machine: client's send until the scheduler's add_request, {} requests of \
             {shortest} to {longest} tokens on an idle engine, Theil-Sen line, median distance {:.0} us.",
            self.request.len(),
            request.spread
        );
        let output_reason = format!(
            "vllm serve over HTTP on this machine: end of update_from_output until the client holds the token, {} \
             tokens, Theil-Sen line over the tokens of a pass, median distance {:.0} us.",
            self.output.len(),
            output.spread
        );
        let (per_request, per_prompt_token) = costs(request, &request_reason);
        let (per_pass, per_token) = costs(output, &output_reason);
        Ok(FrontEnd {
            request_latency: RequestLatency { per_request, per_prompt_token },
            output_latency: OutputLatency { per_pass, per_token },
            work: None,
        })
    }
}

fn costs(line: Line, reason: &str) -> (Cost, Cost) {
    let cost = |time_us: f64| Cost { time_us, basis: Basis::Measured, reason: reason.to_owned() };
    (cost(line.base), cost(line.slope))
}

impl ServerRecording {
    /// Whether no pass was under way at any instant between the two.
    fn is_idle(&self, from_ns: u64, to_ns: u64) -> bool {
        !self.passes.iter().any(|pass| pass.schedule_begin_ns < to_ns && pass.update_end_ns > from_ns)
    }
}

impl ServerRecording {
    /// Passes that another followed at once, because a request had more to compute, with the one that followed.
    pub(crate) fn followed_passes(&self) -> impl Iterator<Item = (&ServerPass, &ServerPass)> {
        let is_followed = |pass: &ServerPass, next: &ServerPass| {
            next.parts.iter().any(|part| pass.parts.iter().any(|other| other.0 == part.0))
        };
        self.passes.windows(2).map(|pair| (&pair[0], &pair[1])).filter(move |(pass, next)| is_followed(pass, next))
    }
}

impl ServerPass {
    /// From its schedule to that of the pass that followed.
    pub(crate) fn period_us(&self, next: &Self) -> f64 {
        microseconds(self.schedule_begin_ns, next.schedule_begin_ns)
    }
}

/// Medians over the decode-only passes of `runs` that another pass followed at once.
pub(crate) fn decode_pass_times<'a>(runs: impl Iterator<Item = &'a ServerRecording>) -> Vec<DecodePassTimes> {
    let mut seen = BTreeMap::<u32, Vec<[f64; 5]>>::new();
    for (pass, next) in runs.flat_map(ServerRecording::followed_passes) {
        // Of the batch only its requests are asked.
        let batch = pass.batch(&[]);
        if batch.prefill_chunks.is_empty() {
            seen.entry(batch.num_decodes).or_default().push([
                microseconds(pass.schedule_begin_ns, pass.schedule_end_ns),
                microseconds(pass.schedule_end_ns, pass.update_begin_ns),
                microseconds(pass.update_begin_ns, pass.update_end_ns),
                microseconds(pass.update_end_ns, next.schedule_begin_ns),
                pass.period_us(next),
            ]);
        }
    }
    let times = seen.into_iter().map(|(num_decodes, passes)| {
        let of = |part: usize| median(passes.iter().map(|pass| pass[part]).collect()).unwrap_or(0.0);
        DecodePassTimes {
            num_decodes,
            num_passes: passes.len(),
            schedule_us: of(0),
            execute_us: of(1),
            update_us: of(2),
            between_us: of(3),
            period_us: of(4),
        }
    });
    times.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::client_run::ClientRequest;

    const US: u64 = 1000;

    /// Request `i` alone on the engine: sent at 1 s × (i + 1), joins after 900 us + 2 us a token, and every pass of
    /// 5 ms puts out a token that the client holds after 300 us.
    fn alone(lengths: &[u32]) -> (Vec<TimedRequest>, ServerRun) {
        let (mut requests, mut run) = (vec![], ServerRun::default());
        for (number, &length) in (0..).zip(lengths) {
            let send_ns = (u64::from(number) + 1) * 1_000_000 * US;
            let joined_ns = send_ns + (900 + 2 * u64::from(length)) * US;
            requests.push(TimedRequest { at_ns: send_ns, prompt_token_ids: vec![5; length as usize], max_tokens: 3 });
            run.engine.joined_ns.push(Some(joined_ns));
            let mut seen = ClientRequest { send_ns, ..ClientRequest::default() };
            for token in 0..3 {
                let begin = joined_ns + token * 5000 * US;
                run.engine.passes.push(ServerPass {
                    parts: vec![(number, if token == 0 { length } else { 1 }, length)],
                    schedule_begin_ns: begin,
                    schedule_end_ns: begin + 100 * US,
                    update_begin_ns: begin + 4800 * US,
                    update_end_ns: begin + 4900 * US,
                    tokens: vec![(number, 1)],
                });
                seen.chunks.push((begin + 5200 * US, 1));
            }
            run.client.requests.push(seen);
        }
        (requests, run)
    }

    #[test]
    fn terms_are_what_the_observations_were_made_from() {
        let (requests, run) = alone(&[16, 64, 256, 1024]);
        let mut observations = FrontEndObservations::default();
        observations.add(&requests, &run);
        assert_eq!((observations.output.len(), observations.first_output.len()), (12, 4));
        let front_end = observations.front_end().expect("observations");
        let near = |cost: &Cost, expected: f64| {
            assert!((cost.time_us - expected).abs() < 1e-6, "{} instead of {expected}", cost.time_us);
            assert_eq!(cost.basis, Basis::Measured);
        };
        near(&front_end.request_latency.per_request, 900.0);
        near(&front_end.request_latency.per_prompt_token, 2.0);
        near(&front_end.output_latency.per_pass, 300.0);
        near(&front_end.output_latency.per_token, 0.0);
        assert!(front_end.request_latency.per_request.reason.contains("16 to 1024 tokens"), "{front_end:?}");
    }

    #[test]
    fn requests_that_found_a_pass_under_way_are_left_out() {
        let (requests, mut run) = alone(&[16, 64]);
        run.engine.passes.push(ServerPass {
            schedule_begin_ns: run.client.requests[1].send_ns - 5,
            update_end_ns: run.client.requests[1].send_ns + 5,
            ..ServerPass::default()
        });
        let mut observations = FrontEndObservations::default();
        observations.add(&requests, &run);
        assert_eq!(observations.request.len(), 1, "the second");
        assert!(FrontEndObservations::default().front_end().is_err(), "nothing was observed");
    }

    #[test]
    fn a_chunk_of_several_tokens_belongs_to_several_passes() {
        let (requests, mut run) = alone(&[16]);
        let chunks = &mut run.client.requests[0].chunks;
        *chunks = vec![chunks[0], (chunks[2].0, 2)];
        let mut observations = FrontEndObservations::default();
        observations.add(&requests, &run);
        let latencies: Vec<f64> = observations.output.iter().map(|output| output.1.round()).collect();
        assert_eq!(latencies, [300.0, 5300.0, 300.0]);
    }

    #[test]
    fn decode_passes_are_timed_where_the_next_follows_at_once() {
        let (_, run) = alone(&[16, 64]);
        let times = decode_pass_times([&run.engine].into_iter());
        // Of each request the second pass: the first is a prefill, the third is the last.
        let [one] = &times[..] else { panic!("{times:?}") };
        assert_eq!((one.num_decodes, one.num_passes), (1, 2));
        let parts = [one.schedule_us, one.execute_us, one.update_us, one.between_us, one.period_us];
        for (part, expected) in parts.into_iter().zip([100.0, 4700.0, 100.0, 100.0, 5000.0]) {
            assert!((part - expected).abs() < 1e-6, "{parts:?}");
        }
    }
}
