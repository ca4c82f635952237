//! `--prices`: what an hour of a GPU costs.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use sim_core::operators::prices::{MAX_BYTES, Prices};
use sim_core::scenario::Scenario;

use crate::input_file::read_limited;

/// Prices that ship with the program.
const PRICES: &[u8] = include_bytes!("../../../www/prices.json");

/// Where prices are from.
#[derive(Debug, clap::Args)]
pub(super) struct PriceList {
    /// Prices of GPUs, instead of the list that ships (www/prices.json); --price comes on top
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
}

impl PriceList {
    /// The prices of the list, with those of `scenario` on top.
    ///
    /// # Errors
    /// If the list cannot be read.
    pub(super) fn with(&self, scenario: &Scenario) -> Result<Prices> {
        let list = match self.prices.as_deref() {
            Some(path) => {
                let file = read_limited(path, MAX_BYTES)?;
                Prices::from_json(&file).with_context(|| path.display().to_string())?
            }
            None => Prices::from_json(PRICES)?,
        };
        Ok(list.with(scenario.report().prices()))
    }
}
