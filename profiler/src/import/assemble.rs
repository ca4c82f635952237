//! A profile of kind `derived`, from what an importer found.

use anyhow::{Context as _, Result};
use sim_core::profile::Profile;
use sim_core::profile::schema::{self, Provenance, ProvenanceKind, Validation};

use super::host_terms;

/// What an importer found; [`assemble`] makes a profile of it.
#[derive(Debug, Clone)]
pub(crate) struct DerivedParts {
    pub(crate) model: schema::Model,
    pub(crate) hardware: schema::Hardware,
    pub(crate) engine: schema::Engine,
    pub(crate) memory: schema::Memory,
    pub(crate) step_time: schema::StepTimeTables,
    pub(crate) smoothing: Vec<schema::Smoothing>,
    pub(crate) sources: Vec<schema::Source>,
    pub(crate) notes: Vec<String>,
}

/// A valid profile of kind `derived`, dated `date` (`YYYY-MM-DD`); host and front-end terms by [`host_terms`].
///
/// # Errors
/// If the parts make no valid profile.
pub(crate) fn assemble(parts: DerivedParts, date: &str) -> Result<Profile> {
    let (host, front_end) = host_terms::rule(&parts.hardware);
    let profile = Profile {
        version: Profile::VERSION,
        provenance: Provenance {
            kind: ProvenanceKind::Derived,
            tool: "profiler".to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            date: date.to_owned(),
            sources: parts.sources,
            host: None,
            range: None,
            notes: parts.notes,
        },
        model: parts.model,
        hardware: parts.hardware,
        engine: parts.engine,
        memory: parts.memory,
        step_time: parts.step_time,
        drafters: vec![],
        host,
        front_end,
        validation: Validation::default(),
        smoothing: parts.smoothing,
    };
    profile.validate().context("the imported data make no valid profile")?;
    Ok(profile)
}
