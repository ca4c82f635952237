//! GPUs by what their drivers call them, as a profile's hardware.

use sim_core::operators::gpu::Gpu;
use sim_core::operators::gpu_table;
use sim_core::profile::schema::{Basis, Bytes, DeviceType, Hardware};

/// The GPU that reports this name.
pub(crate) fn of_name(name: &str) -> Option<Gpu> {
    gpu_table::known().into_iter().find(|gpu| gpu.name == name)
}

/// `num_devices` of it.
pub(crate) fn hardware(gpu: &Gpu, num_devices: u32) -> Hardware {
    Hardware {
        device_type: DeviceType::Cuda,
        name: gpu.name.clone(),
        num_devices,
        total_memory: Bytes { bytes: gpu.memory_bytes, basis: Basis::Estimate, reason: gpu.memory_reason.clone() },
        compute_capability: Some(gpu.compute_capability.clone()),
    }
}
