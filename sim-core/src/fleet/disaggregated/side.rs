//! One role's engines: their calendar, who gives them requests, the records of these.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::super::calendar::Calendar;
use super::super::desk::Desk;
use super::super::dispatch::Dispatch;
use super::super::router::Arrival;
use crate::client::{Client, Sent};
use crate::metrics::recorder::RequestRecords;
use crate::request::RequestId;
use crate::sched::connector::interface::{ExternalTokens, KvConnectorOutput};
use crate::simulator::Simulation;
use crate::time::SimTime;

/// What a role's engines have, beside the other role.
#[derive(Debug)]
pub(super) struct Side<'a> {
    pub(super) replicas: Vec<Simulation<'a>>,
    pub(super) requests: RequestRecords,
    /// Each request's replica.
    pub(super) owners: Vec<u32>,
    calendar: Calendar,
    desk: Box<dyn Desk>,
    /// Replicas in which nothing changes any more unless something comes from outside.
    is_stuck: Vec<bool>,
    first_tokens: Vec<RequestId>,
}

/// What an event brought.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Requests that were answered, and when.
    pub(super) answers: Vec<(SimTime, RequestId)>,
    /// Loads that began, and when.
    pub(super) loads: Vec<(SimTime, ExternalTokens)>,
}

impl<'a> Side<'a> {
    pub(super) fn new(replicas: Vec<Simulation<'a>>, num_requests: usize, dispatch: Dispatch) -> Self {
        let configs: Vec<_> = replicas.iter().map(Simulation::config).collect();
        Self {
            requests: RequestRecords::with_len(num_requests),
            owners: vec![0; num_requests],
            calendar: Calendar::new(replicas.len()),
            desk: dispatch.desk(&configs),
            is_stuck: vec![false; replicas.len()],
            first_tokens: Vec::new(),
            replicas,
        }
    }

    /// When and where something happens next.
    pub(super) fn next_event(&self) -> (SimTime, usize) {
        self.calendar.first()
    }

    /// When the desk looks at the replicas next, if it does.
    pub(super) fn next_look(&self) -> SimTime {
        self.desk.next_look()
    }

    pub(super) fn look(&mut self, now: SimTime) {
        self.desk.look(now, &self.replicas);
    }

    /// A request comes at `now`; `client` is whose thread works for this side.
    pub(super) fn take(&mut self, now: SimTime, sent: Sent, arrival: &Arrival<'_>, client: &mut Client<'a>) {
        let replica = self.desk.choose(now, arrival);
        self.owners[sent.id.index()] = crate::math::usize_to_u32(replica);
        self.is_stuck[replica] = false;
        let engine = &mut self.replicas[replica];
        engine.swap_fleet(client, &mut self.requests);
        engine.take_sent(sent, 0);
        engine.swap_fleet(client, &mut self.requests);
        self.calendar.set(replica, engine.next_event());
    }

    /// The replica's next event, and what follows it before `horizon`.
    pub(super) fn advance(&mut self, replica: usize, horizon: SimTime, client: &mut Client<'a>, news: &mut News) {
        self.calendar.set(replica, SimTime::MAX);
        let horizon = horizon.min(self.calendar.first().0);
        let engine = &mut self.replicas[replica];
        engine.swap_fleet(client, &mut self.requests);
        self.is_stuck[replica] = !engine.advance_until(horizon);
        engine.swap_fleet(client, &mut self.requests);
        engine.take_news(&mut news.answers, &mut self.first_tokens);
        engine.take_loads(&mut news.loads);
        let delivery_time = engine.last_delivery_time();
        self.calendar.set(replica, engine.next_event());
        for id in self.first_tokens.drain(..) {
            self.desk.hear(delivery_time, id, replica, false);
        }
        for &(time, id) in &news.answers {
            self.desk.hear(time, id, replica, true);
        }
    }

    /// Transfers of a replica have ended.
    pub(super) fn report_transfers(&mut self, replica: usize, ended: KvConnectorOutput) {
        self.is_stuck[replica] = false;
        self.replicas[replica].report_transfers(ended);
    }

    /// Whether nothing changes here any more unless something comes; engines that only wait for their blocks to be read
    /// have nothing else to do.
    pub(super) fn is_at_rest(&self) -> bool {
        self.replicas.iter().zip(&self.is_stuck).all(|(engine, &is_stuck)| is_stuck || engine.is_at_rest())
    }

    /// Whether any replica can go no further with the requests that it has.
    pub(super) fn is_any_stuck(&self) -> bool {
        self.is_stuck.contains(&true)
    }

    /// All requests so far have been answered, and the clock begins again.
    pub(super) fn begin_group(&mut self) {
        self.requests = RequestRecords::with_len(self.owners.len());
        self.replicas.iter_mut().for_each(Simulation::begin_group);
        self.desk.begin_group();
    }

    /// Looks at everybody once more.
    pub(super) fn settle(&mut self, client: &mut Client<'a>) {
        for engine in &mut self.replicas {
            engine.swap_fleet(client, &mut self.requests);
            engine.settle();
            engine.swap_fleet(client, &mut self.requests);
        }
    }
}
