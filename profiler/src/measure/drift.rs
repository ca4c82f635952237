//! A machine that changes while it is measured, and passes corrected for it.
//!
//! Two points, one of decodes and one of a prompt part, are visited again and again: their times over the measurement say
//! how fast the machine was when. A point that was measured while the machine was slow would otherwise look like a slow
//! pass. What visits of one point differ by from one to the next is noise and not corrected: only that share of the
//! variance counts that is not in successive differences (von Neumann, *Distribution of the Ratio of the Mean Square
//! Successive Difference to the Variance*, 1941).

use super::outliers::median;
use super::plan::Plan;
use super::point_times::undisturbed;
use super::sample::{Sample, Visit};

/// Fewest visits of a reference point from which a course is read.
const MIN_VISITS: usize = 5;
/// Visits whose median is a level: one that was disturbed a little does not count.
const WINDOW: usize = 3;

/// How fast the machine was, by what its passes compute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drift {
    /// Of the decodes' reference point, and of the prompt parts'.
    courses: [Course; 2],
}

/// One reference point over the measurement.
#[derive(Debug, Clone, Default, PartialEq)]
struct Course {
    /// When, in nanoseconds of measuring, and the logarithm of how much slower than usual; empty if nothing is known.
    levels: Vec<(f64, f64)>,
}

impl Drift {
    /// What the reference points of `visits`, in order, say.
    pub(crate) fn new(plan: &Plan, visits: &[Visit]) -> Self {
        let times = middles(visits);
        let counting = undisturbed(plan, visits);
        let counts = |visit: &Visit| counting.iter().any(|&other| std::ptr::eq(other, visit));
        let course = |reference: usize| {
            let of_reference = visits.iter().zip(&times).filter(|(visit, _)| visit.point == reference && counts(visit));
            Course::new(of_reference.filter_map(|(visit, &at)| {
                let time = median(visit.target_times_us().collect())?;
                Some((at, time.max(f64::MIN_POSITIVE).ln()))
            }))
        };
        Self { courses: plan.references.map(course) }
    }

    /// The visits as they would have been on a machine that stays as it usually was.
    pub(crate) fn corrected(&self, plan: &Plan, visits: &[Visit]) -> Vec<Visit> {
        let correct = |(visit, at): (&Visit, f64)| {
            let has_prompts = !plan.points[visit.point].batch.prefill_chunks.is_empty();
            let slowness = self.courses[usize::from(has_prompts)].at(at).exp();
            let mut visit = visit.clone();
            visit.samples.iter_mut().for_each(|sample| divide(sample, slowness));
            visit
        };
        visits.iter().zip(middles(visits)).map(correct).collect()
    }

    /// From the fastest to the slowest, as shares of the usual time; `None` if nothing is corrected.
    pub(crate) fn range(&self) -> Option<(f64, f64)> {
        let levels = || self.courses.iter().flat_map(|course| &course.levels).map(|&(_, level)| level.exp() - 1.0);
        let range = (levels().fold(0.0, f64::min), levels().fold(0.0, f64::max));
        (range.0 < 0.0 || range.1 > 0.0).then_some(range)
    }
}

impl Course {
    /// Of logarithms of times, in order.
    fn new(visits: impl Iterator<Item = (f64, f64)>) -> Self {
        let visits: Vec<(f64, f64)> = visits.collect();
        let logs: Vec<f64> = visits.iter().map(|&(_, log)| log).collect();
        let Some(usual) = median(logs.clone()).filter(|_| visits.len() >= MIN_VISITS) else {
            return Self::default();
        };
        let share = systematic_share(&logs);
        let last = logs.len() - 1;
        let level = |(place, &(at, _)): (usize, &(f64, f64))| {
            let reach = (WINDOW / 2).min(place).min(last - place);
            let near = logs[place - reach..=place + reach].to_vec();
            (at, share * (median(near).unwrap_or(usual) - usual))
        };
        let levels = visits.iter().enumerate().map(level).collect();
        if share > 0.0 { Self { levels } } else { Self::default() }
    }

    /// The level at a moment: straight between visits, that of the nearest beyond them; 0 if nothing is known.
    fn at(&self, at: f64) -> f64 {
        let after = self.levels.partition_point(|&(time, _)| time <= at);
        match (after.checked_sub(1).map(|before| self.levels[before]), self.levels.get(after).copied()) {
            (Some((t0, a)), Some((t1, b))) if t1 > t0 => a + (b - a) * (at - t0) / (t1 - t0),
            (Some((_, level)), _) | (None, Some((_, level))) => level,
            (None, None) => 0.0,
        }
    }
}

/// Share of the variance that is not noise from one value to the next.
fn systematic_share(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let successive = values.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum::<f64>() / (count - 1.0);
    if variance > 0.0 { (1.0 - successive / 2.0 / variance).max(0.0) } else { 0.0 }
}

/// The middle of each visit, in nanoseconds of measuring.
fn middles(visits: &[Visit]) -> Vec<f64> {
    let mut spent_ns = 0.0;
    let middle = |visit: &Visit| {
        let begin = spent_ns;
        spent_ns += visit.spent_ns as f64;
        f64::midpoint(begin, spent_ns)
    };
    visits.iter().map(middle).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time that stays about as long")]
fn divide(sample: &mut Sample, slowness: f64) {
    sample.device_ns = (sample.device_ns as f64 / slowness).round() as u64;
}

#[cfg(test)]
mod tests {
    use sim_core::rng::Pcg64;

    use super::Course;

    /// Visits at seconds 0, 1, 2, … whose times are `usual` and so much slower, and the level then at `at`.
    #[track_caller]
    fn check(slowness: &[f64], at: f64, expect: f64, within: f64) {
        let course = Course::new((0..).zip(slowness).map(|(at, slowness)| (f64::from(at), slowness.ln())));
        let level = course.at(at).exp();
        assert!((level - expect).abs() < within, "{level} instead of {expect}: {course:?}");
    }

    #[test]
    fn a_course_is_followed_and_noise_is_not() {
        let rising: Vec<f64> = (0..21).map(|i| 1.0 + 0.01 * f64::from(i)).collect();
        check(&rising, 20.0, 1.2 / 1.1, 0.01);
        check(&rising, 5.5, 1.055 / 1.1, 0.005);
        check(&rising, -3.0, 1.0 / 1.1, 0.01);
        let step: Vec<f64> = (0..20).map(|i| if i < 12 { 1.0 } else { 1.1 }).collect();
        check(&step, 3.0, 1.0, 1e-9);
        check(&step, 17.0, 1.1, 0.015);
        let mut random = Pcg64::new(3);
        let noise: Vec<f64> = (0..40).map(|_| 1.0 + 0.05 * random.standard_normal()).collect();
        check(&noise, 20.0, 1.0, 0.02);
        check(&[1.0; 20], 3.0, 1.0, 1e-12);
        // Too few to say anything.
        check(&[1.0, 1.1, 1.2, 1.3], 3.0, 1.0, 1e-12);
    }
}
