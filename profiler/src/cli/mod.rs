//! The command line: one file a subcommand, and the exit codes.

mod compose;
mod groups;
mod import;
mod import_calibrate;
mod import_llmservingsim;
mod import_operators;
mod import_vllm_bench;
mod known;
mod link;
mod profile;
mod profile_operators;
mod run_workload_trace;
mod serve;
mod simulate;
mod validate;
mod verify_metrics;
mod verify_run;
mod verify_serve;
mod verify_tokens;
mod vllm_flags;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Exit codes: 0 all is well, 1 a check failed (an objective missed, a trace that differs), 2 a wrong command line or
/// input.
const CHECK_FAILED: u8 = 1;
const USAGE: u8 = 2;

#[derive(Debug, Parser)]
#[command(name = "profiler", version, about = "What latency will my vLLM deployment have? Simulated, without a GPU.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulate a workload on a profile and print what `vllm bench serve` would print.
    // As in vLLM, the last of a flag given twice counts.
    #[command(args_override_self = true)]
    Simulate(Box<simulate::Args>),
    /// Print a share link for the page that says what `simulate` would run with the same flags.
    #[command(args_override_self = true)]
    Link(Box<link::Args>),
    /// Compose the profile of a model on a GPU of measured operators, and write it.
    #[command(args_override_self = true)]
    Compose(Box<compose::Args>),
    /// List the models that --model knows by name.
    Models(known::ModelsArgs),
    /// List the GPUs that --gpu knows.
    Gpus,
    /// Print the KV cache that vLLM plans for a model: layers, groups, block sizes, bytes.
    #[command(args_override_self = true)]
    Groups(Box<groups::Args>),
    /// Measure an engine and write its profile, or a GPU's operators and write their pack.
    Profile(Box<profile::Args>),
    /// Make a profile of data that others have published.
    Import(import::Args),
    /// Tell how good profiles and operator packs are: reach, noise, what figures rest on, what they cannot answer.
    Validate(validate::Args),
    /// Compare the simulator's schedule with recordings of vLLM's, pass by pass.
    VerifyTokens(verify_tokens::Args),
    /// Run a workload on a real vLLM and write what it scheduled and when, pass by pass and request by request.
    #[command(args_override_self = true)]
    RunWorkloadTrace(Box<run_workload_trace::Args>),
    /// Run workloads on a real vLLM, simulate them, and compare the latencies of every request.
    VerifyMetrics(Box<verify_metrics::Args>),
    /// Run `vllm serve` under several loads and compare what its client sees with the simulator.
    VerifyServe(Box<verify_serve::Args>),
    /// Simulate runs of a real server that somebody recorded, and put both side by side; nothing is fitted.
    #[command(args_override_self = true)]
    VerifyRun(Box<verify_run::Args>),
    /// Serve the page on this machine, with a profile and flags of your own if you like.
    #[command(args_override_self = true)]
    Serve(Box<serve::Args>),
    /// Print the JSON schema of profile files.
    Schema,
}

/// The command line of `profiler`: parses, runs, and says what went wrong in one line.
#[expect(clippy::print_stderr, reason = "the place where errors are printed")]
#[must_use]
pub fn run() -> ExitCode {
    match try_run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(CHECK_FAILED),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(USAGE)
        }
    }
}

/// Whether every check passed.
fn try_run() -> Result<bool> {
    let arguments = vllm_flags::take(std::env::args_os().collect())?;
    match Cli::parse_from(arguments).command {
        Command::Simulate(args) => args.run(),
        Command::Link(args) => args.run(),
        Command::Compose(args) => args.run(),
        Command::Models(args) => args.run(),
        Command::Gpus => known::gpus(),
        Command::Groups(args) => args.run(),
        Command::Profile(args) => args.run(),
        Command::Import(args) => args.run(),
        Command::Validate(args) => args.run(),
        Command::VerifyTokens(args) => args.run(),
        Command::RunWorkloadTrace(args) => args.run(),
        Command::VerifyMetrics(args) => args.run(),
        Command::VerifyServe(args) => args.run(),
        Command::VerifyRun(args) => args.run(),
        Command::Serve(args) => args.run(),
        Command::Schema => schema(),
    }
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn schema() -> Result<bool> {
    let schema = schemars::schema_for!(sim_core::profile::Profile);
    println!("{}", serde_json::to_string_pretty(&schema)?);
    Ok(true)
}

/// Whether the reader of our output went away, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
