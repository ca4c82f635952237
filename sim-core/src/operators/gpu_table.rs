//! The GPUs that are known, by their makers' data sheets.
//!
//! Measured ones stand here, the others in `gpu_unmeasured`. Rates of measured ones are as `systems/*.yaml` of aiconfigurator-core 0.12.0 (Apache-2.0) has them. Memory is what a
//! program is told, which is less than the maker's figure; nobody of this project has read it on these GPUs.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;

use super::gpu::{Gpu, Links};
use super::gpu_unmeasured::{self, Unmeasured};

const GIB: f64 = 1_073_741_824.0;
const T: f64 = 1e12;
const G: f64 = 1e9;

/// A line of the table.
#[derive(Debug)]
struct Line {
    key: &'static str,
    label: &'static str,
    name: &'static str,
    compute_capability: &'static str,
    memory_gib: f64,
    memory_reason: &'static str,
    memory_bandwidth: f64,
    /// bf16, 8 bits, 4 bits.
    flops: [f64; 3],
    links: Links,
    link_bandwidth: f64,
}

const TABLE: &[Line] = &[
    Line {
        key: "h100-sxm",
        label: "H100 SXM",
        name: "NVIDIA H100 80GB HBM3",
        compute_capability: "9.0",
        memory_gib: 79.22,
        memory_reason: "vLLM on such a device logs a total of 79.22 GiB (vllm-project/vllm pull request 10511); drivers \
                        differ between 79.1 and 79.6 GiB.",
        memory_bandwidth: 3.35 * T,
        flops: [989.0 * T, 1978.0 * T, 0.0],
        links: Links::Fabric,
        link_bandwidth: 450.0 * G,
    },
    Line {
        key: "h200-sxm",
        label: "H200 SXM",
        name: "NVIDIA H200",
        compute_capability: "9.0",
        memory_gib: 139.8,
        memory_reason: "Judged: of the maker's 141 GB (143771 MiB in nvidia-smi) PyTorch reports 139.7 to 139.8 GiB.",
        memory_bandwidth: 4.8 * T,
        flops: [989.0 * T, 1978.0 * T, 0.0],
        links: Links::Fabric,
        link_bandwidth: 450.0 * G,
    },
    Line {
        key: "b200-sxm",
        label: "B200 SXM",
        name: "NVIDIA B200",
        compute_capability: "10.0",
        memory_gib: 178.35,
        memory_reason: "Judged: of 183359 MiB in nvidia-smi PyTorch reports about 178.35 GiB.",
        memory_bandwidth: 7.7 * T,
        flops: [2250.0 * T, 4500.0 * T, 9000.0 * T],
        links: Links::Fabric,
        link_bandwidth: 900.0 * G,
    },
    Line {
        key: "b300-sxm",
        label: "B300 SXM",
        name: "NVIDIA B300 SXM6 AC",
        compute_capability: "10.3",
        memory_gib: 267.7,
        memory_reason: "Judged: of 275040 MiB in nvidia-smi about as large a share as on a B200.",
        memory_bandwidth: 7.75 * T,
        flops: [2250.0 * T, 4500.0 * T, 14_000.0 * T],
        links: Links::Fabric,
        link_bandwidth: 900.0 * G,
    },
    Line {
        key: "gb200",
        label: "GB200 NVL72",
        name: "NVIDIA GB200",
        compute_capability: "10.0",
        memory_gib: 184.3,
        memory_reason: "Judged: of 189471 MiB in nvidia-smi about as large a share as on a B200.",
        memory_bandwidth: 8.0 * T,
        flops: [2500.0 * T, 5000.0 * T, 10_000.0 * T],
        links: Links::Fabric,
        link_bandwidth: 900.0 * G,
    },
    Line {
        key: "gb300",
        label: "GB300 NVL72",
        name: "NVIDIA GB300",
        compute_capability: "10.3",
        memory_gib: 276.6,
        memory_reason: "Judged: of 284208 MiB in nvidia-smi about as large a share as on a B200.",
        memory_bandwidth: 8.0 * T,
        flops: [2500.0 * T, 5000.0 * T, 15_000.0 * T],
        links: Links::Fabric,
        link_bandwidth: 900.0 * G,
    },
    Line {
        key: "l40s",
        label: "L40S",
        name: "NVIDIA L40S",
        compute_capability: "8.9",
        memory_gib: 44.42,
        memory_reason: "PyTorch on such a device reports 44.42 GiB (stepfun-ai/Step-Video-T2V issue 8).",
        memory_bandwidth: 0.864 * T,
        flops: [362.05 * T, 733.0 * T, 0.0],
        links: Links::Pcie,
        link_bandwidth: 32.0 * G,
    },
    Line {
        key: "a100-sxm",
        label: "A100 SXM 80 GB",
        name: "NVIDIA A100-SXM4-80GB",
        compute_capability: "8.0",
        memory_gib: 79.25,
        memory_reason: "vLLM 0.31 on such a device logged a total of 79.25 GiB (a published start-up log).",
        memory_bandwidth: 2.039 * T,
        flops: [312.0 * T, 0.0, 0.0],
        links: Links::Fabric,
        link_bandwidth: 300.0 * G,
    },
    Line {
        key: "rtx-pro-6000",
        label: "RTX PRO 6000",
        name: "NVIDIA RTX PRO 6000 Blackwell Server Edition",
        compute_capability: "12.0",
        memory_gib: 94.97,
        memory_reason: "CUDA on such a device reports 94.97 GiB of 97887 MiB (antirez/ds4 issue 431).",
        memory_bandwidth: 1.792 * T,
        flops: [467.800_534_963_698 * T, 935.601_069_927_397 * T, 1_871.202_139_854_795 * T],
        links: Links::Pcie,
        link_bandwidth: 64.0 * G,
    },
];

/// What a GPU is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// `--gpu`.
    pub key: &'static str,
    /// For people.
    pub label: &'static str,
    /// Whether its operators were measured.
    pub is_measured: bool,
}

/// Names of the GPUs of [`known`], in its order. Who only shows these does without all else that is known of GPUs: the page's
/// form is that much smaller.
pub static NAMES: [Name; TABLE.len() + gpu_unmeasured::TABLE.len()] = names();

const fn names() -> [Name; TABLE.len() + gpu_unmeasured::TABLE.len()] {
    let mut names = [Name { key: "", label: "", is_measured: true }; TABLE.len() + gpu_unmeasured::TABLE.len()];
    let mut place = 0;
    while place < names.len() {
        names[place] = if place < TABLE.len() {
            Name { key: TABLE[place].key, label: TABLE[place].label, is_measured: true }
        } else {
            let [key, label, ..] = gpu_unmeasured::TABLE[place - TABLE.len()].names;
            Name { key, label, is_measured: false }
        };
        place += 1;
    }
    names
}

/// All GPUs that are known, the measured ones first.
#[must_use]
pub fn known() -> Vec<Gpu> {
    TABLE.iter().map(Line::gpu).chain(gpu_unmeasured::TABLE.iter().map(Unmeasured::gpu)).collect()
}

/// The GPU called `key`.
#[must_use]
pub fn find(key: &str) -> Option<Gpu> {
    let measured = TABLE.iter().find(|line| line.key == key).map(Line::gpu);
    measured.or_else(|| unmeasured(key).map(Unmeasured::gpu))
}

/// Key of the measured GPU whose pack is moved to the GPU called `key`: its own if it was measured; `None` if it is
/// unknown.
#[must_use]
pub fn measured(key: &str) -> Option<&'static str> {
    let own = TABLE.iter().find(|line| line.key == key).map(|line| line.key);
    own.or_else(|| unmeasured(key).map(|line| line.nearest))
}

fn unmeasured(key: &str) -> Option<&'static Unmeasured> {
    gpu_unmeasured::TABLE.iter().find(|line| line.names[0] == key)
}

impl Unmeasured {
    fn gpu(&self) -> Gpu {
        let [key, label, name, compute_capability] = self.names.map(ToOwned::to_owned);
        let [bandwidth, bf16, fp8, fp4] = self.rates.map(|rate| rate * T);
        Gpu {
            key,
            label,
            name,
            compute_capability,
            memory_bytes: crate::math::round_to_u64(self.memory_gib * GIB),
            memory_reason: gpu_unmeasured::MEMORY_REASON.to_owned(),
            memory_bandwidth: bandwidth,
            bf16_flops: bf16,
            fp8_flops: fp8,
            fp4_flops: fp4,
            links: self.links,
            link_bandwidth: self.link * G,
        }
    }
}

impl Line {
    fn gpu(&self) -> Gpu {
        let [bf16_flops, fp8_flops, fp4_flops] = self.flops;
        Gpu {
            key: self.key.to_owned(),
            label: self.label.to_owned(),
            name: self.name.to_owned(),
            compute_capability: self.compute_capability.to_owned(),
            memory_bytes: crate::math::round_to_u64(self.memory_gib * GIB),
            memory_reason: self.memory_reason.to_owned(),
            memory_bandwidth: self.memory_bandwidth,
            bf16_flops,
            fp8_flops,
            fp4_flops,
            links: self.links,
            link_bandwidth: self.link_bandwidth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_gpus_that_are_known() {
        let known = known();
        assert_eq!(NAMES.len(), known.len(), "all of them");
        for (name, gpu) in NAMES.iter().zip(&known) {
            assert_eq!((name.key, name.label), (gpu.key.as_str(), gpu.label.as_str()));
            assert_eq!(name.is_measured, measured(name.key) == Some(name.key), "{}", name.key);
        }
    }
}
