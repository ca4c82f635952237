//! `profiler import vllm-bench`.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use sim_core::profile::Profile;

use super::profile::make_folder_of;
use crate::import::read_limited;
use crate::import::vllm_bench::{fit_results, result};
use crate::simulate::scenario_flags::RunFlags;
use crate::verify::metrics::store::write_whole;

/// The profile, the results, and the engine they were measured on.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The profile whose terms are fitted.
    #[arg(long, value_name = "PROFILE.json")]
    profile: PathBuf,
    /// Results of `vllm bench serve --save-result` for this profile's configuration; more loads tell more terms apart.
    #[arg(long, value_name = "RESULT.json", required = true, num_args = 1..)]
    result: Vec<PathBuf>,
    /// The profile that is written [default: none, only the figures].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What the results' model is called, instead of what they say; the profile's name if it is that one.
    #[arg(long, value_name = "NAME")]
    model_name: Option<String>,
    /// The engine's flags, and those of the workload where the results have no details.
    #[command(flatten)]
    flags: RunFlags,
}

impl Args {
    /// Fits, prints, and writes the profile.
    pub(super) fn run(&self) -> Result<bool> {
        let path = self.profile.display();
        let profile = Profile::from_json(&read_limited(&self.profile, Profile::MAX_BYTES)?);
        let profile = profile.with_context(|| path.to_string())?;
        let mut results = vec![];
        for path in &self.result {
            let found = result::read(&read_limited(path, result::MAX_BYTES)?);
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let found = found.with_context(|| path.display().to_string())?;
            results.extend(found.into_iter().map(|result| (name.clone(), result)));
        }
        if let Some(model) = &self.model_name {
            results.iter_mut().for_each(|(_, result)| result.model_id.clone_from(model));
        }
        let fitted = fit_results(&profile, &results, &self.flags.scenario)?;
        let mut out = io::stdout().lock();
        write!(out, "{}", fitted.report)?;
        if let Some(output) = &self.output {
            let json = fitted.profile.to_json()?;
            make_folder_of(output)?;
            write_whole(output, &json).with_context(|| format!("{} cannot be written", output.display()))?;
            let size = fs::metadata(output).map_or(0, |metadata| metadata.len());
            writeln!(out, "wrote {}: {size} bytes", output.display())?;
        }
        Ok(true)
    }
}
