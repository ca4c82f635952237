//! Hand-overs: whose blocks are to go where, when they go, and who is told.
//!
//! Source: `vllm/distributed/kv_transfer/kv_connector/v1/nixl`: a reader tells the engine that it read from
//! (`pull_worker.py::_read_blocks`, the notification of a transfer); whoever is not told gives blocks back when their
//! lease ends (`base_worker.py::_reap_expired_send_leases`).

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;

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

/// Where a prompt's blocks are that a prefill engine has computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Source {
    /// There are none, or nobody needs them any longer.
    #[default]
    Nothing,
    /// The engine keeps them.
    Kept,
    /// They are gone with their engine.
    Lost,
}

/// Blocks that an engine keeps for nobody who will come, until their lease ends.
#[derive(Debug)]
struct Disowned {
    until: SimTime,
    engine: usize,
    table: Vec<u32>,
}

/// What is known of each request's hand-over.
#[derive(Debug)]
pub(super) struct HandOvers {
    costs: TransferCosts,
    block: KvBlock,
    block_size: u32,
    failure_rate: f64,
    random: Pcg64,
    transfers: Transfers,
    /// Leases that nobody's reading ends: when they do, and whose.
    leases: BinaryHeap<Reverse<(SimTime, RequestId)>>,
    disowned: Vec<Disowned>,
    /// Of each request.
    records: Vec<TransferRecord>,
    sources: Vec<Source>,
    routes: Vec<Route>,
    /// Requests whose blocks nobody needs any longer, since this was asked last.
    released: Vec<RequestId>,
    /// Scratch.
    ended: Vec<(SimTime, Transfer)>,
}

impl HandOvers {
    pub(super) fn new(setup: &Disaggregated<'_>, num_requests: usize) -> Self {
        Self {
            costs: setup.costs,
            block: setup.block,
            block_size: setup.decode.engines.first().map_or(1, |replica| replica.config.kv_cache.scheduler_block_size),
            failure_rate: setup.failure_rate,
            random: Pcg64::stream(setup.seed, "kv-transfer"),
            transfers: Transfers::new(setup.costs),
            leases: BinaryHeap::new(),
            disowned: Vec::new(),
            records: vec![TransferRecord::default(); num_requests],
            sources: vec![Source::default(); num_requests],
            routes: vec![Route { from: 0, to: 0 }; num_requests],
            released: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// A prefill engine has answered a request, and keeps its blocks.
    pub(super) fn note_computed(&mut self, id: RequestId) {
        self.sources[id.index()] = Source::Kept;
    }

    /// The prefill side's answer to a request came to the proxy.
    pub(super) fn note_answer(&mut self, id: RequestId, time: SimTime) {
        self.records[id.index()] = TransferRecord { answer_time: time, ..TransferRecord::default() };
    }

    /// It has chosen an engine of the other side.
    pub(super) fn note_route(&mut self, id: RequestId, from: u32, to: u32) {
        self.routes[id.index()] = Route { from, to };
    }

    /// A decode engine begins to load: whole blocks, but for those that it had. Of an engine that is gone, or new, it learns
    /// that nothing will come once it has asked.
    pub(super) fn begin(&mut self, time: SimTime, load: ExternalTokens) {
        let ExternalTokens { id, num_computed_tokens, num_external_tokens } = load;
        let end = num_computed_tokens + num_external_tokens;
        let is_lost = self.is_lost(id);
        let num_blocks = u64::from(end.div_ceil(self.block_size) - num_computed_tokens / self.block_size);
        let num_blocks = if is_lost { 0 } else { num_blocks };
        let has_failed = self.random.random() < self.failure_rate || is_lost;
        let num_bytes = num_blocks.saturating_mul(self.block.num_bytes);
        let record = &mut self.records[id.index()];
        *record = TransferRecord { begin_time: time, num_bytes, has_failed, is_lost, is_over: false, ..*record };
        let num_descriptors = num_blocks.saturating_mul(self.block.num_descriptors);
        self.transfers.begin(time, Transfer { id: id.0, route: self.routes[id.index()], num_bytes, num_descriptors });
    }

    /// When the next transfer begins to flow or ends, or a lease does.
    pub(super) fn next_event(&self) -> SimTime {
        let lease = self.leases.peek().map_or(SimTime::MAX, |&Reverse((time, _))| time);
        let disowned = self.disowned.iter().map(|disowned| disowned.until);
        disowned.fold(self.transfers.next_event().min(lease), SimTime::min)
    }

    /// Everything up to `time` happens, and engines will find it.
    pub(super) fn advance(&mut self, time: SimTime, prefill: &mut Pool<'_>, decode: &mut Pool<'_>) {
        let mut ended = core::mem::take(&mut self.ended);
        self.transfers.advance(time, &mut ended);
        for (end_time, transfer) in ended.drain(..) {
            let id = RequestId(transfer.id);
            self.tell_reader(id, end_time, decode);
            let record = &self.records[id.index()];
            if !record.has_failed {
                self.release(id, prefill);
            } else if !self.is_lost(id) {
                self.leases.push(Reverse((lease_end(record.answer_time, record.end_time), id)));
            }
        }
        self.ended = ended;
        while let Some(&Reverse((end_time, id))) = self.leases.peek()
            && end_time <= time
        {
            self.leases.pop();
            self.release(id, prefill);
        }
        for disowned in self.disowned.extract_if(.., |disowned| disowned.until <= time) {
            prefill.free_table(disowned.engine, disowned.table);
        }
    }

    /// The load of a request is over, and its engine will find that.
    fn tell_reader(&mut self, id: RequestId, end_time: SimTime, decode: &mut Pool<'_>) {
        let record = &mut self.records[id.index()];
        (record.end_time, record.is_over) = (end_time, true);
        let failed_recving = if record.has_failed { vec![id] } else { Vec::new() };
        let report = KvConnectorOutput { finished_recving: vec![id], failed_recving, ..Default::default() };
        decode.report_transfers(math::u32_to_usize(self.routes[id.index()].to), report);
    }

    /// The engine that has the blocks is told that nobody needs them any longer.
    fn release(&mut self, id: RequestId, prefill: &mut Pool<'_>) {
        self.sources[id.index()] = Source::Nothing;
        self.released.push(id);
        let report = KvConnectorOutput { finished_sending: vec![id], ..Default::default() };
        prefill.report_transfers(math::u32_to_usize(self.routes[id.index()].from), report);
    }

    /// Whether an engine keeps blocks of a request.
    pub(super) fn is_kept(&self, id: RequestId) -> bool {
        self.sources[id.index()] == Source::Kept
    }

    /// Whether the engine died that kept blocks of a request.
    pub(super) fn is_lost(&self, id: RequestId) -> bool {
        self.sources[id.index()] == Source::Lost
    }

    /// Requests whose blocks nobody needs any longer, since this was asked last.
    pub(super) fn take_released(&mut self) -> Vec<RequestId> {
        core::mem::take(&mut self.released)
    }

    /// The engine died at `now` that kept blocks of a request: whoever was loading them finds that.
    pub(super) fn lose_source(&mut self, id: RequestId, now: SimTime, decode: &mut Pool<'_>) {
        self.sources[id.index()] = Source::Lost;
        self.leases.retain(|&Reverse((_, other))| other != id);
        if self.transfers.give_up(now, id.0) {
            let record = &mut self.records[id.index()];
            (record.has_failed, record.is_lost) = (true, true);
            self.tell_reader(id, now, decode);
        }
    }

    /// An engine died, and all that it kept for nobody.
    pub(super) fn forget_disowned(&mut self, engines: &Range<usize>) {
        self.disowned.retain(|disowned| !engines.contains(&disowned.engine));
    }

    /// A request is lost, failed, or sent again at `now` from the beginning: blocks that `engine` keeps for it are kept on
    /// until their lease ends, which nobody makes longer any more. True if there were some.
    pub(super) fn give_up(&mut self, id: RequestId, (now, engine): (SimTime, usize), prefill: &mut Pool<'_>) -> bool {
        self.transfers.give_up(now, id.0);
        let source = core::mem::take(&mut self.sources[id.index()]);
        self.leases.retain(|&Reverse((_, other))| other != id);
        let answer_time = self.records[id.index()].answer_time;
        match prefill.disown(engine, id) {
            Some(table) if source == Source::Kept => {
                self.disowned.push(Disowned { until: lease_end(answer_time, now), engine, table });
            }
            // It was read; the engine has not noticed yet.
            Some(table) => prefill.free_table(engine, table),
            None => {}
        }
        source == Source::Kept
    }

    /// All requests so far have been answered, and the clock begins again.
    pub(super) fn begin_group(&mut self) {
        self.transfers = Transfers::new(self.costs);
        self.records.fill(TransferRecord::default());
        self.sources.fill(Source::default());
    }

    /// What came of the first `num_requests`, in their order; of those that were never loaded there is nothing.
    pub(super) fn finish(mut self, num_requests: usize) -> Vec<TransferRecord> {
        self.records.truncate(num_requests);
        self.records.retain(|record| record.is_over);
        self.records
    }
}

/// When blocks are given back that were answered for then and are not read: their reader told at times that it wants them,
/// until `last`.
fn lease_end(answer_time: SimTime, last: SimTime) -> SimTime {
    let waited = last.saturating_since(answer_time).as_nanos();
    let num_heartbeats = waited / HEARTBEAT_INTERVAL.as_nanos();
    let lease = answer_time + LEASE;
    if num_heartbeats == 0 {
        return lease;
    }
    lease.max(answer_time + HEARTBEAT_INTERVAL.saturating_mul(num_heartbeats) + LEASE_EXTENSION)
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
            assert_eq!(
                lease_end(answer_time, end_time),
                SimTime::from_nanos((7 + expect) * second),
                "after {waited} s"
            );
        }
    }
}
