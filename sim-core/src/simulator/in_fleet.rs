//! An engine as one of several on one clock: what a fleet asks of it, and gives it.
//!
//! The fleet has the client; an engine has the part of it that concerns its own requests. It is advanced up to a horizon,
//! the first instant at which somebody outside may do something that it would notice. A step that issues a pass and takes
//! in another is two events then, if the second lies behind the horizon: what is sent between them has its turn between.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Simulation;
use crate::api_servers::ApiServers;
use crate::client::{Client, Sent, Turns};
use crate::config::EngineConfig;
use crate::device::Device;
use crate::engine_core::EngineCore;
use crate::metrics::recorder::RequestRecords;
use crate::request::RequestId;
use crate::sched::connector::interface::{
    ExternalTokens, KvConnector, KvConnectorError, KvConnectorOutput, KvTransferConfig,
};
use crate::time::SimTime;

/// What makes an engine's KV connector.
pub(crate) type NewConnector = fn() -> Box<dyn KvConnector>;

/// Requests that run and wait, and free KV blocks, at times at which they had changed.
#[derive(Debug, Default)]
pub(super) struct ToldCounts {
    /// Of requests: those told last.
    last: (u32, u32),
    told: Vec<(SimTime, (u32, u32, u32))>,
}

impl<'a> Simulation<'a> {
    /// The same engine with nobody but a fleet to send to it, replica `number` there, whose passes differ in their own way.
    /// Before it has begun.
    pub(crate) fn in_fleet(mut self, number: u64) -> Self {
        if number > 0 {
            self.noise = self.noise.map(|noise| noise.drawn_again(number));
        }
        self.client = Client::part();
        self.turns = Turns::over();
        self.recorder.tell_first_tokens();
        // The fleet has those of all.
        self.swap_requests(&mut RequestRecords::default());
        self
    }

    /// The same engine with a KV connector, whose transfers the fleet times. Before it has begun.
    ///
    /// # Errors
    /// If the engine's rules with a connector are not known.
    pub(crate) fn with_connector(
        mut self,
        settings: KvTransferConfig,
        kv_connector: NewConnector,
    ) -> Result<Self, KvConnectorError> {
        self.engine = EngineCore::with_connector(self.config, &self.workload.requests, settings, kv_connector())?;
        self.transfers = super::offloading::Transfers::default();
        self.connector = Some((settings, kv_connector));
        Ok(self)
    }

    /// An ended request that keeps its blocks may come again: they are the caller's from now on. `None` if it keeps none.
    pub(crate) fn disown(&mut self, id: RequestId) -> Option<Vec<u32>> {
        self.engine.scheduler.disown(id)
    }

    /// Gives back what [`Self::disown`] gave.
    pub(crate) fn free_table(&mut self, table: Vec<u32>) {
        self.in_vain.interrupt();
        self.engine.scheduler.free_table(table);
    }

    /// A new engine as this one was at first.
    fn new_engine(&self) -> Result<EngineCore<'a>, KvConnectorError> {
        let (config, requests) = (self.config, &self.workload.requests);
        match self.connector {
            Some((settings, kv_connector)) => EngineCore::with_connector(config, requests, settings, kv_connector()),
            None => super::offloading::engine_of(config, requests),
        }
    }

    /// Loads that began since this was asked last, and when.
    pub(crate) fn take_loads(&mut self, loads: &mut Vec<(SimTime, ExternalTokens)>) {
        self.transfers.take_loads(loads);
    }

    /// Transfers have ended; the pass that is decided next reports it.
    pub(crate) fn report_transfers(&mut self, ended: KvConnectorOutput) {
        self.in_vain.interrupt();
        self.engine.report_transfers(ended);
    }

    /// The fleet's client and its requests' records, for as long as this engine is at work, or back.
    pub(crate) fn swap_fleet(&mut self, client: &mut Client<'a>, requests: &mut RequestRecords) {
        self.client.swap_thread(client);
        self.swap_requests(requests);
    }

    /// The same for the records alone: of requests that the fleet's client does not see answered here.
    pub(crate) fn swap_requests(&mut self, requests: &mut RequestRecords) {
        self.recorder.swap_requests(requests);
    }

    /// A request is sent here. Where others have generated tokens of its answer, these are part of its prompt.
    pub(crate) fn take_sent(&mut self, sent: Sent, num_generated: u32) {
        if num_generated > 0 {
            self.engine.scheduler.note_generated(sent.id, num_generated);
        }
        self.accept(sent);
    }

    /// What it was made for.
    pub(crate) const fn config(&self) -> &'a EngineConfig {
        self.config
    }

    /// Whether it has no request to serve; it may still keep blocks until they are read.
    pub(crate) fn is_at_rest(&self) -> bool {
        let has_requests = self.engine.scheduler().has_unfinished_requests() || self.client.next_arrival().is_some();
        !has_requests && self.suspended.is_none()
    }

    /// When something happens here next: a step, results of one, an arrival at an idle engine. [`SimTime::MAX`] if nothing.
    pub(crate) fn next_event(&self) -> SimTime {
        if self.suspended.is_some() {
            self.take_in_time()
        } else if self.engine.has_work() {
            self.now
        } else {
            self.client.next_arrival().map_or(SimTime::MAX, |arrival| arrival.max(self.now))
        }
    }

    /// Does that, and what follows before `horizon`; false if nothing can change any more unless something is sent.
    pub(crate) fn advance_until(&mut self, horizon: SimTime) -> bool {
        self.horizon = horizon;
        self.advance()
    }

    /// What was answered, and whose first token came, since this was asked last.
    pub(crate) fn take_news(&mut self, answers: &mut Vec<(SimTime, RequestId)>, first_tokens: &mut Vec<RequestId>) {
        self.client.take_answers(answers);
        self.recorder.take_first_tokens(first_tokens);
    }

    /// When the tokens that came last were read.
    pub(crate) const fn last_delivery_time(&self) -> SimTime {
        self.last_delivery_time
    }

    /// The next group of requests is sent: clock and records begin again, the engine is as it is.
    pub(crate) fn begin_group(&mut self) {
        self.begin_records();
        self.client = Client::part();
        self.recorder.tell_first_tokens();
        self.swap_requests(&mut RequestRecords::default());
    }

    /// Looks at everybody once more, before [`Self::finish`] and with the fleet's records.
    pub(crate) fn settle(&mut self) {
        self.engine.look_at_all();
        self.record_steady_tokens();
    }

    /// The engine is gone at `time`, with requests, blocks and passes under way; what it counted and what came out of it
    /// before stays. A new one takes its place. Called with the fleet's records, as [`Self::settle`].
    pub(crate) fn die(&mut self, time: SimTime) {
        // Nobody heard of a step whose results were to be taken in later.
        let untold = self.suspended.take().and_then(|_| self.in_flight.front()?.record);
        self.settle();
        if let Some(pass) = untold {
            for steady in &self.steady_tokens {
                self.recorder.untell(steady.id, pass);
            }
        }
        for pass in self.in_flight.drain(..) {
            pass.record.into_iter().for_each(|pass| self.recorder.cut_short(pass, time));
        }
        self.recorder.end_runs();
        self.before.replace(self.engine.scheduler());
        // What could be made when the run began can be made again.
        if let Ok(engine) = self.new_engine() {
            self.engine = engine;
        }
        self.transfers = super::offloading::Transfers::new(self.config, self.step_time);
        self.device = Device::new(self.config.pipeline_parallel_size);
        self.api_servers = ApiServers::new(self.config.api_server_count, self.step_time);
        self.client.lose_all();
        self.now = self.now.min(time);
        self.looks.interrupt();
        self.in_vain.interrupt();
        self.quiet_until = SimTime::ZERO;
    }

    /// The API servers of all engines, for as long as this one is at work, or back.
    pub(crate) const fn swap_api_servers(&mut self, of_all: &mut Option<ApiServers>) {
        core::mem::swap(&mut self.api_servers, of_all);
    }

    /// From now on it is told when the numbers of requests change.
    pub(crate) fn count_for_others(&mut self) {
        self.counts = Some(ToldCounts::default());
    }

    /// Tells how many requests run and wait, if that has changed; before and after each step, as
    /// `core.py::_maybe_publish_request_counts`.
    pub(crate) fn tell_counts(&mut self) {
        let Some(counts) = &mut self.counts else { return };
        let scheduler = self.engine.scheduler();
        let (num_running, num_waiting) = scheduler.num_requests();
        if core::mem::replace(&mut counts.last, (num_running, num_waiting)) != (num_running, num_waiting) {
            let num_free_blocks = scheduler.kv_cache().num_free_blocks();
            counts.told.push((self.now, (num_running, num_waiting, num_free_blocks)));
        }
    }

    /// What was told since this was asked last.
    pub(crate) fn take_counts(&mut self) -> impl Iterator<Item = (SimTime, (u32, u32, u32))> {
        self.counts.as_mut().map(|counts| core::mem::take(&mut counts.told)).into_iter().flatten()
    }

    /// Whether the results of a step are to be taken in at [`Self::next_event`].
    pub(crate) const fn is_suspended(&self) -> bool {
        self.suspended.is_some()
    }

    /// Requests that run and wait, and free KV blocks, as the pass that was scheduled last left them.
    pub(crate) fn last_counts(&self) -> (u32, u32, u32) {
        let num_usable_blocks = self.engine.scheduler().kv_cache().num_usable_blocks();
        let is_idle = self.suspended.is_none() && !self.engine.has_work();
        match self.recorder.last_pass().filter(|_| !is_idle) {
            Some(pass) => (pass.num_running_reqs, pass.num_waiting_reqs, pass.num_free_blocks),
            None => (0, 0, num_usable_blocks),
        }
    }
}
