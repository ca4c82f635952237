//! The finished facts of a run, as the simulator reports them: one row per forward pass, one per request.
//!
//! A request's instants are stored as numbers of passes, not as times: every token of a pass has the same time, so
//! 100 million inter-token latencies cost a few bytes per pass instead of eight bytes per token.

use alloc::vec;
use alloc::vec::Vec;

use crate::math;
use crate::request::{NewTokens, RequestId, SteadyTokens, Verification};
use crate::request_set::RequestSet;
use crate::time::{SimDuration, SimTime};

/// One forward pass that computed at least one token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PassRecord {
    /// When the scheduler began to decide the pass.
    pub schedule_time: SimTime,
    /// When the device began to run it.
    pub start_time: SimTime,
    /// When the device ended.
    pub end_time: SimTime,
    /// When the engine core put out the pass's tokens: the stamp from which vLLM's own engine metrics are taken.
    pub output_time: SimTime,
    /// When the client holds the pass's tokens.
    pub delivery_time: SimTime,
    /// Of the time until then, what the tokens waited for a busy API server.
    pub delivery_wait: SimDuration,
    /// Tokens computed.
    pub num_tokens: u32,
    /// Of these, tokens of prefill chunks ([`crate::batch::BatchComposition::num_prefill_tokens`]).
    pub num_prefill_tokens: u32,
    /// Of these, drafts that are verified ([`crate::batch::BatchComposition::num_draft_tokens`]).
    pub num_draft_tokens: u32,
    /// Requests in the pass.
    pub num_reqs: u32,
    /// Requests that got a token from it.
    pub num_outputs: u32,
    /// Requests in the running list after scheduling.
    pub num_running_reqs: u32,
    /// Requests waiting after scheduling.
    pub num_waiting_reqs: u32,
    /// Free KV blocks after scheduling; cached but unused blocks are free.
    pub num_free_blocks: u32,
}

/// One request's life. Instants are indices into [`Recording::passes`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestRecord {
    /// When the traffic wanted to send it.
    pub scheduled_send_time: SimTime,
    /// When the client sent it: later than `scheduled_send_time` only by waiting for `max_concurrency`.
    pub send_time: SimTime,
    /// Of the time until it reached the engine, what it waited for a busy API server.
    pub front_end_wait: SimDuration,
    /// When it entered the engine's waiting queue.
    pub queued_time: SimTime,
    /// First pass that computed tokens of it.
    pub first_scheduled_pass: u32,
    /// Pass that produced its first token.
    pub first_token_pass: u32,
    /// Pass that produced its last token.
    pub last_token_pass: u32,
    /// Prompt tokens.
    pub num_prompt_tokens: u32,
    /// Tokens generated.
    pub num_output_tokens: u32,
    /// Prompt tokens found in the prefix cache at the first admission.
    pub num_cached_tokens: u32,
    /// Times it was preempted.
    pub num_preemptions: u32,
    /// Passes that computed tokens of it.
    pub num_passes: u32,
    /// Whether it ran to its end; an aborted request did not.
    pub is_finished: bool,
}

/// Messages of one request that came from passes `first_pass`, `first_pass + stride`, … (`num_messages` of them). A
/// message carries one token, or all that a verification gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmissionRun {
    /// Index of the request in [`Recording::requests`].
    pub request: u32,
    /// Pass of the first message.
    pub first_pass: u32,
    /// Passes between messages; 1 without pipeline parallelism.
    pub stride: u32,
    /// Messages in the run.
    pub num_messages: u32,
}

/// A time between two successive messages of one request, and how many such pairs had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeightedGap {
    /// Time between the deliveries.
    pub gap: SimDuration,
    /// Pairs of messages with this gap.
    pub count: u32,
}

/// Drafts of a whole run (`vllm/v1/spec_decode/metrics.py::SpecDecodingStats`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecDecodingTotals {
    /// Verifications.
    pub num_drafts: u64,
    /// Drafts verified.
    pub num_draft_tokens: u64,
    /// Drafts accepted, those behind a stop included.
    pub num_accepted_tokens: u64,
    /// Verifications that accepted the draft at each position and all before it, for as many as a verification can have.
    pub num_accepted_tokens_per_pos: Vec<u64>,
}

impl SpecDecodingTotals {
    /// Accepted of the verified drafts, in percent (`spec_decode_acceptance_rate`); `None` if nothing was verified.
    #[must_use]
    pub fn acceptance_rate(&self) -> Option<f64> {
        let (accepted, verified) = (self.num_accepted_tokens, self.num_draft_tokens);
        (verified > 0).then(|| math::u64_to_f64(accepted) / math::u64_to_f64(verified) * 100.0)
    }

    /// Tokens of a verification in the mean; 0 if there was none.
    #[must_use]
    pub fn acceptance_length(&self) -> f64 {
        let (accepted, drafts) = (self.num_accepted_tokens, self.num_drafts);
        if drafts > 0 { 1.0 + math::u64_to_f64(accepted) / math::u64_to_f64(drafts) } else { 0.0 }
    }

    /// Share of the verifications that accepted the draft at each position.
    #[must_use]
    pub fn per_position_acceptance_rates(&self) -> Vec<f64> {
        if self.num_drafts == 0 {
            return Vec::new();
        }
        let drafts = math::u64_to_f64(self.num_drafts);
        self.num_accepted_tokens_per_pos.iter().map(|&accepted| math::u64_to_f64(accepted) / drafts).collect()
    }

    fn observe(&mut self, verification: &Verification) {
        self.num_drafts += 1;
        self.num_draft_tokens += u64::from(verification.num_draft_tokens);
        self.num_accepted_tokens += u64::from(verification.num_accepted_tokens);
        let accepted = math::u32_to_usize(verification.num_accepted_tokens);
        self.num_accepted_tokens_per_pos.iter_mut().take(accepted).for_each(|count| *count += 1);
    }
}

/// Everything recorded about a run.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// Passes in order of issue.
    pub passes: Vec<PassRecord>,
    /// One per request of the workload, in its order.
    pub requests: Vec<RequestRecord>,
    /// Inter-token latencies of all requests, pooled; in no particular order.
    pub gaps: Vec<WeightedGap>,
    /// Which passes gave each request its tokens; a request's runs are in time order, requests interleave.
    /// Empty unless asked for.
    pub emissions: Vec<EmissionRun>,
    /// Drafts verified and accepted; none without a drafter.
    pub spec_decoding: SpecDecodingTotals,
}

/// How a pass's tokens reach their clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    /// When the clients hold them.
    pub(crate) time: SimTime,
    /// Of the time until then, what they waited for a busy API server.
    pub(crate) wait: SimDuration,
}

/// Writes a [`Recording`] while a run goes on.
#[derive(Debug)]
pub(crate) struct Recorder {
    recording: Recording,
    /// Per request the index of its unfinished run in [`Recording::emissions`]; empty if those are not asked for.
    open_runs: Vec<u32>,
    record_emissions: bool,
}

const NO_RUN: u32 = u32::MAX;

impl Recorder {
    pub(crate) fn new(requests: &RequestSet, num_speculative_tokens: u32, record_emissions: bool) -> Self {
        let record = |num_prompt_tokens| RequestRecord {
            scheduled_send_time: SimTime::ZERO,
            send_time: SimTime::ZERO,
            front_end_wait: SimDuration::ZERO,
            queued_time: SimTime::ZERO,
            first_scheduled_pass: 0,
            first_token_pass: 0,
            last_token_pass: 0,
            num_prompt_tokens,
            num_output_tokens: 0,
            num_cached_tokens: 0,
            num_preemptions: 0,
            num_passes: 0,
            is_finished: false,
        };
        let records = requests.as_slice().iter().map(|request| record(request.num_prompt_tokens)).collect();
        Self {
            recording: Recording {
                requests: records,
                spec_decoding: SpecDecodingTotals {
                    num_accepted_tokens_per_pos: vec![0; math::u32_to_usize(num_speculative_tokens)],
                    ..SpecDecodingTotals::default()
                },
                ..Recording::default()
            },
            open_runs: if record_emissions { vec![NO_RUN; requests.len()] } else { Vec::new() },
            record_emissions,
        }
    }

    pub(crate) fn sent(
        &mut self,
        id: RequestId,
        scheduled_send_time: SimTime,
        send_time: SimTime,
        front_end_wait: SimDuration,
    ) {
        let request = &mut self.recording.requests[id.index()];
        request.scheduled_send_time = scheduled_send_time;
        request.send_time = send_time;
        request.front_end_wait = front_end_wait;
    }

    pub(crate) fn queued(&mut self, id: RequestId, time: SimTime) {
        self.recording.requests[id.index()].queued_time = time;
    }

    /// A pass with tokens was issued; returns its index.
    pub(crate) fn issued(&mut self, record: PassRecord) -> u32 {
        self.recording.passes.push(record);
        math::usize_to_u32(self.recording.passes.len() - 1)
    }

    /// Pass `pass` is the first to compute tokens of request `id`.
    pub(crate) fn admitted(&mut self, id: RequestId, pass: u32, num_cached_tokens: u32) {
        let request = &mut self.recording.requests[id.index()];
        request.first_scheduled_pass = pass;
        request.num_cached_tokens = num_cached_tokens;
    }

    /// The results of pass `pass` were taken in: a message for each of `tokens`, and one for each of so many steady
    /// requests: of those [`Self::steady`] hears later.
    #[inline]
    pub(crate) fn processed(
        &mut self,
        pass: u32,
        (tokens, num_steady_tokens): (&[NewTokens], u32),
        output_time: SimTime,
        delivery: Delivery,
    ) {
        let Delivery { time: delivery_time, wait } = delivery;
        let record = &mut self.recording.passes[pass as usize];
        record.output_time = output_time;
        record.delivery_time = delivery_time;
        record.delivery_wait = wait;
        record.num_outputs = math::usize_to_u32(tokens.len()) + num_steady_tokens;
        // Requests that had their last token from the same pass have the same gap now, and nearly all do.
        let (mut previous_pass, mut count) =
            if num_steady_tokens > 0 { (pass - 1, num_steady_tokens) } else { (pass, 0) };
        for &NewTokens { id, num_tokens } in tokens {
            let request = &mut self.recording.requests[id.index()];
            let is_first = request.num_output_tokens == 0;
            request.num_output_tokens += num_tokens;
            let last_token_pass = core::mem::replace(&mut request.last_token_pass, pass);
            if is_first {
                request.first_token_pass = pass;
            } else if last_token_pass == previous_pass {
                count += 1;
            } else {
                self.push_gap(previous_pass, delivery_time, count);
                (previous_pass, count) = (last_token_pass, 1);
            }
        }
        self.push_gap(previous_pass, delivery_time, count);
        if self.record_emissions {
            tokens.iter().for_each(|tokens| self.push_emission(tokens.id, pass));
        }
    }

    /// A request got a token from every pass that followed the one of its last token.
    pub(crate) fn steady(&mut self, &SteadyTokens { id, num_tokens }: &SteadyTokens) {
        let request = &mut self.recording.requests[id.index()];
        request.num_output_tokens += num_tokens;
        request.last_token_pass += num_tokens;
        if self.record_emissions
            && let Some(run) = self.recording.emissions.get_mut(self.open_runs[id.index()] as usize)
        {
            // Only a run of successive passes goes on so.
            run.stride = 1;
            run.num_messages += num_tokens;
        }
    }

    /// Drafts were verified.
    pub(crate) fn verified(&mut self, verifications: &[Verification]) {
        for verification in verifications.iter().filter(|verification| verification.is_counted) {
            self.recording.spec_decoding.observe(verification);
        }
    }

    /// Request `id` ran to its end.
    pub(crate) fn finished(&mut self, id: RequestId, num_preemptions: u32, num_passes: u32) {
        let request = &mut self.recording.requests[id.index()];
        request.num_preemptions = num_preemptions;
        request.num_passes = num_passes;
        request.is_finished = true;
    }

    fn push_gap(&mut self, previous_pass: u32, delivery_time: SimTime, count: u32) {
        if count > 0 {
            let gap = delivery_time - self.recording.passes[previous_pass as usize].delivery_time;
            self.recording.gaps.push(WeightedGap { gap, count });
        }
    }

    fn push_emission(&mut self, id: RequestId, pass: u32) {
        let open = self.open_runs[id.index()];
        if let Some(run) = self.recording.emissions.get_mut(open as usize) {
            if run.num_messages == 1 {
                run.stride = pass - run.first_pass;
            }
            if pass == run.first_pass + run.num_messages * run.stride {
                run.num_messages += 1;
                return;
            }
        }
        self.open_runs[id.index()] = math::usize_to_u32(self.recording.emissions.len());
        self.recording.emissions.push(EmissionRun { request: id.0, first_pass: pass, stride: 1, num_messages: 1 });
    }

    pub(crate) fn finish(self) -> Recording {
        self.recording
    }
}
