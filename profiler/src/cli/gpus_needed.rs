//! `profiler gpus-needed`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, bail, ensure};
use sim_core::answers::capacity::{Asked, LoadKind};
use sim_core::answers::gpus_needed::{Needed, Scaling, windows};
use sim_core::scenario::{DEFAULT_GPU, Scenario, prepare};
use sim_core::time::SimDuration;
use sim_core::workload::Traffic;

use super::capacity::parse_share;
use super::given::Given;
use super::prices::PriceList;
use crate::capacity::run::search as search_capacity;
use crate::gpus_needed::report::Report;
use crate::gpus_needed::run::search;
use crate::output_file::{make_folder_of, write_whole};
use crate::simulate::inputs::Inputs;
use crate::simulate::report::times;

/// Requests of the trace that a capacity is searched with.
const CAPACITY_PROMPTS: usize = 1000;
/// Flags that say when requests come: the trace says it.
const TRAFFIC: [&str; 3] = ["request-rate", "max-concurrency", "ramp-up-strategy"];

/// Which trace, and how it is scaled to.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The trace with times: Mooncake's, Qwen-Bailian's, Azure's or BurstGPT's [default: a sample of a real Azure trace];
    /// the same as --dataset-path
    #[arg(long, value_name = "PATH")]
    trace: Option<String>,
    /// Seconds between two decisions of the autoscaler
    #[arg(long, value_name = "SECONDS", default_value_t = 300.0, value_parser = parse_seconds)]
    window: f64,
    /// Seconds that a replica takes to start, which are paid for
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = parse_delay)]
    startup_delay: f64,
    /// Share of its capacity that a replica is to have at most [default: as much as it carries]
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    target_utilisation: Option<f64>,
    /// Share of the requests that must meet every objective of --goodput
    #[arg(long, value_name = "SHARE", default_value_t = 0.99, value_parser = parse_share)]
    share: f64,
    /// Runs at each load of the search for a replica's capacity, each with another seed, from --seed on
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    num_seeds: u32,
    #[command(flatten)]
    prices: PriceList,
    /// A whole-pass profile of the step times [default: composed of --model and --gpu]
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    given: Given,
    /// Write a line for each window into this CSV file
    #[arg(long, value_name = "FILE")]
    output_csv: Option<PathBuf>,
    /// Write the answer into this JSON file
    #[arg(long, value_name = "FILE")]
    output_json: Option<PathBuf>,
    /// No progress and no heading
    #[arg(long)]
    quiet: bool,
}

impl Args {
    /// True if every window meets with some number of replicas.
    pub(super) fn run(&self) -> Result<bool> {
        let inputs = self.inputs()?;
        let (scenario, profile) = (&inputs.scenario, &inputs.choice.profile);
        let goodput = scenario.report().goodput();
        ensure!(
            !goodput.is_empty(),
            "give --goodput, such as `--goodput ttft:500 tpot:50`: without objectives one replica is enough for everything"
        );
        let prepared = prepare(scenario, profile, inputs.dataset.as_deref(), None)?;
        let Traffic::Timed { send_times, .. } = &prepared.workload.traffic else { bail!("the trace has no times") };
        let cut = windows(send_times, SimDuration::from_secs_f64(self.window).as_nanos())?;
        let answer = self.capacity(&inputs, send_times.len())?;
        let Some(capacity) = answer.capacity.filter(|capacity| *capacity > 0.0) else {
            bail!(
                "the objectives cannot be met: a replica misses them at the least load that was tried, however many there \
                 are. Give --goodput more room"
            )
        };
        let scaling = Scaling { capacity, target_utilisation: self.target_utilisation, required_share: self.share };
        let mut needed = Needed::new(cut, scaling);
        search(&mut needed, &prepared, goodput, self.quiet)?;
        let prices = self.prices.with(scenario)?;
        let composition = scenario.composition();
        let gpu = composition.as_ref().map_or(DEFAULT_GPU, |composition| composition.gpu_key());
        let is_named = self.profile.is_none() && inputs.link().profile.is_none();
        let report = Report {
            needed: &needed,
            scaling,
            interval: answer.interval,
            num_gpus: profile.hardware.num_devices * prepared.engine.config.pipeline_parallel_size,
            usd_per_gpu_hour: prices.of(gpu).filter(|_| is_named).map(|price| price.usd_per_gpu_hour),
            gpu: if is_named { gpu.to_owned() } else { profile.hardware.name.clone() },
            startup_delay: self.startup_delay,
        };
        let mut out = io::stdout().lock();
        if !self.quiet {
            writeln!(out, "SIMULATED, not measured. Times: {}", times(&inputs.choice))?;
        }
        write!(out, "{}", report.text())?;
        write_to(self.output_csv.as_deref(), || Ok(report.csv()))?;
        write_to(self.output_json.as_deref(), || Ok(format!("{}\n", serde_json::to_string_pretty(&report.json())?)))?;
        Ok(report.num_hopeless() == 0)
    }

    /// The trace and the engine.
    fn inputs(&self) -> Result<Inputs> {
        let mut flags = self.given.flags().clone();
        if let Some(trace) = &self.trace {
            ensure!(flags.get("dataset-path").is_none(), "--trace and --dataset-path are the same: give one");
            flags.set("dataset-path", Some(trace))?;
        }
        for flag in TRAFFIC {
            ensure!(flags.get(flag).is_none(), "--{flag}: the trace says when its requests come");
        }
        let inputs = self.given.inputs_of(&flags, self.profile.as_deref())?;
        let dataset = inputs.scenario.workload().dataset_name();
        ensure!(
            dataset.has_times() && inputs.scenario.get("self-timed") != Some("false"),
            "--dataset-name {dataset} has no times of its own: give --trace PATH, a trace of Mooncake, Qwen-Bailian, Azure or \
             BurstGPT"
        );
        Ok(inputs)
    }

    /// What a replica carries of the trace's requests, sent at a rate.
    fn capacity(&self, inputs: &Inputs, num_requests: usize) -> Result<sim_core::answers::capacity::Answer> {
        let mut scenario: Scenario = inputs.scenario.clone();
        scenario.set("no-self-timed", None)?;
        scenario.set("num-prompts", Some(&num_requests.min(CAPACITY_PROMPTS).to_string()))?;
        let asked = Asked {
            scenario: &scenario,
            profile: &inputs.choice.profile,
            dataset: inputs.dataset.as_deref(),
            kind: LoadKind::Rate,
        };
        search_capacity(&asked, self.share, self.num_seeds, None, (self.quiet, &AtomicBool::new(false)))
    }
}

/// Writes what is asked for.
fn write_to(path: Option<&Path>, content: impl Fn() -> Result<String>) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    make_folder_of(path)?;
    write_whole(path, content()?).with_context(|| format!("{} cannot be written", path.display()))
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.001..=1e7).contains(seconds));
    seconds.ok_or_else(|| "give seconds from 0.001 to 10000000".to_owned())
}

fn parse_delay(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "give seconds from 0 to 86400".to_owned())
}
