//! All parts of a sweep as one table: CSV and Parquet, the same to the byte whatever shards made the parts.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use sim_core::answers::said::counted;

use super::parquet_file::ParquetFile;
use super::plan::Planned;
use super::table::{Cell, Table};
use crate::output_file::{make_folder_of, write_whole_with};

/// Missing parts that a message names.
const MAX_NAMED: usize = 8;

/// Where the table goes.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct MergeFlags {
    /// The table as CSV [default: results.csv in the sweep's folder]
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// The table as Parquet [default: results.parquet in the sweep's folder]
    #[arg(long, value_name = "FILE")]
    parquet: Option<PathBuf>,
}

/// What a table has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) num_rows: usize,
    /// Rows with an error.
    pub(crate) num_refused: usize,
}

impl MergeFlags {
    /// Writes both files, and says where.
    ///
    /// # Errors
    /// If a part is missing, is not the plan's, or lies there too much; if a file cannot be written.
    #[expect(clippy::print_stderr, reason = "tells where the result is")]
    pub(crate) fn merge(&self, planned: &Planned, folder: &Path) -> Result<Merged> {
        check_complete(planned)?;
        let table = Table::new(planned)?;
        let csv = self.csv.clone().unwrap_or_else(|| folder.join("results.csv"));
        let parquet = self.parquet.clone().unwrap_or_else(|| folder.join("results.parquet"));
        make_folder_of(&csv)?;
        make_folder_of(&parquet)?;
        let mut merged = Merged::default();
        write_whole_with(&csv, |file| {
            let mut out = BufWriter::new(file);
            merged = write_csv(&table, planned, &mut out)?;
            Ok(out.flush()?)
        })?;
        write_whole_with(&parquet, |file| {
            let mut out = ParquetFile::new(BufWriter::new(file), &table.columns, &planned.identity)?;
            for part in 0..planned.plan.num_parts() {
                out.write(table.rows(part)?)?;
            }
            out.close()
        })?;
        eprintln!("wrote {} and {}", csv.display(), parquet.display());
        Ok(merged)
    }
}

/// Whether every part is there, and no other.
fn check_complete(planned: &Planned) -> Result<()> {
    let num_parts = planned.plan.num_parts();
    let missing: Vec<usize> = (0..num_parts).filter(|&part| !planned.path_of(part).is_file()).collect();
    if !missing.is_empty() {
        let named: Vec<String> = missing.iter().take(MAX_NAMED).map(ToString::to_string).collect();
        let more = if missing.len() > MAX_NAMED { ", …" } else { "" };
        let are = if missing.len() == 1 { "is" } else { "are" };
        bail!(
            "{} of {} {are} missing ({}{more}): run the same `profiler sweep` again, it does what is not done. \
             Part P is of shard P modulo N",
            missing.len(),
            counted(num_parts as u64, "part"),
            named.join(", ")
        );
    }
    let folder = planned.parts_folder();
    let ours: BTreeSet<PathBuf> = (0..num_parts).map(|part| planned.path_of(part)).collect();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let is_draft = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        ensure!(
            is_draft || ours.contains(&path),
            "{} is no part of this sweep: remove it, or begin in another folder",
            path.display()
        );
    }
    Ok(())
}

fn write_csv(table: &Table<'_>, planned: &Planned, out: &mut impl Write) -> Result<Merged> {
    let names: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
    writeln!(out, "{}", names.join(","))?;
    let mut merged = Merged::default();
    for part in 0..planned.plan.num_parts() {
        for cells in table.rows(part)? {
            merged.num_rows += 1;
            merged.num_refused += usize::from(cells.last().is_some_and(Option::is_some));
            let texts: Vec<String> = cells.iter().map(|cell| cell.as_ref().map_or_else(String::new, text)).collect();
            writeln!(out, "{}", texts.join(","))?;
        }
    }
    Ok(merged)
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Whole(number) => number.to_string(),
        Cell::Number(number) => number.to_string(),
        Cell::Switch(is_on) => is_on.to_string(),
        Cell::Text(text) => quoted(text),
    }
}

/// As RFC 4180 has it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
