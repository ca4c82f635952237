//! A router with what it knows: its own requests, and metrics as it read them last.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::data_parallel::balancer::EngineCounts;
use super::dispatch::{Desk, RouterSettings};
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
    views: Vec<ReplicaView>,
    /// What is on its way back: when it is here, whose it is, whether it is the end, from which replica.
    news: BinaryHeap<Reverse<(SimTime, RequestId, bool, usize)>>,
    next_look: SimTime,
}

impl RouterDesk {
    pub(super) fn new(settings: RouterSettings, num_replicas: usize) -> Self {
        let view = |replica| ReplicaView { replica, num_in_flight: 0, scraped: EngineCounts::default() };
        Self {
            settings,
            router: settings.policy.router(),
            random: Pcg64::stream(settings.seed, "router"),
            views: (0..num_replicas).map(view).collect(),
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
        let place = self.router.route(arrival, &self.views, &mut self.random);
        let view = &mut self.views[place];
        view.num_in_flight += 1;
        view.replica
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
