//! What kept requests waiting, and whether the engine kept up with its traffic.
//!
//! vLLM's scheduler stops admitting for one of five reasons (`vllm/v1/core/sched/scheduler.py::schedule`): nobody
//! waits, the pass has no tokens left, the running list is full, prompts are held back for decodes
//! (`prefill_schedule_interval`), or the head of the queue does not fit. So where requests still wait after a pass was
//! decided, its record tells the reason:
//!
//! | the pass | limit |
//! |---|---|
//! | used its whole token budget, drafts included | [`Limit::TokenBudget`] |
//! | else: fills the running list to `max_num_active_seqs` | [`Limit::BatchSize`] |
//! | else: comes less than `prefill_schedule_interval` passes after one with prompt parts, and the last pass that was free to admit left nobody waiting | [`Limit::PrefillInterval`] |
//! | else | [`Limit::KvBlocks`] |
//!
//! The last row is exact with chunked prefill: a prompt may then take whatever is left of the budget, so that only
//! blocks can be wanting, for the head of the queue or for a running request (a pass that preempts admits nobody). It
//! holds for requests that come back after a preemption, too: blocks are why they wait. Where two limits are reached
//! at once, the first row that applies counts, which is the order in which vLLM asks.
//!
//! Without chunked prefill a prompt also waits if it is longer than what is left of the budget. That is
//! [`Limit::TokenBudget`] here. Which request heads the queue is not recorded; it is taken to be the one that is
//! admitted next for the first time, with the cached tokens it had then. That is exact unless a preempted request
//! stands before it or the cache changes in between. Passes with a prompt part that a cached prefix shortened to one
//! token count as passes without for [`Limit::PrefillInterval`], and chunks of models with states, which end at blocks,
//! may leave less than a block of the budget unused: such a pass counts as one of [`Limit::KvBlocks`].

use alloc::vec::Vec;

use crate::config::EngineConfig;
use crate::math;
use crate::metrics::recorder::{PassRecord, Recording};
use crate::metrics::request_metrics::RequestInstants;
use crate::time::SimTime;

/// What a waiting request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Free KV blocks.
    KvBlocks,
    /// A place in the running list: `max_num_active_seqs`, which is `max_num_seqs` unless given.
    BatchSize,
    /// Tokens of a pass: the smaller of `max_num_scheduled_tokens` and `max_num_batched_tokens`.
    TokenBudget,
    /// Passes that `prefill_schedule_interval` keeps for decodes.
    PrefillInterval,
}

/// Why requests waited, over a whole run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WaitingLimits {
    /// Share of the run in which a request waited although a pass had just been decided, 0 to 1.
    pub waiting_share: f64,
    /// Of that time, the share of each limit: the largest first, those without any left out.
    pub limits: Vec<(Limit, f64)>,
    /// Share of the run in which the client held a request back for its `max_concurrency`, 0 to 1.
    pub client_waiting_share: f64,
}

impl WaitingLimits {
    /// Evaluates `recording`, made under `config`. The run lasts from time zero to the last output; the state of a
    /// pass holds until the next one with tokens is decided.
    #[must_use]
    pub fn new(recording: &Recording, config: &EngineConfig) -> Self {
        let end = recording.passes.iter().map(|pass| pass.output_time).max().unwrap_or(SimTime::ZERO).as_nanos();
        if end == 0 {
            return Self::default();
        }
        let mut judge = Judge::new(recording, config);
        let limits = [Limit::KvBlocks, Limit::BatchSize, Limit::TokenBudget, Limit::PrefillInterval];
        let mut nanos = limits.map(|limit| (limit, 0u64));
        let mut index = 0;
        recording.for_each_state(|from, to, pass| {
            let Some(pass) = pass else { return };
            let is_held = judge.interval.holds(pass);
            if pass.num_waiting_reqs > 0 {
                let limit = judge.limit(index, pass, is_held);
                if let Some(entry) = nanos.iter_mut().find(|entry| entry.0 == limit) {
                    entry.1 += to - from;
                }
            }
            index += 1;
        });
        let total: u64 = nanos.iter().map(|entry| entry.1).sum();
        nanos.sort_by_key(|entry| core::cmp::Reverse(entry.1));
        let share = |part: u64, whole: u64| math::u64_to_f64(part) / math::u64_to_f64(whole);
        Self {
            waiting_share: share(total, end),
            limits: nanos.iter().filter(|entry| entry.1 > 0).map(|&(limit, n)| (limit, share(n, total))).collect(),
            client_waiting_share: share(client_waiting_nanos(recording).min(end), end),
        }
    }
}

/// Names the limit of each pass, in order.
struct Judge<'a> {
    config: &'a EngineConfig,
    draft_slots: u32,
    /// First admissions in order: pass, and prompt tokens that it had to compute. Empty with chunked prefill.
    admissions: Vec<(u32, u32)>,
    num_admitted: usize,
    interval: PrefillInterval,
}

/// Which passes hold prompts back, from what their records tell (`sched/prefill_interval.rs`).
struct PrefillInterval {
    interval: u32,
    num_passes_since_prefill: u32,
    left_some_waiting: bool,
}

impl PrefillInterval {
    const fn new(interval: u32) -> Self {
        Self { interval, num_passes_since_prefill: interval, left_some_waiting: false }
    }

    /// Whether the next pass is held; called once for each, in order.
    fn holds(&mut self, pass: &PassRecord) -> bool {
        let is_prefill = pass.num_prefill_tokens > 0;
        let is_held = self.num_passes_since_prefill + 1 < self.interval && !self.left_some_waiting && !is_prefill;
        if !is_held {
            self.left_some_waiting = pass.num_waiting_reqs > 0;
        }
        self.num_passes_since_prefill = if is_prefill { 0 } else { self.num_passes_since_prefill.saturating_add(1) };
        is_held
    }
}

impl<'a> Judge<'a> {
    fn new(recording: &Recording, config: &'a EngineConfig) -> Self {
        let mut admissions = Vec::new();
        if !config.enable_chunked_prefill {
            let finished = recording.requests.iter().filter(|request| request.is_finished);
            let mut keyed: Vec<_> = finished
                .map(|request| {
                    let num_tokens = request.num_prompt_tokens.saturating_sub(request.num_cached_tokens);
                    (request.first_scheduled_pass, request.queued_time, num_tokens)
                })
                .collect();
            keyed.sort_by_key(|&(pass, queued_time, _)| (pass, queued_time));
            admissions.extend(keyed.iter().map(|&(pass, _, num_tokens)| (pass, num_tokens)));
        }
        let interval = PrefillInterval::new(config.local_prefill_interval());
        Self { config, draft_slots: config.draft_slots(), admissions, num_admitted: 0, interval }
    }

    /// Tokens that the pass could have given to one more request; drafting takes slots for each (`Budget` of the
    /// scheduler).
    fn num_tokens_left(&self, pass: &PassRecord) -> u32 {
        let slots = self.draft_slots.saturating_mul(pass.num_reqs + 1);
        let inputs = self.config.max_num_batched_tokens.saturating_sub(slots);
        self.config.max_num_scheduled_tokens.min(inputs).saturating_sub(pass.num_tokens)
    }

    /// What requests wait for after the pass of this index; indices must not fall from call to call.
    fn limit(&mut self, index: u32, pass: &PassRecord, is_held: bool) -> Limit {
        let num_left = self.num_tokens_left(pass);
        if num_left == 0 {
            return Limit::TokenBudget;
        }
        if pass.num_running_reqs >= self.config.max_num_active_seqs {
            return Limit::BatchSize;
        }
        if is_held {
            return Limit::PrefillInterval;
        }
        while self.admissions.get(self.num_admitted).is_some_and(|&(admitted, _)| admitted <= index) {
            self.num_admitted += 1;
        }
        match self.admissions.get(self.num_admitted) {
            Some(&(_, num_tokens)) if num_tokens > num_left => Limit::TokenBudget,
            _ => Limit::KvBlocks,
        }
    }
}

/// Time in which at least one request waited for `max_concurrency`.
fn client_waiting_nanos(recording: &Recording) -> u64 {
    let spans =
        recording.requests.iter().map(|request| (request.scheduled_send_time.as_nanos(), request.send_time.as_nanos()));
    let mut spans: Vec<(u64, u64)> = spans.filter(|&(from, to)| from < to).collect();
    spans.sort_unstable();
    let (mut total, mut until) = (0, 0);
    for (from, to) in spans {
        total += to.saturating_sub(from.max(until));
        until = until.max(to);
    }
    total
}

/// Requests are sent faster than they are answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overload {
    /// Requests per second that were sent, in the second half of the sending.
    pub offered: f64,
    /// Requests per second that were answered in that time.
    pub answered: f64,
}

/// Whether the traffic of `recording` was more than the engine could answer, so that latencies depend on how long the
/// run lasts.
///
/// It was if the requests that were sent and not yet in any pass became more through both last quarters of the time
/// from the first to the last send, each time by more than chance does (the square root of the requests sent in that
/// quarter), and fewer requests were answered than sent. A burst is not overload: the sending must last at least twice
/// the time from first pass to last token, which is the median of the first tenth of the requests, as later ones share
/// the engine with more others. Nor are requests that a client holds back.
#[must_use]
pub fn overload(recording: &Recording) -> Option<Overload> {
    let instants = || recording.requests.iter().filter_map(|request| recording.instants(request));
    let first = instants().map(|request| request.send).min()?.as_nanos();
    let last = instants().map(|request| request.send).max()?.as_nanos();
    let num_requests = instants().count();
    let early = instants().take(num_requests.div_ceil(10));
    let mut service: Vec<u64> = early.map(|request| request.inference_time().as_nanos()).collect();
    let middle = service.len() / 2;
    let (_, &mut median, _) = service.select_nth_unstable(middle);
    let span = last - first;
    if span == 0 || span / 2 < median {
        return None;
    }
    let count = |quarters: u64, instant: fn(&RequestInstants) -> SimTime| {
        let until = SimTime::from_nanos(first + span / 4 * quarters + span % 4 * quarters / 4);
        math::usize_to_f64(instants().filter(|request| instant(request) <= until).count())
    };
    let sent = [2, 3, 4].map(|quarters| count(quarters, |request| request.send));
    let begun = [2, 3, 4].map(|quarters| count(quarters, |request| request.first_scheduled));
    let grows = |quarter: usize| {
        let growth = (sent[quarter + 1] - begun[quarter + 1]) - (sent[quarter] - begun[quarter]);
        growth > math::sqrt(sent[quarter + 1] - sent[quarter])
    };
    let seconds = math::u64_to_f64(span) / 2e9;
    let answered = count(4, |request| request.last_delivery) - count(2, |request| request.last_delivery);
    let (offered, answered) = ((sent[2] - sent[0]) / seconds, answered / seconds);
    (grows(0) && grows(1) && answered < offered).then_some(Overload { offered, answered })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::recorder::RequestRecord;
    use crate::time::SimDuration;

    const SECOND: u64 = 1_000_000_000;

    /// One pass a second; each admits the next of the requests, which take `num_passes` passes.
    fn one_at_a_time(num_requests: u32, num_passes: u32, send_time: impl Fn(u32) -> u64) -> Recording {
        let passes = (0..u64::from(num_requests * num_passes)).map(|i| PassRecord {
            schedule_time: SimTime::from_nanos(i * SECOND),
            start_time: SimTime::from_nanos(i * SECOND),
            end_time: SimTime::from_nanos((i + 1) * SECOND),
            output_time: SimTime::from_nanos((i + 1) * SECOND),
            delivery_time: SimTime::from_nanos((i + 1) * SECOND),
            delivery_wait: SimDuration::ZERO,
            num_tokens: 1,
            num_prefill_tokens: 0,
            num_draft_tokens: 0,
            num_reqs: 1,
            num_outputs: 1,
            num_running_reqs: 1,
            num_waiting_reqs: 0,
            num_free_blocks: 1,
        });
        let requests = (0..num_requests).map(|i| RequestRecord {
            scheduled_send_time: SimTime::from_nanos(send_time(i)),
            send_time: SimTime::from_nanos(send_time(i)),
            front_end_wait: SimDuration::ZERO,
            queued_time: SimTime::from_nanos(send_time(i)),
            first_scheduled_pass: i * num_passes,
            first_token_pass: i * num_passes,
            last_token_pass: (i + 1) * num_passes - 1,
            num_prompt_tokens: 1,
            num_output_tokens: num_passes,
            num_cached_tokens: 0,
            num_preemptions: 0,
            num_passes,
            is_finished: true,
        });
        Recording { passes: passes.collect(), requests: requests.collect(), ..Recording::default() }
    }

    #[test]
    fn a_queue_that_grows_to_the_end_of_sending_is_overload() {
        let twice_too_fast = one_at_a_time(100, 2, |i| u64::from(i) * SECOND);
        let found = overload(&twice_too_fast).expect("twice as many as can be answered");
        assert!((found.offered - 1.0).abs() < 0.03 && (found.answered - 0.5).abs() < 0.03, "{found:?}");
    }

    #[test]
    fn all_at_once_and_in_time_is_no_overload() {
        assert_eq!(overload(&one_at_a_time(100, 2, |_| 0)), None, "all at once");
        assert_eq!(overload(&one_at_a_time(100, 2, |i| u64::from(i) * 2 * SECOND)), None, "as fast as answered");
        assert_eq!(overload(&one_at_a_time(100, 30, |i| u64::from(i) * SECOND / 5)), None, "a burst of 20 s");
        assert_eq!(overload(&one_at_a_time(1, 2, |_| 0)), None, "one request");
        assert_eq!(overload(&Recording::default()), None, "no request");
    }

    #[test]
    fn the_time_that_clients_hold_requests_back_is_counted_once() {
        let mut recording = one_at_a_time(4, 1, |i| u64::from(i) * SECOND);
        recording.requests.row_mut(2).expect("the third").scheduled_send_time = SimTime::ZERO;
        recording.requests.row_mut(3).expect("the fourth").scheduled_send_time = SimTime::from_nanos(SECOND);
        assert_eq!(client_waiting_nanos(&recording), 3 * SECOND, "from 0 to 2 s and from 1 to 3 s");
        let mut spans: Vec<_> = recording.requests.iter().skip(2).collect();
        spans[1].scheduled_send_time = SimTime::from_nanos(5 * SECOND / 2);
        recording.requests = spans.into();
        assert_eq!(client_waiting_nanos(&recording), 5 * SECOND / 2, "from 0 to 2 s and from 2.5 to 3 s");
    }
}
