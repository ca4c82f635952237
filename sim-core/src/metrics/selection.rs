//! The statistics of a report, where only those are asked for: by selection of the ranks that percentiles lie between,
//! which takes time in proportion to the samples, and no order of all of them. To the bit those of [`Distribution`].

use alloc::vec::Vec;
use core::ops::Range;

use super::distribution::{Percentile, Statistics, mean_and_std, median, weighted_mean_and_std};
use super::records::Gaps;
use crate::math;

#[cfg(doc)]
use super::distribution::Distribution;

impl Statistics {
    /// Of plain samples, given in the order in which NumPy would sum them.
    #[must_use]
    pub fn of_samples(mut samples: Vec<f64>, percentiles: &[Percentile]) -> Self {
        let [mean, std] = mean_and_std(&samples);
        let len = math::usize_to_u64(samples.len());
        let ranks = ranks(len, percentiles);
        select(&mut samples, 0, &ranks);
        let place = |rank| usize::try_from(rank).unwrap_or(usize::MAX);
        Self::of_ranked(len, percentiles, [mean, std], |rank| samples.get(place(rank)).copied().unwrap_or(0.0))
    }

    /// Of gaps, each `count` times.
    #[must_use]
    pub fn of_gaps(gaps: &Gaps, percentiles: &[Percentile]) -> Self {
        let mut spans = Vec::with_capacity(gaps.len());
        let mut len = 0;
        // Not collected: to go through the blocks by themselves is cheaper.
        gaps.iter().filter(|gap| gap.count > 0).for_each(|gap| {
            len += u64::from(gap.count);
            spans.push((gap.gap.as_nanos(), gap.count));
        });
        let mean_and_std =
            weighted_mean_and_std(len, || spans.iter().map(|&(length, count)| (length, u64::from(count))));
        let ranks = ranks(len, percentiles);
        let mut selected = Vec::with_capacity(ranks.len());
        select_weighted(&mut spans, 0..len, &ranks, &mut selected);
        Self::of_ranked(len, percentiles, mean_and_std, |rank| {
            let nanos = ranks.binary_search(&rank).ok().and_then(|place| selected.get(place));
            nanos.map_or(0.0, |&nanos| math::u64_to_f64(nanos) / 1e9)
        })
    }

    fn of_ranked(len: u64, percentiles: &[Percentile], [mean, std]: [f64; 2], sample: impl Fn(u64) -> f64) -> Self {
        let percentiles = percentiles.iter().map(|percentile| percentile.of(len, &sample)).collect();
        Self { mean, std, median: median(len, &sample), percentiles }
    }
}

/// The ranks that median and `percentiles` of `len` samples ask for, in order, each once.
fn ranks(len: u64, percentiles: &[Percentile]) -> Vec<u64> {
    let mut ranks = Vec::new();
    let mut ask = |rank| {
        ranks.push(rank);
        0.0
    };
    median(len, &mut ask);
    percentiles.iter().for_each(|percentile| {
        percentile.of(len, &mut ask);
    });
    ranks.retain(|&rank| rank < len);
    ranks.sort_unstable();
    ranks.dedup();
    ranks
}

/// Brings the samples of `ranks` to their places; `samples` are those from rank `first` on.
fn select(samples: &mut [f64], first: u64, ranks: &[u64]) {
    let Some(&rank) = ranks.get(ranks.len() / 2) else { return };
    let (lower, upper) = ranks.split_at(ranks.len() / 2);
    let Some(place) = usize::try_from(rank - first).ok().filter(|&place| place < samples.len()) else { return };
    let (below, _, above) = samples.select_nth_unstable_by(place, f64::total_cmp);
    select(below, first, lower);
    select(above, rank + 1, upper.get(1..).unwrap_or_default());
}

/// So few are put in order.
const FEW: usize = 16;

/// Appends to `selected` the lengths of `ranks`; `spans` are those of the ranks `of`, each `count` times.
fn select_weighted(spans: &mut [(u64, u32)], of: Range<u64>, ranks: &[u64], selected: &mut Vec<u64>) {
    let Some(&wanted) = ranks.get(ranks.len() / 2) else { return };
    if spans.len() <= FEW {
        spans.sort_unstable();
        let (mut ranks, mut behind) = (ranks.iter().peekable(), of.start);
        for &(length, count) in &*spans {
            behind += u64::from(count);
            while ranks.next_if(|&&rank| rank < behind).is_some() {
                selected.push(length);
            }
        }
        return;
    }
    let (below, &mut (length, count), above) =
        spans.select_nth_unstable_by_key(expected_place(spans.len(), &of, wanted), |span| span.0);
    let from = below.iter().fold(of.start, |rank, span| rank + u64::from(span.1));
    let to = from + u64::from(count);
    let (lower, rest) = ranks.split_at(ranks.partition_point(|&rank| rank < from));
    let (middle, upper) = rest.split_at(rest.partition_point(|&rank| rank < to));
    select_weighted(below, of.start..from, lower, selected);
    selected.extend(middle.iter().map(|_| length));
    select_weighted(above, to..of.end, upper, selected);
}

/// Where the rank `wanted` would be among so many spans if all had the same count; never so near to an end that little would
/// be cut off.
fn expected_place(num_spans: usize, of: &Range<u64>, wanted: u64) -> usize {
    let share = math::u64_to_f64(wanted.saturating_sub(of.start)) / math::u64_to_f64(of.end - of.start);
    let place = math::f64_to_u64(share * math::usize_to_f64(num_spans));
    let margin = num_spans / FEW;
    usize::try_from(place).unwrap_or(usize::MAX).clamp(margin, num_spans - 1 - margin)
}

#[cfg(test)]
mod tests {
    use super::super::distribution::Distribution;
    use super::super::records::WeightedGap;
    use super::*;
    use crate::time::SimDuration;

    fn percentiles() -> Vec<Percentile> {
        [99.0, 0.0, 50.0, 12.34, 99.9, 100.0, 50.0].into_iter().filter_map(Percentile::new).collect()
    }

    /// The bits of all figures.
    fn bits(statistics: &Statistics) -> Vec<u64> {
        let Statistics { mean, std, median, percentiles } = statistics;
        [mean, std, median].into_iter().chain(percentiles).map(|figure| figure.to_bits()).collect()
    }

    /// Numbers in no order, with some that are equal.
    fn numbers(len: u64) -> impl Iterator<Item = u64> {
        (0..len).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40 & 0xffff)
    }

    #[test]
    fn selected_statistics_are_those_of_the_distribution() {
        for len in [0, 1, 2, 3, 7, 16, 17, 100, 1001, 5000] {
            let samples: Vec<f64> = numbers(len).map(|n| math::u64_to_f64(n) / 7e3).collect();
            let expect = Distribution::from_samples(samples.clone()).statistics(&percentiles());
            assert_eq!(bits(&Statistics::of_samples(samples, &percentiles())), bits(&expect), "{len} samples");
            let gap = |n| WeightedGap { gap: SimDuration::from_nanos(n / 8), count: math::low_u32(n % 5) };
            let gaps: Gaps = numbers(len).map(gap).collect();
            let expect = Distribution::from_gaps(&gaps).statistics(&percentiles());
            assert_eq!(bits(&Statistics::of_gaps(&gaps, &percentiles())), bits(&expect), "{len} gaps");
        }
    }
}
