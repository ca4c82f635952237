//! Profiles composed of the packs that the worker was given.

use std::collections::BTreeMap;

use sim_core::config::ConfigError;
use sim_core::models::catalogue::Catalogue;
use sim_core::operators::Pack;
use sim_core::scenario::{Composed, Scenario, ScenarioError};

use crate::protocol::{Fit, Recipe};

/// Most packs that are kept: each takes some megabytes.
const MAX_PACKS: usize = 4;

/// GPUs' operators by the page's names for them.
#[derive(Debug, Default)]
pub(crate) struct Packs {
    packs: BTreeMap<String, Pack>,
}

impl Packs {
    /// Keeps a pack.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn keep(&mut self, key: &str, content: &[u8]) -> Result<(), String> {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let pack = Pack::from_json(content).map_err(|error| error.to_string())?;
        self.packs.insert(key.to_owned(), pack);
        Ok(())
    }

    /// Name and file of a profile.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn compose(&self, recipe: &Recipe) -> Result<(String, Vec<u8>), String> {
        let (_, Composed { profile, name, .. }) = self.composed(recipe).map_err(|error| error.to_string())?;
        let file = profile.to_json().map_err(|error| error.to_string())?;
        Ok((name, file.into_bytes()))
    }

    /// What vLLM says of a number of GPUs, which `recipe` has.
    pub(crate) fn fit(&self, num_gpus: u32, recipe: &Recipe) -> Fit {
        let engine = self.composed(recipe).and_then(|(scenario, composed)| scenario.resolve(&composed.profile));
        let Err(error) = engine else { return Fit { num_gpus, ..Fit::default() } };
        let is_too_small = matches!(
            error,
            ScenarioError::Config(
                ConfigError::NoKvCacheMemory { .. } | ConfigError::KvCacheTooSmall { .. } | ConfigError::NothingFits { .. }
            )
        );
        Fit { num_gpus, fault: error.to_string(), is_too_small }
    }

    fn composed(&self, recipe: &Recipe) -> Result<(Scenario, Composed), ScenarioError> {
        let flags = recipe.flags.iter().map(|(flag, value)| (flag.as_str(), value.as_deref()));
        let mut scenario = Scenario::from_flags(flags)?;
        if !recipe.model.is_empty() {
            scenario.set("model", Some(&recipe.model))?;
        }
        let mut asked = scenario.clone();
        if asked.get("tensor-parallel-size").is_none() {
            // What holds anyway: so that there is something to compose.
            asked.set("tensor-parallel-size", Some("1"))?;
        }
        let composition = asked.composition();
        let pack = self.packs.get(&recipe.pack);
        let (Some(composition), Some(pack)) = (composition, pack) else {
            return Err(ScenarioError::NotComposed { flag: "gpu", value: recipe.pack.clone(), why: "its operators are not there" });
        };
        let composed = composition.compose(&Catalogue::default(), Some(&recipe.config), pack)?;
        Ok((scenario, composed))
    }
}
