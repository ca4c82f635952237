//! One row per request, for spreadsheets and scripts (RFC 4180: comma, CR LF, a header line).

use core::fmt::{self, Write};

use crate::metrics::bench_outputs::{BenchOutputs, RecordedOutputs};
use crate::metrics::goodput::Goodput;
use crate::metrics::python_float::Repr;
use crate::metrics::recorder::Recording;
use crate::metrics::request_metrics::{RequestInstants, tpot};
use crate::time::{SimDuration, SimTime};

/// The columns, in order, with their units. Every field is a number, a word or empty, so none needs quotes.
pub const COLUMNS: [&str; 21] = [
    "request",
    "status",
    "scheduled_send_time_s",
    "send_time_s",
    "queued_time_s",
    "first_scheduled_time_s",
    "first_token_time_s",
    "last_token_time_s",
    "prompt_tokens",
    "output_tokens",
    "cached_tokens",
    "preemptions",
    "passes",
    "client_queue_time_ms",
    "ttft_ms",
    "tpot_ms",
    "e2el_ms",
    "queue_time_ms",
    "prefill_time_ms",
    "decode_time_ms",
    "slo_met",
];

/// Writes one row per request of `recording` to `out`. Times are exact to the nanosecond. What an unfinished request
/// does not have is empty, TPOT of a single token too; `slo_met` is empty unless `goodput` has a bound.
///
/// # Errors
/// Only those of `out`.
pub fn write_request_csv(out: &mut impl Write, recording: &Recording, goodput: &Goodput) -> fmt::Result {
    for (i, column) in COLUMNS.iter().enumerate() {
        write!(out, "{}{column}", if i == 0 { "" } else { "," })?;
    }
    out.write_str("\r\n")?;
    let outputs = RecordedOutputs::without_itls(recording);
    for (number, request) in recording.requests.iter().enumerate() {
        let instants = recording.instants(request);
        let at = |time: fn(&RequestInstants) -> SimTime| Seconds(instants.as_ref().map(time));
        let span = |span: fn(&RequestInstants) -> SimDuration| Millis(instants.as_ref().map(span));
        let status = if instants.is_some() { "finished" } else { "unfinished" };
        let (scheduled_send, send) = (Seconds(Some(request.scheduled_send_time)), Seconds(Some(request.send_time)));
        let queued = Seconds(Some(request.queued_time));
        write!(out, "{number},{status},{scheduled_send},{send},{queued},")?;
        write!(out, "{},{},{},", at(|i| i.first_scheduled), at(|i| i.first_delivery), at(|i| i.last_delivery))?;
        write!(out, "{},{},{},", request.num_prompt_tokens, request.num_output_tokens, request.num_cached_tokens)?;
        write!(out, "{},{},", request.num_preemptions, request.num_passes)?;
        write!(out, "{},{},", span(|i| i.client_queue_time()), span(|i| i.ttft()))?;
        let output = outputs.output(number);
        if let Some(seconds) = tpot(output.latency, output.ttft, output.output_len) {
            write!(out, "{}", Repr(seconds * 1000.0))?;
        }
        write!(out, ",{},{},", span(|i| i.e2el()), span(|i| i.queue_time()))?;
        write!(out, "{},{},", span(|i| i.prefill_time()), span(|i| i.decode_time()))?;
        if !goodput.is_empty() {
            write!(out, "{}", goodput.is_met(&output))?;
        }
        out.write_str("\r\n")?;
    }
    Ok(())
}

/// A time in seconds with nine decimals, or nothing.
struct Seconds(Option<SimTime>);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(time) = self.0 else { return Ok(()) };
        write!(f, "{}.{:09}", time.as_nanos() / 1_000_000_000, time.as_nanos() % 1_000_000_000)
    }
}

/// A span in milliseconds with six decimals, or nothing.
struct Millis(Option<SimDuration>);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(span) = self.0 else { return Ok(()) };
        write!(f, "{}.{:06}", span.as_nanos() / 1_000_000, span.as_nanos() % 1_000_000)
    }
}
