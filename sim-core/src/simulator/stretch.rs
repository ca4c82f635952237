//! Passes in which nothing happens but that every running request gets its next token: the time that they take.
//!
//! The schedule's part is `sched/stretch.rs`. What is left to do here for a pass is what [`Simulation::step`] and
//! [`Simulation::process`] do for it, with everything that is the same in all passes of the stretch asked for once; the
//! pass under way is kept in a variable instead of a queue, and recorded with what came of it. A stretch also ends when
//! somebody joins.

use super::Simulation;
use crate::api_servers::{ApiServers, Message};
use crate::device::InFlight;
use crate::engine_core::in_stretch::Stretch;
use crate::metrics::recorder::PassRecord;
use crate::profile::decode_times::DecodeTimes;
use crate::sched::stretch::{StretchPass, Undated};
use crate::time::{SimDuration, SimTime};

/// Most passes of a stretch, so that who watches a run or wants to end it is not kept waiting.
const MAX_PASSES: u32 = 4096;

/// What is the same in all passes of a stretch.
#[derive(Debug)]
struct Passes<'a> {
    num_reqs: u32,
    times: DecodeTimes<'a>,
    schedule_time: SimDuration,
    time_between_passes: SimDuration,
    update_time: SimDuration,
    /// How long tokens take to their clients beside waiting for an API server.
    output_latency: SimDuration,
    /// Their tokens, to an API server.
    message: Message,
    num_waiting_reqs: u32,
}

/// What is a pass's own.
#[derive(Debug)]
struct Issued {
    schedule_time: SimTime,
    start_time: SimTime,
    end_time: SimTime,
    num_free_blocks: u32,
    /// Of a pass that was issued before the stretch; others are recorded once, with what came of them.
    record: Option<u32>,
}

impl Issued {
    /// A pass that is under way when a stretch begins, of which its record has all but the end; `None` if it has no tokens.
    fn before(InFlight { end_time, record }: &InFlight) -> Option<Self> {
        let record = Some((*record)?);
        Some(Self { schedule_time: *end_time, start_time: *end_time, end_time: *end_time, num_free_blocks: 0, record })
    }
}

impl Passes<'_> {
    /// The record of a pass; its clients held their tokens when it ended, for all that is known.
    #[inline]
    const fn record(&self, pass: &Issued) -> PassRecord {
        let &Issued { schedule_time, start_time, end_time, num_free_blocks, record: _ } = pass;
        PassRecord {
            schedule_time,
            start_time,
            end_time,
            output_time: end_time,
            delivery_time: end_time,
            delivery_wait: SimDuration::ZERO,
            num_tokens: self.num_reqs,
            num_prefill_tokens: 0,
            num_draft_tokens: 0,
            num_reqs: self.num_reqs,
            num_outputs: 0,
            num_running_reqs: self.num_reqs,
            num_waiting_reqs: self.num_waiting_reqs,
            num_free_blocks,
        }
    }
}

impl<'a> Simulation<'a> {
    /// Advances the run by a stretch; false if the next iteration is not one of a stretch.
    pub(super) fn advance_stretch(&mut self) -> bool {
        let Some(mut stretch) = self.engine.begin_stretch() else { return false };
        let Some(mut passes) = self.passes(stretch.num_reqs) else { return false };
        let mut under_way = self.in_flight.front().and_then(Issued::before);
        if under_way.is_none() && !self.in_flight.is_empty() {
            return false;
        }
        self.in_flight.pop_front();
        self.quiet_until = SimTime::ZERO;
        let mut undated = self.engine.begin_undated(MAX_PASSES);
        while self.is_quiet() {
            let pass = undated.next().or_else(|| self.dated_pass(&mut stretch, &mut undated));
            if !pass.is_some_and(|pass| self.pass(&mut passes, pass, &mut under_way)) {
                break;
            }
        }
        self.engine.end_undated(&mut stretch, undated);
        if let Some(under_way) = under_way {
            self.keep_under_way(&passes, under_way);
        }
        self.engine.end_stretch(&stretch);
        if stretch.num_passes > 0 {
            self.in_vain.interrupt();
        }
        stretch.num_passes > 0
    }

    fn passes(&self, num_reqs: u32) -> Option<Passes<'a>> {
        let host = self.step_time.host();
        let message = |servers: &ApiServers| servers.message(num_reqs, self.step_time);
        Some(Passes {
            num_reqs,
            times: self.step_time.decode_times(num_reqs)?,
            schedule_time: host.schedule_time(num_reqs),
            time_between_passes: host.time_between_passes(num_reqs),
            update_time: host.update_time(num_reqs),
            output_latency: host.output_latency(self.num_outputs_together(num_reqs)),
            message: self.api_servers.as_ref().map_or_else(Message::default, message),
            num_waiting_reqs: self.engine.scheduler().num_requests().1,
        })
    }

    /// The next pass behind those without a date, if it is still one of the stretch.
    #[inline(never)]
    fn dated_pass(&mut self, stretch: &mut Stretch, undated: &mut Undated) -> Option<StretchPass> {
        self.engine.end_undated(stretch, core::mem::take(undated));
        let is_long = stretch.num_passes >= MAX_PASSES;
        let pass = if is_long { None } else { self.engine.step_in_stretch(stretch) };
        *undated = self.engine.begin_undated(MAX_PASSES.saturating_sub(stretch.num_passes));
        pass
    }

    /// A pass of the stretch is issued, and the results of the oldest one are taken in; false if that has to wait.
    #[inline]
    fn pass(&mut self, passes: &mut Passes<'_>, pass: StretchPass, under_way: &mut Option<Issued>) -> bool {
        if self.keeps_input {
            self.queries_per_iter.push(0);
        }
        let issued = self.issue(passes, pass);
        // A synchronous engine has none under way.
        let done = if self.config.async_scheduling { under_way.replace(issued) } else { Some(issued) };
        let Some(done) = done else { return true };
        let time = self.now.max(done.end_time) + passes.update_time;
        if time >= self.horizon {
            self.keep_under_way(passes, done);
            self.suspended = Some(true);
            return false;
        }
        self.now = time;
        self.take_in(passes, &done);
        true
    }

    /// A pass of the stretch is issued; what comes of it is not known yet.
    #[inline]
    fn issue(&mut self, passes: &mut Passes<'_>, pass: StretchPass) -> Issued {
        let schedule_time = self.now;
        self.now += passes.schedule_time;
        let mut step_time = passes.times.at(pass.context_tokens);
        if let Some(noise) = &mut self.noise {
            step_time.duration = noise.draw(step_time.duration);
        }
        let (start_time, end_time) = self.device.run(self.now, step_time.duration + passes.time_between_passes);
        self.device_time.count(&step_time);
        Issued { schedule_time, start_time, end_time, num_free_blocks: pass.num_free_blocks, record: None }
    }

    /// A pass is under way where the stretch ends, or is suspended.
    fn keep_under_way(&mut self, passes: &Passes<'_>, pass: Issued) {
        let record = pass.record.unwrap_or_else(|| self.recorder.issued(passes.record(&pass)));
        self.in_flight.push_back(InFlight { end_time: pass.end_time, record: Some(record) });
    }

    /// The results of a pass are taken in.
    #[inline]
    fn take_in(&mut self, passes: &Passes<'_>, done: &Issued) {
        let way = match &mut self.api_servers {
            // Something may have been sent before the tokens came.
            _ if self.now >= self.quiet_until => self.delivery(passes.num_reqs),
            None => (SimDuration::ZERO, passes.output_latency),
            Some(servers) => (servers.take_message(self.now, &passes.message, self.step_time), passes.output_latency),
        };
        let delivery = self.deliver(passes.num_reqs, way);
        match done.record {
            None => self.recorder.steady_pass(PassRecord {
                output_time: self.now,
                delivery_time: delivery.time,
                delivery_wait: delivery.wait,
                num_outputs: passes.num_reqs,
                ..passes.record(done)
            }),
            Some(record) => self.recorder.processed(record, (&[], passes.num_reqs), self.now, delivery),
        }
    }
}
