//! The API-server processes between client and engine core, each a queue with one server.
//!
//! Source: `vllm/v1/engine/async_llm.py`: one event loop per process parses and tokenises requests, takes the engine
//! core's messages (`output_handler`) and writes every chunk to its client. Whatever comes while it works waits; without
//! load nothing does, and the profile's latencies hold.
//!
//! Simplified: work is done in the order in which it came (asyncio takes turns between requests that came together);
//! requests go to the processes in turn (the kernel's choice is not known), and so each has its equal part of a pass's
//! tokens.

use alloc::vec;
use alloc::vec::Vec;

use crate::math;
use crate::profile::step_time::StepTimeModel;
use crate::time::{SimDuration, SimTime};

/// When each process has done what came so far.
#[derive(Debug)]
pub(crate) struct ApiServers {
    free: Vec<SimTime>,
    /// Who takes the next request.
    next: usize,
}

impl ApiServers {
    /// `None` where the profile does not say how long a process works: then nobody waits.
    pub(crate) fn new(count: u32, step_time: &StepTimeModel) -> Option<Self> {
        let works = step_time.request_work(u32::MAX) > SimDuration::ZERO || step_time.output_work(u32::MAX) > SimDuration::ZERO;
        works.then(|| Self { free: vec![SimTime::ZERO; math::u32_to_usize(count.max(1))], next: 0 })
    }

    /// A request comes at `time` and takes `work`; returns how long it waits before.
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
        let work = step_time.output_work(self.part_of(num_outputs));
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
