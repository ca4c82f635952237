//! What a pack says of the GPU that it was measured on: its maker's rates if it is a known one, else the best that was
//! measured.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use sim_core::operators::gpu::Links;
use sim_core::operators::{Gpu, gpu_table};

use super::sites::{ROWS, Site};
use crate::cuda::collectives::timed_sizes;
use crate::cuda::device::DeviceProperties;
use crate::cuda::number::Storage;

/// A link that nobody measured: 16 lanes of PCI Express 4.
const UNKNOWN_LINK: f64 = 32e9;

type Times = BTreeMap<Site, Vec<Option<f64>>>;

/// The GPU, and what a reader must know of that.
///
/// # Errors
/// If it is not a known one and too little was timed to tell its rates.
pub(super) fn gpu(device: &DeviceProperties, key: Option<&str>, times: &Times) -> Result<(Gpu, Option<String>)> {
    let known = gpu_table::known().into_iter().find(|gpu| gpu.name == device.name);
    let (major, minor) = device.compute_capability;
    let measured = |gpu: Gpu| Gpu {
        key: key.map_or(gpu.key, str::to_owned),
        memory_bytes: device.total_memory_bytes,
        memory_reason: "As the driver reported it on this device.".to_owned(),
        ..gpu
    };
    if let Some(gpu) = known {
        return Ok((measured(gpu), None));
    }
    let [bf16_flops, fp8_flops] = [Storage::Half, Storage::Fp8].map(|storage| best_rate(times, storage));
    let memory_bandwidth = device.copy_bytes_per_s.unwrap_or(0.0);
    ensure!(
        bf16_flops > 0.0 && memory_bandwidth > 0.0,
        "{} is not among the known GPUs, and neither a copy nor a matrix product was timed on it: its peaks are unknown",
        device.name
    );
    let link = best_link(times);
    let gpu = measured(Gpu {
        key: key_of(&device.name),
        label: device.name.clone(),
        name: device.name.clone(),
        compute_capability: format!("{major}.{minor}"),
        memory_bytes: 0,
        memory_reason: String::new(),
        memory_bandwidth,
        bf16_flops,
        fp8_flops,
        fp4_flops: 0.0,
        links: Links::Pcie,
        link_bandwidth: link.unwrap_or(UNKNOWN_LINK),
    });
    let of_link = if link.is_some() { "measured, too" } else { "an assumption (PCI Express 4)" };
    let note = format!(
        "The GPU is not a known one: its rates are the best that were measured here, not the maker's peaks, the link's is \
         {of_link}."
    );
    Ok((gpu, Some(note)))
}

/// The fastest product's operations per second; 0 if none was timed.
fn best_rate(times: &Times, storage: Storage) -> f64 {
    let mut best = 0.0;
    for (site, row) in times {
        if let Site::Product(matrix, its) = site
            && *its == storage
        {
            let rate = |(rows, time): (&u32, &Option<f64>)| {
                Some(2.0 * f64::from(*rows) * matrix.num_weights() as f64 / ((*time)? / 1e6))
            };
            best = ROWS.iter().zip(row).filter_map(rate).fold(best, f64::max);
        }
    }
    best
}

/// Bytes per second that each GPU sent in the fastest all-reduce around a ring.
fn best_link(times: &Times) -> Option<f64> {
    let mut best: Option<f64> = None;
    for (site, row) in times {
        if let Site::Collectives(num_ranks) = site {
            let ranks = f64::from(*num_ranks);
            for (bytes, time) in timed_sizes(super::sites::ALL_REDUCE_BYTES).into_iter().zip(row) {
                let rate = time.map(|time| 2.0 * (ranks - 1.0) / ranks * bytes as f64 / (time / 1e6));
                best = best.into_iter().chain(rate).reduce(f64::max);
            }
        }
    }
    best
}

/// A name of small letters, digits and dashes.
fn key_of(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty() && *word != "nvidia");
    let key = words.collect::<Vec<_>>().join("-");
    if key.is_empty() { "gpu".to_owned() } else { key }
}
