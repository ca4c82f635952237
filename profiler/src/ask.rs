//! What `profiler simulate`, `capacity`, `recommend` and `compose` answer, for programs: flags in, data out, no files but
//! those that flags name, nothing printed.
//!
//! The same flags are the same run as on the command line, to the digest.

use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, ensure};
pub use sim_core::answers::capacity::LoadKind;
use sim_core::answers::capacity::{Asked, Question};
pub use sim_core::answers::recommend::{Axis, Objective};
use sim_core::config::ResolvedEngine;
use sim_core::metrics::bench_serve::BenchServeOptions;
use sim_core::metrics::digest::digest;
use sim_core::metrics::request_csv::write_request_csv;
use sim_core::scenario::link::fingerprint;
use sim_core::scenario::repeat::stated_flags;
use sim_core::scenario::{DEFAULT_GPU, Part, Prepared, Scenario, TextTokens, prepare};
use sim_core::simulation_result::{SimulationResult, never_end};
use sim_core::simulator::{Simulation, SimulationOptions};
use sim_core::workload::mixture::Classes;

use crate::capacity::report::{text, to_json};
use crate::capacity::run::search;
pub use crate::recommend::question::Aim;
use crate::recommend::question::{axis as written_axis, completed};
use crate::simulate::cost;
use crate::simulate::inputs::Inputs;
use crate::simulate::library;
use crate::simulate::model_length;
use crate::simulate::model_source::ModelName;
use crate::simulate::profile_choice::{Simulates, WholeProfile};
use crate::simulate::report::Report;
use crate::simulate::token_counter::load_token_counter;

/// Passes of the engine between two looks at whether the run is still wanted: well below a millisecond.
const PASSES_PER_LOOK: u32 = 1_000;

/// A whole-pass profile of the step times.
#[derive(Debug, Clone, Copy)]
pub enum ProfileFile<'a> {
    /// The file of one.
    Path(&'a Path),
    /// Its text, and what to call it.
    Json {
        /// What to call it.
        name: &'a str,
        /// Its text.
        text: &'a str,
    },
}

/// What is asked about: the flags of a command, by their names without dashes, and what stands beside them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask<'a> {
    /// Flags of `vllm serve` and `vllm bench serve`, and ours; a switch has `true`, `false` or no value.
    pub flags: &'a [(String, Option<String>)],
    /// The step times; else they are composed of `model` and `gpu`.
    pub profile: Option<ProfileFile<'a>>,
    /// A share link of the page, on top of which the flags come.
    pub link: Option<&'a str>,
    /// The model's `tokenizer.json`: counts tokens of texts.
    pub tokenizer: Option<&'a Path>,
}

/// A run.
pub struct Run {
    inputs: Inputs,
    engine: ResolvedEngine,
    options: BenchServeOptions,
    classes: Option<Classes>,
    result: SimulationResult,
}

/// An answer over many runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the command's `--output-json` writes.
    pub json: String,
    /// What the command prints.
    pub text: String,
}

impl Ask<'_> {
    /// Simulates it. `is_wanted` is asked on the way, and a run that is not wanted any more is `None`.
    ///
    /// # Errors
    /// What `profiler simulate` refuses, in its words.
    pub fn simulate(&self, mut is_wanted: impl FnMut() -> bool) -> Result<Option<Run>> {
        let inputs = self.inputs(&self.scenario()?)?;
        let counter = self.tokenizer.map(load_token_counter).transpose()?;
        let counter = counter.as_ref().map(|count| count as TextTokens<'_>);
        let dataset = inputs.dataset.as_deref();
        let prepared = prepare(&inputs.scenario, &inputs.choice.profile, dataset, counter)?;
        let Prepared { engine, workload, classes, step_time, options, .. } = prepared;
        let mut simulation = Simulation::new(&workload, &engine.config, &step_time, SimulationOptions::default())?;
        let mut num_passes: u32 = 0;
        while simulation.advance() {
            num_passes = num_passes.wrapping_add(1);
            if num_passes.is_multiple_of(PASSES_PER_LOOK) && !is_wanted() {
                return Ok(None);
            }
        }
        let result = simulation.finish();
        let num_unfinished = result.recording.requests.iter().filter(|request| !request.is_finished).count();
        ensure!(num_unfinished == 0, "{}", never_end(num_unfinished));
        Ok(Some(Run { inputs, engine, options, classes, result }))
    }

    /// Searches the highest load that meets `goodput`.
    ///
    /// # Errors
    /// What `profiler capacity` refuses, in its words; if `is_cancelled` is set on the way.
    pub fn capacity(&self, kind: LoadKind, share: f64, num_seeds: u32, is_cancelled: &AtomicBool) -> Result<Answer> {
        check_effort(share, num_seeds)?;
        let mut flags = self.scenario()?;
        if self.link.is_none() && flags.is_default(Part::Workload) {
            flags.set("dataset-name", Some(if kind == LoadKind::Users { "sessions" } else { "random" }))?;
        }
        let inputs = self.inputs(&flags)?;
        let goodput = inputs.scenario.report().goodput();
        ensure!(
            !kind.is_closed() || !goodput.is_empty(),
            "a closed loop of any size is answered in the end: give objectives, such as goodput \"ttft:500 tpot:50\""
        );
        let counter = self.tokenizer.map(load_token_counter).transpose()?;
        let counter = counter.as_ref().map(|count| count as &(dyn Fn(&str) -> usize + Sync));
        let asked = Asked {
            scenario: &inputs.scenario,
            profile: &inputs.choice.profile,
            dataset: inputs.dataset.as_deref(),
            kind,
        };
        let answer = search(&asked, share, num_seeds, counter, (true, is_cancelled))?;
        let dataset = inputs.scenario.workload().dataset_name();
        let question = Question { kind, dataset, goodput, required_share: share, num_seeds };
        let cost = cost::of_capacity(&inputs.scenario, &inputs.choice, kind, &answer);
        let json = serde_json::to_string(&to_json(&question, &answer, cost.as_ref()))?;
        Ok(Answer { json, text: text(&question, &answer, cost.as_ref()) })
    }

    /// Searches what answers the workload best. `prices` is a list of them, else the one that ships is meant.
    ///
    /// # Errors
    /// What `profiler recommend` refuses, in its words; if there is a profile, or `is_cancelled` is set on the way.
    pub fn recommend(&self, aim: &Aim, prices: Option<&Path>, is_cancelled: &AtomicBool) -> Result<Answer> {
        ensure!(
            self.profile.is_none(),
            "a profile is of one GPU and one format, and others are to be tried: give none"
        );
        let inputs = self.inputs(&self.recommended(aim)?)?;
        let told = aim.answer(inputs, library::prices(prices)?, self.tokenizer, (true, is_cancelled))?;
        Ok(Answer { json: serde_json::to_string(&told.json)?, text: told.text })
    }

    /// Searches which split of the GPUs into prefill and decode replicas carries most, beside all of them doing both.
    ///
    /// # Errors
    /// What `profiler recommend --disaggregated` refuses, in its words; if there is a profile, or `is_cancelled` is set on
    /// the way.
    pub fn recommend_split(&self, aim: &Aim, prices: Option<&Path>, is_cancelled: &AtomicBool) -> Result<Answer> {
        ensure!(self.profile.is_none(), "the profile of either role is composed of the flags: give none");
        let inputs = self.inputs_of(&self.recommended(aim)?, Simulates::AllRanks)?;
        let told = aim.answer_splits(&inputs, &library::prices(prices)?, self.tokenizer, (true, is_cancelled))?;
        Ok(Answer { json: serde_json::to_string(&told.json)?, text: told.text })
    }

    /// The flags of what something is recommended for.
    fn recommended(&self, aim: &Aim) -> Result<Scenario> {
        check_effort(aim.share, aim.num_seeds)?;
        let num_gpus = aim.num_gpus;
        ensure!((1..=100_000).contains(&num_gpus), "num_gpus {num_gpus}: give a number from 1 to 100000");
        let flags = self.scenario()?;
        if self.link.is_none() { completed(&flags) } else { Ok(flags) }
    }

    /// The profile composed of the flags: its name, and its file's text.
    ///
    /// # Errors
    /// What `profiler compose` refuses, in its words.
    pub fn compose(&self) -> Result<(String, String)> {
        let mut flags = self.scenario()?;
        if flags.composition().is_none() {
            flags.set("gpu", Some(DEFAULT_GPU))?;
        }
        let mut choice = self.inputs(&flags)?.choice;
        model_length::settle(&mut choice.profile, &flags)?;
        Ok((choice.name, choice.profile.to_json()?))
    }

    fn scenario(&self) -> Result<Scenario> {
        Ok(Scenario::from_flags(self.flags.iter().map(|(flag, value)| (flag.as_str(), value.as_deref())))?)
    }

    fn inputs(&self, flags: &Scenario) -> Result<Inputs> {
        self.inputs_of(flags, Simulates::OneRank)
    }

    fn inputs_of(&self, flags: &Scenario, simulates: Simulates) -> Result<Inputs> {
        let profile = self.profile.map(|profile| match profile {
            ProfileFile::Path(path) => WholeProfile::Path(path),
            ProfileFile::Json { name, text } => WholeProfile::File { name, json: text.as_bytes() },
        });
        Inputs::put_together(flags, self.link, profile, (&ModelName::default(), simulates))
    }
}

/// A flag that [`Ask::recommend`] varies and the values that are tried of it, `default` for vLLM's default.
#[must_use]
pub fn axis(flag: &str, values: &[String]) -> Axis {
    written_axis(flag, values.iter().map(String::as_str))
}

/// Limits of what the command line's parser limits.
fn check_effort(share: f64, num_seeds: u32) -> Result<()> {
    ensure!((0.01..=1.0).contains(&share), "share {share}: give a share from 0.01 to 1");
    ensure!((1..=100).contains(&num_seeds), "num_seeds {num_seeds}: give a number from 1 to 100");
    Ok(())
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("scenario", &self.inputs.scenario).finish_non_exhaustive()
    }
}

impl Run {
    /// The result file that `vllm bench serve --save-result` would write at `date`, with the object `simulation`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn json(&self, date: &str) -> Result<String> {
        let flags = stated_flags(&self.inputs.scenario);
        self.report(&flags).with_json(date, false, |json| Ok(json.to_string()))
    }

    /// The table that `profiler simulate --quiet` prints.
    #[must_use]
    pub fn text(&self) -> String {
        self.report(&[]).body(true)
    }

    /// A row for each request, as `profiler simulate --per-request-csv` writes them.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn requests_csv(&self) -> Result<String> {
        let mut text = String::new();
        write_request_csv(&mut text, &self.result.recording, &self.options.goodput).context("rows of requests")?;
        Ok(text)
    }

    /// Equal digests are equal runs.
    #[must_use]
    pub fn digest(&self) -> u64 {
        digest(&self.result.recording)
    }

    /// What vLLM would warn of on start-up.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.engine.warnings.iter().map(ToString::to_string).collect()
    }

    fn report<'a>(&'a self, flags: &'a [(&'static str, String)]) -> Report<'a> {
        Report {
            choice: &self.inputs.choice,
            engine: &self.engine,
            workload_name: "",
            options: &self.options,
            classes: self.classes.as_ref(),
            engines: None,
            flags,
            dataset: self.inputs.dataset.as_deref().map(fingerprint),
            result: &self.result,
            ends: None,
            scenario: &self.inputs.scenario,
        }
    }
}
