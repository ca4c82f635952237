//! Who decides to which replica a request goes, and what that one is told and when.

use alloc::boxed::Box;
use core::fmt;

use super::router::{Arrival, Policy, RouterWeights};
use super::router_desk::RouterDesk;
use crate::config::EngineConfig;
use crate::request::RequestId;
use crate::simulator::Simulation;
use crate::time::{SimDuration, SimTime};

/// How requests are given out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Dispatch {
    /// A router in front of replicas that know nothing of each other.
    Router(RouterSettings),
}

/// A router, and what it does by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RouterSettings {
    /// Which.
    pub policy: Policy,
    /// Of what it draws.
    pub seed: u64,
    /// How often it reads the replicas' metrics, if it uses them.
    pub scrape_interval: SimDuration,
    /// What it weighs with.
    pub weights: RouterWeights,
}

impl RouterSettings {
    /// llm-d reads metrics every 50 ms (`refreshMetricsInterval`).
    pub const SCRAPE_INTERVAL: SimDuration = SimDuration::from_nanos(50_000_000);
}

impl Default for RouterSettings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            seed: 0,
            scrape_interval: Self::SCRAPE_INTERVAL,
            weights: RouterWeights::default(),
        }
    }
}

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

    /// All requests so far have been answered, and the clock begins again.
    fn begin_group(&mut self);
}

impl Dispatch {
    /// A desk that has given out nothing yet.
    pub(super) fn desk(self, configs: &[&EngineConfig]) -> Box<dyn Desk> {
        match self {
            Self::Router(settings) => Box::new(RouterDesk::new(settings, configs.len())),
        }
    }
}
