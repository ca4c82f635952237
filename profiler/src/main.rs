//! Measures profiles, runs simulations, and checks them against a real vLLM.

mod cli;
mod engine;
mod import;
mod measure;
mod serve;
mod server;
mod simulate;
mod validate;
mod verify;
mod vllm;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
