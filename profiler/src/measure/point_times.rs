//! The times of one point, visit by visit, and which of the visits count.
//!
//! On a shared machine a whole visit can be disturbed: threads that wait for each other at every layer make a pass a
//! hundred times longer when another program takes one of their processors. Half of a point's samples may then be
//! outliers, and no rule over the pooled samples finds them. Disturbance only ever makes a pass longer, so the visit
//! with the least median tells what is normal.

use super::outliers::{HALF_WIDTH_PER_IQR, Summary, median};
use super::plan::Plan;
use super::sample::Visit;

/// A visit whose median is above the least one by more than this factor was disturbed.
const MAX_FACTOR: f64 = 1.3;
/// Fewest visits whose differences say something of the point's certainty.
const MIN_VISITS: usize = 3;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct PointTimes {
    /// Device times in microseconds, of each visit that gave any.
    visits: Vec<Vec<f64>>,
    /// Their medians.
    medians: Vec<f64>,
}

impl PointTimes {
    /// Of a point's visits.
    pub(crate) fn new<'a>(visits: impl Iterator<Item = &'a Visit>) -> Self {
        let mut times = Self::default();
        visits.for_each(|visit| times.push(visit));
        times
    }

    /// Adds a visit.
    pub(crate) fn push(&mut self, visit: &Visit) {
        let times: Vec<f64> = visit.target_times_us().collect();
        if let Some(median) = median(times.clone()) {
            self.visits.push(times);
            self.medians.push(median);
        }
    }

    /// Samples, used or not.
    pub(crate) fn num_samples(&self) -> usize {
        self.visits.iter().map(Vec::len).sum()
    }

    /// Whether a visit with this median counts.
    fn counts(&self, median: f64) -> bool {
        median <= MAX_FACTOR * self.medians.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Visits that count.
    pub(crate) fn num_visits(&self) -> usize {
        self.medians.iter().filter(|&&median| self.counts(median)).count()
    }

    /// Visits that do not.
    pub(crate) fn num_disturbed(&self) -> usize {
        self.medians.len() - self.num_visits()
    }

    /// What the visits that count say; samples of the others are outliers. `None` without samples.
    pub(crate) fn summary(&self) -> Option<Summary> {
        let counting = self.visits.iter().zip(&self.medians).filter(|&(_, &median)| self.counts(median));
        let samples: Vec<f64> = counting.flat_map(|(times, _)| times).copied().collect();
        let num_disturbed = self.num_samples() - samples.len();
        let summary = Summary::new(samples)?;
        Some(Summary { num_outliers: summary.num_outliers + num_disturbed, ..summary })
    }

    /// Half the width of the 95 % confidence interval of the median, as a share of it; 0 without samples. Samples of
    /// one visit share its moment: where the visits' medians differ more than the samples would have them, that counts.
    pub(crate) fn relative_half_width(&self) -> f64 {
        let Some(all) = self.summary() else {
            return 0.0;
        };
        let medians: Vec<f64> = self.medians.iter().copied().filter(|&median| self.counts(median)).collect();
        let visits = if medians.len() >= MIN_VISITS { Summary::new(medians) } else { None };
        let half_width =
            |summary: &Summary| HALF_WIDTH_PER_IQR * summary.spread / (summary.num_samples as f64).sqrt() / all.median;
        half_width(&all).max(visits.as_ref().map_or(0.0, half_width))
    }
}

/// The visits that count, in order.
pub(crate) fn undisturbed<'a>(plan: &Plan, visits: &'a [Visit]) -> Vec<&'a Visit> {
    let of_point = |point: usize| PointTimes::new(visits.iter().filter(|visit| visit.point == point));
    let times: Vec<PointTimes> = (0..plan.points.len()).map(of_point).collect();
    let counts = |visit: &&Visit| {
        let own = median(visit.target_times_us().collect());
        own.is_some_and(|own| times[visit.point].counts(own))
    };
    visits.iter().filter(counts).collect()
}

#[cfg(test)]
mod tests {
    use super::PointTimes;

    #[track_caller]
    fn check(visits: &[&[f64]], num_visits: usize, median: f64, num_outliers: usize) {
        let medians = visits.iter().filter_map(|times| super::median(times.to_vec())).collect();
        let times = PointTimes { visits: visits.iter().map(|times| times.to_vec()).collect(), medians };
        let summary = times.summary().expect("samples");
        assert_eq!((times.num_visits(), summary.num_outliers), (num_visits, num_outliers));
        assert!((summary.median - median).abs() < 1e-9, "{summary:?}");
    }

    #[test]
    fn a_visit_that_was_disturbed_throughout_does_not_count_even_if_most_were() {
        check(&[&[10.0, 10.2], &[10.1, 9.9]], 2, 10.05, 0);
        check(&[&[230.0, 231.0, 232.0], &[10.0, 10.1, 10.2], &[95.0, 240.0, 250.0]], 1, 10.1, 6);
    }

    #[test]
    fn what_differs_between_visits_makes_a_point_uncertain() {
        let mut times = PointTimes::default();
        for visit in [[10.0; 4], [10.5; 4], [11.0; 4]] {
            times.visits.push(visit.to_vec());
            times.medians.push(visit[0]);
        }
        assert!(times.relative_half_width() > 0.04, "{}", times.relative_half_width());
    }
}
