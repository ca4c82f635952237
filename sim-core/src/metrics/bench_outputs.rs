//! What a benchmark client knows of each request: a recording seen through the client's eyes, or a real measurement.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::math;
use crate::metrics::busiest_seconds::{Buckets, BusiestSecond, most_requests};
use crate::metrics::distribution::{Distribution, Percentile, Statistics};
use crate::metrics::emissions::EmissionIndex;
use crate::metrics::recorder::{Recording, RequestRecord, SpecDecodingTotals};
use crate::time::{SimDuration, SimTime};

pub use crate::metrics::busiest_seconds::Peaks;

/// One request as the client saw it (`vllm/benchmarks/lib/endpoint_request_func.py::RequestFuncOutput`); times in
/// seconds. If it failed, `ttft` may be that of a token that did arrive, and `output_len` and `latency` are 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RequestOutput<'a> {
    /// Whether every token arrived.
    pub success: bool,
    /// Prompt tokens.
    pub prompt_len: u32,
    /// Tokens generated.
    pub output_len: u32,
    /// Time to first token.
    pub ttft: f64,
    /// End-to-end latency.
    pub latency: f64,
    /// When it was sent, on a clock of any origin.
    pub start_time: f64,
    /// Wait for `max_concurrency` before that.
    pub client_queue_time: f64,
    /// Why it failed; empty otherwise.
    pub error: &'a str,
}

impl RequestOutput<'_> {
    /// A simulated request that asked for so many prompt tokens and had so many of output, with its TTFT and end-to-end
    /// latency if it finished.
    pub(super) fn simulated(
        latencies: Option<(SimDuration, SimDuration)>,
        (prompt_len, num_output_tokens): (u32, u32),
        send_time: SimTime,
        client_queue_time: SimDuration,
    ) -> Self {
        let (ttft, latency) = latencies.unwrap_or_default();
        Self {
            success: latencies.is_some(),
            prompt_len,
            output_len: if latencies.is_some() { num_output_tokens } else { 0 },
            ttft: ttft.as_secs_f64(),
            latency: latency.as_secs_f64(),
            start_time: send_time.as_secs_f64(),
            client_queue_time: client_queue_time.as_secs_f64(),
            error: if latencies.is_some() { "" } else { NOT_FINISHED },
        }
    }
}

/// All requests of a run as a benchmark client saw them.
pub trait BenchOutputs {
    /// Number of requests, failed ones included.
    fn num_requests(&self) -> usize;

    /// The request of index `request`, below [`Self::num_requests`].
    fn output(&self, request: usize) -> RequestOutput<'_>;

    /// All of them, in order: cheaper than one by one.
    fn for_each_output(&self, mut visit: impl FnMut(RequestOutput<'_>))
    where
        Self: Sized,
    {
        (0..self.num_requests()).for_each(|request| visit(self.output(request)));
    }

    /// Its inter-token latencies in seconds; empty if it failed or if they are not known one by one.
    fn itls(&self, request: usize) -> Box<dyn Iterator<Item = f64> + '_>;

    /// Whether [`Self::itls`] is known.
    fn has_itls(&self) -> bool;

    /// The inter-token latencies of all requests together.
    fn pooled_itls(&self) -> Distribution;

    /// What a report says of them.
    fn itl_statistics(&self, percentiles: &[Percentile]) -> Statistics {
        self.pooled_itls().statistics(percentiles)
    }

    /// Drafts verified and accepted, if there was a drafter and it is known.
    fn spec_decoding(&self) -> Option<&SpecDecodingTotals> {
        None
    }

    /// The busiest seconds.
    fn peaks(&self) -> Peaks;

    /// Seconds from the start of the benchmark to the last token.
    fn duration(&self) -> f64;
}

/// A recording as its client saw it.
#[derive(Debug, Clone)]
pub struct RecordedOutputs<'a> {
    recording: &'a Recording,
    emissions: Option<EmissionIndex<'a>>,
}

impl Recording {
    /// TTFT and end-to-end latency of `request`; `None` if it did not finish.
    pub(super) fn client_latencies(&self, request: &RequestRecord) -> Option<(SimDuration, SimDuration)> {
        if !request.is_finished {
            return None;
        }
        let first_delivery = self.passes.delivery_time(request.first_token_pass)?;
        let last_delivery = self.passes.delivery_time(request.last_token_pass)?;
        let since_send = |time: SimTime| time.saturating_since(request.send_time);
        Some((since_send(first_delivery), since_send(last_delivery)))
    }

    /// Of each request that finished, when it was sent and when the client held its last token.
    pub(super) fn spans(&self) -> impl Iterator<Item = (SimTime, SimTime)> + '_ {
        let finished = self.requests.iter().filter(|request| request.is_finished);
        finished.filter_map(|request| Some((request.send_time, self.passes.delivery_time(request.last_token_pass)?)))
    }
}

/// Tells the reader of a result file what a simulated failure is.
const NOT_FINISHED: &str = "simulated: the request did not finish";

impl<'a> RecordedOutputs<'a> {
    /// The client's view of `recording`. The benchmark starts at time zero.
    #[must_use]
    pub fn new(recording: &'a Recording) -> Self {
        let emissions = (!recording.emissions.is_empty()).then(|| EmissionIndex::new(recording));
        Self { recording, emissions }
    }

    /// The same without the times of single tokens, even if they were recorded: cheaper where nobody asks for them.
    #[must_use]
    pub const fn without_itls(recording: &'a Recording) -> Self {
        Self { recording, emissions: None }
    }

    fn output_of(&self, record: &RequestRecord) -> RequestOutput<'_> {
        RequestOutput::simulated(
            self.recording.client_latencies(record),
            (record.num_prompt_tokens, record.num_output_tokens),
            record.send_time,
            record.send_time.saturating_since(record.scheduled_send_time),
        )
    }
}

impl BenchOutputs for RecordedOutputs<'_> {
    fn spec_decoding(&self) -> Option<&SpecDecodingTotals> {
        Some(&self.recording.spec_decoding)
    }

    fn num_requests(&self) -> usize {
        self.recording.requests.len()
    }

    fn output(&self, request: usize) -> RequestOutput<'_> {
        self.output_of(&self.recording.requests.get(request).unwrap_or_default())
    }

    fn for_each_output(&self, mut visit: impl FnMut(RequestOutput<'_>)) {
        self.recording.requests.iter().for_each(|record| visit(self.output_of(&record)));
    }

    fn itls(&self, request: usize) -> Box<dyn Iterator<Item = f64> + '_> {
        let success = self.recording.requests.get(request).is_some_and(|request| request.is_finished);
        match &self.emissions {
            Some(emissions) if success => Box::new(emissions.itls(request).map(SimDuration::as_secs_f64)),
            _ => Box::new(core::iter::empty()),
        }
    }

    fn has_itls(&self) -> bool {
        self.emissions.is_some() || self.recording.requests.iter().all(|request| !request.is_finished)
    }

    fn pooled_itls(&self) -> Distribution {
        Distribution::from_gaps(&self.recording.gaps)
    }

    fn itl_statistics(&self, percentiles: &[Percentile]) -> Statistics {
        Statistics::of_gaps(&self.recording.gaps, percentiles)
    }

    fn peaks(&self) -> Peaks {
        let Some(origin) = self.recording.spans().map(|(send, _)| send).min() else { return Peaks::default() };
        let mut tokens = BusiestSecond::default();
        tokens.begin(origin);
        self.recording.passes.for_each_delivery(|time, num_outputs| tokens.add(time, num_outputs));
        Peaks {
            max_output_tokens_per_s: tokens.most(),
            max_concurrent_requests: most_requests(origin, self.recording.spans()),
        }
    }

    fn duration(&self) -> f64 {
        self.recording.spans().map(|(_, last_delivery)| last_delivery).max().unwrap_or_default().as_secs_f64()
    }
}

/// One request of a real measurement; the fields are those of [`RequestOutput`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MeasuredOutput {
    /// See [`RequestOutput::success`].
    pub success: bool,
    /// See [`RequestOutput::prompt_len`].
    pub prompt_len: u32,
    /// See [`RequestOutput::output_len`].
    pub output_len: u32,
    /// See [`RequestOutput::ttft`].
    pub ttft: f64,
    /// Seconds between successive tokens.
    pub itl: Vec<f64>,
    /// See [`RequestOutput::latency`].
    pub latency: f64,
    /// See [`RequestOutput::start_time`].
    pub start_time: f64,
    /// See [`RequestOutput::client_queue_time`].
    pub client_queue_time: f64,
    /// See [`RequestOutput::error`].
    pub error: String,
}

/// A real measurement, as the file of `vllm bench serve --save-result --save-detailed` has it: evaluated by the same
/// code as a simulation, so that the two can be laid over each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MeasuredOutputs {
    /// One per request.
    pub outputs: Vec<MeasuredOutput>,
    /// Seconds that the benchmark took.
    pub duration: f64,
}

impl BenchOutputs for MeasuredOutputs {
    fn num_requests(&self) -> usize {
        self.outputs.len()
    }

    fn output(&self, request: usize) -> RequestOutput<'_> {
        let output = &self.outputs[request];
        RequestOutput {
            success: output.success,
            prompt_len: output.prompt_len,
            output_len: if output.success { output.output_len } else { 0 },
            ttft: output.ttft,
            latency: output.latency,
            start_time: output.start_time,
            client_queue_time: output.client_queue_time,
            error: &output.error,
        }
    }

    fn itls(&self, request: usize) -> Box<dyn Iterator<Item = f64> + '_> {
        Box::new(self.outputs.get(request).into_iter().flat_map(|output| output.itl.iter().copied()))
    }

    fn has_itls(&self) -> bool {
        true
    }

    fn pooled_itls(&self) -> Distribution {
        let successful = self.outputs.iter().filter(|output| output.success);
        Distribution::from_samples(successful.flat_map(|output| output.itl.iter().copied()).collect())
    }

    fn peaks(&self) -> Peaks {
        let successful = self.outputs.iter().filter(|output| output.success);
        let smaller = |a: f64, b: f64| if b < a { b } else { a };
        let Some(origin) = successful.clone().map(|output| output.start_time).reduce(smaller) else {
            return Peaks::default();
        };
        let ends = successful.clone().map(|output| output.start_time + output.latency);
        let end = ends.fold(origin, |a, b| if b > a { b } else { a });
        let num_seconds = math::f64_to_u64(math::ceil(end - origin)) + 1;
        let (mut tokens, mut changes) = (Buckets::default(), Buckets::default());
        for output in successful {
            let mut time = output.start_time + output.ttft;
            // The first token, then one after each gap: vLLM adds the gaps up in this order.
            for gap in core::iter::once(0.0).chain(output.itl.iter().copied()) {
                time += gap;
                let second = math::f64_to_u64(time - origin);
                if second < num_seconds {
                    tokens.add(second, 1);
                }
            }
            changes.add(math::f64_to_u64(output.start_time - origin), 1);
            changes.add(math::f64_to_u64((output.start_time + output.latency) - origin) + 1, -1);
        }
        Peaks { max_output_tokens_per_s: tokens.max(), max_concurrent_requests: changes.max_of_running_sum() }
    }

    fn duration(&self) -> f64 {
        self.duration
    }
}
