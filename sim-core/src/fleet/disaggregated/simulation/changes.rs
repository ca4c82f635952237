//! What the life of both roles does to their engines, and to requests.
//!
//! A prefill replica that dies loses the prompts that it computed, and the blocks that it kept for others to read: whoever
//! loads them finds that nothing comes. A decode replica that dies loses its requests. Either way nothing is left but what
//! clients have: the proxy sends a request again from the beginning, or it fails, by the rules of
//! [`Recovery`](crate::fleet::life::Recovery). That a load from an engine that is gone fails at once, or once it has been
//! asked for, is ours: NIXL finds it sooner or later.

use alloc::vec::Vec;

use super::DisaggregatedSimulation;
use crate::client::Sent;
use crate::fleet::disaggregated::lives::{DECODE, Lives, PREFILL};
use crate::fleet::life::{Change, Crew, LifeSettings, Lost, sent_only};
use crate::fleet::pool::Pool;
use crate::request::RequestId;
use crate::time::{SimDuration, SimTime};

impl<'a> DisaggregatedSimulation<'a> {
    /// The same fleet with these lives of prefill and decode replicas; what is random in them is drawn from `seed`. Before it
    /// has begun, and each [`LifeSettings::check`]ed. The clock is that of the measured requests.
    #[must_use]
    pub fn living(mut self, settings: &[LifeSettings; 2], seed: u64) -> Self {
        let num_replicas = [self.prefill.num_replicas(), self.decode.num_replicas()];
        let lives = Lives::new(settings, num_replicas, self.workload.requests.len(), seed);
        for role in [PREFILL, DECODE] {
            let ready = lives.crews[role].states.ready();
            for replica in 0..num_replicas[role] {
                self.pool(role).set_ready(replica, ready.contains(&replica));
            }
        }
        self.life = Some(lives.into());
        self.begin_lives();
        self
    }

    /// They begin, if the measured requests are being sent.
    pub(super) fn begin_lives(&mut self) {
        if let Some(life) = self.life.as_mut().filter(|_| self.turns.is_last(self.workload)) {
            life.crews.iter_mut().for_each(Crew::begin);
        }
    }

    const fn pool(&mut self, role: usize) -> &mut Pool<'a> {
        if role == PREFILL { &mut self.prefill } else { &mut self.decode }
    }

    /// When something happens to a replica next that matters to anybody.
    pub(super) fn next_change(&self) -> SimTime {
        self.life.as_ref().filter(|_| self.is_anybody_left()).map_or(SimTime::MAX, |life| life.next_change().0)
    }

    /// When a lost request is sent again next.
    pub(super) fn next_retry(&self) -> SimTime {
        self.life.as_ref().map_or(SimTime::MAX, |life| life.recovery.next_retry())
    }

    /// Tokens of its answer that a request got before it was lost.
    pub(super) fn num_generated(&self, id: RequestId) -> u32 {
        self.life.as_ref().map_or(0, |life| life.recovery.num_generated(id))
    }

    /// A request was given to an engine of `role`.
    pub(super) fn note_given(&mut self, role: usize, id: RequestId) {
        let replica = self.pool(role).replica_of(id);
        self.life.iter_mut().for_each(|life| life.crews[role].note_given(id, replica));
    }

    /// The next thing that happens to a replica at `now`.
    pub(super) fn change(&mut self, now: SimTime) {
        let Some(life) = &mut self.life else { return };
        let (_, role) = life.next_change();
        let Some(change) = life.crews[role].states.pop(now) else { return };
        match change {
            Change::Ready(replica) => self.pool(role).set_ready(replica, true),
            Change::Dies(replica, _) if role == PREFILL => self.prefill_dies(replica, now),
            Change::Dies(replica, _) => self.decode_dies(replica, now),
            Change::Look => {
                for replica in self.life.as_ref().map(|life| life.crews[role].states.ready()).unwrap_or_default() {
                    let counts = self.pool(role).counts(replica);
                    self.life.iter_mut().for_each(|life| life.crews[role].observe(now, replica, counts));
                }
            }
            Change::Decide => {
                let Some(replica) = self.life.as_mut().and_then(|life| life.crews[role].decide(now)) else { return };
                self.pool(role).set_ready(replica, false);
                if self.life.as_ref().is_some_and(|life| life.crews[role].is_idle(replica)) {
                    self.stop(role, replica);
                }
            }
        }
    }

    /// A request needs its replica of `role` no longer, which may have waited for that to stop.
    fn leave(&mut self, role: usize, id: RequestId) {
        let replica = self.pool(role).replica_of(id);
        if self.life.as_mut().is_some_and(|life| life.crews[role].note_answered(id, replica)) {
            self.stop(role, replica);
        }
    }

    /// Blocks that were read need not be kept any longer.
    pub(super) fn let_go(&mut self) {
        for id in self.hand_overs.take_released() {
            self.leave(PREFILL, id);
        }
    }

    /// A replica that was to take no more requests has nothing left that anybody needs.
    fn stop(&mut self, role: usize, replica: usize) {
        let now = self.now.max(self.pool(role).now_of(replica));
        self.clear(role, replica, now);
        self.pool(role).forget(replica, now, &[]);
        self.life.iter_mut().for_each(|life| life.crews[role].states.stop(now, replica));
    }

    /// The engines of a replica are gone, and empty ones are in their place.
    fn clear(&mut self, role: usize, replica: usize, now: SimTime) {
        if role == PREFILL {
            self.prefill.clear(replica, now, &mut self.proxy);
            self.hand_overs.forget_disowned(&self.prefill.engines_of(replica));
        } else {
            self.decode.clear(replica, now, &mut self.client);
        }
    }

    /// The requests that a replica had which has died.
    fn lose_all(&mut self, role: usize, replica: usize, now: SimTime) -> Vec<RequestId> {
        self.clear(role, replica, now);
        self.pool(role).set_ready(replica, false);
        self.life.as_mut().map(|life| life.crews[role].take_all(replica)).unwrap_or_default()
    }

    fn prefill_dies(&mut self, replica: usize, now: SimTime) {
        let had = self.lose_all(PREFILL, replica, now);
        let (kept, lost): (Vec<_>, Vec<_>) = had.into_iter().partition(|id| self.hand_overs.is_kept(*id));
        self.prefill.forget(replica, now, &lost);
        for id in kept {
            self.hand_overs.lose_source(id, now, &mut self.decode);
        }
        for id in lost {
            self.lose(id, now);
        }
    }

    fn decode_dies(&mut self, replica: usize, now: SimTime) {
        let lost = self.lose_all(DECODE, replica, now);
        self.decode.forget(replica, now, &lost);
        for id in lost {
            self.give_up_blocks(id, now);
            self.lose(id, now);
        }
    }

    /// Nobody will read the blocks that a prefill engine keeps for a request.
    fn give_up_blocks(&mut self, id: RequestId, now: SimTime) {
        let engine = self.prefill.owners[id.index()] as usize;
        if self.hand_overs.give_up(id, (now, engine), &mut self.prefill) {
            self.leave(PREFILL, id);
        }
    }

    /// A request has no engine any more at `now`.
    fn lose(&mut self, id: RequestId, now: SimTime) {
        let engine = self.decode.owners[id.index()];
        let (Some(life), Some(record)) = (&mut self.life, self.decode.requests.row_mut(id.index())) else { return };
        let what = life.recovery.lose(now, id, (engine, record));
        self.follow(now, id, what);
    }

    /// What follows of a loss: what engines wrote of the request is written anew, or it has ended.
    fn follow(&mut self, now: SimTime, id: RequestId, what: Lost) {
        let (asked, record) = (self.prefill.requests.row_mut(id.index()), self.decode.requests.row_mut(id.index()));
        let (Some(asked), Some(record)) = (asked, record) else { return };
        if what != Lost::Failed {
            (*asked, *record) = (sent_only(asked), sent_only(record));
            return;
        }
        (record.scheduled_send_time, record.send_time) = (asked.scheduled_send_time, asked.send_time);
        self.client.complete(id, now);
        self.num_finished += 1;
    }

    /// A decode engine has ended a request; true if that was for want of blocks that died with their engine, and the proxy
    /// deals with it.
    pub(super) fn is_lost_again(&mut self, time: SimTime, id: RequestId) -> bool {
        if self.life.is_none() {
            return false;
        }
        self.leave(DECODE, id);
        let is_finished = self.decode.requests.get(id.index()).is_some_and(|record| record.is_finished);
        if is_finished || !self.hand_overs.is_lost(id) {
            return false;
        }
        self.give_up_blocks(id, time);
        self.lose(id, time);
        true
    }

    /// Whether no replica of `role` is there to take `sent` at `now`; that is then dealt with.
    pub(super) fn is_refused(&mut self, role: usize, sent: &Sent, now: SimTime) -> bool {
        let Some(life) = self.life.as_mut().filter(|life| !life.crews[role].states.is_any_ready()) else {
            return false;
        };
        let what = life.recovery.refuse(now, sent.id);
        if role == DECODE {
            self.give_up_blocks(sent.id, now);
        }
        if let Some(record) = self.prefill.requests.row_mut(sent.id.index()) {
            (record.scheduled_send_time, record.send_time) = (sent.scheduled_send_time, sent.send_time);
        }
        self.follow(now, sent.id, what);
        true
    }

    /// Whoever is sent again next.
    pub(super) fn send_again(&mut self) {
        let Some((now, id)) = self.life.as_mut().and_then(|life| life.recovery.pop_retry()) else { return };
        let Some(record) = self.prefill.requests.get(id.index()) else { return };
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
