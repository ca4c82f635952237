//! `profiler gpus-needed`.

use anyhow::Result;

/// What is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(&self) -> Result<bool> {
        Ok(true)
    }
}
