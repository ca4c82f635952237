//! Steps of a stretch (`sched/stretch.rs`): the scheduler decides one pass after the other, and what the steps leave of passes
//! under way and processed is written once, at the end.

use super::EngineCore;
use crate::sched::output::SchedulerOutput;
use crate::sched::stretch::{StretchPass, Undated};

/// A stretch of steps: see [`EngineCore::begin_stretch`].
#[derive(Debug, Default)]
pub(crate) struct Stretch {
    /// Requests of each pass.
    pub(crate) num_reqs: u32,
    /// Passes issued so far.
    pub(crate) num_passes: u32,
    /// The last two of them.
    last: [StretchPass; 2],
}

impl EngineCore<'_> {
    /// How many requests run, if the next steps can be a stretch (`sched/stretch.rs`): each issues a pass and processes
    /// the oldest one, and all of them hold the same requests.
    pub(crate) fn begin_stretch(&mut self) -> Option<Stretch> {
        let num_reqs = self.scheduler.stretch_len()?;
        let is_same = |output: &SchedulerOutput| output.scheduled.is_empty() && output.num_steady_reqs == num_reqs;
        let is_steady = self.batch_queue.len() + 1 == self.max_concurrent_batches
            && self.batch_queue.iter().all(|issued| is_same(&issued.output));
        is_steady.then(|| Stretch { num_reqs, ..Stretch::default() })
    }

    /// One step of a stretch: the pass issued, or `None` if the next step is not one.
    #[inline]
    pub(crate) fn step_in_stretch(&mut self, stretch: &mut Stretch) -> Option<StretchPass> {
        let pass = self.scheduler.stretch_pass()?;
        stretch.num_passes += 1;
        stretch.last = [stretch.last[1], pass];
        Some(pass)
    }

    /// The steps up to the next date; what they are goes to [`Self::end_undated`].
    pub(crate) fn begin_undated(&mut self, most: u32) -> Undated {
        self.scheduler.begin_undated(most)
    }

    /// So many of these steps were taken.
    pub(crate) fn end_undated(&mut self, stretch: &mut Stretch, undated: Undated) {
        let (num_passes, [before, last]) = undated.taken();
        self.scheduler.end_undated(undated);
        stretch.num_passes += num_passes;
        match num_passes {
            0 => {}
            1 => stretch.last = [stretch.last[1], last],
            _ => stretch.last = [before, last],
        }
    }

    /// The stretch has ended: passes under way and processed are what as many steps would have left.
    pub(crate) fn end_stretch(&mut self, stretch: &Stretch) {
        if stretch.num_passes == 0 {
            return;
        }
        self.num_passes += stretch.num_passes;
        self.outputs.set_steady(stretch.num_reqs);
        let [before, last] = stretch.last;
        if let Some(issued) = self.batch_queue.back_mut() {
            issued.number = self.num_passes - 1;
            core::mem::swap(&mut issued.output, &mut self.processed);
            self.scheduler.write_stretch_pass((last, stretch.num_reqs), &mut issued.output);
            if stretch.num_passes > 1 {
                self.scheduler.write_stretch_pass((before, stretch.num_reqs), &mut self.processed);
            }
        } else {
            self.scheduler.write_stretch_pass((last, stretch.num_reqs), &mut self.processed);
        }
    }
}
