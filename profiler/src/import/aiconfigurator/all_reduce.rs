//! The package's all-reduces alone, for layer times of one rank that come from elsewhere.

use std::path::Path;

use anyhow::{Context as _, Result};
use sim_core::operators::gpu::Gpu;
use sim_core::operators::schema::CurveTable;
use sim_core::operators::series::Series;
use sim_core::profile::schema::Source;

use crate::import::packs;

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
        let (table, version, source) = packs::all_reduces(data, &gpu.key)?;
        let series = row(&table, num_devices)
            .with_context(|| format!("custom_allreduce_perf: num_gpus={num_devices} was not measured"))?;
        Ok(Self { series, version, source })
    }

    /// What a pass's all-reduces take together, in microseconds: after attention and after the MLP of each layer, and
    /// after the embedding.
    pub(crate) fn of_pass_us(&self, num_layers: u32, hidden_size: u32, num_tokens: u32) -> f64 {
        let times = 2.0 * f64::from(num_layers) + 1.0;
        times * self.series.at(f64::from(num_tokens) * f64::from(hidden_size))
    }

    /// For a profile's notes.
    pub(crate) fn note(&self, num_devices: u32) -> String {
        format!(
            "The all-reduces of {num_devices} ranks were measured apart from the layers, by {} {} under vLLM {}.",
            self.source.name, self.source.version, self.version
        )
    }
}

/// The times over `num_devices`.
fn row(table: &CurveTable, num_devices: u32) -> Option<Series> {
    let place = table.shapes.iter().position(|shape| shape.first() == Some(&num_devices))?;
    Series::of_row(&table.counts, table.time_us.get(place)?)
}
