//! `--data-parallel-size`: how many ranks answer behind vLLM's own front end, and what that makes of their engines.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::{String, ToString as _};

use super::fleet_args::MAX_REPLICAS;
use super::{Scenario, ScenarioError};
use crate::config::flags::FlagError;
use crate::config::{Reason, ResolvedEngine};
use crate::fleet::{DataParallel, Dispatch};

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
    /// [`ScenarioError::Flag`] for more than [`MAX_REPLICAS`], and for several replicas of several ranks each.
    pub fn ranks(&self, is_lockstep: bool) -> Result<Ranks, ScenarioError> {
        let count = self.model_args().data_parallel_size.unwrap_or(1);
        if count > MAX_REPLICAS {
            let need = "at most 1024, of which each has an engine";
            return Err(FlagError::value("--data-parallel-size", &count.to_string(), need).into());
        }
        if count > 1 && self.fleet().replicas > 1 {
            let why = "replicas are engines that stand alone; several of several data-parallel ranks each are too many \
                       fleets at once";
            return Err(FlagError::NotSimulated { flag: "--data-parallel-size".to_owned(), why }.into());
        }
        let interval = self.engine().dp_sync_interval.map_or(Ok(DP_SYNC_INTERVAL), |given| {
            let wrong = || FlagError::value("--dp-sync-interval", &given.to_string(), "at least 1");
            u32::try_from(given).ok().filter(|&interval| interval > 0).ok_or_else(wrong)
        })?;
        let is_external = self.engine().data_parallel_external_lb == Some(true);
        let settings = DataParallel {
            dp_sync_interval: (is_lockstep && count > 1).then_some(interval),
            router: is_external.then(|| self.fleet().router_settings(u64::from(self.workload().seed()))),
            num_local_ranks: 1,
        };
        Ok(Ranks { count, settings })
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
    /// Who gives out requests.
    #[must_use]
    pub const fn dispatch(self) -> Dispatch {
        Dispatch::DataParallel(self.settings)
    }

    /// Makes `engine`, as it is alone, one of these ranks. If nobody said how many API servers there are, it is one for each
    /// rank, with a router outside as well as with vLLM's balancer, whose they all are (`entrypoints/cli/serve.py`).
    pub fn apply(self, engine: &mut ResolvedEngine) {
        if self.count == 1 {
            return;
        }
        engine.config.steps_with_others = self.settings.dp_sync_interval.is_some();
        if self.settings.router.is_some() {
            return;
        }
        let servers = engine.reasons.iter_mut().find(|entry| entry.field == "api_server_count");
        if let Some(entry) = servers.filter(|entry| entry.reason != Reason::Given) {
            entry.reason = Reason::Default { why: "one for each data-parallel rank".to_owned() };
            engine.config.api_server_count = self.count;
        }
    }
}
