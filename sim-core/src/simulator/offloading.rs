//! Workers that move KV blocks between the device and the host's memory: when transfers begin, end and are told of.
//!
//! Source: `vllm/v1/kv_offload/cpu/gpu_worker.py` and the connector's `worker.py`. Each direction is a queue: a transfer
//! begins when the one before it has ended, and behind the passes that were issued before it. Stores are handed over
//! with the pass after the one that computed them. What has to be flushed is waited for before a pass is launched.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::tiers::Tiers;
use crate::config::EngineConfig;
use crate::engine_core::EngineCore;
use crate::kv_offload::connector::OffloadingConnector;
use crate::kv_offload::settings::OffloadingSettings;
use crate::profile::{OffloadingLink, StepTimeModel};
use crate::request::RequestId;
use crate::request_set::RequestSet;
use crate::sched::connector::interface::{
    ExternalTokens, JobId, KvConnectorError, KvConnectorPass, KvLoadFailurePolicy, KvRole, KvTransferConfig,
    TransferJob,
};
use crate::sched::output::SchedulerOutput;
use crate::simulation_result::{EndedTransfer, OffloadingTotals};
use crate::time::SimTime;

/// Transfers of an engine with a KV connector.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    /// Loads that somebody else times, and when they began.
    begun: Vec<(SimTime, ExternalTokens)>,
    /// Where the engine has host memory for its blocks.
    workers: Option<OffloadingWorkers>,
}

/// The workers of an engine that offloads.
#[derive(Debug)]
struct OffloadingWorkers {
    link: OffloadingLink,
    /// Of one device; all devices of an engine move their parts side by side.
    block_bytes: u64,
    /// When the last transfer of either direction ends: loads, stores.
    queues: [SimTime; 2],
    /// When the last pass issued ends.
    device_free: SimTime,
    under_way: BTreeMap<JobId, UnderWay>,
    /// Transfers that have ended, for who asks for them; `None` if nobody does.
    ended: Option<BTreeMap<JobId, EndedTransfer>>,
    /// Stores that begin with the next pass.
    put_off: Vec<TransferJob>,
    totals: OffloadingTotals,
    tiers: Tiers,
}

/// A transfer under way.
#[derive(Debug, Clone, Copy)]
struct UnderWay {
    end: SimTime,
    /// Whom it loads for.
    loaded: Option<RequestId>,
    transfer: EndedTransfer,
}

impl OffloadingWorkers {
    fn new(config: &EngineConfig, settings: &OffloadingSettings, step_time: &StepTimeModel) -> Self {
        let link = step_time.host().offloading_link();
        Self {
            link,
            block_bytes: config.kv_cache.bytes_per_block(),
            queues: [SimTime::ZERO; 2],
            device_free: SimTime::ZERO,
            under_way: BTreeMap::new(),
            ended: None,
            put_off: Vec::new(),
            totals: OffloadingTotals::default(),
            tiers: Tiers::new(settings, step_time.host().tier_speeds()),
        }
    }

    fn submit(&mut self, now: SimTime, job: &TransferJob) {
        let num_bytes = u64::from(job.num_blocks).saturating_mul(self.block_bytes);
        let duration = self.link.time(num_bytes);
        let free = &mut self.queues[usize::from(job.is_store)];
        *free = now.max(*free).max(self.device_free) + duration;
        let transfer = EndedTransfer { is_store: job.is_store, num_bytes, time: duration };
        let loaded = (!job.is_store).then_some(job.request);
        self.under_way.insert(job.id, UnderWay { end: *free, loaded, transfer });
        let totals = if job.is_store { &mut self.totals.stores } else { &mut self.totals.loads };
        totals.num_transfers += 1;
        totals.num_bytes += num_bytes;
        totals.time += duration;
    }

    /// The workers get a pass that was decided by `now`; returns when they launch it, having filled in its report.
    fn launch(&mut self, now: SimTime, pass: &mut KvConnectorPass, has_tokens: bool) -> SimTime {
        self.tiers.begin(now, &pass.tiers, has_tokens);
        for job in core::mem::take(&mut self.put_off) {
            self.submit(now, &job);
        }
        let (flushed, put_off): (Vec<_>, Vec<_>) =
            pass.jobs.iter().filter(|job| job.is_store).partition(|job| pass.jobs_to_flush.contains(&job.id));
        self.put_off = put_off;
        flushed.iter().for_each(|job| self.submit(now, job));
        let ends = pass.jobs_to_flush.iter().filter_map(|id| self.under_way.get(id));
        let launch_time = ends.fold(now, |time, under_way| time.max(under_way.end));
        self.totals.flush_wait += launch_time.saturating_since(now);
        for job in pass.jobs.iter().filter(|job| !job.is_store) {
            self.submit(launch_time, job);
        }
        for load in &pass.async_loads {
            self.totals.num_loaded_tokens += u64::from(load.num_external_tokens);
        }
        let from_tiers = pass.tiers.loaded.iter().map(|&(_, num_tokens)| u64::from(num_tokens));
        self.totals.num_tier_tokens += from_tiers.sum::<u64>();
        self.totals.num_dropped_chunks += u64::from(pass.tiers.num_dropped);
        self.totals.max_chunks = self.totals.max_chunks.max(pass.num_resident_chunks.0);
        let report = &mut pass.report;
        self.under_way.retain(|&id, &mut UnderWay { end, loaded, transfer }| {
            if end <= launch_time {
                report.completed_jobs.push(id);
                report.finished_recving.extend(loaded);
                if let Some(ended) = &mut self.ended {
                    ended.insert(id, transfer);
                }
            }
            end > launch_time
        });
        launch_time
    }
}

/// An engine of `config` for `requests`, with its connector if it has one; without one it counts steady requests.
///
/// # Errors
/// If the engine's rules with a connector are not known.
pub(crate) fn engine_of<'a>(
    config: &'a EngineConfig,
    requests: &'a RequestSet,
) -> Result<EngineCore<'a>, KvConnectorError> {
    engine_with(config, Cow::Borrowed(requests), true)
}

/// The same, whose own requests may become more; it looks at each in every pass.
///
/// # Errors
/// If the engine's rules with a connector are not known.
pub(crate) fn live_engine_of(config: &EngineConfig, requests: RequestSet) -> Result<EngineCore<'_>, KvConnectorError> {
    engine_with(config, Cow::Owned(requests), false)
}

fn engine_with<'a>(
    config: &'a EngineConfig,
    requests: Cow<'a, RequestSet>,
    counts_steady: bool,
) -> Result<EngineCore<'a>, KvConnectorError> {
    let Some(settings) = config.kv_offloading else {
        return Ok(EngineCore::with_requests(config, requests, counts_steady));
    };
    let mut engine = EngineCore::with_requests(config, requests, false);
    let transfer = KvTransferConfig { kv_role: KvRole::Both, kv_load_failure_policy: KvLoadFailurePolicy::Fail };
    engine.scheduler.set_connector(transfer, Box::new(OffloadingConnector::new(config, settings)))?;
    Ok(engine)
}

impl Transfers {
    /// Those of an engine of `config`, if it has a connector by itself.
    pub(crate) fn new(config: &EngineConfig, step_time: &StepTimeModel) -> Self {
        let workers = config.kv_offloading.as_ref();
        let workers = workers.map(|settings| OffloadingWorkers::new(config, settings, step_time));
        Self { begun: Vec::new(), workers }
    }

    /// A pass is going to be decided at `now`, by what has happened in tiers behind the host's memory; whether something has.
    pub(crate) fn report_tiers(&mut self, now: SimTime, engine: &mut EngineCore<'_>) -> bool {
        let Some(workers) = self.workers.as_mut().filter(|workers| workers.tiers.are_some()) else { return false };
        let events = workers.tiers.take_events(now);
        engine.report_tiers(now, &events);
        !events.is_empty()
    }

    /// A pass is decided by `now`; returns when it is launched.
    pub(crate) fn launch(&mut self, now: SimTime, output: &mut SchedulerOutput) -> SimTime {
        let has_tokens = output.has_tokens();
        match (&mut self.workers, &mut output.kv_connector) {
            (Some(workers), Some(pass)) => workers.launch(now, pass, has_tokens),
            _ => {
                self.begun.extend(output.async_loads().iter().map(|load| (now, *load)));
                now
            }
        }
    }

    /// The pass that was launched last ends then.
    pub(crate) fn note_pass(&mut self, end_time: SimTime) {
        if let Some(workers) = &mut self.workers {
            workers.device_free = workers.device_free.max(end_time);
        }
    }

    /// When something happens to those under way, whatever else does; `None` if they are timed by somebody else, if there are
    /// none, or if they bring about nothing but each other.
    pub(crate) fn next_event(&self) -> Option<SimTime> {
        let workers = self.workers.as_ref().filter(|_| self.is_under_way())?;
        let ends = workers.under_way.values().map(|under_way| under_way.end);
        ends.chain(workers.tiers.next_event()).min()
    }

    /// From now on those that have ended are kept for [`Self::take_ended`].
    pub(crate) fn keep_ended(&mut self) {
        if let Some(workers) = &mut self.workers {
            workers.ended = Some(BTreeMap::new());
        }
    }

    /// Transfer `id`, which has ended.
    pub(crate) fn take_ended(&mut self, id: JobId) -> Option<EndedTransfer> {
        self.workers.as_mut()?.ended.as_mut()?.remove(&id)
    }

    /// Whether some are under way that will end whatever else happens.
    pub(super) fn is_under_way(&self) -> bool {
        let is_under_way = |workers: &OffloadingWorkers| !workers.under_way.is_empty() || workers.tiers.is_under_way();
        self.workers.as_ref().is_some_and(is_under_way)
    }

    /// Loads that somebody else times, since this was asked last.
    pub(super) fn take_loads(&mut self, loads: &mut Vec<(SimTime, ExternalTokens)>) {
        loads.append(&mut self.begun);
    }

    /// The clock begins again, on an engine at rest.
    pub(super) fn begin_group(&mut self) {
        if let Some(workers) = &mut self.workers {
            (workers.queues, workers.device_free) = ([SimTime::ZERO; 2], SimTime::ZERO);
            workers.totals = OffloadingTotals::default();
            workers.tiers.begin_group();
        }
    }

    /// What was moved, if anything is to be.
    pub(crate) fn totals(&self) -> Option<OffloadingTotals> {
        self.workers.as_ref().map(|workers| OffloadingTotals { tiers: workers.tiers.totals(), ..workers.totals })
    }
}
