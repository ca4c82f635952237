//! From a seed to the initial state of a generator (`numpy/random/bit_generator.pyx::SeedSequence`).

use crate::math;

const POOL_SIZE: usize = 4;
const INIT_A: u32 = 0x43b0_d7e5;
const MULT_A: u32 = 0x931e_8875;
const INIT_B: u32 = 0x8b51_f9dd;
const MULT_B: u32 = 0x58f3_8ded;
const MIX_MULT_L: u32 = 0xca01_f9dd;
const MIX_MULT_R: u32 = 0x4973_f715;

/// Mixed entropy, from which states are generated.
#[derive(Debug)]
pub(super) struct SeedSequence {
    pool: [u32; POOL_SIZE],
}

/// A multiplicative hash whose constant changes with every value.
struct Hash {
    constant: u32,
    multiplier: u32,
}

impl Hash {
    const fn mix(&mut self, value: u32) -> u32 {
        let value = value ^ self.constant;
        self.constant = self.constant.wrapping_mul(self.multiplier);
        let value = value.wrapping_mul(self.constant);
        value ^ (value >> 16)
    }
}

const fn combine(x: u32, y: u32) -> u32 {
    let result = MIX_MULT_L.wrapping_mul(x).wrapping_sub(MIX_MULT_R.wrapping_mul(y));
    result ^ (result >> 16)
}

impl SeedSequence {
    /// `SeedSequence(seed, spawn_key=tuple(spawn_key))`.
    pub(super) fn new(seed: u64, spawn_key: &[u8]) -> Self {
        let mut hash = Hash { constant: INIT_A, multiplier: MULT_A };
        let entropy = [math::low_u32(seed), math::low_u32(seed >> 32), 0, 0];
        let mut pool = entropy.map(|word| hash.mix(word));
        for source in 0..POOL_SIZE {
            for target in 0..POOL_SIZE {
                if source != target {
                    pool[target] = combine(pool[target], hash.mix(pool[source]));
                }
            }
        }
        for &word in spawn_key {
            for target in &mut pool {
                *target = combine(*target, hash.mix(u32::from(word)));
            }
        }
        Self { pool }
    }

    /// `generate_state(4, numpy.uint64)`.
    pub(super) fn generate_state(&self) -> [u64; 4] {
        let mut hash = Hash { constant: INIT_B, multiplier: MULT_B };
        let mut words = self.pool.iter().cycle().map(|&word| u64::from(hash.mix(word)));
        core::array::from_fn(|_| {
            let low = words.next().unwrap_or(0);
            let high = words.next().unwrap_or(0);
            low | (high << 32)
        })
    }
}
