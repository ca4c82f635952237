//! The runs of a recommendation over all cores, with progress for those who wait.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use rayon::prelude::*;
use sim_core::answers::capacity::{Asked, TrialError};
use sim_core::answers::recommend::exclusion::Kind;
use sim_core::answers::recommend::{Done, Exclusion, Job, JobKind, Recommend};
use sim_core::scenario::Scenario;

use super::engines::Engines;
use crate::capacity::run::{Counter, plain};
use crate::simulate::run::bar;

/// What all runs have in common.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) dataset: Option<&'a [u8]>,
    pub(crate) counter: Counter<'a>,
}

/// Runs all that `recommend` wants, until it is over. Also how many runs that were.
///
/// # Errors
/// Those of [`Engines::of`]; if `is_cancelled` is set on the way.
pub(crate) fn run(
    recommend: &mut Recommend,
    engines: &mut Engines,
    inputs: Inputs<'_>,
    (quiet, is_cancelled): (bool, &AtomicBool),
) -> Result<usize> {
    let bar = bar(0, "{bar:20} {pos} of {len} runs and more", quiet);
    let mut num_runs = 0;
    loop {
        let unknown = recommend.unknown();
        if !unknown.is_empty() {
            let entries = recommend.entries();
            let scenarios: Vec<&Scenario> = unknown.iter().map(|&place| &entries[place].candidate.scenario).collect();
            let found = engines.of(&scenarios)?;
            recommend.know(found);
            continue;
        }
        if recommend.wanted().is_empty() {
            break;
        }
        num_runs += recommend.wanted().len();
        bar.inc_length(recommend.wanted().len() as u64);
        let one = |job: &Job| {
            let is_wanted = !is_cancelled.load(Ordering::Relaxed);
            let done = is_wanted.then(|| done(recommend, engines, inputs, *job));
            bar.inc(1);
            done
        };
        let all: Vec<Option<Done>> = recommend.wanted().par_iter().with_max_len(1).map(one).collect();
        let all: Option<Vec<Done>> = all.into_iter().collect();
        recommend.take(all.context("cancelled before it was over")?);
    }
    bar.finish_and_clear();
    Ok(num_runs)
}

fn done(recommend: &Recommend, engines: &Engines, inputs: Inputs<'_>, job: Job) -> Done {
    let entry = &recommend.entries()[job.candidate];
    let Some(profile) = entry.engine.as_ref().and_then(|engine| engines.profile(engine)) else {
        return Done::Excluded(Exclusion { kind: Kind::Refused, why: "its engine is not known".to_owned() });
    };
    let tried = || -> Result<Done, TrialError> {
        let mut scenario = entry.candidate.scenario.clone();
        if let JobKind::Trial { num_prompts, .. } = job.kind {
            scenario.set("num-prompts", Some(&num_prompts.to_string()))?;
        }
        let asked = Asked { scenario: &scenario, profile, dataset: inputs.dataset, kind: recommend.plan().kind };
        Ok(match job.kind {
            JobKind::Saturated { seed } => Done::Rate(asked.saturated(seed, plain(inputs.counter))?),
            JobKind::Trial { load, seed, .. } => Done::Trial(Box::new(asked.run(load, seed, plain(inputs.counter))?)),
        })
    };
    tried().unwrap_or_else(|error| Done::Excluded(Exclusion::from(&error)))
}
