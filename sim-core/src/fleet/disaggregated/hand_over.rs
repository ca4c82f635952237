//! Hand-overs: whose blocks are to go where, when they go, and who is told.
//!
//! Source: `vllm/distributed/kv_transfer/kv_connector/v1/nixl`: a reader tells the engine that it read from
//! (`pull_worker.py::_read_blocks`, the notification of a transfer); whoever is not told gives blocks back when their
//! lease ends (`base_worker.py::_reap_expired_send_leases`).

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::super::pool::Pool;
use super::links::Route;
use super::result::TransferRecord;
use super::settings::{Disaggregated, HEARTBEAT_INTERVAL, KvBlock, LEASE, LEASE_EXTENSION};
use super::transfer::{Transfer, TransferCosts, Transfers};
use crate::math;
use crate::request::RequestId;
use crate::rng::Pcg64;
use crate::sched::connector::interface::{ExternalTokens, KvConnectorOutput};
use crate::time::SimTime;

/// What is known of each request's hand-over.
#[derive(Debug)]
pub(super) struct HandOvers {
    costs: TransferCosts,
    num_engines: u32,
    block: KvBlock,
    block_size: u32,
    failure_rate: f64,
    random: Pcg64,
    transfers: Transfers,
    /// Leases that nobody's reading ends: when they do, and whose.
    leases: BinaryHeap<Reverse<(SimTime, RequestId)>>,
    /// Of each request.
    records: Vec<TransferRecord>,
    routes: Vec<Route>,
    /// Scratch.
    ended: Vec<(SimTime, Transfer)>,
}

impl HandOvers {
    pub(super) fn new(setup: &Disaggregated<'_>, num_requests: usize) -> Self {
        let num_engines = math::usize_to_u32(setup.prefill.engines.len().max(setup.decode.engines.len()));
        Self {
            costs: setup.costs,
            num_engines,
            block: setup.block,
            block_size: setup.decode.engines.first().map_or(1, |replica| replica.config.kv_cache.scheduler_block_size),
            failure_rate: setup.failure_rate,
            random: Pcg64::stream(setup.seed, "kv-transfer"),
            transfers: Transfers::new(setup.costs, num_engines),
            leases: BinaryHeap::new(),
            records: vec![TransferRecord::default(); num_requests],
            routes: vec![Route { from: 0, to: 0 }; num_requests],
            ended: Vec::new(),
        }
    }

    /// The prefill side's answer to a request came to the proxy, which has chosen an engine of the other side.
    pub(super) fn note_answer(&mut self, id: RequestId, time: SimTime, from: u32, to: u32) {
        self.records[id.index()].answer_time = time;
        self.routes[id.index()] = Route { from, to };
    }

    /// A decode engine begins to load: whole blocks, but for those that it had.
    pub(super) fn begin(&mut self, time: SimTime, load: ExternalTokens) {
        let ExternalTokens { id, num_computed_tokens, num_external_tokens } = load;
        let end = num_computed_tokens + num_external_tokens;
        let num_blocks = u64::from(end.div_ceil(self.block_size) - num_computed_tokens / self.block_size);
        let has_failed = self.random.random() < self.failure_rate;
        let num_bytes = num_blocks.saturating_mul(self.block.num_bytes);
        let record = &mut self.records[id.index()];
        *record = TransferRecord { begin_time: time, num_bytes, has_failed, is_over: false, ..*record };
        let num_descriptors = num_blocks.saturating_mul(self.block.num_descriptors);
        self.transfers.begin(time, Transfer { id: id.0, route: self.routes[id.index()], num_bytes, num_descriptors });
    }

    /// When the next transfer begins to flow or ends, or a lease does.
    pub(super) fn next_event(&self) -> SimTime {
        let lease = self.leases.peek().map_or(SimTime::MAX, |&Reverse((time, _))| time);
        self.transfers.next_event().min(lease)
    }

    /// Everything up to `time` happens, and engines will find it.
    pub(super) fn advance(&mut self, time: SimTime, prefill: &mut Pool<'_>, decode: &mut Pool<'_>) {
        let mut ended = core::mem::take(&mut self.ended);
        self.transfers.advance(time, &mut ended);
        for (end_time, transfer) in ended.drain(..) {
            let id = RequestId(transfer.id);
            let record = &mut self.records[id.index()];
            (record.end_time, record.is_over) = (end_time, true);
            let failed_recving = if record.has_failed { vec![id] } else { Vec::new() };
            let report = KvConnectorOutput { finished_recving: vec![id], failed_recving, ..Default::default() };
            decode.report_transfers(math::u32_to_usize(transfer.route.to), report);
            if record.has_failed {
                self.leases.push(Reverse((lease_end(record), id)));
            } else {
                release(prefill, transfer.route, id);
            }
        }
        self.ended = ended;
        while let Some(&Reverse((end_time, id))) = self.leases.peek()
            && end_time <= time
        {
            self.leases.pop();
            release(prefill, self.routes[id.index()], id);
        }
    }

    /// All requests so far have been answered, and the clock begins again.
    pub(super) fn begin_group(&mut self) {
        self.transfers = Transfers::new(self.costs, self.num_engines);
        self.records.fill(TransferRecord::default());
    }

    /// What came of the first `num_requests`, in their order; of those that were never loaded there is nothing.
    pub(super) fn finish(mut self, num_requests: usize) -> Vec<TransferRecord> {
        self.records.truncate(num_requests);
        self.records.retain(|record| record.is_over);
        self.records
    }
}

/// The engine that has the blocks is told that nobody needs them any longer.
fn release(prefill: &mut Pool<'_>, route: Route, id: RequestId) {
    let report = KvConnectorOutput { finished_sending: vec![id], ..Default::default() };
    prefill.report_transfers(math::u32_to_usize(route.from), report);
}

/// When blocks are given back whose load failed: their reader told at times that it wants them, until then.
fn lease_end(record: &TransferRecord) -> SimTime {
    let waited = record.end_time.saturating_since(record.answer_time).as_nanos();
    let num_heartbeats = waited / HEARTBEAT_INTERVAL.as_nanos();
    let lease = record.answer_time + LEASE;
    if num_heartbeats == 0 {
        return lease;
    }
    lease.max(record.answer_time + HEARTBEAT_INTERVAL.saturating_mul(num_heartbeats) + LEASE_EXTENSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_make_a_lease_longer_and_never_shorter() {
        let second = 1_000_000_000;
        // Seconds from the answer to the failure of the load, and to the end of the lease.
        for (waited, expect) in [(0, 30), (4, 30), (5, 30), (10, 30), (14, 30), (15, 35), (60, 80), (64, 80)] {
            let answer_time = SimTime::from_nanos(7 * second);
            let end_time = SimTime::from_nanos((7 + waited) * second);
            let record = TransferRecord { answer_time, end_time, ..TransferRecord::default() };
            assert_eq!(lease_end(&record), SimTime::from_nanos((7 + expect) * second), "after {waited} s");
        }
    }
}
