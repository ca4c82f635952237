//! A router with what it knows: its own requests, and metrics as it read them last.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::data_parallel::balancer::EngineCounts;
use super::desk::Desk;
use super::dispatch::RouterSettings;
use super::router::{Arrival, BoxedRouter, ReplicaView};
use crate::request::RequestId;
use crate::rng::Pcg64;
use crate::simulator::Simulation;
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
}

impl Desk for RouterDesk {
    fn choose(&mut self, now: SimTime, arrival: &Arrival<'_>) -> usize {
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

    fn set_ready(&mut self, replica: usize, is_ready: bool) {
        self.is_ready[replica] = is_ready;
    }

    fn forget(&mut self, now: SimTime, replica: usize) {
        self.take_news(now);
        // First tokens that are still on their way are of requests that have ended here; another replica may have them.
        self.news.retain(|Reverse((_, _, is_end, of))| *is_end || *of != replica);
        self.router.note_gone(replica);
        self.views[replica].scraped = EngineCounts::default();
    }

    fn hear(&mut self, time: SimTime, id: RequestId, replica: usize, is_end: bool) {
        self.news.push(Reverse((time, id, is_end, replica)));
    }

    fn next_look(&self) -> SimTime {
        self.next_look
    }

    fn look(&mut self, now: SimTime, replicas: &[Simulation<'_>]) {
        for view in &mut self.views {
            view.scraped = counts(&replicas[view.replica]);
        }
        self.next_look = now + self.settings.scrape_interval;
    }

    fn begin_group(&mut self) {
        self.take_news(SimTime::MAX);
        if self.next_look < SimTime::MAX {
            self.next_look = SimTime::ZERO;
        }
    }
}

/// What a replica's metrics say.
pub(super) fn counts(replica: &Simulation<'_>) -> EngineCounts {
    let (num_running, num_waiting, num_free_blocks) = replica.last_counts();
    let num_usable_blocks = replica.engine().scheduler().kv_cache().num_usable_blocks();
    EngineCounts::new(num_running, num_waiting, (num_free_blocks, num_usable_blocks))
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
