//! The engine: the simulator's schedule, every pass of it executed on a device.

use anyhow::Result;
use sim_core::batch::BatchComposition;

use super::device::{Device, History};
use crate::engine::played::{PassDurations, play};
use crate::engine::{Engine, EngineFacts, Run, Script};

/// See the module.
#[derive(Debug)]
pub(crate) struct CudaEngine {
    facts: EngineFacts,
    device: Box<dyn Device>,
    history: History,
}

impl CudaEngine {
    pub(crate) fn new(facts: EngineFacts, device: Box<dyn Device>) -> Self {
        Self { facts, device, history: History::default() }
    }

    /// What was seen of the device.
    pub(crate) const fn history(&self) -> &History {
        &self.history
    }
}

impl Engine for CudaEngine {
    fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    fn run(&mut self, script: &Script) -> Result<Run> {
        self.run_for(script, &|_| true)
    }

    /// Passes on the way to the wanted ones are not executed: what is in the KV cache makes no difference to a time. The
    /// host's times are 0: no vLLM runs here, and the schedule is made by another program.
    fn run_for(&mut self, script: &Script, is_wanted: &dyn Fn(&BatchComposition) -> bool) -> Result<Run> {
        let Self { facts, device, history } = self;
        let run = play(facts, script, |batch| {
            if batch.is_empty() || !is_wanted(batch) {
                return Ok(PassDurations::default());
            }
            let times = device.time_pass(batch)?;
            history.see_launch(times.launch);
            Ok(PassDurations { device: times.device, ..PassDurations::default() })
        })?;
        history.see(&device.state());
        Ok(run)
    }
}
