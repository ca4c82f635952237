//! Where a chain of keys departs from known text, and how it is found there.

use alloc::vec::Vec;

use super::chain_index;
use super::run_cursor::RunCursor;
use crate::request::TokenRun;

/// Where a chain departs, and with what first block: `parent` is `u32::MAX` for the start of all sequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Departure {
    /// First, as it tells most departures apart.
    first: TokenRun,
    /// The first block's further runs; nearly always none, and then without an allocation.
    rest: Vec<TokenRun>,
    pub(super) parent: u32,
    pub(super) position: u32,
    pub(super) cache_salt: u32,
}

impl Departure {
    /// The departure of a chain whose first hash block covers the next `left` tokens at `rest`.
    pub(super) fn new(mut rest: RunCursor<'_>, [parent, position, cache_salt]: [u32; 3], mut left: u64) -> Self {
        let mut runs = core::iter::from_fn(|| {
            let run = rest.next_run(left)?;
            left -= u64::from(run.len);
            Some(run)
        });
        let first = runs.next().unwrap_or(TokenRun { start: 0, len: 0 });
        Self { parent, position, cache_salt, first, rest: runs.collect() }
    }

    /// Tells most departures apart.
    pub(super) fn hash(&self) -> u32 {
        let place = u64::from(self.parent) << 32 | u64::from(self.position);
        let salted = u64::from(self.first.len) << 32 | u64::from(self.cache_salt);
        let rest = self.rest.iter().flat_map(|run| [run.start, u64::from(run.len)]);
        chain_index::hash([self.first.start, place, salted].into_iter().chain(rest))
    }
}
