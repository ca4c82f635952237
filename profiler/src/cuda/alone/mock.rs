//! A device whose operators take what a formula says: tests without a GPU.

use anyhow::{Result, ensure};
use sim_core::operators::sustained::LoadReading;
use sim_core::operators::work::least_us;
use sim_core::operators::{Gpu, Operator, gpu_table};
use sim_core::rng::Pcg64;

use super::Timer;
use super::sites::{ALL_GATHER_BYTES, ALL_REDUCE_BYTES, CONTEXTS, PROMPTS, ROWS, SEQS, Site, format_name, is_timed};
use crate::cuda::collectives::timed_sizes;
use crate::cuda::device::{DeviceProperties, DeviceState};
use crate::cuda::mock;
use crate::cuda::number::Storage;

/// What a launch takes.
const LAUNCH_US: f64 = 3.0;
/// Share of a peak that is reached.
const SHARE: f64 = 0.7;
/// Tokens that fit into the memory.
const MOST_TOKENS: u64 = 1 << 22;

/// See the module.
#[derive(Debug)]
pub(super) struct MockTimer {
    pub(super) properties: DeviceProperties,
    pub(super) gpu: Gpu,
    pub(super) num_devices: u32,
    pub(super) noise: f64,
    pub(super) random: Pcg64,
    pub(super) num_timed: u32,
    /// What it keeps up of its first rate, in 16 bits and in 8.
    pub(super) kept_up: [f64; 2],
    /// Sites after which each fails.
    pub(super) fails_after: Option<u32>,
}

impl MockTimer {
    pub(super) fn new(num_devices: u32, noise: f64) -> Self {
        Self {
            properties: mock::properties(),
            gpu: gpu_table::find("h100-sxm").expect("a known GPU"),
            num_devices,
            noise,
            random: Pcg64::stream(7, "mock timer"),
            num_timed: 0,
            kept_up: [0.8, 0.75],
            fails_after: None,
        }
    }

    fn point(&mut self, operator: Operator, format: &str, sizes: &[u32], counts: [u32; 2]) -> Option<f64> {
        let least = least_us(operator, [format, ""], sizes, counts, &self.gpu)?;
        Some((LAUNCH_US + least / SHARE) * (1.0 + self.noise * (2.0 * self.random.random() - 1.0)))
    }
}

impl Timer for MockTimer {
    fn properties(&self) -> &DeviceProperties {
        &self.properties
    }

    fn state(&self) -> DeviceState {
        DeviceState { sm_clock_mhz: Some(1980), ..DeviceState::default() }
    }

    fn num_devices(&self) -> u32 {
        self.num_devices
    }

    fn time(&mut self, site: Site) -> Result<Vec<Option<f64>>> {
        ensure!(self.fails_after.is_none_or(|after| self.num_timed < after), "the device fell off the bus");
        self.num_timed += 1;
        Ok(match site {
            Site::Product(matrix, storage) => {
                let sizes = [matrix.rows, matrix.columns];
                let point = |rows| {
                    is_timed(matrix, rows)
                        .then(|| self.point(Operator::Product, format_name(storage), &sizes, [rows, 0]))
                        .flatten()
                };
                ROWS.map(point).to_vec()
            }
            Site::Prompt(heads, storage) => {
                let sizes = heads.sizes();
                let of = |tokens| self.point(Operator::PromptAttention, format_name(storage), &sizes, [tokens, 0]);
                PROMPTS.map(of).to_vec()
            }
            Site::Decode(heads, storage) => {
                let places = SEQS.into_iter().flat_map(|seqs| CONTEXTS.map(|context| [seqs, context]));
                let sizes = heads.sizes();
                let of = |[seqs, context]: [u32; 2]| {
                    let fits = u64::from(seqs) * u64::from(context) <= MOST_TOKENS;
                    fits.then(|| self.point(Operator::DecodeAttention, format_name(storage), &sizes, [seqs, context]))
                        .flatten()
                };
                places.map(of).collect()
            }
            Site::Collectives(num_ranks) => {
                let all = [timed_sizes(ALL_REDUCE_BYTES), timed_sizes(ALL_GATHER_BYTES)].concat();
                let of = |bytes: u64| {
                    let count = u32::try_from(bytes / 2).ok()?;
                    self.point(Operator::NcclAllReduce, "bfloat16", &[num_ranks], [count, 0])
                };
                all.into_iter().map(of).collect()
            }
        })
    }

    fn under_load(&mut self, storage: Storage, after_s: &[f64]) -> Result<Vec<LoadReading>> {
        ensure!(self.fails_after.is_none_or(|after| self.num_timed < after), "the device fell off the bus");
        let (peak, kept_up) = match storage {
            Storage::Half => (self.gpu.bf16_flops, self.kept_up[0]),
            Storage::Fp8 => (self.gpu.fp8_flops, self.kept_up[1]),
        };
        let reading = |&after_s: &f64| {
            let share = if after_s > 0.0 { kept_up } else { 1.0 };
            let clock = if after_s > 0.0 { 1470 } else { 1980 };
            LoadReading { after_s, flops: SHARE * share * peak, sm_clock_mhz: Some(clock), power_w: Some(695.0) }
        };
        Ok(after_s.iter().map(reading).collect())
    }
}
