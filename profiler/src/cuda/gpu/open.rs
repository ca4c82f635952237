//! A GPU before there is a model on it.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cudarc::driver::sys::{CUdevice_attribute, CUevent_flags};
use cudarc::driver::{CudaContext, CudaEvent, CudaStream};

use super::libraries;
use super::watch::Watch;
use crate::cuda::device::DeviceProperties;

/// Bytes that are copied to find out how fast memory is, and how often; less on a device with little memory.
const COPY_BYTES: usize = 512 << 20;
const NUM_COPIES: u32 = 10;

/// See the module.
#[derive(Debug)]
pub(crate) struct Gpu {
    pub(crate) context: Arc<CudaContext>,
    /// All work is on this one stream.
    pub(crate) stream: Arc<CudaStream>,
    pub(crate) properties: DeviceProperties,
    pub(crate) watch: Option<Watch>,
}

impl Gpu {
    /// Opens the device of this number.
    ///
    /// # Errors
    /// If a library or the device is missing, or the driver fails.
    pub(crate) fn open(ordinal: usize) -> Result<Self> {
        libraries::check()?;
        let count = CudaContext::device_count().context("--engine cuda: the driver finds no device")?;
        let count = usize::try_from(count).unwrap_or(0);
        ensure!(ordinal < count, "--cuda-device {ordinal}: the driver knows {count} devices, counted from 0");
        let context = CudaContext::new(ordinal).with_context(|| format!("device {ordinal}"))?;
        // SAFETY: one stream is used throughout, so the order of its work is the order of the calls, and no events are
        // needed between buffers. With them a stream could not be captured.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream()?;
        let (free, total) = context.mem_get_info()?;
        let attribute = |attribute| context.attribute(attribute).map(|value| u32::try_from(value).unwrap_or(0));
        let (major, minor) = context.compute_capability()?;
        let bus = [
            attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID)?,
            attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_PCI_BUS_ID)?,
            attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID)?,
        ];
        let watch = Watch::new(&format!("{:08x}:{:02x}:{:02x}.0", bus[0], bus[1], bus[2]));
        let properties = DeviceProperties {
            name: context.name()?,
            total_memory_bytes: u64::try_from(total)?,
            used_memory_bytes: u64::try_from(total - free)?,
            compute_capability: (u32::try_from(major)?, u32::try_from(minor)?),
            num_multiprocessors: attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            copy_bytes_per_s: copy_rate(&context, &stream, free)?,
            versions: versions(watch.as_ref()),
        };
        Ok(Self { context, stream, properties, watch })
    }
}

/// An event that takes the time.
pub(crate) fn timed_event(context: &Arc<CudaContext>) -> Result<CudaEvent> {
    Ok(context.new_event(Some(CUevent_flags::CU_EVENT_DEFAULT))?)
}

/// Bytes read and written in a second by a copy within the device's memory.
fn copy_rate(context: &Arc<CudaContext>, stream: &Arc<CudaStream>, free: usize) -> Result<Option<f64>> {
    let num_bytes = COPY_BYTES.min(free / 4);
    let from = stream.alloc_zeros::<u8>(num_bytes)?;
    let mut to = stream.alloc_zeros::<u8>(num_bytes)?;
    stream.memcpy_dtod(&from, &mut to)?;
    let (start, end) = (timed_event(context)?, timed_event(context)?);
    start.record(stream)?;
    for _ in 0..NUM_COPIES {
        stream.memcpy_dtod(&from, &mut to)?;
    }
    end.record(stream)?;
    let seconds = f64::from(start.elapsed_ms(&end)?) / 1e3;
    let moved = 2.0 * num_bytes as f64 * f64::from(NUM_COPIES);
    Ok((seconds > 0.0).then_some(moved / seconds))
}

fn versions(watch: Option<&Watch>) -> Vec<(String, String)> {
    let (mut driver, mut major, mut minor) = (0, 0, 0);
    // SAFETY: these calls write to the integers they are given and need no context. Their libraries are there.
    let cublas = unsafe {
        let has_driver = cudarc::driver::sys::cuDriverGetVersion(&raw mut driver).result().is_ok();
        driver = if has_driver { driver } else { 0 };
        let has_nvrtc = cudarc::nvrtc::sys::nvrtcVersion(&raw mut major, &raw mut minor).result().is_ok();
        (major, minor) = if has_nvrtc { (major, minor) } else { (0, 0) };
        cudarc::cublaslt::sys::cublasLtGetVersion()
    };
    let named = |name: &str, version: String| (name.to_owned(), version);
    vec![
        named("NVIDIA driver", watch.and_then(Watch::driver_version).unwrap_or_else(|| "unknown".to_owned())),
        named("CUDA driver interface", format!("{}.{}", driver / 1000, driver % 1000 / 10)),
        named("NVRTC", format!("{major}.{minor}")),
        named("cuBLASLt", cublas.to_string()),
    ]
}
