//! The API-server processes between client and engine core, each a queue with one server.
//!
//! Source: `vllm/v1/engine/async_llm.py`: one event loop per process parses requests, takes in the engine core's messages
//! (`output_handler`) and writes every chunk to its client. Whatever comes while it works waits; without load nothing
//! does, and the profile's latencies hold. Messages that wait together are written together: a request's tokens in them
//! become one chunk (`output_processor.py::RequestOutputCollector`).
//!
//! Simplified: work is done in the order in which it came (asyncio takes turns between requests that came together);
//! requests go to the processes in turn (which one the kernel chooses is not known), and so each has its equal part of a
//! pass's tokens.

use alloc::vec;
use alloc::vec::Vec;

use crate::math;
use crate::profile::step_time::StepTimeModel;
use crate::time::{SimDuration, SimTime};

/// The processes.
#[derive(Debug)]
pub(crate) struct ApiServers {
    /// When each has done what came so far.
    free: Vec<SimTime>,
    /// Who takes the next request.
    next: usize,
    /// The messages that were taken in last, together.
    batch: Batch,
}

/// Messages whose tokens are written together.
#[derive(Debug, Clone, Copy, Default)]
struct Batch {
    /// When the first process begins with it; what comes before joins it.
    begin: SimTime,
    /// The most chunks that one of its messages needs of a process.
    num_chunks: u32,
}

/// A message from the engine core to a process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Message {
    /// Tokens in it.
    part: u32,
    /// How long a process takes it in.
    work: SimDuration,
    /// How long a process writes its tokens to their clients, each in a chunk of its own.
    chunk_work: SimDuration,
}

impl ApiServers {
    /// `None` where the profile does not say how long a process works: then nobody waits.
    pub(crate) fn new(count: u32, step_time: &StepTimeModel) -> Option<Self> {
        let works =
            [step_time.host().request_work(1), step_time.host().message_work(1), step_time.host().chunk_work(1)];
        let free = vec![SimTime::ZERO; math::u32_to_usize(count.max(1))];
        let servers = Self { free, next: 0, batch: Batch::default() };
        works.into_iter().any(|work| work > SimDuration::ZERO).then_some(servers)
    }

    /// A request comes at `time` and takes `work`; returns how long it waits before. Times must not decrease.
    pub(crate) fn take_request(&mut self, time: SimTime, work: SimDuration) -> SimDuration {
        let count = self.free.len();
        let Some(free) = self.free.get_mut(self.next) else { return SimDuration::ZERO };
        self.next = (self.next + 1) % count;
        let begin = time.max(*free);
        *free = begin + work;
        begin.saturating_since(time)
    }

    /// A pass's tokens come at `time`, to each process its part; returns how long the last part waits before.
    pub(crate) fn take_outputs(&mut self, time: SimTime, num_outputs: u32, step_time: &StepTimeModel) -> SimDuration {
        self.take_message(time, &self.message(num_outputs, step_time), step_time)
    }

    /// A message with a process's part of a pass's tokens.
    pub(crate) fn message(&self, num_outputs: u32, step_time: &StepTimeModel) -> Message {
        let part = self.part_of(num_outputs);
        let (work, chunk_work) = (step_time.host().message_work(part), step_time.host().chunk_work(part));
        Message { part, work, chunk_work }
    }

    /// Such a message comes at `time` to each process; returns how long the last of them waits before.
    #[inline]
    pub(crate) fn take_message(&mut self, time: SimTime, message: &Message, step_time: &StepTimeModel) -> SimDuration {
        let chunk_work = if time < self.batch.begin {
            let more = message.part.saturating_sub(self.batch.num_chunks);
            self.batch.num_chunks += more;
            step_time.host().chunk_work(more)
        } else {
            let begin = self.free.iter().map(|&free| free.max(time)).min().unwrap_or(time);
            self.batch = Batch { begin, num_chunks: message.part };
            message.chunk_work
        };
        let work = message.work + chunk_work;
        let mut latest = time;
        for free in &mut self.free {
            let begin = time.max(*free);
            *free = begin + work;
            latest = latest.max(begin);
        }
        latest.saturating_since(time)
    }

    /// The tokens of a pass that one process gets.
    pub(crate) fn part_of(&self, num_outputs: u32) -> u32 {
        num_outputs.div_ceil(math::usize_to_u32(self.free.len()).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::StepTimeSettings;
    use crate::profile::schema::{Basis, Cost, FrontEndWork};
    use crate::profile::synthetic::SyntheticCosts;

    /// 1 ms a request, 100 us a message, 10 us a token and 30 us a chunk.
    fn step_time(has_work: bool) -> StepTimeModel {
        let cost = |time_us: f64| Cost { time_us, basis: Basis::Estimate, reason: "made up".into() };
        let mut profile = SyntheticCosts::default().profile();
        profile.front_end.work = has_work.then(|| FrontEndWork {
            per_request: cost(1000.0),
            per_prompt_token: cost(0.0),
            per_pass: cost(100.0),
            per_token: cost(10.0),
            per_chunk: cost(30.0),
        });
        StepTimeModel::new(&profile, &StepTimeSettings::vllm_default(&profile, 8, 64)).expect("a valid profile")
    }

    const fn us(us: u64) -> SimTime {
        SimTime::from_nanos(1000 * us)
    }

    /// Waits of events in order, in microseconds: a request, or a pass of so many tokens.
    fn waits(count: u32, events: &[(u64, Option<u32>)]) -> Vec<u64> {
        let step_time = step_time(true);
        let mut servers = ApiServers::new(count, &step_time).expect("work");
        let wait = |&(at, outputs): &(u64, Option<u32>)| match outputs {
            None => servers.take_request(us(at), step_time.host().request_work(5)),
            Some(num_outputs) => servers.take_outputs(us(at), num_outputs, &step_time),
        };
        events.iter().map(wait).map(|wait| wait.as_nanos() / 1000).collect()
    }

    #[test]
    fn what_comes_while_a_process_works_waits() {
        assert_eq!(waits(1, &[(0, None), (0, None), (0, None)]), [0, 1000, 2000]);
        assert_eq!(waits(2, &[(0, None), (0, None), (0, None)]), [0, 0, 1000]);
        assert_eq!(waits(1, &[(0, None), (1000, None), (5000, None)]), [0, 0, 0], "one after the other");
        // 100 + 2 × 40 us for the tokens, then the request.
        assert_eq!(waits(1, &[(0, Some(2)), (50, None)]), [0, 130]);
        assert_eq!(waits(2, &[(0, None), (10, Some(4))]), [0, 990], "the busier one is the last");
    }

    #[test]
    fn messages_that_wait_together_are_written_together() {
        // Both wait for the request; the second adds 100 + 2 × 10 us and no chunk.
        let events = [(0, None), (100, Some(2)), (200, Some(2)), (300, None)];
        assert_eq!(waits(1, &events), [0, 900, 980, 1000]);
        // A message that has begun is not joined.
        let events = [(0, Some(2)), (100, Some(2)), (190, None)];
        assert_eq!(waits(1, &events), [0, 80, 170]);
    }

    #[test]
    fn a_profile_that_does_not_say_has_no_queue() {
        assert!(ApiServers::new(1, &step_time(false)).is_none(), "nothing to wait for");
    }
}
