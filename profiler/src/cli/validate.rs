//! `profiler validate`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use sim_core::profile::Profile;

use crate::import::read_limited;
use crate::validate::{examine, table};

/// Which profiles, and how they are told.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The profiles.
    #[arg(value_name = "PROFILE.json", required = true)]
    profiles: Vec<PathBuf>,
    /// One JSON object a profile, one a line.
    #[arg(long)]
    json: bool,
    /// Exit with 1 if something is beyond the limits that are stated with it.
    #[arg(long)]
    strict: bool,
}

impl Args {
    /// True if every file is a valid profile, and under `--strict` nothing is beyond a limit.
    #[expect(clippy::print_stderr, reason = "faults go to stderr, what is known of good profiles to stdout")]
    pub(super) fn run(&self) -> Result<bool> {
        let mut out = io::stdout().lock();
        let (mut all_well, mut gap) = (true, "");
        for path in &self.profiles {
            let bytes = read_limited(path, Profile::MAX_BYTES)?;
            let examined = examine(&path.display().to_string(), &bytes).with_context(|| path.display().to_string());
            let examination = match examined {
                Ok(examination) => examination,
                Err(error) => {
                    eprintln!("{error:#}");
                    all_well = false;
                    continue;
                }
            };
            all_well &= !self.strict || examination.beyond_limits.is_empty();
            if self.json {
                writeln!(out, "{}", serde_json::to_string(&examination)?)?;
                continue;
            }
            write!(out, "{gap}{}", table(&examination)?)?;
            gap = "\n";
        }
        Ok(all_well)
    }
}
