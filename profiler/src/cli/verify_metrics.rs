//! `profiler verify-metrics`.

use std::fmt::Display;
use std::fs;
use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use sim_core::profile::Profile;

use crate::engine::{Engine, EngineFacts};
use crate::verify::metrics::report::{Limits, Report};
use crate::verify::metrics::table::Table;
use crate::verify::metrics::{NamedScript, Settings, plot, store, verify_metrics, workload_file, workloads};

/// Most runs of one workload.
const MAX_REPEATS: i64 = 1000;

/// What to compare, and where to write it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The profile to check.
    #[arg(long, value_name = "FILE")]
    profile: PathBuf,
    /// Runs of each workload on the engine.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=MAX_REPEATS))]
    repeats: u32,
    /// Seed of the workloads, of the order of the runs and of the confidence intervals.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Forward passes of a generated workload, roughly.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(24..=100_000))]
    num_passes: u32,
    /// Run these of the generated workloads [default: all, or none if --workload is given].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    generated: Vec<String>,
    /// Run the workload in this JSON file; may be given several times.
    #[arg(long, value_name = "FILE")]
    workload: Vec<PathBuf>,
    /// Largest mean |error| of TTFT that passes, in %.
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent)]
    max_ttft_error: f64,
    /// Largest mean |error| of TPOT that passes, in %.
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, value_parser = percent)]
    max_tpot_error: f64,
    /// Largest mean |error| of E2EL that passes, in %.
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, value_parser = percent)]
    max_e2el_error: f64,
    /// Resamples behind each confidence interval.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    num_resamples: u32,
    /// Write everything that was found to this file.
    #[arg(long, value_name = "FILE")]
    output_json: Option<PathBuf>,
    /// Draw simulated against measured times, and errors over forward passes, into this SVG file.
    #[arg(long, value_name = "FILE", value_parser = svg_path)]
    plot: Option<PathBuf>,
    /// Store the comparison in the profile's `validation`.
    #[arg(long)]
    store: bool,
}

fn percent(text: &str) -> Result<f64> {
    let percent: f64 = text.parse()?;
    ensure!((0.0..=1000.0).contains(&percent), "{text} must be from 0 to 1000");
    Ok(percent)
}

fn svg_path(text: &str) -> Result<PathBuf> {
    let path = PathBuf::from(text);
    match path.extension().map(|extension| extension.to_ascii_lowercase()) {
        Some(extension) if extension == "svg" => Ok(path),
        Some(extension) if extension == "png" => {
            bail!("PNG is not written: it would need a font inside this program; give a name that ends in .svg")
        }
        _ => bail!("only SVG is written; give a name that ends in .svg"),
    }
}

impl Args {
    /// Compares on `engine`, which is up, and prints the table to `out`; true if it passed.
    ///
    /// # Errors
    /// If an input is not what it should be, the engine fails, or an output cannot be written.
    pub(super) fn run_on(&self, engine: &mut dyn Engine, out: &mut dyn Write) -> Result<bool> {
        let mut profile = read_profile(&self.profile)?;
        let workloads = self.workloads(engine.facts())?;
        let limits = Limits {
            ttft_percent: self.max_ttft_error,
            tpot_percent: self.max_tpot_error,
            e2el_percent: self.max_e2el_error,
        };
        let settings = Settings { repeats: self.repeats, num_resamples: self.num_resamples, seed: self.seed, limits };
        let report = verify_metrics(engine, &profile, &workloads, settings, &mut tell)?;
        write!(out, "{}", Table(&report))?;
        self.write_files(&report, &mut profile)?;
        Ok(report.passed)
    }

    /// Generated workloads, then those of files.
    fn workloads(&self, facts: &EngineFacts) -> Result<Vec<NamedScript>> {
        let mut all = vec![];
        if !self.generated.is_empty() || self.workload.is_empty() {
            all = workloads::generate(facts, &self.generated, self.num_passes, self.seed)?;
        }
        for path in &self.workload {
            let workload = workload_file::read(path, facts, self.seed)?;
            let name = &workload.name;
            ensure!(all.iter().all(|other| other.name != *name), "{}: {name:?} is there twice", path.display());
            all.push(workload);
        }
        Ok(all)
    }

    fn write_files(&self, report: &Report, profile: &mut Profile) -> Result<()> {
        if let Some(path) = &self.output_json {
            let json = serde_json::to_string_pretty(report)?;
            store::write_whole(path, &format!("{json}\n"))?;
        }
        if let Some(path) = &self.plot {
            store::write_whole(path, &plot::svg(report)?)?;
        }
        if self.store {
            store::store(report, profile);
            let json = profile.to_json().with_context(|| self.profile.display().to_string())?;
            store::write_whole(&self.profile, &json)?;
        }
        Ok(())
    }
}

fn read_profile(path: &Path) -> Result<Profile> {
    let place = || path.display().to_string();
    Profile::from_json(&fs::read(path).with_context(place)?).with_context(place)
}

/// Progress, for those who wait.
#[expect(clippy::print_stderr, reason = "standard output is for the result")]
fn tell(what: &dyn Display) {
    if std::io::stderr().is_terminal() {
        eprintln!("{what}");
    }
}
