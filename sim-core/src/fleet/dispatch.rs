//! How requests are given out to replicas: by a router, or by vLLM to data-parallel ranks.

use super::router::{Policy, RouterWeights};
use crate::time::SimDuration;

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

impl Dispatch {
    /// How ranks are run, if the replicas are ranks.
    pub(super) const fn data_parallel(self) -> Option<DataParallel> {
        match self {
            Self::Router(_) => None,
            Self::DataParallel(settings) => Some(settings),
        }
    }
}
