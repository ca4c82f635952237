//! `profiler import`: profiles from what others have published.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use sim_core::profile::Profile;

use super::profile::make_folder_of;
use super::{import_calibrate, import_llmservingsim, import_operators, import_vllm_bench};
use crate::import::aiconfigurator::{self, Dtype, KvCacheDtype, MoeDistribution, Options};
use crate::import::assemble::assemble;
use crate::verify::metrics::store::write_whole;

/// Where the data come from.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
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
    /// The model's config.json (Llama, Mistral, Qwen2, Qwen3, or Qwen3 with experts).
    #[arg(long, value_name = "CONFIG.json")]
    model: PathBuf,
    /// The package's name of the device: `h100_sxm`, `h200_sxm`, `b200_sxm`, `l40s`, `a100_sxm` or `rtx_pro_6000_server`.
    #[arg(long)]
    system: String,
    /// The version of vLLM that the profile is for [default: the newest that the package has]. Where the package lacks it,
    /// the nearest one's tables are taken, and the profile says so.
    #[arg(long, value_name = "VERSION")]
    vllm_version: Option<String>,
    /// Number format of the layers' matrices.
    #[arg(long, value_enum, default_value_t)]
    dtype: Dtype,
    /// Number format of the KV cache.
    #[arg(long, value_enum, default_value_t)]
    kv_cache_dtype: KvCacheDtype,
    /// Devices that share each layer: 1, 2, 4 or 8.
    #[arg(long, value_name = "N", default_value_t = 1)]
    tensor_parallel_size: u32,
    /// Of these, ranks that the experts are spread over.
    #[arg(long, value_name = "N", default_value_t = 1)]
    expert_parallel_size: u32,
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

impl Args {
    /// Imports, writes the profile, and tells what smoothing changed.
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
        let options = Options {
            config: aiconfigurator::read_model(&self.model)?,
            system: self.system.clone(),
            vllm_version: self.vllm_version.clone(),
            dtype: self.dtype,
            kv_cache_dtype: self.kv_cache_dtype,
            tensor_parallel_size: self.tensor_parallel_size,
            expert_parallel_size: self.expert_parallel_size,
            moe_distribution: self.moe_distribution,
        };
        let parts = aiconfigurator::import(&self.data, &options)?;
        let today = || jiff::Zoned::now().strftime("%Y-%m-%d").to_string();
        let profile = assemble(parts, &self.date.clone().unwrap_or_else(today))?;
        let json = profile.to_json()?;
        let Some(output) = &self.output else {
            io::stdout().lock().write_all(json.as_bytes())?;
            return Ok(true);
        };
        make_folder_of(output)?;
        write_whole(output, &json).with_context(|| format!("{} cannot be written", output.display()))?;
        report(&profile, &mut io::stdout().lock())?;
        writeln!(io::stdout().lock(), "wrote {}: {} bytes", output.display(), json.len())?;
        Ok(true)
    }
}

/// What smoothing did, table by table.
fn report(profile: &Profile, out: &mut dyn io::Write) -> Result<()> {
    for record in &profile.smoothing {
        writeln!(
            out,
            "{}: {} points changed, at most {:.1} %, {:.2} % on average",
            record.table,
            record.num_changed,
            100.0 * record.max_relative_change,
            100.0 * record.mean_relative_change
        )?;
    }
    Ok(())
}

pub(super) fn parse_date(text: &str) -> Result<String, String> {
    let is_date = text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok();
    is_date.then(|| text.to_owned()).ok_or_else(|| "give a date such as 2026-11-24".to_owned())
}
