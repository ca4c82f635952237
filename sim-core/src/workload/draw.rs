//! A quantity that differs from one time to the next: turns of a session, seconds of thinking.

use super::error::WorkloadError;
use crate::math;
use crate::rng::Pcg64;

/// How a quantity is drawn. Every value is finite and not negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Draw {
    /// Always the same.
    Fixed(f64),
    /// Uniform between these two; where whole numbers are wanted, both are among them.
    Uniform {
        /// Smallest.
        low: f64,
        /// Largest.
        high: f64,
    },
    /// Exponential.
    Exponential {
        /// Its mean.
        mean: f64,
    },
    /// Log-normal.
    LogNormal {
        /// Its mean.
        mean: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
}

/// Largest value that a quantity can be said to have.
const MOST: f64 = 1e9;
/// Largest standard deviation of a logarithm: a factor of a million between one in six and one in six.
const MOST_SIGMA: f64 = 7.0;

impl Draw {
    /// Reads `10`, `5..15`, `exp:10` or `lognormal:MEAN:SIGMA`, for the option `field`, which errors name.
    ///
    /// # Errors
    /// [`WorkloadError::Option`] if it is none of these, or a number is negative or larger than 1e9.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, WorkloadError> {
        const NEED: &str =
            "a number, LOW..HIGH, exp:MEAN or lognormal:MEAN:SIGMA, its numbers from 0 to 1e9 and SIGMA up to 7";
        let number = |text: &str| text.trim().parse().ok().filter(|number| (0.0..=MOST).contains(number));
        let read = || {
            if let Some((low, high)) = text.split_once("..") {
                let (low, high) = (number(low)?, number(high)?);
                return (low <= high).then_some(Self::Uniform { low, high });
            }
            match text.split_once(':') {
                None => Some(Self::Fixed(number(text)?)),
                Some(("exp", mean)) => Some(Self::Exponential { mean: number(mean)? }),
                Some(("lognormal", rest)) => {
                    let (mean, sigma) = rest.split_once(':')?;
                    let sigma = number(sigma).filter(|&sigma| sigma <= MOST_SIGMA)?;
                    Some(Self::LogNormal { mean: number(mean)?, sigma })
                }
                Some(_) => None,
            }
        };
        read().ok_or_else(|| WorkloadError::option(field, text, NEED))
    }

    /// The next value.
    pub(super) fn number(self, rng: &mut Pcg64) -> f64 {
        let value = match self {
            Self::Fixed(value) => value,
            Self::Uniform { low, high } => low + (high - low) * rng.random(),
            Self::Exponential { mean } => -mean * math::ln_1p(-rng.random()),
            Self::LogNormal { mean, sigma } => mean * math::exp(sigma * rng.standard_normal() - 0.5 * sigma * sigma),
        };
        value.clamp(0.0, MOST)
    }

    /// The next value as a whole number from `least` on.
    pub(super) fn count(self, least: u32, rng: &mut Pcg64) -> u32 {
        let value = match self {
            Self::Uniform { low, high } => {
                let (low, high) = (math::f64_to_u32(math::ceil(low)), math::f64_to_u32(math::floor(high)));
                return rng.integers(low, high.max(low)).max(least);
            }
            _ => self.number(rng),
        };
        math::f64_to_u32(math::round(value)).max(least)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Draw) {
        assert_eq!(Draw::parse("think_time", text), Ok(expect), "{text}");
    }

    #[test]
    fn each_form_is_read() {
        check("10", Draw::Fixed(10.0));
        check(" 0.5 ", Draw::Fixed(0.5));
        check("5..15", Draw::Uniform { low: 5.0, high: 15.0 });
        check("exp:2", Draw::Exponential { mean: 2.0 });
        check("lognormal:1000:1.5", Draw::LogNormal { mean: 1000.0, sigma: 1.5 });
    }

    #[test]
    fn what_is_none_is_refused_by_name() {
        for text in
            ["", "x", "-1", "1e10", "nan", "5..1", "..", "exp:", "exp:-1", "lognormal:5", "lognormal:5:8", "a:1"]
        {
            let error = Draw::parse("think_time", text).unwrap_err().to_string();
            assert!(error.starts_with("think_time is ") && error.contains("LOW..HIGH"), "{text}: {error}");
        }
    }

    /// Mean over many draws, as a share of `expect`.
    #[track_caller]
    fn check_mean(text: &str, expect: f64) {
        let draw = Draw::parse("think_time", text).unwrap();
        let mut rng = Pcg64::new(1);
        let sum: f64 = (0..20_000).map(|_| draw.number(&mut rng)).sum();
        let mean = sum / 20_000.0;
        assert!((mean / expect - 1.0).abs() < 0.03, "{text}: {mean}");
    }

    #[test]
    fn means_are_what_was_said() {
        check_mean("7", 7.0);
        check_mean("5..15", 10.0);
        check_mean("exp:4", 4.0);
        check_mean("lognormal:100:1", 100.0);
    }

    #[test]
    fn whole_numbers_of_a_range_are_its_own() {
        let draw = Draw::parse("session_turns", "2..4").unwrap();
        let mut rng = Pcg64::new(1);
        let mut seen = [0; 6];
        for _ in 0..300 {
            seen[draw.count(1, &mut rng) as usize] += 1;
        }
        assert!(seen[0] + seen[1] + seen[5] == 0 && seen[2..5].iter().all(|&count| count > 60), "{seen:?}");
    }
}
