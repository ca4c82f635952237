//! `profiler import calibrate`: what `sim_core::compose::host` rests on, fitted again and printed.
//!
//! Two sets of measured runs have both a measured or derived step table and latencies of a whole server: LLMServingSim's
//! run on an RTX PRO 6000, and InferenceX's configurations on H100. The terms that derived tables lack are fitted to
//! each set alone and to both together, with every set counting the same; each fit is also tried on the set it has not
//! seen.

pub(crate) mod inferencex;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use sim_core::compose::host;
use sim_core::profile::Profile;

use super::assemble::assemble;
use super::fit::runs::{Compared, Latency};
use super::fit::terms::Term;
use super::fit::{Set, Value, compare, fit, with};
use super::llmservingsim::{Folder, run};
use crate::input_file::read_limited;

/// The device time between two passes: what a run's time per output token shows. A set that cannot tell the two apart
/// gives the first.
const BETWEEN_PASSES: [Term; 2] = [Term::BetweenPassesPerRequest, Term::BetweenPassesPerPass];
/// The front end's part that times in a client show and the simulation of other terms cannot replace.
const FRONT_END: [Term; 1] = [Term::RequestPerPromptToken];

/// The date of the profiles that are made on the way; it is nowhere seen.
const DATE: &str = "2026-01-01";

/// The two sets: step tables without what is calibrated, and runs.
#[derive(Debug)]
pub(crate) struct Sets {
    /// Llama-3.1-8B bf16 on one RTX PRO 6000, vLLM 0.19, times in the engine core.
    rtx: Set,
    /// Llama-3.1-70B fp8 on four H100, vLLM 0.10.2, times in the client.
    h100: Set,
}

/// Reads the sets of a calibration folder.
///
/// # Errors
/// If a file is absent or not what it should be.
pub(crate) fn sets(folder: &Path) -> Result<Sets> {
    let file = |path: &Path, limit| read_limited(path, limit);
    let rtx = folder.join("llmservingsim");
    let config = file(&rtx.join("config.json"), 1 << 20)?;
    let parts = Folder::read(&rtx)?.import(&config, None)?;
    let mut profile = assemble(parts, DATE)?;
    without_calibrated(&mut profile);
    let meta = file(&rtx.join("run/meta.json"), run::MAX_BYTES)?;
    let measured = run::read(&meta, &file(&rtx.join("run/requests.jsonl"), run::MAX_BYTES)?)?;
    let rtx = Set { profile, runs: vec![measured] };

    let folder = folder.join("inferencex");
    let path = folder.join("silicon_sample.csv");
    let runs =
        inferencex::read(&file(&path, inferencex::MAX_BYTES)?, None).with_context(|| path.display().to_string())?;
    let path = folder.join("profile.json");
    let profile = Profile::from_json(&file(&path, Profile::MAX_BYTES)?);
    let mut profile = profile.with_context(|| path.display().to_string())?;
    (profile.host, profile.front_end) = host::rule(&profile.hardware);
    // Its tables are of bursts.
    profile.host.outside_graphs = Some(host::outside_graphs(profile.model.num_hidden_layers, false));
    without_calibrated(&mut profile);
    Ok(Sets { rtx, h100: Set { profile, runs } })
}

fn without_calibrated(profile: &mut Profile) {
    BETWEEN_PASSES.iter().chain(&FRONT_END).for_each(|term| term.set(profile, 0.0));
}

/// Fits, and tells what came of it.
///
/// # Errors
/// If a run cannot be simulated.
pub(crate) fn report(sets: &Sets) -> Result<String> {
    let mut text = String::new();
    let Sets { rtx, h100 } = sets;
    let both = [rtx, h100];
    let all = [&BETWEEN_PASSES[..], &FRONT_END].concat();
    tell(&mut text, "Tables alone, nothing calibrated", both, [&[], &[]])?;
    let of_h100 = fit(std::slice::from_ref(h100), &all)?;
    tell(&mut text, "1. Fitted to H100; the same terms predict RTX, left out", both, [&of_h100, &of_h100])?;
    let of_rtx = fit(std::slice::from_ref(rtx), &BETWEEN_PASSES)?;
    tell(&mut text, "2. Fitted to RTX; the same terms predict H100, left out", both, [&of_rtx, &of_rtx])?;
    let of_both = fit(&[rtx.clone(), h100.clone()], &all)?;
    let title = "3. Fitted to both, each counting the same: what the rule takes";
    tell(&mut text, title, both, [&of_both, &of_both])?;
    let (of_rtx, of_h100) = (rule(rtx), rule(h100));
    tell(&mut text, "4. The rule", both, [&of_rtx, &of_h100])?;
    Ok(text)
}

/// What [`host`] says for a set's engine.
fn rule(set: &Set) -> Vec<Value> {
    let mut profile = set.profile.clone();
    (profile.host, profile.front_end) = host::rule(&set.profile.hardware);
    BETWEEN_PASSES.iter().chain(&FRONT_END).map(|term| (*term, Some(term.value(&profile)))).collect()
}

/// Values and errors on both sets.
fn tell(text: &mut String, title: &str, sets: [&Set; 2], values: [&[Value]; 2]) -> Result<()> {
    writeln!(text, "{title}")?;
    for ((name, set), values) in ["RTX ", "H100"].into_iter().zip(sets).zip(values) {
        let compared = compare(&with(&set.profile, values), &set.runs)?;
        writeln!(text, "  {name}: {}", errors(&compared.concat()))?;
        for (term, value) in values {
            match value {
                Some(value) => writeln!(text, "    {:<48} {value:>10.2}", term.name())?,
                None => writeln!(text, "    {:<48} {:>10}", term.name(), "not fitted")?,
            }
        }
        for (run, compared) in set.runs.iter().zip(&compared) {
            let one = |compared: &Compared| {
                let Compared { metric, measured, simulated } = compared;
                format!("{} {measured:.2} -> {simulated:.2} ({:+.1} %)", metric.latency.key(), 100.0 * compared.error())
            };
            writeln!(text, "    {:<60} {}", run.name, compared.iter().map(one).collect::<Vec<_>>().join(", "))?;
        }
    }
    writeln!(text)?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Mean sizes of the errors of TTFT, TPOT and end-to-end latency, in percent; 0 where there is none.
    fn mean_errors(set: &Set, values: &[Value]) -> [f64; 3] {
        let compared = compare(&with(&set.profile, values), &set.runs).expect("every run can be simulated").concat();
        Latency::ALL.map(|latency| {
            let sizes =
                compared.iter().filter(|one| one.metric.latency == latency).map(|one| 100.0 * one.error().abs());
            let sizes: Vec<f64> = sizes.collect();
            sizes.iter().sum::<f64>() / sizes.len().max(1) as f64
        })
    }

    #[track_caller]
    fn check(name: &str, errors: [f64; 3], most: [f64; 3]) {
        let is_met = errors.iter().zip(&most).all(|(error, most)| error <= most);
        assert!(is_met, "{name}: mean errors of TTFT, TPOT, E2EL {errors:?} %, must be at most {most:?}");
    }

    /// `profiler import calibrate` shows the same figures, and the fits behind them.
    #[test]
    fn the_rule_keeps_its_errors_on_both_sets() {
        let sets =
            sets(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/calibration"))).expect("the sets");
        // One rule for all models since the third set: see compose/host.rs.
        check("RTX", mean_errors(&sets.rtx, &rule(&sets.rtx)), [5.0, 3.0, 3.0]);
        check("H100", mean_errors(&sets.h100, &rule(&sets.h100)), [21.0, 4.0, 0.0]);
    }
}
