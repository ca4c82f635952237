//! The package's all-reduces alone, for layer times of one rank that come from elsewhere.

use std::path::Path;

use anyhow::{Context as _, Result};
use sim_core::profile::schema::Source;

use super::layer::allreduce_series;
use super::package::Package;
use super::series::Series;
use crate::import::gpus::Gpu;

/// Times of all-reduces over a number of devices, with where they come from.
#[derive(Debug)]
pub(crate) struct AllReduces {
    series: Series,
    version: String,
    pub(crate) source: Source,
}

impl AllReduces {
    /// Reads the times of `num_devices` of `gpu` in the package at `data`, of the newest version of vLLM that has tables.
    ///
    /// # Errors
    /// If the package cannot be read or has no such times.
    pub(crate) fn read(data: &Path, gpu: &Gpu, num_devices: u32) -> Result<Self> {
        let system = gpu.system.with_context(|| format!("aiconfigurator-core has no tables of {}", gpu.name))?;
        let mut package = Package::open(data, system)?;
        let version = package.choose_versions(None)?.tables;
        let files = package.read("custom_allreduce_perf", &version)?;
        let series = allreduce_series(&files, num_devices)?;
        Ok(Self { series, version: version.to_string(), source: super::source(&package) })
    }

    /// What a pass's all-reduces take together, in microseconds: after attention and after the MLP of each layer, and
    /// after the embedding.
    pub(crate) fn of_pass_us(&self, num_layers: u32, hidden_size: u32, num_tokens: u32) -> f64 {
        let times = 2.0 * f64::from(num_layers) + 1.0;
        times * self.series.smooth_at(f64::from(num_tokens) * f64::from(hidden_size))
    }

    /// For a profile's notes.
    pub(crate) fn note(&self, num_devices: u32) -> String {
        format!(
            "The all-reduces of {num_devices} ranks were measured apart from the layers, by {} {} under vLLM {}.",
            self.source.name, self.source.version, self.version
        )
    }
}
