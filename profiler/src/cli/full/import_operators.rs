//! `profiler import operators`: a GPU's operator pack.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::import::parse_date;
use crate::import::packs;
use crate::output_file::{make_folder_of, write_whole};

/// Which GPU, from which data.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of the installed package aiconfigurator-core, or its wheel.
    data: PathBuf,
    /// The GPU: `h100-sxm`, `h200-sxm`, `b200-sxm`, `b300-sxm`, `gb200`, `gb300`, `l40s`, `a100-sxm` or `rtx-pro-6000`.
    #[arg(long)]
    gpu: String,
    /// The pack that is written [default: standard output].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The date in the pack [default: today].
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_date)]
    date: Option<String>,
}

impl Args {
    /// Reads the tables, writes the pack, and tells what was changed in them.
    pub(super) fn run(&self) -> Result<bool> {
        let today = || jiff::Zoned::now().strftime("%Y-%m-%d").to_string();
        let pack = packs::build(&self.data, &self.gpu, &self.date.clone().unwrap_or_else(today))?;
        let json = pack.to_json()?;
        let mut out = io::stdout().lock();
        let Some(output) = &self.output else {
            out.write_all(json.as_bytes())?;
            return Ok(true);
        };
        make_folder_of(output)?;
        write_whole(output, &json).with_context(|| format!("{} cannot be written", output.display()))?;
        for note in &pack.provenance.notes {
            writeln!(out, "{note}")?;
        }
        writeln!(out, "wrote {}: {} bytes", output.display(), json.len())?;
        Ok(true)
    }
}
