//! Who decides to which replica a request goes, and what that one is told and when.

use alloc::boxed::Box;
use core::fmt;

use super::data_parallel::balancer::EngineCounts;
use super::data_parallel::coordinator::WaveStep;
use super::data_parallel::rank_desk::RankDesk;
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
    /// The replicas are vLLM's data-parallel ranks.
    DataParallel(DataParallel),
}

/// How data-parallel ranks are run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DataParallel {
    /// Of a model with experts: steps from one at which ranks ask each other for work to the next, at least 1
    /// (`--dp-sync-interval`). `None` for ranks that are independent.
    pub dp_sync_interval: Option<u32>,
    /// A router outside, in front of API servers of each rank's own (`--data-parallel-external-lb`). `None` for vLLM's own
    /// balancer, in API servers that all ranks have in common.
    pub router: Option<RouterSettings>,
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
    /// `replica` tells that its counts have become these at `time`; in lockstep it says in which step. Told in any order.
    fn take_counts(&mut self, _time: SimTime, _replica: usize, _counts: EngineCounts, _step: Option<WaveStep>) {}

    /// All requests so far have been answered, and the clock begins again.
    fn begin_group(&mut self);
}

impl Dispatch {
    /// A desk that has given out nothing yet.
    pub(super) fn desk(self, configs: &[&EngineConfig]) -> Box<dyn Desk> {
        match self {
            Self::Router(settings) | Self::DataParallel(DataParallel { router: Some(settings), .. }) => {
                Box::new(RouterDesk::new(settings, configs.len()))
            }
            Self::DataParallel(DataParallel { dp_sync_interval, router: None }) => {
                let num_servers = configs.first().map_or(1, |config| config.api_server_count);
                Box::new(RankDesk::new(configs.len(), num_servers, dp_sync_interval.is_some()))
            }
        }
    }

    /// How ranks are run, if the replicas are ranks.
    pub(super) const fn data_parallel(self) -> Option<DataParallel> {
        match self {
            Self::Router(_) => None,
            Self::DataParallel(settings) => Some(settings),
        }
    }
}
