//! `prefill_schedule_interval`: prompts are held back, so that decodes have several passes for themselves.
//!
//! Source: `vllm/v1/core/sched/scheduler.py`, the local prefill cadence.

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
}

impl PrefillInterval {
    pub(super) const fn new(interval: u32) -> Self {
        Self {
            interval: interval as u64,
            num_executed_passes: 0,
            last_prefill_pass_plus_interval: 0,
            is_capacity_bound: false,
        }
    }

    /// Whether there is such a rule.
    pub(super) const fn is_on(&self) -> bool {
        self.interval > 1
    }

    /// Whether the pass being decided holds prompts back, if a request is past its prompt.
    pub(super) const fn holds_prefills(&self) -> bool {
        self.is_on() && !self.is_capacity_bound && self.num_executed_passes + 1 < self.last_prefill_pass_plus_interval
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
