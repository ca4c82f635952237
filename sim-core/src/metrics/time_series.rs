//! The engine's state over time, reduced to as many points as a plot can show.
//!
//! A pass states the queues and the KV cache as its scheduling left them; that holds until the next pass is scheduled,
//! or until the engine holds no request any more: then all three are zero (cached blocks that nobody uses are free).

use alloc::vec;
use alloc::vec::Vec;
use core::borrow::Borrow;

use crate::math;
use crate::metrics::recorder::{PassRecord, Recording};
use crate::time::SimTime;

/// A quantity over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// Requests in the running list (`vllm:num_requests_running`).
    Running,
    /// Requests waiting (`vllm:num_requests_waiting`).
    Waiting,
    /// Share of KV blocks in use, 0 to 1 (`vllm:kv_cache_usage_perc`).
    KvCacheUsage,
    /// Tokens computed in a pass (`vllm:iteration_tokens_total`).
    TokensPerPass,
    /// Of these, tokens of prefill chunks.
    PrefillTokensPerPass,
    /// Of these, drafts that are verified.
    DraftTokensPerPass,
}

/// A quantity in one span of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesPoint {
    /// Middle of the span, in seconds.
    pub time_s: f64,
    /// Smallest value.
    pub min: f64,
    /// Mean value: over time for a state, over passes for a quantity of passes.
    pub mean: f64,
    /// Largest value.
    pub max: f64,
}

/// `1 − free / (num_gpu_blocks − 1)`: the null block is never free and never used
/// (`vllm/v1/core/block_pool.py::get_usage`). 0 without blocks.
#[must_use]
pub fn kv_cache_usage(pass: impl Borrow<PassRecord>, num_gpu_blocks: u32) -> f64 {
    if num_gpu_blocks < 2 {
        return 0.0;
    }
    1.0 - math::u32_to_f64(pass.borrow().num_free_blocks) / math::u32_to_f64(num_gpu_blocks - 1)
}

impl Recording {
    /// `series` in `num_points` equal spans of time from zero to the end of the run; spans in which a quantity of
    /// passes has none are left out. Exact: `min` and `max` miss nothing, however short.
    #[must_use]
    pub fn time_series(&self, series: Series, num_gpu_blocks: u32, num_points: u32) -> Vec<SeriesPoint> {
        let end = self.passes.iter().map(|pass| pass.output_time).max().unwrap_or(SimTime::ZERO).as_nanos();
        if num_points == 0 || end == 0 {
            return Vec::new();
        }
        let mut spans = Spans::new(end, num_points);
        match series {
            Series::Running => {
                self.for_each_state(|from, to, pass| spans.add_state(from, to, state(pass, |p| p.num_running_reqs)));
            }
            Series::Waiting => {
                self.for_each_state(|from, to, pass| spans.add_state(from, to, state(pass, |p| p.num_waiting_reqs)));
            }
            Series::KvCacheUsage => self.for_each_state(|from, to, pass| {
                spans.add_state(from, to, pass.map_or(0.0, |pass| kv_cache_usage(pass, num_gpu_blocks)));
            }),
            Series::TokensPerPass => self.passes.iter().for_each(|p| spans.add_event(p.schedule_time, p.num_tokens)),
            Series::PrefillTokensPerPass => {
                self.passes.iter().for_each(|p| spans.add_event(p.schedule_time, p.num_prefill_tokens));
            }
            Series::DraftTokensPerPass => {
                self.passes.iter().for_each(|p| spans.add_event(p.schedule_time, p.num_draft_tokens));
            }
        }
        spans.points()
    }

    /// Calls `visit(from, to, pass)`, in nanoseconds, for the whole run piece by piece: `pass` states what holds then,
    /// `None` that the engine is empty.
    pub(super) fn for_each_state(&self, mut visit: impl FnMut(u64, u64, Option<&PassRecord>)) {
        let mut ends = self.busy_periods().into_iter();
        let mut next_end = ends.next();
        let mut now = 0;
        self.passes.for_each_with_next(|pass, next| {
            let from = pass.schedule_time.as_nanos().max(now);
            if now < from {
                visit(now, from, None);
            }
            while next_end.is_some_and(|end| end < pass.output_time.as_nanos()) {
                next_end = ends.next();
            }
            let empty = next_end.unwrap_or(pass.output_time.as_nanos());
            let next = next.map_or(u64::MAX, |next| next.schedule_time.as_nanos());
            now = next.min(empty).max(from);
            visit(from, now, Some(pass));
        });
    }

    /// When the engine became empty, each time, in nanoseconds. Requests that did not finish are taken to hold nothing.
    fn busy_periods(&self) -> Vec<u64> {
        let mut periods: Vec<(u64, u64)> = self
            .requests
            .iter()
            .filter(|request| request.is_finished)
            .filter_map(|request| Some((request.queued_time, self.passes.token_times(request.last_token_pass)?)))
            .map(|(queued, last_token)| (queued.as_nanos(), last_token.output_time.as_nanos()))
            .collect();
        periods.sort_unstable();
        let mut ends: Vec<u64> = Vec::new();
        for (queued, last_output) in periods {
            match ends.last_mut() {
                Some(end) if queued <= *end => *end = last_output.max(*end),
                _ => ends.push(last_output),
            }
        }
        ends
    }
}

fn state(pass: Option<&PassRecord>, count: impl Fn(&PassRecord) -> u32) -> f64 {
    pass.map_or(0.0, |pass| math::u32_to_f64(count(pass)))
}

/// Sums over equal spans of time.
struct Spans {
    end: u64,
    num_points: u32,
    spans: Vec<Span>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    weight: f64,
    sum: f64,
    bounds: Option<(f64, f64)>,
}

impl Spans {
    fn new(end: u64, num_points: u32) -> Self {
        let num_spans = usize::try_from(num_points).unwrap_or(0);
        Self { end, num_points, spans: vec![Span::default(); num_spans] }
    }

    /// Where span `index` begins, in nanoseconds.
    fn start(&self, index: usize) -> u64 {
        let start = u128::from(self.end) * u128::from(math::usize_to_u64(index)) / u128::from(self.num_points);
        u64::try_from(start).unwrap_or(self.end)
    }

    /// The span that `time` lies in.
    fn index(&self, time: u64) -> usize {
        let index = u128::from(time) * u128::from(self.num_points) / u128::from(self.end);
        let index = usize::try_from(index).unwrap_or(usize::MAX).min(self.spans.len() - 1);
        // Starts are rounded down, so the division above can be one short.
        if index + 1 < self.spans.len() && self.start(index + 1) <= time { index + 1 } else { index }
    }

    fn add(&mut self, index: usize, value: f64, weight: f64) {
        let span = &mut self.spans[index];
        let (min, max) = span.bounds.unwrap_or((value, value));
        span.bounds = Some((if value < min { value } else { min }, if value > max { value } else { max }));
        span.weight += weight;
        span.sum += value * weight;
    }

    fn add_event(&mut self, time: SimTime, value: u32) {
        self.add(self.index(time.as_nanos()), math::u32_to_f64(value), 1.0);
    }

    fn add_state(&mut self, from: u64, to: u64, value: f64) {
        let mut from = from;
        let to = to.min(self.end);
        while from < to {
            let index = self.index(from);
            let until = if index + 1 < self.spans.len() { self.start(index + 1).min(to) } else { to };
            self.add(index, value, math::u64_to_f64(until - from));
            from = until;
        }
    }

    fn points(&self) -> Vec<SeriesPoint> {
        let middle =
            |index: usize| (SimTime::from_nanos(self.start(index)), SimTime::from_nanos(self.start(index + 1)));
        let point = |(index, span): (usize, &Span)| {
            let (min, max) = span.bounds?;
            let (start, end) = middle(index);
            let time_s = (start.as_secs_f64() + end.as_secs_f64()) / 2.0;
            Some(SeriesPoint { time_s, min, mean: span.sum / span.weight, max })
        };
        self.spans.iter().enumerate().filter_map(point).collect()
    }
}
