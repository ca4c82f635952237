//! What reads profiles and finds the engine that vLLM would start with: a part that comes with the first profile. Until
//! then the page answers to its user, but for what a profile decides.

use std::sync::Arc;

use leptos::prelude::Set;
use sim_core::config::ResolvedEngine;
use sim_core::profile::{Profile, StatedRange};
use sim_core::scenario::Scenario;

use crate::engine_values::{Told, overridden, told};
use crate::gallery::{self, GalleryEntry};
use crate::parts::part;
use crate::state::{AppState, Origin, ProfileChoice};

/// The part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profiles {
    read: fn(&[u8]) -> Result<Profile, String>,
    resolve: fn(&Scenario, &Profile) -> Result<ResolvedEngine, String>,
    resolve_without: fn(&Scenario, &str, &Profile) -> Result<ResolvedEngine, String>,
    stated: fn(&Profile) -> Option<StatedRange>,
    told: fn(&str, &ResolvedEngine, &Profile) -> Told,
    overridden: fn(&str, &ResolvedEngine) -> Option<String>,
    index: fn(&str) -> Result<Vec<GalleryEntry>, String>,
}

part! {
    /// What reads profiles.
    pub(crate) fn profiles() -> Profiles { Profiles::WHOLE } in profiles
}

fn read(file: &[u8]) -> Result<Profile, String> {
    Profile::from_json(file).map_err(|error| error.to_string())
}

fn resolve(scenario: &Scenario, profile: &Profile) -> Result<ResolvedEngine, String> {
    scenario.resolve(profile).map_err(|error| error.to_string())
}

fn resolve_without(scenario: &Scenario, flag: &str, profile: &Profile) -> Result<ResolvedEngine, String> {
    let mut without = scenario.clone();
    without.unset(flag);
    resolve(&without, profile)
}

impl Profiles {
    /// All of it; what names this has all of it at once.
    pub(crate) const WHOLE: Self =
        Self { read, resolve, resolve_without, stated: StatedRange::of, told, overridden, index: gallery::parse };

    /// A profile of this name, of an engine that stands alone; a fault is told without it.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn choice(self, name: String, file: Arc<Vec<u8>>, origin: Origin) -> Result<ProfileChoice, String> {
        let profile = Arc::new((self.read)(&file)?);
        Ok(ProfileChoice { name, file, profile, origin, is_of_lockstep: false, profiles: self })
    }
}

impl ProfileChoice {
    /// The engine that vLLM would start with on it.
    ///
    /// # Errors
    /// Why it would not start.
    pub(crate) fn resolve(&self, scenario: &Scenario) -> Result<ResolvedEngine, String> {
        (self.profiles.resolve)(scenario, &self.profile)
    }

    /// The same without one of the flags.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub(crate) fn resolve_without(&self, scenario: &Scenario, flag: &str) -> Result<ResolvedEngine, String> {
        (self.profiles.resolve_without)(scenario, flag, &self.profile)
    }

    /// What holds for a flag on `engine`, which resolved without it.
    pub(crate) fn told(&self, flag: &str, engine: &ResolvedEngine) -> Told {
        (self.profiles.told)(flag, engine, &self.profile)
    }

    /// What became of a given value on `engine`, if it was set aside or led to another.
    pub(crate) fn overridden(&self, flag: &str, engine: &ResolvedEngine) -> Option<String> {
        (self.profiles.overridden)(flag, engine)
    }

    /// How far it says that it may be off.
    pub(crate) fn stated_range(&self) -> Option<StatedRange> {
        (self.profiles.stated)(&self.profile)
    }
}

impl AppState {
    /// Takes over the index of the site's profiles that are whole.
    ///
    /// # Errors
    /// What is wrong with it, or that what reads it did not load.
    pub(crate) async fn read_index(self, json: &[u8]) -> Result<(), String> {
        let profiles = profiles().await.map_err(|missing| missing.to_string())?;
        self.gallery.set((profiles.index)(&String::from_utf8_lossy(json))?);
        Ok(())
    }
}
