//! The worker's part of speculation: which drafts a pass accepts, and how many it proposes.

use alloc::vec;
use alloc::vec::Vec;

use crate::config::EngineConfig;
use crate::request_set::RequestSet;
use crate::sched::output::SchedulerOutput;

/// Runs passes in the order of their issue, as far as the engine can tell.
#[derive(Debug)]
pub struct ModelRunner<'a> {
    requests: &'a RequestSet,
    num_speculative_tokens: u32,
    /// Per request, verifications so far.
    num_verifications: Vec<u32>,
    /// Per request, proposals so far that were asked for its text.
    num_proposals: Vec<u32>,
}

impl<'a> ModelRunner<'a> {
    /// A worker of `config`'s drafter; `None` if it has none.
    #[must_use]
    pub fn new(config: &EngineConfig, requests: &'a RequestSet) -> Option<Self> {
        let speculative = config.speculative.as_ref()?;
        Some(Self {
            requests,
            num_speculative_tokens: speculative.num_speculative_tokens,
            num_verifications: vec![0; requests.len()],
            num_proposals: vec![0; requests.len()],
        })
    }

    /// Runs a pass: writes down the tokens that it samples for each request.
    pub(crate) fn execute(&mut self, output: &mut SchedulerOutput) {
        let acceptance = self.requests.acceptance();
        for scheduled in &mut output.scheduled {
            if scheduled.num_draft_tokens == 0 {
                continue;
            }
            let drafts = u32::from(scheduled.num_draft_tokens);
            let verification = &mut self.num_verifications[scheduled.id.index()];
            let is_padding = output.padded_reqs.contains(&scheduled.id);
            let accepted = if is_padding && !acceptance.counts_padding() {
                0
            } else {
                *verification += 1;
                acceptance.num_accepted(scheduled.id.0, *verification - 1, drafts)
            };
            // At most as many as there are drafts.
            scheduled.num_sampled_tokens = 1 + u16::try_from(accepted).unwrap_or(scheduled.num_draft_tokens);
        }
    }

    /// Drafts for the request at `place` of a pass that has run.
    pub(crate) fn propose(&mut self, output: &SchedulerOutput, place: usize) -> u32 {
        let scheduled = &output.scheduled[place];
        let asked = output.num_spec_tokens_to_schedule;
        if scheduled.num_sampled_tokens == 0 {
            return asked;
        }
        let proposal = &mut self.num_proposals[scheduled.id.index()];
        *proposal += 1;
        self.requests.acceptance().num_proposed(scheduled.id.0, *proposal - 1, asked, self.num_speculative_tokens)
    }
}
