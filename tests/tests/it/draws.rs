//! How many cases a property draws, and from which seed.
//!
//! Without asking, everybody draws the same cases, so that a red test is about the change at hand. `scripts/draw.sh TIMES`
//! draws others, that many times as many: what it finds is a defect of any age, and gets a test of its own.

use std::env;

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;

const SEED: u64 = 20_261_130;

/// `cases`, or `DRAW_TIMES` times as many; from `SEED`, or from `PROPTEST_RNG_SEED`, where `random` is a new one each time.
pub(crate) fn draws(cases: u32) -> ProptestConfig {
    let times = env::var("DRAW_TIMES").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let rng_seed = match env::var("PROPTEST_RNG_SEED") {
        Ok(text) => text.parse().map_or(RngSeed::Random, RngSeed::Fixed),
        Err(_) => RngSeed::Fixed(SEED),
    };
    ProptestConfig {
        cases: cases.saturating_mul(times),
        rng_seed,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
