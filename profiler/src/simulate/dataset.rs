//! The dataset's file: which it is, and, where no flag says so, what it is.

use std::path::Path;

use anyhow::{Error, Result, bail};
use sim_core::metrics::json_measured::StatedSimulation;
use sim_core::scenario::link::{Link, fingerprint};
use sim_core::scenario::{DatasetName, Scenario, check_dataset, dataset_flags};

use crate::input_file::read_limited;

/// The trace that is simulated when nothing else is asked for: the first 1,000 requests of the Azure conversation
/// trace of 2023 (Microsoft, CC-BY-4.0).
const DEFAULT_TRACE: &[u8] = include_bytes!("../../../www/datasets/azure_llm_2023_conv_first_1000.csv");

/// Largest dataset file read.
pub(crate) const MAX_DATASET_BYTES: usize = 1 << 30;

/// The dataset's file, if it has one, and whether it is the built-in trace.
///
/// Where a path is given and no name of the dataset, the file's content says it, as on the page: the scenario then has
/// the flags that read it. What was given besides stays as it was given.
///
/// # Errors
/// If the file cannot be read, is another than the link's, or is none of the dataset that was named.
pub(super) fn dataset_file(link: &Link, flags: &Scenario, scenario: &mut Scenario) -> Result<(Option<Vec<u8>>, bool)> {
    let is_named = scenario.get("dataset-name").is_some();
    let path = scenario.workload().dataset_path.clone();
    if is_named && !scenario.workload().dataset_name().needs_file() {
        return Ok((None, false));
    }
    if flags.workload().dataset_path.is_none()
        && let Some(file) = &link.dataset_file
        && is_named
    {
        return Ok((Some(file.clone()), false));
    }
    let Some(path) = path else {
        let is_default = scenario.workload().dataset_name() == DatasetName::Azure;
        return Ok((is_default.then(|| DEFAULT_TRACE.to_vec()), is_default));
    };
    let file = read_limited(Path::new(&path), MAX_DATASET_BYTES)?;
    if link.dataset_hash.is_some_and(|hash| hash != fingerprint(&file)) {
        bail!("{path} is not the file that the link was made with: their contents differ");
    }
    let told = |fault| Error::msg(format!("{path}: {fault}"));
    if is_named {
        check_dataset(scenario, &file).map_err(told)?;
    } else {
        for (flag, value) in dataset_flags(&file).map_err(told)? {
            if scenario.get(flag).is_none() {
                scenario.set(flag, Some(&value))?;
            }
        }
    }
    Ok((Some(file), false))
}

/// The file of the dataset that a result states: the one that `flags` name, else the one that it was made of, if that is
/// the built-in trace or lies where it says.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn dataset_of_result(
    stated: &Scenario,
    flags: &Scenario,
    simulation: Option<&StatedSimulation>,
) -> Result<Option<Vec<u8>>> {
    if let Some(path) = &flags.workload().dataset_path {
        return Ok(Some(read_limited(Path::new(path), MAX_DATASET_BYTES)?));
    }
    let made_of = simulation.and_then(|simulation| simulation.dataset);
    if made_of == Some(fingerprint(DEFAULT_TRACE)) {
        return Ok(Some(DEFAULT_TRACE.to_vec()));
    }
    let path = stated.workload().dataset_path.as_ref().map(Path::new).filter(|path| path.is_file());
    let file = path.map(|path| read_limited(path, MAX_DATASET_BYTES)).transpose()?;
    Ok(file.filter(|file| made_of == Some(fingerprint(file))))
}
