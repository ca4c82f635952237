//! A line through noisy times that a few slow ones do not bend.

/// Most pairs of observations that a slope is taken from.
const MAX_PAIRS: usize = 200_000;

/// `base + slope × x`, both at least 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line {
    /// At 0.
    pub(crate) base: f64,
    /// For each unit of x.
    pub(crate) slope: f64,
    /// Median distance of the observations from the line.
    pub(crate) spread: f64,
}

/// The line of `(x, y)` by Theil and Sen: the slope is the median of those of all pairs, each weighted with its width,
/// and the base the median of what is left. Up to 29 % of the observations may lie anywhere. Costs cannot be negative:
/// a negative slope is 0, and then the base is the median of the observations. `None` without observations.
pub(crate) fn fit_line(observations: &[(f64, f64)]) -> Option<Line> {
    let num_pairs = observations.len() * observations.len().saturating_sub(1) / 2;
    let stride = num_pairs.div_ceil(MAX_PAIRS).max(1);
    let pairs = observations.iter().enumerate().flat_map(|(i, a)| observations[..i].iter().map(move |b| (a, b)));
    let mut slopes = vec![];
    for (a, b) in pairs.step_by(stride) {
        let width = (a.0 - b.0).abs();
        if width > 0.0 {
            slopes.push(((a.1 - b.1) / (a.0 - b.0), width));
        }
    }
    let slope = weighted_median(slopes).unwrap_or(0.0).max(0.0);
    let base = median(observations.iter().map(|(x, y)| y - slope * x).collect())?.max(0.0);
    let spread = median(observations.iter().map(|(x, y)| (y - base - slope * x).abs()).collect())?;
    Some(Line { base, slope, spread })
}

/// The middle value, or the mean of the two; `None` of none.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}

/// The first value at which half of the weight is reached.
fn weighted_median(mut values: Vec<(f64, f64)>) -> Option<f64> {
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let half: f64 = values.iter().map(|value| value.1).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    values
        .iter()
        .find(|value| {
            sum += value.1;
            sum >= half
        })
        .map(|value| value.0)
}

#[cfg(test)]
mod tests {
    use sim_core::rng::Pcg64;

    use super::*;

    #[track_caller]
    fn check(observations: &[(f64, f64)], base: f64, slope: f64, tolerance: f64) {
        let line = fit_line(observations).expect("observations");
        assert!((line.base - base).abs() <= tolerance * base.max(1.0), "base {} instead of {base}", line.base);
        assert!((line.slope - slope).abs() <= tolerance * slope.max(0.1), "slope {} instead of {slope}", line.slope);
    }

    #[test]
    fn a_line_is_found_through_noise_and_slow_ones() {
        let mut random = Pcg64::stream(1, "line");
        let observations = (0..400).map(|i| {
            let x = f64::from([16, 64, 256, 1024][i % 4]);
            // Every fifth is late by up to 20 ms.
            let late = if i % 5 == 0 { 20_000.0 * random.random() } else { 0.0 };
            (x, 800.0 + 2.0 * x + 30.0 * random.standard_normal() + late)
        });
        check(&observations.collect::<Vec<_>>(), 800.0, 2.0, 0.05);
    }

    #[test]
    fn more_pairs_than_looked_at_give_the_same_line() {
        let observations: Vec<_> = (0..2000).map(|i| (f64::from(i % 37), 5.0 + 3.0 * f64::from(i % 37))).collect();
        check(&observations, 5.0, 3.0, 1e-9);
    }

    #[test]
    fn costs_are_not_negative() {
        check(&[(0.0, 10.0), (1.0, 8.0), (2.0, 6.0)], 8.0, 0.0, 1e-9);
        check(&[(4.0, 7.0), (4.0, 9.0)], 8.0, 0.0, 1e-9);
        assert_eq!(fit_line(&[]), None, "nothing was observed");
    }
}
