//! A time over a count of tokens, rows or numbers: as measured, and made monotone.

use anyhow::{Result, ensure};

use super::super::smooth::isotonic_times;

/// An operator's time over a count.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// Table and shape, for messages.
    pub(super) label: String,
    counts: Vec<f64>,
    raw_us: Vec<f64>,
    smooth_us: Vec<f64>,
}

impl Series {
    /// From points with growing counts.
    ///
    /// # Errors
    /// If there are less than two.
    pub(super) fn new(label: String, points: &[(u32, f64)]) -> Result<Self> {
        ensure!(points.len() >= 2, "{label}: {} points were measured; at least 2 are needed", points.len());
        let counts = points.iter().map(|&(count, _)| f64::from(count)).collect();
        let raw_us: Vec<f64> = points.iter().map(|&(_, time)| time).collect();
        let smooth_us = isotonic_times(&raw_us);
        Ok(Self { label, counts, raw_us, smooth_us })
    }

    /// As measured.
    pub(super) fn raw_at(&self, count: f64) -> f64 {
        between(&self.counts, &self.raw_us, count)
    }

    /// Made monotone.
    pub(super) fn smooth_at(&self, count: f64) -> f64 {
        between(&self.counts, &self.smooth_us, count)
    }

    /// Whether the measured counts enclose this one.
    pub(super) fn encloses(&self, count: f64) -> bool {
        let (first, last) = (self.counts.first(), self.counts.last());
        first.is_some_and(|&first| first <= count) && last.is_some_and(|&last| count <= last)
    }
}

/// Straight in the logarithms of both; the end's value outside.
fn between(counts: &[f64], times: &[f64], count: f64) -> f64 {
    let upper = counts.partition_point(|&start| start < count);
    let (Some(&x1), Some(&y1)) = (counts.get(upper), times.get(upper)) else {
        return times.last().copied().unwrap_or(0.0);
    };
    let Some(lower) = upper.checked_sub(1).filter(|_| x1 > count) else {
        return y1;
    };
    let (x0, y0) = (counts[lower], times[lower]);
    let weight = (count / x0).ln() / (x1 / x0).ln();
    (y0.ln() + (y1 / y0).ln() * weight).exp()
}

#[cfg(test)]
mod tests {
    use super::Series;

    #[track_caller]
    fn check(count: f64, raw_us: f64, smooth_us: f64) {
        let series = Series::new("test".to_owned(), &[(1, 2.0), (4, 8.0), (16, 2.0)]).expect("three points");
        let got = [series.raw_at(count), series.smooth_at(count)];
        assert!((got[0] - raw_us).abs() < 1e-9 && (got[1] - smooth_us).abs() < 1e-9, "{count}: {got:?}");
    }

    #[test]
    fn it_is_exact_on_points_and_straight_in_logarithms_between_them() {
        check(1.0, 2.0, 2.0);
        check(4.0, 8.0, 4.0);
        check(2.0, 4.0, 8.0_f64.sqrt());
        check(8.0, 4.0, 4.0);
        check(0.5, 2.0, 2.0);
        check(64.0, 2.0, 4.0);
    }
}
