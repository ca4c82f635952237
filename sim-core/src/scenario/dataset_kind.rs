//! What a dataset is by its content, as the flags that read it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::recognise::{Recognised, recognise};
use super::recognise_error::RecogniseError;
use super::{DatasetName, Scenario};
use crate::workload::timed_trace::TimedTraceOptions;
use crate::workload::trace::TraceKind;

impl TraceKind {
    /// What it is, with an article.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Azure => "an Azure trace",
            Self::BurstGpt => "a BurstGPT trace",
            Self::TimedTrace(options) if options.timed_trace_chunk_hash_size == 512 => "a Mooncake trace",
            Self::TimedTrace(_) => "a timed trace",
            Self::Table => "a table of requests",
            Self::Mixture => "a mixture of classes",
        }
    }

    /// The flags that read it with its own times, as `--dataset-name` and what goes with it.
    #[must_use]
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let dataset = match self {
            Self::Azure => DatasetName::Azure,
            Self::BurstGpt => DatasetName::BurstGptTimed,
            Self::TimedTrace(_) => DatasetName::TimedTrace,
            Self::Table => DatasetName::Table,
            Self::Mixture => DatasetName::Mixture,
        };
        let mut flags = alloc::vec![("dataset-name", dataset.name().to_string())];
        if let Self::TimedTrace(options) = self
            && *options != TimedTraceOptions::default()
        {
            flags.push(("timed-trace-chunk-hash-size", options.timed_trace_chunk_hash_size.to_string()));
            flags.push(("timed-trace-sec-multiplier", options.timed_trace_sec_multiplier.to_string()));
        }
        flags
    }

    /// Whether a dataset of this name is read from such a file. A table may be any of them.
    const fn is_for(&self, name: DatasetName) -> bool {
        match self {
            Self::Mixture => matches!(name, DatasetName::Mixture),
            _ if matches!(name, DatasetName::Table) => true,
            Self::Table => false,
            Self::Azure => matches!(name, DatasetName::Azure),
            Self::BurstGpt => matches!(name, DatasetName::BurstGpt | DatasetName::BurstGptTimed),
            Self::TimedTrace(_) => matches!(name, DatasetName::TimedTrace),
        }
    }
}

/// The flags that read the dataset in `file`, by its content.
///
/// # Errors
/// What is there instead, as a sentence that reads on after the file's name and a colon.
pub fn dataset_flags(file: &[u8]) -> Result<Vec<(&'static str, String)>, String> {
    match recognise(file) {
        Ok(Recognised::Trace(kind)) => Ok(kind.flags()),
        Err(RecogniseError::Texts { dataset_name, .. }) => Ok(alloc::vec![("dataset-name", dataset_name.to_string())]),
        Ok(other) => Err(alloc::format!("this is {}, not a dataset", other.name())),
        Err(RecogniseError::Unknown { begins }) => Err(alloc::format!(
            "{begins}: by its content it is no dataset that is known (Mooncake, Qwen-Bailian, Azure, BurstGPT, ShareGPT, \
             or columns whose names say time, prompt and output tokens); give --dataset-name, or for a CSV or JSON lines \
             of your own --dataset-name table --columns time=COLUMN,prompt=COLUMN,output=COLUMN"
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether `file` can be what the dataset of `scenario` is read from. A file that is not known may be.
///
/// # Errors
/// What it is instead: as [`dataset_flags`].
pub fn check_dataset(scenario: &Scenario, file: &[u8]) -> Result<(), String> {
    let name = scenario.workload().dataset_name();
    let found = recognise(file);
    // Under other labels the file of a timed trace looks like something else.
    let has_labels = ["timestamp", "input-length", "output-length", "hash-ids"]
        .iter()
        .any(|label| scenario.get(&alloc::format!("timed-trace-label-{label}")).is_some());
    let instead =
        |what: &str, dataset: &str| Err(alloc::format!("this is {what}: its name is --dataset-name {dataset}"));
    match found {
        Ok(Recognised::Trace(kind)) if kind.is_for(name) || kind == TraceKind::Table && has_labels => Ok(()),
        Ok(Recognised::Trace(kind)) => {
            let dataset = kind.flags().into_iter().next().map(|(_, name)| name).unwrap_or_default();
            instead(kind.name(), &dataset)
        }
        Err(RecogniseError::Texts { .. }) if name.needs_tokenizer() || name == DatasetName::Table || has_labels => {
            Ok(())
        }
        Err(RecogniseError::Texts { kind, dataset_name }) => instead(kind, dataset_name),
        Ok(Recognised::Command { .. } | Recognised::Link { .. }) => check_shape(name, file),
        Ok(_) if has_labels || scenario.get("columns").is_some() => Ok(()),
        Ok(other) => Err(alloc::format!("this is {}, not a dataset", other.name())),
        Err(RecogniseError::Unknown { begins }) => {
            check_shape(name, file).map_err(|wanted| alloc::format!("{begins}: {wanted}"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a file begins as those of a dataset do.
fn check_shape(name: DatasetName, file: &[u8]) -> Result<(), String> {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file).trim_ascii_start();
    let inside = file.get(1..).unwrap_or_default().trim_ascii_start().first();
    let (found, first) = match file.first() {
        Some(b'{') => ("JSON lines", b'{'),
        Some(b'[') if inside.is_some_and(|inside| b"{[\"]".contains(inside)) => ("a JSON list", b'['),
        _ => ("no JSON", b','),
    };
    let (wanted, needs) = match name {
        DatasetName::TimedTrace | DatasetName::Custom => ("JSON lines, one object on each,", b'{'),
        DatasetName::ShareGpt => ("a JSON list", b'['),
        DatasetName::Mixture => ("a JSON object with a list of classes", b'{'),
        DatasetName::Table if first == b'{' => return Ok(()),
        DatasetName::Table => ("a CSV or JSON lines, one object on each", b','),
        _ => ("a CSV", b','),
    };
    let is_fit = first == needs || !name.needs_file();
    if is_fit { Ok(()) } else { Err(alloc::format!("this is {found}; --dataset-name {name} is read from {wanted}")) }
}
