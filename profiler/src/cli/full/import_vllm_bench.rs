//! `profiler import vllm-bench`.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use sim_core::scenario::TextTokens;

use crate::import::vllm_bench::{fit_results, names, result};
use crate::input_file::{Wanted, explained, read_limited, read_profile};
use crate::output_file::{make_folder_of, write_whole};
use crate::simulate::scenario_flags::RunFlags;
use crate::simulate::token_counter::load_token_counter;

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
    /// The model's tokenizer.json: counts the tokens of sharegpt and custom prompts of a result.
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// What the results' model is called, instead of what they say; the profile's name if it is that one.
    #[arg(long, value_name = "NAME")]
    model_name: Option<String>,
    /// The engine's flags, and of the workload what the results do not state.
    #[command(flatten)]
    flags: RunFlags,
}

impl Args {
    /// Fits, prints, and writes the profile.
    pub(super) fn run(&self) -> Result<bool> {
        let (profile, _) = read_profile(&self.profile)?;
        let mut results = vec![];
        for path in &self.result {
            let file = read_limited(path, result::MAX_BYTES)?;
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let found = result::read(&file).map_err(|fault| explained(path, &file, Wanted::BenchResult, fault))?;
            results.extend(names(&name, found.len()).collect::<Vec<_>>().into_iter().zip(found));
        }
        if let Some(model) = &self.model_name {
            results.iter_mut().for_each(|(_, result)| result.model_id.clone_from(model));
        }
        let counter = self.tokenizer.as_deref().map(load_token_counter).transpose()?;
        let counter = counter.as_ref().map(|count| count as TextTokens<'_>);
        let profile_name =
            self.profile.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let fitted = fit_results(&profile, &profile_name, &results, &self.flags.scenario, counter)?;
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
