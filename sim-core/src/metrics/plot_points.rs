//! Distributions and curves reduced to the few points that a plot can show.

use alloc::vec::Vec;

use crate::math;
use crate::metrics::distribution::Distribution;

/// Counts of samples between edges.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// Limits of the bins, increasing: one more than there are bins.
    pub edges: Vec<f64>,
    /// Samples per bin. A bin has its lower edge and not its upper one; the last one has both (`numpy.histogram`).
    pub counts: Vec<u64>,
    /// Samples below the first edge.
    pub num_below: u64,
    /// Samples above the last edge.
    pub num_above: u64,
}

impl Histogram {
    /// Samples in all bins and outside them.
    #[must_use]
    pub fn num_samples(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.num_below + self.num_above
    }
}

impl Distribution {
    /// Points (x, share of samples at most x), both increasing, the last share being 1: at most `max_points`, evenly
    /// spaced in rank, the smallest and the largest sample among them (if `max_points` is at least 2).
    #[must_use]
    pub fn ecdf(&self, max_points: u32) -> Vec<(f64, f64)> {
        self.ecdf_at(even_ranks(0, self.len(), max_points))
    }

    /// As [`Self::ecdf`], and of the highest hundredth of the samples at most `max_tail_points` more: a logarithmic
    /// tail shows single samples.
    #[must_use]
    pub fn ecdf_with_tail(&self, max_points: u32, max_tail_points: u32) -> Vec<(f64, f64)> {
        let tail = self.len() - self.len() / 100;
        let mut ranks: Vec<u64> = even_ranks(0, self.len(), max_points).collect();
        ranks.extend(even_ranks(tail, self.len(), max_tail_points));
        ranks.sort_unstable();
        self.ecdf_at(ranks)
    }

    /// The points of these ranks, which must not decrease.
    fn ecdf_at(&self, ranks: impl IntoIterator<Item = u64>) -> Vec<(f64, f64)> {
        let num_samples = math::u64_to_f64(self.len());
        let mut points: Vec<(f64, f64)> = Vec::new();
        for rank in ranks {
            let x = self.sample(rank);
            if points.last().is_none_or(|&(last, _)| last < x) {
                points.push((x, math::u64_to_f64(self.count_at_most(x)) / num_samples));
            }
        }
        points
    }

    /// Share of samples that are at most `limit`; 0 without samples.
    #[must_use]
    pub fn fraction_at_most(&self, limit: f64) -> f64 {
        if self.is_empty() { 0.0 } else { math::u64_to_f64(self.count_at_most(limit)) / math::u64_to_f64(self.len()) }
    }

    /// Counts between `edges`, which must be increasing.
    #[must_use]
    pub fn histogram(&self, edges: Vec<f64>) -> Histogram {
        let (Some(&first), Some(&last)) = (edges.first(), edges.last()) else {
            return Histogram { num_above: self.len(), ..Histogram::default() };
        };
        let mut below: Vec<u64> = edges.iter().map(|&edge| self.count_below(edge)).collect();
        if let Some(total) = below.last_mut() {
            *total = self.count_at_most(last);
        }
        let counts = below.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        let (num_below, num_above) = (self.count_below(first), self.len() - self.count_at_most(last));
        Histogram { edges, counts, num_below, num_above }
    }

    /// Counts in `num_bins` bins of equal width from the smallest sample to the largest; one bin if these are equal,
    /// none without samples.
    #[must_use]
    pub fn linear_histogram(&self, num_bins: u32) -> Histogram {
        let (min, max) = (self.min(), self.max());
        self.histogram(edges(min, max, num_bins, self.is_empty(), |t| min + (max - min) * t))
    }

    /// Counts in `num_bins` bins of equal ratio from the smallest positive sample to the largest; what is not
    /// positive counts as below.
    #[must_use]
    pub fn log_histogram(&self, num_bins: u32) -> Histogram {
        let num_not_positive = self.count_at_most(0.0);
        let (min, max) = (self.sample(num_not_positive), self.max());
        let none = num_not_positive == self.len();
        let (ln_min, ln_max) = (math::ln(min), math::ln(max));
        let mut histogram =
            self.histogram(edges(min, max, num_bins, none, |t| math::exp(ln_min + (ln_max - ln_min) * t)));
        if none {
            (histogram.num_below, histogram.num_above) = (self.len(), 0);
        }
        histogram
    }
}

/// At most `max_ranks` ranks from `from` to the last below `to`, evenly spaced.
fn even_ranks(from: u64, to: u64, max_ranks: u32) -> impl Iterator<Item = u64> {
    let num_ranks = (to - from).min(u64::from(max_ranks));
    (0..num_ranks).map(move |i| {
        let rank = u128::from(i) * u128::from(to - from - 1) / u128::from(num_ranks.max(2) - 1);
        from + math::low_u64(rank)
    })
}

/// The edges of `num_bins` bins from `min` to `max`, both exact; `between` gives the inner ones.
fn edges(min: f64, max: f64, num_bins: u32, none: bool, between: impl Fn(f64) -> f64) -> Vec<f64> {
    if none || num_bins == 0 {
        return Vec::new();
    }
    let num_bins = if min < max { num_bins } else { 1 };
    let inner = (1..num_bins).map(|i| between(math::u32_to_f64(i) / math::u32_to_f64(num_bins)));
    core::iter::once(min).chain(inner).chain(core::iter::once(max)).collect()
}

/// Reduces a curve to at most `max_points` points (at least 4): of each of equally many neighbours the lowest and the
/// highest, in order, so that no peak is lost; the first and the last point stay.
#[must_use]
pub fn thin(curve: &[(f64, f64)], max_points: u32) -> Vec<(f64, f64)> {
    let max_points = usize::try_from(max_points.max(4)).unwrap_or(usize::MAX);
    let [first, inner @ .., last] = curve else {
        return curve.to_vec();
    };
    if curve.len() <= max_points {
        return curve.to_vec();
    }
    let num_groups = (max_points - 2) / 2;
    let mut points = Vec::with_capacity(max_points);
    points.push(*first);
    for group in inner.chunks(inner.len().div_ceil(num_groups)) {
        let mut extremes = [0, 0];
        for (i, point) in group.iter().enumerate() {
            if point.1 < group[extremes[0]].1 {
                extremes[0] = i;
            }
            if point.1 > group[extremes[1]].1 {
                extremes[1] = i;
            }
        }
        extremes.sort_unstable();
        points.push(group[extremes[0]]);
        if extremes[0] != extremes[1] {
            points.push(group[extremes[1]]);
        }
    }
    points.push(*last);
    points
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn samples(values: &[u32]) -> Distribution {
        Distribution::from_samples(values.iter().copied().map(f64::from).collect())
    }

    #[test]
    fn an_ecdf_ends_at_the_largest_sample_and_at_one() {
        assert_eq!(samples(&[3, 1, 1, 2]).ecdf(10), [(1.0, 0.5), (2.0, 0.75), (3.0, 1.0)], "every sample");
        assert_eq!(
            samples(&[0, 1, 2, 3, 4, 5, 6, 7, 8]).ecdf(3),
            [(0.0, 1.0 / 9.0), (4.0, 5.0 / 9.0), (8.0, 1.0)],
            "three"
        );
        assert_eq!(samples(&[]).ecdf(3), [], "no samples");
        assert_eq!(samples(&[5]).ecdf(1), [(5.0, 1.0)], "one sample");
    }

    #[track_caller]
    fn check(histogram: &Histogram, edges: &[f64], counts: &[u64], outside: (u64, u64)) {
        assert!(
            histogram.edges.len() == edges.len()
                && histogram.edges.iter().zip(edges).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs()),
            "edges {:?}, not {edges:?}",
            histogram.edges
        );
        assert_eq!(histogram.counts, counts, "counts");
        assert_eq!((histogram.num_below, histogram.num_above), outside, "outside");
    }

    #[test]
    fn histograms_lose_no_sample() {
        check(&samples(&[0, 1, 2, 3, 4]).linear_histogram(2), &[0.0, 2.0, 4.0], &[2, 3], (0, 0));
        check(&samples(&[7, 7]).linear_histogram(5), &[7.0, 7.0], &[2], (0, 0));
        check(&samples(&[]).linear_histogram(5), &[], &[], (0, 0));
        check(&samples(&[0, 1, 10, 100, 1000]).log_histogram(3), &[1.0, 10.0, 100.0, 1000.0], &[1, 1, 2], (1, 0));
        check(&samples(&[0, 0]).log_histogram(3), &[], &[], (2, 0));
        check(&samples(&[1, 5, 9]).histogram(vec![2.0, 6.0]), &[2.0, 6.0], &[1], (1, 1));
    }

    #[test]
    fn thinning_keeps_ends_and_peaks() {
        let mut curve: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 0.0)).collect();
        curve[1234].1 = 9.0;
        curve[5678].1 = -9.0;
        let thinned = thin(&curve, 100);
        assert!(thinned.len() <= 100, "{} points", thinned.len());
        for index in [0, 1234, 5678, 9999] {
            assert!(thinned.contains(&curve[index]), "point {index}");
        }
        assert!(thinned.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order");
        assert_eq!(thin(&curve[..4], 4), curve[..4], "few points stay");
    }
}
