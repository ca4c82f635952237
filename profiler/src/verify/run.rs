//! Runs of real servers that somebody recorded, simulated, and both side by side; nothing is fitted.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use sim_core::profile::Profile;
use sim_core::profile::schema::ValidationRun;
use sim_core::scenario::{Scenario, TextTokens};

use crate::import::calibrate::inferencex;
use crate::import::fit::runs::{Compared, Run, Statistic};
use crate::import::gpus;
use crate::import::llmservingsim;
use crate::import::packs::system_of;
use crate::import::vllm_bench::{self, result};
use crate::input_file::{Wanted, explained, read_limited};

/// The relative error of the number of KV blocks that a user is told to expect at most.
const BLOCKS_LIMIT: f64 = 0.02;

/// A run and its simulation.
#[derive(Debug)]
pub(crate) struct VerifiedRun {
    name: String,
    compared: Vec<Compared>,
    /// Measured and predicted.
    num_gpu_blocks: Option<(u32, u32)>,
    /// Measured and simulated, in seconds.
    duration: Option<(f64, f64)>,
    /// What was assumed, in sentences.
    notes: Vec<String>,
}

/// Reads recordings: folders of LLMServingSim (`meta.json` and `requests.jsonl`), results of `vllm bench serve`, and of a
/// `silicon_sample.csv` (see [`inferencex`]) what was measured on the profile's devices. `flags` are the engine's and the
/// workload's where the recording does not tell them; `counter` counts the tokens of a dataset's texts.
///
/// # Errors
/// If one is not what it should be.
pub(crate) fn read(
    path: &Path,
    profile: &Profile,
    flags: &Scenario,
    counter: Option<TextTokens<'_>>,
) -> Result<Vec<Run>> {
    let name = path.display();
    let is_list = path.extension().is_some_and(|extension| extension == "csv");
    if (is_list || path.is_dir()) && flags.given().next().is_some() {
        bail!("{name}: what the engine's flags were is known; give none");
    }
    if is_list {
        let hardware = &profile.hardware;
        let system = gpus::of_name(&hardware.name).and_then(|gpu| system_of(&gpu.key));
        let system = system.with_context(|| format!("{name}: nothing of {}", hardware.name))?;
        let wanted = inferencex::Wanted { system, tensor_parallel_size: profile.engine.tensor_parallel_size };
        let bytes = read_limited(path, inferencex::MAX_BYTES)?;
        let mut runs = inferencex::read(&bytes, Some(wanted)).with_context(|| name.to_string())?;
        let model = &profile.model;
        if (model.num_hidden_layers, model.hidden_size) == inferencex::LAYERS_AND_WIDTH {
            // Later versions of the model have the same shapes under another name.
            runs.iter_mut().for_each(|run| run.model.clone_from(&model.name));
        }
        return Ok(runs);
    }
    if path.is_dir() {
        let file = |file: &str| read_limited(&path.join(file), llmservingsim::run::MAX_BYTES);
        let run = llmservingsim::run::read(&file("meta.json")?, &file("requests.jsonl")?);
        return Ok(vec![run.with_context(|| name.to_string())?]);
    }
    let bytes = read_limited(path, result::MAX_BYTES)?;
    let results = result::read(&bytes).map_err(|fault| explained(path, &bytes, Wanted::BenchResult, fault))?;
    let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let names = vllm_bench::names(&file, results.len());
    names.zip(&results).map(|(name, result)| vllm_bench::run(&name, result, flags, counter)).collect()
}

/// Simulates each run on `profile`, the one of this name: with the recorded number of KV blocks if there is one, so that
/// latencies are not blamed for it, beside which the predicted number stands.
///
/// # Errors
/// If one is of another model, cannot be simulated, or was simulated on this very profile and does not come out again.
pub(crate) fn verify(profile: &Profile, profile_name: &str, runs: &[Run]) -> Result<Vec<VerifiedRun>> {
    runs.iter().map(|run| verify_one(profile, profile_name, run)).collect()
}

fn verify_one(profile: &Profile, profile_name: &str, run: &Run) -> Result<VerifiedRun> {
    run.check_model(profile)?;
    let name = run.name.clone();
    let predicted = run.engine.resolve(&run.counting_memory_as_then(profile)).with_context(|| name.clone())?;
    let mut run = run.clone();
    if let Some(blocks) = run.num_gpu_blocks {
        run.engine.set("num-gpu-blocks-override", Some(&blocks.to_string()))?;
    }
    let repeated = run.repeat(profile, 1.0)?;
    ensure!(!repeated.compared.is_empty(), "{name}: it says no latency");
    let num_gpu_blocks = run.num_gpu_blocks.map(|measured| (measured, predicted.config.num_gpu_blocks));
    let mut notes = run.told.notes.clone();
    notes.extend(run.check_digest(profile_name, repeated.digest)?);
    let duration = run.told.duration.map(|measured| (measured, repeated.duration));
    Ok(VerifiedRun { name, compared: repeated.compared, num_gpu_blocks, duration, notes })
}

impl VerifiedRun {
    /// Whether every mean and the number of blocks are within their limits.
    pub(crate) fn is_within_limits(&self) -> bool {
        let is_far = |one: &Compared| {
            one.metric.statistic == Statistic::Mean && one.error().abs() > one.metric.latency.tolerance()
        };
        !self.compared.iter().any(is_far) && self.blocks_error().is_none_or(|error| error.abs() <= BLOCKS_LIMIT)
    }

    fn blocks_error(&self) -> Option<f64> {
        self.num_gpu_blocks.map(|(measured, predicted)| f64::from(predicted) / f64::from(measured.max(1)) - 1.0)
    }

    /// For a profile's list of what it was tried on; `note` is added to the workload.
    pub(crate) fn validation(&self, note: Option<&str>) -> Vec<ValidationRun> {
        let means = self.compared.iter().filter(|one| one.metric.statistic == Statistic::Mean);
        let of_mean = |one: &Compared| ValidationRun {
            workload: note.map_or_else(|| self.name.clone(), |note| format!("{} ({note})", self.name)),
            metric: one.metric.name.clone(),
            measured: one.measured,
            predicted: one.simulated,
        };
        means.map(of_mean).collect()
    }

    /// A table: milliseconds, and the limit of a mean.
    pub(crate) fn table(&self) -> Result<String> {
        let mut text = String::new();
        writeln!(text, "{}", self.name)?;
        for note in &self.notes {
            writeln!(text, "{note}.")?;
        }
        writeln!(text, "{:<20} {:>12} {:>12} {:>9} {:>9}", "", "measured", "simulated", "error", "limit")?;
        for one in &self.compared {
            let (name, measured, simulated) = (&one.metric.name, one.measured, one.simulated);
            let error = 100.0 * one.error();
            write!(text, "{name:<20} {measured:>12.2} {simulated:>12.2} {error:>+7.1} %")?;
            if one.metric.statistic == Statistic::Mean {
                write!(text, " {}", verdict(one.error(), one.metric.latency.tolerance()))?;
            }
            writeln!(text)?;
        }
        if let Some((measured, simulated)) = self.duration {
            let error = 100.0 * (simulated / measured.max(1e-9) - 1.0);
            writeln!(text, "{:<20} {measured:>12.2} {simulated:>12.2} {error:>+7.1} %", "duration (s)")?;
        }
        if let (Some((measured, predicted)), Some(error)) = (self.num_gpu_blocks, self.blocks_error()) {
            let verdict = verdict(error, BLOCKS_LIMIT);
            let error = 100.0 * error;
            writeln!(text, "{:<20} {measured:>12} {predicted:>12} {error:>+7.1} % {verdict}", "num_gpu_blocks")?;
        }
        Ok(text)
    }
}

fn verdict(error: f64, limit: f64) -> String {
    let is_far = error.abs() > limit;
    format!("{:>7.0} %{}", 100.0 * limit, if is_far { "  beyond" } else { "" })
}
