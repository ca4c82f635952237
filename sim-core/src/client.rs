//! The client side of a run: when each request is sent, and when it reaches the engine.
//!
//! Source: `vllm/benchmarks/serve.py`: requests are created at their times and wait, in order, for one of
//! `max_concurrency` places; a place is free again when its request's last token has arrived.

use alloc::collections::{BinaryHeap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::follow_ups::FollowUps;
use crate::math;
use crate::profile::ClientWork;
use crate::request::RequestId;
use crate::time::{SimDuration, SimTime};
use crate::workload::{Traffic, Workload};

/// Sends `send_times.len()` requests: in order, or as they follow answers.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    send_times: &'a [SimTime],
    /// `None` where nobody waits for an answer.
    follow_ups: Option<FollowUps<'a>>,
    /// Number of the first request.
    first: usize,
    /// Times at which places for a request become free, in order; `None` without a limit.
    free_places: Option<VecDeque<SimTime>>,
    num_sent: usize,
    /// Sent and not yet arrived, by time of arrival.
    under_way: BinaryHeap<Reverse<(SimTime, RequestId)>>,
    /// `None` if it is never busy.
    thread: Option<ClientThread>,
    /// Requests that were answered and when, for who sends them; `None` if that is this client.
    answers: Option<Vec<(SimTime, RequestId)>>,
}

/// A request that has just been sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) id: RequestId,
    pub(crate) scheduled_send_time: SimTime,
    pub(crate) send_time: SimTime,
    /// What of the way to [`Self::leave_time`] it waited for the client's thread.
    pub(crate) own_wait: SimDuration,
    /// When it leaves the client.
    pub(crate) leave_time: SimTime,
}

impl<'a> Client<'a> {
    /// A client of the requests from number `first` on.
    fn new(first: usize, send_times: &'a [SimTime], max_concurrency: Option<u32>) -> Self {
        let places = max_concurrency.map(|places| (places as usize).min(send_times.len()).max(1));
        Self {
            send_times,
            follow_ups: None,
            first,
            free_places: places.map(|places| VecDeque::from(vec![SimTime::ZERO; places])),
            num_sent: 0,
            under_way: BinaryHeap::new(),
            thread: None,
            answers: None,
        }
    }

    /// One engine's part of a client of several: it sends nothing itself, and says what was answered.
    pub(crate) fn part() -> Self {
        Self { answers: Some(Vec::new()), ..Self::new(0, &[], None) }
    }

    /// The thread of the whole client works for this part, or for the whole again.
    pub(crate) const fn swap_thread(&mut self, whole: &mut Self) {
        core::mem::swap(&mut self.thread, &mut whole.thread);
    }

    /// What was answered since this was asked last.
    pub(crate) fn take_answers(&mut self, taken: &mut Vec<(SimTime, RequestId)>) {
        if let Some(answers) = &mut self.answers {
            taken.append(answers);
        }
    }

    /// Whatever is on its way does not arrive.
    pub(crate) fn lose_all(&mut self) {
        self.under_way.clear();
    }

    /// Whether requests are sent when they are, no matter when others end.
    pub(crate) fn is_open_loop(&self) -> bool {
        self.has_sent_all() || (self.follow_ups.is_none() && self.free_places.is_none())
    }

    /// When the next request is sent, if that is known.
    pub(crate) fn next_send(&self) -> Option<SimTime> {
        self.when_free(self.next_due()?.0)
    }

    /// When the next request is to be sent, and its number; `None` while all that are left wait for answers.
    fn next_due(&self) -> Option<(SimTime, u32)> {
        match &self.follow_ups {
            None => Some((*self.send_times.get(self.num_sent)?, math::usize_to_u32(self.num_sent))),
            Some(follow_ups) => follow_ups.peek(),
        }
    }

    /// When a request that is due at `time` finds a place; `None` while none is known to become free.
    fn when_free(&self, time: SimTime) -> Option<SimTime> {
        match &self.free_places {
            Some(places) => Some(time.max(*places.front()?)),
            None => Some(time),
        }
    }

    /// The next request, if its sending time is known and not after `until`.
    pub(crate) fn send(&mut self, until: SimTime) -> Option<Sent> {
        let (scheduled_send_time, number) = self.next_due()?;
        let send_time = self.when_free(scheduled_send_time).filter(|&send_time| send_time <= until)?;
        if let Some(places) = &mut self.free_places {
            places.pop_front();
        }
        if let Some(follow_ups) = &mut self.follow_ups {
            follow_ups.pop();
        }
        let id = RequestId(math::usize_to_u32(self.first) + number);
        self.num_sent += 1;
        let (own_wait, own_work) = self.thread.as_mut().map_or_else(Default::default, |thread| thread.send(send_time));
        Some(Sent { id, scheduled_send_time, send_time, own_wait, leave_time: send_time + own_wait + own_work })
    }

    /// The request `sent` reaches the engine `latency` after it left.
    pub(crate) fn deliver(&mut self, sent: Sent, latency: SimDuration) {
        self.under_way.push(Reverse((sent.leave_time + latency, sent.id)));
    }

    /// `num_tokens` tokens come at `time`: how long they wait, and when all are read.
    pub(crate) fn receive(&mut self, time: SimTime, num_tokens: u32) -> (SimDuration, SimTime) {
        let Some(thread) = &mut self.thread else { return (SimDuration::ZERO, time) };
        let (wait, work) = thread.receive(time, num_tokens);
        (wait, time + wait + work)
    }

    /// The next request that has reached the engine by `now`.
    pub(crate) fn arrive(&mut self, now: SimTime) -> Option<RequestId> {
        let &Reverse((arrival, id)) = self.under_way.peek()?;
        if arrival > now {
            return None;
        }
        self.under_way.pop();
        Some(id)
    }

    /// When the next request sent so far arrives.
    pub(crate) fn next_arrival(&self) -> Option<SimTime> {
        self.under_way.peek().map(|&Reverse((arrival, _))| arrival)
    }

    /// The last token of request `id` has arrived at `time`.
    pub(crate) fn complete(&mut self, id: RequestId, time: SimTime) {
        if let Some(follow_ups) = &mut self.follow_ups {
            follow_ups.complete(id, time);
        }
        if let Some(places) = &mut self.free_places {
            // Of one engine times do not decrease.
            let place = places.partition_point(|&free| free <= time);
            places.insert(place, time);
        }
        if let Some(answers) = &mut self.answers {
            answers.push((time, id));
        }
    }

    /// Whether every request has been sent.
    pub(crate) fn has_sent_all(&self) -> bool {
        self.num_sent == self.send_times.len()
    }

    /// Whether another request will be sent though none that is under way ends.
    pub(crate) fn goes_on(&self) -> bool {
        let is_any_ready = self.follow_ups.as_ref().is_none_or(|follow_ups| follow_ups.peek().is_some());
        !self.has_sent_all() && is_any_ready && self.free_places.as_ref().is_none_or(|places| !places.is_empty())
    }
}

/// The client's one thread, as that of `vllm bench serve` is (`asyncio`): a queue of requests to send and tokens to read.
#[derive(Debug)]
struct ClientThread {
    work: ClientWork,
    free: SimTime,
}

impl ClientThread {
    const fn new(work: ClientWork) -> Self {
        Self { work, free: SimTime::ZERO }
    }

    /// A request wants to leave at `time`: how long it waits for the thread, and how long that works on it.
    fn send(&mut self, time: SimTime) -> (SimDuration, SimDuration) {
        self.take(time, self.work.per_request)
    }

    /// `num_tokens` tokens come at `time`: how long they wait, and how long until all are read.
    fn receive(&mut self, time: SimTime, num_tokens: u32) -> (SimDuration, SimDuration) {
        self.take(time, self.work.per_token.saturating_mul(u64::from(num_tokens)))
    }

    fn take(&mut self, time: SimTime, work: SimDuration) -> (SimDuration, SimDuration) {
        let begin = time.max(self.free);
        self.free = begin + work;
        (begin.saturating_since(time), work)
    }
}

/// Whose turn it is to be sent: the groups of [`Workload::earlier`] one after another, then the measured requests.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Clients that there were.
    num_clients: usize,
    /// Requests of theirs.
    num_requests: usize,
}

impl Turns {
    /// All turns are over, for who sends nothing.
    pub(crate) const fn over() -> Self {
        Self { num_clients: usize::MAX, num_requests: 0 }
    }

    /// The client of the next group, whose thread works so long; `None` if it is never busy.
    pub(crate) fn next_client<'a>(&mut self, workload: &'a Workload, work: Option<ClientWork>) -> Client<'a> {
        Client { thread: work.map(ClientThread::new), ..self.idle_client(workload) }
    }

    fn idle_client<'a>(&mut self, workload: &'a Workload) -> Client<'a> {
        let group = workload.earlier.get(self.num_clients);
        self.num_clients += 1;
        match (group, &workload.traffic) {
            (Some(group), _) => {
                let first = workload.num_measured() + self.num_requests;
                self.num_requests += group.send_times.len();
                Client::new(first, &group.send_times, group.max_concurrency)
            }
            (None, Traffic::Timed { send_times, max_concurrency }) => Client::new(0, send_times, *max_concurrency),
            (None, Traffic::Answered { not_before, after, max_concurrency }) => Client {
                follow_ups: Some(FollowUps::new(not_before, after)),
                ..Client::new(0, not_before, *max_concurrency)
            },
            (None, Traffic::QueriesPerIter { .. }) => Client::new(0, &[], None),
        }
    }

    /// Whether the measured requests are being sent.
    pub(crate) const fn is_last(&self, workload: &Workload) -> bool {
        self.num_clients > workload.earlier.len()
    }
}

/// Requests that reach the engine as a script says: see [`Traffic::QueriesPerIter`].
#[derive(Debug)]
pub(crate) struct Script<'a> {
    pub(crate) queries_per_iter: &'a [u32],
    pub(crate) join_order: &'a [RequestId],
    pub(crate) aborts: &'a [(u32, RequestId)],
    pub(crate) num_added: u32,
}

impl<'a> Script<'a> {
    /// The script of `traffic`; `None` if a client sends.
    pub(crate) fn of(traffic: &'a Traffic) -> Option<Self> {
        match traffic {
            Traffic::Timed { .. } | Traffic::Answered { .. } => None,
            Traffic::QueriesPerIter { queries_per_iter, join_order, aborts } => {
                Some(Self { queries_per_iter, join_order, aborts, num_added: 0 })
            }
        }
    }
}
