//! The engine's thread: it decides a pass when its time has come, waits as long as the pass takes, and hands its tokens
//! to the front end when a client would have them.
//!
//! What is simulated does not depend on how punctual the thread is: dates follow from dates. Only what comes from outside
//! is dated by the wall clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sim_core::live_engine::LiveEngine;
use sim_core::request::{FinishReason, RequestId};
use sim_core::request_set::NewRequest;
use sim_core::sched::output::SchedulerOutput;
use sim_core::time::SimTime;
use tokio::sync::mpsc;

use super::clock::Clock;
use super::kv_events::Publisher;
use super::live_request::{LiveRequest, Outputs, Told};
use super::metrics::{Metrics, SchedulerState};
use super::reply::NewTokens;
use super::submission::{Batch, Message, Submission, Ticket};

/// How long the thread sleeps at most; it wakes for every message.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// Everything that the thread has.
#[derive(Debug)]
pub(crate) struct EngineThread<'a> {
    engine: LiveEngine<'a>,
    clock: Clock,
    inbox: Receiver<Message>,
    /// One for each of the connections' threads.
    outboxes: Vec<mpsc::Sender<Batch>>,
    metrics: Arc<Mutex<Metrics>>,
    /// Where somebody may want to be told of the KV cache.
    publisher: Option<Publisher>,
    /// On their way to the engine's queue, by the time of their coming.
    coming: BTreeMap<(SimTime, Ticket), Submission>,
    /// By place in the engine.
    live: Vec<Option<LiveRequest>>,
    places: BTreeMap<Ticket, Place>,
    num_added: u64,
    /// Left the engine core, not yet on their way to clients.
    outputs: VecDeque<Outputs>,
    /// On their way to clients.
    deliveries: VecDeque<(SimTime, Vec<Told>)>,
}

/// Where a request is.
#[derive(Debug, Clone, Copy)]
enum Place {
    Coming(SimTime),
    Live(RequestId),
}

impl<'a> EngineThread<'a> {
    /// A thread's state before its first message.
    pub(crate) fn new(
        mut engine: LiveEngine<'a>,
        clock: Clock,
        inbox: Receiver<Message>,
        outboxes: Vec<mpsc::Sender<Batch>>,
        metrics: Arc<Mutex<Metrics>>,
        publisher: Option<Publisher>,
    ) -> Self {
        if publisher.is_some() {
            engine.keep_kv_cache_events();
        }
        Self {
            engine,
            clock,
            inbox,
            outboxes,
            metrics,
            publisher,
            coming: BTreeMap::new(),
            live: Vec::new(),
            places: BTreeMap::new(),
            num_added: 0,
            outputs: VecDeque::new(),
            deliveries: VecDeque::new(),
        }
    }

    /// Runs until it is told to stop, or nobody is left who could.
    pub(crate) fn run(mut self) {
        loop {
            match self.inbox.try_recv() {
                Ok(Message::Stop) | Err(TryRecvError::Disconnected) => return,
                Ok(message) => {
                    self.take(message);
                    continue;
                }
                Err(TryRecvError::Empty) => {}
            }
            let now = self.clock.now();
            self.send_outputs(now);
            if !self.hand_out(now) {
                return;
            }
            if self.next_step().is_some_and(|time| time <= now) {
                self.step();
                continue;
            }
            let wait = self.next_date().map_or(LONGEST_SLEEP, |date| {
                self.clock.instant_of(date).saturating_duration_since(Instant::now()).min(LONGEST_SLEEP)
            });
            match self.inbox.recv_timeout(wait) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Add(submissions) => submissions.into_iter().for_each(|submission| self.expect(submission)),
            Message::Abort(tickets) => tickets.into_iter().for_each(|ticket| self.abort(ticket)),
            Message::ResetPrefixCache(answer) => {
                self.catch_up();
                let is_reset = self.engine.reset_prefix_cache();
                // Who asked may have gone.
                answer.send(is_reset).unwrap_or_default();
            }
            Message::Stop => {}
        }
    }

    /// A request has come to the front end, and will stand in the queue a little later.
    fn expect(&mut self, submission: Submission) {
        let arrival = self.clock.time_of(submission.arrival);
        let queue_time = self.engine.queue_time(arrival, submission.num_prompt_tokens);
        self.places.insert(submission.ticket, Place::Coming(queue_time));
        self.coming.insert((queue_time, submission.ticket), submission);
    }

    fn abort(&mut self, ticket: Ticket) {
        match self.places.remove(&ticket) {
            Some(Place::Coming(queue_time)) => drop(self.coming.remove(&(queue_time, ticket))),
            Some(Place::Live(id)) => {
                self.catch_up();
                self.engine.abort_request(id);
                if let Some(place) = self.live.get_mut(id.index()) {
                    *place = None;
                }
            }
            // It has ended.
            None => {}
        }
    }

    /// When the engine goes on: at its own time, or when the next request comes to an idle one.
    fn next_step(&self) -> Option<SimTime> {
        let next_request = self.next_request();
        if self.engine.has_work() {
            return Some(self.engine.next_step(next_request));
        }
        next_request.map(|queue_time| self.engine.now().max(queue_time))
    }

    fn next_request(&self) -> Option<SimTime> {
        self.coming.first_key_value().map(|((queue_time, _), _)| *queue_time)
    }

    /// What changes now is not seen by looks in vain before it.
    fn catch_up(&mut self) {
        let now = self.clock.now();
        self.engine.skip_looks(self.next_request().map_or(now, |queue_time| queue_time.min(now)));
    }

    fn next_date(&self) -> Option<SimTime> {
        let outputs = self.outputs.front().map(|outputs| outputs.time);
        let delivery = self.deliveries.front().map(|(time, _)| *time);
        [self.next_step(), outputs, delivery].into_iter().flatten().min()
    }

    /// Lets the engine take who has come, and go on.
    fn step(&mut self) {
        self.engine.skip_looks(self.next_request().unwrap_or(SimTime::MAX));
        while let Some(entry) = self.coming.first_entry() {
            if self.engine.has_work() && entry.key().0 > self.engine.now() {
                break;
            }
            let ((queue_time, _), submission) = entry.remove_entry();
            self.add(submission, queue_time);
        }
        let (live, mut loads) = (&mut self.live, Vec::new());
        let output_time = self.engine.advance(|pass| {
            for load in pass.output.async_loads() {
                if let Some(Some(request)) = live.get_mut(load.id.index())
                    && request.load(load)
                {
                    loads.push((load.num_external_tokens, num_tier_tokens(pass.output, load.id)));
                }
            }
            for admission in &pass.output.new_reqs {
                if let Some(Some(request)) = live.get_mut(admission.id.index()) {
                    request.admit(pass.schedule_time, admission.num_cached_tokens);
                }
            }
        });
        let (scheduler, stats) = (self.engine.scheduler(), self.engine.stats());
        let (num_running_reqs, num_waiting_reqs) = scheduler.num_requests();
        let num_free_blocks = scheduler.kv_cache().num_free_blocks();
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let num_deferred_reqs = scheduler.num_deferred_requests();
        metrics.note_state(SchedulerState { num_running_reqs, num_waiting_reqs, num_deferred_reqs, num_free_blocks });
        metrics.note_counters(stats.prefix_cache_queries, stats.prefix_cache_hits, stats.num_preemptions);
        if let Some(external) = scheduler.external_stats() {
            metrics.note_external(external);
            loads.into_iter().for_each(|(num_tokens, num_tier_tokens)| metrics.note_load(num_tokens, num_tier_tokens));
            self.engine.ended_transfers().iter().for_each(|transfer| metrics.note_transfer(transfer));
        }
        drop(metrics);
        if let Some(time) = output_time {
            self.collect(time);
        }
    }

    fn add(&mut self, submission: Submission, queue_time: SimTime) {
        self.num_added += 1;
        let new = NewRequest {
            prompt: &submission.prompt,
            output: &submission.output,
            max_tokens: submission.max_tokens,
            stops: submission.stops,
            priority: submission.priority,
            arrival_order: self.num_added,
            id_rank: 0,
            cache_salt: submission.cache_salt,
        };
        let Ok(id) = self.engine.add_request(&new, queue_time) else {
            // The front end has checked it: it cannot be. A client that waits for ever would be worse.
            self.places.remove(&submission.ticket);
            let ended = NewTokens {
                choice: submission.choice,
                num_tokens: 0,
                num_cached_tokens: 0,
                finished: Some(FinishReason::Abort),
            };
            submission.reply.add(ended, Instant::now());
            return;
        };
        if self.live.len() <= id.index() {
            self.live.resize_with(id.index() + 1, || None);
        }
        self.places.insert(submission.ticket, Place::Live(id));
        let arrival = self.clock.time_of(submission.arrival);
        self.live[id.index()] = Some(LiveRequest::new(submission, arrival, queue_time));
    }

    /// Takes what the last pass brought, at `time`.
    fn collect(&mut self, time: SimTime) {
        let outputs = self.engine.outputs();
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = Vec::with_capacity(outputs.tokens.len());
        let (mut num_generated, mut num_computed_prompt) = (0, 0);
        let mut finished = outputs.finished.iter().peekable();
        for new in &outputs.tokens {
            let Some(place) = self.live.get_mut(new.id.index()) else { continue };
            let Some(request) = place else { continue };
            num_generated += new.num_tokens;
            num_computed_prompt += request.take_tokens(new.num_tokens, time, &mut metrics);
            // In the order of the tokens.
            let ended = finished.next_if(|finished| finished.id == new.id);
            told.push(request.told(new.num_tokens, ended));
            if ended.is_some() {
                self.places.remove(&request.ticket);
                *place = None;
            }
        }
        outputs.verifications.iter().for_each(|verification| metrics.note_verification(verification));
        if num_generated > 0 {
            metrics.note_iteration(num_generated, num_computed_prompt);
        }
        drop(metrics);
        let events = self.engine.take_kv_cache_events();
        if !told.is_empty() || !events.is_empty() {
            self.outputs.push_back(Outputs { time, told, events });
        }
    }

    /// What has left the engine core by `now` goes on its way.
    fn send_outputs(&mut self, now: SimTime) {
        while self.outputs.front().is_some_and(|outputs| outputs.time <= now) {
            let Some(outputs) = self.outputs.pop_front() else { return };
            if let Some(publisher) = self.publisher.as_ref().filter(|_| !outputs.events.is_empty()) {
                publisher.publish(&outputs.events);
            }
            if outputs.told.is_empty() {
                continue;
            }
            let num_outputs = u32::try_from(outputs.told.len()).unwrap_or(u32::MAX);
            let delivery = self.engine.delivery_time(outputs.time, num_outputs);
            let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
            outputs.told.iter().for_each(|told| told.note_delivery(delivery, &mut metrics));
            drop(metrics);
            self.deliveries.push_back((delivery, outputs.told));
        }
    }

    /// Hands to the front end what clients have by `now`; false if there is no front end any longer.
    fn hand_out(&mut self, now: SimTime) -> bool {
        while self.deliveries.front().is_some_and(|(delivery, _)| *delivery <= now) {
            let Some((delivery, told)) = self.deliveries.pop_front() else { return true };
            let due = self.clock.instant_of(delivery);
            let mut batches: Vec<Batch> = self.outboxes.iter().map(|_| Batch { due, tokens: Vec::new() }).collect();
            for told in told {
                if let Some(batch) = batches.get_mut(told.reply.thread) {
                    batch.tokens.push((told.reply, told.new));
                }
            }
            for (outbox, batch) in self.outboxes.iter().zip(batches) {
                if !batch.tokens.is_empty() && outbox.blocking_send(batch).is_err() {
                    return false;
                }
            }
        }
        true
    }
}

/// Of the tokens that a request begins to load, those that came from behind host memory.
fn num_tier_tokens(output: &SchedulerOutput, id: RequestId) -> u32 {
    let loaded = output.kv_connector.iter().flat_map(|pass| &pass.tiers.loaded);
    loaded.filter(|(loaded, _)| *loaded == id).map(|(_, num_tokens)| num_tokens).sum()
}
