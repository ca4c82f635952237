//! `profiler validate`: how good a profile is, from the file alone.
//!
//! Whether a file is a profile decides [`Profile::from_json`]. What is told here is how far its tables reach, how noisy
//! they are, what each figure rests on, what was found when it was tried, and what it cannot answer.

mod coverage;
mod figures;
mod gaps;
pub(crate) mod pack;
mod quality;
mod table;

use anyhow::Result;
use serde::Serialize;
use sim_core::profile::Profile;

pub(crate) use table::table;

/// What there is to say about a profile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Examination {
    /// The file's name as given.
    pub(crate) file: String,
    pub(crate) model: String,
    /// Devices and their name.
    pub(crate) hardware: String,
    /// `measured`, `derived` or `synthetic`.
    pub(crate) kind: &'static str,
    pub(crate) vllm_version: String,
    /// Extents of the tables against the engine's limits.
    pub(crate) coverage: Vec<coverage::Extent>,
    /// Samples and spread of each table.
    pub(crate) noise: Vec<quality::Noise>,
    /// What was changed to make the tables monotone.
    pub(crate) smoothing: Vec<quality::Smoothed>,
    /// Errors of what the profile was not made from.
    pub(crate) validation: quality::Validation,
    /// What each figure of memory, host and front end rests on.
    pub(crate) figures: Vec<figures::Figure>,
    /// What the profile cannot answer, or only by extrapolation.
    pub(crate) cannot_answer: Vec<String>,
    /// What is beyond the limits that are stated with it.
    pub(crate) beyond_limits: Vec<String>,
}

/// Examines a profile file.
///
/// # Errors
/// If it is not a valid profile; the message lists every fault.
pub(crate) fn examine(file: &str, bytes: &[u8]) -> Result<Examination> {
    let profile = Profile::from_json(bytes)?;
    let coverage = coverage::extents(&profile);
    let noise = quality::noise(&profile);
    let smoothing = quality::smoothing(&profile);
    let validation = quality::validation(&profile);
    let mut beyond_limits: Vec<String> = coverage.iter().filter_map(coverage::Extent::beyond_limit).collect();
    beyond_limits.extend(noise.iter().flat_map(quality::Noise::beyond_limits));
    beyond_limits.extend(smoothing.iter().filter_map(quality::Smoothed::beyond_limit));
    beyond_limits.extend(validation.beyond_limits());
    let devices = profile.hardware.num_devices;
    Ok(Examination {
        file: file.to_owned(),
        model: format!("{} {}", profile.model.name, profile.engine.dtype),
        hardware: format!("{devices} x {}", profile.hardware.name),
        kind: profile.provenance.kind.name(),
        vllm_version: profile.engine.vllm_version.clone(),
        cannot_answer: gaps::cannot_answer(&profile, &coverage),
        figures: figures::figures(&profile),
        coverage,
        noise,
        smoothing,
        validation,
        beyond_limits,
    })
}
