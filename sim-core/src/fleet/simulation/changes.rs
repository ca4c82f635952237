//! What a fleet's life does to its engines: one dies, its requests are sent again, go on elsewhere or fail.

use super::FleetSimulation;
use crate::client::Sent;
use crate::fleet::life::{Change, Life, LifeSettings, Lost, sent_only};
use crate::request::RequestId;
use crate::time::{SimDuration, SimTime};

impl FleetSimulation<'_> {
    /// The same fleet with this life; what is random in it is drawn from `seed`. Before it has begun, and
    /// [`LifeSettings::check`]ed. Nothing happens to it before the measured requests are sent: their clock is the life's.
    #[must_use]
    pub fn living(mut self, settings: &LifeSettings, seed: u64) -> Self {
        let num_replicas = self.pool.num_replicas();
        let life = Life::new(settings, num_replicas, self.workload.requests.len(), seed);
        (0..num_replicas).for_each(|replica| self.pool.set_ready(replica, false));
        life.crew.states.ready().into_iter().for_each(|replica| self.pool.set_ready(replica, true));
        self.life = Some(life.into());
        self.begin_life();
        self
    }

    /// It begins, if the measured requests are being sent.
    pub(super) fn begin_life(&mut self) {
        if let Some(life) = self.life.as_mut().filter(|_| self.turns.is_last(self.workload)) {
            life.crew.begin();
        }
    }

    /// When something happens to a replica next.
    pub(super) fn next_change(&self) -> SimTime {
        self.life.as_ref().map_or(SimTime::MAX, |life| life.crew.next_change())
    }

    /// When a lost request is sent again next.
    pub(super) fn next_retry(&self) -> SimTime {
        self.life.as_ref().map_or(SimTime::MAX, |life| life.recovery.next_retry())
    }

    /// The next thing that happens to a replica at `now`.
    pub(super) fn change(&mut self, now: SimTime) {
        let Some(change) = self.life.as_mut().and_then(|life| life.crew.states.pop(now)) else { return };
        match change {
            Change::Ready(replica) => self.pool.set_ready(replica, true),
            Change::Dies(replica, _) => self.die(replica, now),
            Change::Look => {
                for replica in self.life.as_ref().map(|life| life.crew.states.ready()).unwrap_or_default() {
                    let counts = self.pool.counts(replica);
                    self.life.iter_mut().for_each(|life| life.crew.observe(now, replica, counts));
                }
            }
            Change::Decide => {
                let Some(replica) = self.life.as_mut().and_then(|life| life.crew.decide(now)) else { return };
                self.pool.set_ready(replica, false);
                if self.life.as_ref().is_some_and(|life| life.crew.is_idle(replica)) {
                    self.stop(replica);
                }
            }
        }
    }

    /// A replica that was to take no more requests has answered all that it had.
    pub(super) fn stop(&mut self, replica: usize) {
        let now = self.now.max(self.pool.now_of(replica));
        self.pool.clear(replica, now, &mut self.client);
        self.pool.forget(replica, now, &[]);
        self.life.iter_mut().for_each(|life| life.crew.states.stop(now, replica));
    }

    fn die(&mut self, replica: usize, now: SimTime) {
        self.pool.clear(replica, now, &mut self.client);
        self.pool.set_ready(replica, false);
        let lost = self.life.as_mut().map(|life| life.crew.take_all(replica)).unwrap_or_default();
        self.pool.forget(replica, now, &lost);
        for id in lost {
            let engine = self.pool.owners[id.index()];
            let (Some(life), Some(record)) = (&mut self.life, self.pool.requests.row_mut(id.index())) else { continue };
            let what = life.recovery.lose(now, id, (engine, record));
            if what != Lost::Failed {
                // The next replica writes it anew.
                *record = sent_only(record);
            }
            self.follow(now, id, what);
        }
    }

    /// Whether nobody is there to take `sent` at `now`; that is then dealt with.
    pub(super) fn is_refused(&mut self, sent: &Sent, now: SimTime) -> bool {
        let Some(life) = self.life.as_mut().filter(|life| !life.crew.states.is_any_ready()) else { return false };
        let what = life.recovery.refuse(now, sent.id);
        if let Some(record) = self.pool.requests.row_mut(sent.id.index()) {
            record.scheduled_send_time = sent.scheduled_send_time;
            record.send_time = sent.send_time;
        }
        self.follow(now, sent.id, what);
        true
    }

    /// What follows for the client.
    fn follow(&mut self, now: SimTime, id: RequestId, what: Lost) {
        if what == Lost::Failed {
            self.client.complete(id, now);
            self.num_finished += 1;
        }
    }

    /// Whoever is sent again next.
    pub(super) fn send_again(&mut self) {
        let Some((now, id)) = self.life.as_mut().and_then(|life| life.recovery.pop_retry()) else { return };
        let Some(record) = self.pool.requests.get(id.index()) else { return };
        let sent = Sent {
            id,
            scheduled_send_time: record.scheduled_send_time,
            send_time: record.send_time,
            own_wait: SimDuration::ZERO,
            leave_time: now,
        };
        self.give(sent, now);
    }
}
