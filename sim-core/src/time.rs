//! Simulated time: whole nanoseconds, so that sums are exact and equal on every platform.
//!
//! Seconds and milliseconds as floats exist only at the edges (files, tables, plots).

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

use crate::math;

/// An instant, in nanoseconds since the start of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimTime(u64);

/// A span of simulated time, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimDuration(u64);

impl SimTime {
    /// The start of the simulation.
    pub const ZERO: Self = Self(0);
    /// Later than every event: stands for "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant `seconds` after the start, to the nearest nanosecond; negative and NaN give zero, too large the maximum.
    #[must_use]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self(math::round_to_u64(seconds * 1e9))
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the start.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        math::u64_to_f64(self.0) / 1e9
    }

    /// The span from `earlier` to this instant; zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> SimDuration {
        SimDuration(self.0.saturating_sub(earlier.0))
    }
}

impl SimDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `nanos` nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A span of `micros` microseconds, to the nearest nanosecond; negative and NaN give zero.
    #[must_use]
    pub fn from_micros_f64(micros: f64) -> Self {
        Self(math::round_to_u64(micros * 1e3))
    }

    /// A span of `seconds`, to the nearest nanosecond; negative and NaN give zero.
    #[must_use]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self(math::round_to_u64(seconds * 1e9))
    }

    /// Length in nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Length in milliseconds.
    #[must_use]
    pub fn as_millis_f64(self) -> f64 {
        math::u64_to_f64(self.0) / 1e6
    }

    /// Length in seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        math::u64_to_f64(self.0) / 1e9
    }

    /// This span `count` times.
    #[must_use]
    pub const fn saturating_mul(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl Add<SimDuration> for SimTime {
    type Output = Self;
    fn add(self, span: SimDuration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<SimDuration> for SimTime {
    fn add_assign(&mut self, span: SimDuration) {
        *self = *self + span;
    }
}

impl Sub for SimTime {
    type Output = SimDuration;
    /// The span between two instants.
    ///
    /// # Panics
    /// If `earlier` is later: time never goes back in a simulation.
    fn sub(self, earlier: Self) -> SimDuration {
        assert!(earlier.0 <= self.0, "a span must not be negative");
        SimDuration(self.0 - earlier.0)
    }
}

impl Add for SimDuration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for SimDuration {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6} s", self.as_secs_f64())
    }
}

impl fmt::Display for SimDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6} ms", self.as_millis_f64())
    }
}
