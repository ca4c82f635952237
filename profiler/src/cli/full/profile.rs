//! `profiler profile`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sim_core::profile::Profile;

use super::profile_operators;
use crate::cuda;
use crate::engine::Engine;
use crate::measure::{Measured, Options, measure};
use crate::output_file::{make_folder_of, write_whole};
use crate::server::session::Timeouts;
use crate::server::verify::{measure_server, progress_line};
use crate::vllm::{EngineOptions, VllmEngine};

const DEFAULT_PRECISION: f64 = 0.01;
/// As long as `verify-serve` waits by itself.
const SERVER_TIMEOUT: Duration = Duration::from_secs(600);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum EngineKind {
    /// The vLLM installed beside this program.
    #[default]
    Vllm,
    /// This program's own operators on a GPU, without vLLM: a profile of kind `derived`. Takes the scheduler's flags of
    /// `vllm serve`, --dtype, --quantization fp8, --kv-cache-dtype fp8, --enforce-eager and --tensor-parallel-size (one
    /// rank's operators on one GPU, plus NCCL's collectives timed over all).
    Cuda,
}

/// What is measured, for how long, and where the profile goes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// What is measured.
    #[arg(long, value_enum, default_value_t)]
    engine: EngineKind,
    #[command(flatten)]
    vllm: EngineOptions,
    /// With --engine vllm: start `vllm serve` afterwards with the same flags and measure into the profile what its front
    /// end takes and works, its time between passes, and by how much passes differ.
    #[arg(long, conflicts_with_all = ["operators", "check_kernels"])]
    front_end: bool,
    /// With --engine cuda: the number of the GPU, with --tensor-parallel-size that of the first.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    cuda_device: usize,
    /// With --engine cuda: compare the kernels with their references, print how far they are off, how fast the large
    /// operators are and whether they reach their targets, and stop.
    #[arg(long)]
    check_kernels: bool,
    /// With --engine cuda: time single operators instead of a model's passes, and write an operator pack, from which
    /// `simulate --gpu PACK.json` composes profiles of many models.
    #[arg(long)]
    operators: bool,
    /// With --operators: how long each number format is multiplied in without a pause, to see what the GPU keeps up when
    /// its clock falls; beside the time budget. 0 leaves that out.
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "operators", value_parser = parse_load_time)]
    load_time: Duration,
    /// With --operators: the GPU's name in flags and files [default: its own if it is a known one].
    #[arg(long, value_name = "KEY", requires = "operators")]
    gpu_key: Option<String>,
    /// The profile that is written; with --operators the pack.
    #[arg(long, value_name = "FILE", required_unless_present = "check_kernels")]
    output: Option<PathBuf>,
    /// Time to spend on measuring, such as 600, 90s, 20m or 2h. What an earlier start spent counts.
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = parse_time)]
    time_budget: Duration,
    /// A point is certain when its median is known this well, as a share (95 % confidence).
    #[arg(long, value_name = "SHARE", default_value_t = DEFAULT_PRECISION, value_parser = parse_share)]
    precision: f64,
    /// Longest sequence that is measured, if shorter than the engine's --max-model-len.
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(64..))]
    max_context: Option<u32>,
    /// What all random choices follow from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where every measurement is written down, to go on after an end [default: the output with .journal.jsonl].
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Forget what the journal holds.
    #[arg(long)]
    fresh: bool,
}

impl Args {
    /// Measures the engine, writes the profile, and tells what came of it.
    pub(super) fn run(&self) -> Result<bool> {
        let out = &mut io::stdout().lock();
        if self.check_kernels {
            ensure!(self.engine == EngineKind::Cuda, "--check-kernels is for --engine cuda");
            let (is_right, table) = cuda::start::check_kernels(self.cuda_device)?;
            write!(out, "{table}")?;
            return Ok(is_right);
        }
        let output = self.output.as_deref().context("--output is needed")?;
        if self.operators {
            ensure!(self.engine == EngineKind::Cuda, "--operators is for --engine cuda");
            ensure!(
                self.vllm.flags.is_empty(),
                "{}: --operators takes no flags of `vllm serve`: a pack is for all of them",
                self.vllm.flags.join(" ")
            );
            return profile_operators::run(&self.operator_options(output), self.cuda_device, output, out);
        }
        ensure!(!self.front_end || self.engine == EngineKind::Vllm, "--front-end is for --engine vllm");
        let options = self.options(output, load_per_processor());
        // Rather now than after the measurement.
        make_folder_of(output)?;
        match self.engine {
            EngineKind::Vllm => {
                let mut engine = VllmEngine::start(&self.vllm)?;
                let profile = measure_into(&mut engine, &options, output, out)?;
                drop(engine);
                if self.front_end {
                    self.measure_front_end(profile, output, out)?;
                }
            }
            EngineKind::Cuda => {
                let mut engine = cuda::start::start(&self.vllm.model, &self.vllm.flags, self.cuda_device)?;
                let mut measured = measure(&mut engine, &options)?;
                cuda::provenance::relabel(&mut measured.profile, engine.history(), &engine.facts().versions);
                write_measured(&measured, output, out)?;
            }
        }
        Ok(true)
    }

    /// Adds to `profile`, which is in `output`, what only a server shows.
    fn measure_front_end(&self, mut profile: Profile, output: &Path, out: &mut dyn Write) -> Result<()> {
        let timeouts = Timeouts { server: SERVER_TIMEOUT, request: REQUEST_TIMEOUT };
        let bar = progress_line(false);
        let measured = measure_server(&self.vllm, &mut profile, timeouts, self.seed, &bar);
        bar.finish_and_clear();
        measured.with_context(|| format!("{} holds what was measured before", output.display()))?;
        write_whole(output, &profile.to_json()?).with_context(|| output.display().to_string())?;
        writeln!(out, "wrote the front end into {}", output.display())?;
        Ok(())
    }

    fn operator_options(&self, output: &Path) -> cuda::alone::Options {
        cuda::alone::Options {
            time_budget: self.time_budget,
            load_time: self.load_time,
            journal: self.journal.clone().unwrap_or_else(|| beside(output)),
            fresh: self.fresh,
            show_progress: true,
            gpu_key: self.gpu_key.clone(),
            date: jiff::Zoned::now().strftime("%Y-%m-%d").to_string(),
        }
    }

    fn options(&self, output: &Path, load_before: Option<f64>) -> Options {
        Options {
            time_budget: self.time_budget,
            precision: self.precision,
            max_context: self.max_context,
            seed: self.seed,
            journal: self.journal.clone().unwrap_or_else(|| beside(output)),
            fresh: self.fresh,
            load_before,
            show_progress: true,
        }
    }
}

/// Options for a profile that is to be written to `output`, all else as by default. To be asked before the engine is
/// started, which is a load itself.
pub(super) fn default_options(output: &Path, time_budget: Duration, seed: u64) -> Options {
    Options {
        time_budget,
        precision: DEFAULT_PRECISION,
        max_context: None,
        seed,
        journal: beside(output),
        fresh: false,
        load_before: load_per_processor(),
        show_progress: true,
    }
}

/// Measures `engine`, writes the profile to `output`, and tells `out` what came of it.
pub(super) fn measure_into(
    engine: &mut dyn Engine,
    options: &Options,
    output: &Path,
    out: &mut dyn Write,
) -> Result<Profile> {
    let measured = measure(engine, options)?;
    write_measured(&measured, output, out)?;
    Ok(measured.profile)
}

fn write_measured(measured: &Measured, output: &Path, out: &mut dyn Write) -> Result<()> {
    let json = measured.profile.to_json()?;
    write_whole(output, &json).with_context(|| format!("{} cannot be written", output.display()))?;
    writeln!(out, "{}wrote {}", measured.report, output.display())?;
    Ok(())
}

fn beside(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".journal.jsonl");
    name.into()
}

/// The last minute's running programs per processor; `None` where the system does not tell.
fn load_per_processor() -> Option<f64> {
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = load.split_whitespace().next()?.parse().ok()?;
    let num_processors = std::thread::available_parallelism().ok()?.get();
    Some(load / num_processors as f64)
}

pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit_seconds) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) if text.ends_with('m') => (number, 60),
        Some(number) if text.ends_with('h') => (number, 3600),
        Some(number) => (number, 1),
        None => (text, 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_seconds));
    let seconds = seconds.filter(|&seconds| seconds > 0);
    seconds.map(Duration::from_secs).ok_or_else(|| "give a time such as 600, 90s, 20m or 2h".to_owned())
}

/// The longest load: a clock has settled long before.
const MOST_LOAD: Duration = Duration::from_secs(600);

fn parse_load_time(text: &str) -> Result<Duration, String> {
    let time = if text == "0" { Ok(Duration::ZERO) } else { parse_time(text) }?;
    if time <= MOST_LOAD { Ok(time) } else { Err(format!("give 0 or at most {}s", MOST_LOAD.as_secs())) }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0001..=1.0).contains(share));
    share.ok_or_else(|| "give a share from 0.0001 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse_share, parse_time};

    #[track_caller]
    fn check(text: &str, seconds: Option<u64>) {
        assert_eq!(parse_time(text).ok(), seconds.map(Duration::from_secs), "{text}");
    }

    #[test]
    fn a_time_is_seconds_unless_it_says_otherwise() {
        check("600", Some(600));
        check("90s", Some(90));
        check("20m", Some(1200));
        check("2h", Some(7200));
        for wrong in ["", "m", "0", "-1", "1.5m", "3d", "18446744073709551615h"] {
            check(wrong, None);
        }
    }

    #[test]
    fn a_precision_is_a_share() {
        assert_eq!(parse_share("0.02"), Ok(0.02));
        assert!(["0", "2", "NaN", ""].iter().all(|wrong| parse_share(wrong).is_err()), "accepted a wrong share");
    }
}
