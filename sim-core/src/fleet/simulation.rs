//! Replicas on one clock, and the client in front of them.
//!
//! What happens next is the earliest of: a request is sent, the desk looks at the replicas, a replica's next event. Of
//! equal times a look comes first, then what is sent, then replicas by number. A replica is advanced up to the first
//! instant at which anybody else could send it something; so the order of events is that of one clock, and still most
//! passes are made many at a time, as in a simulation of one engine. A fleet of one is that simulation, bit for bit
//! (`tests/tests/it/fleet_of_one.rs`).

mod changes;
mod ranks;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::calendar::Calendar;
use super::desk::Desk;
use super::dispatch::Dispatch;
use super::life::Life;
use super::replica_result::{FleetResult, Parts};
use super::router::Arrival;
use crate::client::{Client, Sent, Turns};
use crate::config::EngineConfig;
use crate::engine_core::EngineCore;
use crate::math;
use crate::metrics::recorder::RequestRecords;
use crate::profile::ClientWork;
use crate::profile::step_time::StepTimeModel;
use crate::request::{RequestId, TokenRun};
use crate::request_set::RequestSet;
use crate::simulation_error::SimulationError;
use crate::simulation_result::SimulationOptions;
use crate::simulator::Simulation;
use crate::time::SimTime;
use crate::workload::{Traffic, Workload};

/// One engine of a fleet: its configuration and how long its passes take.
#[derive(Debug, Clone, Copy)]
pub struct Replica<'a> {
    /// The engine.
    pub config: &'a EngineConfig,
    /// Its machine.
    pub step_time: &'a StepTimeModel,
}

/// Runs `workload` on `replicas` to its end.
///
/// # Errors
/// See [`FleetSimulation::new`].
pub fn simulate_fleet(
    workload: &Workload,
    replicas: &[Replica<'_>],
    dispatch: Dispatch,
    options: SimulationOptions,
) -> Result<FleetResult, SimulationError> {
    let mut fleet = FleetSimulation::new(workload, replicas, dispatch, options)?;
    while fleet.advance() {}
    Ok(fleet.finish())
}

/// A run of a fleet in progress.
#[derive(Debug)]
pub struct FleetSimulation<'a> {
    workload: &'a Workload,
    replicas: Vec<Simulation<'a>>,
    turns: Turns,
    client: Client<'a>,
    client_work: Option<ClientWork>,
    requests: RequestRecords,
    desk: Box<dyn Desk>,
    calendar: Calendar,
    /// What the replicas have in common as data-parallel ranks; `None` if they are none.
    ranks: Option<ranks::Ranks>,
    /// Replicas in which nothing changes any more unless something is sent.
    is_stuck: Vec<bool>,
    /// Each request's replica.
    owners: Vec<u32>,
    /// The request that each one's conversation began with; empty where there are none.
    sessions: Vec<u32>,
    num_finished: usize,
    now: SimTime,
    /// `None` where every replica is there all the time.
    life: Option<Box<Life>>,
    /// Scratch.
    answers: Vec<(SimTime, RequestId)>,
    first_tokens: Vec<RequestId>,
    prompt: Vec<TokenRun>,
}

impl<'a> FleetSimulation<'a> {
    /// A run that has not begun. The client's own work is what the first replica's step times say.
    ///
    /// # Errors
    /// [`SimulationError`] as for each replica alone; [`SimulationError::NoReplicas`];
    /// [`SimulationError::ScriptInFleet`] for [`Traffic::QueriesPerIter`].
    pub fn new(
        workload: &'a Workload,
        replicas: &[Replica<'a>],
        dispatch: Dispatch,
        options: SimulationOptions,
    ) -> Result<Self, SimulationError> {
        let first = replicas.first().ok_or(SimulationError::NoReplicas)?;
        if matches!(workload.traffic, Traffic::QueriesPerIter { .. }) {
            return Err(SimulationError::ScriptInFleet);
        }
        let engine = |(number, replica): (u64, &Replica<'a>)| {
            let engine = Simulation::new(workload, replica.config, replica.step_time, options)?;
            Ok(engine.in_fleet(number))
        };
        let engines = (0..).zip(replicas).map(engine).collect::<Result<Vec<_>, SimulationError>>()?;
        let configs: Vec<_> = replicas.iter().map(|replica| replica.config).collect();
        let client_work = first.step_time.host().client_work();
        let mut turns = Turns::default();
        let mut fleet = Self {
            workload,
            client: turns.next_client(workload, client_work),
            turns,
            client_work,
            requests: RequestRecords::with_len(workload.requests.len()),
            desk: dispatch.desk(&configs),
            calendar: Calendar::new(engines.len()),
            ranks: dispatch.data_parallel().map(|settings| ranks::Ranks::new(settings, first.config, engines.len())),
            is_stuck: vec![false; engines.len()],
            replicas: engines,
            owners: vec![0; workload.requests.len()],
            sessions: sessions(workload),
            num_finished: 0,
            now: SimTime::ZERO,
            life: None,
            answers: Vec::new(),
            first_tokens: Vec::new(),
            prompt: Vec::new(),
        };
        fleet.begin_ranks();
        Ok(fleet)
    }

    /// The next event, and what of the same replica follows it before anybody else's; false if the run is over.
    pub fn advance(&mut self) -> bool {
        let (event, replica) = self.calendar.first();
        let (send, retry) = (self.client.next_send().unwrap_or(SimTime::MAX), self.next_retry());
        let first = event.min(send).min(retry);
        if first == SimTime::MAX {
            return self.begin_next();
        }
        let (look, change) = (self.next_look(), self.next_change());
        if change <= look.min(first) {
            self.change(change);
        } else if look <= first {
            self.desk.look(look, &self.replicas);
        } else if retry == first {
            self.send_again();
        } else if send == first {
            self.send(send);
        } else if self.step_together() {
            return self.advance_rank(replica, event);
        } else {
            self.advance_replica(replica, event, send.min(retry).min(look).min(change));
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

    /// The engines as they are, by replica, for invariants.
    pub fn engines(&self) -> impl Iterator<Item = &EngineCore<'a>> {
        self.replicas.iter().map(Simulation::engine)
    }

    /// What came of it.
    #[must_use]
    pub fn finish(mut self) -> FleetResult {
        for replica in &mut self.replicas {
            replica.swap_fleet(&mut self.client, &mut self.requests);
            replica.settle();
            replica.swap_fleet(&mut self.client, &mut self.requests);
        }
        let end = self.replicas.iter().map(Simulation::now).max().unwrap_or_default();
        let usable = |replica: &Simulation<'_>| replica.engine().scheduler().kv_cache().num_usable_blocks();
        let num_usable_blocks = self.replicas.iter().map(usable).collect();
        let life = self.life.map(|life| (life.recovery.legs().clone(), life.finish(end, self.workload.num_measured())));
        let parts = Parts {
            life,
            results: self.replicas.into_iter().map(Simulation::finish).collect(),
            num_usable_blocks,
            requests: self.requests,
            owners: self.owners,
        };
        let mut result = parts.whole(self.workload);
        result.lockstep = self.ranks.and_then(|ranks| ranks.finish(&mut result.replicas));
        result
    }

    /// When the desk looks next; whoever is never asked again need not.
    fn next_look(&self) -> SimTime {
        if self.client.has_sent_all() && self.life.is_none() { SimTime::MAX } else { self.desk.next_look() }
    }

    fn send(&mut self, until: SimTime) {
        if let Some(sent) = self.client.send(until) {
            self.give(sent, sent.send_time);
        }
    }

    /// Gives a request that is at the desk at `now` to a replica.
    fn give(&mut self, sent: Sent, now: SimTime) {
        if self.is_refused(&sent, now) {
            return;
        }
        let num_generated = self.life.as_ref().map_or(0, |life| life.recovery.num_generated(sent.id));
        let requests = &self.workload.requests;
        let session = self.sessions.get(sent.id.index()).map(|&session| u64::from(session));
        self.prompt.clear();
        self.prompt.extend(prompt(requests, sent.id, num_generated));
        let arrival = Arrival { id: sent.id, prompt: &self.prompt, session };
        let replica = self.desk.choose(now, &arrival);
        if let Some(life) = &mut self.life {
            life.note_given(sent.id, replica);
        }
        self.owners[sent.id.index()] = math::usize_to_u32(replica);
        self.is_stuck[replica] = false;
        self.lend(replica);
        self.replicas[replica].take_sent(sent, num_generated);
        self.lend(replica);
        if !self.is_wave_under_way() {
            self.calendar.set(replica, self.replicas[replica].next_event());
        }
    }

    /// What all replicas have in common goes to one, or comes back.
    fn lend(&mut self, replica: usize) {
        let engine = &mut self.replicas[replica];
        engine.swap_fleet(&mut self.client, &mut self.requests);
        if let Some(api_servers) = self.ranks.as_mut().and_then(ranks::Ranks::common_api_servers) {
            engine.swap_api_servers(api_servers);
        }
    }

    /// Advances a replica whose next event is at `now`; `horizon` is when somebody beside the replicas acts next.
    fn advance_replica(&mut self, replica: usize, now: SimTime, mut horizon: SimTime) {
        self.now = self.now.max(now);
        if !self.client.is_open_loop() || self.client_work.is_some() || self.have_common_front_end() {
            // Whatever another replica answers may be followed by something that is sent here, or keep busy the client's
            // thread or a server.
            self.calendar.set(replica, SimTime::MAX);
            horizon = horizon.min(self.calendar.first().0);
        }
        self.lend(replica);
        self.is_stuck[replica] = !self.replicas[replica].advance_until(horizon);
        self.lend(replica);
        self.tell_counts(replica);
        let engine = &mut self.replicas[replica];
        engine.take_news(&mut self.answers, &mut self.first_tokens);
        let delivery_time = engine.last_delivery_time();
        self.calendar.set(replica, engine.next_event());
        for id in self.first_tokens.drain(..) {
            self.desk.hear(delivery_time, id, replica, false);
        }
        let mut is_drained = false;
        for (time, id) in self.answers.drain(..) {
            self.client.complete(id, time);
            self.desk.hear(time, id, replica, true);
            is_drained = self.life.as_mut().is_some_and(|life| life.note_answered(id, replica));
            self.num_finished += 1;
        }
        if is_drained {
            self.stop(replica);
        }
    }

    /// Whether nothing is to be sent, and nothing changes in any replica that has something to do.
    fn is_over(&self) -> bool {
        let (event, replica) = self.calendar.first();
        event < SimTime::MAX && self.is_stuck[replica] && self.are_stuck()
    }

    /// Whether nothing is to be sent, and replicas that have something to do are stuck, one at least.
    fn are_stuck(&self) -> bool {
        let mut engines = self.replicas.iter().zip(&self.is_stuck);
        !self.client.goes_on()
            && self.next_retry() == SimTime::MAX
            && self.is_stuck.contains(&true)
            && engines.all(|(engine, &is_stuck)| is_stuck || engine.next_event() == SimTime::MAX)
    }

    /// A group was answered: the next one begins on the engines as they are; false if it was the last.
    fn begin_next(&mut self) -> bool {
        if self.turns.is_last(self.workload) {
            return false;
        }
        self.client = self.turns.next_client(self.workload, self.client_work);
        self.requests = RequestRecords::with_len(self.workload.requests.len());
        self.replicas.iter_mut().for_each(Simulation::begin_group);
        self.begin_ranks();
        self.desk.begin_group();
        self.begin_life();
        self.now = SimTime::ZERO;
        true
    }
}

/// The runs of a request's prompt, and of so many tokens behind it.
pub(super) fn prompt(requests: &RequestSet, id: RequestId, num_generated: u32) -> impl Iterator<Item = TokenRun> {
    let request = requests.get(id);
    let mut num_left = request.num_prompt_tokens + num_generated;
    let of_prompt = move |&run: &TokenRun| {
        let len = run.len.min(num_left);
        num_left -= len;
        (len > 0).then_some(TokenRun { len, ..run })
    };
    requests.runs(request).iter().map_while(of_prompt)
}

/// The request with which each one's conversation began.
pub(super) fn sessions(workload: &Workload) -> Vec<u32> {
    let Traffic::Answered { after, .. } = &workload.traffic else { return Vec::new() };
    let mut sessions: Vec<u32> = Vec::with_capacity(after.len());
    for (number, after) in (0..).zip(after) {
        // Nobody waits for a later one.
        let session = after.and_then(|after| sessions.get(after.request.index()).copied());
        sessions.push(session.unwrap_or(number));
    }
    sessions
}
