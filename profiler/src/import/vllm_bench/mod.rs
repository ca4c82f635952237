//! `profiler import vllm-bench`: host and front-end terms of a profile, fitted to results of `vllm bench serve` that were
//! measured on the same configuration.
//!
//! What a result states of its run, what flags must add and what is refused is said in `sim_core::scenario::repeat`: a
//! run that cannot be repeated is fitted to by nobody.

pub(crate) mod result;

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use sim_core::profile::Profile;
use sim_core::profile::schema::{Basis, ValidationRun};
use sim_core::scenario::repeat::{Repetition, Stated};
use sim_core::scenario::{Scenario, TextTokens};

use super::fit::runs::{Clock, Compared, Run, Stamp, Statistic, Told};
use super::fit::terms::Term;
use super::fit::{Set, Value, compare, fit, with};
use crate::simulate::dataset::dataset_of_result;
use result::BenchResult;

/// What may be fitted. Of terms that a result cannot tell apart, the first is: with synchronous scheduling host time looks
/// like device time between passes, with asynchronous scheduling it is hidden.
const TERMS: [Term; 13] = [
    Term::SchedulePerPass,
    Term::RequestPerRequest,
    Term::RequestPerPromptToken,
    Term::SchedulePerRequest,
    Term::BetweenPassesPerPass,
    Term::BetweenPassesPerRequest,
    Term::UpdatePerPass,
    Term::UpdatePerRequest,
    Term::OutputPerPass,
    Term::OutputPerToken,
    Term::WorkPerRequest,
    Term::WorkPerPass,
    Term::WorkPerToken,
];

/// What came of it.
#[derive(Debug)]
pub(crate) struct Fitted {
    pub(crate) profile: Profile,
    /// The terms, and the errors before and after.
    pub(crate) report: String,
}

/// Fits the terms of `profile`, the one of this name, to `results`, each with the name of its file.
///
/// # Errors
/// If a result is of another model, or cannot be repeated on the profile with these flags.
pub(crate) fn fit_results(
    profile: &Profile,
    profile_name: &str,
    results: &[(String, BenchResult)],
    flags: &Scenario,
    counter: Option<TextTokens<'_>>,
) -> Result<Fitted> {
    let mut runs = vec![];
    for (name, result) in results {
        let mut run = run(name, result, flags, counter)?;
        run.check_model(profile)?;
        let note = run.check_digest(profile_name, run.repeat(profile, 1.0)?.digest)?;
        run.told.notes.extend(note);
        runs.push(run);
    }
    // Passes that were measured hold what is between them.
    let is_measured = profile.host.between_passes.per_pass.basis == Basis::Measured;
    let is_between = |term: &Term| matches!(term, Term::BetweenPassesPerPass | Term::BetweenPassesPerRequest);
    let is_open = |term: &Term| term.is_in(profile) && !(is_measured && is_between(term));
    let terms: Vec<Term> = TERMS.into_iter().filter(is_open).collect();
    let before = compare(profile, &runs)?;
    let set = Set { profile: profile.clone(), runs };
    let (values, after) = best_fit(&set, &terms)?;
    let mut fitted = with(profile, &values);
    say_so(&mut fitted, &values, results);
    fitted.validation.runs.extend(validation(&set.runs, &after));
    fitted.validate()?;
    let report = report(profile, &values, &set.runs, [&before, &after])?;
    Ok(Fitted { profile: fitted, report })
}

/// The better of two searches: from the profile's values, and from those at which its front end's work alone explains the
/// runs. A queue that is short at first hardly changes with its work, and a search of all terms at once lengthens others.
fn best_fit(set: &Set, terms: &[Term]) -> Result<(Vec<Value>, Vec<Vec<Compared>>)> {
    let of_front_end = |term: &&Term| matches!(term, Term::WorkPerRequest | Term::WorkPerPass | Term::WorkPerToken);
    let mut best: Option<(f64, Vec<Value>, Vec<Vec<Compared>>)> = None;
    for start in [None].into_iter().chain(terms.iter().filter(of_front_end).map(Some)) {
        let first = start.map(|term| fit(std::slice::from_ref(set), &[*term])).transpose()?.unwrap_or_default();
        let from = Set { profile: with(&set.profile, &first), runs: set.runs.clone() };
        let mut values = fit(&[from], terms)?;
        for (term, value) in &mut values {
            let of_start = first.iter().find(|(other, _)| other == term).and_then(|(_, value)| *value);
            *value = value.or(of_start);
        }
        let compared = compare(&with(&set.profile, &values), &set.runs)?;
        let loss: f64 = compared.iter().flatten().map(|one| one.residual().powi(2)).sum();
        if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
            best = Some((loss, values, compared));
        }
    }
    best.map(|(_, values, compared)| (values, compared)).context("no search")
}

/// The run of a result, with `name` in front of its own; what it does not state comes from the flags, and `counter` counts
/// the tokens of a dataset's texts.
///
/// # Errors
/// If the run cannot be repeated: see `sim_core::scenario::repeat::RepeatError`.
pub(crate) fn run(name: &str, result: &BenchResult, flags: &Scenario, counter: Option<TextTokens<'_>>) -> Result<Run> {
    let run = repeated(result, flags, counter).with_context(|| name.to_owned())?;
    Ok(Run { name: format!("{name}: {}", run.name), ..run })
}

/// What each of the results of `file` is called.
pub(crate) fn names(file: &str, num_results: usize) -> impl Iterator<Item = String> {
    (1..=num_results).map(
        move |number| {
            if num_results > 1 { format!("{file}, result {number}") } else { file.to_owned() }
        },
    )
}

fn repeated(result: &BenchResult, flags: &Scenario, counter: Option<TextTokens<'_>>) -> Result<Run> {
    let measured = &result.measured;
    let stated = Stated::new(measured, flags)?;
    let file = match stated.needed_file() {
        Some(_) => dataset_of_result(stated.scenario(), flags, measured.simulation.as_ref())?,
        None => None,
    };
    let Repetition { scenario, workload, notes } = stated.repeat(file.as_deref(), counter)?;
    let simulation = measured.simulation.as_ref().and_then(|simulation| {
        Some(Stamp {
            profile: simulation.profile.clone(),
            digest: simulation.digest?,
            has_emissions: measured.outputs.is_some(),
            has_flags: simulation.flags.is_some(),
        })
    });
    Ok(Run {
        name: traffic(&scenario, workload.num_measured()),
        model: result.model_id.clone(),
        engine: scenario,
        workload,
        vllm_version: None,
        num_gpu_blocks: None,
        clock: Clock::Client,
        measured: result.metrics.clone(),
        told: Told { notes, duration: measured.numbers.get("duration").copied(), simulation },
    })
}

/// How many requests were sent, and when.
fn traffic(scenario: &Scenario, num_requests: usize) -> String {
    let mut text = format!("{num_requests} prompts");
    let has_ramp = scenario.get("ramp-up-strategy").is_some();
    for flag in
        ["request-rate", "burstiness", "ramp-up-strategy", "ramp-up-start-rps", "ramp-up-end-rps", "max-concurrency"]
    {
        let default = match flag {
            "request-rate" if !has_ramp => Some("inf"),
            _ => None,
        };
        let is_told = |value: &&str| match flag {
            "request-rate" => !has_ramp,
            "burstiness" => value.parse() != Ok(1.0),
            _ => true,
        };
        if let Some(value) = scenario.get(flag).filter(is_told).or(default) {
            text.push_str(&format!(", --{flag} {value}"));
        }
    }
    text
}

/// Labels the fitted terms.
fn say_so(profile: &mut Profile, values: &[Value], results: &[(String, BenchResult)]) {
    let files: Vec<&str> = results.iter().map(|(name, _)| name.as_str()).collect();
    let what = format!("{} result{} of vllm bench serve ({})", files.len(), plural(files.len()), files.join(", "));
    for (term, value) in values {
        // A few numbers of whole runs, explained by a model: not a measurement of the term.
        if value.is_some() {
            let reason = format!("Fitted to {what} by least squares over simulated runs; not measured on its own.");
            term.justify(profile, Basis::Estimate, &reason);
        }
    }
}

fn validation(runs: &[Run], compared: &[Vec<Compared>]) -> Vec<ValidationRun> {
    let of_run = |(run, compared): (&Run, &Vec<Compared>)| {
        let means = compared.iter().filter(|one| one.metric.statistic == Statistic::Mean).cloned().collect::<Vec<_>>();
        let workload = format!("{} (the terms were fitted to it)", run.name);
        means.into_iter().map(move |one| ValidationRun {
            workload: workload.clone(),
            metric: one.metric.name,
            measured: one.measured,
            predicted: one.simulated,
        })
    };
    runs.iter().zip(compared).flat_map(of_run).collect()
}

fn report(profile: &Profile, values: &[Value], runs: &[Run], [before, after]: [&[Vec<Compared>]; 2]) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "{:<48} {:>12} {:>12}", "term", "before us", "after us")?;
    for (term, value) in values {
        let value = value.map_or_else(|| "stays".to_owned(), |value| format!("{value:.2}"));
        writeln!(text, "{:<48} {:>12.2} {value:>12}", term.name(), term.value(profile))?;
    }
    for ((run, before), after) in runs.iter().zip(before).zip(after) {
        writeln!(text, "\n{}", run.name)?;
        for note in &run.told.notes {
            writeln!(text, "{note}.")?;
        }
        writeln!(text, "{:<20} {:>12} {:>12} {:>9} {:>9}", "", "measured", "simulated", "before", "after")?;
        for (before, after) in before.iter().zip(after) {
            writeln!(
                text,
                "{:<20} {:>12.2} {:>12.2} {:>+7.1} % {:>+7.1} %",
                after.metric.name,
                after.measured,
                after.simulated,
                100.0 * before.error(),
                100.0 * after.error()
            )?;
        }
    }
    let mean = |compared: &[Vec<Compared>]| {
        let sizes: Vec<f64> = compared.iter().flatten().map(|one| one.error().abs()).collect();
        100.0 * sizes.iter().sum::<f64>() / sizes.len().max(1) as f64
    };
    writeln!(text, "\nmean |error|: {:.1} % before, {:.1} % after", mean(before), mean(after))?;
    Ok(text)
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
