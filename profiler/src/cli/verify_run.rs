//! `profiler verify-run`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use sim_core::profile::Profile;

use super::profile::make_folder_of;
use crate::import::read_limited;
use crate::simulate::scenario_flags::ScenarioFlags;
use crate::verify::metrics::store::write_whole;
use crate::verify::run::{VerifiedRun, read, verify};

/// Which profile, which runs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The profile that predicts
    #[arg(long, value_name = "PROFILE.json")]
    profile: PathBuf,
    /// Recorded runs: results of `vllm bench serve --save-result`, or folders with LLMServingSim's meta.json and
    /// requests.jsonl, or the `silicon_sample.csv` of aiconfigurator-core
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    run: Vec<PathBuf>,
    /// The profile with the runs' figures in its list of validations [default: none is written]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What is added to the workload in that list
    #[arg(long, value_name = "TEXT", requires = "output")]
    note: Option<String>,
    /// The engine's flags, and those of the workload where a result of `vllm bench serve` has no details
    #[command(flatten)]
    flags: ScenarioFlags,
}

impl Args {
    /// True if every run is within the limits that are printed.
    pub(super) fn run(&self) -> Result<bool> {
        let profile = Profile::from_json(&read_limited(&self.profile, Profile::MAX_BYTES)?);
        let mut profile = profile.with_context(|| self.profile.display().to_string())?;
        let mut runs = vec![];
        for path in &self.run {
            runs.extend(read(path, &profile, &self.flags.scenario)?);
        }
        let verified = verify(&profile, &runs)?;
        let mut out = io::stdout().lock();
        let mut gap = "";
        for run in &verified {
            write!(out, "{gap}{}", run.table()?)?;
            gap = "\n";
        }
        if let Some(output) = &self.output {
            let note = self.note.as_deref();
            profile.validation.runs.extend(verified.iter().flat_map(|run| run.validation(note)));
            profile.validate()?;
            let json = profile.to_json()?;
            make_folder_of(output)?;
            write_whole(output, &json).with_context(|| format!("{} cannot be written", output.display()))?;
            writeln!(out, "wrote {}: {} bytes", output.display(), json.len())?;
        }
        Ok(verified.iter().all(VerifiedRun::is_within_limits))
    }
}
