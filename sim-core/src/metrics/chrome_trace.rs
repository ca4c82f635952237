//! A run as a trace that Perfetto and `chrome://tracing` open: passes on the engine's and the device's track, requests
//! with their phases, and counters.
//!
//! Format: Trace Event Format, JSON object form; times are microseconds with three decimals, so exact.

use core::fmt::{self, Write};

use super::recorder::{PassRecord, Recording, RequestRecord};
use crate::math;
use crate::time::SimTime;

/// Process numbers of the tracks.
const ENGINE: u32 = 1;
const REQUESTS: u32 = 2;

/// Writes `recording` to `out`. `title` names the engine's track and must say that the run is simulated;
/// `num_usable_blocks` is what KV usage is a share of.
///
/// # Errors
/// Only those of `out`.
pub fn write_chrome_trace(
    out: &mut impl Write,
    recording: &Recording,
    title: &str,
    num_usable_blocks: u32,
) -> fmt::Result {
    out.write_str("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n")?;
    write_name(out, "process_name", ENGINE, 0, title)?;
    write_name(out, "thread_name", ENGINE, 1, "device: forward passes")?;
    write_name(out, "thread_name", ENGINE, 2, "engine core: schedule to output")?;
    write_name(out, "process_name", REQUESTS, 0, "requests (simulated)")?;
    for (number, pass) in recording.passes.iter().enumerate() {
        write_pass(out, number, &pass)?;
        write_counters(out, &pass, num_usable_blocks)?;
    }
    for (number, request) in recording.requests.iter().enumerate() {
        write_request(out, number, &request, recording)?;
    }
    // The last event has no comma after it.
    writeln!(out, r#"{{"ph":"M","name":"process_labels","pid":{ENGINE},"tid":0,"args":{{"labels":"simulated"}}}}]}}"#)
}

/// A time or span in nanoseconds, as microseconds.
struct Micros(u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

const fn at(time: SimTime) -> Micros {
    Micros(time.as_nanos())
}

fn between(from: SimTime, to: SimTime) -> Micros {
    Micros(to.saturating_since(from).as_nanos())
}

/// A JSON string.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if u32::from(c) < 0x20 => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

fn write_name(out: &mut impl Write, kind: &str, pid: u32, tid: u32, name: &str) -> fmt::Result {
    let name = Quoted(name);
    writeln!(out, r#"{{"ph":"M","name":"{kind}","pid":{pid},"tid":{tid},"args":{{"name":{name}}}}},"#)
}

fn write_pass(out: &mut impl Write, number: usize, pass: &PassRecord) -> fmt::Result {
    let PassRecord { num_tokens, num_prefill_tokens, num_reqs, num_outputs, .. } = pass;
    let kind = if *num_prefill_tokens == 0 { "decode" } else { "prefill" };
    writeln!(
        out,
        r#"{{"ph":"X","cat":"pass","name":"{kind}","pid":{ENGINE},"tid":1,"ts":{},"dur":{},"args":{{"pass":{number},"tokens":{num_tokens},"prefill_tokens":{num_prefill_tokens},"requests":{num_reqs},"outputs":{num_outputs}}}}},"#,
        at(pass.start_time),
        between(pass.start_time, pass.end_time),
    )?;
    // Steps of an asynchronous engine overlap: async events may, complete events may not.
    let (from, to) = (at(pass.schedule_time), at(pass.output_time));
    for (phase, ts) in [("b", from), ("e", to)] {
        writeln!(
            out,
            r#"{{"ph":"{phase}","cat":"step","name":"pass {number}","id":{number},"pid":{ENGINE},"tid":2,"ts":{ts}}},"#
        )?;
    }
    Ok(())
}

fn write_counters(out: &mut impl Write, pass: &PassRecord, num_usable_blocks: u32) -> fmt::Result {
    let ts = at(pass.schedule_time);
    let used = num_usable_blocks.saturating_sub(pass.num_free_blocks);
    let percent = 100.0 * math::u32_to_f64(used) / math::u32_to_f64(num_usable_blocks.max(1));
    writeln!(out, r#"{{"ph":"C","name":"KV usage %","pid":{ENGINE},"ts":{ts},"args":{{"used":{percent:.3}}}}},"#)?;
    let (running, waiting) = (pass.num_running_reqs, pass.num_waiting_reqs);
    writeln!(
        out,
        r#"{{"ph":"C","name":"requests","pid":{ENGINE},"ts":{ts},"args":{{"running":{running},"waiting":{waiting}}}}},"#
    )?;
    let tokens = pass.num_tokens;
    writeln!(out, r#"{{"ph":"C","name":"tokens per pass","pid":{ENGINE},"ts":{ts},"args":{{"tokens":{tokens}}}}},"#)
}

fn write_request(out: &mut impl Write, number: usize, request: &RequestRecord, recording: &Recording) -> fmt::Result {
    let Some(instants) = recording.instants(request) else { return Ok(()) };
    let (scheduled, first, last) = (instants.first_scheduled, instants.first_delivery, instants.last_delivery);
    let phases = [
        ("front end", request.send_time, request.queued_time),
        ("queue", request.queued_time, scheduled),
        ("prefill", scheduled, first),
        ("decode", first, last),
    ];
    let RequestRecord { num_prompt_tokens, num_output_tokens, num_cached_tokens, num_preemptions, .. } = request;
    writeln!(
        out,
        r#"{{"ph":"b","cat":"request","name":"request {number}","id":{number},"pid":{REQUESTS},"tid":0,"ts":{},"args":{{"prompt_tokens":{num_prompt_tokens},"output_tokens":{num_output_tokens},"cached_tokens":{num_cached_tokens},"preemptions":{num_preemptions}}}}},"#,
        at(request.send_time),
    )?;
    for (name, from, to) in phases {
        let (from, to) = (at(from), at(to));
        writeln!(
            out,
            r#"{{"ph":"b","cat":"request","name":"{name}","id":{number},"pid":{REQUESTS},"tid":0,"ts":{from}}},"#
        )?;
        writeln!(
            out,
            r#"{{"ph":"e","cat":"request","name":"{name}","id":{number},"pid":{REQUESTS},"tid":0,"ts":{to}}},"#
        )?;
    }
    let to = at(last);
    writeln!(
        out,
        r#"{{"ph":"e","cat":"request","name":"request {number}","id":{number},"pid":{REQUESTS},"tid":0,"ts":{to}}},"#
    )
}
