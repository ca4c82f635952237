//! `profiler verify-run`.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sim_core::operators::Pack;
use sim_core::profile::Profile;

use super::profile::make_folder_of;
use crate::import::read_limited;
use crate::simulate::scenario_flags::RunFlags;
use crate::verify::metrics::store::write_whole;
use crate::verify::published::{self, Composer, Part};
use crate::verify::run::{VerifiedRun, read, verify};

/// Which profile, which runs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
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
    /// The engine's flags, and those of the workload where a result of `vllm bench serve` has no details
    #[command(flatten)]
    flags: RunFlags,
}

impl Args {
    /// True if every run is within the limits that are printed.
    pub(super) fn run(&self) -> Result<bool> {
        let Some(path) = &self.profile else { return self.compose() };
        let profile = Profile::from_json(&read_limited(path, Profile::MAX_BYTES)?);
        let mut profile = profile.with_context(|| path.display().to_string())?;
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

    /// Composes each row of a list.
    fn compose(&self) -> Result<bool> {
        let mut packs: BTreeMap<String, Pack> = BTreeMap::new();
        let mut rows = vec![];
        for path in &self.run {
            rows.extend(published::read(&read_limited(path, 8 << 20)?, self.part)?);
        }
        for (system, key) in crate::import::packs::SYSTEMS {
            let path = format!("/tmp/packs/{key}.json");
            if let Ok(bytes) = read_limited(Path::new(&path), Pack::MAX_BYTES) {
                packs.insert(system.to_owned(), Pack::from_json(&bytes)?);
            }
        }
        let pack = |system: &str| packs.get(system).with_context(|| format!("no pack of {system}"));
        let config = |model: &str, format: &str| {
            let name = match (model, format) {
                ("MiniMaxAI/MiniMax-M2.5", "fp8") => "minimax-fp8",
                ("MiniMaxAI/MiniMax-M2.5", _) => "minimax-nvfp4",
                ("moonshotai/Kimi-K2.5", "int4") => "kimi-int4",
                ("moonshotai/Kimi-K2.5", _) => "kimi-nvfp4",
                ("openai/gpt-oss-120b", _) => "gpt-oss",
                ("Qwen/Qwen3-235B-A22B-FP8", _) => "qwen235-fp8",
                ("Qwen/Qwen3-32B", "fp8") => "qwen32-fp8",
                ("Qwen/Qwen3-32B", _) => "qwen32",
                ("meta-llama/Llama-3.1-70B", "fp8") => "llama70-fp8",
                ("meta-llama/Llama-3.1-70B", _) => "llama70-nvfp4",
                _ => "llama8-fp8",
            };
            read_limited(Path::new(&format!("/tmp/rowmodels/{name}.json")), 1 << 20)
        };
        let report = Composer { pack: &pack, config: &config, change: &knobs }.run(&rows);
        let mut out = io::stdout().lock();
        if self.rows {
            write!(out, "{}", report.rows()?)?;
        }
        write!(out, "{}", report.table()?)?;
        Ok(true)
    }
}

fn knobs(profile: &mut Profile) {
    let Ok(text) = std::env::var("KNOBS") else { return };
    let k: Vec<f64> = text.split(',').map(|x| x.parse().unwrap_or(0.0)).collect();
    let g = |i: usize, d: f64| k.get(i).copied().unwrap_or(d);
    profile.host.between_passes.per_pass.time_us = g(0, 820.0);
    profile.host.between_passes.per_request.time_us = g(1, 4.0);
    let layers = f64::from(profile.model.num_hidden_layers);
    if let Some(outside) = &mut profile.host.outside_graphs {
        outside.share = g(2, 1.0) - 1.0;
        outside.per_pass.time_us = layers * g(3, 0.0);
    }
    let t = &mut profile.step_time;
    for (n, time) in t.non_attention.num_tokens.iter().zip(&mut t.non_attention.time_us) {
        if *n <= 512 { *time += layers * g(8, 0.0); }
    }
    let mut before = 0.0_f64;
    for time in &mut t.non_attention.time_us { before = before.max(*time); *time = before; }
    profile.front_end.request_latency.per_prompt_token.time_us = g(4, 2.3);
    profile.front_end.request_latency.per_request.time_us = g(5, 2000.0);
}
