//! The engines of candidates, as `profiler`'s `recommend/engines.rs` makes them: each profile is composed once, however many
//! candidates share it.

use std::collections::BTreeMap;
use std::rc::Rc;

use sim_core::answers::recommend::exclusion::Kind;
use sim_core::answers::recommend::figures::Hardware;
use sim_core::answers::recommend::{Engine, Exclusion};
use sim_core::operators::prices::Prices;
use sim_core::profile::Profile;
use sim_core::scenario::Scenario;

use super::composing::Composing;
use crate::composer::{Composed, Question};
use crate::protocol::RunInput;
use crate::recipe::Recipe;
use crate::state::OwnFile;

/// A profile that was composed.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) composed: Composed,
    profile: Profile,
}

/// How many of a scenario's data-parallel ranks are simulated, as in `profiler`'s `simulate/profile_choice.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Simulates {
    /// One.
    OneRank,
    /// All.
    AllRanks,
}

impl Made {
    /// A run of `flags` on it.
    pub(super) fn input(&self, flags: &Flags, dataset: Option<Vec<u8>>) -> RunInput {
        let Composed { name, file, is_of_lockstep } = &self.composed;
        let (profile_name, profile) = (name.clone(), file.clone());
        RunInput { flags: flags.clone(), profile_name, profile, is_of_lockstep: *is_of_lockstep, dataset }
    }
}

/// Flags of an engine, with their values.
type Flags = Vec<(String, Option<String>)>;

/// What was composed, and for which flags.
pub(super) struct Engines {
    composing: Composing,
    simulates: Simulates,
    /// The model's `config.json`.
    config: Vec<u8>,
    own_model: Option<OwnFile>,
    prices: Prices,
    made: Vec<Rc<Made>>,
    by_flags: BTreeMap<Flags, Result<usize, Exclusion>>,
    /// Whether each GPU's operators are there, or why not.
    packs: BTreeMap<String, Result<(), String>>,
}

impl Engines {
    /// None yet, of this model.
    pub(super) fn new(
        (composing, simulates): (Composing, Simulates),
        config: Vec<u8>,
        own_model: Option<OwnFile>,
        prices: Prices,
    ) -> Self {
        let (made, by_flags, packs) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { composing, simulates, config, own_model, prices, made, by_flags, packs }
    }

    /// The profile of an engine.
    pub(super) fn made(&self, engine: &Engine) -> Option<Rc<Made>> {
        self.made.get(engine.profile).cloned()
    }

    /// The engine of `scenario`.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn of(&mut self, scenario: &Scenario) -> Result<Engine, Exclusion> {
        let recipe = Recipe::new(scenario, self.own_model.clone(), None);
        let flags = recipe.flags();
        let place = match self.by_flags.get(&flags) {
            Some(found) => found.clone()?,
            None => {
                let place = self.compose(recipe).await;
                self.by_flags.insert(flags, place.clone());
                place?
            }
        };
        let Some(made) = self.made.get(place) else { return Err(refused("nothing was composed".to_owned())) };
        let config = scenario.resolve(&made.profile).map_err(|error| Exclusion::from(&error))?.config;
        let price = scenario.composition().and_then(|composition| self.prices.of(composition.gpu_key()).cloned());
        let hardware = Hardware {
            num_gpus: made.profile.hardware.num_devices * config.pipeline_parallel_size,
            usd_per_gpu_hour: price.map(|price| price.usd_per_gpu_hour),
        };
        Ok(Engine { profile: place, hardware, config })
    }

    /// The place of the profile that `recipe` makes: that of an equal one if there is one.
    async fn compose(&mut self, recipe: Recipe) -> Result<usize, Exclusion> {
        let key = recipe.pack_key();
        if !self.packs.contains_key(&key) {
            let kept = self.composing.keep(&key).await;
            self.packs.insert(key.clone(), kept);
        }
        if let Some(Err(why)) = self.packs.get(&key) {
            return Err(refused(why.clone()));
        }
        let asked = match self.simulates {
            Simulates::OneRank => Question::Compose(recipe, self.config.clone()),
            Simulates::AllRanks => Question::ComposeRank(recipe, self.config.clone()),
        };
        let composed = self.composing.compose(&asked).await?;
        let is_same = |other: &Composed| other.is_of_lockstep == composed.is_of_lockstep && other.file == composed.file;
        if let Some(place) = self.made.iter().position(|made| is_same(&made.composed)) {
            return Ok(place);
        }
        let profile = Profile::from_json(&composed.file).map_err(|error| refused(error.to_string()))?;
        self.made.push(Rc::new(Made { composed, profile }));
        Ok(self.made.len() - 1)
    }
}

const fn refused(why: String) -> Exclusion {
    Exclusion { kind: Kind::Refused, why }
}
