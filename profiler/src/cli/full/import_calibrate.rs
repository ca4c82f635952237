//! `profiler import calibrate`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Result;

use crate::import::calibrate::{report, sets};

/// Where the two sets are.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of the sets: tests/data/calibration of the source.
    folder: PathBuf,
}

impl Args {
    /// Fits, and prints every error.
    pub(super) fn run(&self) -> Result<bool> {
        write!(io::stdout().lock(), "{}", report(&sets(&self.folder)?)?)?;
        Ok(true)
    }
}
