//! What a run is made from: flags, or a share link, and the files that they name.

use std::path::Path;

use anyhow::{Result, ensure};
use sim_core::scenario::link::{Link, MAX_FRAGMENT_BYTES, MAX_INFLATED_BYTES, fingerprint, is_profile_name};
use sim_core::scenario::{DatasetName, Part, Scenario};

use super::dataset::dataset_file;
use super::model_source::ModelName;
use super::profile_choice::{ProfileChoice, Simulates, WholeProfile};

/// Everything that decides a run.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) scenario: Scenario,
    pub(crate) choice: ProfileChoice,
    /// The dataset's file, if it has one.
    pub(crate) dataset: Option<Vec<u8>>,
    /// Whether the workload is the built-in trace.
    pub(crate) is_default_trace: bool,
}

impl Inputs {
    /// Puts together what was given: the flags come on top of the link.
    pub(crate) fn new(
        flags: &Scenario,
        link: Option<&str>,
        profile: Option<&Path>,
        model_name: &ModelName,
    ) -> Result<Self> {
        Self::put_together(flags, link, profile.map(WholeProfile::Path), (model_name, Simulates::OneRank))
    }

    /// As [`Self::new`], for who simulates all data-parallel ranks.
    pub(crate) fn of_all_ranks(
        flags: &Scenario,
        link: Option<&str>,
        profile: Option<&Path>,
        model_name: &ModelName,
    ) -> Result<Self> {
        Self::put_together(flags, link, profile.map(WholeProfile::Path), (model_name, Simulates::AllRanks))
    }

    /// As [`Self::new`], with any whole profile.
    pub(crate) fn put_together(
        flags: &Scenario,
        link: Option<&str>,
        profile: Option<WholeProfile<'_>>,
        (model_name, simulates): (&ModelName, Simulates),
    ) -> Result<Self> {
        let link = link.map(Link::from_fragment).transpose()?;
        let mut scenario = link.as_ref().map(|link| link.scenario.clone()).unwrap_or_default();
        for (flag, value) in flags.flags() {
            scenario.set(&flag, value.as_deref())?;
        }
        if link.is_none() && scenario.is_default(Part::Workload) {
            scenario.set("dataset-name", Some(DatasetName::Azure.name()))?;
        }
        let link = link.unwrap_or_default();
        let choice = ProfileChoice::new(&mut scenario, flags, &link, (profile, model_name, simulates))?;
        let (dataset, is_default_trace) = dataset_file(&link, flags, &mut scenario)?;
        Ok(Self { scenario, choice, dataset, is_default_trace })
    }

    /// The link that repeats the run, with the files inside that nobody else has.
    pub(crate) fn link(&self) -> Link {
        let own_dataset = self.dataset.as_ref().filter(|_| !self.is_default_trace);
        let mut link = Link {
            scenario: self.scenario.clone(),
            dataset_hash: own_dataset.map(|file| fingerprint(file)),
            dataset_file: own_dataset.cloned(),
            made_by: Some(env!("CARGO_PKG_VERSION").to_owned()),
            ..Link::default()
        };
        self.choice.tell(&mut link);
        link
    }
}

impl Inputs {
    /// That link as the end of an address. A pack that does not fit stays out of it, with `is_profile_served` a profile,
    /// too.
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
        if !fits(&link.pack_file) || is_too_long(&link.to_fragment()) {
            link.pack_file = None;
        }
        let files =
            [("profile", &link.profile_file), ("config.json", &link.config_file), ("dataset", &link.dataset_file)];
        for (what, file) in files {
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

/// A file's name as a link may have it.
pub(super) fn name_for_link(name: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = name.chars().map(|c| if is_allowed(c) { c } else { '-' }).take(80).collect();
    if is_profile_name(&name) { name } else { "profile".to_owned() }
}
