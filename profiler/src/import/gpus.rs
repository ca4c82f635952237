//! The devices that profiles are derived for.
//!
//! Peak rates are the makers' (dense, without sparsity), as `systems/*.yaml` of aiconfigurator-core 0.12.0 has them:
//! utilisation, by which times move from one matrix shape to another, means the same there and here. Memory is what a
//! program is told, which is less than the maker's figure; nobody of this project has read it on these devices.

use anyhow::{Result, bail};
use sim_core::profile::schema::{Basis, Bytes, DeviceType, Hardware};

const GIB: f64 = 1_073_741_824.0;

/// A device.
#[derive(Debug, PartialEq)]
pub(crate) struct Gpu {
    /// aiconfigurator's name of the system, which is that of its folder; none where it has no tables.
    pub(crate) system: Option<&'static str>,
    /// Name as its driver reports it.
    pub(crate) name: &'static str,
    pub(crate) compute_capability: &'static str,
    /// Memory that CUDA reports, in GiB.
    pub(crate) memory_gib: f64,
    /// Where that comes from.
    pub(crate) memory_reason: &'static str,
    /// Whether several of them are linked by more than PCI Express.
    pub(crate) has_nvlink: bool,
    /// Bytes per second.
    pub(crate) memory_bandwidth: f64,
    /// Dense bf16 operations per second of the tensor cores.
    pub(crate) bf16_flops: f64,
    /// The same in fp8; 0 if it cannot.
    pub(crate) fp8_flops: f64,
}

/// All that are known.
pub(crate) const GPUS: &[Gpu] = &[
    Gpu {
        system: Some("h100_sxm"),
        name: "NVIDIA H100 80GB HBM3",
        compute_capability: "9.0",
        memory_gib: 79.22,
        memory_reason: "vLLM on such a device logs a total of 79.22 GiB (vllm-project/vllm pull request 10511); \
                        drivers differ between 79.1 and 79.6 GiB.",
        has_nvlink: true,
        memory_bandwidth: 3.35e12,
        bf16_flops: 989e12,
        fp8_flops: 1978e12,
    },
    Gpu {
        system: Some("h200_sxm"),
        name: "NVIDIA H200",
        compute_capability: "9.0",
        memory_gib: 139.8,
        memory_reason: "Judged: of the maker's 141 GB (143771 MiB in nvidia-smi) PyTorch reports 139.7 to 139.8 GiB.",
        has_nvlink: true,
        memory_bandwidth: 4.8e12,
        bf16_flops: 989e12,
        fp8_flops: 1978e12,
    },
    Gpu {
        system: Some("b200_sxm"),
        name: "NVIDIA B200",
        compute_capability: "10.0",
        memory_gib: 178.35,
        memory_reason: "Judged: of 183359 MiB in nvidia-smi PyTorch reports about 178.35 GiB.",
        has_nvlink: true,
        memory_bandwidth: 7.7e12,
        bf16_flops: 2250e12,
        fp8_flops: 4500e12,
    },
    Gpu {
        system: Some("l40s"),
        name: "NVIDIA L40S",
        compute_capability: "8.9",
        memory_gib: 44.42,
        memory_reason: "PyTorch on such a device reports 44.42 GiB (stepfun-ai/Step-Video-T2V issue 8).",
        has_nvlink: false,
        memory_bandwidth: 8.64e11,
        bf16_flops: 362.05e12,
        fp8_flops: 733e12,
    },
    Gpu {
        system: Some("a100_sxm"),
        name: "NVIDIA A100-SXM4-80GB",
        compute_capability: "8.0",
        memory_gib: 79.25,
        memory_reason: "vLLM 0.31 on such a device logged a total of 79.25 GiB (a published start-up log).",
        has_nvlink: true,
        memory_bandwidth: 2.039e12,
        bf16_flops: 312e12,
        fp8_flops: 0.0,
    },
    Gpu {
        system: Some("rtx_pro_6000_server"),
        name: "NVIDIA RTX PRO 6000 Blackwell Server Edition",
        compute_capability: "12.0",
        memory_gib: 94.97,
        memory_reason: "CUDA on such a device reports 94.97 GiB of 97887 MiB (antirez/ds4 issue 431).",
        has_nvlink: false,
        memory_bandwidth: 1.792e12,
        bf16_flops: 467.800_534_963_698e12,
        fp8_flops: 935.601_069_927_397e12,
    },
    Gpu {
        system: None,
        name: "NVIDIA GeForce RTX 4090",
        compute_capability: "8.9",
        memory_gib: 23.516_48,
        memory_reason: "PyTorch on such a device reports 25250627584 bytes (the recording of LLMServingSim's run of \
                        2026-08-20).",
        has_nvlink: false,
        memory_bandwidth: 1.008e12,
        bf16_flops: 165.2e12,
        fp8_flops: 330.3e12,
    },
];

/// The device of a system.
///
/// # Errors
/// If there is none of that name; the message lists those there are.
pub(crate) fn find(system: &str) -> Result<&'static Gpu> {
    if let Some(gpu) = GPUS.iter().find(|gpu| gpu.system == Some(system)) {
        return Ok(gpu);
    }
    let known: Vec<&str> = GPUS.iter().filter_map(|gpu| gpu.system).collect();
    bail!("--system {system:?} is unknown; must be one of {}", known.join(", "))
}

impl Gpu {
    /// Memory that CUDA reports.
    pub(crate) fn total_memory(&self) -> Bytes {
        Bytes {
            bytes: super::memory::whole_bytes(self.memory_gib * GIB),
            basis: Basis::Estimate,
            reason: self.memory_reason.to_owned(),
        }
    }

    /// `num_devices` of it.
    pub(crate) fn hardware(&self, num_devices: u32) -> Hardware {
        Hardware {
            device_type: DeviceType::Cuda,
            name: self.name.to_owned(),
            num_devices,
            total_memory: self.total_memory(),
            compute_capability: Some(self.compute_capability.to_owned()),
        }
    }

    /// vLLM's defaults of a server on this device: `max_num_seqs` and `max_num_batched_tokens`
    /// (`vllm/engine/arg_utils.py::EngineArgs.get_batch_defaults`).
    pub(crate) fn batch_defaults(&self) -> (u32, u32) {
        let is_a100 = self.name.to_lowercase().contains("a100");
        if self.memory_gib >= 160.0 {
            (1024, 16384)
        } else if self.memory_gib >= 70.0 && !is_a100 {
            (1024, 8192)
        } else {
            (256, 2048)
        }
    }
}
