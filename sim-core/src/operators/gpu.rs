//! A GPU, by what its maker says of it.

use alloc::string::String;

use serde::Serialize;

use crate::profile::from_json::{names, objects};

/// How several of them are linked in one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Links {
    /// `NVLink` or Infinity Fabric, each to each.
    Fabric,
    /// PCI Express.
    Pcie,
}

/// A GPU. Rates are the maker's peaks, dense, without sparsity: utilisation, by which times move from one shape to
/// another, means the same wherever it is computed from these.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Gpu {
    /// Its name in flags, links and files: `h100-sxm`.
    pub key: String,
    /// Its name in sentences.
    pub label: String,
    /// Name as its driver reports it.
    pub name: String,
    /// CUDA compute capability, such as `9.0`.
    pub compute_capability: String,
    /// Memory that a program is told of, in bytes.
    pub memory_bytes: u64,
    /// Where that comes from.
    pub memory_reason: String,
    /// Bytes per second from its memory.
    pub memory_bandwidth: f64,
    /// Operations per second of the tensor cores in bf16; in fp16 where there is no bf16.
    pub bf16_flops: f64,
    /// The same in 8 bits; 0 if it has no such units.
    pub fp8_flops: f64,
    /// The same in 4 bits; 0 if it has no such units.
    pub fp4_flops: f64,
    /// How several of them are linked.
    pub links: Links,
    /// Bytes per second that a GPU sends to the others, one direction.
    pub link_bandwidth: f64,
}

impl Gpu {
    /// vLLM's defaults of a server on this GPU: `max_num_seqs` and `max_num_batched_tokens`
    /// (`vllm/engine/arg_utils.py::EngineArgs.get_batch_defaults`).
    #[must_use]
    pub fn batch_defaults(&self) -> (u32, u32) {
        const GIB: u64 = 1 << 30;
        let is_a100 = self.name.to_ascii_lowercase().contains("a100");
        if self.memory_bytes >= 160 * GIB {
            (1024, 16384)
        } else if self.memory_bytes >= 70 * GIB && !is_a100 {
            (1024, 8192)
        } else {
            (256, 2048)
        }
    }
}

names! {
    Links { "fabric" => Fabric, "pcie" => Pcie }
}

objects! {
    Gpu {
        key, label, name, compute_capability, memory_bytes, memory_reason, memory_bandwidth, bf16_flops, fp8_flops,
        fp4_flops, links, link_bandwidth,
    }
}
