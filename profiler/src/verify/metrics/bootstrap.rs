//! Confidence intervals by resampling (Efron's percentile bootstrap).
//!
//! Whole workloads are drawn with replacement, and so are the rounds of repeats. The requests of one workload share their
//! passes, so their errors go up and down together and are not so many independent ones (a cluster bootstrap: Davison &
//! Hinkley, *Bootstrap Methods and their Application*, 1997, section 3.8); of a single workload, requests are drawn. A
//! round is drawn for all workloads at once: they ran one after another in it, so a drift of the machine hit them together.
//!
//! The median over rounds drawn with replacement scatters more than that over the rounds themselves, and a mean of
//! absolute errors grows with any scatter. So the resamples are shifted until their mean is the value itself.

use serde::Serialize;
use sim_core::metrics::distribution::{Distribution, Percentile};
use sim_core::rng::Pcg64;

/// Share of the resamples inside an interval, in percent.
pub(crate) const CONFIDENCE_PERCENT: f64 = 95.0;

/// A value and its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Interval {
    /// Of the data as they are.
    pub(crate) value: f64,
    /// Lower end.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
}

impl Interval {
    /// The interval of a value that cannot be negative.
    pub(super) const fn at_least_zero(self) -> Self {
        Self { low: self.low.max(0.0), ..self }
    }

    /// Whether 0 lies inside.
    pub(crate) fn holds_zero(&self) -> bool {
        self.low <= 0.0 && 0.0 <= self.high
    }
}

/// How often, and from which random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resampling {
    /// Resamples.
    pub(super) num_resamples: u32,
    /// Seed of the draws.
    pub(super) seed: u64,
}

/// Random places.
#[derive(Debug)]
pub(super) struct Draws(Pcg64);

impl Draws {
    /// A place below `count`; 0 if there is none.
    pub(super) fn below(&mut self, count: usize) -> usize {
        let last = u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX);
        self.0.integers(0, last) as usize
    }
}

/// An interval around each of `point`'s values, from what `resample` makes of random draws. A value that the data do
/// not have has no interval; a resample without it does not count.
pub(super) fn intervals<const N: usize>(
    point: [Option<f64>; N],
    resampling: Resampling,
    mut resample: impl FnMut(&mut Draws) -> [Option<f64>; N],
) -> [Option<Interval>; N] {
    let mut draws = Draws(Pcg64::stream(resampling.seed, "bootstrap"));
    let mut resampled: [Vec<f64>; N] = std::array::from_fn(|_| vec![]);
    for _ in 0..resampling.num_resamples {
        for (values, value) in resampled.iter_mut().zip(resample(&mut draws)) {
            values.extend(value);
        }
    }
    let mut resampled = resampled.into_iter();
    point.map(|value| {
        let resampled = resampled.next().unwrap_or_default();
        interval(value?, resampled)
    })
}

fn interval(value: f64, resampled: Vec<f64>) -> Option<Interval> {
    if resampled.is_empty() {
        return Some(Interval { value, low: value, high: value });
    }
    let distribution = Distribution::from_samples(resampled);
    let outside = (100.0 - CONFIDENCE_PERCENT) / 2.0;
    let shift = value - distribution.mean();
    let end = |percent| Percentile::new(percent).map(|percentile| distribution.percentile(percentile) + shift);
    Some(Interval { value, low: end(outside)?, high: end(100.0 - outside)? })
}
