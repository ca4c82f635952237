//! Workers that move KV blocks between the device and the host's memory: when transfers begin, end and are told of.
//!
//! Source: `vllm/v1/kv_offload/cpu/gpu_worker.py` and the connector's `worker.py`. Each direction is a queue: a transfer
//! begins when the one before it has ended, and behind the passes that were issued before it. Stores are handed over
//! with the pass after the one that computed them. What has to be flushed is waited for before a pass is launched.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Simulation;
use crate::config::EngineConfig;
use crate::engine_core::EngineCore;
use crate::kv_offload::connector::OffloadingConnector;
use crate::profile::OffloadingLink;
use crate::request::RequestId;
use crate::request_set::RequestSet;
use crate::sched::connector::interface::{
    JobId, KvConnectorError, KvConnectorPass, KvLoadFailurePolicy, KvRole, KvTransferConfig, TransferJob,
};
use crate::simulation_result::OffloadingTotals;
use crate::time::SimTime;

/// The workers of an engine that offloads.
#[derive(Debug)]
pub(super) struct OffloadingWorkers {
    link: OffloadingLink,
    /// Of one device; all devices of an engine move their parts side by side.
    block_bytes: u64,
    /// When the last transfer of either direction ends: loads, stores.
    queues: [SimTime; 2],
    /// When the last pass issued ends.
    device_free: SimTime,
    /// When each transfer ends, and whom it loads for.
    under_way: BTreeMap<JobId, (SimTime, Option<RequestId>)>,
    /// Stores that begin with the next pass.
    put_off: Vec<TransferJob>,
    totals: OffloadingTotals,
}

impl OffloadingWorkers {
    fn new(config: &EngineConfig, link: OffloadingLink) -> Self {
        Self {
            link,
            block_bytes: config.kv_cache.bytes_per_block(),
            queues: [SimTime::ZERO; 2],
            device_free: SimTime::ZERO,
            under_way: BTreeMap::new(),
            put_off: Vec::new(),
            totals: OffloadingTotals::default(),
        }
    }

    /// Whether something will end without anybody doing anything.
    pub(super) fn is_at_work(&self) -> bool {
        !self.under_way.is_empty()
    }

    fn submit(&mut self, now: SimTime, job: &TransferJob) {
        let num_bytes = u64::from(job.num_blocks).saturating_mul(self.block_bytes);
        let duration = self.link.time(num_bytes);
        let free = &mut self.queues[usize::from(job.is_store)];
        *free = now.max(*free).max(self.device_free) + duration;
        self.under_way.insert(job.id, (*free, (!job.is_store).then_some(job.request)));
        let totals = if job.is_store { &mut self.totals.stores } else { &mut self.totals.loads };
        totals.num_transfers += 1;
        totals.num_bytes += num_bytes;
        totals.time += duration;
    }

    /// The workers get a pass that was decided by `now`; returns when they launch it, having filled in its report.
    pub(super) fn launch(&mut self, now: SimTime, pass: &mut KvConnectorPass) -> SimTime {
        for job in core::mem::take(&mut self.put_off) {
            self.submit(now, &job);
        }
        let (flushed, put_off): (Vec<_>, Vec<_>) =
            pass.jobs.iter().filter(|job| job.is_store).partition(|job| pass.jobs_to_flush.contains(&job.id));
        self.put_off = put_off;
        flushed.iter().for_each(|job| self.submit(now, job));
        let ends = pass.jobs_to_flush.iter().filter_map(|id| self.under_way.get(id));
        let launch_time = ends.fold(now, |time, &(end, _)| time.max(end));
        self.totals.flush_wait += launch_time.saturating_since(now);
        for job in pass.jobs.iter().filter(|job| !job.is_store) {
            self.submit(launch_time, job);
        }
        for load in &pass.async_loads {
            self.totals.num_loaded_tokens += u64::from(load.num_external_tokens);
        }
        self.totals.max_chunks = self.totals.max_chunks.max(pass.num_resident_chunks.0);
        let report = &mut pass.report;
        self.under_way.retain(|&id, &mut (end, loaded)| {
            if end <= launch_time {
                report.completed_jobs.push(id);
                report.finished_recving.extend(loaded);
            }
            end > launch_time
        });
        launch_time
    }

    /// The pass that was launched last ends then.
    pub(super) fn note_pass(&mut self, end_time: SimTime) {
        self.device_free = self.device_free.max(end_time);
    }

    /// The clock begins again, on an engine at rest.
    pub(super) fn begin_group(&mut self) {
        (self.queues, self.device_free) = ([SimTime::ZERO; 2], SimTime::ZERO);
        self.totals = OffloadingTotals::default();
    }

    pub(super) const fn totals(&self) -> OffloadingTotals {
        self.totals
    }
}

/// An engine of `config`, with its connector if it has one.
///
/// # Errors
/// If the engine's rules with a connector are not known.
pub(super) fn engine_of<'a>(
    config: &'a EngineConfig,
    requests: &'a RequestSet,
) -> Result<EngineCore<'a>, KvConnectorError> {
    let Some(settings) = config.kv_offloading else { return Ok(EngineCore::counting_steady(config, requests)) };
    let transfer = KvTransferConfig { kv_role: KvRole::Both, kv_load_failure_policy: KvLoadFailurePolicy::Fail };
    EngineCore::with_connector(config, requests, transfer, Box::new(OffloadingConnector::new(config, settings)))
}

impl Simulation<'_> {
    /// Its workers, if it offloads.
    pub(super) fn workers_of(config: &EngineConfig, link: OffloadingLink) -> Option<OffloadingWorkers> {
        config.kv_offloading.map(|_| OffloadingWorkers::new(config, link))
    }

    /// Whether transfers are under way that will end whatever else happens.
    pub(super) fn is_moving_blocks(&self) -> bool {
        self.offloading.as_ref().is_some_and(OffloadingWorkers::is_at_work)
    }
}
