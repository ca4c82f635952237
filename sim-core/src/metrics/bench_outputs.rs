//! What a benchmark client knows of each request: a recording seen through the client's eyes, or a real measurement.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::math;
use crate::metrics::distribution::Distribution;
use crate::metrics::emissions::EmissionIndex;
use crate::metrics::recorder::{Recording, SpecDecodingTotals};
use crate::time::{SimDuration, SimTime};

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

/// The highest values over seconds counted from the first send (`vllm/benchmarks/serve.py::calculate_metrics`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peaks {
    /// Most tokens that arrived within one second.
    pub max_output_tokens_per_s: u64,
    /// Most requests of which some part lay within one second: more than were ever under way at the same time.
    pub max_concurrent_requests: u64,
}

/// All requests of a run as a benchmark client saw them.
pub trait BenchOutputs {
    /// Number of requests, failed ones included.
    fn num_requests(&self) -> usize;

    /// The request of index `request`, below [`Self::num_requests`].
    fn output(&self, request: usize) -> RequestOutput<'_>;

    /// Its inter-token latencies in seconds; empty if it failed or if they are not known one by one.
    fn itls(&self, request: usize) -> Box<dyn Iterator<Item = f64> + '_>;

    /// Whether [`Self::itls`] is known.
    fn has_itls(&self) -> bool;

    /// The inter-token latencies of all requests together.
    fn pooled_itls(&self) -> Distribution;

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

/// Tells the reader of a result file what a simulated failure is.
const NOT_FINISHED: &str = "simulated: the request did not finish";

const SECOND: u64 = 1_000_000_000;

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
}

impl BenchOutputs for RecordedOutputs<'_> {
    fn spec_decoding(&self) -> Option<&SpecDecodingTotals> {
        Some(&self.recording.spec_decoding)
    }

    fn num_requests(&self) -> usize {
        self.recording.requests.len()
    }

    fn output(&self, request: usize) -> RequestOutput<'_> {
        let record = &self.recording.requests[request];
        let instants = self.recording.instants(record);
        let seconds = |span: Option<SimDuration>| span.map_or(0.0, SimDuration::as_secs_f64);
        RequestOutput {
            success: instants.is_some(),
            prompt_len: record.num_prompt_tokens,
            output_len: if instants.is_some() { record.num_output_tokens } else { 0 },
            ttft: seconds(instants.map(|instants| instants.ttft())),
            latency: seconds(instants.map(|instants| instants.e2el())),
            start_time: record.send_time.as_secs_f64(),
            client_queue_time: record.send_time.saturating_since(record.scheduled_send_time).as_secs_f64(),
            error: if instants.is_some() { "" } else { NOT_FINISHED },
        }
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

    fn peaks(&self) -> Peaks {
        let spans = self.recording.requests.iter().filter_map(|request| self.recording.instants(request));
        let Some(origin) = spans.clone().map(|span| span.send).min() else {
            return Peaks::default();
        };
        let second = |time: SimTime| time.saturating_since(origin).as_nanos() / SECOND;
        // Passes come in time order, so equal seconds are neighbours.
        let mut tokens = Buckets::default();
        let mut open = (0, 0);
        for pass in &self.recording.passes {
            let second = second(pass.delivery_time);
            if second != open.0 {
                tokens.add(open.0, open.1);
                open = (second, 0);
            }
            open.1 += i64::from(pass.num_outputs);
        }
        tokens.add(open.0, open.1);
        let mut changes = Buckets::default();
        for span in spans {
            changes.add(second(span.send), 1);
            changes.add(second(span.last_delivery) + 1, -1);
        }
        Peaks { max_output_tokens_per_s: tokens.max(), max_concurrent_requests: changes.max_of_running_sum() }
    }

    fn duration(&self) -> f64 {
        let spans = self.recording.requests.iter().filter_map(|request| self.recording.instants(request));
        spans.map(|span| span.last_delivery).max().unwrap_or(SimTime::ZERO).as_secs_f64()
    }
}

/// Sums per second; only seconds in which something happens cost memory.
#[derive(Debug, Default)]
struct Buckets(BTreeMap<u64, i64>);

impl Buckets {
    fn add(&mut self, second: u64, amount: i64) {
        *self.0.entry(second).or_default() += amount;
    }

    fn max(&self) -> u64 {
        self.0.values().max().map_or(0, |&max| u64::try_from(max).unwrap_or(0))
    }

    fn max_of_running_sum(&self) -> u64 {
        let mut sum = 0;
        let sums = self.0.values().map(|change| {
            sum += change;
            sum
        });
        sums.max().map_or(0, |max| u64::try_from(max).unwrap_or(0))
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
