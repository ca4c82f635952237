//! What a handful of times says: their median, how far they spread, and which of them are no part of it.

/// Samples further from the median than this many standard deviations are rejected. The deviation is estimated from the
/// median absolute deviation, which the outliers themselves cannot move (Iglewicz & Hoaglin, *How to Detect and Handle
/// Outliers*, 1993). They suggest 3.5 for a normal distribution; times have a longer tail to the right.
const MAX_DEVIATIONS: f64 = 5.0;
/// Median absolute deviation of a normal distribution, inverted.
const SIGMA_PER_MAD: f64 = 1.4826;
/// Deviations below this share of the median are never outliers: a clock's steps are not news.
const MIN_DEVIATION: f64 = 0.002;
/// Below this many samples nothing is rejected: the rest could as well be the outliers.
const MIN_SAMPLES: usize = 5;
/// Half-width of the 95 % confidence interval of a median, in interquartile ranges over the square root of the count
/// (R. `McGill`, Tukey & Larsen, *Variations of Box Plots*, 1978: 1.57 is for comparing two; this is for one).
pub(crate) const HALF_WIDTH_PER_IQR: f64 = 1.96 * 1.2533 / 1.349;

/// What is known of the time of one point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    /// Middle of the samples that were kept.
    pub(crate) median: f64,
    /// Distance between their first and third quartile.
    pub(crate) spread: f64,
    /// Samples kept.
    pub(crate) num_samples: usize,
    /// Samples rejected.
    pub(crate) num_outliers: usize,
}

impl Summary {
    /// Of samples in any order; `None` of none.
    pub(crate) fn new(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        let center = quantile(&samples, 0.5)?;
        let mut deviations: Vec<f64> = samples.iter().map(|sample| (sample - center).abs()).collect();
        deviations.sort_by(f64::total_cmp);
        let deviation = SIGMA_PER_MAD * quantile(&deviations, 0.5)?;
        let limit = MAX_DEVIATIONS * deviation.max(MIN_DEVIATION * center);
        let before = samples.len();
        if before >= MIN_SAMPLES {
            samples.retain(|sample| (sample - center).abs() <= limit);
        }
        Some(Self {
            median: quantile(&samples, 0.5)?,
            spread: quantile(&samples, 0.75)? - quantile(&samples, 0.25)?,
            num_samples: samples.len(),
            num_outliers: before - samples.len(),
        })
    }
}

/// The value below which a share of growing values lies, straight between neighbours; `None` of none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the last index")]
    let below = (place.floor() as usize).min(last);
    let (a, b) = (sorted[below], sorted[(below + 1).min(last)]);
    Some(a + (b - a) * (place - below as f64))
}

/// The middle of values in any order; `None` of none.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[track_caller]
    fn check(samples: &[f64], median: f64, spread: f64, num_outliers: usize) {
        let summary = Summary::new(samples.to_vec()).expect("samples");
        assert!((summary.median - median).abs() < 1e-9 && (summary.spread - spread).abs() < 1e-9, "{summary:?}");
        assert_eq!((summary.num_samples, summary.num_outliers), (samples.len() - num_outliers, num_outliers));
    }

    #[test]
    fn a_far_sample_is_rejected_and_counted_and_a_wide_spread_is_not() {
        check(&[10.0, 10.1, 9.9, 10.05, 9.95, 30.0], 10.0, 0.1, 1);
        check(&[8.0, 12.0, 9.0, 11.0, 10.0], 10.0, 2.0, 0);
        check(&[10.0, 10.0, 10.0, 10.0, 10.001], 10.0, 0.0, 0);
    }

    #[test]
    fn of_few_samples_none_is_rejected() {
        check(&[10.0, 10.0, 10.0, 30.0], 10.0, 5.0, 0);
        assert_eq!(Summary::new(vec![]), None);
    }
}
