//! A cost that comes once, and again for each part.

use alloc::vec::Vec;

use super::schema::{Cost, PassCost};
use crate::math;
use crate::time::SimDuration;

/// A cost for the whole and one for each part of it, in microseconds.
#[derive(Debug, Clone)]
pub(super) struct Affine {
    once_us: f64,
    each_us: f64,
    /// The costs of 0, 1, 2, … parts: most are asked for in every pass.
    small: Vec<SimDuration>,
}

/// Parts whose costs are kept: vLLM's default number of requests on most GPUs.
const NUM_SMALL: u32 = 257;

impl Affine {
    fn of(once_us: f64, each_us: f64) -> Self {
        let mut affine = Self { once_us, each_us, small: Vec::new() };
        affine.small = (0..NUM_SMALL).map(|count| affine.computed(count)).collect();
        affine
    }

    pub(super) fn zero() -> Self {
        Self::of(0.0, 0.0)
    }

    pub(super) fn new(once: &Cost, each: &Cost) -> Self {
        Self::of(once.time_us, each.time_us)
    }

    pub(super) fn each(each: &Cost) -> Self {
        Self::of(0.0, each.time_us)
    }

    pub(super) fn of_pass(cost: &PassCost) -> Self {
        Self::new(&cost.per_pass, &cost.per_request)
    }

    pub(super) fn at(&self, count: u32) -> SimDuration {
        self.small.get(math::u32_to_usize(count)).copied().unwrap_or_else(|| self.computed(count))
    }

    fn computed(&self, count: u32) -> SimDuration {
        SimDuration::from_micros_f64(self.once_us + self.each_us * math::u32_to_f64(count))
    }
}
