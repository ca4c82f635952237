//! `profiler import`: profiles from what others have published.

use anyhow::Result;
use clap::Subcommand;

use super::{import_calibrate, import_llmservingsim, import_vllm_bench};

/// Where the data come from.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// Layer times of LLMServingSim's profiler (casys-kaist, MIT).
    Llmservingsim(import_llmservingsim::Args),
    /// Fit a profile's host and front-end terms to results of `vllm bench serve`.
    VllmBench(Box<import_vllm_bench::Args>),
    /// Fit the terms of derived profiles to the two public sets again, and print every error.
    Calibrate(import_calibrate::Args),
}

impl Args {
    pub(super) fn run(&self) -> Result<bool> {
        match &self.source {
            Source::Llmservingsim(args) => args.run(),
            Source::VllmBench(args) => args.run(),
            Source::Calibrate(args) => args.run(),
        }
    }
}
