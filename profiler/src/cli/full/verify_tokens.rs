//! `profiler verify-tokens`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Result;

use crate::verify::live::{Workloads, verify_live};
use crate::verify::tokens::{trace_files, verify_file};
use crate::vllm::EngineOptions;

/// Which recordings, or which engine.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Recorded scheduler traces: `.json` or `.json.gz` files, or folders of them
    #[arg(long, num_args = 1.., value_name = "PATH", conflicts_with_all = ["num_workloads", "python", "flags", "random_engines"])]
    recorded: Vec<PathBuf>,
    /// Without recordings: random workloads to run on a real engine. Without flags after `--`, every five of them have
    /// a random small engine of their own
    #[arg(long, value_name = "N", default_value_t = 40)]
    num_workloads: u64,
    /// Seed of the first workload; the others count up
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Keep what the engine scheduled in this folder, a file per workload, for --recorded
    #[arg(long, value_name = "DIR")]
    save_traces: Option<PathBuf>,
    /// Random engines although flags are given after `--`: these are added to the random ones, and win over them
    #[arg(long)]
    random_engines: bool,
    #[command(flatten)]
    engine: EngineOptions,
}

impl Args {
    /// True if everything is identical.
    pub(super) fn run(&self) -> Result<bool> {
        let mut out = io::stdout().lock();
        if self.recorded.is_empty() {
            let which = Workloads { seed: self.seed, count: self.num_workloads, random_engines: self.random_engines };
            let tally = verify_live(&self.engine, which, self.save_traces.as_deref(), &mut out)?;
            return Ok(tally.num_identical == tally.num_workloads);
        }
        let files = trace_files(&self.recorded)?;
        let mut num_identical = 0;
        for file in &files {
            match verify_file(file) {
                Ok(None) => num_identical += 1,
                Ok(Some(difference)) => writeln!(out, "{}: {difference}", file.display())?,
                Err(error) => writeln!(out, "{error:#}")?,
            }
        }
        writeln!(out, "{num_identical} of {} traces identical", files.len())?;
        Ok(num_identical == files.len())
    }
}
