//! A sequence read run by run.

use alloc::vec::Vec;

use crate::math;
use crate::request::TokenRun;

/// A place in a sequence given as runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunCursor<'a> {
    runs: &'a [TokenRun],
    /// Tokens of the first run that are behind the cursor.
    offset: u32,
}

impl<'a> RunCursor<'a> {
    pub(super) const fn new(runs: &'a [TokenRun]) -> Self {
        Self { runs, offset: 0 }
    }

    /// The rest of the run at the cursor, at most `max_tokens` of it; the cursor goes behind it.
    pub(super) fn next_run(&mut self, max_tokens: u64) -> Option<TokenRun> {
        let (&run, rest) = self.runs.split_first()?;
        let left = run.len - self.offset;
        let start = run.start + u64::from(self.offset);
        if u64::from(left) <= max_tokens {
            *self = Self { runs: rest, offset: 0 };
            Some(TokenRun { start, len: left })
        } else {
            let len = math::u64_to_u32(max_tokens);
            self.offset += len;
            (len > 0).then_some(TokenRun { start, len })
        }
    }

    pub(super) fn skip(&mut self, mut num_tokens: u64) {
        while num_tokens > 0
            && let Some(run) = self.next_run(num_tokens)
        {
            num_tokens -= u64::from(run.len);
        }
    }

    pub(super) fn copy_tokens(mut self, mut num_tokens: u64, to: &mut Vec<TokenRun>) {
        to.clear();
        while num_tokens > 0
            && let Some(run) = self.next_run(num_tokens)
        {
            num_tokens -= u64::from(run.len);
            to.push(run);
        }
    }

    /// Number of leading tokens that are the same here and in `other`, at most `max_tokens`.
    pub(super) fn common_tokens(self, other: &[TokenRun], max_tokens: u64) -> u64 {
        let (mut ours, mut theirs) = (self, RunCursor::new(other));
        let mut common = 0;
        while common < max_tokens {
            let (mut a, mut b) = (ours, theirs);
            let (Some(x), Some(y)) = (a.next_run(max_tokens - common), b.next_run(max_tokens - common)) else { break };
            if x.start != y.start {
                break;
            }
            let step = u64::from(x.len.min(y.len));
            ours.skip(step);
            theirs.skip(step);
            common += step;
        }
        common
    }
}
