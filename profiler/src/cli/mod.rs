//! The command line: one file a subcommand, and the exit codes.

mod capacity;
mod compose;
mod given;
mod gpus_needed;
mod groups;
mod known;
mod later;
mod link;
mod prices;
mod recommend;
mod simulate;
mod vllm_flags;

#[cfg(feature = "full")]
mod full;
#[cfg(feature = "serve")]
mod serve;
#[cfg(any(test, not(feature = "full")))]
mod absent;

#[cfg(not(feature = "full"))]
use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::later::Later;

/// Exit codes: 0 all is well, 1 a check failed (an objective missed, a trace that differs), 2 a wrong command line or
/// input.
const CHECK_FAILED: u8 = 1;
const USAGE: u8 = 2;

#[derive(Debug, Parser)]
#[cfg_attr(not(feature = "full"), command(after_help = crate::HOW_TO_GET_ALL))]
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
    Simulate(Later<simulate::Args>),
    /// Search the highest load that meets --goodput, and show the whole load curve.
    #[command(args_override_self = true)]
    Capacity(Later<capacity::Args>),
    /// Search the GPU, parallelism, number formats and flags that answer a workload best.
    #[command(args_override_self = true)]
    Recommend(Later<recommend::Args>),
    /// Say how many replicas a recorded trace needs over time, with an ideal autoscaler.
    #[command(args_override_self = true)]
    GpusNeeded(Later<gpus_needed::Args>),
    /// Print a share link for the page that says what `simulate` would run with the same flags.
    #[command(args_override_self = true)]
    Link(Later<link::Args>),
    /// Compose the profile of a model on a GPU of measured operators, and write it.
    #[command(args_override_self = true)]
    Compose(Later<compose::Args>),
    /// List the models that --model knows by name.
    Models(known::ModelsArgs),
    /// List the GPUs that --gpu knows.
    Gpus,
    /// Print the KV cache that vLLM plans for a model: layers, groups, block sizes, bytes.
    #[command(args_override_self = true)]
    Groups(Later<groups::Args>),
    /// Serve the page on this machine, with a profile and flags of your own if you like.
    #[cfg(feature = "serve")]
    #[command(args_override_self = true)]
    Serve(Later<serve::Args>),
    #[cfg(feature = "full")]
    #[command(flatten)]
    Full(full::Command),
    #[cfg(not(feature = "full"))]
    #[command(external_subcommand)]
    Absent(Vec<OsString>),
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
    let cli = Cli::command();
    let arguments = vllm_flags::take(&cli, std::env::args_os().collect())?;
    let cli = Cli::from_arg_matches_mut(&mut cli.get_matches_from(arguments))
        .unwrap_or_else(|error| error.format(&mut Cli::command()).exit());
    match cli.command {
        Command::Simulate(Later(args)) => args.run(),
        Command::Capacity(Later(args)) => args.run(),
        Command::Recommend(Later(args)) => args.run(),
        Command::GpusNeeded(Later(args)) => args.run(),
        Command::Link(Later(args)) => args.run(),
        Command::Compose(Later(args)) => args.run(),
        Command::Models(args) => args.run(),
        Command::Gpus => known::gpus(),
        Command::Groups(Later(args)) => args.run(),
        #[cfg(feature = "serve")]
        Command::Serve(Later(args)) => args.run(),
        #[cfg(feature = "full")]
        Command::Full(command) => command.run(),
        #[cfg(not(feature = "full"))]
        Command::Absent(words) => Err(absent::refusal(&words)),
    }
}

/// Whether the reader of our output went away, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
