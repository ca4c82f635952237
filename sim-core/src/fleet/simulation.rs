//! Replicas on one clock, and the client in front of them.
//!
//! What happens next is the earliest of: a request is sent, the router reads metrics, an engine's next event. Of
//! equal times a look comes first, then what is sent, then engines by number. An engine is advanced up to the first
//! instant at which anybody else could send it something; so the order of events is that of one clock, and still most
//! passes are made many at a time, as in a simulation of one engine. A fleet of one is that simulation, bit for bit
//! (`tests/tests/it/fleet_of_one.rs`).

mod changes;

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::dispatch::Dispatch;
use super::life::Life;
use super::pool::{Horizon, News, Pool};
use super::replica_result::FleetResult;
use super::router::Arrival;
use crate::client::{Client, Sent, Turns};
use crate::config::EngineConfig;
use crate::engine_core::EngineCore;
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
    pool: Pool<'a>,
    turns: Turns,
    client: Client<'a>,
    client_work: Option<ClientWork>,
    /// The request that each one's conversation began with; empty where there are none.
    sessions: Vec<u32>,
    num_finished: usize,
    now: SimTime,
    /// `None` where every replica is there all the time.
    life: Option<Box<Life>>,
    /// Scratch.
    news: News,
    prompt: Vec<TokenRun>,
}

impl<'a> FleetSimulation<'a> {
    /// A run that has not begun. The client's own work is what the first engine's step times say.
    ///
    /// # Errors
    /// [`SimulationError`] as for each engine alone; [`SimulationError::NoReplicas`] and [`SimulationError::UnevenRanks`];
    /// [`SimulationError::ScriptInFleet`] for [`Traffic::QueriesPerIter`].
    pub fn new(
        workload: &'a Workload,
        engines: &[Replica<'a>],
        dispatch: Dispatch,
        options: SimulationOptions,
    ) -> Result<Self, SimulationError> {
        let first = engines.first().ok_or(SimulationError::NoReplicas)?;
        if matches!(workload.traffic, Traffic::QueriesPerIter { .. }) {
            return Err(SimulationError::ScriptInFleet);
        }
        let engine = |(number, engine): (u64, &Replica<'a>)| {
            let engine = Simulation::new(workload, engine.config, engine.step_time, options)?;
            Ok(engine.in_fleet(number))
        };
        let client_work = first.step_time.host().client_work();
        let engines = (0..).zip(engines).map(engine).collect::<Result<Vec<_>, SimulationError>>()?;
        let mut turns = Turns::default();
        Ok(Self {
            workload,
            client: turns.next_client(workload, client_work),
            turns,
            client_work,
            pool: Pool::new(engines, workload.requests.len(), dispatch)?,
            sessions: sessions(workload),
            num_finished: 0,
            now: SimTime::ZERO,
            life: None,
            news: News::default(),
            prompt: Vec::new(),
        })
    }

    /// The next event, and what of the same engine follows it before anybody else's; false if the run is over.
    pub fn advance(&mut self) -> bool {
        let (event, engine) = self.pool.next_event();
        let (send, retry) = (self.client.next_send().unwrap_or(SimTime::MAX), self.next_retry());
        let first = event.min(send).min(retry);
        if first == SimTime::MAX {
            return self.begin_next();
        }
        let (look, change) = (self.next_look(), self.next_change());
        if change <= look.min(first) {
            self.change(change);
        } else if look <= first {
            self.pool.look(look);
        } else if retry == first {
            self.send_again();
        } else if send == first {
            self.send(send);
        } else {
            self.advance_engine(engine, event, send.min(retry).min(look).min(change));
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

    /// The engines as they are, by number, for invariants.
    pub fn engines(&self) -> impl Iterator<Item = &EngineCore<'a>> {
        self.pool.engines().iter().map(Simulation::engine)
    }

    /// What came of it.
    #[must_use]
    pub fn finish(mut self) -> FleetResult {
        self.pool.settle(&mut self.client);
        let end = self.pool.last_time();
        let life = self.life.map(|life| (life.recovery.legs().clone(), life.finish(end, self.workload.num_measured())));
        let (mut parts, together) = self.pool.finish();
        parts.life = life;
        let mut result = parts.whole(self.workload);
        result.num_ranks = together.num_ranks;
        result.lockstep = together.finish(&mut result.replicas);
        result
    }

    /// When the router reads metrics next; whoever is never asked again need not.
    fn next_look(&self) -> SimTime {
        if self.client.has_sent_all() && self.life.is_none() { SimTime::MAX } else { self.pool.next_look() }
    }

    fn send(&mut self, until: SimTime) {
        if let Some(sent) = self.client.send(until) {
            self.give(sent, sent.send_time);
        }
    }

    /// Gives a request that is at the router at `now` to an engine.
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
        self.pool.take(now, (sent, num_generated), &arrival, &mut self.client);
        if let Some(life) = &mut self.life {
            life.crew.note_given(sent.id, self.pool.replica_of(sent.id));
        }
    }

    /// Advances an engine whose next event is at `now`; `outside` is when somebody beside the engines acts next.
    fn advance_engine(&mut self, engine: usize, now: SimTime, outside: SimTime) {
        self.now = self.now.max(now);
        let is_shared = !self.client.is_open_loop() || self.client_work.is_some();
        self.pool.advance((engine, now), Horizon { outside, is_shared }, &mut self.client, &mut self.news);
        let mut drained = None;
        for (time, id) in self.news.answers.drain(..) {
            self.client.complete(id, time);
            let replica = self.pool.replica_of(id);
            if self.life.as_mut().is_some_and(|life| life.crew.note_answered(id, replica)) {
                drained = Some(replica);
            }
            self.num_finished += 1;
        }
        drained.into_iter().for_each(|replica| self.stop(replica));
    }

    /// Whether nothing is to be sent, and nothing changes in any engine that has something to do.
    fn is_over(&self) -> bool {
        self.pool.is_next_in_vain() && !self.client.goes_on() && self.next_retry() == SimTime::MAX
    }

    /// A group was answered: the next one begins on the engines as they are; false if it was the last.
    fn begin_next(&mut self) -> bool {
        if self.turns.is_last(self.workload) {
            return false;
        }
        self.client = self.turns.next_client(self.workload, self.client_work);
        self.pool.begin_group();
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
