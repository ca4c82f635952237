//! `profiler import llmservingsim`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use sim_core::models::ModelConfig;
use sim_core::scenario::Scenario;

use crate::import::assemble::assemble;
use crate::import::llmservingsim::Folder;
use crate::input_file::{Wanted, check, read_limited};
use crate::output_file::{make_folder_of, write_whole};
use crate::simulate::model_length;
use crate::simulate::model_source::ModelName;

/// What is imported, and where the profile goes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder with the three tables (attention.csv and so on); meta.yaml stands there or one level up.
    folder: PathBuf,
    /// The config.json of the model that was measured.
    #[arg(long, value_name = "CONFIG.json")]
    model: PathBuf,
    #[command(flatten)]
    model_name: ModelName,
    /// Longest sequence of the profile; -1 or auto for the longest that fits [default: the model's]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    max_model_len: Option<String>,
    /// For a folder of one of several ranks (tp2, tp4, …): the Python package aiconfigurator-core, installed or as wheel,
    /// whose all-reduces of the same device are taken.
    #[arg(long, value_name = "PACKAGE")]
    all_reduce: Option<PathBuf>,
    /// The profile that is written [default: standard output].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The date in the profile [default: today].
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<jiff::civil::Date>,
}

impl Args {
    /// Imports, writes the profile, and tells what smoothing changed.
    pub(super) fn run(&self) -> Result<bool> {
        let config = read_limited(&self.model, ModelConfig::MAX_BYTES)?;
        check(&self.model, &config, Wanted::ModelConfig)?;
        let folder = Folder::read(&self.folder)?;
        let parts =
            folder.import(&config, self.all_reduce.as_deref()).with_context(|| self.folder.display().to_string())?;
        let date = self.date.unwrap_or_else(|| jiff::Zoned::now().date()).to_string();
        let mut profile = assemble(parts, &date)?;
        if let Some(name) = &self.model_name.model_name {
            profile.model.name.clone_from(name);
        }
        let mut flags = Scenario::default();
        if let Some(length) = &self.max_model_len {
            flags.set("max-model-len", Some(length))?;
        }
        model_length::settle(&mut profile, &flags)?;
        let json = profile.to_json()?;
        let mut out = io::stdout().lock();
        let Some(output) = &self.output else {
            out.write_all(json.as_bytes())?;
            return Ok(true);
        };
        make_folder_of(output)?;
        write_whole(output, &json).with_context(|| format!("{} cannot be written", output.display()))?;
        for record in &profile.smoothing {
            let (max, mean) = (100.0 * record.max_relative_change, 100.0 * record.mean_relative_change);
            let (table, changed) = (&record.table, record.num_changed);
            writeln!(out, "{table}: {changed} points changed, at most {max:.1} %, {mean:.2} % on average")?;
        }
        if let Some(mixed) = &profile.step_time.mixed_batch {
            writeln!(out, "mixed_batch: decode_term_factor {}", mixed.decode_term_factor)?;
        }
        writeln!(out, "wrote {}: {} bytes", output.display(), json.len())?;
        Ok(true)
    }
}
