//! What each latency is: first the instants of a request, then differences between them.
//!
//! | instant | |
//! |---|---|
//! | scheduled send | the traffic wants to send it |
//! | send | the client sends it: later only by waiting for `max_concurrency` |
//! | queued | it enters the engine's waiting queue |
//! | first scheduled | the scheduler begins the pass that first computes tokens of it |
//! | first / last output | the engine core puts out its first / last token |
//! | first / last delivery | the client holds its first / last token |
//!
//! | client (`vllm/benchmarks/serve.py`, `.../endpoint_request_func.py`) | |
//! |---|---|
//! | client queue time | send − scheduled send |
//! | TTFT | first delivery − send |
//! | ITL | delivery of a token − delivery of the token before it |
//! | E2EL | last delivery − send |
//! | TPOT | (E2EL − TTFT) / (output tokens − 1); none for a single token |
//!
//! | engine (`vllm/v1/metrics/stats.py`) | |
//! |---|---|
//! | queue time | first scheduled − queued |
//! | prefill time | first output − first scheduled |
//! | decode time | last output − first output |
//! | inference time | last output − first scheduled |
//!
//! Preemptions lie inside these spans; nothing is taken off for them.

use core::borrow::Borrow;

use crate::math;
use crate::metrics::recorder::{PassRecord, Recording, RequestRecord};
use crate::time::{SimDuration, SimTime};

/// The instants of a finished request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestInstants {
    /// The traffic wants to send it.
    pub scheduled_send: SimTime,
    /// The client sends it.
    pub send: SimTime,
    /// It enters the engine's waiting queue.
    pub queued: SimTime,
    /// The scheduler begins the pass that first computes tokens of it.
    pub first_scheduled: SimTime,
    /// The engine core puts out its first token.
    pub first_output: SimTime,
    /// The engine core puts out its last token.
    pub last_output: SimTime,
    /// The client holds its first token.
    pub first_delivery: SimTime,
    /// The client holds its last token.
    pub last_delivery: SimTime,
    /// What it and its first token waited for a busy API server.
    pub front_end_wait: [SimDuration; 2],
}

impl RequestInstants {
    /// Wait of the client for `max_concurrency`.
    #[must_use]
    pub const fn client_queue_time(&self) -> SimDuration {
        self.send.saturating_since(self.scheduled_send)
    }

    /// Time to first token.
    #[must_use]
    pub const fn ttft(&self) -> SimDuration {
        self.first_delivery.saturating_since(self.send)
    }

    /// End-to-end latency.
    #[must_use]
    pub const fn e2el(&self) -> SimDuration {
        self.last_delivery.saturating_since(self.send)
    }

    /// The engine's queue time (`vllm:request_queue_time_seconds`).
    #[must_use]
    pub const fn queue_time(&self) -> SimDuration {
        self.first_scheduled.saturating_since(self.queued)
    }

    /// The engine's prefill time (`vllm:request_prefill_time_seconds`).
    #[must_use]
    pub const fn prefill_time(&self) -> SimDuration {
        self.first_output.saturating_since(self.first_scheduled)
    }

    /// The engine's decode time (`vllm:request_decode_time_seconds`).
    #[must_use]
    pub const fn decode_time(&self) -> SimDuration {
        self.last_output.saturating_since(self.first_output)
    }

    /// The engine's inference time (`vllm:request_inference_time_seconds`).
    #[must_use]
    pub const fn inference_time(&self) -> SimDuration {
        self.last_output.saturating_since(self.first_scheduled)
    }
}

/// Time per output token, the first one excluded, from latencies in seconds; `None` for a single token.
#[must_use]
pub fn tpot(latency: f64, ttft: f64, num_output_tokens: u32) -> Option<f64> {
    (num_output_tokens > 1).then(|| (latency - ttft) / math::u32_to_f64(num_output_tokens - 1))
}

impl Recording {
    /// The pass of index `index`.
    #[must_use]
    pub fn pass(&self, index: u32) -> Option<PassRecord> {
        self.passes.get(math::u32_to_usize(index))
    }

    /// The instants of `request`; `None` if it did not finish.
    #[must_use]
    pub fn instants(&self, request: impl Borrow<RequestRecord>) -> Option<RequestInstants> {
        let request = request.borrow();
        if !request.is_finished {
            return None;
        }
        let first_token = self.passes.token_times(request.first_token_pass)?;
        let last_token = self.passes.token_times(request.last_token_pass)?;
        Some(RequestInstants {
            scheduled_send: request.scheduled_send_time,
            send: request.send_time,
            queued: request.queued_time,
            first_scheduled: self.passes.schedule_time(request.first_scheduled_pass)?,
            first_output: first_token.output_time,
            last_output: last_token.output_time,
            first_delivery: first_token.delivery_time,
            last_delivery: last_token.delivery_time,
            front_end_wait: [request.front_end_wait, first_token.delivery_wait],
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const fn at(nanos: u64) -> SimTime {
        SimTime::from_nanos(nanos)
    }

    /// Pass `i` of ten: scheduled at 100 i, put out at 100 i + 90, delivered at 100 i + 95.
    fn recording() -> Recording {
        let passes = (0..10).map(|i| PassRecord {
            schedule_time: at(100 * i),
            start_time: at(100 * i + 10),
            end_time: at(100 * i + 80),
            output_time: at(100 * i + 90),
            delivery_time: at(100 * i + 95),
            delivery_wait: SimDuration::ZERO,
            num_tokens: 1,
            num_prefill_tokens: 0,
            num_draft_tokens: 0,
            num_reqs: 1,
            num_outputs: 1,
            num_running_reqs: 1,
            num_waiting_reqs: 0,
            num_free_blocks: 1,
        });
        let request = RequestRecord {
            scheduled_send_time: at(1),
            send_time: at(21),
            front_end_wait: SimDuration::ZERO,
            queued_time: at(30),
            first_scheduled_pass: 1,
            first_token_pass: 2,
            last_token_pass: 7,
            num_prompt_tokens: 100,
            num_output_tokens: 4,
            num_cached_tokens: 0,
            num_preemptions: 1,
            num_passes: 6,
            is_finished: true,
        };
        Recording { passes: passes.collect(), requests: vec![request; 3].into(), ..Recording::default() }
    }

    #[test]
    fn every_latency_is_a_difference_of_two_instants() {
        let recording = recording();
        let instants = recording.instants(recording.requests.first().expect("a request")).expect("finished");
        let spans = [
            instants.client_queue_time(),
            instants.ttft(),
            instants.e2el(),
            instants.queue_time(),
            instants.prefill_time(),
            instants.decode_time(),
            instants.inference_time(),
        ];
        assert_eq!(spans.map(SimDuration::as_nanos), [20, 274, 774, 70, 190, 500, 690], "in the order of the header");
    }

    #[test]
    fn a_single_token_has_no_time_per_output_token() {
        assert_eq!((tpot(2.0, 1.0, 1), tpot(2.0, 1.0, 3)), (None, Some(0.5)), "one token, three tokens");
    }

    #[test]
    fn an_unfinished_request_has_no_instants() {
        let mut recording = recording();
        recording.requests.change(|index, request| request.is_finished = index != 1);
        let instants = recording.requests.iter().map(|request| recording.instants(request).is_some());
        assert!(instants.eq([true, false, true]), "the second was aborted");
    }
}
