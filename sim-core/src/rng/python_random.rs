//! Python's `random` module (`Lib/random.py`, Python 3.11).

use super::mt19937::Mt19937;
use crate::math;

/// The generator of `random.seed(seed)`.
#[derive(Debug, Clone)]
pub struct PythonRandom(Mt19937);

impl PythonRandom {
    /// `random.seed(seed)`.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Self(Mt19937::from_key(seed))
    }

    /// `random.random()`: uniform in [0, 1).
    pub fn random(&mut self) -> f64 {
        self.0.next_f64()
    }

    /// `random.randrange(count)`, the index that `random.choice` takes of `count` elements; 0 if `count` is 0.
    pub fn randrange(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        let unused_bits = count.leading_zeros();
        loop {
            let number = self.0.next_u32() >> unused_bits;
            if number < count {
                return number;
            }
        }
    }

    /// `random.shuffle(items)`.
    ///
    /// # Panics
    /// If there are 2^32 items or more.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.randrange(math::usize_to_u32(last + 1));
            items.swap(last, math::u32_to_usize(other));
        }
    }
}
