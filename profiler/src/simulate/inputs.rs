//! What a run is made from: flags, or a share link, and the files that they name.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sim_core::profile::Profile;
use sim_core::scenario::link::{Link, MAX_FRAGMENT_BYTES, MAX_INFLATED_BYTES, fingerprint, is_profile_name};
use sim_core::scenario::{DatasetName, Part, Scenario};

/// The profile that is used when no other is asked for, and its name.
const DEFAULT_PROFILE: &[u8] = include_bytes!("../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");
pub(crate) const DEFAULT_PROFILE_NAME: &str = "h100-sxm_llama-3.1-8b_bf16_tp1";

/// The trace that is simulated when nothing else is asked for: the first 1,000 requests of the Azure conversation
/// trace of 2023 (Microsoft, CC-BY-4.0).
const DEFAULT_TRACE: &[u8] = include_bytes!("../../../www/datasets/azure_llm_2023_conv_first_1000.csv");

/// Largest dataset file read.
pub(crate) const MAX_DATASET_BYTES: u64 = 1 << 30;

/// Everything that decides a run.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) scenario: Scenario,
    pub(crate) profile: Profile,
    pub(crate) profile_name: String,
    /// The profile's file, and whether it is the built-in one.
    pub(crate) profile_file: Vec<u8>,
    pub(crate) is_default_profile: bool,
    /// The dataset's file, if it has one.
    pub(crate) dataset: Option<Vec<u8>>,
    /// Whether the workload is the built-in trace.
    pub(crate) is_default_trace: bool,
}

impl Inputs {
    /// Puts together what was given: the flags come on top of the link.
    pub(crate) fn new(flags: &Scenario, link: Option<&str>, profile: Option<&Path>) -> Result<Self> {
        let link = link.map(Link::from_fragment).transpose()?;
        let mut scenario = link.as_ref().map(|link| link.scenario.clone()).unwrap_or_default();
        for (flag, value) in flags.flags() {
            scenario.set(&flag, value.as_deref())?;
        }
        if link.is_none() && scenario.is_default(Part::Workload) {
            scenario.set("dataset-name", Some(DatasetName::Azure.name()))?;
        }
        let link = link.unwrap_or_default();
        let (profile_name, profile_file) = profile_file(&link, profile)?;
        let profile = Profile::from_json(&profile_file).with_context(|| profile_name.clone())?;
        let is_default_profile = profile_file == DEFAULT_PROFILE;
        let (dataset, is_default_trace) = dataset_file(&link, flags, &scenario)?;
        Ok(Self { scenario, profile, profile_name, profile_file, is_default_profile, dataset, is_default_trace })
    }

    /// The link that repeats the run, with the files inside that nobody else has.
    pub(crate) fn link(&self) -> Link {
        let own_dataset = self.dataset.as_ref().filter(|_| !self.is_default_trace);
        Link {
            scenario: self.scenario.clone(),
            profile: (!self.is_default_profile).then(|| name_for_link(&self.profile_name)),
            profile_hash: Some(fingerprint(&self.profile_file)),
            profile_file: (!self.is_default_profile).then(|| self.profile_file.clone()),
            dataset_hash: own_dataset.map(|file| fingerprint(file)),
            dataset_file: own_dataset.cloned(),
            made_by: Some(env!("CARGO_PKG_VERSION").to_owned()),
            ..Link::default()
        }
    }
}

impl Inputs {
    /// That link as the end of an address. With `is_profile_served` a profile that does not fit stays out of it.
    ///
    /// # Errors
    /// If it, or a file in it, is longer than a link may be.
    pub(crate) fn fragment(&self, is_profile_served: bool) -> Result<String> {
        let mut link = self.link();
        let is_too_long = |fragment: &str| fragment.len() - 1 > MAX_FRAGMENT_BYTES;
        let fits = |file: &Option<Vec<u8>>| file.as_ref().is_none_or(|file| file.len() <= MAX_INFLATED_BYTES);
        if is_profile_served && (!fits(&link.profile_file) || is_too_long(&link.to_fragment())) {
            link.profile_file = None;
        }
        for (what, file) in [("profile", &link.profile_file), ("dataset", &link.dataset_file)] {
            let length = file.as_ref().map_or(0, Vec::len);
            ensure!(
                fits(file),
                "the {what} has {length} bytes, a link carries at most {MAX_INFLATED_BYTES}: send the file instead"
            );
        }
        let fragment = link.to_fragment();
        ensure!(
            !is_too_long(&fragment),
            "the link would have {} bytes, the limit is {MAX_FRAGMENT_BYTES}: send profile and dataset as files",
            fragment.len() - 1
        );
        Ok(fragment)
    }
}

/// Name and content of the profile.
fn profile_file(link: &Link, path: Option<&Path>) -> Result<(String, Vec<u8>)> {
    if let Some(path) = path {
        let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let file = read_file(path, Profile::MAX_BYTES as u64)?;
        // A fault in the file is told with the path, as it was given.
        Profile::from_json(&file).with_context(|| path.display().to_string())?;
        return Ok((stem, file));
    }
    let name = link.profile.clone().unwrap_or_else(|| DEFAULT_PROFILE_NAME.to_owned());
    if let Some(file) = &link.profile_file {
        return Ok((name, file.clone()));
    }
    ensure!(
        name == DEFAULT_PROFILE_NAME,
        "the link needs profile {name}, which it does not carry: give --profile PATH"
    );
    if link.profile_hash.is_some_and(|hash| hash != fingerprint(DEFAULT_PROFILE)) {
        bail!("the link was made with another version of profile {name}: give that file by --profile PATH");
    }
    Ok((name, DEFAULT_PROFILE.to_vec()))
}

/// The dataset's file, and whether it is the built-in trace.
fn dataset_file(link: &Link, flags: &Scenario, scenario: &Scenario) -> Result<(Option<Vec<u8>>, bool)> {
    let workload = scenario.workload();
    let name = workload.dataset_name();
    if !name.needs_file() {
        return Ok((None, false));
    }
    if flags.workload().dataset_path.is_none()
        && let Some(file) = &link.dataset_file
    {
        return Ok((Some(file.clone()), false));
    }
    let Some(path) = &workload.dataset_path else {
        let is_default = name == DatasetName::Azure;
        return Ok((is_default.then(|| DEFAULT_TRACE.to_vec()), is_default));
    };
    let file = read_file(&PathBuf::from(path), MAX_DATASET_BYTES)?;
    if link.dataset_hash.is_some_and(|hash| hash != fingerprint(&file)) {
        bail!("{path} is not the file that the link was made with: their contents differ");
    }
    Ok((Some(file), false))
}

/// A file's name as a link may have it.
fn name_for_link(name: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = name.chars().map(|c| if is_allowed(c) { c } else { '-' }).take(80).collect();
    if is_profile_name(&name) { name } else { "profile".to_owned() }
}

/// A file of at most `max_bytes`.
pub(crate) fn read_file(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let place = || path.display().to_string();
    let size = fs::metadata(path).with_context(place)?.len();
    ensure!(size <= max_bytes, "{}: {size} bytes; the limit is {max_bytes}", path.display());
    fs::read(path).with_context(place)
}
