//! `profiler compose`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use sim_core::scenario::DEFAULT_GPU;

use crate::output_file::{make_folder_of, write_whole};
use crate::simulate::inputs::Inputs;
use crate::simulate::model_length;
use crate::simulate::model_source::ModelName;
use crate::simulate::report::explain_memory;
use crate::simulate::scenario_flags::CompositionFlags;

/// What is composed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model_name: ModelName,
    #[command(flatten)]
    flags: CompositionFlags,
    /// The profile that is written [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Args {
    /// Composes, writes the profile, and tells what to know of it.
    pub(super) fn run(&self) -> Result<bool> {
        let mut scenario = self.flags.scenario.clone();
        if scenario.composition().is_none() {
            scenario.set("gpu", Some(DEFAULT_GPU))?;
        }
        let mut profile = Inputs::new(&scenario, None, None, &self.model_name)?.choice.profile;
        model_length::settle(&mut profile, &scenario)?;
        let json = profile.to_json()?;
        let mut out = io::stdout().lock();
        let Some(output) = &self.output else {
            out.write_all(json.as_bytes())?;
            return Ok(true);
        };
        make_folder_of(output)?;
        write_whole(output, &json).with_context(|| format!("{} cannot be written", output.display()))?;
        write!(out, "{}", explain_memory(&profile))?;
        writeln!(out, "wrote {}: {} bytes", output.display(), json.len())?;
        Ok(true)
    }
}
