//! `profiler recommend`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use sim_core::answers::capacity::TrialError;
use sim_core::answers::recommend::{Axis, Objective, Plan, Recommend, Space};
use sim_core::operators::Pack;
use sim_core::scenario::{DEFAULT_MODEL, Part, Scenario, ScenarioError};

use super::capacity::{By, parse_share};
use super::given::Given;
use super::prices::PriceList;
use crate::capacity::run::Counter;
use crate::output_file::{make_folder_of, write_whole};
use crate::recommend::engines::{Engines, Parts};
use crate::recommend::report::Report;
use crate::recommend::report_json::json as to_json;
use crate::recommend::run::{Inputs, run};
use crate::simulate::library;
use crate::simulate::profile_choice::Origin;
use crate::simulate::token_counter::load_token_counter;

/// What is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum For {
    /// The least money for the load of --request-rate; without it for a token.
    #[default]
    Cost,
    /// The most output tokens a second for each GPU.
    Throughput,
    /// The most output tokens a second for each user, at the load of --request-rate.
    Interactivity,
    /// The shortest P99 of end-to-end latency, at the load of --request-rate.
    Latency,
}

/// What is asked of what.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What is best
    #[arg(long = "for", value_enum, default_value_t)]
    objective: For,
    /// GPUs of one kind that there are: engines beside each other fill them
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    num_gpus: u32,
    /// A flag and the values that are tried, such as max-num-seqs=64,256,default; may be given again. GPUs, tensor
    /// parallel sizes, fp8 weights and KV cache, places and tokens of a pass are tried unless they are given; a drafter
    /// and none, where a drafter and how many drafts are accepted is given
    #[arg(long, value_name = "FLAG=VALUES", value_parser = parse_axis, action = clap::ArgAction::Append)]
    vary: Vec<Axis>,
    #[command(flatten)]
    prices: PriceList,
    /// What a load is; --request-rate or --max-concurrency say how much all engines together are to carry
    #[arg(long, value_enum, default_value_t)]
    by: By,
    /// Share of the requests that must meet every objective of --goodput
    #[arg(long, value_name = "SHARE", default_value_t = 0.99, value_parser = parse_share)]
    share: f64,
    /// Runs at each load of those that are searched to the end, each with another seed, from --seed on
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    num_seeds: u32,
    #[command(flatten)]
    given: Given,
    /// The model's tokenizer.json: counts the tokens of sharegpt and custom prompts
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// Write the answer into this JSON file
    #[arg(long, value_name = "FILE")]
    output_json: Option<PathBuf>,
    /// No progress and no heading
    #[arg(long)]
    quiet: bool,
}

impl Args {
    /// True if something is recommended.
    pub(super) fn run(&self) -> Result<bool> {
        let (base, parts, dataset) = self.base()?;
        let plan = self.plan(&base)?;
        let prices = parts.prices.clone();
        let space = Space::new(&base, &self.vary, self.num_gpus)?;
        let mut recommend = Recommend::new(plan, space)?;
        let needs_tokenizer = base.workload().dataset_name().needs_tokenizer();
        let counter = self.tokenizer.as_deref().filter(|_| needs_tokenizer).map(load_token_counter).transpose()?;
        let counter: Counter<'_> = counter.as_ref().map(|count| count as &(dyn Fn(&str) -> usize + Sync));
        let inputs = Inputs { dataset: dataset.as_deref(), counter };
        let num_runs = run(&mut recommend, &mut Engines::new(parts), inputs, self.quiet)?;
        let answer = recommend.answer();
        let report = Report {
            recommend: &recommend,
            answer: &answer,
            goodput: base.report().goodput(),
            dataset: base.workload().dataset_name(),
            prices: &prices,
            num_runs,
        };
        let mut out = io::stdout().lock();
        if !self.quiet {
            writeln!(
                out,
                "SIMULATED, not measured. Profiles are composed of operators that others measured; FIDELITY.md says how \
                 far they are off."
            )?;
        }
        write!(out, "{}", report.text())?;
        if let Some(path) = &self.output_json {
            make_folder_of(path)?;
            let json = serde_json::to_string_pretty(&to_json(&report))?;
            write_whole(path, format!("{json}\n")).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(!answer.ranked.is_empty())
    }

    /// What all candidates begin with, what their profiles are composed of, and the dataset's file.
    fn base(&self) -> Result<(Scenario, Parts, Option<Vec<u8>>)> {
        let mut flags = self.given.flags().clone();
        if self.given.link.is_none() {
            if flags.is_default(Part::Workload) || only_loads(&flags) {
                flags.set("dataset-name", Some("random"))?;
            }
            if flags.get("model").is_none() {
                flags.set("model", Some(DEFAULT_MODEL))?;
            }
        }
        let inputs = self.given.inputs_of(&flags, None)?;
        let Origin::Composed { config, pack, .. } = inputs.choice.origin else {
            bail!(
                "the link has a profile of one GPU and one format, and others are to be tried: give --model and --gpu"
            )
        };
        let own_pack = pack.map(|file| Pack::from_json(&file)).transpose()?;
        let prices = self.prices.with(&inputs.scenario)?;
        let parts = Parts { catalogue: library::catalogue()?, config, own_pack, prices };
        Ok((inputs.scenario, parts, inputs.dataset))
    }

    fn plan(&self, base: &Scenario) -> Result<Plan> {
        let kind = self.by.kind();
        let objective = match self.objective {
            For::Cost => Objective::Cost,
            For::Throughput => Objective::Throughput,
            For::Interactivity => Objective::Interactivity,
            For::Latency => Objective::Latency,
        };
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

/// Whether nothing is said of the workload but how much of it comes: the trace that `simulate` begins with has times of
/// its own.
fn only_loads(flags: &Scenario) -> bool {
    let is_load = |name: &str| ["request-rate", "max-concurrency", "num-prompts", "seed"].contains(&name);
    flags.given().all(|(flag, _)| flag.part != Part::Workload || is_load(flag.name))
}

/// `FLAG=A,B`; `default` is vLLM's default.
fn parse_axis(text: &str) -> Result<Axis, String> {
    let (flag, values) = text.split_once('=').ok_or("give FLAG=VALUES, as in max-num-seqs=64,256")?;
    let flag = flag.trim_start_matches('-').replace('_', "-");
    let values = values.split(',').filter(|value| !value.is_empty());
    Ok(Axis { flag, values: values.map(|value| (value != "default").then(|| value.to_owned())).collect() })
}
