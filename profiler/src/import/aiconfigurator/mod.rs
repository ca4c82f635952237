//! `profiler import aiconfigurator`: operator times that NVIDIA's aiconfigurator measured, composed into a profile.
//!
//! The Python package `aiconfigurator-core` (PyPI, Apache-2.0) carries parquet tables of single operators, measured in
//! real vLLM layers: matrix products, attention, collectives, experts. [`package`] finds them in an installed package or
//! a wheel, [`columns`] reads them under limits, [`measured`] takes the median of versions and repeats. [`super::packs`]
//! makes a GPU's pack of them, and `sim_core::compose` a model's profile of that: there is one composition. [`all_reduce`]
//! serves importers of layers of one rank.

pub(crate) mod columns;
mod all_reduce;
mod footer;
mod guard;
pub(crate) mod measured;
pub(crate) mod package;
mod thrift;

use std::path::Path;

use anyhow::{Context as _, Result};
use sim_core::profile::Profile;
use sim_core::scenario::Composition;

pub(crate) use self::all_reduce::AllReduces;
use super::packs;
use crate::simulate::library::catalogue;

/// Our key of one of the package's systems.
///
/// # Errors
/// If there is none of that name; the message lists those there are.
pub(crate) fn key_of(system: &str) -> Result<&'static str> {
    packs::key_of(system).with_context(|| {
        let known = packs::SYSTEMS.map(|(system, _)| system).join(", ");
        format!("--system {system:?} is unknown; must be one of {known}")
    })
}

/// Reads the package at `data` and composes the profile that `composition` wants, of the model of `config`, or of the name.
///
/// # Errors
/// If the package cannot be read or has not what is needed, or no profile can be composed.
pub(crate) fn import(data: &Path, composition: &Composition, config: Option<&[u8]>, date: &str) -> Result<Profile> {
    let pack = packs::build(data, composition.gpu_key(), date)?;
    Ok(composition.compose(&catalogue()?, config, &pack)?.profile)
}
