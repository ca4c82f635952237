//! `verify-tokens` on a live engine: random workloads, each compared pass by pass.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use super::difference::Difference;
use super::live_trace::write_json;
use super::random_workload::{random_engine_flags, random_workload};
use super::recorded_trace::{Iteration, RecordedTrace};
use super::tokens::compare;
use crate::engine::{Engine, Script};
use crate::vllm::model::ModelDir;
use crate::vllm::{EngineOptions, VllmEngine};

/// Workloads that share one random engine: starting it takes longer than they do.
const WORKLOADS_PER_ENGINE: u64 = 5;

/// vLLM's attention kernels for processors take blocks of multiples of this.
const CPU_BLOCK_MULTIPLE: u32 = 32;

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
    num_drafts: u64,
    num_accepted: u64,
}

/// Random workloads; their seeds count up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workloads {
    /// Of the first.
    pub(crate) seed: u64,
    pub(crate) count: u64,
    /// Whether engines are random although the user gave flags: these are added to the random ones.
    pub(crate) random_engines: bool,
}

/// Runs random workloads on real engines and compares each with the simulator. Without flags of the user's, or
/// if it is asked for, every [`WORKLOADS_PER_ENGINE`] workloads have a random engine of their own. What was scheduled is kept in `save`.
pub(crate) fn verify_live(
    options: &EngineOptions,
    workloads: Workloads,
    save: Option<&Path>,
    out: &mut dyn Write,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let is_random = workloads.random_engines || options.flags.is_empty();
    let per_engine = if is_random { WORKLOADS_PER_ENGINE } else { workloads.count };
    let seeds: Vec<u64> = (workloads.seed..workloads.seed.saturating_add(workloads.count)).collect();
    for seeds in seeds.chunks(usize::try_from(per_engine.max(1))?) {
        let mut options = options.clone();
        if is_random {
            // The user's come last, and vLLM takes the last of each.
            let tables = ModelDir::new(&options.model)?.block_tables();
            let random = random_engine_flags(seeds[0], CPU_BLOCK_MULTIPLE, &tables);
            options.flags = random.into_iter().chain(options.flags).collect();
        }
        writeln!(out, "engine: {} {}", options.model, options.flags.join(" "))?;
        let mut engine = VllmEngine::start(&options).with_context(|| options.flags.join(" "))?;
        for seed in seeds {
            let script = random_workload(*seed, &engine.facts().config, engine.facts().model.vocab_size);
            let (trace, difference) = verify_script(&mut engine, &script, &mut tally)?;
            if let Some(folder) = save {
                write_json(&folder.join(format!("{}_{seed}.json.gz", options.model)), &trace)?;
            }
            match difference {
                None => writeln!(out, "seed {seed}: identical, {} requests", script.requests.len())?,
                Some(difference) => writeln!(out, "seed {seed}: {difference}")?,
            }
        }
    }
    writeln!(out, "{tally}")?;
    Ok(tally)
}

/// Runs one script and compares it; no difference if every field of every pass agrees.
fn verify_script(
    engine: &mut dyn Engine,
    script: &Script,
    tally: &mut Tally,
) -> Result<(RecordedTrace, Option<Difference>)> {
    let run = engine.run(script)?;
    tally.num_workloads += 1;
    tally.num_passes += run.passes.len();
    tally.num_requests += script.requests.len();
    for pass in &run.passes {
        let iteration = &pass.iteration;
        tally.num_preemptions += iteration.pre.len();
        tally.num_cache_hits += iteration.new.iter().chain(&iteration.res).filter(|admission| admission.1 > 0).count();
        tally.num_aborts += iteration.abort.len();
        for &(_, num_drafts, num_accepted) in &iteration.acc {
            tally.num_drafts += u64::from(num_drafts);
            tally.num_accepted += u64::from(num_accepted);
        }
        tally.num_chunks += iteration.s.iter().flatten().filter(|part| is_later_chunk(iteration, part)).count();
    }
    let trace = RecordedTrace::of_run(engine.facts(), script, &run);
    let difference = compare(&trace)?;
    tally.num_identical += u64::from(difference.is_none());
    Ok((trace, difference))
}

/// Whether a part of a pass is one of a prompt behind its first, and no verification of drafts.
fn is_later_chunk(iteration: &Iteration, part: &(u32, u32, u32)) -> bool {
    part.1 > 1 && part.2 > 0 && iteration.spec.iter().all(|verified| verified.0 != part.0)
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
        )?;
        if self.num_drafts > 0 {
            write!(f, ", {} of {} drafts accepted", self.num_accepted, self.num_drafts)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::mock::MockEngine;
    use crate::verify::tokens::verify;

    #[test]
    fn the_simulator_agrees_with_itself_through_the_trace() {
        let mut tally = Tally::default();
        for seed in 0..30 {
            let mut engine = MockEngine::tight(seed);
            let script = random_workload(seed, &engine.facts().config.clone(), 2048);
            let (_, difference) = verify_script(&mut engine, &script, &mut tally).expect("a run");
            assert_eq!(difference, None, "seed {seed}");
        }
        assert_eq!((tally.num_workloads, tally.num_identical), (30, 30));
    }

    /// Windows and full attention, and drafts by n-grams.
    const LAYERS: &str = r#""layers":[{"kind":"window","n":2,"window":40},{"kind":"full","n":1}]"#;
    const DRAFTER: &str = r#""speculative":{"method":"ngram","num_speculative_tokens":3}"#;

    #[test]
    fn layers_and_drafters_go_through_the_trace() {
        for model in [format!("{{{LAYERS}}}"), format!("{{{DRAFTER}}}"), format!("{{{LAYERS},{DRAFTER}}}")] {
            let mut tally = Tally::default();
            for seed in 0..15 {
                let mut engine = MockEngine::tight_with(&model, seed);
                let script = random_workload(seed, &engine.facts().config.clone(), 2048);
                let (trace, difference) = verify_script(&mut engine, &script, &mut tally).expect("a run");
                assert_eq!(difference, None, "{model}, seed {seed}");
                let text = serde_json::to_string(&trace).expect("a trace");
                assert_eq!(verify(text.as_bytes()).expect("a file"), None, "{model}, seed {seed}, as a file");
            }
            assert_eq!(tally.num_accepted > 100, model.contains("ngram"), "{model}: {tally}");
        }
    }

    #[test]
    fn drafts_that_were_not_accepted_are_found() {
        let mut engine = MockEngine::tight_with(&format!("{{{DRAFTER}}}"), 3);
        let script = random_workload(3, &engine.facts().config.clone(), 2048);
        let mut run = engine.run(&script).expect("a run");
        let verified = run.passes.iter_mut().find_map(|pass| pass.iteration.acc.first_mut()).expect("a verification");
        verified.2 -= 1;
        let difference = compare(&RecordedTrace::of_run(engine.facts(), &script, &run)).expect("a trace");
        assert!(difference.is_some(), "one draft less accepted than the tokens that came of it");
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
