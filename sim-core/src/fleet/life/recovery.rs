//! What becomes of requests whose replica died: sent again after a while, gone on with elsewhere, or failed.

use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::result::LifeResult;
use super::settings::Recovery;
use crate::math;
use crate::metrics::recorder::RequestRecord;
use crate::request::RequestId;
use crate::rng::Pcg64;
use crate::time::{SimDuration, SimTime};

/// `--retry-initial-backoff-ms`, `--retry-max-backoff-ms`, `--retry-backoff-multiplier` and `--retry-jitter-factor` of
/// vllm-router, as it has them without flags; in seconds.
const INITIAL_BACKOFF: f64 = 0.05;
const MAX_BACKOFF: f64 = 30.0;
const BACKOFF_MULTIPLIER: f64 = 1.5;
const JITTER_FACTOR: f64 = 0.2;

/// A part of a request's life that ended with its replica, after it had got tokens there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fleet) struct Leg {
    pub(in crate::fleet) engine: u32,
    pub(in crate::fleet) first_scheduled_pass: u32,
    pub(in crate::fleet) first_token_pass: u32,
    pub(in crate::fleet) last_token_pass: u32,
    pub(in crate::fleet) num_output_tokens: u32,
    pub(in crate::fleet) num_cached_tokens: u32,
}

/// What is done about a lost request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fleet) enum Lost {
    /// It is sent again, later.
    SentAgain,
    /// Another replica goes on with it, later; its record is that of the next one from now on.
    GoesOn,
    /// It has ended.
    Failed,
}

/// The tries of each request, and who is to be sent again.
#[derive(Debug)]
pub(in crate::fleet) struct RecoveryDesk {
    settings: Recovery,
    random: Pcg64,
    retries: BinaryHeap<Reverse<(SimTime, RequestId)>>,
    /// By request: how often it was sent again, and how often gone on with.
    tries: BTreeMap<RequestId, Tries>,
    legs: BTreeMap<RequestId, Vec<Leg>>,
    failed: Vec<RequestId>,
    num_requests: usize,
    num_losses: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    num_retries: u32,
    num_migrations: u32,
}

impl RecoveryDesk {
    pub(in crate::fleet) fn new(settings: Recovery, num_requests: usize, seed: u64) -> Self {
        Self {
            settings,
            random: Pcg64::stream(seed, "retries"),
            retries: BinaryHeap::new(),
            tries: BTreeMap::new(),
            legs: BTreeMap::new(),
            failed: Vec::new(),
            num_requests,
            num_losses: 0,
        }
    }

    pub(in crate::fleet) fn next_retry(&self) -> SimTime {
        self.retries.peek().map_or(SimTime::MAX, |&Reverse((time, _))| time)
    }

    /// Whoever is sent again first, and when.
    pub(in crate::fleet) fn pop_retry(&mut self) -> Option<(SimTime, RequestId)> {
        self.retries.pop().map(|Reverse(retry)| retry)
    }

    /// Tokens that a request got from replicas that died.
    pub(in crate::fleet) fn num_generated(&self, id: RequestId) -> u32 {
        self.legs.get(&id).map_or(0, |legs| legs.iter().map(|leg| leg.num_output_tokens).sum())
    }

    /// The replica of `engine` died at `now`, which had request `id`, of which `record` is what it left.
    pub(in crate::fleet) fn lose(
        &mut self,
        now: SimTime,
        id: RequestId,
        (engine, record): (u32, &RequestRecord),
    ) -> Lost {
        self.num_losses += 1;
        if record.num_output_tokens == 0 && self.num_generated(id) == 0 {
            return self.try_again(now, id);
        }
        let tries = self.tries.entry(id).or_default();
        if tries.num_migrations >= self.settings.migration_limit {
            return self.fail(id);
        }
        tries.num_migrations += 1;
        if record.num_output_tokens > 0 {
            self.legs.entry(id).or_default().push(Leg {
                engine,
                first_scheduled_pass: record.first_scheduled_pass,
                first_token_pass: record.first_token_pass,
                last_token_pass: record.last_token_pass,
                num_output_tokens: record.num_output_tokens,
                num_cached_tokens: record.num_cached_tokens,
            });
        }
        self.retries.push(Reverse((now, id)));
        Lost::GoesOn
    }

    /// There is no replica at `now` that could have request `id`.
    pub(in crate::fleet) fn refuse(&mut self, now: SimTime, id: RequestId) -> Lost {
        self.try_again(now, id)
    }

    fn try_again(&mut self, now: SimTime, id: RequestId) -> Lost {
        let tries = self.tries.entry(id).or_default();
        if tries.num_retries >= self.settings.max_retries {
            return self.fail(id);
        }
        let mut backoff = INITIAL_BACKOFF;
        for _ in 0..tries.num_retries {
            backoff = math::min(backoff * BACKOFF_MULTIPLIER, MAX_BACKOFF);
        }
        tries.num_retries += 1;
        let jitter = JITTER_FACTOR * (2.0 * self.random.random() - 1.0);
        self.retries.push(Reverse((now + SimDuration::from_secs_f64(backoff * (1.0 + jitter)), id)));
        Lost::SentAgain
    }

    fn fail(&mut self, id: RequestId) -> Lost {
        self.failed.push(id);
        Lost::Failed
    }

    /// The tokens of each request from replicas that died, in order.
    pub(in crate::fleet) const fn legs(&self) -> &BTreeMap<RequestId, Vec<Leg>> {
        &self.legs
    }

    pub(in crate::fleet) fn finish(self, num_measured: usize) -> LifeResult {
        let is_measured = |id: &RequestId| id.index() < num_measured.min(self.num_requests);
        let mut failed: Vec<_> = self.failed.into_iter().filter(is_measured).collect();
        failed.sort_unstable();
        let tries = || self.tries.iter().filter(|(id, _)| is_measured(id));
        LifeResult {
            num_losses: self.num_losses,
            num_retries: tries().map(|(_, tries)| u64::from(tries.num_retries)).sum(),
            num_migrations: tries().map(|(_, tries)| u64::from(tries.num_migrations)).sum(),
            touched: tries().map(|(&id, _)| id).collect(),
            failed,
            ..LifeResult::default()
        }
    }
}

/// What of a request's record does not depend on who answers it.
pub(in crate::fleet) fn sent_only(record: &RequestRecord) -> RequestRecord {
    RequestRecord {
        scheduled_send_time: record.scheduled_send_time,
        send_time: record.send_time,
        num_prompt_tokens: record.num_prompt_tokens,
        ..RequestRecord::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(num_output_tokens: u32) -> RequestRecord {
        RequestRecord { num_output_tokens, ..RequestRecord::default() }
    }

    #[test]
    fn nothing_streamed_is_sent_again_later_and_later_until_it_fails() {
        let mut desk = RecoveryDesk::new(Recovery { max_retries: 3, migration_limit: 9 }, 1, 0);
        let (id, mut waits) = (RequestId(0), Vec::new());
        for _ in 0..3 {
            assert_eq!(desk.lose(SimTime::ZERO, id, (0, &record(0))), Lost::SentAgain);
            waits.push(desk.pop_retry().expect("it is sent").0.as_secs_f64());
        }
        for (wait, expect) in waits.iter().zip([0.05, 0.075, 0.1125]) {
            assert!((wait / expect - 1.0).abs() <= JITTER_FACTOR, "{wait} is {expect}, more or less");
        }
        assert_eq!(desk.refuse(SimTime::ZERO, id), Lost::Failed, "three times are enough");
        assert_eq!(desk.pop_retry(), None, "it is not sent any more");
        let result = desk.finish(1);
        assert_eq!((result.num_retries, result.num_losses, result.failed), (3, 3, alloc::vec![id]));
    }

    #[test]
    fn what_was_streamed_goes_on_at_once_or_fails() {
        let (id, now) = (RequestId(0), SimTime::from_nanos(7));
        let mut desk = RecoveryDesk::new(Recovery::default(), 1, 0);
        assert_eq!(desk.lose(now, id, (0, &record(2))), Lost::Failed, "no migration without its flag");
        let mut desk = RecoveryDesk::new(Recovery { max_retries: 0, migration_limit: 2 }, 1, 0);
        assert_eq!(desk.lose(now, id, (0, &record(2))), Lost::GoesOn);
        assert_eq!(desk.pop_retry(), Some((now, id)), "at once");
        assert_eq!(desk.lose(now, id, (1, &record(0))), Lost::GoesOn, "it got its tokens elsewhere");
        assert_eq!(desk.num_generated(id), 2);
        assert_eq!(desk.lose(now, id, (2, &record(3))), Lost::Failed, "the third time");
    }
}
