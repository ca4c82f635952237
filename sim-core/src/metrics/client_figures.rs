//! What the client's report needs of a run whose records are forgotten as soon as a request is answered.
//!
//! All figures are those of the whole recording, to the bit: of each request its latencies stay, in whole nanoseconds and
//! packed, and of all of them together the gaps between tokens with their counts. Passes go once no request that is under
//! way had its first token from them or later.

use alloc::boxed::Box;

use super::bench_outputs::{BenchOutputs, RequestOutput};
use super::busiest_seconds::{BusiestSecond, Peaks, most_requests};
use super::distribution::{Distribution, Percentile, Statistics};
use super::packed::{Packed, Row};
use super::records::{Gaps, Recording, RequestRecord, SpecDecodingTotals};
use crate::math;
use crate::request::RequestId;
use crate::time::{SimDuration, SimTime};

/// What stays of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct RequestFigures {
    send_time: SimTime,
    client_queue_time: SimDuration,
    /// 0 if it did not finish, as the end-to-end latency.
    ttft: SimDuration,
    e2el: SimDuration,
    num_prompt_tokens: u32,
    num_output_tokens: u32,
    is_finished: bool,
}

impl Row<7> for RequestFigures {
    #[inline]
    fn to_columns(&self) -> [u64; 7] {
        [
            self.send_time.as_nanos(),
            self.client_queue_time.as_nanos(),
            self.ttft.as_nanos(),
            self.e2el.as_nanos(),
            u64::from(self.num_prompt_tokens),
            u64::from(self.num_output_tokens),
            u64::from(self.is_finished),
        ]
    }

    #[inline]
    fn from_columns([send, queue, ttft, e2el, prompt, output, finished]: [u64; 7]) -> Self {
        Self {
            send_time: SimTime::from_nanos(send),
            client_queue_time: SimDuration::from_nanos(queue),
            ttft: SimDuration::from_nanos(ttft),
            e2el: SimDuration::from_nanos(e2el),
            num_prompt_tokens: math::low_u32(prompt),
            num_output_tokens: math::low_u32(output),
            is_finished: finished != 0,
        }
    }
}

impl RequestFigures {
    fn of(record: &RequestRecord, recording: &Recording) -> Self {
        let (ttft, e2el) = recording.client_latencies(record).unwrap_or_default();
        Self {
            send_time: record.send_time,
            client_queue_time: record.send_time.saturating_since(record.scheduled_send_time),
            ttft,
            e2el,
            num_prompt_tokens: record.num_prompt_tokens,
            num_output_tokens: record.num_output_tokens,
            is_finished: record.is_finished,
        }
    }

    fn output<'a>(&self) -> RequestOutput<'a> {
        RequestOutput::simulated(
            self.is_finished.then_some((self.ttft, self.e2el)),
            (self.num_prompt_tokens, self.num_output_tokens),
            self.send_time,
            self.client_queue_time,
        )
    }
}

/// A run as its client saw it, without a record of it.
#[derive(Debug, Clone, Default)]
pub struct ClientFigures {
    requests: Packed<RequestFigures, 7>,
    gaps: Gaps,
    spec_decoding: SpecDecodingTotals,
    max_output_tokens_per_s: u64,
}

impl ClientFigures {
    /// Requests that did not finish: under the engine's limits they never end.
    #[must_use]
    pub fn num_unfinished(&self) -> usize {
        self.requests.iter().filter(|request| !request.is_finished).count()
    }

    /// When each request that finished was sent and answered.
    fn spans(&self) -> impl Iterator<Item = (SimTime, SimTime)> + '_ {
        let finished = self.requests.iter().filter(|request| request.is_finished);
        finished.map(|request| (request.send_time, request.send_time + request.e2el))
    }
}

impl BenchOutputs for ClientFigures {
    fn num_requests(&self) -> usize {
        self.requests.len()
    }

    fn output(&self, request: usize) -> RequestOutput<'_> {
        self.requests.get(request).unwrap_or_default().output()
    }

    fn for_each_output(&self, mut visit: impl FnMut(RequestOutput<'_>)) {
        self.requests.iter().for_each(|request| visit(request.output()));
    }

    fn itls(&self, _: usize) -> Box<dyn Iterator<Item = f64> + '_> {
        Box::new(core::iter::empty())
    }

    fn has_itls(&self) -> bool {
        self.requests.iter().all(|request| !request.is_finished)
    }

    fn pooled_itls(&self) -> Distribution {
        Distribution::from_gaps(&self.gaps)
    }

    fn itl_statistics(&self, percentiles: &[Percentile]) -> Statistics {
        Statistics::of_gaps(&self.gaps, percentiles)
    }

    fn spec_decoding(&self) -> Option<&SpecDecodingTotals> {
        Some(&self.spec_decoding)
    }

    fn peaks(&self) -> Peaks {
        let Some(origin) = self.spans().map(|(send, _)| send).min() else { return Peaks::default() };
        Peaks {
            max_output_tokens_per_s: self.max_output_tokens_per_s,
            max_concurrent_requests: most_requests(origin, self.spans()),
        }
    }

    fn duration(&self) -> f64 {
        self.spans().map(|(_, last_delivery)| last_delivery).max().unwrap_or_default().as_secs_f64()
    }
}

/// Gathers [`ClientFigures`] while a run goes on, and says what of its records is needed no longer.
#[derive(Debug, Default)]
pub(super) struct FiguresRecorder {
    requests: Packed<RequestFigures, 7>,
    tokens: BusiestSecond,
    /// When the first request was sent.
    first_send: Option<SimTime>,
    /// Requests before this one are forgotten.
    first_request: usize,
    /// And passes before this one.
    first_pass: usize,
    /// How many passes there are when it is time to look again for some that can go.
    next_look: usize,
}

/// Passes that are not worth looking for.
const FEW_PASSES: usize = 2048;

impl FiguresRecorder {
    pub(super) fn new(num_requests: usize) -> Self {
        Self { requests: Packed::with_len(num_requests), ..Self::default() }
    }

    /// A request was sent; times do not decrease.
    pub(super) fn sent(&mut self, time: SimTime) {
        self.first_send.get_or_insert(time);
    }

    /// So many requests were given tokens.
    pub(super) fn delivered(&mut self, time: SimTime, num_outputs: u32) {
        self.tokens.add(time, num_outputs);
    }

    /// Request `id` of `recording` ran to its end.
    pub(super) fn finished(&mut self, id: RequestId, recording: &mut Recording) {
        let Some(record) = recording.requests.get(id.index()) else { return };
        self.keep(id.index(), &record, recording);
        self.requests.settle(id.index());
        recording.requests.settle_and_forget(id.index());
        // Seconds are counted from the first request that is answered, and none was sent before this one.
        if self.first_send == Some(record.send_time) {
            self.tokens.begin(record.send_time);
        }
    }

    fn keep(&mut self, index: usize, record: &RequestRecord, recording: &Recording) {
        if let Some(kept) = self.requests.row_mut(index) {
            *kept = RequestFigures::of(record, recording);
        }
    }

    /// Forgets the passes of `recording` before `pass` of which nobody asks any more: now and then, so that it costs
    /// nothing.
    pub(super) fn forget_passes(&mut self, pass: u32, recording: &mut Recording) {
        let num_passes = recording.passes.len();
        if num_passes < self.next_look {
            return;
        }
        self.first_request = recording.requests.first_kept(self.first_request);
        let with_tokens = |record: &RequestRecord| !record.is_finished && record.num_output_tokens > 0;
        let records = recording.requests.open_rows(self.first_request).flatten().filter(|record| with_tokens(record));
        let oldest = records.map(|record| record.first_token_pass).fold(pass, u32::min);
        self.first_pass = recording.passes.forget_before(self.first_pass, math::u32_to_usize(oldest));
        self.next_look = num_passes + (num_passes - self.first_pass).max(FEW_PASSES);
    }

    /// What was gathered, with what `recording` still holds: of as many requests as that has.
    pub(super) fn finish(mut self, recording: Recording) -> ClientFigures {
        self.requests.truncate(recording.requests.len());
        for index in 0..recording.requests.len() {
            if let Some(record) = recording.requests.get(index).filter(|record| !record.is_finished) {
                self.keep(index, &record, &recording);
            }
        }
        let Recording { gaps, spec_decoding, .. } = recording;
        let mut figures = ClientFigures { requests: self.requests, gaps, spec_decoding, max_output_tokens_per_s: 0 };
        if let Some(origin) = figures.spans().map(|(send, _)| send).min() {
            self.tokens.begin(origin);
        }
        figures.max_output_tokens_per_s = self.tokens.most();
        figures
    }
}
