//! What the scheduler remembers for its connector.
//!
//! Source: `vllm/v1/core/sched/scheduler.py::Scheduler`, the members that only a connector uses.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::interface::{
    ExternalStats, KvConnector, KvConnectorOutput, KvLoadFailurePolicy, KvTransferConfig, NewText, ScheduledBlocks,
};
use super::tiers::TierEvent;
use crate::config::EngineConfig;
use crate::request::RequestId;
use crate::sched::live_request::Place;
use crate::sched::output::SchedulerOutput;
use crate::sched::request_queue::RequestQueue;
use crate::sched::scheduler::Scheduler;

/// The connector, and where its requests stand.
#[derive(Debug)]
pub(in crate::sched) struct Connector {
    pub(super) kv_connector: Box<dyn KvConnector>,
    /// What the workers will find with the next pass, of transfers that the connector does not time itself.
    pub(super) ended: KvConnectorOutput,
    pub(super) recomputes: bool,
    pub(super) is_producer: bool,
    /// Waiting requests that hold blocks (`kv_holding_waiting`); served before the others.
    pub(in crate::sched) holding: RequestQueue,
    /// Requests that wait for a load (`WAITING_FOR_REMOTE_KVS`).
    pub(super) loading: BTreeSet<RequestId>,
    /// What of these was found in the prefix cache.
    pub(super) local_hits: BTreeMap<RequestId, u32>,
    /// Of these, those whose load has ended (`finished_recving_kv_req_ids`).
    pub(super) received: BTreeSet<RequestId>,
    /// Of these, those whose load failed (`failed_recving_kv_req_ids`).
    pub(super) failed: BTreeSet<RequestId>,
    /// Requests that have ended and whose blocks are kept.
    pub(super) delayed: BTreeSet<RequestId>,
    /// Requests of whose prompts something is left to compute or to load (`_inflight_prefills`).
    pub(super) prefills: BTreeSet<RequestId>,
    /// Requests whose results from before their preemption are dropped.
    pub(super) drops_stale: BTreeSet<RequestId>,
    /// Requests of the report being taken in whose results do not count.
    pub(super) hit_by_failure: BTreeSet<RequestId>,
    pub(super) fence: Fence,
    pub(super) stats: ExternalStats,
}

/// Blocks that passes under way read are not given to anybody else.
#[derive(Debug)]
pub(super) struct Fence {
    /// Whether there is one: on the consumer's side with more than one pass under way.
    is_on: bool,
    num_issued: u64,
    num_processed: u64,
    /// Which pass computed tokens of a request last.
    last_pass: BTreeMap<RequestId, u64>,
    /// Tables, each with the pass whose results free it.
    deferred: VecDeque<(u64, Vec<u32>)>,
}

impl Connector {
    pub(in crate::sched) fn new(
        config: &EngineConfig,
        settings: KvTransferConfig,
        kv_connector: Box<dyn KvConnector>,
    ) -> Self {
        Self {
            ended: KvConnectorOutput::default(),
            recomputes: settings.kv_load_failure_policy == KvLoadFailurePolicy::Recompute,
            is_producer: settings.kv_role.is_producer() && kv_connector.requires_kv_delivery(),
            kv_connector,
            holding: RequestQueue::new(config.policy),
            loading: BTreeSet::new(),
            local_hits: BTreeMap::new(),
            received: BTreeSet::new(),
            failed: BTreeSet::new(),
            delayed: BTreeSet::new(),
            prefills: BTreeSet::new(),
            drops_stale: BTreeSet::new(),
            hit_by_failure: BTreeSet::new(),
            stats: ExternalStats::default(),
            fence: Fence {
                is_on: settings.kv_role.is_consumer() && config.max_concurrent_batches() > 1,
                num_issued: 0,
                num_processed: 0,
                last_pass: BTreeMap::new(),
                deferred: VecDeque::new(),
            },
        }
    }

    /// A request is looked at for the first time.
    pub(in crate::sched) fn note_new_request(&mut self, request: &NewText<'_>) {
        self.kv_connector.on_new_request(request);
    }

    /// Whether a result does not count: of a request that ended or whose load failed, or one of before a preemption
    /// that a producer drops.
    pub(in crate::sched) fn ignores_result(&self, id: RequestId, is_stale: bool) -> bool {
        self.hit_by_failure.contains(&id) || self.delayed.contains(&id) || (is_stale && self.drops_stale.contains(&id))
    }

    /// A running request is preempted; it has stale results already or not.
    pub(in crate::sched) fn note_preemption(&mut self, id: RequestId, has_stale: bool) {
        if self.is_producer {
            self.drops_stale.insert(id);
        } else if !has_stale {
            self.drops_stale.remove(&id);
        }
        self.prefills.remove(&id);
    }

    /// Whether a request's blocks can be given to others at once (`_can_free_blocks`).
    pub(in crate::sched) fn can_free(&self, id: RequestId) -> bool {
        self.fence.is_past(id)
    }

    /// A pass is decided: of each of its requests, whether it reaches the last known token.
    fn note_pass(&mut self, scheduled: impl Iterator<Item = (RequestId, bool)>) {
        let number = self.fence.num_issued + 1;
        let mut has_tokens = false;
        for (id, emits) in scheduled {
            has_tokens = true;
            if self.fence.is_on {
                self.fence.last_pass.insert(id, number);
            }
            if emits {
                self.prefills.remove(&id);
            }
        }
        self.fence.num_issued += u64::from(has_tokens);
    }

    /// A pass is decided: workers hear of it and report.
    fn end_pass(&mut self, output: &mut SchedulerOutput, scheduled: &[ScheduledBlocks<'_>]) {
        self.note_pass(output.scheduled.iter().map(|part| (part.id, part.emits())));
        let num_holding = crate::math::usize_to_u32(self.holding.len());
        if let Some(pass) = &mut output.kv_connector {
            pass.num_holding = num_holding;
            self.kv_connector.build_connector_meta(scheduled, &output.preempted_reqs, pass);
            pass.report = self.kv_connector.execute();
            pass.report.append(&mut self.ended);
        }
    }

    /// Forgets a request that is gone.
    pub(super) fn forget(&mut self, id: RequestId) {
        for set in [&mut self.loading, &mut self.received, &mut self.failed, &mut self.delayed] {
            set.remove(&id);
        }
        self.prefills.remove(&id);
        self.local_hits.remove(&id);
        self.drops_stale.remove(&id);
        self.fence.last_pass.remove(&id);
    }
}

impl Scheduler<'_> {
    /// Waiting requests, those that hold blocks included.
    pub(in crate::sched) fn num_waiting(&self) -> usize {
        self.waiting.len() + self.connector.as_ref().map_or(0, |connector| connector.holding.len())
    }

    /// Whether passes are needed without requests: some that have ended still hold blocks, or transfers are under way.
    pub(in crate::sched) fn has_transfers(&self) -> bool {
        let has_some =
            |connector: &Connector| !connector.delayed.is_empty() || connector.kv_connector.has_pending_push_work();
        self.connector.as_deref().is_some_and(has_some)
    }

    /// Counts so many passes as decided, with nothing in them.
    pub(crate) fn skip_passes(&mut self, num_passes: u32) {
        self.pass_number += u64::from(num_passes);
    }

    /// What the connector was asked for; `None` without one.
    #[must_use]
    pub fn external_stats(&self) -> Option<ExternalStats> {
        self.connector.as_ref().map(|connector| connector.stats)
    }

    /// Whether nothing is left of a request that has ended, so that another may have its number.
    pub(crate) fn has_forgotten(&self, id: RequestId) -> bool {
        let remembers = |connector: &Connector| connector.kv_connector.remembers(id);
        matches!(self.live.place(id), Place::Absent) && !self.connector.as_deref().is_some_and(remembers)
    }

    /// Whether a request has ended, though its blocks are kept.
    pub(in crate::sched) fn is_delayed(&self, id: RequestId) -> bool {
        self.connector.as_ref().is_some_and(|connector| connector.delayed.contains(&id))
    }

    /// Transfers have ended: the next pass's report has them.
    pub(crate) fn report_transfers(&mut self, mut ended: KvConnectorOutput) {
        if let Some(connector) = &mut self.connector {
            connector.ended.append(&mut ended);
        }
    }

    /// What happened in tiers behind the host's memory by what their clock shows: who decides the next pass knows it.
    pub(crate) fn report_tiers(&mut self, clock_ns: u64, events: &[TierEvent]) {
        if let Some(connector) = &mut self.connector {
            connector.kv_connector.report_tiers(clock_ns, events);
        }
    }

    /// A pass is decided.
    pub(in crate::sched) fn end_connector_pass(&mut self, output: &mut SchedulerOutput) {
        let Some(connector) = &mut self.connector else { return };
        let (live, kv_cache) = (&self.live, &self.kv_cache);
        let scheduled = output.scheduled.iter().map(|part| {
            let request = live.get(part.slot);
            ScheduledBlocks {
                id: part.id,
                num_tokens: request.num_tokens,
                num_computed_tokens: part.num_computed_tokens + part.num_scheduled_tokens,
                blocks: kv_cache.table(&request.blocks),
            }
        });
        let scheduled: Vec<_> = scheduled.collect();
        connector.end_pass(output, &scheduled);
    }
}

impl Fence {
    fn is_past(&self, id: RequestId) -> bool {
        !self.is_on || self.last_pass.get(&id).is_none_or(|&pass| pass <= self.num_processed)
    }

    /// Keeps a table until the pass issued last is processed.
    pub(super) fn defer(&mut self, table: Vec<u32>) {
        if !table.is_empty() {
            self.deferred.push_back((self.num_issued, table));
        }
    }

    /// A pass is processed; tables that are free now come one by one.
    pub(super) fn note_processed(&mut self, has_tokens: bool) {
        self.num_processed += u64::from(has_tokens);
    }

    /// The next table that no pass under way reads any longer.
    pub(super) fn take_freed(&mut self) -> Option<Vec<u32>> {
        let is_past = self.deferred.front().is_some_and(|&(pass, _)| pass <= self.num_processed);
        if is_past { self.deferred.pop_front().map(|(_, table)| table) } else { None }
    }
}
