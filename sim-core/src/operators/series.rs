//! A time over a count, read between its points.

use alloc::vec::Vec;

use crate::math;

/// An operator's times over a count; growing counts, times above 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    counts: Vec<f64>,
    times_us: Vec<f64>,
}

impl Series {
    /// From a table's row; `None` if fewer than two points of it were measured.
    #[must_use]
    pub fn of_row(counts: &[u32], row: &[Option<f64>]) -> Option<Self> {
        let points = counts.iter().zip(row).filter_map(|(&count, time)| Some((math::u32_to_f64(count), (*time)?)));
        Self::new(points.collect())
    }

    /// From points with growing counts, made non-decreasing; `None` if there are fewer than two.
    #[must_use]
    pub fn new(points: Vec<(f64, f64)>) -> Option<Self> {
        if points.len() < 2 {
            return None;
        }
        let mut most = 0.0;
        let (counts, times_us) = points
            .into_iter()
            .map(|(count, time)| {
                most = math::max(most, time);
                (count, most)
            })
            .unzip();
        Some(Self { counts, times_us })
    }

    /// The time at `count`: straight in the logarithms of both; the end's value outside.
    #[must_use]
    pub fn at(&self, count: f64) -> f64 {
        let upper = self.counts.partition_point(|&start| start < count);
        let (Some(&x1), Some(&y1)) = (self.counts.get(upper), self.times_us.get(upper)) else {
            return self.times_us.last().copied().unwrap_or(0.0);
        };
        let Some(lower) = upper.checked_sub(1).filter(|_| x1 > count) else {
            return y1;
        };
        let (x0, y0) = (self.counts[lower], self.times_us[lower]);
        let weight = math::ln(count / x0) / math::ln(x1 / x0);
        math::exp(math::ln(y0) + math::ln(y1 / y0) * weight)
    }

    /// Whether the measured counts enclose this one.
    #[must_use]
    pub fn encloses(&self, count: f64) -> bool {
        let (first, last) = (self.counts.first(), self.counts.last());
        first.is_some_and(|&first| first <= count) && last.is_some_and(|&last| count <= last)
    }

    /// The counts that were measured.
    #[must_use]
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// The times at them, in microseconds.
    #[must_use]
    pub fn times_us(&self) -> &[f64] {
        &self.times_us
    }

    /// The same counts with times that `change` makes of count and time.
    #[must_use]
    pub fn map(&self, change: impl Fn(f64, f64) -> f64) -> Self {
        let mut most = 0.0;
        let times_us = self.counts.iter().zip(&self.times_us).map(|(&count, &time)| {
            most = math::max(most, change(count, time));
            most
        });
        Self { counts: self.counts.clone(), times_us: times_us.collect() }
    }
}
