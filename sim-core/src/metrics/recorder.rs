//! The finished facts of a run, as the simulator reports them: written into records, which are packed as soon as nothing
//! changes them any more, or into the client's figures, and forgotten.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::client_figures::{ClientFigures, FiguresRecorder};
use crate::math;
use crate::request::{NewTokens, RequestId, SteadyTokens, Verification};
use crate::request_set::RequestSet;
use crate::time::{SimDuration, SimTime};

pub use super::records::{
    EmissionRun, Gaps, PassRecord, PassRecords, Recording, RequestRecord, RequestRecords, SpecDecodingTotals,
    WeightedGap,
};

/// How a pass's tokens reach their clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    /// When the clients hold them.
    pub(crate) time: SimTime,
    /// Of the time until then, what they waited for a busy API server.
    pub(crate) wait: SimDuration,
}

/// What is kept of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Keep {
    /// A record of each pass and each request.
    #[default]
    Everything,
    /// The same, and which passes gave each request its tokens: needed for per-request inter-token latencies.
    Emissions,
    /// What the client's report needs of each request ([`ClientFigures`]); the rest is forgotten when a request is
    /// answered. For tens of millions of requests.
    Figures,
}

/// Writes a [`Recording`] while a run goes on.
#[derive(Debug)]
pub(crate) struct Recorder<'a> {
    requests: &'a RequestSet,
    recording: Recording,
    /// Per request the index of its unfinished run in [`Recording::emissions`]; empty if those are not asked for.
    open_runs: Vec<u32>,
    record_emissions: bool,
    /// Where only figures are kept.
    figures: Option<Box<FiguresRecorder>>,
    num_finished: usize,
    /// The pass whose results were taken in last, and when clients held its tokens: most tokens before these are of it.
    last_delivery: (u32, SimTime),
    /// Whose first token came, for who wants to hear of it.
    first_tokens: Option<Vec<RequestId>>,
}

const NO_RUN: u32 = u32::MAX;

impl<'a> Recorder<'a> {
    pub(crate) fn new(requests: &'a RequestSet, num_speculative_tokens: u32, keep: Keep) -> Self {
        let record_emissions = keep == Keep::Emissions;
        let (requests_rows, passes) = match keep {
            // Of those kept for figures most are forgotten soon.
            Keep::Figures => (RequestRecords::in_blocks(requests.len()), PassRecords::in_blocks(0)),
            _ => (RequestRecords::with_len(requests.len()), PassRecords::default()),
        };
        Self {
            requests,
            recording: Recording {
                requests: requests_rows,
                passes,
                spec_decoding: SpecDecodingTotals {
                    num_accepted_tokens_per_pos: vec![0; math::u32_to_usize(num_speculative_tokens)],
                    ..SpecDecodingTotals::default()
                },
                ..Recording::default()
            },
            open_runs: if record_emissions { vec![NO_RUN; requests.len()] } else { Vec::new() },
            record_emissions,
            figures: (keep == Keep::Figures).then(|| Box::new(FiguresRecorder::new(requests.len()))),
            num_finished: 0,
            last_delivery: (u32::MAX, SimTime::ZERO),
            first_tokens: None,
        }
    }

    /// From now on it is told whose first token came: [`Self::take_first_tokens`].
    pub(crate) fn tell_first_tokens(&mut self) {
        self.first_tokens = Some(Vec::new());
    }

    /// Whose first token came since this was asked last.
    pub(crate) fn take_first_tokens(&mut self, taken: &mut Vec<RequestId>) {
        if let Some(first_tokens) = &mut self.first_tokens {
            taken.append(first_tokens);
        }
    }

    /// The records of requests are those from now on; what they were is there.
    pub(crate) const fn swap_requests(&mut self, requests: &mut RequestRecords) {
        core::mem::swap(&mut self.recording.requests, requests);
    }

    /// The pass issued last.
    pub(crate) fn last_pass(&self) -> Option<PassRecord> {
        self.recording.passes.last()
    }

    /// The record of `id`, which no request that ended has any more.
    ///
    /// # Panics
    /// If there is no such request.
    #[inline]
    fn request(&mut self, id: RequestId) -> &mut RequestRecord {
        self.recording.requests.row_mut(id.index()).expect("a request that is under way")
    }

    pub(crate) fn sent(
        &mut self,
        id: RequestId,
        scheduled_send_time: SimTime,
        send_time: SimTime,
        front_end_wait: SimDuration,
    ) {
        let num_prompt_tokens = self.requests.get(id).num_prompt_tokens;
        let request = self.request(id);
        request.scheduled_send_time = scheduled_send_time;
        request.send_time = send_time;
        request.front_end_wait = front_end_wait;
        request.num_prompt_tokens = num_prompt_tokens;
        if let Some(figures) = &mut self.figures {
            figures.sent(send_time);
        }
    }

    pub(crate) fn queued(&mut self, id: RequestId, time: SimTime) {
        self.request(id).queued_time = time;
    }

    /// A pass with tokens was issued; returns its index.
    pub(crate) fn issued(&mut self, record: PassRecord) -> u32 {
        self.recording.passes.push(record);
        math::usize_to_u32(self.recording.passes.len() - 1)
    }

    /// Pass `pass` runs from `start_time` to `end_time`, which was not known when it was issued.
    pub(crate) fn run(&mut self, pass: u32, (start_time, end_time): (SimTime, SimTime)) {
        if let Some(record) = self.recording.passes.row_mut(pass as usize) {
            (record.start_time, record.end_time) = (start_time, end_time);
            (record.output_time, record.delivery_time) = (end_time, end_time);
        }
    }

    /// Pass `pass` is the first to compute tokens of request `id`.
    pub(crate) fn admitted(&mut self, id: RequestId, pass: u32, num_cached_tokens: u32) {
        let request = self.request(id);
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
        let num_outputs = math::usize_to_u32(tokens.len()) + num_steady_tokens;
        if let Some(record) = self.recording.passes.row_mut(pass as usize) {
            record.output_time = output_time;
            record.delivery_time = delivery_time;
            record.delivery_wait = wait;
            record.num_outputs = num_outputs;
        }
        // Requests that had their last token from the same pass have the same gap now, and nearly all do.
        let (mut previous_pass, mut count) =
            if num_steady_tokens > 0 { (pass - 1, num_steady_tokens) } else { (pass, 0) };
        for &NewTokens { id, num_tokens } in tokens {
            let request = self.request(id);
            let is_first = request.num_output_tokens == 0;
            request.num_output_tokens += num_tokens;
            let last_token_pass = core::mem::replace(&mut request.last_token_pass, pass);
            if is_first {
                request.first_token_pass = pass;
                if let Some(first_tokens) = &mut self.first_tokens {
                    first_tokens.push(id);
                }
            } else if last_token_pass == previous_pass {
                count += 1;
            } else {
                self.push_gap(previous_pass, delivery_time, count);
                (previous_pass, count) = (last_token_pass, 1);
            }
        }
        self.push_gap(previous_pass, delivery_time, count);
        self.last_delivery = (pass, delivery_time);
        if self.record_emissions {
            tokens.iter().for_each(|tokens| self.push_emission(tokens.id, pass));
        }
        self.recording.passes.settle(pass as usize);
        self.delivered(pass, delivery_time, num_outputs);
    }

    /// A pass was issued and its results were taken in before another is told of: each of its requests has a token from it
    /// as from the pass before.
    #[inline]
    pub(crate) fn steady_pass(&mut self, record: PassRecord) {
        let pass = math::usize_to_u32(self.recording.passes.len());
        let PassRecord { delivery_time, num_outputs, .. } = record;
        self.recording.passes.push_settled(record);
        self.push_gap(pass.wrapping_sub(1), delivery_time, num_outputs);
        self.last_delivery = (pass, delivery_time);
        self.delivered(pass, delivery_time, num_outputs);
    }

    #[inline]
    fn delivered(&mut self, pass: u32, delivery_time: SimTime, num_outputs: u32) {
        if let Some(figures) = &mut self.figures {
            figures.delivered(delivery_time, num_outputs);
            figures.forget_passes(pass, &mut self.recording);
        }
    }

    /// A request got a token from every pass that followed the one of its last token.
    pub(crate) fn steady(&mut self, &SteadyTokens { id, num_tokens }: &SteadyTokens) {
        let request = self.request(id);
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

    /// What [`Self::steady`] told of `id` included the results of pass `pass`, which nobody will hear of.
    pub(crate) fn untell(&mut self, id: RequestId, pass: u32) {
        let request = self.request(id);
        if request.num_output_tokens == 0 || request.last_token_pass != pass {
            return;
        }
        request.num_output_tokens -= 1;
        request.last_token_pass -= 1;
        if self.record_emissions
            && let Some(run) = self.recording.emissions.get_mut(self.open_runs[id.index()] as usize)
        {
            run.num_messages -= 1;
        }
    }

    /// Pass `pass` ended at `time` at the latest, without results.
    pub(crate) fn cut_short(&mut self, pass: u32, time: SimTime) {
        let Some(record) = self.recording.passes.row_mut(pass as usize) else { return };
        for instant in [&mut record.schedule_time, &mut record.start_time, &mut record.end_time] {
            *instant = (*instant).min(time);
        }
        (record.output_time, record.delivery_time) = (record.end_time, record.end_time);
        self.recording.passes.settle(pass as usize);
    }

    /// The engine lost all its requests: what one of them gets from it later is no more of the same run, as it may have had
    /// tokens from elsewhere.
    pub(crate) fn end_runs(&mut self) {
        self.open_runs.fill(NO_RUN);
    }

    /// Drafts were verified.
    pub(crate) fn verified(&mut self, verifications: &[Verification]) {
        for verification in verifications.iter().filter(|verification| verification.is_counted) {
            self.recording.spec_decoding.observe(verification);
        }
    }

    /// Request `id` ran to its end.
    pub(crate) fn finished(&mut self, id: RequestId, num_preemptions: u32, num_passes: u32) {
        self.num_finished += 1;
        let request = self.request(id);
        request.num_preemptions = num_preemptions;
        request.num_passes = num_passes;
        request.is_finished = true;
        if let Some(figures) = &mut self.figures {
            figures.finished(id, &mut self.recording);
        } else {
            self.recording.requests.settle(id.index());
        }
    }

    #[inline]
    fn push_gap(&mut self, previous_pass: u32, delivery_time: SimTime, count: u32) {
        if count == 0 {
            return;
        }
        let previous = match self.last_delivery {
            (pass, time) if pass == previous_pass => Some(time),
            _ => self.recording.passes.delivery_time(previous_pass),
        };
        if let Some(previous) = previous {
            self.recording.gaps.push_settled(WeightedGap { gap: delivery_time - previous, count });
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

    /// What was recorded of the first `num_requests`; if figures are kept, nothing but them.
    pub(crate) fn finish(mut self, num_requests: usize) -> (Recording, Option<ClientFigures>) {
        self.recording.requests.truncate(num_requests);
        if self.num_finished < num_requests {
            // Those that were never sent, too, say what they would have asked.
            for (index, request) in self.requests.as_slice().iter().enumerate().take(num_requests) {
                if self.recording.requests.get(index).is_some_and(|record| !record.is_finished)
                    && let Some(record) = self.recording.requests.row_mut(index)
                {
                    record.num_prompt_tokens = request.num_prompt_tokens;
                }
            }
        }
        let Some(figures) = self.figures else { return (self.recording, None) };
        (Recording::default(), Some(figures.finish(self.recording)))
    }
}
