//! A request in the engine, and what is known of it outside.

use std::sync::Arc;

use sim_core::kv_cache::events::KvCacheEvent;
use sim_core::sched::connector::interface::ExternalTokens;
use sim_core::sched::output::FinishedRequest;
use sim_core::time::SimTime;

use super::admission::Hold;
use super::metrics::{Finished, Metrics};
use super::reply::{NewTokens, Reply};
use super::submission::{Submission, Ticket};

/// A request in the engine.
#[derive(Debug)]
pub(crate) struct LiveRequest {
    pub(crate) ticket: Ticket,
    reply: Arc<Reply>,
    choice: usize,
    hold: Hold,
    num_prompt_tokens: u32,
    num_cached_tokens: u32,
    /// Of these, tokens that were loaded.
    num_external_tokens: u32,
    is_admitted: bool,
    max_tokens: u32,
    arrival: SimTime,
    queued: SimTime,
    scheduled: SimTime,
    first_token: Option<SimTime>,
    last_token: SimTime,
    /// Whether the tokens taken last were the first.
    is_first: bool,
}

/// What a pass brought, when it left the engine core.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub(crate) time: SimTime,
    pub(crate) told: Vec<Told>,
    /// What is published of the KV cache at the same time.
    pub(crate) events: Vec<KvCacheEvent>,
}

/// What a client is told of a pass.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) reply: Arc<Reply>,
    pub(crate) new: NewTokens,
    /// When the request came, if these are its first tokens.
    arrival: Option<SimTime>,
    finished: Option<Box<Finished>>,
}

impl LiveRequest {
    /// A request that came to the front end at `arrival` and to the queue at `queued`.
    pub(crate) fn new(submission: Submission, arrival: SimTime, queued: SimTime) -> Self {
        let Submission { ticket, reply, choice, hold, num_prompt_tokens, max_tokens, .. } = submission;
        Self {
            ticket,
            reply,
            choice,
            hold,
            num_prompt_tokens,
            num_cached_tokens: 0,
            num_external_tokens: 0,
            is_admitted: false,
            max_tokens,
            arrival,
            queued,
            scheduled: queued,
            first_token: None,
            last_token: queued,
            is_first: false,
        }
    }

    /// It begins to load tokens that it has not behind those that it has; whether for the first time.
    pub(crate) const fn load(&mut self, load: &ExternalTokens) -> bool {
        if !self.is_admitted {
            self.num_external_tokens = load.num_external_tokens;
            self.num_cached_tokens = load.num_computed_tokens + load.num_external_tokens;
        }
        !self.is_admitted
    }

    /// It is in a pass for the first time. Of a prompt that was loaded whole the last token is computed again, and counts as
    /// cached (`PrefillStats.set`).
    pub(crate) const fn admit(&mut self, time: SimTime, num_cached_tokens: u32) {
        self.scheduled = time;
        self.is_admitted = true;
        if self.num_external_tokens == 0 {
            self.num_cached_tokens = num_cached_tokens;
        }
    }

    /// It got tokens at `time`; returns how many tokens of its prompt were computed for the first of them.
    pub(crate) fn take_tokens(&mut self, num_tokens: u32, time: SimTime, metrics: &mut Metrics) -> u32 {
        let previous = std::mem::replace(&mut self.last_token, time);
        self.is_first = self.first_token.is_none() && num_tokens > 0;
        if !self.is_first {
            metrics.note_inter_token_latency(time.saturating_since(previous).as_secs_f64());
            return 0;
        }
        self.first_token = Some(time);
        self.hold.note_first_token();
        metrics.note_prompt(self.num_prompt_tokens, self.num_cached_tokens, self.num_external_tokens);
        self.num_prompt_tokens.saturating_sub(self.num_cached_tokens)
    }

    /// What its client is told.
    pub(crate) fn told(&self, num_tokens: u32, finished: Option<&FinishedRequest>) -> Told {
        let finished_at = |finished: &FinishedRequest| Finished {
            reason: finished.reason,
            arrival: self.arrival,
            queued: self.queued,
            scheduled: self.scheduled,
            first_token: self.first_token.unwrap_or(self.last_token),
            last_token: self.last_token,
            num_prompt_tokens: self.num_prompt_tokens,
            num_cached_tokens: self.num_cached_tokens,
            num_output_tokens: finished.num_output_tokens,
            num_preemptions: finished.num_preemptions,
            max_tokens: self.max_tokens,
        };
        Told {
            reply: Arc::clone(&self.reply),
            new: NewTokens {
                choice: self.choice,
                num_tokens,
                num_cached_tokens: self.num_cached_tokens,
                finished: finished.map(|finished| finished.reason),
            },
            arrival: self.is_first.then_some(self.arrival),
            finished: finished.map(|finished| Box::new(finished_at(finished))),
        }
    }
}

impl Told {
    /// The client has it at `delivery`.
    pub(crate) fn note_delivery(&self, delivery: SimTime, metrics: &mut Metrics) {
        if let Some(arrival) = self.arrival {
            metrics.note_first_token(delivery.saturating_since(arrival).as_secs_f64());
        }
        if let Some(finished) = &self.finished {
            metrics.note_finished(finished, delivery);
        }
    }
}
