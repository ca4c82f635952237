//! What every command takes that asks about a run: a share link, the model's name, the flags of a scenario.

use std::path::Path;

use anyhow::Result;
use sim_core::scenario::Scenario;

use crate::simulate::inputs::Inputs;
use crate::simulate::model_source::ModelName;
use crate::simulate::scenario_flags::ScenarioFlags;

/// What a run is made from, but for a whole-pass profile.
#[derive(Debug, clap::Args)]
pub(super) struct Given {
    /// Begin with what a share link of the page says; flags given besides come on top
    #[arg(long, value_name = "LINK")]
    pub(super) link: Option<String>,
    #[command(flatten)]
    model_name: ModelName,
    #[command(flatten)]
    flags: ScenarioFlags,
}

impl Given {
    /// The flags, without those of the link.
    pub(super) const fn flags(&self) -> &Scenario {
        &self.flags.scenario
    }

    /// Everything that decides runs of one engine, with `flags` instead of those that were given.
    ///
    /// # Errors
    /// If files cannot be read, or flags contradict each other.
    pub(super) fn inputs_of(&self, flags: &Scenario, profile: Option<&Path>) -> Result<Inputs> {
        Inputs::new(flags, self.link.as_deref(), profile, &self.model_name)
    }

    /// The same for who simulates all data-parallel ranks.
    ///
    /// # Errors
    /// See [`Self::inputs_of`].
    pub(super) fn inputs_of_ranks(&self, flags: &Scenario) -> Result<Inputs> {
        Inputs::of_all_ranks(flags, self.link.as_deref(), None, &self.model_name)
    }

    /// Everything that decides a run, for who simulates all data-parallel ranks.
    ///
    /// # Errors
    /// See [`Self::inputs_of`].
    pub(super) fn inputs(&self, profile: Option<&Path>) -> Result<Inputs> {
        Inputs::of_all_ranks(self.flags(), self.link.as_deref(), profile, &self.model_name)
    }
}
