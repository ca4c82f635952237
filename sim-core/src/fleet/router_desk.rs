//! A router with what it knows: its own requests, and metrics as it read them last. What it chooses from are addresses.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::data_parallel::balancer::EngineCounts;
use super::dispatch::RouterSettings;
use super::router::{Arrival, BoxedRouter, ReplicaView};
use crate::request::RequestId;
use crate::rng::Pcg64;
use crate::time::SimTime;

/// The router. What comes back from replicas it knows when it has come, and not before.
#[derive(Debug)]
pub(super) struct RouterDesk {
    settings: RouterSettings,
    router: BoxedRouter,
    random: Pcg64,
    /// Of all replicas, by number.
    views: Vec<ReplicaView>,
    is_ready: Vec<bool>,
    /// Scratch: of those that are ready.
    ready_views: Vec<ReplicaView>,
    /// What is on its way back: when it is here, whose it is, whether it is the end, from which replica.
    news: BinaryHeap<Reverse<(SimTime, RequestId, bool, usize)>>,
    next_look: SimTime,
}

impl RouterDesk {
    pub(super) fn new(settings: RouterSettings, num_replicas: usize) -> Self {
        let view = |replica| ReplicaView { replica, num_in_flight: 0, scraped: EngineCounts::default() };
        Self {
            settings,
            router: settings.policy.router_with(&settings.weights),
            random: Pcg64::stream(settings.seed, "router"),
            views: (0..num_replicas).map(view).collect(),
            is_ready: vec![true; num_replicas],
            ready_views: Vec::new(),
            news: BinaryHeap::new(),
            next_look: if settings.policy.reads_metrics() { SimTime::ZERO } else { SimTime::MAX },
        }
    }

    fn take_news(&mut self, now: SimTime) {
        while let Some(&Reverse((time, id, is_end, replica))) = self.news.peek()
            && time <= now
        {
            self.news.pop();
            if is_end {
                self.router.note_end(id, replica);
                self.views[replica].num_in_flight -= 1;
            } else {
                self.router.note_first_token(id, replica);
            }
        }
    }

    /// The replica of a request that comes at `now`; some are ready. Times do not decrease from call to call, but for those
    /// of [`Self::hear`].
    pub(super) fn choose(&mut self, now: SimTime, arrival: &Arrival<'_>) -> usize {
        self.take_news(now);
        let replica = if self.is_ready.iter().all(|&is_ready| is_ready) {
            self.router.route(arrival, &self.views, &mut self.random)
        } else {
            self.ready_views.clear();
            self.ready_views.extend(self.views.iter().filter(|view| self.is_ready[view.replica]));
            let place = self.router.route(arrival, &self.ready_views, &mut self.random);
            self.ready_views[place].replica
        };
        self.views[replica].num_in_flight += 1;
        replica
    }

    /// Whether `replica` takes requests from now on; at first all do.
    pub(super) fn set_ready(&mut self, replica: usize, is_ready: bool) {
        self.is_ready[replica] = is_ready;
    }

    /// `replica` is gone at `now`, and what it had cached with it. Of its requests it was heard that they ended.
    pub(super) fn forget(&mut self, now: SimTime, replica: usize) {
        self.take_news(now);
        // First tokens that are still on their way are of requests that have ended here; another replica may have them.
        self.news.retain(|Reverse((_, _, is_end, of))| *is_end || *of != replica);
        self.router.note_gone(replica);
        self.views[replica].scraped = EngineCounts::default();
    }

    /// At `time` it will have come back from `replica` that the request's first token or its last is there.
    pub(super) fn hear(&mut self, time: SimTime, id: RequestId, replica: usize, is_end: bool) {
        self.news.push(Reverse((time, id, is_end, replica)));
    }

    /// When it reads metrics next, if it does.
    pub(super) const fn next_look(&self) -> SimTime {
        self.next_look
    }

    /// It reads those of each replica.
    pub(super) fn look(&mut self, now: SimTime, metrics: impl Iterator<Item = EngineCounts>) {
        for (view, scraped) in self.views.iter_mut().zip(metrics) {
            view.scraped = scraped;
        }
        self.next_look = now + self.settings.scrape_interval;
    }

    /// All requests so far have been answered, and the clock begins again.
    pub(super) fn begin_group(&mut self) {
        self.take_news(SimTime::MAX);
        if self.next_look < SimTime::MAX {
            self.next_look = SimTime::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::router::Policy;
    use crate::request::TokenRun;

    #[test]
    fn a_first_token_on_its_way_from_a_dead_replica_is_not_the_next_ones() {
        let settings = RouterSettings { policy: Policy::KvCost, ..RouterSettings::default() };
        let mut desk = RouterDesk::new(settings, 2);
        let prompt = [TokenRun { start: 0, len: 160 }];
        let at = SimTime::from_nanos;
        let send = |desk: &mut RouterDesk, now, id| {
            desk.choose(at(now), &Arrival { id: RequestId(id), prompt: &prompt, session: None })
        };
        let first = send(&mut desk, 0, 0);
        desk.hear(at(10), RequestId(0), first, false);
        desk.hear(at(5), RequestId(0), first, true);
        desk.set_ready(first, false);
        desk.forget(at(5), first);
        assert_eq!(send(&mut desk, 6, 0), 1 - first, "the other one goes on with it");
        assert_eq!(send(&mut desk, 20, 1), 1 - first, "it is the only one");
        assert_eq!(desk.views[first].num_in_flight, 0, "nothing is left of it");
    }
}
