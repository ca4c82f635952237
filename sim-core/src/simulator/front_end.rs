//! Requests on their way to the engine, and tokens on theirs back: client, API servers, script.

use super::Simulation;
use crate::client::Sent;
use crate::math;
use crate::metrics::recorder::Delivery;
use crate::request::{FinishReason, RequestId};
use crate::sched::output::FinishedRequest;
use crate::time::{SimDuration, SimTime};

/// The engine process sleeps this long after a step that ran no tokens while there is still scheduler work
/// (`vllm/v1/engine/core.py::_process_engine_step`).
const IDLE_STEP_SLEEP: SimDuration = SimDuration::from_nanos(1_000_000);

impl Simulation<'_> {
    /// Gives the engine what has arrived, first waiting for an arrival if it has nothing to do.
    pub(super) fn admit_arrivals(&mut self) -> Option<u32> {
        self.send_until(self.now);
        if !self.engine.has_work() {
            // If nothing is under way the next request is sent whenever its time comes; and one that is sent later may
            // arrive before: short prompts are quicker through the front end.
            while self.send_one(self.client.next_arrival().unwrap_or(SimTime::MAX)) {}
            self.now = self.now.max(self.client.next_arrival()?);
        }
        let mut num_joining = 0;
        while let Some(id) = self.client.arrive(self.now) {
            self.engine.add_request(id);
            self.recorder.queued(id, self.now);
            if self.keeps_input {
                self.join_order.push(id);
            }
            num_joining += 1;
            self.looks.interrupt();
        }
        self.tell_counts();
        Some(num_joining)
    }

    pub(super) fn send_until(&mut self, until: SimTime) {
        while self.send_one(until) {}
    }

    fn send_one(&mut self, until: SimTime) -> bool {
        let Some(sent) = self.client.send(until) else { return false };
        self.accept(sent);
        true
    }

    /// A request that was sent goes through the front end.
    pub(super) fn accept(&mut self, sent: Sent) {
        let num_prompt_tokens = self.workload.requests.get(sent.id).num_prompt_tokens;
        let wait = self.api_servers.as_mut().map_or(SimDuration::ZERO, |servers| {
            servers.take_request(sent.leave_time, self.step_time.host().request_work(num_prompt_tokens))
        });
        self.recorder.sent(sent.id, sent.scheduled_send_time, sent.send_time, sent.own_wait + wait);
        self.client.deliver(sent, wait + self.step_time.host().request_latency(num_prompt_tokens));
    }

    /// Gives the engine what the script says. There is no front end here: a request is sent as it joins.
    pub(super) fn admit_scripted(&mut self) -> Option<u32> {
        let script = self.script.as_mut()?;
        let iteration = self.queries_per_iter.len();
        let num_joining = script.queries_per_iter.get(iteration).copied();
        while let Some((&(at, id), rest)) = script.aborts.split_first()
            && at as usize <= iteration
        {
            script.aborts = rest;
            self.engine.abort_request(id);
            self.looks.interrupt();
        }
        if num_joining.is_none() && !self.engine.has_work() {
            return None;
        }
        let num_joining = num_joining.unwrap_or(0);
        for place in script.num_added..script.num_added + num_joining {
            let id = script.join_order.get(place as usize).copied().unwrap_or(RequestId(place));
            self.join_order.push(id);
            self.engine.add_request(id);
            self.looks.interrupt();
            self.recorder.sent(id, self.now, self.now, SimDuration::ZERO);
            self.recorder.queued(id, self.now);
        }
        script.num_added += num_joining;
        Some(num_joining)
    }

    /// Ends an iteration that issued tokens or none; false if nothing can change any more.
    pub(super) fn end_iteration(&mut self, has_run_tokens: bool) -> bool {
        if !has_run_tokens && self.engine.scheduler().has_requests() {
            self.now += IDLE_STEP_SLEEP;
        }
        self.looks.end(self.now);
        !(self.is_in_vain(has_run_tokens) && self.expects_nobody())
    }

    /// Tells the client of requests that ended with an error: to it they are no success, and their records stay open.
    pub(super) fn end_with_errors(&mut self) {
        let time = self.last_delivery_time.max(self.now);
        let has_failed = |finished: &&FinishedRequest| finished.reason == FinishReason::Error;
        for finished in self.engine.outputs().finished.iter().filter(has_failed) {
            self.client.complete(finished.id, time);
        }
    }

    /// Whether no further request can reach the engine unless one of those in it ends.
    pub(super) fn expects_nobody(&self) -> bool {
        match &self.script {
            None => !self.client.goes_on() && self.client.next_arrival().is_none(),
            Some(script) => self.queries_per_iter.len() >= script.queries_per_iter.len() && script.aborts.is_empty(),
        }
    }

    /// Sends what is due, and says whether the next iteration begins without anybody joining or leaving. What may happen
    /// before [`Self::quiet_until`] is known to be nothing.
    #[inline]
    pub(super) fn is_quiet(&mut self) -> bool {
        match &self.script {
            None if self.now < self.quiet_until => true,
            None => self.is_quiet_after_sending(),
            Some(script) => {
                let iteration = self.queries_per_iter.len();
                script.queries_per_iter.get(iteration).is_none_or(|&num_joining| num_joining == 0)
                    && script.aborts.first().is_none_or(|&(at, _)| at as usize > iteration)
            }
        }
    }

    /// How many iterations from the next one on begin without anybody joining or leaving; `None` where the script does not say.
    pub(super) fn num_quiet_iterations(&self) -> Option<u32> {
        let script = self.script.as_ref()?;
        let iteration = self.queries_per_iter.len();
        let ahead = script.queries_per_iter.get(iteration..).unwrap_or_default();
        let until_join = ahead.iter().position(|&num_joining| num_joining > 0).map_or(u32::MAX, math::usize_to_u32);
        let until_abort = |&(at, _): &(u32, RequestId)| at.saturating_sub(math::usize_to_u32(iteration));
        Some(until_join.min(script.aborts.first().map_or(u32::MAX, until_abort)))
    }

    #[inline(never)]
    fn is_quiet_after_sending(&mut self) -> bool {
        self.send_until(self.now);
        let next_arrival = self.client.next_arrival().unwrap_or(SimTime::MAX);
        self.quiet_until = next_arrival.min(self.client.next_send().unwrap_or(SimTime::MAX)).min(self.horizon);
        self.now < next_arrival.min(self.horizon)
    }

    /// How long the tokens of a pass that comes out now wait for the front end, and how long they take then.
    pub(super) fn delivery(&mut self, num_outputs: u32) -> (SimDuration, SimDuration) {
        let latency = self.step_time.host().output_latency(self.num_outputs_together(num_outputs));
        if self.script.is_some() {
            return (SimDuration::ZERO, latency);
        }
        // What was sent before the tokens came has its turn before them, at the API server and at the client.
        self.send_until(self.now);
        let Some(servers) = self.api_servers.as_mut().filter(|_| num_outputs > 0) else {
            return (SimDuration::ZERO, latency);
        };
        (servers.take_outputs(self.now, num_outputs, self.step_time), latency)
    }

    /// Of a pass's tokens, those that reach their clients in one message.
    pub(super) fn num_outputs_together(&self, num_outputs: u32) -> u32 {
        match &self.api_servers {
            Some(servers) if self.script.is_none() => servers.part_of(num_outputs),
            _ => num_outputs,
        }
    }

    /// The tokens of a pass reach their clients, which read them; they wait and take so long until then.
    #[inline]
    pub(super) fn deliver(&mut self, num_outputs: u32, (wait, latency): (SimDuration, SimDuration)) -> Delivery {
        // Messages of one connection do not overtake each other.
        let arrival = self.last_delivery_time.max(self.now + wait + latency);
        let (own_wait, read_time) = self.client.receive(arrival, num_outputs);
        self.last_delivery_time = read_time;
        Delivery { time: self.last_delivery_time, wait: wait + own_wait }
    }
}
