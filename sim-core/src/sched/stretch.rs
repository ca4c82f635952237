//! Stretches: passes in which every running request gets its next token, and nothing else happens.
//!
//! All running requests are steady ([`super::steady`]), nobody waits who could be admitted, and the pass under way holds
//! the same requests. Then the next pass differs from the last one in two numbers, the contexts' sum and the free blocks,
//! until a date comes: somebody's last token ends the stretch, and so does a block that is not to be had. Other blocks
//! and keys are given out on the way, by the function that gives them in any pass.
//!
//! Nothing else may be asked of the scheduler until the stretch has ended: nobody is added or given up.

use super::budget::Budget;
use super::output::SchedulerOutput;
use super::scheduler::Scheduler;
use crate::math;

/// What passes of one stretch differ in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StretchPass {
    /// Sum over the requests of the tokens each attends to, the new one included.
    pub(crate) context_tokens: u64,
    /// Free blocks after the decision.
    pub(crate) num_free_blocks: u32,
}

impl Scheduler<'_> {
    /// How many requests run, if the next passes can be a stretch.
    pub(crate) fn stretch_len(&self) -> Option<u32> {
        let steady = &self.steady;
        let is_quiet = steady.count > 0
            && math::u32_to_usize(steady.count) == self.running.len()
            && steady.departed.is_empty()
            && self.has_no_spans();
        if !is_quiet {
            return None;
        }
        let Budget { num_tokens, .. } = self.budget();
        let admits_nobody =
            self.waiting.is_empty() || num_tokens == steady.count || steady.count >= self.config.max_num_active_seqs;
        (admits_nobody && num_tokens >= steady.count).then_some(steady.count)
    }

    /// Decides the next pass of a stretch, and takes the results of the oldest one under way as processed; `None` if the
    /// next pass is not one of a stretch.
    #[inline]
    pub(crate) fn stretch_pass(&mut self) -> Option<StretchPass> {
        let pass = self.pass_number + 1;
        if self.steady.ends.has(pass - self.steady.lag) {
            return None;
        }
        let num_due = self.steady.growth.num_due(pass);
        if self.steady.asks.has(pass) || num_due > self.kv_cache.num_free_blocks() {
            if !self.serve_dates(pass) {
                return None;
            }
        } else if num_due > 0 {
            self.grow(pass, num_due);
        }
        let steady = &mut self.steady;
        self.pass_number = pass;
        self.has_finished_ids = false;
        steady.issued = pass;
        steady.processed += 1;
        steady.num_computed_tokens += u64::from(steady.count);
        let (context_tokens, num_free_blocks) = (steady.num_computed_tokens, self.kv_cache.num_free_blocks());
        Some(StretchPass { context_tokens, num_free_blocks })
    }

    /// Serves who is due in `pass`, which is not begun yet; false if blocks do not suffice. Then all are looked at, as
    /// they would be had the pass begun.
    #[inline(never)]
    fn serve_dates(&mut self, pass: u64) -> bool {
        let before = core::mem::replace(&mut self.pass_number, pass);
        let is_served = self.serve_due();
        if !is_served {
            self.dissolve();
            self.pass_number = before;
        }
        is_served
    }

    /// Makes `output` the pass `pass` of a stretch with `num_reqs` requests.
    pub(crate) fn write_stretch_pass(&self, (pass, num_reqs): (StretchPass, u32), output: &mut SchedulerOutput) {
        output.clear();
        output.num_steady_reqs = num_reqs;
        output.batch.add_decodes(num_reqs, pass.context_tokens);
        output.num_free_blocks = pass.num_free_blocks;
        output.num_running_reqs = num_reqs;
        output.num_waiting_reqs = math::usize_to_u32(self.waiting.len());
    }
}
