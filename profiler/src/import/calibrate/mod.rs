//! `profiler import calibrate`: what [`super::host_terms`] rests on, fitted again and printed.
//!
//! Two sets of measured runs have both a measured or derived step table and latencies of a whole server: LLMServingSim's
//! run on an RTX PRO 6000, and InferenceX's configurations on H100. The terms that derived tables lack are fitted to
//! each set alone and to both together, with every set counting the same; each fit is also tried on the set it has not
//! seen.

mod inferencex;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use sim_core::profile::Profile;

use super::assemble::assemble;
use super::fit::runs::{Compared, Latency};
use super::fit::terms::Term;
use super::fit::{Set, Value, compare, fit, with};
use super::llmservingsim::{Folder, run};
use super::read_limited;

/// The terms that are calibrated: few, and each of a kind that the sets show.
pub(crate) const TERMS: [Term; 4] =
    [Term::GapPerPass, Term::GapPerRequest, Term::RequestPerRequest, Term::RequestPerPromptToken];

/// The date of the profiles that are made on the way; it is nowhere seen.
const DATE: &str = "2026-01-01";

/// The sets of a calibration folder, with their names: step tables without what is calibrated.
///
/// # Errors
/// If a file is absent or not what it should be.
pub(crate) fn sets(folder: &Path) -> Result<Vec<(String, Set)>> {
    let rtx = folder.join("llmservingsim");
    let file = |path: &Path, limit| read_limited(path, limit);
    let config = file(&rtx.join("config.json"), 1 << 20)?;
    let mut profile = assemble(Folder::read(&rtx)?.import(&config)?, DATE)?;
    without_calibrated(&mut profile);
    let meta = file(&rtx.join("run/meta.json"), run::MAX_BYTES)?;
    let measured = run::read(&meta, &file(&rtx.join("run/requests.jsonl"), run::MAX_BYTES)?)?;
    let name = format!("{} on {}", profile.model.name, profile.hardware.name);
    let mut sets = vec![(name, Set { profile, runs: vec![measured] })];

    let h100 = folder.join("inferencex");
    let path = h100.join("profile.json");
    let mut profile = Profile::from_json(&file(&path, Profile::MAX_BYTES)?).with_context(|| path.display().to_string())?;
    without_calibrated(&mut profile);
    let path = h100.join("silicon_sample.csv");
    let runs = inferencex::read(&file(&path, inferencex::MAX_BYTES)?).with_context(|| path.display().to_string())?;
    let devices = profile.hardware.num_devices;
    let name = format!("{} on {devices} {}", profile.model.name, profile.hardware.name);
    sets.push((name, Set { profile, runs }));
    Ok(sets)
}

fn without_calibrated(profile: &mut Profile) {
    for term in TERMS {
        term.set(profile, 0.0);
    }
}

/// Fits, and tells what came of it.
///
/// # Errors
/// If a run cannot be simulated.
pub(crate) fn report(sets: &[(String, Set)]) -> Result<String> {
    let mut text = String::new();
    let all: Vec<Set> = sets.iter().map(|(_, set)| set.clone()).collect();
    tell(&mut text, "Tables alone, nothing calibrated", sets, &[], true)?;
    let values = fit(&all, &TERMS)?;
    tell(&mut text, "Fitted to all sets", sets, &values, true)?;
    for (name, set) in sets {
        let values = fit(std::slice::from_ref(set), &TERMS)?;
        tell(&mut text, &format!("Fitted to {name}"), sets, &values, false)?;
    }
    Ok(text)
}

/// Values, and mean errors on every set; with `in_detail` each run's.
fn tell(
    text: &mut String,
    title: &str,
    sets: &[(String, Set)],
    values: &[Value],
    in_detail: bool,
) -> Result<()> {
    writeln!(text, "{title}")?;
    for (term, value) in values {
        match value {
            Some(value) => writeln!(text, "  {:<48} {value:>10.1} us", term.name())?,
            None => writeln!(text, "  {:<48} {:>10}", term.name(), "not fitted")?,
        }
    }
    for (name, set) in sets {
        let compared = compare(&with(&set.profile, values), &set.runs)?;
        writeln!(text, "  {name}: {}", errors(&compared.concat()))?;
        for (run, compared) in set.runs.iter().zip(&compared).filter(|_| in_detail) {
            let one = |compared: &Compared| {
                let Compared { metric, measured, simulated } = compared;
                format!("{} {measured:.2} -> {simulated:.2} ({:+.1} %)", metric.latency.key(), 100.0 * error(compared))
            };
            writeln!(text, "    {:<52} {}", run.name, compared.iter().map(one).collect::<Vec<_>>().join(", "))?;
        }
    }
    writeln!(text)?;
    Ok(())
}

fn error(compared: &Compared) -> f64 {
    compared.error()
}

/// The mean size of the errors of each latency's mean.
fn errors(compared: &[Compared]) -> String {
    let of = |latency: Latency| {
        let sizes: Vec<f64> =
            compared.iter().filter(|one| one.metric.latency == latency).map(|one| one.error().abs()).collect();
        let mean = sizes.iter().sum::<f64>() / sizes.len().max(1) as f64;
        (!sizes.is_empty()).then(|| format!("{} {:.1} %", latency.key(), 100.0 * mean))
    };
    format!("mean |error| {}", Latency::ALL.into_iter().filter_map(of).collect::<Vec<_>>().join(", "))
}
