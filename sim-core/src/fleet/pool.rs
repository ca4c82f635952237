//! Engines that the same requests are given to: which of them gets one, and what each does next.
//!
//! There are three levels. A *replica* is an engine, or the data-parallel ranks of one: they live and die together, and
//! those of a model with experts step together. An *address* is what a router sends to: a whole replica behind vLLM's own
//! balancer, or some of its ranks. An *engine* has a scheduler, blocks and a device. All are numbered in the order of their
//! engines.

mod ends;
mod steps;

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::calendar::Calendar;
use super::data_parallel::balancer::EngineCounts;
use super::dispatch::{Dispatch, Layout};
use super::front::Front;
use super::router::Arrival;
use super::router_desk::RouterDesk;
use crate::client::{Client, Sent};
use crate::math;
use crate::metrics::recorder::RequestRecords;
use crate::request::RequestId;
use crate::sched::connector::interface::{ExternalTokens, KvConnectorOutput};
use crate::simulation_error::SimulationError;
use crate::simulator::Simulation;
use crate::time::SimTime;

pub(super) use ends::Together;
use steps::Wave;

/// The engines, and who gives them requests.
#[derive(Debug)]
pub(super) struct Pool<'a> {
    engines: Vec<Simulation<'a>>,
    pub(super) requests: RequestRecords,
    /// Each request's engine.
    pub(super) owners: Vec<u32>,
    layout: Layout,
    desk: RouterDesk,
    /// Of each replica.
    fronts: Vec<Front>,
    /// Of each replica, if its engines step together; else there are none.
    waves: Vec<Wave>,
    calendar: Calendar,
    /// Engines in which nothing changes any more unless something comes from outside.
    is_stuck: Vec<bool>,
    /// Scratch.
    first_tokens: Vec<RequestId>,
}

/// What events brought.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Requests that were answered, and when.
    pub(super) answers: Vec<(SimTime, RequestId)>,
    /// Loads that began, and when.
    pub(super) loads: Vec<(SimTime, ExternalTokens)>,
}

/// Up to when an engine is advanced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Horizon {
    /// When somebody outside acts next.
    pub(super) outside: SimTime,
    /// Whether what another engine does may matter to it, too.
    pub(super) is_shared: bool,
}

impl Horizon {
    /// A step at a time.
    const STEP: Self = Self { outside: SimTime::ZERO, is_shared: false };
}

impl<'a> Pool<'a> {
    /// These engines, which have not begun and are to serve so many requests.
    ///
    /// # Errors
    /// [`SimulationError::NoReplicas`], [`SimulationError::UnevenRanks`].
    pub(super) fn new(
        mut engines: Vec<Simulation<'a>>,
        num_requests: usize,
        dispatch: Dispatch,
    ) -> Result<Self, SimulationError> {
        let num_engines = engines.len();
        let layout = dispatch.layout(num_engines)?;
        let is_lockstep = layout.dp_sync_interval.is_some();
        let front = |start: usize| {
            Front::new(start..start + layout.num_ranks, layout.num_local_ranks, &mut engines, is_lockstep)
        };
        let fronts = (0..num_engines).step_by(layout.num_ranks).map(front).collect();
        let mut pool = Self {
            requests: RequestRecords::with_len(num_requests),
            owners: vec![0; num_requests],
            layout,
            desk: RouterDesk::new(layout.router, num_engines / layout.num_local_ranks),
            fronts,
            waves: Vec::new(),
            calendar: Calendar::new(num_engines),
            is_stuck: vec![false; num_engines],
            first_tokens: Vec::new(),
            engines,
        };
        pool.begin_waves();
        Ok(pool)
    }

    /// The engines, by number.
    pub(super) fn engines(&self) -> &[Simulation<'a>] {
        &self.engines
    }

    /// How many replicas there are.
    pub(super) const fn num_replicas(&self) -> usize {
        self.engines.len() / self.layout.num_ranks
    }

    /// The replica of a request.
    pub(super) fn replica_of(&self, id: RequestId) -> usize {
        math::u32_to_usize(self.owners[id.index()]) / self.layout.num_ranks
    }

    pub(super) const fn engines_of(&self, replica: usize) -> Range<usize> {
        replica * self.layout.num_ranks..(replica + 1) * self.layout.num_ranks
    }

    /// Addresses of each replica.
    const fn num_addresses(&self) -> usize {
        self.layout.num_ranks / self.layout.num_local_ranks
    }

    const fn addresses_of(&self, replica: usize) -> Range<usize> {
        replica * self.num_addresses()..(replica + 1) * self.num_addresses()
    }

    /// When and at which engine something happens next.
    pub(super) fn next_event(&self) -> (SimTime, usize) {
        self.calendar.first()
    }

    /// When the router reads metrics next, if it does.
    pub(super) const fn next_look(&self) -> SimTime {
        self.desk.next_look()
    }

    /// It reads them.
    pub(super) fn look(&mut self, now: SimTime) {
        self.desk.look(now, self.engines.chunks(self.layout.num_local_ranks).map(counts));
    }

    /// What the metrics of a replica say.
    pub(super) fn counts(&self, replica: usize) -> EngineCounts {
        counts(&self.engines[self.engines_of(replica)])
    }

    /// A request comes at `now`, of whose answer others have generated so many tokens; `client` is whose thread works for
    /// these engines.
    pub(super) fn take(
        &mut self,
        now: SimTime,
        (sent, num_generated): (Sent, u32),
        arrival: &Arrival<'_>,
        client: &mut Client<'a>,
    ) {
        let address = self.desk.choose(now, arrival);
        let (replica, address) = (address / self.num_addresses(), address % self.num_addresses());
        let engine = self.fronts[replica].choose(now, address, arrival);
        self.owners[sent.id.index()] = math::usize_to_u32(engine);
        self.is_stuck[engine] = false;
        self.lend(engine, client);
        self.engines[engine].take_sent(sent, num_generated);
        self.lend(engine, client);
        if !self.is_wave_under_way(engine) {
            self.calendar.set(engine, self.engines[engine].next_event());
        }
    }

    /// The event of `engine` at `now`, and what of it follows before `horizon`.
    pub(super) fn advance(
        &mut self,
        (engine, now): (usize, SimTime),
        horizon: Horizon,
        client: &mut Client<'a>,
        news: &mut News,
    ) {
        if self.waves.is_empty() {
            self.advance_engine(engine, horizon, client, news);
        } else {
            self.advance_rank(engine, now, client, news);
        }
    }

    /// The same for an engine by itself.
    fn advance_engine(&mut self, engine: usize, horizon: Horizon, client: &mut Client<'a>, news: &mut News) {
        let (replica, address) = (engine / self.layout.num_ranks, engine / self.layout.num_local_ranks);
        let mut until = horizon.outside;
        if horizon.is_shared || self.fronts[replica].is_shared(engine) {
            // Whatever another one answers may be followed by something that is sent here, or keep busy the client's
            // thread or a server.
            self.calendar.set(engine, SimTime::MAX);
            until = until.min(self.calendar.first().0);
        }
        self.lend(engine, client);
        self.is_stuck[engine] = !self.engines[engine].advance_until(until);
        self.lend(engine, client);
        self.tell_counts(engine);
        let known = news.answers.len();
        let simulation = &mut self.engines[engine];
        simulation.take_news(&mut news.answers, &mut self.first_tokens);
        simulation.take_loads(&mut news.loads);
        let delivery_time = simulation.last_delivery_time();
        self.calendar.set(engine, simulation.next_event());
        for id in self.first_tokens.drain(..) {
            self.desk.hear(delivery_time, id, address, false);
        }
        for &(time, id) in &news.answers[known..] {
            self.desk.hear(time, id, address, true);
            self.fronts[replica].hear_end(time, id, engine);
        }
    }

    /// What engines have in common goes to one, or comes back.
    fn lend(&mut self, engine: usize, client: &mut Client<'a>) {
        let simulation = &mut self.engines[engine];
        simulation.swap_fleet(client, &mut self.requests);
        self.fronts[engine / self.layout.num_ranks].lend(engine, simulation);
    }

    /// An engine's counts go to whoever balances it, if they changed.
    fn tell_counts(&mut self, engine: usize) {
        let replica = engine / self.layout.num_ranks;
        let step = self.waves.get(replica).map(Wave::wave_step);
        self.fronts[replica].tell_counts(engine, &mut self.engines[engine], step);
    }

    /// Transfers of an engine have ended.
    pub(super) fn report_transfers(&mut self, engine: usize, ended: KvConnectorOutput) {
        self.is_stuck[engine] = false;
        self.engines[engine].report_transfers(ended);
    }

    /// A request that `engine` has ended may come again; what it kept of it is the caller's.
    pub(super) fn disown(&mut self, engine: usize, id: RequestId) -> Option<Vec<u32>> {
        let table = self.engines[engine].disown(id)?;
        if !self.is_wave_under_way(engine) {
            self.calendar.set(engine, self.engines[engine].next_event());
        }
        Some(table)
    }

    /// Gives back what [`Self::disown`] gave.
    pub(super) fn free_table(&mut self, engine: usize, table: Vec<u32>) {
        self.is_stuck[engine] = false;
        self.engines[engine].free_table(table);
    }

    /// All requests so far have been answered, and the clock begins again.
    pub(super) fn begin_group(&mut self) {
        self.requests = RequestRecords::with_len(self.owners.len());
        self.engines.iter_mut().for_each(Simulation::begin_group);
        for front in &mut self.fronts {
            front.begin_group(&mut self.engines);
        }
        self.begin_waves();
        self.desk.begin_group();
    }
}

/// What the metrics of engines say that are scraped together.
fn counts(engines: &[Simulation<'_>]) -> EngineCounts {
    let (mut running, mut waiting, mut free, mut usable) = (0_u64, 0_u64, 0_u64, 0_u64);
    for engine in engines {
        let (num_running, num_waiting, num_free_blocks) = engine.last_counts();
        running += u64::from(num_running);
        waiting += u64::from(num_waiting);
        free += u64::from(num_free_blocks);
        usable += u64::from(engine.engine().scheduler().kv_cache().num_usable_blocks());
    }
    EngineCounts::of_several(running, waiting, (free, usable))
}
