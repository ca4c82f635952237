//! A device whose times are a formula: tests without a GPU.

use anyhow::{Result, ensure};
use sim_core::batch::BatchComposition;
use sim_core::rng::Pcg64;

use super::device::{Device, DeviceProperties, DeviceState, PassTimes};

/// What an H100 says of itself.
pub(crate) fn properties() -> DeviceProperties {
    DeviceProperties {
        name: "NVIDIA H100 80GB HBM3".to_owned(),
        total_memory_bytes: 85_000_000_000,
        used_memory_bytes: 500_000_000,
        compute_capability: (9, 0),
        num_multiprocessors: 132,
        copy_bytes_per_s: Some(2.9e12),
        versions: vec![("CUDA driver".to_owned(), "mock".to_owned())],
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct MockDevice {
    capture_sizes: Vec<u32>,
    /// Largest relative error of a time.
    noise: f64,
    random: Pcg64,
    num_passes: u32,
    /// Passes after which clocks fall and times grow by a half.
    pub(crate) throttled_after: Option<u32>,
    /// Passes after which it fails.
    pub(crate) fails_after: Option<u32>,
}

impl MockDevice {
    pub(crate) fn new(capture_sizes: Vec<u32>, noise: f64, seed: u64) -> Self {
        Self {
            capture_sizes,
            noise,
            random: Pcg64::stream(seed, "mock device"),
            num_passes: 0,
            throttled_after: None,
            fails_after: None,
        }
    }

    fn is_throttled(&self) -> bool {
        self.throttled_after.is_some_and(|after| self.num_passes > after)
    }

    /// What a pass takes without noise and throttling, in microseconds: products bound by weights, then by rows;
    /// attention by what is read.
    pub(crate) fn truth_us(&self, batch: &BatchComposition) -> f64 {
        let num_tokens = batch.num_tokens();
        let rows = self.capture_sizes.iter().copied().find(|&size| size >= num_tokens).unwrap_or(num_tokens);
        let products = 300.0 + 900_f64.hypot(12.0 * f64::from(rows));
        let head = 40.0 + 6.0 * f64::from(batch.num_reqs());
        let decodes = match batch.num_decodes {
            0 => 0.0,
            decodes => 20.0 + 2.0 * f64::from(decodes) + 0.25 * batch.decode_context_tokens as f64,
        };
        let prefill = |tokens: u32, earlier: u32| {
            let (tokens, earlier) = (f64::from(tokens), f64::from(earlier));
            2.0 * tokens + 0.02 * tokens * (tokens / 2.0 + earlier)
        };
        let launch = if batch.prefill_chunks.is_empty() { 0.0 } else { 20.0 };
        let chunks = batch.prefill_chunks.iter();
        let chunks: f64 = chunks.map(|chunk| prefill(chunk.num_tokens, chunk.num_computed_tokens)).sum();
        products + head + decodes + launch + chunks
    }
}

impl Device for MockDevice {
    fn state(&self) -> DeviceState {
        let is_throttled = self.is_throttled();
        DeviceState {
            sm_clock_mhz: Some(if is_throttled { 1320 } else { 1980 }),
            memory_clock_mhz: Some(2619),
            power_mw: Some(690_000),
            temperature_c: Some(60),
            throttle_reasons: if is_throttled { vec!["hardware thermal slowdown"] } else { vec![] },
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time of about a millisecond")]
    fn time_pass(&mut self, batch: &BatchComposition) -> Result<PassTimes> {
        ensure!(self.fails_after != Some(self.num_passes), "the device fell off the bus");
        self.num_passes += 1;
        let error = self.noise * (2.0 * self.random.random() - 1.0);
        let slowdown = if self.is_throttled() { 1.5 } else { 1.0 };
        let device = self.truth_us(batch) * slowdown * (1.0 + error) * 1e3;
        Ok(PassTimes { device: device.round() as u64, launch: 9000 })
    }
}
