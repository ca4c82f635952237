//! The package: its folder where it is installed, or the wheel as it was downloaded.
//!
//! Tables lie in `…/systems/data/SYSTEM/FAMILY/vllm/VERSION/TABLE.parquet`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use zip::ZipArchive;

use crate::import::version::Version;

use crate::input_file::read_limited;

/// Longest table that is read; the longest of aiconfigurator-core 0.12.0 has 2 MB.
const MAX_TABLE_BYTES: usize = 32 << 20;
/// The table that lies by NCCL's versions, not vLLM's.
const NCCL: &str = "nccl_perf";
/// Longest METADATA that is read.
const MAX_METADATA_BYTES: usize = 1 << 20;
/// Most files of a wheel, and of a folder.
const MAX_FILES: usize = 100_000;

/// The bytes of a table.
#[derive(Debug)]
pub(crate) struct TableFile {
    /// For messages.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Where a table lies.
#[derive(Debug)]
struct Entry {
    version: Version,
    table: String,
    /// In the wheel, or in the file system.
    path: String,
}

/// What the package calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// The tables of one system.
#[derive(Debug)]
pub(crate) struct Package {
    wheel: Option<ZipArchive<File>>,
    entries: Vec<Entry>,
    identity: Identity,
    /// For messages.
    what: String,
}

impl Package {
    /// Finds the tables of `system`.
    ///
    /// # Errors
    /// If `data` is neither a folder nor a wheel, or has no tables of the system.
    pub(crate) fn open(data: &Path, system: &str) -> Result<Self> {
        let what = data.display().to_string();
        let metadata = fs::metadata(data).with_context(|| format!("{what} cannot be opened"))?;
        let mut package = if metadata.is_dir() { Self::folder(data, system)? } else { Self::wheel(data)? };
        package.what = format!("{what}, system {system}");
        if package.wheel.is_some() {
            package.entries.retain(|entry| system_of(&entry.path) == Some(system));
        }
        ensure!(
            !package.entries.is_empty(),
            "{what} has no tables systems/data/{system}/…/vllm/…: give the folder of an installed aiconfigurator-core, \
             or its wheel"
        );
        Ok(package)
    }

    fn wheel(path: &Path) -> Result<Self> {
        let what = path.display();
        let file = File::open(path).with_context(|| format!("{what} cannot be opened"))?;
        let mut wheel = ZipArchive::new(file).with_context(|| format!("{what} is no wheel"))?;
        ensure!(wheel.len() <= MAX_FILES, "{what} has {} files; the limit is {MAX_FILES}", wheel.len());
        let names: Vec<String> = wheel.file_names().map(str::to_owned).collect();
        let entries = names.iter().filter_map(|name| Entry::new(name)).collect();
        let metadata = names.iter().find(|name| name.ends_with(".dist-info/METADATA"));
        let identity = match metadata {
            Some(name) => Identity::read(&unpack(&mut wheel, name, MAX_METADATA_BYTES)?),
            None => None,
        };
        let identity = identity.unwrap_or_default();
        Ok(Self { wheel: Some(wheel), entries, identity, what: String::new() })
    }

    fn folder(data: &Path, system: &str) -> Result<Self> {
        let mut entries = Vec::new();
        let mut identity = None;
        // The package itself, or the folder that it was installed or unpacked into.
        for root in std::iter::once(data.to_owned()).chain(children(data)?) {
            let tables = root.join("systems/data").join(system);
            if tables.is_dir() {
                find_tables(&tables, &mut entries)?;
            }
            identity = identity.or_else(|| Identity::beside(&root));
        }
        if identity.is_none() {
            // DATA is the package; what pip wrote about it lies beside it.
            let parent = data.parent().map(children).transpose().ok().flatten().unwrap_or_default();
            identity = parent.iter().find_map(|root| Identity::beside(root));
        }
        let identity = identity.unwrap_or_default();
        Ok(Self { wheel: None, entries, identity, what: String::new() })
    }

    /// What the package calls itself.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The newest version of vLLM with matrix products and attention.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn newest(&self) -> Result<Version> {
        let of = |table: &str| -> BTreeSet<&Version> {
            self.entries.iter().filter(|entry| entry.table == table).map(|entry| &entry.version).collect()
        };
        let (gemm, context, generation) =
            (of("gemm_perf"), of("context_attention_perf"), of("generation_attention_perf"));
        let mut newest =
            gemm.into_iter().rev().filter(|version| context.contains(version) && generation.contains(version));
        newest.next().cloned().with_context(|| {
            format!("{} has no version of vLLM with gemm, context_attention and generation_attention tables", self.what)
        })
    }

    /// The files of a table up to `version`, newest first.
    ///
    /// # Errors
    /// If one cannot be read or is too long.
    pub(crate) fn read(&mut self, table: &str, version: &Version) -> Result<Vec<TableFile>> {
        self.read_where(|entry| entry.table == table && entry.version <= *version)
    }

    /// The tables of NCCL's collectives, newest version of NCCL first.
    ///
    /// # Errors
    /// If one cannot be read or is too long.
    pub(crate) fn read_nccl(&mut self) -> Result<Vec<TableFile>> {
        self.read_where(|entry| entry.table == NCCL)
    }

    fn read_where(&mut self, is_wanted: impl Fn(&Entry) -> bool) -> Result<Vec<TableFile>> {
        let mut wanted: Vec<&Entry> = self.entries.iter().filter(|entry| is_wanted(entry)).collect();
        wanted.sort_by(|a, b| b.version.cmp(&a.version).then_with(|| a.path.cmp(&b.path)));
        let mut files = Vec::with_capacity(wanted.len());
        for entry in wanted {
            let bytes = match &mut self.wheel {
                Some(wheel) => unpack(wheel, &entry.path, MAX_TABLE_BYTES)?,
                None => read_limited(Path::new(&entry.path), MAX_TABLE_BYTES)?,
            };
            let program = if entry.table == NCCL { "NCCL" } else { "vLLM" };
            let name = format!("{} of {program} {}", entry.table, entry.version);
            files.push(TableFile { name, bytes });
        }
        Ok(files)
    }
}

impl Entry {
    /// `None` for everything that is no table of vLLM.
    fn new(path: &str) -> Option<Self> {
        let mut parts = path.rsplit('/');
        let table = parts.next()?.strip_suffix(".parquet")?;
        let version = parts.next()?;
        // A development build counts as the release it is named after.
        let version = Version::parse(version).or_else(|| Version::parse(version.split_once(".dev")?.0))?;
        let framework = parts.next()?;
        let is_ours = framework == "vllm" || framework == "nccl" && table == NCCL;
        is_ours.then(|| Self { version, table: table.to_owned(), path: path.to_owned() })
    }
}

/// SYSTEM of `…/systems/data/SYSTEM/FAMILY/vllm/VERSION/TABLE.parquet`.
fn system_of(path: &str) -> Option<&str> {
    let parts: Vec<&str> = path.split('/').collect();
    let [.., "systems", "data", system, _, _, _, _] = parts[..] else {
        return None;
    };
    Some(system)
}

fn unpack(wheel: &mut ZipArchive<File>, name: &str, limit: usize) -> Result<Vec<u8>> {
    let file = wheel.by_name(name).with_context(|| format!("{name} in the wheel"))?;
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).with_context(|| format!("{name} in the wheel cannot be unpacked"))?;
    if bytes.len() > limit {
        bail!("{name} in the wheel has more than {limit} bytes, the limit");
    }
    Ok(bytes)
}

/// What lies in a folder, in order.
fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let name = folder.display();
    let mut children = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{name} cannot be read"))? {
        children.push(entry.with_context(|| format!("{name} cannot be read"))?.path());
        ensure!(children.len() <= MAX_FILES, "{name} has more than {MAX_FILES} files, the limit");
    }
    children.sort();
    Ok(children)
}

/// Adds the tables below `systems/data/SYSTEM`.
fn find_tables(system: &Path, entries: &mut Vec<Entry>) -> Result<()> {
    for family in children(system)?
        .iter()
        .flat_map(|family| ["vllm", "nccl"].map(|by| family.join(by)))
        .filter(|family| family.is_dir())
    {
        for version in children(&family)?.iter().filter(|version| version.is_dir()) {
            let tables = children(version)?;
            entries.extend(tables.iter().filter_map(|table| Entry::new(table.to_str()?)));
        }
    }
    Ok(())
}

impl Default for Identity {
    /// For data without a METADATA file.
    fn default() -> Self {
        Self { name: "aiconfigurator-core".to_owned(), version: "unknown".to_owned() }
    }
}

impl Identity {
    /// From `aiconfigurator_core-….dist-info/METADATA` or its successor's, if `folder` is that.
    fn beside(folder: &Path) -> Option<Self> {
        let name = folder.file_name()?.to_str()?;
        let is_ours = name.starts_with("aiconfigurator_core-") || name.starts_with("aisimulate");
        if !is_ours || !name.ends_with(".dist-info") {
            return None;
        }
        Self::read(&read_limited(&folder.join("METADATA"), MAX_METADATA_BYTES).ok()?)
    }

    fn read(metadata: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(metadata).ok()?;
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?.trim();
            // As PyPI has them; they become part of an address.
            let is_plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte));
            (is_plain && (1..=64).contains(&value.len())).then(|| value.to_owned())
        };
        Some(Self { name: field("Name: ")?, version: field("Version: ")? })
    }
}
