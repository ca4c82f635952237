//! `profiler models` and `profiler gpus`: what names there are.

use std::io::{self, Write as _};

use anyhow::Result;
use sim_core::models::{ModelSettings, ModelShape};
use sim_core::operators::gpu_table;

use crate::simulate::library::{PACKS, catalogue};

/// Which models.
#[derive(Debug, clap::Args)]
pub(super) struct ModelsArgs {
    /// Only those with this in their name
    part: Option<String>,
}

impl ModelsArgs {
    /// Prints a line for each model.
    pub(super) fn run(&self) -> Result<bool> {
        let part = self.part.as_deref().unwrap_or_default().to_lowercase();
        let mut out = io::stdout().lock();
        for entry in catalogue()?.entries().iter().filter(|entry| entry.name.to_lowercase().contains(&part)) {
            let shape = ModelShape::from_json(&entry.config_json(), &ModelSettings::default());
            let facts = shape.map_or_else(
                |error| error.to_string(),
                |shape| format!("{}, {} layers", shape.architecture, num_layers(&shape)),
            );
            writeln!(out, "{:<52} {facts}", entry.name)?;
        }
        Ok(true)
    }
}

fn num_layers(shape: &ModelShape) -> u32 {
    shape.layers.iter().map(|run| run.num_layers).sum()
}

/// Prints a line for each GPU.
pub(super) fn gpus() -> Result<bool> {
    const GIB: f64 = 1_073_741_824.0;
    let mut out = io::stdout().lock();
    writeln!(out, "{:<14} {:<18} {:>10} {:>10} {:>14}", "--gpu", "", "memory", "bandwidth", "bf16, dense")?;
    for gpu in gpu_table::known().into_iter().filter(|gpu| PACKS.iter().any(|(key, _)| *key == gpu.key)) {
        writeln!(
            out,
            "{:<14} {:<18} {:>6.1} GiB {:>5.2} TB/s {:>8.0} TFLOP/s",
            gpu.key,
            gpu.label,
            gpu.memory_bytes as f64 / GIB,
            gpu.memory_bandwidth / 1e12,
            gpu.bf16_flops / 1e12
        )?;
    }
    Ok(true)
}
