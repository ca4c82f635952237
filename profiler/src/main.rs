//! Measures profiles, runs simulations, and checks them against a real vLLM.

mod cli;
mod cuda;
mod engine;
mod measure;
mod serve;
mod server;
mod simulate;
mod verify;
mod vllm;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
