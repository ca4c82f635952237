//! Where an engine alone gets no further: steps that run nothing, and passes that bring no token to anybody.
//!
//! vLLM tests neither: its engine would go on for ever. A simulated one ends, and says which requests did not.

use super::Simulation;
use crate::math;

/// Passes without an output token after which it is asked how many there may be.
const ASKED_AFTER: u32 = 1 << 10;

/// How many times as many passes are waited for as there can be while requests go on.
const MARGIN: u64 = 20;

/// What came of the last steps.
#[derive(Debug, Default)]
pub(super) struct InVain {
    /// In a row, after which there were requests although nothing ran.
    num_stuck_steps: u32,
    /// Of tokens, in a row, none of which brought anybody an output token.
    num_fruitless_passes: u32,
    /// How many of these are waited for, once it was asked.
    most_fruitless_passes: Option<u32>,
}

impl InVain {
    /// Something came from outside: all may be different now.
    pub(super) const fn interrupt(&mut self) {
        self.num_stuck_steps = 0;
        self.num_fruitless_passes = 0;
    }

    /// Steps that ran nothing waited for something that is under way.
    pub(super) const fn await_transfers(&mut self) {
        self.num_stuck_steps = 0;
    }

    /// A pass with tokens came out.
    pub(super) const fn note_pass(&mut self, num_outputs: u32) {
        self.num_fruitless_passes = if num_outputs > 0 { 0 } else { self.num_fruitless_passes.saturating_add(1) };
    }
}

impl Simulation<'_> {
    /// Whether the engine gets no further unless somebody joins or leaves, after a step that issued tokens or none.
    pub(super) fn is_in_vain(&mut self, has_run_tokens: bool) -> bool {
        let is_stuck = !has_run_tokens && self.engine.is_stuck() && !self.transfers.is_under_way();
        self.in_vain.num_stuck_steps = if is_stuck { self.in_vain.num_stuck_steps.saturating_add(1) } else { 0 };
        // A pass that preempted its only request is empty, too, but the next one is not; and a request waits for the
        // passes of all stages.
        self.in_vain.num_stuck_steps > 1 + self.config.max_concurrent_batches() || self.is_fruitless()
    }

    /// Whether requests take each other's blocks for ever.
    fn is_fruitless(&mut self) -> bool {
        let num_passes = self.in_vain.num_fruitless_passes;
        if num_passes < ASKED_AFTER {
            return false;
        }
        let asked = self.in_vain.most_fruitless_passes;
        let most = asked.unwrap_or_else(|| self.most_passes_without_outputs());
        self.in_vain.most_fruitless_passes = Some(most);
        num_passes > most.max(ASKED_AFTER)
    }

    /// As long as the request that is preempted last computes a token in each pass of its own, somebody has an output token
    /// after as many of these as the longest request has tokens; [`MARGIN`] times as many are waited for.
    fn most_passes_without_outputs(&self) -> u32 {
        let requests = self.workload.requests.as_slice().iter();
        let longest =
            requests.map(|request| u64::from(request.num_prompt_tokens) + u64::from(request.num_output_tokens)).max();
        let once = longest.unwrap_or_default().saturating_mul(u64::from(self.config.max_concurrent_batches()));
        math::u64_to_u32(once.saturating_mul(MARGIN).min(u64::from(u32::MAX)))
    }
}
