//! Passes of the same batch that take different times.
//!
//! The logarithm of a pass's time over its expectation is a first-order autoregression (clocks and neighbours change
//! slowly); beside it, a pass may be interrupted for an exponentially distributed time. Both are drawn so that the
//! expectation stays what it is without them.

use super::schema::PassNoise;
use crate::math;
use crate::rng::Pcg64;
use crate::time::SimDuration;

/// The draws of one run.
#[derive(Debug, Clone)]
pub(crate) struct PassTimes {
    noise: PassNoise,
    seed: u64,
    random: Pcg64,
    /// The logarithm's standard score in the last pass.
    score: f64,
}

impl PassTimes {
    pub(crate) fn new(noise: &PassNoise, seed: u64) -> Self {
        let mut random = Pcg64::stream(seed, "pass noise");
        let score = random.standard_normal();
        Self { noise: noise.clone(), seed, random, score }
    }

    /// Draws of another run with the same noise.
    pub(crate) fn drawn_again(&self, draw: u64) -> Self {
        Self::new(&self.noise, self.seed.wrapping_add(draw))
    }

    /// The time of the next pass, which takes `expected` in the mean.
    pub(crate) fn draw(&mut self, expected: SimDuration) -> SimDuration {
        let PassNoise { sigma, correlation, long_share, long_us, .. } = self.noise;
        let fresh = self.random.standard_normal();
        self.score = correlation * self.score + math::sqrt(1.0 - correlation * correlation) * fresh;
        let factor = math::exp(sigma * self.score - sigma * sigma / 2.0);
        let is_long = self.random.random() < long_share;
        let interruption_us = if is_long { -long_us * math::ln(1.0 - self.random.random()) } else { 0.0 };
        let expected_us = 1e6 * expected.as_secs_f64();
        // What interruptions take in the mean is in the expectation, but never all of it.
        let usual_us = math::max(expected_us - long_share * long_us, expected_us / 2.0);
        SimDuration::from_micros_f64(usual_us * factor + interruption_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::schema::Basis;

    fn noise(sigma: f64, correlation: f64, long_share: f64, long_us: f64) -> PassNoise {
        PassNoise { sigma, correlation, long_share, long_us, basis: Basis::Estimate, reason: "made up".into() }
    }

    /// Times of 200,000 passes of 10 ms, in milliseconds.
    fn times(noise: &PassNoise, seed: u64) -> alloc::vec::Vec<f64> {
        let mut draws = PassTimes::new(noise, seed);
        (0..200_000).map(|_| 1e3 * draws.draw(SimDuration::from_nanos(10_000_000)).as_secs_f64()).collect()
    }

    fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
        let count = math::usize_to_f64(values.clone().count());
        values.sum::<f64>() / count
    }

    #[test]
    fn the_mean_stays_and_the_spread_is_what_was_asked() {
        for given in [noise(0.1, 0.0, 0.0, 0.0), noise(0.1, 0.8, 0.0, 0.0), noise(0.03, 0.5, 0.01, 50_000.0)] {
            let times = times(&given, 7);
            assert!(
                (mean(times.iter().copied()) - 10.0).abs() < 0.1,
                "{given:?}: mean {}",
                mean(times.iter().copied())
            );
            if given.long_share > 0.0 {
                let long = times.iter().filter(|&&time| time > 15.0).count();
                assert!((1500..2100).contains(&long), "{long} of 200,000 passes are longer than 5 ms of interruption");
                continue;
            }
            let logs = times.iter().map(|time| math::ln(time / 10.0) + 0.005);
            let variance = mean(logs.clone().map(|log| log * log));
            assert!((math::sqrt(variance) - 0.1).abs() < 0.005, "{given:?}: {}", math::sqrt(variance));
            let lagged = mean(logs.clone().zip(logs.skip(1)).map(|(a, b)| a * b)) / variance;
            assert!((lagged - given.correlation).abs() < 0.02, "{given:?}: correlation {lagged}");
        }
    }

    #[test]
    fn a_seed_is_a_run() {
        let given = noise(0.1, 0.5, 0.01, 1000.0);
        assert_eq!(times(&given, 1), times(&given, 1));
        assert_ne!(times(&given, 1), times(&given, 2));
        let still = times(&noise(0.0, 0.0, 0.0, 0.0), 1);
        assert!(still.iter().all(|&time| (time - 10.0).abs() < 1e-9), "no noise");
    }
}
