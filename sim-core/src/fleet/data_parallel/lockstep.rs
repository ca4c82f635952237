//! Ranks that step together, wave by wave. Source: `vllm/v1/engine/core.py::DPEngineCoreProc.run_busy_loop`.
//!
//! The experts of a mixture are spread over all ranks, so a forward pass is one of all. A wave runs from the first request
//! until all ranks are found idle; in it a rank without tokens computes a dummy batch. Whether anybody has work is found
//! out by an all-reduce, at the first step of a wave and then only every so many steps.

/// What rank 0 tells the coordinator at the end of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaveNotice {
    /// The wave of this number runs.
    Started(u64),
    /// The wave of this number is over, and all ranks pause.
    Complete(u64),
}

/// Where all ranks stand: the same on each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockstep {
    prefill_schedule_interval: u64,
    dp_sync_interval: u64,
    is_running: bool,
    wave: u64,
    /// Steps of this wave.
    num_steps: u64,
}

impl Lockstep {
    /// Paused ranks. Both intervals are in steps, at least 1: `--prefill-schedule-interval`, `--dp-sync-interval`.
    #[must_use]
    pub const fn new(prefill_schedule_interval: u32, dp_sync_interval: u32) -> Self {
        Self {
            prefill_schedule_interval: prefill_schedule_interval as u64,
            dp_sync_interval: dp_sync_interval as u64,
            is_running: false,
            wave: 0,
            num_steps: 0,
        }
    }

    /// Whether a wave runs.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.is_running
    }

    /// Wave and step, as ranks stamp their counts with them (`SchedulerStats.current_wave`, `step_counter`).
    #[must_use]
    pub const fn wave_step(&self) -> (u64, u64) {
        (self.wave, self.num_steps)
    }

    /// Whether prompts are held back in the step that comes (`_should_throttle_prefills`): all ranks compute them in the
    /// same steps.
    #[must_use]
    pub const fn throttles_prefills(&self) -> bool {
        self.prefill_schedule_interval > 1 && !self.num_steps.is_multiple_of(self.prefill_schedule_interval)
    }

    /// Whether ranks ask each other at the end of the step that is under way: they wait for each other then.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.num_steps == 0 || (self.num_steps + 1).is_multiple_of(self.dp_sync_interval)
    }

    /// Ends a step; `has_unfinished` says whether any rank still has a request, which is only looked at when ranks ask
    /// each other. The first step of a wave is one of them.
    pub const fn end_step(&mut self, has_unfinished: bool) -> Option<WaveNotice> {
        let was_running = self.is_running;
        self.is_running = !self.asks() || has_unfinished;
        self.num_steps += 1;
        if !self.is_running {
            let complete = self.wave;
            self.wave += 1;
            self.num_steps = 0;
            Some(WaveNotice::Complete(complete))
        } else if !was_running {
            Some(WaveNotice::Started(self.wave))
        } else {
            None
        }
    }
}
