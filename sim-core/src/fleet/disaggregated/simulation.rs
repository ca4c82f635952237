//! Prefill and decode on engines of their own, on one clock.
//!
//! The client's request goes to a proxy, which asks an engine of the prefill side for one token of it; when that has come,
//! a decode engine gets the whole request, loads the prompt's blocks from the first one while other passes run, computes
//! the prompt's last token again and answers. The first engine keeps its blocks until they have been read, or until
//! nobody has asked for so long that their lease ends.
//!
//! Source: `tests/v1/kv_connector/nixl_integration/toy_proxy_server.py`; the engines' part is `sched/connector`. Of equal
//! times what happens to replicas comes first, then transfers, looks, what is sent again, sends, hand-overs, prefill engines,
//! decode engines.

mod changes;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::super::life::{Leg, LifeResult};
use super::super::pool::{Horizon, News, Pool, Together};
use super::super::replica_result::Parts;
use super::super::router::Arrival;
use super::super::simulation::{Replica, prompt, sessions};
use super::connector::{DecodeConnector, PrefillConnector};
use super::hand_over::HandOvers;
use super::lives::{DECODE, Lives, PREFILL};
use super::result::{DisaggregatedResult, RoleResult};
use super::settings::Disaggregated;
use crate::client::{Client, Sent, Turns};
use crate::profile::ClientWork;
use crate::request::{RequestId, TokenRun};
use crate::sched::connector::interface::{KvRole, KvTransferConfig};
use crate::simulation_error::SimulationError;
use crate::simulation_result::SimulationOptions;
use crate::simulator::{NewConnector, Simulation};
use crate::time::SimTime;
use crate::workload::{Traffic, Workload};

/// Runs `workload` to its end; `prefill` is [`prefill_workload`](super::settings::prefill_workload) of it.
///
/// # Errors
/// See [`DisaggregatedSimulation::new`].
pub fn simulate_disaggregated(
    (workload, prefill): (&Workload, &Workload),
    setup: Disaggregated<'_>,
    options: SimulationOptions,
) -> Result<DisaggregatedResult, SimulationError> {
    let mut fleet = DisaggregatedSimulation::new((workload, prefill), setup, options)?;
    while fleet.advance() {}
    Ok(fleet.finish())
}

/// A run in progress.
#[derive(Debug)]
pub struct DisaggregatedSimulation<'a> {
    workload: &'a Workload,
    turns: Turns,
    client: Client<'a>,
    client_work: Option<ClientWork>,
    /// The proxy's: it has no thread that anybody waits for.
    proxy: Client<'a>,
    prefill: Pool<'a>,
    decode: Pool<'a>,
    /// Answers of the prefill side that have not come to the decode side yet.
    answered: BinaryHeap<Reverse<(SimTime, RequestId)>>,
    hand_overs: HandOvers,
    /// `None` where every replica is there all the time.
    life: Option<Box<Lives>>,
    sessions: Vec<u32>,
    num_finished: usize,
    now: SimTime,
    /// Scratch.
    news: News,
    prompt: Vec<TokenRun>,
}

impl<'a> DisaggregatedSimulation<'a> {
    /// A run that has not begun; `prefill` is [`prefill_workload`](super::settings::prefill_workload) of `workload`. The
    /// client's own work is what the first decode engine's step times say.
    ///
    /// # Errors
    /// As for a fleet of either role, and [`SimulationError::Connector`].
    pub fn new(
        (workload, prefill): (&'a Workload, &'a Workload),
        setup: Disaggregated<'a>,
        options: SimulationOptions,
    ) -> Result<Self, SimulationError> {
        let first = setup.decode.engines.first().ok_or(SimulationError::NoReplicas)?;
        if matches!(workload.traffic, Traffic::QueriesPerIter { .. }) {
            return Err(SimulationError::ScriptInFleet);
        }
        let settings = KvTransferConfig { kv_role: KvRole::Both, kv_load_failure_policy: setup.kv_load_failure_policy };
        let engine = |number, workload, replica: &Replica<'a>, connector: NewConnector| {
            let engine = Simulation::new(workload, replica.config, replica.step_time, options)?;
            engine
                .with_connector(settings, connector)
                .map(|engine| engine.without_input().in_fleet(number))
                .map_err(SimulationError::Connector)
        };
        let prefill_engines = (0..)
            .zip(setup.prefill.engines)
            .map(|(number, replica)| engine(number, prefill, replica, || Box::new(PrefillConnector)));
        let prefill_engines = prefill_engines.collect::<Result<Vec<_>, _>>()?;
        let decode_engines = (prefill_engines.len() as u64..)
            .zip(setup.decode.engines)
            .map(|(number, replica)| engine(number, workload, replica, || Box::<DecodeConnector>::default()));
        let decode_engines = decode_engines.collect::<Result<Vec<_>, _>>()?;
        let num_requests = workload.requests.len();
        let client_work = first.step_time.host().client_work();
        let mut turns = Turns::default();
        Ok(Self {
            workload,
            client: turns.next_client(workload, client_work),
            turns,
            client_work,
            proxy: Client::part(),
            hand_overs: HandOvers::new(&setup, num_requests),
            prefill: Pool::new(prefill_engines, num_requests, setup.prefill.dispatch)?,
            decode: Pool::new(decode_engines, num_requests, setup.decode.dispatch)?,
            answered: BinaryHeap::new(),
            life: None,
            sessions: sessions(workload),
            num_finished: 0,
            now: SimTime::ZERO,
            news: News::default(),
            prompt: Vec::new(),
        })
    }

    /// The next event; false if the run is over.
    pub fn advance(&mut self) -> bool {
        let send = self.client.next_send().unwrap_or(SimTime::MAX);
        let hand_over = self.answered.peek().map_or(SimTime::MAX, |&Reverse((time, _))| time);
        let (transfer, retry) = (self.hand_overs.next_event(), self.next_retry());
        let ((prefill, prefill_at), (decode, decode_at)) = (self.prefill.next_event(), self.decode.next_event());
        let outside = send.min(hand_over).min(transfer).min(retry);
        let next = outside.min(prefill).min(decode);
        if next == SimTime::MAX {
            return self.begin_next();
        }
        let (look, change) = (self.next_look(), self.next_change());
        let others = outside.min(look).min(change);
        self.now = self.now.max(next.min(look).min(change));
        if change <= next.min(look) {
            self.change(change);
        } else if transfer <= next.min(look) {
            self.hand_overs.advance(transfer, &mut self.prefill, &mut self.decode);
            self.let_go();
        } else if look <= next {
            let is_prefills = self.prefill.next_look() <= look;
            if is_prefills { &mut self.prefill } else { &mut self.decode }.look(look);
        } else if retry <= next {
            self.send_again();
        } else if send <= next {
            self.send(send);
        } else if hand_over <= next {
            self.hand_over();
        } else if prefill <= next {
            self.advance_prefill((prefill_at, prefill), others.min(decode));
            return !self.is_over();
        } else {
            self.advance_decode((decode_at, decode), others.min(prefill));
            return !self.is_over();
        }
        true
    }

    /// Requests that ended so far.
    #[must_use]
    pub const fn num_finished(&self) -> usize {
        self.num_finished
    }

    /// Simulated time so far.
    #[must_use]
    pub const fn now(&self) -> SimTime {
        self.now
    }

    /// The engines of either role, for invariants: prefill, then decode.
    pub fn engines(&self) -> impl Iterator<Item = &Simulation<'a>> {
        self.prefill.engines().iter().chain(self.decode.engines())
    }

    /// What came of it.
    #[must_use]
    pub fn finish(mut self) -> DisaggregatedResult {
        self.prefill.settle(&mut self.proxy);
        self.decode.settle(&mut self.client);
        // The other side may have waited on for a lease to end.
        let end = self.decode.last_time();
        let num_measured = self.workload.num_measured();
        let (legs, life) = self.life.map(|life| life.finish(end.max(self.now), num_measured)).unzip();
        let (decode, whole) = RoleResult::of(self.workload, parts(self.decode, legs), end);
        let (prefill, _) = RoleResult::of(self.workload, parts(self.prefill, None), end);
        DisaggregatedResult { whole, prefill, decode, transfers: self.hand_overs.finish(num_measured), life }
    }

    /// Whether a request has not ended yet.
    fn is_anybody_left(&self) -> bool {
        !self.client.has_sent_all() || self.num_finished < self.decode.owners.len()
    }

    /// When a desk looks next; whoever is never asked again need not.
    fn next_look(&self) -> SimTime {
        if self.is_anybody_left() { self.prefill.next_look().min(self.decode.next_look()) } else { SimTime::MAX }
    }

    fn send(&mut self, until: SimTime) {
        if let Some(sent) = self.client.send(until) {
            self.give(sent, sent.send_time);
        }
    }

    /// Gives a request that is at the proxy at `now` to a prefill engine.
    fn give(&mut self, sent: Sent, now: SimTime) {
        if self.is_refused(PREFILL, &sent, now) {
            return;
        }
        let num_generated = self.num_generated(sent.id);
        let arrival = arrival(self.workload, &self.sessions, &mut self.prompt, (sent.id, num_generated));
        self.prefill.take(now, (sent, num_generated), &arrival, &mut self.proxy);
        self.note_given(PREFILL, sent.id);
    }

    /// The proxy has the prefill side's answer, and asks the decode side.
    fn hand_over(&mut self) {
        let Some(Reverse((time, id))) = self.answered.pop() else { return };
        let Some(record) = self.prefill.requests.get(id.index()) else { return };
        let sent = Sent {
            id,
            scheduled_send_time: record.scheduled_send_time,
            send_time: record.send_time,
            own_wait: record.front_end_wait,
            leave_time: time,
        };
        self.hand_overs.note_answer(id, time);
        if self.is_refused(DECODE, &sent, time) {
            return;
        }
        let num_generated = self.num_generated(id);
        let arrival = arrival(self.workload, &self.sessions, &mut self.prompt, (id, num_generated));
        self.decode.take(time, (sent, num_generated), &arrival, &mut self.client);
        self.note_given(DECODE, id);
        self.hand_overs.note_route(id, self.prefill.owners[id.index()], self.decode.owners[id.index()]);
    }

    fn advance_prefill(&mut self, next: (usize, SimTime), outside: SimTime) {
        let horizon = Horizon { outside, is_shared: true };
        self.prefill.advance(next, horizon, &mut self.proxy, &mut self.news);
        for (time, id) in self.news.answers.drain(..) {
            self.hand_overs.note_computed(id);
            self.answered.push(Reverse((time, id)));
        }
    }

    fn advance_decode(&mut self, next: (usize, SimTime), outside: SimTime) {
        let horizon = Horizon { outside, is_shared: true };
        self.decode.advance(next, horizon, &mut self.client, &mut self.news);
        for (time, load) in self.news.loads.drain(..) {
            // Ranks in lockstep decide a step when each is ready, and all of them are asked when the last one is.
            self.hand_overs.begin(time.max(self.now), load);
        }
        let mut answers = core::mem::take(&mut self.news.answers);
        for (time, id) in answers.drain(..) {
            if !self.is_lost_again(time, id) {
                self.client.complete(id, time);
                self.num_finished += 1;
            }
        }
        self.news.answers = answers;
    }

    /// Whether somebody can go no further, and nobody can help.
    fn is_over(&self) -> bool {
        let is_any_stuck = self.prefill.is_any_stuck() || self.decode.is_any_stuck();
        is_any_stuck
            && self.next_retry() == SimTime::MAX
            && self.answered.is_empty()
            && !self.client.goes_on()
            && self.hand_overs.next_event() == SimTime::MAX
            && self.prefill.is_at_rest()
            && self.decode.is_at_rest()
    }

    /// A group was answered: the next one begins on the engines as they are; false if it was the last.
    fn begin_next(&mut self) -> bool {
        if self.turns.is_last(self.workload) {
            return false;
        }
        self.client = self.turns.next_client(self.workload, self.client_work);
        self.prefill.begin_group();
        self.decode.begin_group();
        self.hand_overs.begin_group();
        self.begin_lives();
        self.now = SimTime::ZERO;
        true
    }
}

/// A request, of whose answer so many tokens are there, as the proxy's desks see it.
fn arrival<'b>(
    workload: &Workload,
    sessions: &[u32],
    runs: &'b mut Vec<TokenRun>,
    (id, num_generated): (RequestId, u32),
) -> Arrival<'b> {
    runs.clear();
    runs.extend(prompt(&workload.requests, id, num_generated));
    Arrival { id, prompt: runs, session: sessions.get(id.index()).map(|&session| u64::from(session)) }
}

/// What a role's engines left, what those did that stepped together, and their stages; `legs` are answers of engines that
/// died.
fn parts(pool: Pool<'_>, legs: Option<BTreeMap<RequestId, Vec<Leg>>>) -> (Parts, Together, u32) {
    let num_stages = pool.engines().first().map_or(1, |engine| engine.config().pipeline_parallel_size);
    let (mut parts, together) = pool.finish();
    parts.life = legs.map(|legs| (legs, LifeResult::default()));
    (parts, together, num_stages)
}
