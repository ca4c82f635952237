//! Measures an engine: from whole passes, timed, to a profile.
//!
//! [`plan`] says which passes, [`script`] how they are brought about, [`session`] which is next and when it is enough;
//! every script that ran is in the [`journal`]. What the machine changed by meanwhile is taken out ([`drift`]). [`fit`] makes tables of the samples, [`assemble`] a profile, and
//! [`report`] tells a person what came of it.

pub(crate) mod limits;
pub(crate) mod plan;
pub(crate) mod script;
pub(crate) mod sample;
pub(crate) mod outliers;
pub(crate) mod point_times;
pub(crate) mod drift;
pub(crate) mod journal;
pub(crate) mod session;
pub(crate) mod coverage;
pub(crate) mod warnings;
pub(crate) mod fit;
pub(crate) mod assemble;
pub(crate) mod report;
#[cfg(test)]
mod span_tests;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use sim_core::batch::AttentionSpan;
use sim_core::profile::Profile;
use sim_core::speculative::SpeculativeMethod;

use crate::engine::{Engine, EngineFacts};
use coverage::Coverage;
use drift::Drift;
use journal::Journal;
use limits::Limits;
use plan::Plan;
use session::Session;

/// How an engine is measured.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Time to spend, that of an earlier start with the same journal included.
    pub(crate) time_budget: Duration,
    /// A point is certain when the 95 % confidence interval of its median is no wider than this to either side, as a
    /// share of the median.
    pub(crate) precision: f64,
    /// Longest sequence that is measured, if shorter than the engine's.
    pub(crate) max_context: Option<u32>,
    /// What all random choices follow from.
    pub(crate) seed: u64,
    /// Where every script that ran is written down.
    pub(crate) journal: PathBuf,
    /// Whether to forget what the journal holds.
    pub(crate) fresh: bool,
    /// Running programs per processor before the engine was started, if known.
    pub(crate) load_before: Option<f64>,
    /// Whether to draw a progress bar on standard error.
    pub(crate) show_progress: bool,
}

/// A profile, and what there is to say about it.
#[derive(Debug)]
pub(crate) struct Measured {
    /// A valid profile of kind `measured`.
    pub(crate) profile: Profile,
    /// Coverage, held-out errors and warnings, for a person.
    pub(crate) report: String,
}

/// Measures `engine`, going on from the journal if there is one.
///
/// # Errors
/// If the engine fails, the journal cannot be used, or too little was measured for a profile.
pub(crate) fn measure(engine: &mut dyn Engine, options: &Options) -> Result<Measured> {
    let facts = engine.facts().clone();
    check_measurable(&facts, options)?;
    let plan = Plan::new(&facts, options.max_context, options.seed);
    let (mut journal, earlier) = Journal::open(&options.journal, &facts, &plan, options.fresh)?;
    let mut session = Session::new(&plan, options, earlier);
    session.run(engine, &mut journal)?;
    let drift = Drift::new(&plan, &session.visits);
    let visits = drift.corrected(&plan, &session.visits);
    let coverage = Coverage::new(&plan, &visits);
    let warnings = warnings::warnings(&plan, &session.visits, &coverage, options.load_before);
    let profile = assemble::assemble(&facts, &plan, &visits, &coverage, drift.range(), &warnings)?;
    let report = report::report(&profile, &coverage, &warnings);
    Ok(Measured { profile, report })
}

/// Refuses engines whose passes do not tell what a profile holds.
fn check_measurable(facts: &EngineFacts, options: &Options) -> Result<()> {
    ensure!(
        !facts.config.async_scheduling,
        "with asynchronous scheduling passes overlap and cannot be timed alone: start the engine with \
         --no-async-scheduling; the profile holds for both"
    );
    check_layers(facts)?;
    let limits = Limits::new(facts, options.max_context);
    let enough = [
        ("--max-num-seqs", limits.max_num_seqs, 2),
        ("--max-num-batched-tokens", limits.max_num_tokens, 8),
        ("--max-model-len, --max-context or the KV cache", limits.max_model_len, 64),
        ("--long-prefill-token-threshold", limits.max_chunk, 8),
    ];
    for (name, value, least) in enough {
        ensure!(
            value >= least,
            "{name} allows {value}; a profile needs at least {least} to have two points to measure"
        );
    }
    Ok(())
}

/// Refuses engines with parts that no table is measured of: their passes would be put down to other parts.
fn check_layers(facts: &EngineFacts) -> Result<()> {
    if let Some(drafter) = facts.config.speculative.as_ref().filter(|one| one.method != SpeculativeMethod::Ngram) {
        bail!(
            "speculative_config.method is {}: passes with a drafter are measured with ngram alone, as another's own time \
             would count as the model's; start the engine without --speculative-config, or with ngram",
            drafter.method
        );
    }
    ensure!(
        !facts.config.kv_cache.has_mamba_layers(),
        "the model has layers with a state (Mamba, linear attention), whose part of the KV cache vLLM does not tell \
         well enough for a profile: by how many bytes a state grows with drafts"
    );
    let chunked = facts.config.kv_cache.spans().into_iter().find(|span| matches!(span, AttentionSpan::Chunk(_)));
    ensure!(chunked.is_none(), "the model has layers with attention in chunks, which are not measured: {chunked:?}");
    Ok(())
}
