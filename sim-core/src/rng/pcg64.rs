//! NumPy's default generator, `numpy.random.Generator(PCG64(…))`.

use super::seed_sequence::SeedSequence;
use crate::math;

/// Multiplier of the 128-bit congruential generator (`numpy/random/src/pcg64/pcg64.h`).
const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;

/// The generator of `numpy.random.default_rng(seed)`, with the methods that workloads need.
#[derive(Debug, Clone)]
pub struct Pcg64 {
    state: u128,
    increment: u128,
    /// The unused upper half of the last number drawn for a 32-bit one.
    spare: Option<u32>,
}

impl Pcg64 {
    /// `numpy.random.default_rng(seed)`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::from_seed_sequence(&SeedSequence::new(seed, &[]))
    }

    /// A stream of its own for the purpose `name`:
    /// `numpy.random.default_rng(numpy.random.SeedSequence(seed, spawn_key=tuple(name.encode())))`.
    #[must_use]
    pub fn stream(seed: u64, name: &str) -> Self {
        Self::from_seed_sequence(&SeedSequence::new(seed, name.as_bytes()))
    }

    fn from_seed_sequence(seed_sequence: &SeedSequence) -> Self {
        let [state_high, state_low, stream_high, stream_low] = seed_sequence.generate_state().map(u128::from);
        let increment = (((stream_high << 64) | stream_low) << 1) | 1;
        let mut rng = Self { state: 0, increment, spare: None };
        rng.step();
        rng.state = rng.state.wrapping_add((state_high << 64) | state_low);
        rng.step();
        rng
    }

    const fn step(&mut self) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.step();
        let folded = math::low_u64(self.state >> 64) ^ math::low_u64(self.state);
        // The rotation is the state's upper six bits.
        folded.rotate_right(math::low_u32(math::low_u64(self.state >> 122)))
    }

    /// The next 32 bits: the lower half of a fresh number, then its upper half.
    pub fn next_u32(&mut self) -> u32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let next = self.next_u64();
        self.spare = Some(math::low_u32(next >> 32));
        math::low_u32(next)
    }

    /// `Generator.random()`: uniform in [0, 1), a multiple of 2^-53.
    pub fn random(&mut self) -> f64 {
        math::u64_to_f64(self.next_u64() >> 11) / 9_007_199_254_740_992.0
    }

    /// One element of `Generator.integers(low, high, size=…, endpoint=True)`: uniform in `low..=high`.
    ///
    /// Draws nothing if the two are equal, as NumPy does; `high` below `low` counts as equal.
    pub fn integers(&mut self, low: u32, high: u32) -> u32 {
        let range = high.saturating_sub(low);
        if range == 0 {
            return low;
        }
        let Some(count) = range.checked_add(1) else {
            return self.next_u32();
        };
        // Lemire's method: the product's lower half decides on rejection, its upper half is the number.
        let mut product = u64::from(self.next_u32()) * u64::from(count);
        if math::low_u32(product) < count {
            let threshold = (u32::MAX - range) % count;
            while math::low_u32(product) < threshold {
                product = u64::from(self.next_u32()) * u64::from(count);
            }
        }
        low + math::low_u32(product >> 32)
    }

    /// A standard normal number by Marsaglia's polar method; the pair's second number is not kept.
    ///
    /// Not NumPy's: its `Generator` uses a ziggurat, which no vLLM workload needs.
    pub fn standard_normal(&mut self) -> f64 {
        loop {
            let x = 2.0 * self.random() - 1.0;
            let y = 2.0 * self.random() - 1.0;
            let radius = x * x + y * y;
            if radius < 1.0 && radius > 0.0 {
                return x * math::sqrt(-2.0 * math::ln(radius) / radius);
            }
        }
    }
}
