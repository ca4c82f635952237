//! How long prompts and outputs are.

use alloc::format;
use alloc::vec::Vec;

use super::error::WorkloadError;
use crate::math;
use crate::request_set::RequestSet;
use crate::rng::Pcg64;

/// Relative half-width of a range of lengths: `--random-range-ratio` of `vllm bench serve`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RangeRatio {
    /// For prompts, in [0, 1).
    pub input: f64,
    /// For outputs, in [0, 1).
    pub output: f64,
}

impl RangeRatio {
    /// Reads the option as vLLM does: one number for both, or a JSON object `{"input": …, "output": …}`.
    ///
    /// # Errors
    /// [`WorkloadError::Option`] if it is neither, or a ratio is outside [0, 1).
    pub fn parse(text: &str) -> Result<Self, WorkloadError> {
        #[derive(serde::Deserialize)]
        struct Object {
            input: f64,
            output: f64,
        }
        const NEED: &str = "a number in [0, 1), or {\"input\": number, \"output\": number}";
        let ratio = match text.trim().parse::<f64>() {
            Ok(ratio) => Self { input: ratio, output: ratio },
            Err(_) => match serde_json::from_str(text) {
                Ok(Object { input, output }) => Self { input, output },
                Err(_) => return Err(WorkloadError::option("random_range_ratio", text, NEED)),
            },
        };
        ratio.check()?;
        Ok(ratio)
    }

    /// Checks both ratios.
    ///
    /// # Errors
    /// [`WorkloadError::Option`] if one is outside [0, 1).
    pub fn check(&self) -> Result<(), WorkloadError> {
        for (field, ratio) in [("random_range_ratio.input", self.input), ("random_range_ratio.output", self.output)] {
            if !(0.0..1.0).contains(&ratio) {
                return Err(WorkloadError::option(field, ratio, "in [0, 1)"));
            }
        }
        Ok(())
    }
}

/// The range of lengths around `mean`: `floor(mean × (1 − ratio))` to `ceil(mean × (1 + ratio))`, both inclusive
/// (`vllm/benchmarks/datasets/utils.py::get_sampling_params`).
#[must_use]
pub fn range_around(mean: u32, ratio: f64) -> (u32, u32) {
    let mean = f64::from(mean);
    (math::f64_to_u32(math::floor(mean * (1.0 - ratio))), math::f64_to_u32(math::ceil(mean * (1.0 + ratio))))
}

/// A distribution of lengths in tokens. Every length it yields is from 1 to [`RequestSet::MAX_SEQUENCE_TOKENS`].
#[derive(Debug, Clone, PartialEq)]
pub enum Lengths {
    /// Always the same.
    Fixed(u32),
    /// Uniform over the integers `low..=high`.
    Uniform {
        /// Smallest.
        low: u32,
        /// Largest, at least `low`.
        high: u32,
    },
    /// Log-normal, to the nearest integer; what falls outside `min..=max` becomes the nearer of the two.
    LogNormal {
        /// Median before rounding, above 0. [`Lengths::log_normal_with_mean`] takes the mean instead.
        median: f64,
        /// Standard deviation of the logarithm, at least 0.
        sigma: f64,
        /// Smallest.
        min: u32,
        /// Largest, at least `min`.
        max: u32,
    },
    /// One of `values`, each with a probability in proportion to its weight.
    Empirical {
        /// The lengths.
        values: Vec<u32>,
        /// One per value, finite and not negative; not all 0.
        weights: Vec<f64>,
    },
    /// Request `i` has `values[i]`.
    List(Vec<u32>),
}

impl Lengths {
    /// A log-normal distribution given by its mean (before rounding and clamping) instead of its median.
    #[must_use]
    pub fn log_normal_with_mean(mean: f64, sigma: f64, min: u32, max: u32) -> Self {
        Self::LogNormal { median: mean * math::exp(-0.5 * sigma * sigma), sigma, min, max }
    }

    /// Draws `count` lengths for the purpose `field`, which errors name.
    ///
    /// # Errors
    /// [`WorkloadError::Option`] if a parameter is outside its range, or a list has fewer than `count` values.
    pub fn sample(&self, count: usize, field: &'static str, rng: &mut Pcg64) -> Result<Vec<u32>, WorkloadError> {
        match self {
            &Self::Fixed(length) => {
                check_length(field, length)?;
                Ok(alloc::vec![length; count])
            }
            &Self::Uniform { low, high } => {
                check_range(field, low, high)?;
                Ok((0..count).map(|_| rng.integers(low, high)).collect())
            }
            &Self::LogNormal { median, sigma, min, max } => {
                const MEDIAN: &str = "log-normal with a finite median above 0";
                const SIGMA: &str = "log-normal with a finite sigma of at least 0";
                check_range(field, min, max)?;
                if !(median > 0.0 && median.is_finite()) {
                    return Err(WorkloadError::option(field, format!("log-normal with median {median}"), MEDIAN));
                }
                if !(sigma >= 0.0 && sigma.is_finite()) {
                    return Err(WorkloadError::option(field, format!("log-normal with sigma {sigma}"), SIGMA));
                }
                let mut draw = || median * math::exp(sigma * rng.standard_normal());
                Ok((0..count).map(|_| math::f64_to_u32(math::round(draw())).clamp(min, max)).collect())
            }
            Self::Empirical { values, weights } => sample_empirical(values, weights, count, field, rng),
            Self::List(values) => {
                let Some(values) = values.get(..count) else {
                    let value = format!("a list of {} lengths", values.len());
                    return Err(WorkloadError::option(field, value, "a list of at least num_prompts lengths"));
                };
                values.iter().try_for_each(|&length| check_length(field, length))?;
                Ok(values.into())
            }
        }
    }
}

fn sample_empirical(
    values: &[u32],
    weights: &[f64],
    count: usize,
    field: &'static str,
    rng: &mut Pcg64,
) -> Result<Vec<u32>, WorkloadError> {
    values.iter().try_for_each(|&length| check_length(field, length))?;
    if values.len() != weights.len() {
        let value = format!("a list of {} values with {} weights", values.len(), weights.len());
        return Err(WorkloadError::option(field, value, "a list of as many weights as values"));
    }
    let mut total = 0.0;
    let mut cumulative = Vec::with_capacity(weights.len());
    for &weight in weights {
        if !(weight >= 0.0 && weight.is_finite()) {
            return Err(WorkloadError::option(
                field,
                format!("weighted by {weight}"),
                "weighted by finite numbers of at least 0",
            ));
        }
        total += weight;
        cumulative.push(total);
    }
    let last_weighted = weights.iter().rposition(|&weight| weight > 0.0);
    let (Some(last), true) = (last_weighted, total.is_finite()) else {
        return Err(WorkloadError::option(
            field,
            format!("weighted by numbers with sum {total}"),
            "weighted by numbers with a finite sum above 0",
        ));
    };
    let mut draw = || {
        let target = rng.random() * total;
        // Rounding may put the target on the total itself.
        values[cumulative.partition_point(|&sum| sum <= target).min(last)]
    };
    Ok((0..count).map(|_| draw()).collect())
}

fn check_length(field: &'static str, length: u32) -> Result<(), WorkloadError> {
    if (1..=RequestSet::MAX_SEQUENCE_TOKENS).contains(&length) {
        Ok(())
    } else {
        Err(WorkloadError::option(field, length, "from 1 to 67108864 tokens"))
    }
}

fn check_range(field: &'static str, low: u32, high: u32) -> Result<(), WorkloadError> {
    check_length(field, low)?;
    check_length(field, high)?;
    if low > high {
        let value = format!("a range from {low} to {high}");
        return Err(WorkloadError::option(field, value, "a range whose low end is not above its high end"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lengths: &Lengths, expect: &[u32]) {
        assert_eq!(lengths.sample(expect.len(), "output_len", &mut Pcg64::new(0)).unwrap(), expect);
    }

    /// Values must not change: whoever shares a workload by its seed relies on them.
    #[test]
    fn a_seed_always_gives_the_same_lengths() {
        check(&Lengths::Fixed(7), &[7, 7, 7]);
        check(&Lengths::Uniform { low: 10, high: 20 }, &[19, 17, 15, 12, 13, 10, 10, 10]);
        let log_normal = Lengths::LogNormal { median: 100.0, sigma: 1.0, min: 1, max: 200 };
        check(&log_normal, &[200, 200, 108, 174, 200, 18, 200, 200]);
        let empirical = Lengths::Empirical { values: alloc::vec![5, 6, 7], weights: alloc::vec![1.0, 0.0, 3.0] };
        check(&empirical, &[7, 7, 5, 5, 7, 7, 7, 7]);
        check(&Lengths::List(alloc::vec![3, 1, 4, 1]), &[3, 1]);
    }

    #[test]
    fn a_value_of_no_weight_is_never_drawn() {
        let lengths = Lengths::Empirical { values: alloc::vec![1, 2, 3], weights: alloc::vec![0.0, 1.0, 0.0] };
        check(&lengths, &[2; 100]);
    }

    #[test]
    fn a_range_ratio_is_a_number_or_an_object() {
        assert_eq!(RangeRatio::parse("0.5"), Ok(RangeRatio { input: 0.5, output: 0.5 }));
        let both = RangeRatio::parse(r#"{"input": 0.25, "output": 0}"#);
        assert_eq!(both, Ok(RangeRatio { input: 0.25, output: 0.0 }));
        for refused in ["1", "-0.1", "nan", "", "{}", "[0.1]"] {
            assert!(RangeRatio::parse(refused).is_err(), "{refused}");
        }
    }
}
