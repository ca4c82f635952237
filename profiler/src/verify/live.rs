//! `verify-tokens` on a live engine: random workloads, each compared pass by pass.

use std::io::Write;

use anyhow::{Context, Result};

use super::random_workload::{random_engine_flags, random_workload};
use super::recorded_trace::RecordedTrace;
use super::tokens::{Difference, compare};
use crate::engine::{Engine, Script};
use crate::vllm::{EngineOptions, VllmEngine};

/// Workloads that share one random engine: starting it takes longer than they do.
const WORKLOADS_PER_ENGINE: u64 = 5;

/// What a comparison covered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) num_workloads: u64,
    pub(crate) num_identical: u64,
    num_passes: usize,
    num_requests: usize,
    num_preemptions: usize,
    num_cache_hits: usize,
    num_aborts: usize,
    num_chunks: usize,
}

/// Runs random workloads on real engines and compares each with the simulator; seeds count up from `seed`. Without
/// flags of the user's every [`WORKLOADS_PER_ENGINE`] workloads have a random engine of their own.
pub(crate) fn verify_live(
    options: &EngineOptions,
    seed: u64,
    num_workloads: u64,
    out: &mut dyn Write,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let per_engine = if options.flags.is_empty() { WORKLOADS_PER_ENGINE } else { num_workloads };
    for first in (0..num_workloads).step_by(usize::try_from(per_engine.max(1))?) {
        let mut options = options.clone();
        if options.flags.is_empty() {
            // vLLM's attention kernels for processors take multiples of 32.
            options.flags = random_engine_flags(seed + first, 32);
        }
        writeln!(out, "engine: {} {}", options.model, options.flags.join(" "))?;
        let mut engine = VllmEngine::start(&options).with_context(|| options.flags.join(" "))?;
        for seed in (seed + first..seed + num_workloads).take(usize::try_from(per_engine)?) {
            let facts = engine.facts();
            let script = random_workload(seed, &facts.config, facts.model.vocab_size);
            match verify_script(&mut engine, &script, &mut tally)? {
                None => writeln!(out, "seed {seed}: identical, {} requests", script.requests.len())?,
                Some(difference) => writeln!(out, "seed {seed}: {difference}")?,
            }
        }
    }
    writeln!(out, "{tally}")?;
    Ok(tally)
}

/// Runs one script and compares it; `None` if every field of every pass agrees.
pub(crate) fn verify_script(engine: &mut dyn Engine, script: &Script, tally: &mut Tally) -> Result<Option<Difference>> {
    let run = engine.run(script)?;
    tally.num_workloads += 1;
    tally.num_passes += run.passes.len();
    tally.num_requests += script.requests.len();
    for pass in &run.passes {
        let iteration = &pass.iteration;
        tally.num_preemptions += iteration.pre.len();
        tally.num_cache_hits += iteration.new.iter().chain(&iteration.res).filter(|admission| admission.1 > 0).count();
        tally.num_aborts += iteration.abort.len();
        tally.num_chunks += iteration.s.iter().flatten().filter(|part| part.1 > 1 && part.2 > 0).count();
    }
    let difference = compare(&RecordedTrace::of_run(engine.facts(), script, &run))?;
    tally.num_identical += u64::from(difference.is_none());
    Ok(difference)
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {} workloads identical: {} passes, {} requests, {} preemptions, {} prefix-cache hits, {} later \
             prompt chunks, {} aborts",
            self.num_identical,
            self.num_workloads,
            self.num_passes,
            self.num_requests,
            self.num_preemptions,
            self.num_cache_hits,
            self.num_chunks,
            self.num_aborts
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::mock::MockEngine;

    #[test]
    fn the_simulator_agrees_with_itself_through_the_trace() {
        let mut tally = Tally::default();
        for seed in 0..30 {
            let mut engine = MockEngine::tight(seed);
            let script = random_workload(seed, &engine.facts().config.clone(), 2048);
            assert_eq!(verify_script(&mut engine, &script, &mut tally).expect("a run"), None, "seed {seed}");
        }
        assert_eq!((tally.num_workloads, tally.num_identical), (30, 30));
    }

    #[test]
    fn another_budget_is_found() {
        let mut engine = MockEngine::tight(3);
        let script = random_workload(3, &engine.facts().config.clone(), 2048);
        let run = engine.run(&script).expect("a run");
        let mut facts = engine.facts().clone();
        facts.config.max_num_scheduled_tokens -= 1;
        let difference = compare(&RecordedTrace::of_run(&facts, &script, &run)).expect("a trace");
        assert!(difference.is_some(), "one token less per pass");
    }
}
