//! A recommendation from flags to answer, for the command line and for programs.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail, ensure};
use serde_json::Value;
use sim_core::answers::capacity::{LoadKind, Question, TrialError};
use sim_core::answers::recommend::{Axis, Objective, Plan, Recommend, Space};
use sim_core::operators::Pack;
use sim_core::operators::prices::Prices;
use sim_core::scenario::{DEFAULT_MODEL, Part, Scenario, ScenarioError};

use super::engines::{Engines, Parts};
use super::report::Report;
use super::report_json::json;
use super::run::{self, run};
use crate::capacity::run::Counter;
use crate::simulate::inputs::Inputs;
use crate::simulate::library;
use crate::simulate::profile_choice::Origin;
use crate::simulate::token_counter::load_token_counter;

/// What is best, what is tried for it, and how closely it is looked at.
#[derive(Debug, Clone)]
pub struct Aim {
    /// What is best.
    pub objective: Objective,
    /// What a load is; the flag of that name says how much all engines together are to carry.
    pub kind: LoadKind,
    /// GPUs of one kind that there are.
    pub num_gpus: u32,
    /// Flags and the values that are tried of them.
    pub vary: Vec<Axis>,
    /// Share of the requests that must meet every objective of `goodput`.
    pub share: f64,
    /// Runs at each load of those that are searched to the end.
    pub num_seeds: u32,
}

/// A recommendation, told.
#[derive(Debug)]
pub(crate) struct Told {
    /// For programs.
    pub(crate) json: Value,
    /// In words and tables.
    pub(crate) text: String,
    /// Whether anything is recommended.
    pub(crate) is_any: bool,
}

impl Aim {
    /// What is recommended of `inputs`, which [`completed`] flags have, at `prices` and those of the flags.
    ///
    /// # Errors
    /// If the question contradicts itself, files cannot be read or `is_cancelled` is set on the way.
    pub(crate) fn answer(
        &self,
        inputs: Inputs,
        prices: Prices,
        tokenizer: Option<&Path>,
        (quiet, is_cancelled): (bool, &AtomicBool),
    ) -> Result<Told> {
        let Inputs { scenario: base, choice, dataset, .. } = inputs;
        let Origin::Composed { config, pack, .. } = choice.origin else {
            bail!(
                "the link has a profile of one GPU and one format, and others are to be tried: give --model and --gpu"
            )
        };
        let own_pack = pack.map(|file| Pack::from_json(&file)).transpose()?;
        let prices = prices.with(base.report().prices());
        let parts = Parts { catalogue: library::catalogue()?, config, own_pack, prices: prices.clone() };
        let plan = self.plan(&base)?;
        let mut recommend = Recommend::new(plan, Space::new(&base, &self.vary, self.num_gpus)?)?;
        let needs_tokenizer = base.workload().dataset_name().needs_tokenizer();
        let counter = tokenizer.filter(|_| needs_tokenizer).map(load_token_counter).transpose()?;
        let counter: Counter<'_> = counter.as_ref().map(|count| count as &(dyn Fn(&str) -> usize + Sync));
        let common = run::Inputs { dataset: dataset.as_deref(), counter };
        let num_runs = run(&mut recommend, &mut Engines::new(parts), common, (quiet, is_cancelled))?;
        let answer = recommend.answer();
        let question = Question {
            kind: self.kind,
            dataset: base.workload().dataset_name(),
            goodput: base.report().goodput(),
            required_share: self.share,
            num_seeds: self.num_seeds,
        };
        let report = Report { recommend: &recommend, answer: &answer, question: &question, prices: &prices, num_runs };
        Ok(Told { json: json(&report), text: report.text(), is_any: !answer.ranked.is_empty() })
    }

    fn plan(&self, base: &Scenario) -> Result<Plan> {
        let Self { objective, kind, .. } = *self;
        let goodput = base.report().goodput();
        let demand = base.get(kind.flag()).and_then(|load| load.parse::<f64>().ok()).filter(|load| load.is_finite());
        ensure!(
            demand.is_some() || !objective.is_at_demand(),
            "--for latency and --for interactivity compare at a load: give --{} for all engines together",
            kind.flag()
        );
        ensure!(
            !kind.is_closed() || !goodput.is_empty(),
            "--by concurrency and --by users need objectives: a closed loop of any size is answered in the end. Give \
             --goodput, such as `--goodput ttft:500 tpot:50`"
        );
        if let Some(config) = base.engine().speculative_config.as_ref().and_then(|config| config.resolve().ok()) {
            let acceptance = ["spec-acceptance-length", "spec-acceptance-rates", "spec-acceptance-sequence"];
            if acceptance.iter().all(|flag| base.get(flag).is_none()) {
                return Err(ScenarioError::NoAcceptance { num_drafts: config.num_speculative_tokens }.into());
            }
        }
        let workload = base.workload();
        if workload.dataset_name().has_times() && base.get("self-timed") != Some("false") {
            return Err(TrialError::TimedDataset(workload.dataset_name().name().to_owned()).into());
        }
        Ok(Plan {
            objective,
            kind,
            has_goodput: !goodput.is_empty(),
            required_share: self.share,
            demand,
            num_gpus: self.num_gpus,
            first_seed: workload.seed(),
            num_seeds: self.num_seeds,
            num_prompts: base.get("num-prompts").and_then(|text| text.parse().ok()).unwrap_or(1000),
        })
    }
}

/// `flags` without a link, with what is asked about where they say nothing: a workload that takes any load, and a model.
///
/// # Errors
/// None: both are flags.
pub(crate) fn completed(flags: &Scenario) -> Result<Scenario> {
    let mut flags = flags.clone();
    if flags.is_default(Part::Workload) || only_loads(&flags) {
        flags.set("dataset-name", Some("random"))?;
    }
    if flags.get("model").is_none() {
        flags.set("model", Some(DEFAULT_MODEL))?;
    }
    Ok(flags)
}

/// A flag and its values as they are written: with dashes or without, `default` for vLLM's default.
pub(crate) fn axis<'a>(flag: &str, values: impl Iterator<Item = &'a str>) -> Axis {
    let flag = flag.trim_start_matches('-').replace('_', "-");
    Axis { flag, values: values.map(|value| (value != "default").then(|| value.to_owned())).collect() }
}

/// Whether nothing is said of the workload but how much of it comes: the trace that `simulate` begins with has times of
/// its own.
fn only_loads(flags: &Scenario) -> bool {
    let is_load = |name: &str| ["request-rate", "max-concurrency", "num-prompts", "seed"].contains(&name);
    flags.given().all(|(flag, _)| flag.part != Part::Workload || is_load(flag.name))
}
