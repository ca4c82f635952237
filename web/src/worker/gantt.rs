//! A stretch of a run in which single passes and requests are drawn.

use sim_core::math;
use sim_core::metrics::recorder::{PassRecord, Recording};
use sim_core::time::SimTime;

use crate::detail::{GanttWindow, PassBar};

/// Length of the stretch that is shown first, in seconds.
const FIRST_STRETCH: f64 = 2.0;

/// Most pixels, and most requests of an answer.
const MAX_WIDTH: u32 = 10_000;
const MAX_REQUESTS: u32 = 5_000;

/// The stretch `range` of `recording`, `width` pixels across. Without a range it is [`FIRST_STRETCH`] in which the most
/// tokens were computed, or the whole run if that is shorter.
///
/// # Errors
/// A message if the range is empty or no range at all.
pub(crate) fn window(
    recording: &Recording,
    range: Option<(f64, f64)>,
    width: u32,
    max_requests: u32,
) -> Result<GanttWindow, String> {
    let last = recording.passes.iter().map(|pass| pass.delivery_time).max().unwrap_or(SimTime::ZERO);
    let end = last.as_secs_f64();
    let (from, to) = match range {
        None => busiest(recording, end),
        Some((from, to)) if from.is_finite() && to.is_finite() && from < to => {
            (math::max(from, 0.0), math::min(to, end))
        }
        Some((from, to)) => {
            return Err(format!("{from} to {to} s is no stretch of a run: it must begin before it ends"));
        }
    };
    let pixel = math::max(to - from, 0.0) / math::u32_to_f64(width.clamp(1, MAX_WIDTH));
    let (requests, num_hidden) = requests(recording, (from, to), max_requests.min(MAX_REQUESTS));
    Ok(GanttWindow { range: (from, to), end, passes: passes(recording, (from, to), pixel), requests, num_hidden })
}

/// The stretch of [`FIRST_STRETCH`] seconds from the start of a pass in which passes with the most tokens start.
fn busiest(recording: &Recording, end: f64) -> (f64, f64) {
    if end <= FIRST_STRETCH {
        return (0.0, end);
    }
    let length = SimTime::from_secs_f64(FIRST_STRETCH).as_nanos();
    let passes = &recording.passes;
    let (mut num_tokens, mut behind, mut best) = (0u64, 0, (0u64, 0u64));
    for pass in passes {
        num_tokens += u64::from(pass.num_tokens);
        while let Some(first) =
            passes.get(behind).filter(|first| pass.start_time.saturating_since(first.start_time).as_nanos() >= length)
        {
            num_tokens -= u64::from(first.num_tokens);
            behind += 1;
        }
        if num_tokens > best.0 {
            best = (num_tokens, passes.get(behind).map_or(0, |first| first.start_time.as_nanos()));
        }
    }
    let from = math::min(SimTime::from_nanos(best.1).as_secs_f64(), end - FIRST_STRETCH);
    (from, from + FIRST_STRETCH)
}

/// The passes that overlap the stretch. Neighbours are joined for as long as together they are narrower than a pixel;
/// what is said of them is then the largest of each number.
fn passes(recording: &Recording, (from, to): (f64, f64), pixel: f64) -> Vec<PassBar> {
    let passes = &recording.passes;
    // Passes start and end in the order in which they were issued.
    let first = passes.partition_point(|pass| pass.end_time.as_secs_f64() < from);
    let shown = passes.iter().skip(first).take_while(|pass| pass.start_time.as_secs_f64() <= to);
    let mut bars: Vec<PassBar> = Vec::new();
    for pass in shown {
        let PassRecord { start_time, end_time, num_tokens, num_prefill_tokens, num_draft_tokens, num_reqs, .. } = pass;
        let (start, end) = (start_time.as_secs_f64(), end_time.as_secs_f64());
        match bars.last_mut() {
            Some(bar) if end - bar.start < pixel => {
                *bar = PassBar {
                    start: bar.start,
                    end,
                    num_tokens: bar.num_tokens.max(num_tokens),
                    num_prefill_tokens: bar.num_prefill_tokens.max(num_prefill_tokens),
                    num_draft_tokens: bar.num_draft_tokens.max(num_draft_tokens),
                    num_reqs: bar.num_reqs.max(num_reqs),
                };
            }
            _ => bars.push(PassBar { start, end, num_tokens, num_prefill_tokens, num_draft_tokens, num_reqs }),
        }
    }
    bars
}

/// The first requests that are under way in the stretch, and how many more there are. One that did not finish has no
/// times and is left out.
fn requests(recording: &Recording, (from, to): (f64, f64), max_requests: u32) -> (Vec<(u32, [f64; 6])>, u32) {
    let (mut listed, mut num_hidden) = (Vec::new(), 0);
    for (index, record) in recording.requests.iter().enumerate() {
        let Some(instants) = recording.instants(record) else { continue };
        let times = [
            instants.scheduled_send,
            instants.send,
            instants.queued,
            instants.first_scheduled,
            instants.first_delivery,
            instants.last_delivery,
        ]
        .map(SimTime::as_secs_f64);
        if times[0] > to || times[5] < from {
            continue;
        }
        if listed.len() < math::u32_to_usize(max_requests) {
            listed.push((math::usize_to_u32(index), times));
        } else {
            num_hidden += 1;
        }
    }
    (listed, num_hidden)
}
