//! `profiler verify-run`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use sim_core::scenario::TextTokens;

use crate::input_file::{read_limited, read_profile};
use crate::output_file::{make_folder_of, write_whole};
use crate::simulate::scenario_flags::RunFlags;
use crate::simulate::token_counter::load_token_counter;
use crate::verify::published::{self, Part};
use crate::verify::run::{VerifiedRun, read, verify};

/// Which profile, which runs.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The profile that predicts [default: for a `silicon_sample.csv`, each row's is composed]
    #[arg(long, value_name = "PROFILE.json")]
    profile: Option<PathBuf>,
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
    /// Of a `silicon_sample.csv` whose profiles are composed, the rows that are read
    #[arg(long, value_enum, default_value = "all", conflicts_with = "profile")]
    part: Part,
    /// A line for each row of it, too
    #[arg(long, conflicts_with = "profile")]
    rows: bool,
    /// Simulate each row of it at both ends of its profile's range, too, and say how many measured values lie between
    #[arg(long, conflicts_with = "profile")]
    range: bool,
    /// Of a model's rows on a GPU, how good the one is that is simulated to give most
    #[arg(long, conflicts_with = "profile")]
    ranking: bool,
    /// The model's tokenizer.json: counts the tokens of sharegpt and custom prompts of a result
    #[arg(long, value_name = "PATH", requires = "profile")]
    tokenizer: Option<PathBuf>,
    /// What the runs' model is called, instead of what they say; the profile's name if it is that one
    #[arg(long, value_name = "NAME", requires = "profile")]
    model_name: Option<String>,
    /// The engine's flags, and of the workload what a result of `vllm bench serve` does not state
    #[command(flatten)]
    flags: RunFlags,
}

impl Args {
    /// True if every run is within the limits that are printed.
    pub(super) fn run(&self) -> Result<bool> {
        let Some(path) = &self.profile else { return self.compose() };
        let (mut profile, _) = read_profile(path)?;
        let mut runs = vec![];
        let counter = self.tokenizer.as_deref().map(load_token_counter).transpose()?;
        let counter = counter.as_ref().map(|count| count as TextTokens<'_>);
        for path in &self.run {
            runs.extend(read(path, &profile, &self.flags.scenario, counter)?);
        }
        if let Some(name) = &self.model_name {
            runs.iter_mut().for_each(|run| run.model.clone_from(name));
        }
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let verified = verify(&profile, &name, &runs)?;
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

    /// Composes each row of a list.
    fn compose(&self) -> Result<bool> {
        let mut rows = vec![];
        for path in &self.run {
            rows.extend(published::read(&read_limited(path, published::MAX_BYTES)?, self.part)?);
        }
        let report = published::run(&rows, self.range)?;
        let mut out = io::stdout().lock();
        if self.rows {
            write!(out, "{}", report.rows()?)?;
        }
        write!(out, "{}", report.table()?)?;
        if self.ranking {
            write!(out, "\n{}", report.ranking()?)?;
        }
        Ok(true)
    }
}
