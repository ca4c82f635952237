//! Who decides to which replica a request goes, and what that one is told and when.

use core::fmt;

use super::data_parallel::balancer::EngineCounts;
use super::data_parallel::coordinator::WaveStep;
use super::router::Arrival;
use crate::request::RequestId;
use crate::simulator::Simulation;
use crate::time::SimTime;

/// What a request is told to be at the desk, and what the desk hears of it. Times do not decrease from call to call, but
/// for those of [`Self::hear`].
pub(super) trait Desk: fmt::Debug {
    /// The replica of a request that is sent at `now`.
    fn choose(&mut self, now: SimTime, arrival: &Arrival<'_>) -> usize;

    /// At `time` it will have come back from `replica` that the request's first token or its last is there.
    fn hear(&mut self, time: SimTime, id: RequestId, replica: usize, is_end: bool);

    /// When it looks at the replicas next, if it does.
    fn next_look(&self) -> SimTime;

    /// It looks at them.
    fn look(&mut self, now: SimTime, replicas: &[Simulation<'_>]);

    /// Whether `replica` takes requests from now on; at first all do. [`Self::choose`] is not asked while none does.
    fn set_ready(&mut self, _replica: usize, _is_ready: bool) {}

    /// `replica` is gone at `now`, and what it had cached with it. Of its requests it was heard that they ended.
    fn forget(&mut self, _now: SimTime, _replica: usize) {}

    /// `replica` tells that its counts have become these at `time`; in lockstep it says in which step. Told in any order.
    fn take_counts(&mut self, _time: SimTime, _replica: usize, _counts: EngineCounts, _step: Option<WaveStep>) {}

    /// All requests so far have been answered, and the clock begins again.
    fn begin_group(&mut self);
}
