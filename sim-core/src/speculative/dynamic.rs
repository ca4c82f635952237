//! A number of drafts that depends on the number of requests in a pass.
//!
//! Source: `vllm/v1/spec_decode/dynamic/utils.py`.

use alloc::vec::Vec;
use core::fmt;

/// Drafts by the number of requests in a pass (`num_speculative_tokens_per_batch_size`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamicSchedule {
    /// First number of requests and drafts from there on; begins at 1.
    steps: Vec<(u32, u32)>,
}

/// Why a schedule is refused. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DynamicScheduleError {
    /// No range is given.
    Empty,
    /// A range begins or ends at 0, or ends before it begins.
    Range {
        /// Its first number of requests.
        first: u32,
        /// Its last.
        last: u32,
    },
    /// The first range does not begin at 1.
    FirstNotOne {
        /// Where it begins.
        first: u32,
    },
    /// A range begins at or before the end of the one before.
    Overlap {
        /// Where it begins.
        first: u32,
    },
}

impl fmt::Display for DynamicScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("num_speculative_tokens_per_batch_size: ")?;
        match self {
            Self::Empty => f.write_str("no range; [[1, 32, 3], [33, 256, 1]] would be two"),
            Self::Range { first, last } => {
                write!(f, "the range {first} to {last}: both must be at least 1, and the first not above the last")
            }
            Self::FirstNotOne { first } => write!(f, "the first range begins at {first}; it must begin at 1"),
            Self::Overlap { first } => write!(f, "the range from {first} begins inside the one before it"),
        }
    }
}

impl core::error::Error for DynamicScheduleError {}

impl DynamicSchedule {
    /// Most ranges.
    pub const MAX_RANGES: usize = 4096;

    /// A schedule of ranges: first number of requests, last, drafts. A gap has the drafts of the range before it.
    ///
    /// # Errors
    /// See [`DynamicScheduleError`].
    pub fn new(ranges: &[(u32, u32, u32)]) -> Result<Self, DynamicScheduleError> {
        let mut ranges = ranges.to_vec();
        for &(first, last, _) in &ranges {
            if first == 0 || first > last {
                return Err(DynamicScheduleError::Range { first, last });
            }
        }
        ranges.sort_by_key(|range| range.0);
        let &(first, ..) = ranges.first().ok_or(DynamicScheduleError::Empty)?;
        if first != 1 {
            return Err(DynamicScheduleError::FirstNotOne { first });
        }
        if let Some(pair) = ranges.windows(2).find(|pair| pair[1].0 <= pair[0].1) {
            return Err(DynamicScheduleError::Overlap { first: pair[1].0 });
        }
        Ok(Self { steps: ranges.iter().map(|&(first, _, drafts)| (first, drafts)).collect() })
    }

    /// Drafts for a pass of `num_reqs` requests, at least 1.
    #[must_use]
    pub fn num_speculative_tokens(&self, num_reqs: u32) -> u32 {
        let after = self.steps.partition_point(|step| step.0 <= num_reqs);
        self.steps[..after].last().map_or(0, |step| step.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_has_the_drafts_of_the_range_before() {
        let schedule = DynamicSchedule::new(&[(32, 128, 2), (1, 16, 3)]).expect("two ranges");
        let drafts = |num_reqs| schedule.num_speculative_tokens(num_reqs);
        assert_eq!([drafts(1), drafts(16), drafts(17), drafts(31), drafts(32), drafts(1000)], [3, 3, 3, 3, 2, 2]);
    }

    #[test]
    fn ranges_that_say_nothing_or_two_things_are_refused() {
        let error = |ranges| DynamicSchedule::new(ranges).expect_err("refused");
        assert_eq!(error(&[]), DynamicScheduleError::Empty);
        assert_eq!(error(&[(0, 4, 1)]), DynamicScheduleError::Range { first: 0, last: 4 });
        assert_eq!(error(&[(2, 4, 1)]), DynamicScheduleError::FirstNotOne { first: 2 });
        assert_eq!(error(&[(1, 4, 1), (4, 8, 2)]), DynamicScheduleError::Overlap { first: 4 });
    }
}
