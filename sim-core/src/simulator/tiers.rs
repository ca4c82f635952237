//! Tiers behind the host's memory in time: when their transfers end, and when they know whether they have a chunk.
//!
//! Source: `vllm/v1/kv_offload/tiering/fs/thread_pool.py::DualQueueThreadPool` and `async_lookup.py`. A tier of files has
//! threads, of which some take loads first and some stores; a transfer is one thread's, file after file. All reads under way
//! share the tier's bandwidth, and so do all writes. One thread more looks for files, batch after batch.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::kv_offload::settings::{MAX_SECONDARY_TIERS, OffloadingSettings, SecondaryTierSettings, TierKind};
use crate::math;
use crate::profile::{TierSpeed, TierSpeeds};
use crate::sched::connector::tiers::{TierEvent, TierJobId, TierPass};
use crate::simulation_result::{TierTotals, TransferTotals};
use crate::time::{SimDuration, SimTime};

/// Chunks brought to host memory without a token computed meanwhile, as a multiple of what it holds, from which on it is
/// clear that they displace each other: vLLM goes on with that for ever.
const MOST_TURNOVERS: u64 = 20;

/// All tiers of an engine.
#[derive(Debug)]
pub(super) struct Tiers {
    pools: Vec<TierPool>,
    chunk_bytes: u64,
    totals: [TierTotals; MAX_SECONDARY_TIERS],
    /// What has happened and was not said yet.
    happened: Vec<(SimTime, TierEvent)>,
    /// Chunks brought since a token was computed, and how many are too many.
    num_brought: u64,
    most_brought: u64,
}

/// A transfer: waiting for a thread, going from file to file, or its bytes under way.
#[derive(Debug, Clone, Copy)]
struct Flow {
    id: TierJobId,
    is_read: bool,
    num_bytes: u64,
    setup: SimDuration,
    /// Which kind of thread has it: 0 takes reads first.
    thread: usize,
    begin: SimTime,
    first_byte: SimTime,
    flows: bool,
    /// Bytes that have not come yet, and bytes per second.
    rest: f64,
    rate: f64,
    end: SimTime,
}

/// The threads of one tier.
#[derive(Debug)]
struct TierPool {
    speed: TierSpeed,
    /// Files or objects of one transfer that are asked for at once.
    num_at_once: u64,
    /// Threads with nothing to do, of either kind; `None` if there are always some.
    idle: Option<[u32; 2]>,
    /// Reads and writes without a thread.
    waiting: [VecDeque<Flow>; 2],
    /// In the order in which they got one.
    flows: Vec<Flow>,
    now: SimTime,
    /// When each batch of look-ups is answered.
    answers: VecDeque<SimTime>,
    lookups_free: SimTime,
}

impl Tiers {
    pub(super) fn new(settings: &OffloadingSettings, speeds: TierSpeeds) -> Self {
        Self {
            pools: settings.secondary_tiers().map(|tier| TierPool::new(tier, speeds)).collect(),
            chunk_bytes: settings.chunk_bytes,
            totals: [TierTotals::default(); MAX_SECONDARY_TIERS],
            happened: Vec::new(),
            num_brought: 0,
            most_brought: MOST_TURNOVERS * u64::from(settings.num_chunks),
        }
    }

    pub(super) const fn are_some(&self) -> bool {
        !self.pools.is_empty()
    }

    /// A pass is decided by `now`.
    pub(super) fn begin(&mut self, now: SimTime, told: &TierPass, has_tokens: bool) {
        self.advance(now);
        if has_tokens {
            self.num_brought = 0;
        }
        for job in &told.begun {
            let Some(pool) = self.pools.get_mut(job.tier) else { continue };
            let num_bytes = self.chunk_bytes.saturating_mul(u64::from(job.num_moved));
            pool.begin(now, Flow::new(job.id, job.is_promotion, num_bytes, pool.setup(job.num_moved)));
            self.num_brought += if job.is_promotion { u64::from(job.num_chunks) } else { 0 };
        }
        for asked in &told.lookups {
            if let (Some(pool), Some(totals)) = (self.pools.get_mut(asked.tier), self.totals.get_mut(asked.tier)) {
                totals.num_lookups += u64::from(asked.num_chunks);
                let time = pool.speed.lookup_latency.saturating_mul(u64::from(asked.num_chunks));
                pool.lookups_free = pool.lookups_free.max(now) + time;
                pool.answers.push_back(pool.lookups_free);
            }
        }
        for (totals, &num_chunks) in self.totals.iter_mut().zip(&told.num_chunks) {
            totals.num_chunks = u64::from(num_chunks);
        }
    }

    fn advance(&mut self, now: SimTime) {
        for (tier, pool) in self.pools.iter_mut().enumerate() {
            let mut ended = Vec::new();
            pool.advance(now, &mut ended);
            for flow in ended {
                let Some(totals) = self.totals.get_mut(tier) else { continue };
                let direction = if flow.is_read { &mut totals.reads } else { &mut totals.writes };
                *direction = TransferTotals {
                    num_transfers: direction.num_transfers + 1,
                    num_bytes: direction.num_bytes.saturating_add(flow.num_bytes),
                    time: direction.time + flow.end.saturating_since(flow.begin),
                };
                self.happened.push((flow.end, TierEvent::JobEnded(flow.id)));
            }
            while pool.answers.front().is_some_and(|&time| time <= now) {
                let time = pool.answers.pop_front().unwrap_or(now);
                self.happened.push((time, TierEvent::Answered { tier }));
            }
        }
    }

    /// What happened by `now` and was not said yet, in order.
    pub(super) fn take_events(&mut self, now: SimTime) -> Vec<TierEvent> {
        self.advance(now);
        self.happened.sort_by_key(|&(time, _)| time);
        let num_known = self.happened.partition_point(|&(time, _)| time <= now);
        self.happened.drain(..num_known).map(|(_, event)| event).collect()
    }

    /// Whether something will happen whatever else does, and chunks do not just displace each other.
    pub(super) fn is_under_way(&self) -> bool {
        let has_work = |pool: &TierPool| !pool.flows.is_empty() || !pool.answers.is_empty();
        let is_under_way = !self.happened.is_empty() || self.pools.iter().any(has_work);
        is_under_way && self.num_brought <= self.most_brought
    }

    /// When something happens next, whatever else does.
    pub(super) fn next_event(&self) -> Option<SimTime> {
        let flows = self.pools.iter().map(TierPool::next_event).filter(|&time| time < SimTime::MAX);
        let answers = self.pools.iter().filter_map(|pool| pool.answers.front().copied());
        self.happened.iter().map(|&(time, _)| time).chain(flows).chain(answers).min()
    }

    /// The clock begins again, on an engine at rest. Nobody waits for what is still looked up.
    pub(super) fn begin_group(&mut self) {
        self.happened.iter_mut().for_each(|(time, _)| *time = SimTime::ZERO);
        for pool in &mut self.pools {
            (pool.now, pool.lookups_free) = (SimTime::ZERO, SimTime::ZERO);
            pool.answers.iter_mut().for_each(|time| *time = SimTime::ZERO);
        }
        self.totals = [TierTotals::default(); MAX_SECONDARY_TIERS];
        self.num_brought = 0;
    }

    pub(super) const fn totals(&self) -> [TierTotals; MAX_SECONDARY_TIERS] {
        self.totals
    }
}

impl Flow {
    fn new(id: TierJobId, is_read: bool, num_bytes: u64, setup: SimDuration) -> Self {
        Self {
            id,
            is_read,
            num_bytes,
            setup,
            thread: usize::from(!is_read),
            begin: SimTime::MAX,
            first_byte: SimTime::MAX,
            flows: false,
            rest: math::u64_to_f64(num_bytes),
            rate: 0.0,
            end: SimTime::MAX,
        }
    }
}

impl TierPool {
    fn new(settings: SecondaryTierSettings, speeds: TierSpeeds) -> Self {
        let (num_at_once, idle) = match settings.kind {
            TierKind::Files { num_read_threads, num_write_threads } => (1, Some([num_read_threads, num_write_threads])),
            TierKind::Objects { num_threads } => (u64::from(num_threads.max(1)), None),
        };
        Self {
            speed: if settings.is_remote { speeds.remote } else { speeds.local },
            num_at_once,
            idle,
            waiting: [VecDeque::new(), VecDeque::new()],
            flows: Vec::new(),
            now: SimTime::ZERO,
            answers: VecDeque::new(),
            lookups_free: SimTime::ZERO,
        }
    }

    /// What files or objects take beside their bytes.
    fn setup(&self, num_chunks: u32) -> SimDuration {
        self.speed.latency.saturating_mul(u64::from(num_chunks).div_ceil(self.num_at_once))
    }

    /// A transfer begins at `now`, up to which all has happened.
    fn begin(&mut self, now: SimTime, mut flow: Flow) {
        if let Some(idle) = &mut self.idle {
            let own = flow.thread;
            let Some(thread) = [own, 1 - own].into_iter().find(|&kind| idle[kind] > 0) else {
                self.waiting[own].push_back(flow);
                return;
            };
            idle[thread] -= 1;
            flow.thread = thread;
        }
        self.start(now, flow);
    }

    fn start(&mut self, now: SimTime, mut flow: Flow) {
        (flow.begin, flow.first_byte) = (now, now + flow.setup);
        self.flows.push(flow);
    }

    fn next_event(&self) -> SimTime {
        let times = self.flows.iter().map(|flow| if flow.flows { flow.end } else { flow.first_byte });
        times.fold(SimTime::MAX, SimTime::min)
    }

    /// Everything up to `time` happens; what ends by then is added to `ended`, in order.
    fn advance(&mut self, time: SimTime, ended: &mut Vec<Flow>) {
        loop {
            let next = self.next_event();
            if next > time || next == SimTime::MAX {
                return;
            }
            let span = next.saturating_since(self.now);
            self.now = self.now.max(next);
            for flow in self.flows.iter_mut().filter(|flow| flow.flows) {
                // An infinite rate leaves nothing, and ends at once.
                let come = if span == SimDuration::ZERO { 0.0 } else { flow.rate * span.as_secs_f64() };
                flow.rest = math::max(0.0, flow.rest - come);
            }
            let (over, rest): (Vec<_>, Vec<_>) = self.flows.drain(..).partition(|flow| flow.flows && flow.end <= next);
            self.flows = rest;
            for flow in over {
                self.pass_thread_on(next, flow.thread);
                ended.push(flow);
            }
            for flow in self.flows.iter_mut().filter(|flow| flow.first_byte <= next) {
                flow.flows = true;
            }
            self.share(next);
        }
    }

    /// A thread has nothing to do: it takes of its own queue first, then of the other.
    fn pass_thread_on(&mut self, now: SimTime, thread: usize) {
        let Some(idle) = &mut self.idle else { return };
        let [own, other] = [thread, 1 - thread];
        let next = self.waiting[own].pop_front();
        let next = if next.is_some() { next } else { self.waiting[other].pop_front() };
        match next {
            Some(flow) => self.start(now, Flow { thread, ..flow }),
            None => idle[thread] += 1,
        }
    }

    /// Divides the bandwidths anew.
    fn share(&mut self, now: SimTime) {
        let num_reads = self.flows.iter().filter(|flow| flow.flows && flow.is_read).count();
        let num_writes = self.flows.iter().filter(|flow| flow.flows && !flow.is_read).count();
        let (read, write) = (self.speed.read_bandwidth, self.speed.write_bandwidth);
        for flow in self.flows.iter_mut().filter(|flow| flow.flows) {
            let (bandwidth, num) = if flow.is_read { (read, num_reads) } else { (write, num_writes) };
            flow.rate = bandwidth / math::usize_to_f64(num);
            flow.end = now + SimDuration::from_secs_f64(flow.rest / flow.rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    /// Of so many MB/s to read and to write, with so many threads of either kind.
    fn pool(read: f64, write: f64, threads: Option<[u32; 2]>) -> TierPool {
        let speed = TierSpeed {
            read_bandwidth: 1e6 * read,
            write_bandwidth: 1e6 * write,
            latency: SimDuration::from_nanos(0),
            lookup_latency: SimDuration::from_nanos(0),
        };
        let kind = match threads {
            Some([num_read_threads, num_write_threads]) => TierKind::Files { num_read_threads, num_write_threads },
            None => TierKind::Objects { num_threads: 4 },
        };
        let settings = SecondaryTierSettings { kind, is_remote: false, backpressure: None };
        TierPool::new(settings, TierSpeeds { local: speed, remote: speed })
    }

    /// Transfers as (begin in ms, is it a read, MB, set-up in ms), and when each ends in ms, in the order of ends.
    fn check(mut pool: TierPool, begun: &[(u64, bool, u64, u64)], expect: &[(TierJobId, u64)]) {
        let at = |ms: u64| SimTime::from_nanos(1_000_000 * ms);
        let mut ended = Vec::new();
        for (id, &(begin, is_read, num_mb, setup)) in (0..).zip(begun) {
            pool.advance(at(begin), &mut ended);
            pool.begin(at(begin), Flow::new(id, is_read, num_mb * MB, SimDuration::from_nanos(1_000_000 * setup)));
        }
        pool.advance(at(1_000_000), &mut ended);
        let found: Vec<_> = ended.iter().map(|flow| (flow.id, flow.end)).collect();
        let expect: Vec<_> = expect.iter().map(|&(id, end)| (id, at(end))).collect();
        assert_eq!(found, expect, "{begun:?}");
    }

    #[test]
    fn reads_share_with_reads_and_writes_with_writes() {
        let many = Some([16, 16]);
        check(pool(1000.0, 500.0, many), &[(0, true, 10, 0), (0, false, 10, 0)], &[(0, 10), (1, 20)]);
        check(pool(1000.0, 500.0, many), &[(0, true, 10, 0), (0, true, 10, 0)], &[(0, 20), (1, 20)]);
        // A second one comes: alone, shared, alone again.
        check(pool(1000.0, 500.0, many), &[(0, true, 30, 0), (10, true, 10, 0)], &[(1, 30), (0, 40)]);
        // Files take their time before the bytes, and no bandwidth.
        check(pool(1000.0, 500.0, many), &[(0, true, 10, 5), (0, true, 10, 0)], &[(1, 15), (0, 20)]);
        check(pool(f64::INFINITY, 500.0, None), &[(3, true, 10, 2), (3, true, 0, 0)], &[(1, 3), (0, 5)]);
    }

    #[test]
    fn threads_take_of_their_own_queue_first() {
        // One of either kind, and two writes occupy both. The one that is free first takes writes first.
        let writes_then_read = [(0, false, 10, 0), (0, false, 20, 0), (0, false, 10, 0), (0, true, 10, 0)];
        check(pool(1000.0, 1000.0, Some([1, 1])), &writes_then_read, &[(0, 20), (1, 40), (2, 40), (3, 50)]);
        // It takes reads first.
        let read_waits = [(0, false, 20, 0), (0, false, 10, 0), (0, false, 10, 0), (0, true, 10, 0)];
        check(pool(1000.0, 1000.0, Some([1, 1])), &read_waits, &[(1, 20), (0, 30), (3, 30), (2, 40)]);
    }
}
