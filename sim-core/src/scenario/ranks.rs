//! `--data-parallel-size`: how many ranks answer behind vLLM's own front end, and what that makes of their engines.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::{String, ToString as _};

use super::fleet_args::MAX_REPLICAS;
use super::{Scenario, ScenarioError};
use crate::config::flags::FlagError;
use crate::config::{Reason, ResolvedEngine};
use crate::fleet::{DataParallel, Dispatch, RouterSettings};

/// `ParallelConfig.dp_sync_interval`.
const DP_SYNC_INTERVAL: u32 = 16;

/// The data-parallel ranks of a run; one is an engine that stands alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranks {
    /// How many, from 1 to [`MAX_REPLICAS`].
    pub count: u32,
    /// How they are run.
    pub settings: DataParallel,
}

impl Scenario {
    /// The ranks of this scenario, all of which are simulated; `is_lockstep` if they have experts in common.
    ///
    /// # Errors
    /// [`ScenarioError::Flag`] for more than [`MAX_REPLICAS`], [`ScenarioError::Value`] for ranks of a node that are not.
    pub fn ranks(&self, is_lockstep: bool) -> Result<Ranks, ScenarioError> {
        let count = self.model_args().data_parallel_size.unwrap_or(1);
        if count > MAX_REPLICAS {
            let need = "at most 1024, of which each has an engine";
            return Err(FlagError::value("--data-parallel-size", &count.to_string(), need).into());
        }
        let interval = self.engine().dp_sync_interval.map_or(Ok(DP_SYNC_INTERVAL), |given| {
            let wrong = || FlagError::value("--dp-sync-interval", &given.to_string(), "at least 1");
            u32::try_from(given).ok().filter(|&interval| interval > 0).ok_or_else(wrong)
        })?;
        let num_local_ranks = self.num_local_ranks(count)?;
        let router = self.fleet().router_settings(u64::from(self.workload().seed()));
        let settings = DataParallel {
            dp_sync_interval: (is_lockstep && count > 1).then_some(interval),
            router: num_local_ranks.map(|_| router),
            num_local_ranks: num_local_ranks.unwrap_or(count),
        };
        Ok(Ranks { count, settings })
    }

    /// Ranks behind each address, if a router outside chooses among several: `EngineArgs.create_engine_config`. Hybrid
    /// balancing of nodes with one rank is external, and of one node vLLM's own.
    fn num_local_ranks(&self, count: u32) -> Result<Option<u32>, ScenarioError> {
        const LOCAL: &str = "data-parallel-size-local";
        let (is_external, is_hybrid) = (
            self.engine().data_parallel_external_lb == Some(true),
            self.engine().data_parallel_hybrid_lb == Some(true),
        );
        let given = self.engine().data_parallel_size_local;
        let value = |need: &str| {
            let value = given.map(|given| given.to_string()).unwrap_or_default();
            Err(ScenarioError::Value { flag: LOCAL, value, need: need.to_owned() })
        };
        let local = match given.map(u32::try_from) {
            None => None,
            Some(Ok(local)) if (1..=count).contains(&local) => Some(local),
            Some(_) => return value(&format!("from 1 to --data-parallel-size, which is {count}")),
        };
        match (is_external, is_hybrid, local) {
            (true, true, _) => Err(FlagError::NotSimulated {
                flag: "--data-parallel-hybrid-lb".to_owned(),
                why: "vLLM has one way to balance; leave out --data-parallel-external-lb",
            }
            .into()),
            (true, false, None | Some(1)) => Ok(Some(1)),
            (true, false, Some(_)) => value("1, as each rank has an address with --data-parallel-external-lb"),
            (false, true, None) => value("said: --data-parallel-hybrid-lb needs the number of ranks of a node"),
            (false, true, Some(local)) if count.is_multiple_of(local) => Ok((local < count).then_some(local)),
            (false, true, Some(_)) => value(&format!("a divisor of --data-parallel-size, which is {count}")),
            (false, false, _) => Ok(None),
        }
    }

    /// How many data-parallel ranks there are where one of them is simulated, with its share of the requests.
    pub(super) fn told_rank(&self) -> Option<String> {
        let count = self.model_args().data_parallel_size.filter(|&count| count > 1)?;
        Some(format!(
            "one of {count} data-parallel ranks is simulated, and the requests are its share; `profiler simulate` has all \
             ranks"
        ))
    }
}

impl Ranks {
    /// Who gives out requests to replicas that are each these ranks, behind `router`.
    #[must_use]
    pub const fn dispatch_behind(self, router: RouterSettings) -> Dispatch {
        if self.count == 1 {
            return Dispatch::Router(router);
        }
        Dispatch::Replicas { router, num_ranks: self.count, ranks: self.settings }
    }

    /// Makes `engine`, as it is alone, one of these ranks. If nobody said how many API servers there are, it is one for each
    /// rank behind an address, with vLLM's balancer, whose they all are, and one with a router before each rank
    /// (`entrypoints/cli/serve.py`).
    pub fn apply(self, engine: &mut ResolvedEngine) {
        if self.count == 1 {
            return;
        }
        engine.config.steps_with_others = self.settings.dp_sync_interval.is_some();
        let num_servers = self.settings.num_local_ranks;
        let servers = engine.reasons.iter_mut().find(|entry| entry.field == "api_server_count");
        if let Some(entry) = servers.filter(|entry| entry.reason != Reason::Given && num_servers > 1) {
            entry.reason = Reason::Default { why: "one for each data-parallel rank".to_owned() };
            engine.config.api_server_count = num_servers;
        }
    }
}
