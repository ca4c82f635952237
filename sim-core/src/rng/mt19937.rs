//! The Mersenne Twister shared by Python's `random` and NumPy's legacy `RandomState`.

use crate::math;

const STATE_LEN: usize = 624;
const SHIFT_LEN: usize = 397;

/// The generator's words, and how many of them are used up.
#[derive(Debug, Clone)]
pub(super) struct Mt19937 {
    words: [u32; STATE_LEN],
    position: usize,
}

impl Mt19937 {
    /// `init_genrand` of the reference implementation: `numpy.random.seed(seed)`.
    pub(super) fn from_seed(seed: u32) -> Self {
        let mut words = [0; STATE_LEN];
        let mut word = seed;
        for (number, slot) in (1..).zip(&mut words) {
            *slot = word;
            word = 1_812_433_253_u32.wrapping_mul(word ^ (word >> 30)).wrapping_add(number);
        }
        Self { words, position: STATE_LEN }
    }

    /// `init_by_array` with the one word `key`: `random.seed(key)`.
    pub(super) fn from_key(key: u32) -> Self {
        let mut rng = Self::from_seed(19_650_218);
        let words = &mut rng.words;
        let mut index = 1;
        for _ in 0..STATE_LEN {
            let previous = words[index - 1];
            words[index] = (words[index] ^ (previous ^ (previous >> 30)).wrapping_mul(1_664_525)).wrapping_add(key);
            index = next_index(words, index);
        }
        for _ in 1..STATE_LEN {
            let previous = words[index - 1];
            words[index] = (words[index] ^ (previous ^ (previous >> 30)).wrapping_mul(1_566_083_941))
                .wrapping_sub(math::usize_to_u32(index));
            index = next_index(words, index);
        }
        words[0] = 0x8000_0000;
        rng
    }

    /// The next 32 bits.
    pub(super) fn next_u32(&mut self) -> u32 {
        if self.position >= STATE_LEN {
            self.refill();
        }
        let mut word = self.words[self.position];
        self.position += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// Uniform in [0, 1), a multiple of 2^-53, from two draws.
    pub(super) fn next_f64(&mut self) -> f64 {
        let high = math::u32_to_f64(self.next_u32() >> 5);
        let low = math::u32_to_f64(self.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    fn refill(&mut self) {
        let words = &mut self.words;
        // Three stretches instead of indices modulo the length: this is where long workloads spend their time.
        for index in 0..STATE_LEN - SHIFT_LEN {
            words[index] = words[index + SHIFT_LEN] ^ twist(words[index], words[index + 1]);
        }
        for index in STATE_LEN - SHIFT_LEN..STATE_LEN - 1 {
            words[index] = words[index + SHIFT_LEN - STATE_LEN] ^ twist(words[index], words[index + 1]);
        }
        words[STATE_LEN - 1] = words[SHIFT_LEN - 1] ^ twist(words[STATE_LEN - 1], words[0]);
        self.position = 0;
    }
}

const fn twist(word: u32, next: u32) -> u32 {
    let mixed = (word & 0x8000_0000) | (next & 0x7fff_ffff);
    (mixed >> 1) ^ ((mixed & 1) * 0x9908_b0df)
}

/// The index after `index`; past the end it is 1 again, and the first word repeats the last.
const fn next_index(words: &mut [u32; STATE_LEN], index: usize) -> usize {
    if index + 1 < STATE_LEN {
        return index + 1;
    }
    words[0] = words[STATE_LEN - 1];
    1
}
