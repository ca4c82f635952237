//! Runs every workload several times on the engine, interleaved, and once in the simulator.

use std::fmt::Display;

use anyhow::{Context as _, Result, ensure};
use sim_core::profile::{Profile, StepTimeModel};
use sim_core::rng::Pcg64;

use super::NamedScript;
use super::per_request::{Life, RequestTimes, lives, measured};
use super::report::{Limits, Report, WorkloadResult};
use super::script_requests::{admissions, requests};
use super::simulated;
use crate::engine::{Engine, EngineFacts, Run, Script};
use crate::verify::difference::Difference;
use crate::verify::replay::replay;
use crate::verify::tokens::first_difference;

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Settings {
    /// Runs of each workload on the engine, at least 1.
    pub(crate) repeats: u32,
    /// Resamples behind each confidence interval.
    pub(crate) num_resamples: u32,
    /// Seed of the order of the runs and of the resampling.
    pub(crate) seed: u64,
    /// What passes.
    pub(crate) limits: Limits,
}

/// Runs `workloads` on `engine`, each [`Settings::repeats`] times: all of them once in a random order, then all of them
/// again in another, so that a drift of the machine meets each of them alike. One run before that is thrown away: an
/// engine's first passes allocate and compile. A workload that the engine schedules unlike the simulator is named in
/// the report and not compared. `tell` hears before every run what is done.
///
/// # Errors
/// If there is nothing to run, the profile cannot answer for this engine, or the engine fails.
pub(crate) fn verify_metrics(
    engine: &mut dyn Engine,
    profile: &Profile,
    workloads: &[NamedScript],
    settings: Settings,
    tell: &mut dyn FnMut(&dyn Display),
) -> Result<Report> {
    ensure!(settings.repeats > 0, "repeats is 0; it must be at least 1");
    let shortest = workloads.iter().min_by_key(|workload| workload.script.num_tokens()).context("no workload")?;
    let model = simulated::step_time_model(profile, engine.facts())?;
    let mut comparisons: Vec<Comparison> = workloads.iter().map(|_| Comparison::Untouched).collect();
    tell(&format_args!("warming up with {}", shortest.name));
    engine.run(&shortest.script).with_context(|| shortest.name.clone())?;
    let mut random = Pcg64::stream(settings.seed, "order");
    let (num_runs, mut run) = (workloads.len() * settings.repeats as usize, 0);
    for _ in 0..settings.repeats {
        for index in shuffled(workloads.len(), &mut random) {
            run += 1;
            let NamedScript { name, script, .. } = &workloads[index];
            let comparison = &mut comparisons[index];
            if matches!(comparison, Comparison::Differs(_)) {
                continue;
            }
            tell(&format_args!("run {run} of {num_runs}: {name}"));
            let measured = engine.run(script).with_context(|| name.clone())?;
            comparison.take(engine.facts(), &model, script, measured).with_context(|| name.clone())?;
        }
    }
    let results = workloads.iter().zip(comparisons).map(|(workload, comparison)| comparison.result(workload));
    let warnings = simulated::mismatches(profile, engine.facts());
    Ok(Report::new(engine.facts(), profile, results.collect(), settings, warnings))
}

/// An iteration of the engine and the simulator's, in words if they are not the same.
fn differs(difference: Option<Difference>) -> Option<String> {
    difference.map(|difference| format!("the schedules differ: {difference}"))
}

/// The numbers below `count`, each once, in a random order (Fisher and Yates).
fn shuffled(count: usize, random: &mut Pcg64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        let other = random.integers(0, u32::try_from(last).unwrap_or(u32::MAX)) as usize;
        order.swap(last, other);
    }
    order
}

/// What is known of one workload so far.
#[derive(Debug)]
enum Comparison {
    Untouched,
    /// The simulator's schedule is another one; or the engine's differs between runs.
    Differs(String),
    Same(Box<Same>),
}

/// A workload with the same schedule on both sides.
#[derive(Debug)]
struct Same {
    /// The first run, to which the others must be equal but for the times.
    first: Run,
    lives: Vec<Life>,
    simulated: (Vec<RequestTimes>, f64),
    /// One per repeat.
    measured: Vec<(Vec<RequestTimes>, f64)>,
}

impl Comparison {
    /// Takes in one more run of `script`.
    fn take(&mut self, facts: &EngineFacts, model: &StepTimeModel, script: &Script, run: Run) -> Result<()> {
        let requests = requests(script, &run)?;
        let mut found = run.passes.iter();
        let mut difference = None;
        replay(&facts.config, &requests, &admissions(script), |simulated| {
            difference = match found.next() {
                Some(pass) => differs(first_difference(&pass.iteration, &simulated)),
                None => Some(format!("the engine ended after {} iterations, the simulator goes on", run.passes.len())),
            };
            difference.is_none()
        });
        if difference.is_none()
            && let Some(pass) = found.next()
        {
            difference = Some(format!("the simulator ended before iteration {}, the engine went on", pass.iteration.i));
        }
        if let Self::Same(same) = &*self
            && difference.is_none()
        {
            // With other tokens the prefix cache may find other blocks.
            let mut pairs = same.first.passes.iter().zip(&run.passes);
            difference = pairs
                .find_map(|(first, next)| first_difference(&first.iteration, &next.iteration))
                .map(|difference| format!("the engine does not repeat its own schedule: {difference}"));
        }
        if let Some(difference) = difference {
            *self = Self::Differs(difference);
            return Ok(());
        }
        if let Self::Same(same) = self {
            same.measured.push(measured(&same.lives, &run)?);
            return Ok(());
        }
        let recording = simulated::recording(facts, model, script, requests)?;
        let lives = lives(&recording, &run.passes)?;
        let simulated = simulated::times(&lives, &recording)?;
        let measured = vec![measured(&lives, &run)?];
        *self = Self::Same(Box::new(Same { first: run, lives, simulated, measured }));
        Ok(())
    }

    fn result(self, workload: &NamedScript) -> WorkloadResult {
        let mut result = WorkloadResult::new(workload);
        match self {
            Self::Untouched => {}
            Self::Differs(difference) => result.not_compared = Some(difference),
            Self::Same(same) => {
                if same.lives.is_empty() {
                    result.not_compared = Some("no request ran to its end".to_owned());
                }
                result.num_passes = same.first.passes.iter().filter(|pass| !pass.batch(&[]).is_empty()).count();
                result.simulated_duration_s = same.simulated.1;
                result.measured_durations_s = same.measured.iter().map(|(_, duration)| *duration).collect();
                for (place, (life, &simulated)) in same.lives.iter().zip(&same.simulated.0).enumerate() {
                    let measured = same.measured.iter().map(|(times, _)| times[place]).collect();
                    result.push(life, simulated, measured);
                }
            }
        }
        result
    }
}
