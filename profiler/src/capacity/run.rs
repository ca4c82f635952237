//! The trials of a search over all cores, with progress for those who wait.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use rayon::prelude::*;
use sim_core::answers::capacity::{Answer, Asked, Search, Trial, TrialError};
use sim_core::scenario::TextTokens;

use crate::simulate::run::bar;

/// Counts the tokens of a text, on any thread.
pub(crate) type Counter<'a> = Option<&'a (dyn Fn(&str) -> usize + Sync)>;

/// Searches with the seeds from the scenario's own on, `num_seeds` of them.
///
/// # Errors
/// That of the first trial that cannot be run, in the order of loads and seeds; if `is_cancelled` is set on the way.
pub(crate) fn search(
    asked: &Asked<'_>,
    required_share: f64,
    num_seeds: u32,
    counter: Counter<'_>,
    (quiet, is_cancelled): (bool, &AtomicBool),
) -> Result<Answer> {
    let first_seed = asked.scenario.workload().seed();
    let seeds: Vec<u32> = (0..num_seeds).map(|number| first_seed.wrapping_add(number)).collect();
    let saturated = asked.saturated(first_seed, plain(counter))?;
    let mut search = Search::new(asked.kind, required_share, saturated);
    let bar = bar(0, "{bar:20} {pos} of about {len} runs", quiet);
    while !search.wanted().is_empty() {
        let pairs: Vec<(f64, u32)> =
            search.wanted().iter().flat_map(|&load| seeds.iter().map(move |&seed| (load, seed))).collect();
        bar.inc_length(pairs.len() as u64);
        let trial = |&(load, seed): &(f64, u32)| {
            let is_wanted = !is_cancelled.load(Ordering::Relaxed);
            let trial = is_wanted.then(|| asked.run(load, seed, plain(counter)));
            bar.inc(1);
            trial
        };
        // One by one is how cores take them: a higher load takes longer.
        let trials: Vec<Option<Result<Trial, TrialError>>> = pairs.par_iter().with_max_len(1).map(trial).collect();
        let trials: Option<Vec<Result<Trial, TrialError>>> = trials.into_iter().collect();
        let trials = trials.context("cancelled before it was over")?;
        let trials: Vec<Trial> = trials.into_iter().collect::<Result<_, _>>()?;
        let of_load = |trials: &[Trial]| trials.first().map(|trial| (trial.load, trials.to_vec()));
        search.take(trials.chunks(seeds.len()).filter_map(of_load));
    }
    bar.finish_and_clear();
    Ok(search.answer())
}

pub(crate) fn plain(counter: Counter<'_>) -> Option<TextTokens<'_>> {
    counter.map(|counter| counter as TextTokens<'_>)
}
