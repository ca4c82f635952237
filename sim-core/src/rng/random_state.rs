//! NumPy's legacy generator, the global state behind `numpy.random.gamma` and its like.

use alloc::vec::Vec;

use super::mt19937::Mt19937;
use crate::math;

/// `numpy.random.RandomState(seed)`; also what `numpy.random.seed(seed)` sets.
///
/// Integers and uniform numbers are NumPy's bit for bit. The others are NumPy's algorithms
/// (`numpy/random/src/legacy/legacy-distributions.c`) over `libm`, whose last bit may differ from the C library's.
#[derive(Debug, Clone)]
pub struct RandomState {
    bits: Mt19937,
    /// The second number of the last pair of normal ones.
    spare_gauss: Option<f64>,
}

impl RandomState {
    /// `numpy.random.RandomState(seed)`.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Self { bits: Mt19937::from_seed(seed), spare_gauss: None }
    }

    /// `random_sample()`: uniform in [0, 1).
    pub fn random_sample(&mut self) -> f64 {
        self.bits.next_f64()
    }

    /// One element of `randint(0, max + 1, size=…)`: uniform in `0..=max`. Draws nothing if `max` is 0.
    pub fn randint(&mut self, max: u32) -> u32 {
        if max == 0 {
            return 0;
        }
        let mask = u32::MAX >> max.leading_zeros();
        loop {
            let number = self.bits.next_u32() & mask;
            if number <= max {
                return number;
            }
        }
    }

    /// `permutation(count)`: the numbers below `count` in random order.
    pub fn permutation(&mut self, count: u32) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..count).collect();
        for last in (1..count).rev() {
            let other = self.randint(last);
            numbers.swap(math::u32_to_usize(last), math::u32_to_usize(other));
        }
        numbers
    }

    /// `standard_exponential()`.
    pub fn standard_exponential(&mut self) -> f64 {
        -math::ln(1.0 - self.random_sample())
    }

    /// `standard_normal()`: Marsaglia's polar method, two numbers at a time.
    pub fn standard_normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_gauss.take() {
            return spare;
        }
        loop {
            let x = 2.0 * self.random_sample() - 1.0;
            let y = 2.0 * self.random_sample() - 1.0;
            let radius = x * x + y * y;
            if radius < 1.0 && radius > 0.0 {
                let factor = math::sqrt(-2.0 * math::ln(radius) / radius);
                self.spare_gauss = Some(factor * x);
                return factor * y;
            }
        }
    }

    /// `gamma(shape, scale)`; `shape` is positive.
    pub fn gamma(&mut self, shape: f64, scale: f64) -> f64 {
        // Where the shape is exactly 1 NumPy takes the shorter way, with other draws: the comparison is meant.
        #[expect(clippy::float_cmp, reason = "NumPy's own branch")]
        let standard = if shape == 1.0 {
            self.standard_exponential()
        } else if shape < 1.0 {
            self.standard_gamma_below_1(shape)
        } else {
            self.standard_gamma_above_1(shape)
        };
        scale * standard
    }

    /// Ahrens and Dieter's method.
    fn standard_gamma_below_1(&mut self, shape: f64) -> f64 {
        loop {
            let uniform = self.random_sample();
            let exponential = self.standard_exponential();
            if uniform <= 1.0 - shape {
                let candidate = math::pow(uniform, 1.0 / shape);
                if candidate <= exponential {
                    return candidate;
                }
            } else {
                let tail = -math::ln((1.0 - uniform) / shape);
                let candidate = math::pow(1.0 - shape + shape * tail, 1.0 / shape);
                if candidate <= exponential + tail {
                    return candidate;
                }
            }
        }
    }

    /// Marsaglia and Tsang's method.
    fn standard_gamma_above_1(&mut self, shape: f64) -> f64 {
        let b = shape - 1.0 / 3.0;
        let c = 1.0 / math::sqrt(9.0 * b);
        loop {
            let normal = self.standard_normal();
            let root = 1.0 + c * normal;
            if root <= 0.0 {
                continue;
            }
            let cube = root * root * root;
            let uniform = self.random_sample();
            let square = normal * normal;
            if uniform < 1.0 - 0.0331 * square * square
                || math::ln(uniform) < 0.5 * normal * normal + b * (1.0 - cube + math::ln(cube))
            {
                return b * cube;
            }
        }
    }
}
