//! The subcommands that the feature `full` adds: what measures, imports and verifies.

mod emulate;
mod import;
mod import_calibrate;
mod import_llmservingsim;
mod import_operators;
mod import_vllm_bench;
mod profile;
mod profile_operators;
mod run_workload_trace;
mod sweep;
mod validate;
mod verify_metrics;
mod verify_run;
mod verify_serve;
mod verify_tokens;

use std::io::{self, Write as _};

use anyhow::Result;
use clap::Subcommand;

use super::later::Later;

/// A name here stands in `absent.rs`, too, which a test compares.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Simulate every point of a grid over flags, as one table; in shards on many machines, if you like.
    #[command(args_override_self = true)]
    Sweep(Later<sweep::Args>),
    /// Measure an engine and write its profile, or a GPU's operators and write their pack.
    Profile(Later<profile::Args>),
    /// Make a profile of data that others have published.
    Import(import::Args),
    /// Tell how good profiles and operator packs are: reach, noise, what figures rest on, what they cannot answer.
    Validate(validate::Args),
    /// Compare the simulator's schedule with recordings of vLLM's, pass by pass.
    VerifyTokens(verify_tokens::Args),
    /// Run a workload on a real vLLM and write what it scheduled and when, pass by pass and request by request.
    #[command(args_override_self = true)]
    RunWorkloadTrace(Later<run_workload_trace::Args>),
    /// Run workloads on a real vLLM, simulate them, and compare the latencies of every request.
    VerifyMetrics(Later<verify_metrics::Args>),
    /// Run `vllm serve` under several loads and compare what its client sees with the simulator.
    VerifyServe(Later<verify_serve::Args>),
    /// Simulate runs of a real server that somebody recorded, and put both side by side; nothing is fitted.
    #[command(args_override_self = true)]
    VerifyRun(Later<verify_run::Args>),
    /// Answer over HTTP as vLLM would, in simulated time, without a GPU: for routers, autoscalers and load generators.
    #[command(args_override_self = true)]
    Emulate(Later<emulate::Args>),
    /// Print the JSON schema of profile files.
    Schema,
}

impl Command {
    /// Whether every check passed.
    pub(super) fn run(self) -> Result<bool> {
        match self {
            Self::Sweep(Later(args)) => args.run(),
            Self::Profile(Later(args)) => args.run(),
            Self::Import(args) => args.run(),
            Self::Validate(args) => args.run(),
            Self::VerifyTokens(args) => args.run(),
            Self::RunWorkloadTrace(Later(args)) => args.run(),
            Self::VerifyMetrics(Later(args)) => args.run(),
            Self::VerifyServe(Later(args)) => args.run(),
            Self::VerifyRun(Later(args)) => args.run(),
            Self::Emulate(Later(args)) => args.run(),
            Self::Schema => schema(),
        }
    }
}

fn schema() -> Result<bool> {
    let schema = schemars::schema_for!(sim_core::profile::Profile);
    writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(&schema)?)?;
    Ok(true)
}
