//! A cost that comes once, and again for each part.

use super::schema::{Cost, PassCost};
use crate::math;
use crate::time::SimDuration;

/// A cost for the whole and one for each part of it, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Affine {
    once_us: f64,
    each_us: f64,
}

impl Affine {
    pub(super) const ZERO: Self = Self { once_us: 0.0, each_us: 0.0 };

    pub(super) const fn new(once: &Cost, each: &Cost) -> Self {
        Self { once_us: once.time_us, each_us: each.time_us }
    }

    pub(super) const fn each(each: &Cost) -> Self {
        Self { once_us: 0.0, each_us: each.time_us }
    }

    pub(super) const fn of_pass(cost: &PassCost) -> Self {
        Self::new(&cost.per_pass, &cost.per_request)
    }

    pub(super) fn at(self, count: u32) -> SimDuration {
        SimDuration::from_micros_f64(self.once_us + self.each_us * math::u32_to_f64(count))
    }
}
