//! Which profile a run has: a whole-pass one that was given, one that is composed, or the built-in one.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use sim_core::models::Catalogue;
use sim_core::operators::Pack;
use sim_core::profile::Profile;
use sim_core::scenario::link::{Link, fingerprint};
use sim_core::scenario::{Composed, Composition, Scenario, check_same_config};

use super::library::{FoundPack, catalogue, pack};
use super::model_source::{ModelFile, ModelName};
use crate::input_file::read_profile;

/// The profile that is used when no other is asked for, and its name.
const DEFAULT_PROFILE: &[u8] = include_bytes!("../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");
pub(crate) const DEFAULT_PROFILE_NAME: &str = "h100-sxm_llama-3.1-8b_bf16_tp1";

/// A profile, and what it came from.
#[derive(Debug)]
pub(crate) struct ProfileChoice {
    pub(crate) profile: Profile,
    pub(crate) name: String,
    pub(crate) origin: Origin,
    /// Whether it is of one of several data-parallel ranks that step together.
    pub(crate) is_of_lockstep: bool,
}

/// How many of a scenario's data-parallel ranks are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Simulates {
    /// One: those of a dense model are refused, as nothing tells one from an engine that stands alone.
    OneRank,
    /// All.
    AllRanks,
}

/// A whole-pass profile that was given.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WholeProfile<'a> {
    /// As a file.
    Path(&'a Path),
    /// As the contents of one.
    File {
        /// What to call it.
        name: &'a str,
        /// Its text.
        json: &'a [u8],
    },
}

/// What a profile came from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// It is the built-in one.
    BuiltIn,
    /// A file, of the command line or of the link.
    File(Vec<u8>),
    /// The scenario's flags.
    Composed {
        /// The user's own `config.json`.
        config: Option<Vec<u8>>,
        /// The user's own pack.
        pack: Option<Vec<u8>>,
        /// The model of the list that the name was taken for, if that is another.
        recognised: Option<String>,
    },
}

impl ProfileChoice {
    /// The profile for `scenario`, which is that of `link` with `flags` on top. Paths in it become names.
    pub(super) fn new(
        scenario: &mut Scenario,
        flags: &Scenario,
        link: &Link,
        (given, model_name, simulates): (Option<WholeProfile<'_>>, &ModelName, Simulates),
    ) -> Result<Self> {
        // What is asked for here goes before the link's profile.
        let is_asked = given.is_none() && (flags.get("model").is_some() || flags.get("gpu").is_some());
        let is_whole = given.is_some() || link.has_profile() && !is_asked;
        match scenario.composition().filter(|_| !is_whole) {
            Some(composition) => {
                let model = match flags.get("model") {
                    Some(given) => model_name.file(given)?,
                    None => link_model(scenario, link)?,
                };
                composed(scenario, (flags, link), &composition, (model, simulates))
            }
            None => {
                let choice = whole(link, given)?;
                // Half a millisecond to read, and looked into where a model is named, or must be known to have experts or not.
                let needs_list = ["model", "data-parallel-size"].into_iter().any(|flag| scenario.get(flag).is_some());
                let catalogue = if needs_list { catalogue()? } else { Catalogue::default() };
                if let Some(file) = flags.get("model").map(|given| model_name.file(given)).transpose()?.flatten() {
                    let same = check_same_config(&file.name, &file.config, &choice.profile, &catalogue);
                    same.map_err(|other| anyhow!("--model {}: {other}", file.name))?;
                    // It is the profile's, by whatever path.
                    scenario.set("model", Some(&choice.profile.model.name))?;
                }
                match simulates {
                    Simulates::OneRank => scenario.check_profile(&choice.profile, &catalogue)?,
                    Simulates::AllRanks => scenario.check_profile_of_ranks(&choice.profile, &catalogue)?,
                }
                Ok(choice)
            }
        }
    }

    /// The profile of a role's engines, beside this one of all: that of `file`, or composed for the flags of `scenario`,
    /// which are all that these have.
    ///
    /// # Errors
    /// If the file cannot be read, or flags disagree with a profile that is not composed.
    pub(crate) fn of_role(&self, scenario: &Scenario, file: Option<&Path>) -> Result<Self> {
        let catalogue = catalogue()?;
        let is_composed = matches!(self.origin, Origin::Composed { .. } | Origin::BuiltIn);
        if let Some(composition) = scenario.composition().filter(|_| file.is_none() && is_composed) {
            let (config, own_pack) = match &self.origin {
                Origin::Composed { config, pack, .. } => (config.clone(), pack.clone()),
                _ => (None, None),
            };
            let own_pack = own_pack.map(|file| Pack::from_json(&file)).transpose()?;
            let own_pack = own_pack.filter(|pack| pack.gpu.key == composition.gpu_key());
            let pack = own_pack.map_or_else(|| pack(composition.gpu_key()).map(|found| found.pack), Ok)?;
            let composed = composition.compose_rank(&catalogue, config.as_deref(), &pack)?;
            let Composed { profile, name, recognised, is_of_lockstep } = composed;
            let origin = Origin::Composed { config, pack: None, recognised };
            return Ok(Self { profile, name, origin, is_of_lockstep });
        }
        let choice = match file {
            Some(path) => whole(&Link::default(), Some(WholeProfile::Path(path)))?,
            None => Self {
                profile: self.profile.clone(),
                name: self.name.clone(),
                origin: Origin::BuiltIn,
                is_of_lockstep: self.is_of_lockstep,
            },
        };
        scenario.check_profile_of_ranks(&choice.profile, &catalogue)?;
        Ok(choice)
    }

    /// Puts into `link` what it needs to find the profile again.
    pub(super) fn tell(&self, link: &mut Link) {
        match &self.origin {
            Origin::BuiltIn => link.profile_hash = Some(fingerprint(DEFAULT_PROFILE)),
            Origin::File(file) => {
                link.profile = Some(super::inputs::name_for_link(&self.name));
                link.profile_hash = Some(fingerprint(file));
                link.profile_file = Some(file.clone());
            }
            Origin::Composed { config, pack, .. } => {
                link.config_hash = config.as_deref().map(fingerprint);
                link.config_file.clone_from(config);
                link.pack_hash = pack.as_deref().map(fingerprint);
                link.pack_file.clone_from(pack);
            }
        }
    }
}

/// What `scenario` says, composed.
fn composed(
    scenario: &mut Scenario,
    (flags, link): (&Scenario, &Link),
    composition: &Composition,
    (model, simulates): (Option<ModelFile>, Simulates),
) -> Result<ProfileChoice> {
    let FoundPack { pack, file: pack_file } = match (flags.get("gpu"), &link.pack_file) {
        (None, Some(file)) => {
            let pack = Pack::from_json(file).context("the pack of the link")?;
            FoundPack { pack, file: Some(file.clone()) }
        }
        (None, None) if link.pack_hash.is_some() => {
            anyhow::bail!(
                "the link needs a pack of its own for {}, which it does not carry: give --gpu PATH",
                composition.gpu_key()
            )
        }
        _ => pack(composition.gpu_key())?,
    };
    if let Some(model) = &model {
        scenario.set("model", Some(&model.name))?;
    }
    if pack_file.is_some() {
        scenario.set("gpu", Some(&pack.gpu.key))?;
    }
    let config = model.map(|model| model.config);
    // Names instead of paths.
    let composition = scenario.composition().unwrap_or_else(|| composition.clone());
    let (catalogue, file) = (catalogue()?, config.as_deref());
    let Composed { profile, name, recognised, is_of_lockstep } = match simulates {
        Simulates::OneRank => composition.compose(&catalogue, file, &pack)?,
        Simulates::AllRanks => composition.compose_rank(&catalogue, file, &pack)?,
    };
    let origin = Origin::Composed { config, pack: pack_file, recognised };
    Ok(ProfileChoice { profile, name, origin, is_of_lockstep })
}

/// The link's own `config.json`.
fn link_model(scenario: &Scenario, link: &Link) -> Result<Option<ModelFile>> {
    let name = scenario.get("model").unwrap_or("model").to_owned();
    ensure!(
        link.config_file.is_some() || link.config_hash.is_none(),
        "the link needs a config.json for {name}, which it does not carry: give --model PATH"
    );
    Ok(link.config_file.clone().map(|config| ModelFile { name, config }))
}

/// The profile of a file, or the built-in one.
fn whole(link: &Link, given: Option<WholeProfile<'_>>) -> Result<ProfileChoice> {
    match given {
        Some(WholeProfile::Path(path)) => {
            let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
            let (profile, file) = read_profile(path)?;
            return Ok(choice(profile, name, file));
        }
        Some(WholeProfile::File { name, json }) => {
            let profile = Profile::from_json(json).with_context(|| name.to_owned())?;
            return Ok(choice(profile, name.to_owned(), json.to_vec()));
        }
        None => {}
    }
    let name = link.profile.clone().unwrap_or_else(|| DEFAULT_PROFILE_NAME.to_owned());
    if let Some(file) = &link.profile_file {
        let profile = Profile::from_json(file).with_context(|| name.clone())?;
        return Ok(choice(profile, name, file.clone()));
    }
    ensure!(
        name == DEFAULT_PROFILE_NAME,
        "the link needs profile {name}, which it does not carry: give --profile PATH"
    );
    ensure!(
        link.profile_hash.is_none_or(|hash| hash == fingerprint(DEFAULT_PROFILE)),
        "the link was made with another version of profile {name}: give that file by --profile PATH"
    );
    let profile = Profile::from_json(DEFAULT_PROFILE).with_context(|| name.clone())?;
    Ok(choice(profile, name, DEFAULT_PROFILE.to_vec()))
}

fn choice(profile: Profile, name: String, file: Vec<u8>) -> ProfileChoice {
    let origin = if file == DEFAULT_PROFILE { Origin::BuiltIn } else { Origin::File(file) };
    ProfileChoice { profile, name, origin, is_of_lockstep: false }
}
