//! `profiler import vllm-bench`: host and front-end terms of a profile, fitted to results of `vllm bench serve` that were
//! measured on the same configuration.
//!
//! A result says when requests were sent and, with `--save-detailed`, how long each was; the engine's arguments are not
//! in it and come from flags. Without details, the lengths come from the workload flags, or all requests are as long as
//! the mean one.

pub(crate) mod result;

use std::fmt::Write as _;

use anyhow::Result;
use sim_core::profile::Profile;
use sim_core::profile::schema::{Basis, ValidationRun};
use sim_core::scenario::{Part, Scenario};
use sim_core::time::SimTime;

use super::fit::runs::{Clock, Compared, Run, Statistic, workload};
use super::fit::terms::Term;
use super::fit::{Set, Value, compare, fit, with};
use result::{BenchRequest, BenchResult};

/// What may be fitted. Of terms that a result cannot tell apart, the first is: with synchronous scheduling host time looks
/// like device time between passes, with asynchronous scheduling it is hidden.
const TERMS: [Term; 10] = [
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
];

/// What came of it.
#[derive(Debug)]
pub(crate) struct Fitted {
    pub(crate) profile: Profile,
    /// The terms, and the errors before and after.
    pub(crate) report: String,
}

/// Fits the terms of `profile` to `results`, each with the name of its file.
///
/// # Errors
/// If a result is of another model, or cannot be simulated on the profile with these flags.
pub(crate) fn fit_results(profile: &Profile, results: &[(String, BenchResult)], flags: &Scenario) -> Result<Fitted> {
    let mut runs = vec![];
    for (name, result) in results {
        let run = run(name, result, flags)?;
        run.check_model(profile)?;
        runs.push(run);
    }
    // Passes that were measured hold what is between them.
    let is_measured = profile.host.between_passes.per_pass.basis == Basis::Measured;
    let is_between = |term: &Term| matches!(term, Term::BetweenPassesPerPass | Term::BetweenPassesPerRequest);
    let terms: Vec<Term> = TERMS.into_iter().filter(|term| !(is_measured && is_between(term))).collect();
    let before = compare(profile, &runs)?;
    let sets = [Set { profile: profile.clone(), runs }];
    let values = fit(&sets, &terms)?;
    let mut fitted = with(profile, &values);
    let after = compare(&fitted, &sets[0].runs)?;
    say_so(&mut fitted, &values, results);
    fitted.validation.runs.extend(validation(&sets[0].runs, &after));
    fitted.validate()?;
    let report = report(profile, &values, &sets[0].runs, [&before, &after])?;
    Ok(Fitted { profile: fitted, report })
}

/// The run of a result, with `name` in front of its own; lengths that it does not tell come from the workload's flags.
///
/// # Errors
/// If a flag and the result do not go together.
pub(crate) fn run(name: &str, result: &BenchResult, flags: &Scenario) -> Result<Run> {
    let mut engine = Scenario::default();
    for (flag, value) in flags.given().filter(|(flag, _)| flag.part == Part::Engine) {
        engine.set(flag.written(value).0.as_str(), flag.written(value).1.as_deref())?;
    }
    let workload = match &result.requests {
        Some(requests) => detailed(requests, result.max_concurrency)?,
        None => from_flags(result, flags)?,
    };
    let concurrency =
        result.max_concurrency.map_or(String::new(), |concurrency| format!(", --max-concurrency {concurrency}"));
    Ok(Run {
        name: format!("{name}: {} prompts, --request-rate {}{concurrency}", result.num_prompts, result.request_rate),
        model: result.model_id.clone(),
        engine,
        workload,
        vllm_version: None,
        num_gpu_blocks: None,
        clock: Clock::Client,
        measured: result.metrics.clone(),
    })
}

/// The requests as they were. Under a limit of concurrency, each is sent as soon as there is a place, as in the real run:
/// there the times are a consequence.
fn detailed(requests: &[BenchRequest], max_concurrency: Option<u32>) -> Result<sim_core::workload::Workload> {
    let mut requests = requests.to_vec();
    requests.sort_by(|a, b| a.start_time.total_cmp(&b.start_time));
    let lengths: Vec<(u32, u32)> = requests.iter().map(|request| (request.input_len, request.output_len)).collect();
    let time = |request: &BenchRequest| match max_concurrency {
        Some(_) => SimTime::ZERO,
        None => SimTime::from_secs_f64(request.start_time),
    };
    workload(&lengths, requests.iter().map(time).collect(), max_concurrency)
}

/// A result without details: lengths from the workload flags, or the mean ones; traffic as the result says.
fn from_flags(result: &BenchResult, flags: &Scenario) -> Result<sim_core::workload::Workload> {
    let mut scenario = Scenario::default();
    for (flag, value) in flags.given().filter(|(flag, _)| flag.part == Part::Workload) {
        scenario.set(flag.written(value).0.as_str(), flag.written(value).1.as_deref())?;
    }
    if scenario.is_default(Part::Workload) {
        let mean = |total: u64| (total.div_ceil(u64::from(result.num_prompts))).max(1).to_string();
        scenario.set("random-input-len", Some(&mean(result.total_input_tokens)))?;
        scenario.set("random-output-len", Some(&mean(result.total_output_tokens)))?;
    }
    scenario.set("num-prompts", Some(&result.num_prompts.to_string()))?;
    if result.request_rate.is_finite() {
        scenario.set("request-rate", Some(&result.request_rate.to_string()))?;
        scenario.set("burstiness", Some(&result.burstiness.to_string()))?;
    }
    if let Some(concurrency) = result.max_concurrency {
        scenario.set("max-concurrency", Some(&concurrency.to_string()))?;
    }
    Ok(scenario.workload().sample(None, None)?.into_workload(&scenario.workload().traffic())?)
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
