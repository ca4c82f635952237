//! One digest per workload, to be computed natively and under Wasm and compared bit by bit.
//!
//! `scripts/test-wasm.sh` builds this crate as a Wasm module, calls [`exports`] from node (`run.mjs`) and compares with
//! the output of the native program `digests`. No `wasm-bindgen`: numbers go in, numbers come out.

use sim_core::math;

pub mod exports;

/// Workloads, numbered from 0.
pub const NUM_WORKLOADS: u32 = 60;

/// Digest of workload `index`; of no meaning but that it is the same on every platform.
#[must_use]
pub fn digest(index: u32) -> u64 {
    let mut random = SplitMix64(u64::from(index));
    let mut digest = Fnv1a::new();
    for _ in 0..1_000 {
        let x = random.next_unit();
        let y = math::u64_to_f64(random.next_u64() >> 40);
        for value in [math::ln(x), math::ln_1p(x), math::exp(x), math::pow(y, x), math::sqrt(y), math::round(x * y)] {
            digest.write(value.to_bits());
        }
    }
    digest.0
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1].
    fn next_unit(&mut self) -> f64 {
        math::u64_to_f64((self.next_u64() >> 11) + 1) / 9_007_199_254_740_992.0
    }
}

/// The hash of Fowler, Noll and Vo, variant 1a, over 64-bit words in little-endian order.
#[derive(Debug, Clone, Copy)]
pub struct Fnv1a(u64);

impl Fnv1a {
    /// The digest of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds one word.
    pub const fn write(&mut self, word: u64) {
        let bytes = word.to_le_bytes();
        let mut i = 0;
        while i < bytes.len() {
            self.0 = (self.0 ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
            i += 1;
        }
    }

    /// The digest of the words added so far.
    #[must_use]
    pub const fn finish(self) -> u64 {
        self.0
    }
}

impl Default for Fnv1a {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_workload_has_a_digest_of_its_own() {
        let mut seen = BTreeMap::new();
        for index in 0..NUM_WORKLOADS {
            if let Some(twin) = seen.insert(digest(index), index) {
                panic!("workloads {twin} and {index} have the same digest: one of them tests nothing");
            }
        }
    }

    #[test]
    fn there_are_enough_workloads() {
        const { assert!(NUM_WORKLOADS >= 50, "fifty is what the project promises") };
    }

    #[test]
    fn fnv_1a_gives_the_published_value() {
        // "foobar" from the reference test vectors, here the bytes one by one.
        let mut digest = Fnv1a::new();
        for byte in b"foobar" {
            digest.0 = (digest.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        assert_eq!(digest.finish(), 0x8594_4171_f739_67e8);
    }
}
