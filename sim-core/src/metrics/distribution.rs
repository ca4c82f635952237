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
use crate::metrics::records::Gaps;

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

    /// `numpy.percentile` with its default method, linear, of `len` samples that `sample` gives by rank.
    pub(super) fn of(self, len: u64, mut sample: impl FnMut(u64) -> f64) -> f64 {
        let last = len.saturating_sub(1);
        let rank = math::u64_to_f64(last) * (self.0 / 100.0);
        if rank >= math::u64_to_f64(last) {
            return sample(last);
        }
        let below = math::floor(rank);
        let index = math::f64_to_u64(below);
        let (a, b) = (sample(index), sample(index + 1));
        // From the nearer end, as NumPy: so that the result is exact at both.
        let t = rank - below;
        if t >= 0.5 { b - (b - a) * (1.0 - t) } else { a + (b - a) * t }
    }
}

/// The middle one of `len` samples that `sample` gives by rank, or the mean of the two (`numpy.median`).
pub(super) fn median(len: u64, mut sample: impl FnMut(u64) -> f64) -> f64 {
    let middle = len / 2;
    if len % 2 == 1 {
        return sample(middle);
    }
    (sample(middle.saturating_sub(1)) + sample(middle)) / 2.0
}

/// Mean and deviation of plain samples, in the order in which NumPy would sum them; 0 without any.
pub(super) fn mean_and_std(samples: &[f64]) -> [f64; 2] {
    if samples.is_empty() {
        return [0.0; 2];
    }
    let count = math::usize_to_f64(samples.len());
    let mean = pairwise_sum(samples, &|x| x) / count;
    let variance = pairwise_sum(samples, &|x| (x - mean) * (x - mean)) / count;
    [mean, math::sqrt(variance)]
}

/// Mean and deviation in seconds of spans in nanoseconds, each with its count, which are `total` together; 0 without any.
pub(super) fn weighted_mean_and_std<I: Iterator<Item = (u64, u64)>>(total: u64, spans: impl Fn() -> I) -> [f64; 2] {
    if total == 0 {
        return [0.0; 2];
    }
    let times = |length: u64, count: u64| u128::from(length) * u128::from(count);
    let sum = spans().fold(0u128, |sum, (length, count)| sum.saturating_add(times(length, count)));
    // Exact in integers around the rounded-down mean; saturation needs spans of centuries.
    let centre = u64::try_from(sum / u128::from(total)).unwrap_or(u64::MAX);
    let squares = spans().fold(0u128, |squares, (length, count)| {
        let distance = length.abs_diff(centre);
        // Of less than four seconds a square fits into a word, and nearly all are.
        let square = match u32::try_from(distance) {
            Ok(_) => times(distance * distance, count),
            Err(_) => times(distance, distance).saturating_mul(u128::from(count)),
        };
        squares.saturating_add(square)
    });
    let count = math::u64_to_f64(total);
    let rest = math::u128_to_f64(sum % u128::from(total)) / count;
    let variance = math::u128_to_f64(squares) / count - rest * rest;
    let std = math::sqrt(if variance > 0.0 { variance } else { 0.0 });
    [math::u128_to_f64(sum) / count / 1e9, std / 1e9]
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

/// What a report says of a set of samples, in seconds: all 0 without any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// See [`Distribution::mean`].
    pub mean: f64,
    /// See [`Distribution::std`].
    pub std: f64,
    /// See [`Distribution::median`].
    pub median: f64,
    /// See [`Distribution::percentile`]; in the order in which they were asked for.
    pub percentiles: Vec<f64>,
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
    /// Different whole nanoseconds, each with how many samples are at most that long.
    Weighted(Vec<(u64, u64)>),
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
        let [mean, std] = mean_and_std(&samples);
        samples.sort_unstable_by(f64::total_cmp);
        Self { ranked: Ranked::Plain(samples), mean, std }
    }

    /// The distribution of the gaps, each `count` times, in seconds.
    #[must_use]
    pub fn from_gaps(gaps: &Gaps) -> Self {
        let spans = gaps.iter().filter(|gap| gap.count > 0).map(|gap| (gap.gap.as_nanos(), u64::from(gap.count)));
        let mut spans: Vec<(u64, u64)> = spans.collect();
        let mut total = spans.iter().map(|span| span.1).sum();
        let [mean, std] = weighted_mean_and_std(total, || spans.iter().copied());
        spans.sort_unstable_by_key(|&(length, _)| length);
        // The last of equal lengths stays, with what all of them and shorter ones are.
        for (_, count) in spans.iter_mut().rev() {
            total -= core::mem::replace(count, total);
        }
        spans.reverse();
        spans.dedup_by_key(|&mut (length, _)| length);
        spans.reverse();
        Self { ranked: Ranked::Weighted(spans), mean, std }
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.ranked {
            Ranked::Plain(samples) => math::usize_to_u64(samples.len()),
            Ranked::Weighted(spans) => spans.last().map_or(0, |span| span.1),
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
        median(self.len(), |rank| self.sample(rank))
    }

    /// `numpy.percentile` with its default method, linear.
    #[must_use]
    pub fn percentile(&self, percentile: Percentile) -> f64 {
        percentile.of(self.len(), |rank| self.sample(rank))
    }

    /// What a report says of it.
    #[must_use]
    pub fn statistics(&self, percentiles: &[Percentile]) -> Statistics {
        Statistics {
            mean: self.mean,
            std: self.std,
            median: self.median(),
            percentiles: percentiles.iter().map(|&percentile| self.percentile(percentile)).collect(),
        }
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
            Ranked::Weighted(spans) => {
                let different = spans.partition_point(|&(length, _)| holds(math::u64_to_f64(length) / 1e9));
                different.checked_sub(1).and_then(|last| spans.get(last)).map_or(0, |span| span.1)
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
            Ranked::Weighted(spans) => {
                let index = spans.partition_point(|&(_, at_most)| at_most <= rank);
                spans.get(index).map_or(0.0, |&(length, _)| math::u64_to_f64(length) / 1e9)
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
    use crate::metrics::records::WeightedGap;
    use crate::time::SimDuration;

    fn gap(nanos: u64, count: u32) -> WeightedGap {
        WeightedGap { gap: SimDuration::from_nanos(nanos), count }
    }

    #[test]
    fn weighted_samples_answer_as_their_expansion() {
        let gaps = [gap(7, 3), gap(2, 1), gap(7, 2), gap(5, 0), gap(1_000_000_007, 4)];
        let weighted = Distribution::from_gaps(&gaps.into_iter().collect());
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
        let d = Distribution::from_gaps(&vec![gap(10_000_000, 99_000_000), gap(30_000_000, 1_000_000)].into());
        assert_eq!(d.len(), 100_000_000, "the number of samples");
        assert_eq!(d.mean().to_bits(), 0.0102_f64.to_bits(), "the mean");
        let std = d.std();
        assert!((std - 0.001_989_974_874_213_24).abs() < 1e-17, "the deviation is {std}");
    }

    #[test]
    fn nothing_at_all_gives_zeros() {
        for d in [
            Distribution::from_samples(vec![]),
            Distribution::from_gaps(&Gaps::default()),
            Distribution::from_gaps(&vec![gap(5, 0)].into()),
        ] {
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
