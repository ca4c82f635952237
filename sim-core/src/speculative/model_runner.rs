//! The worker's part of speculation: which drafts a pass accepts, and how many it proposes.

use alloc::vec;
use alloc::vec::Vec;

use crate::config::EngineConfig;
use crate::request::RequestId;
use crate::sched::output::SchedulerOutput;
use crate::speculative::Acceptance;

/// Runs passes in the order of their issue, as far as the engine can tell.
#[derive(Debug)]
pub struct ModelRunner {
    num_speculative_tokens: u32,
    /// Per request, verifications so far.
    num_verifications: Vec<u32>,
    /// Per request, proposals so far that were asked for its text.
    num_proposals: Vec<u32>,
}

impl ModelRunner {
    /// A worker of `config`'s drafter with room for so many requests; `None` if there is no drafter.
    #[must_use]
    pub fn new(config: &EngineConfig, num_requests: usize) -> Option<Self> {
        let speculative = config.speculative.as_ref()?;
        Some(Self {
            num_speculative_tokens: speculative.num_speculative_tokens,
            num_verifications: vec![0; num_requests],
            num_proposals: vec![0; num_requests],
        })
    }

    /// Runs a pass: writes down the tokens that it samples for each request.
    pub(crate) fn execute(&mut self, acceptance: &Acceptance, output: &mut SchedulerOutput) {
        for scheduled in &mut output.scheduled {
            if scheduled.num_draft_tokens == 0 {
                continue;
            }
            let drafts = u32::from(scheduled.num_draft_tokens);
            let verification = count_of(&mut self.num_verifications, scheduled.id);
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
    pub(crate) fn propose(&mut self, acceptance: &Acceptance, output: &SchedulerOutput, place: usize) -> u32 {
        let scheduled = &output.scheduled[place];
        let asked = output.num_spec_tokens_to_schedule;
        if scheduled.num_sampled_tokens == 0 {
            return asked;
        }
        let proposal = count_of(&mut self.num_proposals, scheduled.id);
        *proposal += 1;
        acceptance.num_proposed(scheduled.id.0, *proposal - 1, asked, self.num_speculative_tokens)
    }
}

/// The count of a request, which may have come after the worker was made.
fn count_of(counts: &mut Vec<u32>, id: RequestId) -> &mut u32 {
    if id.index() >= counts.len() {
        counts.resize(id.index() + 1, 0);
    }
    &mut counts[id.index()]
}
