//! `profiler capacity`.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, ensure};
use sim_core::answers::capacity::{Asked, LoadKind, Question};
use sim_core::scenario::Part;

use super::given::Given;
use crate::capacity::report::{text, to_json};
use crate::capacity::run::{Counter, search};
use crate::output_file::{make_folder_of, write_whole};
use crate::simulate::cost;
use crate::simulate::report::times;
use crate::simulate::token_counter::load_token_counter;

/// What is varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum By {
    /// Requests per second, sent whether others are answered or not.
    #[default]
    Rate,
    /// Requests at once, each sent when another was answered.
    Concurrency,
    /// Users of `--dataset-name sessions`, who read, think and ask again.
    Users,
}

impl By {
    /// What is varied.
    pub(super) const fn kind(self) -> LoadKind {
        match self {
            Self::Rate => LoadKind::Rate,
            Self::Concurrency => LoadKind::Concurrency,
            Self::Users => LoadKind::Users,
        }
    }
}

/// How much is asked of what.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What is varied: the highest value that meets --goodput is searched
    #[arg(long, value_enum, default_value_t)]
    by: By,
    /// Share of the requests that must meet every objective of --goodput
    #[arg(long, value_name = "SHARE", default_value_t = 0.99, value_parser = parse_share)]
    share: f64,
    /// Runs at each load, each with another seed, from --seed on; the more, the narrower the interval
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    num_seeds: u32,
    /// A whole-pass profile of the step times [default: composed of --model and --gpu]
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    given: Given,
    /// The model's tokenizer.json: counts the tokens of sharegpt and custom prompts
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// Write the answer and every run behind it into this JSON file
    #[arg(long, value_name = "FILE")]
    output_json: Option<PathBuf>,
    /// No progress and no heading
    #[arg(long)]
    quiet: bool,
}

impl Args {
    /// True if something is carried.
    pub(super) fn run(&self) -> Result<bool> {
        let mut flags = self.given.flags().clone();
        if self.given.link.is_none() && flags.is_default(Part::Workload) {
            // The trace that `simulate` begins with has times of its own.
            flags.set("dataset-name", Some(if self.by == By::Users { "sessions" } else { "random" }))?;
        }
        let kind = self.by.kind();
        let inputs = self.given.inputs_of(&flags, self.profile.as_deref())?;
        let goodput = inputs.scenario.report().goodput();
        ensure!(
            !kind.is_closed() || !goodput.is_empty(),
            "--by concurrency and --by users need objectives: a closed loop of any size is answered in the end. Give \
             --goodput, such as `--goodput ttft:500 tpot:50`"
        );
        let needs_tokenizer = inputs.scenario.workload().dataset_name().needs_tokenizer();
        let counter = self.tokenizer.as_deref().filter(|_| needs_tokenizer).map(load_token_counter).transpose()?;
        let counter: Counter<'_> = counter.as_ref().map(|count| count as &(dyn Fn(&str) -> usize + Sync));
        let asked = Asked {
            scenario: &inputs.scenario,
            profile: &inputs.choice.profile,
            dataset: inputs.dataset.as_deref(),
            kind,
        };
        let answer = search(&asked, self.share, self.num_seeds, counter, (self.quiet, &AtomicBool::new(false)))?;
        let dataset = inputs.scenario.workload().dataset_name();
        let question = Question { kind, dataset, goodput, required_share: self.share, num_seeds: self.num_seeds };
        let mut out = io::stdout().lock();
        if !self.quiet {
            writeln!(out, "SIMULATED, not measured. Times: {}", times(&inputs.choice))?;
        }
        let cost = cost::of_capacity(&inputs.scenario, &inputs.choice, kind, &answer);
        write!(out, "{}", text(&question, &answer, cost.as_ref()))?;
        if let Some(path) = &self.output_json {
            make_folder_of(path)?;
            let json = serde_json::to_string_pretty(&to_json(&question, &answer, cost.as_ref()))?;
            write_whole(path, format!("{json}\n")).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(answer.capacity.is_some())
    }
}

pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.01..=1.0).contains(share));
    share.ok_or_else(|| "give a share from 0.01 to 1".to_owned())
}
