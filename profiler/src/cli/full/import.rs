//! `profiler import`: profiles from what others have published.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;
use sim_core::compose::setup::Routing;
use sim_core::scenario::{Composition, DEFAULT_GPU};

use super::{import_calibrate, import_llmservingsim, import_operators, import_vllm_bench};
use crate::import::aiconfigurator;
use crate::import::version::Version;
use crate::output_file::{make_folder_of, write_whole};
use crate::simulate::model_length;
use crate::simulate::model_source::ModelName;
use crate::simulate::scenario_flags::CompositionFlags;

/// Where the data come from.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// Operator times of the Python package aiconfigurator-core (Apache-2.0), composed for one model and device.
    Aiconfigurator(Box<AiconfiguratorArgs>),
    /// A GPU's operator pack, of which profiles of any model are composed, from the same package.
    Operators(import_operators::Args),
    /// Layer times of LLMServingSim's profiler (casys-kaist, MIT).
    Llmservingsim(import_llmservingsim::Args),
    /// Fit a profile's host and front-end terms to results of `vllm bench serve`.
    VllmBench(Box<import_vllm_bench::Args>),
    /// Fit the terms of derived profiles to the two public sets again, and print every error.
    Calibrate(import_calibrate::Args),
}

#[derive(Debug, clap::Args)]
struct AiconfiguratorArgs {
    /// The folder of the installed package, or its wheel.
    data: PathBuf,
    #[command(flatten)]
    model_name: ModelName,
    #[command(flatten)]
    flags: CompositionFlags,
    /// The package's name of the device, instead of --gpu: `h100_sxm`, `h200_sxm`, `b200_sxm`, `b300_sxm`, `gb200`, `gb300`,
    /// `l40s`, `a100_sxm` or `rtx_pro_6000_server`.
    #[arg(long, conflicts_with = "gpu")]
    system: Option<String>,
    /// The version of vLLM that the profile is for [default: the newest that the package has].
    #[arg(long, value_name = "VERSION")]
    vllm_version: Option<String>,
    /// How tokens fall on experts.
    #[arg(long, value_enum, default_value_t)]
    moe_distribution: MoeDistribution,
    /// The profile that is written [default: standard output].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The date in the profile [default: today].
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_date)]
    date: Option<String>,
}

/// How tokens spread over experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum MoeDistribution {
    /// Each expert gets as many.
    #[value(name = "balanced")]
    Balanced,
    /// Some get much more; the package's own default.
    #[default]
    #[value(name = "power_law_1.2")]
    PowerLaw12,
}

impl Args {
    /// Imports and writes what was made.
    pub(super) fn run(&self) -> Result<bool> {
        match &self.source {
            Source::Aiconfigurator(args) => args.run(),
            Source::Operators(args) => args.run(),
            Source::Llmservingsim(args) => args.run(),
            Source::VllmBench(args) => args.run(),
            Source::Calibrate(args) => args.run(),
        }
    }
}

impl AiconfiguratorArgs {
    fn run(&self) -> Result<bool> {
        let (composition, config) = self.composition()?;
        let today = || jiff::Zoned::now().strftime("%Y-%m-%d").to_string();
        let date = self.date.clone().unwrap_or_else(today);
        let mut profile = aiconfigurator::import(&self.data, &composition, config.as_deref(), &date)?;
        model_length::settle(&mut profile, &self.flags.scenario)?;
        let json = profile.to_json()?;
        let Some(output) = &self.output else {
            io::stdout().lock().write_all(json.as_bytes())?;
            return Ok(true);
        };
        make_folder_of(output)?;
        write_whole(output, &json).with_context(|| format!("{} cannot be written", output.display()))?;
        writeln!(io::stdout().lock(), "wrote {}: {} bytes", output.display(), json.len())?;
        Ok(true)
    }

    /// What is composed, and the model's `config.json` if it is a file.
    fn composition(&self) -> Result<(Composition, Option<Vec<u8>>)> {
        let mut scenario = self.flags.scenario.clone();
        let key = match &self.system {
            Some(system) => aiconfigurator::key_of(system)?,
            None => scenario.get("gpu").unwrap_or(DEFAULT_GPU),
        }
        .to_owned();
        scenario.set("gpu", Some(&key))?;
        let model = scenario.get("model").map(|given| self.model_name.file(given)).transpose()?.flatten();
        if let Some(model) = &model {
            scenario.set("model", Some(&model.name))?;
        }
        let mut composition = scenario.composition().context("--gpu is absent")?;
        if let Some(version) = &self.vllm_version {
            let is_version = Version::parse(version).is_some();
            ensure!(is_version, "--vllm-version {version:?} is not a version such as 0.24.0");
        }
        composition.setup.vllm_version.clone_from(&self.vllm_version);
        composition.setup.routing = match self.moe_distribution {
            MoeDistribution::Balanced => Routing::Balanced,
            MoeDistribution::PowerLaw12 => Routing::Skewed,
        };
        Ok((composition, model.map(|model| model.config)))
    }
}

pub(super) fn parse_date(text: &str) -> Result<String, String> {
    let is_date = text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok();
    is_date.then(|| text.to_owned()).ok_or_else(|| "give a date such as 2026-11-24".to_owned())
}
