//! `profiler verify-metrics`.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sim_core::profile::Profile;

use super::profile;
use crate::engine::{Engine, EngineFacts};
use crate::input_file::read_profile;
use crate::output_file::{make_folder_of, write_whole};
use crate::verify::metrics::report::{Limits, Report};
use crate::verify::metrics::table::Table;
use crate::verify::metrics::{NamedScript, Settings, plot, store, verify_metrics, workload_file, workloads};
use crate::vllm::{EngineOptions, VllmEngine};

/// Most runs of one workload.
const MAX_REPEATS: i64 = 1000;

/// What to compare, and where to write it.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The profile to check
    #[arg(long, value_name = "FILE", required_unless_present = "measure")]
    profile: Option<PathBuf>,
    /// Measure a profile of this engine first, write it to this file, and check that one
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    measure: Option<PathBuf>,
    /// Time to spend on that measurement
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = profile::parse_time)]
    time_budget: Duration,
    /// Runs of each workload on the engine.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=MAX_REPEATS))]
    repeats: u32,
    /// Seed of the workloads, of the order of the runs and of the confidence intervals.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Forward passes of a generated workload, roughly.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(24..=100_000))]
    num_passes: u32,
    /// Draws of each generated workload, in turn as long as above, twice and four times as long: a slope over passes needs
    /// many workloads and requests of many lengths.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    draws: u32,
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
    /// Draw simulated against measured times, and errors over forward passes, into this file: .svg or .png.
    #[arg(long, value_name = "FILE", value_parser = plot_path)]
    plot: Option<PathBuf>,
    /// Store the comparison in the profile's `validation`.
    #[arg(long)]
    store: bool,
    #[command(flatten)]
    engine: EngineOptions,
}

fn percent(text: &str) -> Result<f64> {
    let percent: f64 = text.parse()?;
    ensure!((0.0..=1000.0).contains(&percent), "{text} must be from 0 to 1000");
    Ok(percent)
}

fn plot_path(text: &str) -> Result<PathBuf> {
    let path = PathBuf::from(text);
    ensure!(has_extension(&path, "svg") || has_extension(&path, "png"), "give a name that ends in .svg or .png");
    Ok(path)
}

fn has_extension(path: &Path, expected: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(expected))
}

impl Args {
    /// Starts the engine and compares.
    pub(super) fn run(&self) -> Result<bool> {
        // Rather now than after an hour.
        let given = self.profile.as_deref().map(read_profile).transpose()?.map(|(profile, _)| profile);
        let options =
            self.measure.as_deref().map(|output| profile::default_options(output, self.time_budget, self.seed));
        self.measure.as_deref().map_or(Ok(()), make_folder_of)?;
        let mut engine = VllmEngine::start(&self.engine)?;
        let mut out = std::io::stdout().lock();
        let profile = match (given, &self.measure, &options) {
            (Some(profile), ..) => profile,
            (None, Some(output), Some(options)) => profile::measure_into(&mut engine, options, output, &mut out)?,
            _ => bail!("neither --profile nor --measure is given"),
        };
        self.run_on(profile, &mut engine, &mut out)
    }

    /// Compares on `engine`, which is up, and prints the table to `out`; true if it passed.
    ///
    /// # Errors
    /// If an input is not what it should be, the engine fails, or an output cannot be written.
    fn run_on(&self, mut profile: Profile, engine: &mut dyn Engine, out: &mut dyn Write) -> Result<bool> {
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
            for draw in 0..self.draws {
                let num_passes = self.num_passes.saturating_mul(1 << (draw % 3));
                let seed = self.seed.wrapping_add(u64::from(draw) << 32);
                let mut drawn = workloads::generate(facts, &self.generated, num_passes, seed)?;
                if draw > 0 {
                    drawn.iter_mut().for_each(|workload| workload.name = format!("{}-{}", workload.name, draw + 1));
                }
                all.extend(drawn);
            }
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
            write_whole(path, format!("{json}\n"))?;
        }
        if let Some(path) = &self.plot {
            let picture = if has_extension(path, "png") { plot::png(report)? } else { plot::svg(report)?.into_bytes() };
            write_whole(path, picture)?;
        }
        if let Some(path) = self.profile.as_ref().or(self.measure.as_ref()).filter(|_| self.store) {
            store::store(report, profile);
            let json = profile.to_json().with_context(|| path.display().to_string())?;
            write_whole(path, &json)?;
        }
        Ok(())
    }
}

/// Progress, for those who wait.
#[expect(clippy::print_stderr, reason = "standard output is for the result")]
fn tell(what: &dyn Display) {
    if std::io::stderr().is_terminal() {
        eprintln!("{what}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser as _;
    use sim_core::profile::SyntheticCosts;

    use super::*;
    use crate::engine::mock::MockEngine;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(flags: &[&str]) -> Result<Args, String> {
        let line = ["verify-metrics", "--profile", "p.json"].into_iter().chain(flags.iter().copied());
        Line::try_parse_from(line).map(|line| line.args).map_err(|error| error.to_string())
    }

    /// A fresh folder of this test.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("verify-metrics-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("writable");
        folder
    }

    #[test]
    fn everything_asked_for_is_written() {
        let folder = folder("outputs");
        let mut profile = SyntheticCosts { max_model_len: 512, ..SyntheticCosts::default() }.profile();
        (profile.engine.max_num_seqs, profile.engine.max_num_batched_tokens) = (8, 256);
        let [profile_path, workload, json, plot] =
            ["p.json", "own.json", "out.json", "out.svg"].map(|n| folder.join(n));
        fs::write(&profile_path, profile.to_json().expect("valid")).expect("writable");
        fs::write(&workload, r#"{"requests": [{"prompt_len": 9, "max_tokens": 3}]}"#).expect("writable");
        let mut args = parse(&["--generated", "steady-light,bursts", "--num-passes", "48", "--store"]).expect("flags");
        args.profile = Some(profile_path.clone());
        args.workload.push(workload);
        (args.output_json, args.plot) = (Some(json.clone()), Some(plot.clone()));
        let mut out = vec![];
        let mut engine = MockEngine::new(&profile, 400, 0.0, 0);
        assert!(
            args.run_on(profile.clone(), &mut engine, &mut out).expect("a comparison"),
            "no noise, and the very profile"
        );
        let table = String::from_utf8(out).expect("text");
        assert!(table.ends_with("verify-metrics passed.\n"), "{table}");
        let json: serde_json::Value = serde_json::from_slice(&fs::read(json).expect("written")).expect("JSON");
        let names: Vec<_> = json["workloads"].as_array().into_iter().flatten().map(|w| w["name"].clone()).collect();
        assert_eq!(names, ["steady-light", "bursts", "own"]);
        assert_eq!(json["metrics"][0]["verdict"], "within_limit");
        assert!(fs::read_to_string(plot).expect("written").starts_with("<svg"), "a picture");
        let stored = Profile::from_json(&fs::read(&profile_path).expect("written")).expect("still a profile");
        assert_eq!(stored.validation.runs.len(), 3 * 7, "three workloads, seven numbers each");
        let mut left: Vec<_> =
            fs::read_dir(&folder).expect("there").map(|entry| entry.expect("there").file_name()).collect();
        left.sort();
        assert_eq!(left, ["out.json", "out.svg", "own.json", "p.json"], "no draft is left");
        // Any other engine is slower or faster.
        let truth = SyntheticCosts { max_model_len: 512, pass_us: 12_000.0, ..SyntheticCosts::default() };
        let mut engine = MockEngine::new(&truth.profile(), 400, 0.0, 0);
        args.generated = vec!["bursts".to_owned()];
        assert!(!args.run_on(profile, &mut engine, &mut vec![]).expect("a comparison"), "17 % off");
        fs::remove_dir_all(folder).expect("ours");
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let check = |flags: &[&str], expected: &str| {
            let error = parse(flags).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        };
        check(&["--plot", "a.pdf"], "give a name that ends in .svg or .png");
        check(&["--repeats", "0"], "0 is not in 1..=1000");
        check(&["--max-ttft-error=-1"], "-1 must be from 0 to 1000");
        check(&["--max-tpot-error", "nan"], "must be from 0 to 1000");
        let error = parse(&[]).expect("defaults").run().expect_err("no such file");
        assert!(format!("{error:#}").starts_with("p.json cannot be opened"), "{error:#}");
    }
}
