//! Many runs at once, over all cores: for commands that ask the same question under many settings.
//!
//! Results come in the order of what was asked, and each is that of its run alone: they are the same, to the bit, on any
//! number of cores. Of a run only its figures stay, so that memory grows with the cores and not with the runs.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;
use sim_core::config::EngineConfig;
use sim_core::metrics::bench_outputs::RecordedOutputs;
use sim_core::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics};
use sim_core::metrics::digest::digest;
use sim_core::profile::{Profile, StepTimeModel};
use sim_core::scenario::{Prepared, Scenario, ScenarioError, prepare};
use sim_core::simulator::{Simulation, SimulationError, SimulationOptions};
use sim_core::workload::Workload;

/// Iterations of the engine between two looks at whether the run is still wanted: well below a millisecond.
const ITERATIONS_PER_LOOK: u32 = 1_000;

/// A run that is prepared. What runs have in common, they borrow from one place.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// What is sent and when.
    pub workload: &'a Workload,
    /// To which engine.
    pub config: &'a EngineConfig,
    /// How long its passes take.
    pub step_time: &'a StepTimeModel,
    /// Which figures are asked for.
    pub options: &'a BenchServeOptions,
}

/// A run as flags on a profile.
#[derive(Clone)]
pub struct Request<'a> {
    /// The flags.
    pub scenario: Scenario,
    /// How long passes take.
    pub profile: &'a Profile,
    /// The dataset's file, where it has one.
    pub dataset: Option<&'a [u8]>,
    /// Counts the tokens of the dataset's texts, where it has those.
    pub counter: Option<&'a (dyn Fn(&str) -> usize + Sync)>,
}

/// What is kept of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// What `vllm bench serve` would report.
    pub metrics: BenchmarkMetrics,
    /// Of the whole recording: equal digests are equal runs.
    pub digest: u64,
    /// Requests that never end under the engine's limits; they are in no figure.
    pub num_unfinished: usize,
}

/// Why there is no [`Summary`].
#[derive(Debug, Clone, PartialEq)]
pub enum NoSummary {
    /// The flags, or what they name, are refused.
    Scenario(ScenarioError),
    /// The simulator refuses the run.
    Simulation(SimulationError),
    /// [`Watch::is_cancelled`] was set before the run was over.
    Cancelled,
}

impl fmt::Display for NoSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scenario(error) => error.fmt(f),
            Self::Simulation(error) => error.fmt(f),
            Self::Cancelled => f.write_str("cancelled before it was over"),
        }
    }
}

impl std::error::Error for NoSummary {}

/// How many runs are over, and of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Ended, refused or cancelled.
    pub num_over: usize,
    /// All of them.
    pub num_runs: usize,
}

/// How a caller follows its runs. The default follows nothing.
#[derive(Clone, Copy, Default)]
pub struct Watch<'a> {
    /// When set, runs under way end soon and no other begins; what is over stays.
    pub is_cancelled: Option<&'a AtomicBool>,
    /// Called once for each run when it is over, by whichever thread ran it.
    pub on_progress: Option<&'a (dyn Fn(Progress) + Sync)>,
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("is_cancelled", &self.is_cancelled).finish_non_exhaustive()
    }
}

impl Watch<'_> {
    fn wants_no_more(&self) -> bool {
        self.is_cancelled.is_some_and(|is_cancelled| is_cancelled.load(Ordering::Relaxed))
    }
}

/// Simulates `runs`, as many at once as there are cores.
#[must_use]
pub fn simulate_many(runs: &[Run<'_>], watch: Watch<'_>) -> Vec<Result<Summary, NoSummary>> {
    each(runs, watch, |run| run.summary(watch))
}

/// Prepares and simulates `requests`, as many at once as there are cores.
#[must_use]
pub fn answer_many(requests: &[Request<'_>], watch: Watch<'_>) -> Vec<Result<Summary, NoSummary>> {
    each(requests, watch, |request| request.answer(watch))
}

/// What `work` makes of each of `items`, in their order. One by one is how cores take them: some take far longer than
/// others.
fn each<T: Sync>(
    items: &[T],
    watch: Watch<'_>,
    work: impl Fn(&T) -> Result<Summary, NoSummary> + Sync,
) -> Vec<Result<Summary, NoSummary>> {
    let num_over = AtomicUsize::new(0);
    let one = |item| {
        let summary = if watch.wants_no_more() { Err(NoSummary::Cancelled) } else { work(item) };
        let num_over = num_over.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(on_progress) = watch.on_progress {
            on_progress(Progress { num_over, num_runs: items.len() });
        }
        summary
    };
    items.par_iter().with_max_len(1).map(one).collect()
}

impl Run<'_> {
    fn summary(&self, watch: Watch<'_>) -> Result<Summary, NoSummary> {
        let simulation = Simulation::new(self.workload, self.config, self.step_time, SimulationOptions::default());
        let mut simulation = simulation.map_err(NoSummary::Simulation)?.without_input();
        let mut num_iterations: u32 = 0;
        while simulation.advance() {
            num_iterations = num_iterations.wrapping_add(1);
            if num_iterations.is_multiple_of(ITERATIONS_PER_LOOK) && watch.wants_no_more() {
                return Err(NoSummary::Cancelled);
            }
        }
        let recording = simulation.finish().recording;
        let outputs = RecordedOutputs::new(&recording);
        Ok(Summary {
            metrics: BenchmarkMetrics::of(&outputs, self.options),
            digest: digest(&recording),
            num_unfinished: recording.requests.iter().filter(|request| !request.is_finished).count(),
        })
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("scenario", &self.scenario).finish_non_exhaustive()
    }
}

impl Request<'_> {
    /// The same with other flags on top: names without dashes, values as on the command line.
    ///
    /// # Errors
    /// [`ScenarioError`] if a flag or its value is none.
    pub fn with(&self, flags: &[(&str, Option<&str>)]) -> Result<Self, ScenarioError> {
        let mut request = self.clone();
        for (flag, value) in flags {
            request.scenario.set(flag, *value)?;
        }
        Ok(request)
    }

    /// Prepares and simulates it, here and now.
    ///
    /// # Errors
    /// [`NoSummary`].
    pub fn answer(&self, watch: Watch<'_>) -> Result<Summary, NoSummary> {
        let counter = self.counter.map(|counter| counter as &dyn Fn(&str) -> usize);
        let prepared = prepare(&self.scenario, self.profile, self.dataset, counter);
        let Prepared { engine, workload, step_time, options, .. } = prepared.map_err(NoSummary::Scenario)?;
        Run { workload: &workload, config: &engine.config, step_time: &step_time, options: &options }.summary(watch)
    }
}
