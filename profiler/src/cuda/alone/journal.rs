//! What survives an end of the measurement: a header, then a JSON line for each site that was timed. A line without its
//! end is dropped on the next start.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::sites::Site;
use crate::cuda::device::DeviceProperties;

/// Raised when sites mean something else, or their points are others.
const VERSION: &str = "profiler operators, 1";

/// First line: what was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    journal: String,
    device: String,
    versions: Vec<(String, String)>,
}

/// One site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    site: String,
    pub(super) spent_ms: u64,
    pub(super) times_us: Vec<Option<f64>>,
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal at `path` or begins one; what it holds of `sites`.
    ///
    /// # Errors
    /// If the file cannot be read or written, is damaged, or is of another device.
    pub(super) fn open(
        path: &Path,
        device: &DeviceProperties,
        sites: &[Site],
        fresh: bool,
    ) -> Result<(Self, BTreeMap<Site, Line>)> {
        let shown = path.display();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(fresh)
            .open(path)
            .with_context(|| format!("the journal {shown} cannot be opened"))?;
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).with_context(|| format!("the journal {shown} cannot be read"))?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let mut lines = bytes[..whole].split_inclusive(|&byte| byte == b'\n');
        let header =
            Header { journal: VERSION.to_owned(), device: device.name.clone(), versions: device.versions.clone() };
        let mut timed = BTreeMap::new();
        if let Some(first) = lines.next() {
            let found: Header = serde_json::from_slice(first)
                .with_context(|| format!("{shown} is no journal of operators; name another with --journal"))?;
            ensure!(
                found == header,
                "the journal {shown} is of another measurement ({}, {:?}); name another file with --journal, or start \
                 anew with --fresh",
                found.device,
                found.versions
            );
            let by_name: BTreeMap<String, Site> = sites.iter().map(|site| (site.to_string(), *site)).collect();
            for (number, line) in lines.enumerate() {
                let line: Line = serde_json::from_slice(line).with_context(|| {
                    format!("the journal {shown} is damaged in line {}; start anew with --fresh", number + 2)
                })?;
                if let Some(&site) = by_name.get(&line.site).filter(|site| site.num_points() == line.times_us.len()) {
                    timed.insert(site, line);
                }
            }
        }
        let end = u64::try_from(whole).context("a file longer than its length")?;
        file.set_len(end).and_then(|()| file.seek(SeekFrom::End(0)).map(drop))?;
        let mut journal = Self { path: path.to_owned(), file };
        if whole == 0 {
            journal.append(&header)?;
        }
        Ok((journal, timed))
    }

    /// Writes down that a site was timed.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn push(&mut self, site: Site, spent_ms: u64, times_us: &[Option<f64>]) -> Result<Line> {
        let line = Line { site: site.to_string(), spent_ms, times_us: times_us.to_vec() };
        self.append(&line)?;
        Ok(line)
    }

    fn append(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.flush());
        written.with_context(|| format!("the journal {} cannot be written", self.path.display()))
    }
}
