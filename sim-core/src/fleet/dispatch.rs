//! How requests are given out: by a router to replicas, by vLLM to data-parallel ranks, and by both.

use super::router::{Policy, RouterWeights};
use crate::math;
use crate::simulation_error::SimulationError;
use crate::time::SimDuration;

/// How requests are given out to the engines of a fleet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Dispatch {
    /// A router in front of replicas of one engine each, which know nothing of each other.
    Router(RouterSettings),
    /// All engines are the data-parallel ranks of one replica.
    DataParallel(DataParallel),
    /// A router in front of replicas that are data-parallel ranks.
    Replicas {
        /// The router, where vLLM's own balancers are behind it; else it is that of `ranks`.
        router: RouterSettings,
        /// Ranks of each replica, at least 1. The engines of a fleet are those of the first replica, then those of the
        /// next.
        num_ranks: u32,
        /// How they are run.
        ranks: DataParallel,
    },
}

/// How data-parallel ranks are run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DataParallel {
    /// Of a model with experts: steps from one at which ranks ask each other for work to the next, at least 1
    /// (`--dp-sync-interval`). `None` for ranks that are independent.
    pub dp_sync_interval: Option<u32>,
    /// A router outside, which sees several addresses of a replica (`--data-parallel-external-lb`,
    /// `--data-parallel-hybrid-lb`). `None` for vLLM's own balancer, in API servers that all ranks have in common.
    pub router: Option<RouterSettings>,
    /// Ranks behind each of these addresses, which divides the number of ranks: 1 with `--data-parallel-external-lb`, a
    /// node's with `--data-parallel-hybrid-lb` (`--data-parallel-size-local`), which are balanced by API servers of their
    /// own. Not looked at without a router.
    pub num_local_ranks: u32,
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

/// How the engines of a fleet belong together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Layout {
    /// Who chooses among addresses.
    pub(super) router: RouterSettings,
    /// Engines of each replica: they live and die together, and step together if they do.
    pub(super) num_ranks: usize,
    /// Engines behind each address: they have API servers in common.
    pub(super) num_local_ranks: usize,
    /// Of engines that step together.
    pub(super) dp_sync_interval: Option<u32>,
}

impl Dispatch {
    /// How so many engines belong together.
    ///
    /// # Errors
    /// [`SimulationError::UnevenRanks`] if they cannot be divided so, [`SimulationError::NoReplicas`] for none.
    pub(super) fn layout(self, num_engines: usize) -> Result<Layout, SimulationError> {
        if num_engines == 0 {
            return Err(SimulationError::NoReplicas);
        }
        let (router, num_ranks, ranks) = match self {
            Self::Router(router) => (router, 1, None),
            Self::DataParallel(ranks) => (RouterSettings::default(), num_engines, Some(ranks)),
            Self::Replicas { router, num_ranks, ranks } => (router, math::u32_to_usize(num_ranks), Some(ranks)),
        };
        let outside = ranks.and_then(|ranks| ranks.router.map(|router| (router, ranks.num_local_ranks)));
        let (router, num_local_ranks) =
            outside.map_or((router, num_ranks), |(router, local)| (router, math::u32_to_usize(local)));
        let divides = |part: usize, whole: usize| part > 0 && whole.is_multiple_of(part);
        if !divides(num_ranks, num_engines) || !divides(num_local_ranks, num_ranks) {
            let [num_engines, num_ranks, num_local_ranks] =
                [num_engines, num_ranks, num_local_ranks].map(math::usize_to_u32);
            return Err(SimulationError::UnevenRanks { num_engines, num_ranks, num_local_ranks });
        }
        let dp_sync_interval = ranks.and_then(|ranks| ranks.dp_sync_interval);
        Ok(Layout { router, num_ranks, num_local_ranks, dp_sync_interval })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dispatch: Dispatch, num_engines: usize, expect: Option<[usize; 2]>) {
        let found = dispatch.layout(num_engines).ok().map(|layout| [layout.num_ranks, layout.num_local_ranks]);
        assert_eq!(found, expect, "{num_engines} engines, {dispatch:?}");
    }

    #[test]
    fn engines_are_divided_evenly_or_not_at_all() {
        let router = RouterSettings::default();
        let internal = DataParallel { dp_sync_interval: None, router: None, num_local_ranks: 1 };
        let hybrid = |num_local_ranks| DataParallel { router: Some(router), num_local_ranks, ..internal };
        let replicas = |num_ranks, ranks| Dispatch::Replicas { router, num_ranks, ranks };
        check(Dispatch::Router(router), 3, Some([1, 1]));
        check(Dispatch::Router(router), 0, None);
        check(Dispatch::DataParallel(internal), 3, Some([3, 3]));
        check(Dispatch::DataParallel(hybrid(1)), 3, Some([3, 1]));
        check(Dispatch::DataParallel(hybrid(2)), 3, None);
        check(replicas(2, internal), 6, Some([2, 2]));
        check(replicas(4, internal), 6, None);
        check(replicas(0, internal), 6, None);
        check(replicas(4, hybrid(2)), 8, Some([4, 2]));
        check(replicas(4, hybrid(0)), 8, None);
    }
}
