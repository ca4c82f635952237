//! A GPU on which operators are timed one by one.

use std::fmt;

use anyhow::{Context, Result, ensure};
use cudarc::driver::{CudaContext, CudaSlice};
use sim_core::operators::sustained::LoadReading;

use super::launcher::Launcher;
use super::memory::zeros;
use super::open::Gpu;
use super::operators::{Heads, Operators};
use super::products::Products;
use super::{alone_attention, alone_load, alone_products, check, collectives};
use crate::cuda::alone::Timer;
use crate::cuda::alone::sites::{ALL_GATHER_BYTES, ALL_REDUCE_BYTES, Site};
use crate::cuda::collectives::Messages;
use crate::cuda::device::{DeviceProperties, DeviceState};
use crate::cuda::facts::{LEAST_CAPABILITY, LEAST_FP8_CAPABILITY};
use crate::cuda::number::{Format, Storage};
use crate::cuda::start::{BLOCK_SIZE, CHECKED_HEADS, shape_of_heads};

/// More than any L2 cache: what is read in turn from so much is found cold.
pub(super) const COLD_BYTES: u64 = 512 << 20;
/// Share of the free memory that is used.
const USED_SHARE: f64 = 0.8;

/// What kernels are compiled for: elements of a head, query heads per key head, the cache's numbers.
type Compiled = (u32, u32, Storage);

/// See the module.
pub(crate) struct GpuTimer {
    pub(super) products: Products,
    /// Zeroed between replays.
    pub(super) flushed: CudaSlice<u8>,
    /// The scale of matrices in e4m3.
    pub(super) one: CudaSlice<f32>,
    pub(super) operators: Operators,
    compiled: Compiled,
    num_devices: u32,
    pub(super) gpu: Gpu,
}

impl fmt::Debug for GpuTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuTimer").field("properties", &self.gpu.properties).finish_non_exhaustive()
    }
}

impl GpuTimer {
    /// Opens the device of this number and compares the kernels with their references.
    ///
    /// # Errors
    /// If a library or the device is missing, it is too old, or a kernel computes something else.
    pub(crate) fn open(ordinal: usize) -> Result<Self> {
        let gpu = Gpu::open(ordinal)?;
        let (major, minor) = gpu.properties.compute_capability;
        ensure!(
            gpu.properties.compute_capability >= LEAST_CAPABILITY,
            "{} has compute capability {major}.{minor}; the engine's attention kernel needs 8.0 or later",
            gpu.properties.name
        );
        compare(&gpu)?;
        let count = usize::try_from(CudaContext::device_count()?).unwrap_or(0);
        let compiled = (128, 4, Storage::Half);
        Ok(Self {
            products: Products::new(&gpu.stream, Format::BFloat16)?,
            flushed: zeros(&gpu.stream, COLD_BYTES)?,
            one: gpu.stream.clone_htod(&[1.0])?,
            operators: operators(&gpu, compiled)?,
            compiled,
            num_devices: u32::try_from(count.saturating_sub(ordinal))?,
            gpu,
        })
    }

    /// Sees to it that the kernels are those of these heads and numbers.
    pub(super) fn compile(&mut self, compiled: Compiled) -> Result<()> {
        if self.compiled != compiled {
            self.operators = operators(&self.gpu, compiled)?;
            self.compiled = compiled;
        }
        Ok(())
    }

    /// Bytes that may be allocated now.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a device's memory")]
    pub(super) fn room(&self) -> Result<u64> {
        self.gpu.stream.synchronize()?;
        let (free, _) = self.gpu.context.mem_get_info()?;
        Ok((USED_SHARE * free as f64) as u64)
    }

    /// What NCCL takes, all-reduces first.
    fn collectives(&mut self, num_ranks: u32) -> Result<Vec<Option<f64>>> {
        let largest =
            Messages { num_all_reduces: 1, all_reduce_bytes: ALL_REDUCE_BYTES, all_gather_bytes: ALL_GATHER_BYTES };
        let times = collectives::measure(&mut self.gpu, num_ranks, largest)?;
        // NCCL is named once, however often it was asked.
        self.gpu.properties.versions.dedup();
        let entries = times.all_reduce.entries().iter().chain(times.all_gather.entries());
        Ok(entries.map(|&(_, time)| Some(time)).collect())
    }
}

impl Timer for GpuTimer {
    fn properties(&self) -> &DeviceProperties {
        &self.gpu.properties
    }

    fn state(&self) -> DeviceState {
        self.gpu.watch.as_ref().map(super::watch::Watch::state).unwrap_or_default()
    }

    fn num_devices(&self) -> u32 {
        self.num_devices
    }

    fn time(&mut self, site: Site) -> Result<Vec<Option<f64>>> {
        match site {
            Site::Product(matrix, storage) => alone_products::product(self, matrix, storage),
            Site::Prompt(heads, storage) => alone_attention::prompts(self, heads, storage),
            Site::Decode(heads, storage) => alone_attention::decodes(self, heads, storage),
            Site::Collectives(num_ranks) => self.collectives(num_ranks),
        }
        .with_context(|| site.to_string())
    }

    fn under_load(&mut self, storage: Storage, after_s: &[f64]) -> Result<Vec<LoadReading>> {
        alone_load::under_load(self, storage, after_s).context("a product under load")
    }
}

fn operators(gpu: &Gpu, (head_dim, group, storage): Compiled) -> Result<Operators> {
    let shape = shape_of_heads(head_dim, group, Format::BFloat16, storage);
    let launcher = Launcher::new(gpu, &shape, BLOCK_SIZE)?;
    let heads = Heads { q_heads: group, kv_heads: 1, head_dim, table_width: 1 };
    Ok(Operators { launcher, stream: gpu.stream.clone(), heads, kv_scale: 1.0 })
}

/// Refuses a device on which a kernel computes something else than its reference: its time would say nothing.
fn compare(gpu: &Gpu) -> Result<()> {
    let has_fp8 = gpu.properties.compute_capability >= LEAST_FP8_CAPABILITY;
    let storages = if has_fp8 { &[Storage::Half, Storage::Fp8][..] } else { &[Storage::Half] };
    for &storage in storages {
        for (head_dim, group) in CHECKED_HEADS {
            let checks = check(gpu, &shape_of_heads(head_dim, group, Format::BFloat16, storage), BLOCK_SIZE)?;
            let wrong: Vec<&str> = checks.iter().filter(|check| !check.is_passed()).map(|check| check.name).collect();
            ensure!(
                wrong.is_empty(),
                "kernels compute something else than their references on {}: {}; see --check-kernels",
                gpu.properties.name,
                wrong.join(", ")
            );
        }
    }
    Ok(())
}
