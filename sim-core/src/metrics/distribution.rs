//! What NumPy says about a set of samples: the statistics that `vllm bench serve` prints.
//!
//! Percentiles interpolate linearly between ranks (`numpy.percentile`), the standard deviation divides by n
//! (`numpy.std`). Plain samples give NumPy's bits, its order of summation included. Weighted samples are whole
//! nanoseconds with counts: percentiles are NumPy's bits too, without expanding them; mean and deviation are exact
//! sums rounded once, so they do not depend on the order of the samples.

use alloc::vec::Vec;
use core::fmt;

use crate::math;
use crate::metrics::python_float;
use crate::metrics::recorder::WeightedGap;

/// A percentile: a number from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percentile(f64);

impl Percentile {
    /// The percentile `percent`; `None` outside 0 to 100, as NumPy refuses it.
    #[must_use]
    pub fn new(percent: f64) -> Option<Self> {
        (0.0..=100.0).contains(&percent).then_some(Self(percent))
    }

    /// The number from 0 to 100.
    #[must_use]
    pub const fn percent(self) -> f64 {
        self.0
    }
}

/// As vLLM writes it in `P99.9`: whole numbers without a fraction.
impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = math::f64_to_u64(self.0);
        if math::u64_to_f64(whole).to_bits() == self.0.to_bits() {
            write!(f, "{whole}")
        } else {
            python_float::Repr(self.0).fmt(f)
        }
    }
}

/// Samples in order, with their mean and deviation. Times are in seconds.
#[derive(Debug, Clone, Default)]
pub struct Distribution {
    ranked: Ranked,
    mean: f64,
    std: f64,
}

/// Samples in increasing order.
#[derive(Debug, Clone)]
enum Ranked {
    /// One float per sample.
    Plain(Vec<f64>),
    /// Different whole nanoseconds, and how many samples are at most that long.
    Weighted { nanos: Vec<u64>, cumulative: Vec<u64> },
}

impl Default for Ranked {
    fn default() -> Self {
        Self::Plain(Vec::new())
    }
}

impl Distribution {
    /// The distribution of `samples`, given in the order in which NumPy would sum them.
    #[must_use]
    pub fn from_samples(mut samples: Vec<f64>) -> Self {
        if samples.is_empty() {
            return Self::default();
        }
        let count = math::usize_to_f64(samples.len());
        let mean = pairwise_sum(&samples, &|x| x) / count;
        let variance = pairwise_sum(&samples, &|x| (x - mean) * (x - mean)) / count;
        samples.sort_unstable_by(f64::total_cmp);
        Self { ranked: Ranked::Plain(samples), mean, std: math::sqrt(variance) }
    }

    /// The distribution of the gaps, each `count` times, in seconds.
    #[must_use]
    pub fn from_gaps(gaps: &[WeightedGap]) -> Self {
        let mut pairs: Vec<(u64, u32)> =
            gaps.iter().filter(|gap| gap.count > 0).map(|gap| (gap.gap.as_nanos(), gap.count)).collect();
        // Equal lengths are added up, in whatever order.
        pairs.sort_unstable_by_key(|&(length, _)| length);
        let (mut nanos, mut cumulative) = (Vec::new(), Vec::new());
        let (mut total, mut sum) = (0u64, 0u128);
        for &(length, count) in &pairs {
            total += u64::from(count);
            sum = sum.saturating_add(u128::from(length) * u128::from(count));
            if nanos.last() == Some(&length) {
                cumulative.pop();
            } else {
                nanos.push(length);
            }
            cumulative.push(total);
        }
        if total == 0 {
            return Self::default();
        }
        // Exact in integers around the rounded-down mean; saturation needs spans of centuries.
        let centre = sum / u128::from(total);
        let squares = pairs.iter().fold(0u128, |squares, &(length, count)| {
            let distance = u128::from(length).abs_diff(centre);
            squares.saturating_add(distance.saturating_mul(distance).saturating_mul(u128::from(count)))
        });
        let count = math::u64_to_f64(total);
        let rest = math::u128_to_f64(sum % u128::from(total)) / count;
        let variance = math::u128_to_f64(squares) / count - rest * rest;
        Self {
            ranked: Ranked::Weighted { nanos, cumulative },
            mean: math::u128_to_f64(sum) / count / 1e9,
            std: math::sqrt(if variance > 0.0 { variance } else { 0.0 }) / 1e9,
        }
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.ranked {
            Ranked::Plain(samples) => math::usize_to_u64(samples.len()),
            Ranked::Weighted { cumulative, .. } => cumulative.last().copied().unwrap_or(0),
        }
    }

    /// Whether there is no sample. Every statistic is then 0, as vLLM reports it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Arithmetic mean (`numpy.mean`).
    #[must_use]
    pub const fn mean(&self) -> f64 {
        self.mean
    }

    /// Population standard deviation (`numpy.std`).
    #[must_use]
    pub const fn std(&self) -> f64 {
        self.std
    }

    /// Smallest sample.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.sample(0)
    }

    /// Largest sample.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.sample(self.len().saturating_sub(1))
    }

    /// Middle sample, or the mean of the two (`numpy.median`).
    #[must_use]
    pub fn median(&self) -> f64 {
        let middle = self.len() / 2;
        if self.len() % 2 == 1 {
            return self.sample(middle);
        }
        (self.sample(middle.saturating_sub(1)) + self.sample(middle)) / 2.0
    }

    /// `numpy.percentile` with its default method, linear.
    #[must_use]
    pub fn percentile(&self, percentile: Percentile) -> f64 {
        let last = self.len().saturating_sub(1);
        let rank = math::u64_to_f64(last) * (percentile.0 / 100.0);
        if rank >= math::u64_to_f64(last) {
            return self.sample(last);
        }
        let below = math::floor(rank);
        let index = math::f64_to_u64(below);
        let (a, b) = (self.sample(index), self.sample(index + 1));
        // From the nearer end, as NumPy: so that the result is exact at both.
        let t = rank - below;
        if t >= 0.5 { b - (b - a) * (1.0 - t) } else { a + (b - a) * t }
    }

    /// Number of samples that are at most `limit`.
    #[must_use]
    pub fn count_at_most(&self, limit: f64) -> u64 {
        self.count_while(|sample| sample <= limit)
    }

    /// Number of samples below `limit`.
    #[must_use]
    pub fn count_below(&self, limit: f64) -> u64 {
        self.count_while(|sample| sample < limit)
    }

    /// Number of samples, from the smallest, for which `holds`.
    fn count_while(&self, holds: impl Fn(f64) -> bool) -> u64 {
        match &self.ranked {
            Ranked::Plain(samples) => math::usize_to_u64(samples.partition_point(|&sample| holds(sample))),
            Ranked::Weighted { nanos, cumulative } => {
                let different = nanos.partition_point(|&nanos| holds(math::u64_to_f64(nanos) / 1e9));
                different.checked_sub(1).and_then(|last| cumulative.get(last)).copied().unwrap_or(0)
            }
        }
    }

    /// The sample of rank `rank` from the smallest, 0; without samples 0.
    #[must_use]
    pub fn sample(&self, rank: u64) -> f64 {
        match &self.ranked {
            Ranked::Plain(samples) => {
                usize::try_from(rank).ok().and_then(|rank| samples.get(rank)).copied().unwrap_or(0.0)
            }
            Ranked::Weighted { nanos, cumulative } => {
                let index = cumulative.partition_point(|&at_most| at_most <= rank);
                nanos.get(index).map_or(0.0, |&nanos| math::u64_to_f64(nanos) / 1e9)
            }
        }
    }
}

/// NumPy's sum of `term` over `samples`: halves of multiples of 8 down to blocks of 128, eight partial sums in a block
/// (`numpy/_core/src/umath/loops_utils.h.src`).
fn pairwise_sum(samples: &[f64], term: &impl Fn(f64) -> f64) -> f64 {
    const BLOCK: usize = 128;
    if samples.len() < 8 {
        return samples.iter().fold(-0.0, |sum, &x| sum + term(x));
    }
    if samples.len() > BLOCK {
        let half = samples.len() / 2;
        let (left, right) = samples.split_at(half - half % 8);
        return pairwise_sum(left, term) + pairwise_sum(right, term);
    }
    let mut partial = [0.0; 8];
    let mut eights = samples.chunks_exact(8);
    for (i, eight) in eights.by_ref().enumerate() {
        for (sum, &x) in partial.iter_mut().zip(eight) {
            *sum = if i == 0 { term(x) } else { *sum + term(x) };
        }
    }
    let [a, b, c, d, e, f, g, h] = partial;
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    eights.remainder().iter().fold(sum, |sum, &x| sum + term(x))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::time::SimDuration;

    fn gap(nanos: u64, count: u32) -> WeightedGap {
        WeightedGap { gap: SimDuration::from_nanos(nanos), count }
    }

    #[test]
    fn weighted_samples_answer_as_their_expansion() {
        let gaps = [gap(7, 3), gap(2, 1), gap(7, 2), gap(5, 0), gap(1_000_000_007, 4)];
        let weighted = Distribution::from_gaps(&gaps);
        let plain = Distribution::from_samples(
            gaps.iter()
                .flat_map(|gap| core::iter::repeat_n(gap.gap.as_secs_f64(), gap.count as usize))
                .collect::<Vec<_>>(),
        );
        assert_eq!(weighted.len(), 10, "the number of samples");
        for percent in 0..=100 {
            let percentile = Percentile::new(f64::from(percent)).expect("in range");
            assert_eq!(
                weighted.percentile(percentile).to_bits(),
                plain.percentile(percentile).to_bits(),
                "P{percentile}"
            );
        }
        for limit in [0.0, 2e-9, 6e-9, 7e-9, 1.0, 2.0] {
            assert_eq!(weighted.count_at_most(limit), plain.count_at_most(limit), "at most {limit}");
            assert_eq!(weighted.count_below(limit), plain.count_below(limit), "below {limit}");
        }
    }

    #[test]
    fn a_hundred_million_samples_need_no_expansion() {
        let d = Distribution::from_gaps(&[gap(10_000_000, 99_000_000), gap(30_000_000, 1_000_000)]);
        assert_eq!(d.len(), 100_000_000, "the number of samples");
        assert_eq!(d.mean().to_bits(), 0.0102_f64.to_bits(), "the mean");
        let std = d.std();
        assert!((std - 0.001_989_974_874_213_24).abs() < 1e-17, "the deviation is {std}");
    }

    #[test]
    fn nothing_at_all_gives_zeros() {
        for d in
            [Distribution::from_samples(vec![]), Distribution::from_gaps(&[]), Distribution::from_gaps(&[gap(5, 0)])]
        {
            let percentile = Percentile::new(99.0).expect("in range");
            let all = [d.mean(), d.std(), d.median(), d.min(), d.max(), d.percentile(percentile)];
            assert_eq!(all.map(f64::to_bits), [0; 6], "every statistic");
        }
    }

    #[test]
    fn percentiles_outside_the_range_do_not_exist() {
        for percent in [-0.1, 100.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Percentile::new(percent), None, "{percent}");
        }
    }
}
