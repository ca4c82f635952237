//! `profiler validate`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Result;
use sim_core::operators::Pack;
use sim_core::profile::Profile;

use crate::input_file::{Wanted, explained, read_limited};
use crate::validate::{examine, pack, table};

/// Which profiles and packs, and how they are told.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The profiles, or operator packs.
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
    #[expect(clippy::print_stderr, reason = "faults go to stderr, what is known of good files to stdout")]
    pub(super) fn run(&self) -> Result<bool> {
        let mut out = io::stdout().lock();
        let (mut all_well, mut gap) = (true, "");
        for path in &self.profiles {
            let bytes = read_limited(path, Profile::MAX_BYTES.max(Pack::MAX_BYTES))?;
            let told = self.told(&path.display().to_string(), &bytes);
            match told.map_err(|fault| explained(path, &bytes, Wanted::Profile, fault)) {
                Ok(Told { text, is_within_limits }) => {
                    all_well &= !self.strict || is_within_limits;
                    write!(out, "{gap}{text}")?;
                    gap = if self.json { "" } else { "\n" };
                }
                Err(error) => {
                    eprintln!("{error:#}");
                    all_well = false;
                }
            }
        }
        Ok(all_well)
    }

    /// What is told of one file.
    fn told(&self, file: &str, bytes: &[u8]) -> Result<Told> {
        if pack::is_pack(bytes) {
            let examination = pack::examine(file, bytes)?;
            let is_within_limits = examination.beyond_limits.is_empty();
            let text = if self.json { json_line(&examination)? } else { pack::table(&examination)? };
            return Ok(Told { text, is_within_limits });
        }
        let examination = examine(file, bytes)?;
        let is_within_limits = examination.beyond_limits.is_empty();
        let text = if self.json { json_line(&examination)? } else { table(&examination)? };
        Ok(Told { text, is_within_limits })
    }
}

/// What is told of a good file.
struct Told {
    text: String,
    is_within_limits: bool,
}

fn json_line(examination: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string(examination)? + "\n")
}
