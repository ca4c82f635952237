//! What speculation changes in a pass: drafts to be verified, to be proposed, and those that nobody can use.
//!
//! Source: `vllm/v1/core/sched/scheduler.py`; the scheduler counts drafts and never looks at one.

use super::budget::Budget;
use super::live_request::LiveRequest;
use super::output::SchedulerOutput;
use super::scheduler::Scheduler;
use crate::math;

impl Scheduler<'_> {
    /// Drafts to be proposed after the pass, for each request; 0 without a drafter.
    pub(super) fn num_tokens_to_propose(&self, output: &SchedulerOutput) -> u32 {
        let num_reqs = math::usize_to_u32(output.scheduled.len());
        self.config.speculative.as_ref().map_or(0, |speculative| speculative.num_tokens_to_propose(num_reqs))
    }

    /// Times that the drafter runs behind the pass.
    pub(super) fn num_draft_runs(&self, output: &SchedulerOutput) -> u32 {
        if output.skips_drafts || !output.has_tokens() {
            return 0;
        }
        let num_drafts = output.num_spec_tokens_to_schedule;
        self.config.speculative.as_ref().map_or(0, |speculative| speculative.num_draft_runs(num_drafts))
    }

    /// Whether an admission with one token to compute is filled up to the rows of a verification, so that all requests
    /// of the pass are alike: no prompt is computed beside it, and it is not the first with nothing found.
    pub(super) fn pads_admission(&self, num_cached_tokens: u32, budget: &Budget, output: &SchedulerOutput) -> bool {
        let is_static = self
            .config
            .speculative
            .as_ref()
            .is_some_and(|config| config.num_speculative_tokens_per_batch_size.is_none());
        // What runs already comes before every admission.
        let has_running = output.scheduled.len() > output.new_reqs.len() + output.resumed_reqs.len();
        is_static
            && !budget.has_running_prefill
            && (has_running || num_cached_tokens > 0)
            && num_cached_tokens + 1 + self.num_spec_tokens < self.config.max_model_len
    }

    /// Takes in the drafts proposed after a pass: `num_drafts` for the request at `place` of it. Those for a prompt that
    /// is not computed yet are dropped. Source: `update_draft_token_ids`.
    pub(crate) fn update_draft_token_ids(&mut self, output: &SchedulerOutput, place: usize, num_drafts: u32) {
        let scheduled = &output.scheduled[place];
        let Some(request) = self.live.held_mut(scheduled.slot, scheduled.id) else { return };
        request.num_spec_tokens = if request.is_prefill_chunk { 0 } else { num_drafts };
    }
}

impl LiveRequest {
    /// Drafts among the `num_new_tokens` that a running request gets. Those that do not fit are given up.
    pub(super) fn take_drafts(&mut self, num_new_tokens: u32) -> u16 {
        let num_drafts = core::mem::take(&mut self.num_spec_tokens);
        let known = self.num_tokens + self.num_output_placeholders;
        let behind = (self.num_computed_tokens + num_new_tokens).saturating_sub(known);
        math::u32_to_u16(num_drafts.min(behind))
    }

    /// Whether it is sure that nobody verifies drafts that the request gets after the pass (`_drafts_unused`): the pass
    /// is not its prompt's last, or samples its last token.
    pub(super) const fn leaves_drafts_unused(&self, num_computed_tokens: u32, num_new_tokens: u32) -> bool {
        if num_computed_tokens + num_new_tokens < self.num_tokens {
            return true;
        }
        // Even if all drafts are rejected: a token of this pass, and of one under way.
        let under_way = (self.num_output_placeholders > 0) as u32;
        self.num_tokens + 1 + under_way >= self.max_num_tokens
    }

    /// A prompt chunk does not end so close to the prompt's end that a chain of MTP layers would lack tokens to read
    /// (`_reserve_prefill_lookahead`).
    pub(super) const fn reserve_prefill_lookahead(
        &self,
        num_computed_tokens: u32,
        num_new_tokens: u32,
        num_prefill_lookahead: u32,
    ) -> u32 {
        let remaining = self.num_tokens.saturating_sub(num_computed_tokens + num_new_tokens);
        if 0 < remaining && remaining < num_prefill_lookahead {
            num_new_tokens.saturating_sub(num_prefill_lookahead - remaining)
        } else {
            num_new_tokens
        }
    }
}
