//! `profiler verify-tokens`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Result;

use crate::verify::tokens::{trace_files, verify_file};

/// Which recordings.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Recorded scheduler traces: `.json` or `.json.gz` files, or folders of them.
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    recorded: Vec<PathBuf>,
}

impl Args {
    /// True if every trace is identical.
    pub(super) fn run(&self) -> Result<bool> {
        let files = trace_files(&self.recorded)?;
        let mut out = io::stdout().lock();
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
