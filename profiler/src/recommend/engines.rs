//! The engines of candidates: each profile is composed once, however many candidates share it.

use std::collections::BTreeMap;

use anyhow::Result;
use rayon::prelude::*;
use sim_core::answers::recommend::exclusion::Kind;
use sim_core::answers::recommend::figures::Hardware;
use sim_core::answers::recommend::{Engine, Exclusion};
use sim_core::models::catalogue::Catalogue;
use sim_core::operators::Pack;
use sim_core::operators::prices::Prices;
use sim_core::profile::Profile;
use sim_core::scenario::Scenario;

use crate::simulate::library;

/// What profiles are composed of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) catalogue: Catalogue,
    /// The user's own `config.json`.
    pub(crate) config: Option<Vec<u8>>,
    /// The user's own pack.
    pub(crate) own_pack: Option<Pack>,
    pub(crate) prices: Prices,
}

/// Profiles that were composed, and for which flags.
#[derive(Debug)]
pub(crate) struct Engines {
    parts: Parts,
    packs: BTreeMap<String, Pack>,
    profiles: Vec<Profile>,
    by_flags: BTreeMap<String, Result<usize, Exclusion>>,
}

impl Engines {
    pub(crate) const fn new(parts: Parts) -> Self {
        Self { parts, packs: BTreeMap::new(), profiles: vec![], by_flags: BTreeMap::new() }
    }

    /// The profile of an engine.
    pub(crate) fn profile(&self, engine: &Engine) -> Option<&Profile> {
        self.profiles.get(engine.profile)
    }

    /// The engines of `scenarios`, in their order. What is composed anew is composed over all cores.
    ///
    /// # Errors
    /// If a GPU is not known, or its pack cannot be read.
    pub(crate) fn of(&mut self, scenarios: &[&Scenario]) -> Result<Vec<Result<Engine, Exclusion>>> {
        let mut new: BTreeMap<String, &Scenario> = BTreeMap::new();
        for scenario in scenarios {
            let flags = composed_of(scenario);
            if !self.by_flags.contains_key(&flags) {
                new.insert(flags, scenario);
            }
        }
        self.load_packs(new.values().copied())?;
        let new: Vec<(String, &Scenario)> = new.into_iter().collect();
        let composed: Vec<Result<Profile, Exclusion>> =
            new.par_iter().map(|(_, scenario)| self.compose(scenario)).collect();
        for ((flags, _), profile) in new.into_iter().zip(composed) {
            let place = profile.map(|profile| self.place_of(profile));
            self.by_flags.insert(flags, place);
        }
        Ok(scenarios.par_iter().map(|scenario| self.engine(scenario)).collect())
    }

    fn load_packs<'a>(&mut self, scenarios: impl Iterator<Item = &'a Scenario>) -> Result<()> {
        for scenario in scenarios {
            let Some(composition) = scenario.composition() else { continue };
            let key = composition.gpu_key();
            if self.packs.contains_key(key) {
                continue;
            }
            let pack = match &self.parts.own_pack {
                Some(pack) if pack.gpu.key == key => pack.clone(),
                _ => library::pack(key)?.pack,
            };
            self.packs.insert(key.to_owned(), pack);
        }
        Ok(())
    }

    fn compose(&self, scenario: &Scenario) -> Result<Profile, Exclusion> {
        let Some(composition) = scenario.composition() else {
            return Err(Exclusion { kind: Kind::Refused, why: "no model is named".to_owned() });
        };
        let Some(pack) = self.packs.get(composition.gpu_key()) else {
            return Err(Exclusion { kind: Kind::Refused, why: format!("no pack of {}", composition.gpu_key()) });
        };
        let composed = composition.compose(&self.parts.catalogue, self.parts.config.as_deref(), pack);
        composed.map(|composed| composed.profile).map_err(|error| (&error).into())
    }

    /// The place of a profile: that of an equal one if there is one.
    fn place_of(&mut self, profile: Profile) -> usize {
        let same = self.profiles.iter().position(|other| *other == profile);
        same.unwrap_or_else(|| {
            self.profiles.push(profile);
            self.profiles.len() - 1
        })
    }

    fn engine(&self, scenario: &Scenario) -> Result<Engine, Exclusion> {
        let place = match self.by_flags.get(&composed_of(scenario)) {
            Some(found) => found.clone()?,
            None => return Err(Exclusion { kind: Kind::Refused, why: "nothing was composed".to_owned() }),
        };
        let profile = &self.profiles[place];
        let config = scenario.resolve(profile).map_err(|error| Exclusion::from(&error))?.config;
        let key = scenario.composition().map_or_else(String::new, |composition| composition.gpu_key().to_owned());
        let hardware = Hardware {
            num_gpus: profile.hardware.num_devices * config.pipeline_parallel_size,
            usd_per_gpu_hour: self.parts.prices.of(&key).map(|price| price.usd_per_gpu_hour),
        };
        Ok(Engine { profile: place, hardware, config })
    }
}

/// The flags of which a profile is composed, as a text that is the same for the same.
fn composed_of(scenario: &Scenario) -> String {
    scenario.composed_of().map(|(flag, value)| format!("--{} {value} ", flag.name)).collect()
}
