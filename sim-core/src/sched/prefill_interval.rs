//! `prefill_schedule_interval`: prompts are held back, so that decodes have several passes for themselves.
//!
//! Source: `vllm/v1/core/sched/scheduler.py`, the local prefill cadence, and `throttle_prefills` of ranks in lockstep.

use crate::config::EngineConfig;

/// When a pass carried prompt parts last, in passes with tokens.
#[derive(Debug)]
pub(super) struct PrefillInterval {
    /// 1 for no such rule.
    interval: u64,
    num_executed_passes: u64,
    /// Number of the last pass with prompt parts plus `interval`, so that the first pass is never held.
    last_prefill_pass_plus_interval: u64,
    /// Whether the last pass that was free to admit left requests waiting: then nothing is held.
    is_capacity_bound: bool,
    /// With ranks in lockstep, which have the interval in common: whether the step being decided holds prompts back.
    lockstep: Option<bool>,
}

impl PrefillInterval {
    pub(super) const fn new(config: &EngineConfig) -> Self {
        let has_common_interval = config.steps_with_others && config.prefill_schedule_interval > 1;
        Self {
            interval: config.local_prefill_interval() as u64,
            num_executed_passes: 0,
            last_prefill_pass_plus_interval: 0,
            is_capacity_bound: false,
            lockstep: if has_common_interval { Some(false) } else { None },
        }
    }

    /// Whether there is such a rule.
    pub(super) const fn is_on(&self) -> bool {
        self.interval > 1 || self.lockstep.is_some()
    }

    /// Whether the pass being decided holds prompts back, if a request is past its prompt.
    pub(super) const fn holds_prefills(&self) -> bool {
        let is_early = match self.lockstep {
            Some(is_throttled) => is_throttled,
            None => self.interval > 1 && self.num_executed_passes + 1 < self.last_prefill_pass_plus_interval,
        };
        is_early && !self.is_capacity_bound
    }

    /// Whether the step that comes holds prompts back, of ranks in lockstep.
    pub(super) const fn throttle(&mut self, is_throttled: bool) {
        if self.lockstep.is_some() {
            self.lockstep = Some(is_throttled);
        }
    }

    /// Notes whether a pass that was free to admit left requests waiting that nothing but room keeps out.
    pub(super) const fn note_waiting(&mut self, leaves_some: bool) {
        self.is_capacity_bound = leaves_some;
    }

    /// Counts a decided pass.
    pub(super) const fn note_pass(&mut self, has_tokens: bool) {
        self.num_executed_passes += has_tokens as u64;
    }

    /// Notes that the pass that was counted last carries prompt parts.
    pub(super) const fn note_prefill(&mut self) {
        self.last_prefill_pass_plus_interval = self.num_executed_passes + self.interval;
    }
}
