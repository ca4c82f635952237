//! Temporary folders with files for Python: nobody else can read or replace what is in them.

use std::fs;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// A new folder with `files`, as (name, content); removed when it is dropped.
///
/// # Errors
/// If the system's temporary folder cannot be written.
pub(crate) fn scratch_folder(files: &[(&str, &str)]) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("vllm-simulator-").tempdir().context("a temporary folder")?;
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    Ok(folder)
}
