//! `--prices`: what an hour of a GPU costs.

use std::path::PathBuf;

use anyhow::Result;
use sim_core::operators::prices::Prices;
use sim_core::scenario::Scenario;

use crate::simulate::library;

/// Where prices are from.
#[derive(Debug, clap::Args)]
pub(super) struct PriceList {
    /// Prices of GPUs, instead of the list that ships (www/prices.json); --price comes on top
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
}

impl PriceList {
    /// The prices of the list.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn list(&self) -> Result<Prices> {
        library::prices(self.prices.as_deref())
    }

    /// The prices of the list, with those of `scenario` on top.
    ///
    /// # Errors
    /// If the list cannot be read.
    pub(super) fn with(&self, scenario: &Scenario) -> Result<Prices> {
        Ok(self.list()?.with(scenario.report().prices()))
    }
}
