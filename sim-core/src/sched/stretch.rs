//! Stretches: passes in which every running request gets its next token, and nothing else happens.
//!
//! All running requests are steady ([`super::steady`]), nobody waits who could be admitted, and the pass under way holds
//! the same requests. Then the next pass differs from the last one in two numbers, the contexts' sum and the free blocks,
//! until a date comes: somebody's last token ends the stretch, and so does a block that is not to be had. Other blocks
//! and keys are given out on the way, by the function that gives them in any pass.
//!
//! Nothing else may be asked of the scheduler until the stretch has ended: nobody is added or given up.

use super::budget::Budget;
use super::growth::DueBlocks;
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

/// The passes up to the next date: nothing is asked of the scheduler for each of them.
#[derive(Debug, Default)]
pub(crate) struct Undated {
    /// Most passes that may still be taken.
    left: u32,
    /// Requests of each pass.
    num_reqs: u32,
    due: DueBlocks,
    /// Passes that were taken, and which of them was the last to need a block.
    num_passes: u32,
    last_growing: u32,
    num_blocks: u32,
    /// The last pass.
    pass: StretchPass,
}

impl Iterator for Undated {
    type Item = StretchPass;

    /// Decides the next pass; `None` at the next date, and if there are not as many blocks as it needs.
    #[inline]
    fn next(&mut self) -> Option<StretchPass> {
        let num_due = self.due.peek();
        if self.left == 0 || num_due > self.pass.num_free_blocks {
            return None;
        }
        self.left -= 1;
        self.num_passes += 1;
        if num_due > 0 {
            self.last_growing = self.num_passes;
            self.num_blocks += num_due;
        }
        self.due.advance();
        self.pass.context_tokens += u64::from(self.num_reqs);
        self.pass.num_free_blocks -= num_due;
        Some(self.pass)
    }
}

impl Undated {
    /// Passes that were taken, and the last two of them; the first of these is nothing if there is one alone.
    pub(crate) fn taken(&self) -> (u32, [StretchPass; 2]) {
        let StretchPass { context_tokens, num_free_blocks } = self.pass;
        let before = StretchPass {
            context_tokens: context_tokens.saturating_sub(u64::from(self.num_reqs)),
            num_free_blocks: num_free_blocks + self.due.last(),
        };
        (self.num_passes, [before, self.pass])
    }
}

impl Scheduler<'_> {
    /// The passes up to the next date, at most so many. [`Self::end_undated`] must follow.
    pub(crate) fn begin_undated(&mut self, most: u32) -> Undated {
        let (next, num_free_blocks) = (self.pass_number + 1, self.kv_cache.num_free_blocks());
        let steady = &mut self.steady;
        let num_empty_days = steady.ends.num_empty_days(next - steady.lag).min(steady.asks.num_empty_days(next));
        Undated {
            left: most.min(num_empty_days),
            num_reqs: steady.count,
            due: steady.growth.lend(next),
            num_passes: 0,
            last_growing: 0,
            num_blocks: 0,
            pass: StretchPass { context_tokens: steady.num_computed_tokens, num_free_blocks },
        }
    }

    /// The passes that were taken are decided, and the results of as many are taken as processed.
    pub(crate) fn end_undated(&mut self, undated: Undated) {
        let Undated { due, num_passes, last_growing, num_blocks, pass, .. } = undated;
        self.steady.growth.put_back(due);
        if num_blocks > 0 {
            self.grow(self.pass_number + u64::from(last_growing), num_blocks);
        }
        self.has_finished_ids &= num_passes == 0;
        self.pass_number += u64::from(num_passes);
        let steady = &mut self.steady;
        if num_passes > 0 {
            steady.issued = self.pass_number;
        }
        steady.processed += u64::from(num_passes);
        steady.num_computed_tokens = pass.context_tokens;
    }

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

    /// Decides the next pass of a stretch, dates and all, and takes the results of the oldest one under way as processed;
    /// `None` if the next pass is not one of a stretch.
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
