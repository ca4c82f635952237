//! `profiler verify-serve`.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::input_file::read_profile;
use crate::server::load::LoadShape;
use crate::server::session::Timeouts;
use crate::server::verify::{ServePlan, progress_line, verify_serve};
use crate::vllm::EngineOptions;

/// Which server, which loads, which profile.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Profile of the engine that is served: measured with the same flags and as many threads
    #[arg(long, value_name = "PATH")]
    profile: PathBuf,
    /// Loads, as shares of the rate that saturates the engine by the profile
    #[arg(long, value_name = "X", num_args = 1.., default_values_t = [0.3, 0.6, 1.2])]
    loads: Vec<f64>,
    /// Runs of every load
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeats: u32,
    #[command(flatten)]
    shape: LoadShape,
    /// Simulate with the profile's front-end times instead of measuring this server's
    #[arg(long, conflicts_with = "write_profile")]
    keep_front_end: bool,
    /// Write the profile with the measured front-end times into this file
    #[arg(long, value_name = "PATH")]
    write_profile: Option<PathBuf>,
    /// Write the comparison into this file
    #[arg(long, value_name = "PATH")]
    output_json: Option<PathBuf>,
    /// Seconds until the server must be up
    #[arg(long, value_name = "N", default_value_t = 600)]
    server_timeout: u64,
    /// Seconds after which a request has failed
    #[arg(long, value_name = "N", default_value_t = 300)]
    request_timeout: u64,
    /// No progress
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    engine: EngineOptions,
}

impl Args {
    /// True if every load is within its limits, or within the noise of the repeats.
    pub(super) fn run(&self) -> Result<bool> {
        let (mut profile, _) = read_profile(&self.profile)?;
        let plan = ServePlan {
            shape: self.shape,
            shares: self.loads.clone(),
            num_repeats: self.repeats,
            measure_front_end: !self.keep_front_end,
            timeouts: Timeouts {
                server: Duration::from_secs(self.server_timeout),
                request: Duration::from_secs(self.request_timeout),
            },
        };
        let bar = progress_line(self.quiet);
        let comparison = verify_serve(&self.engine, &mut profile, &plan, &bar);
        bar.finish_and_clear();
        let comparison = comparison?;
        write!(io::stdout().lock(), "{comparison}")?;
        let write =
            |path: &PathBuf, text: String| fs::write(path, text + "\n").with_context(|| path.display().to_string());
        if let Some(path) = &self.output_json {
            write(path, serde_json::to_string_pretty(&comparison)?)?;
        }
        if let Some(path) = &self.write_profile {
            write(path, serde_json::to_string_pretty(&profile)?)?;
        }
        Ok(comparison.loads.iter().all(crate::server::compare::LoadComparison::holds))
    }
}
