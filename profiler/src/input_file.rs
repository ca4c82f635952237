//! Files that the user names: read up to a limit, and told for what they are where they are something else.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Error, Result, bail, ensure};
use sim_core::profile::Profile;
use sim_core::scenario::{RecogniseError, Recognised, recognise};

/// What a file is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Of [`Profile::from_json`].
    Profile,
    /// A model's `config.json`.
    ModelConfig,
    /// Of [`sim_core::operators::Pack::from_json`].
    Pack,
    /// Written by `vllm bench serve --save-result`.
    BenchResult,
    /// Requests of `verify-metrics --workload`.
    Workload,
}

impl Wanted {
    const fn name(self) -> &'static str {
        match self {
            Self::Profile => "a profile",
            Self::ModelConfig => "a model's config.json",
            Self::Pack => "a pack of operators",
            Self::BenchResult => "a result of vllm bench serve",
            Self::Workload => "a workload (--workload)",
        }
    }

    const fn is(self, found: &Recognised) -> bool {
        matches!(
            (self, found),
            (Self::Profile, Recognised::Profile)
                | (Self::ModelConfig, Recognised::ModelConfig)
                | (Self::Pack, Recognised::Pack)
                | (Self::BenchResult, Recognised::BenchResult)
        )
    }
}

/// The bytes of the file at `path`, refused above `limit`; never more than that is read.
pub(crate) fn read_limited(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("{name} cannot be opened"))?;
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).with_context(|| format!("{name} cannot be read"))?;
    ensure!(bytes.len() <= limit, "{name} has more than {limit} bytes, the limit");
    Ok(bytes)
}

/// The profile in a file, and the file.
pub(crate) fn read_profile(path: &Path) -> Result<(Profile, Vec<u8>)> {
    let file = read_limited(path, Profile::MAX_BYTES)?;
    let profile = Profile::from_json(&file).map_err(|fault| explained(path, &file, Wanted::Profile, fault))?;
    Ok((profile, file))
}

/// What its reader says of a file that it cannot read, or what the file is if it was not meant for this reader.
pub(crate) fn explained(path: &Path, bytes: &[u8], wanted: Wanted, fault: impl Into<Error>) -> Error {
    match instead(bytes, wanted) {
        Some(told) => Error::msg(format!("{}: {told}", path.display())),
        None => fault.into().context(path.display().to_string()),
    }
}

/// Refuses a file that is known to be something else; what is not known its reader may take.
///
/// # Errors
/// What it is, and what is wanted.
pub(crate) fn check(path: &Path, bytes: &[u8], wanted: Wanted) -> Result<()> {
    if let Some(told) = instead(bytes, wanted) {
        bail!("{}: {told}", path.display());
    }
    Ok(())
}

fn instead(bytes: &[u8], wanted: Wanted) -> Option<String> {
    let name = wanted.name();
    match recognise(bytes) {
        Ok(found) if wanted.is(&found) => None,
        Ok(found) => Some(format!("this is {}, where {name} is wanted", found.name())),
        Err(RecogniseError::Unknown { begins }) => {
            // Of JSON its reader knows better what is wrong with it.
            let is_json = bytes.trim_ascii_start().first().is_some_and(|first| b"{[".contains(first));
            (!is_json).then(|| format!("{begins} is not {name}"))
        }
        Err(RecogniseError::Texts { kind, .. }) => Some(format!("this is {kind}, where {name} is wanted")),
        Err(RecogniseError::List { kind }) => {
            Some(format!("this is a JSON list, each entry {kind}, where {name} is wanted"))
        }
        Err(error @ (RecogniseError::Empty | RecogniseError::Utf16 | RecogniseError::Packed { .. })) => {
            Some(format!("{error} ({name} is wanted)"))
        }
        Err(_) => None,
    }
}
