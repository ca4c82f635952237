//! A trace cut into windows, and each of them dealt out to replicas.

use alloc::vec::Vec;
use core::fmt;

use crate::math;
use crate::request::RequestId;
use crate::request_set::RequestSet;
use crate::time::SimTime;
use crate::workload::{Traffic, Workload};

/// Most windows of a trace.
pub const MAX_WINDOWS: u64 = 100_000;

/// A part of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its begin.
    pub start: SimTime,
    /// Its end, which belongs to the next.
    pub end: SimTime,
    /// The first of its requests.
    pub first: usize,
    /// How many it has.
    pub num_requests: usize,
}

/// The trace would have more than [`MAX_WINDOWS`] windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyWindows {
    /// How many.
    pub count: u64,
}

impl fmt::Display for TooManyWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--window: the trace would have {} windows; the limit is {MAX_WINDOWS}: make them longer", self.count)
    }
}

impl core::error::Error for TooManyWindows {}

impl Window {
    /// Requests per second.
    #[must_use]
    pub fn load(&self) -> f64 {
        let seconds = self.end.saturating_since(self.start).as_secs_f64();
        if seconds > 0.0 { math::usize_to_f64(self.num_requests) / seconds } else { 0.0 }
    }
}

/// Cuts at every `length_ns` nanoseconds from the trace's begin until its last request is in a window. Send times do not
/// decrease.
///
/// # Errors
/// [`TooManyWindows`].
pub fn windows(send_times: &[SimTime], length_ns: u64) -> Result<Vec<Window>, TooManyWindows> {
    let length = length_ns.max(1);
    let last = send_times.last().map_or(0, |time| time.as_nanos());
    let count = if send_times.is_empty() { 0 } else { last / length + 1 };
    if count > MAX_WINDOWS {
        return Err(TooManyWindows { count });
    }
    let mut first = 0;
    let window = |number: u64| {
        let start = SimTime::from_nanos(number.saturating_mul(length));
        let end = SimTime::from_nanos(number.saturating_add(1).saturating_mul(length));
        let behind = first + send_times[first..].partition_point(|time| *time < end);
        let window = Window { start, end, first, num_requests: behind - first };
        first = behind;
        window
    };
    Ok((0..count).map(window).collect())
}

/// What replica `replica` of `num_replicas` gets of `window`: every so manieth request, at its own time since the begin of
/// the window. Nothing came before: the replica's cache is empty. `None` if it gets nothing, or the workload has no times.
#[must_use]
pub fn dealt(workload: &Workload, window: &Window, replica: usize, num_replicas: usize) -> Option<Workload> {
    let Traffic::Timed { send_times, .. } = &workload.traffic else { return None };
    let mut requests = RequestSet::new();
    let mut times = Vec::new();
    let own = (window.first..window.first + window.num_requests).skip(replica).step_by(num_replicas.max(1));
    for place in own {
        requests.push_from(&workload.requests, RequestId(math::usize_to_u32(place))).ok()?;
        let since = send_times.get(place)?.saturating_since(window.start);
        times.push(SimTime::from_nanos(since.as_nanos()));
    }
    requests.set_acceptance(workload.requests.acceptance().clone());
    let traffic = Traffic::Timed { send_times: times, max_concurrency: None };
    (!requests.is_empty()).then_some(Workload { requests, traffic, earlier: Vec::new() })
}
