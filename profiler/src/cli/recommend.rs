//! `profiler recommend`.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use sim_core::answers::recommend::{Axis, Objective};

use super::capacity::{By, parse_share};
use super::given::Given;
use super::prices::PriceList;
use crate::output_file::{make_folder_of, write_whole};
use crate::recommend::question::{Aim, axis, completed};

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

impl For {
    const fn objective(self) -> Objective {
        match self {
            Self::Cost => Objective::Cost,
            Self::Throughput => Objective::Throughput,
            Self::Interactivity => Objective::Interactivity,
            Self::Latency => Objective::Latency,
        }
    }
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
    /// Instead: how many of the GPUs' replicas are to compute prompts and how many to answer (--prefill-replicas,
    /// --decode-replicas), beside all of them doing both; the engine is as the flags say
    #[arg(long, conflicts_with = "vary")]
    disaggregated: bool,
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
        let flags = self.given.flags();
        let flags = if self.given.link.is_none() { completed(flags)? } else { flags.clone() };
        let aim = Aim {
            objective: self.objective.objective(),
            kind: self.by.kind(),
            num_gpus: self.num_gpus,
            vary: self.vary.clone(),
            share: self.share,
            num_seeds: self.num_seeds,
        };
        let (tokenizer, go_on) = (self.tokenizer.as_deref(), (self.quiet, &AtomicBool::new(false)));
        let told = if self.disaggregated {
            aim.answer_splits(&self.given.inputs_of_ranks(&flags)?, &self.prices.list()?, tokenizer, go_on)?
        } else {
            aim.answer(self.given.inputs_of(&flags, None)?, self.prices.list()?, tokenizer, go_on)?
        };
        let mut out = io::stdout().lock();
        if !self.quiet {
            writeln!(
                out,
                "SIMULATED, not measured. Profiles are composed of operators that others measured; FIDELITY.md says how \
                 far they are off."
            )?;
        }
        write!(out, "{}", told.text)?;
        if let Some(path) = &self.output_json {
            make_folder_of(path)?;
            let json = serde_json::to_string_pretty(&told.json)?;
            write_whole(path, format!("{json}\n")).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(told.is_any)
    }
}

/// `FLAG=A,B`; `default` is vLLM's default.
fn parse_axis(text: &str) -> Result<Axis, String> {
    let (flag, values) = text.split_once('=').ok_or("give FLAG=VALUES, as in max-num-seqs=64,256")?;
    Ok(axis(flag, values.split(',').filter(|value| !value.is_empty())))
}
