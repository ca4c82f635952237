//! `profiler simulate`.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::iter;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::CommandFactory as _;
use jiff::Zoned;
use sim_core::config::SpeculativeArgs;
use sim_core::config::flags::{Arity, BENCH_SERVE, FlagEffect, FlagError, SERVE, arity, expanded, removed};
use sim_core::profile::schema::DeviceType;
use sim_core::scenario::{Prepared, Scenario, TextTokens, meaning, prepare};
use sim_core::simulator::SimulationOptions;

use crate::simulate::ends::Ends;
use crate::simulate::inputs::Inputs;
use crate::simulate::report::{Report, explain, explain_memory};
use crate::simulate::report_flags::ReportFlags;
use crate::simulate::run::run;
use crate::simulate::scenario_flags::ScenarioFlags;
use crate::simulate::token_counter::load_token_counter;

/// Subcommands that take the flags of vLLM.
const WITH_VLLM_FLAGS: [&str; 5] = ["simulate", "link", "serve", "groups", "compose"];

/// What is simulated, and what is reported.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A whole-pass profile of the step times [default: composed of --model and --gpu; without these a built-in one,
    /// Llama-3.1-8B bf16 on one H100, derived]
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
    /// Run what a share link of the page says; flags given besides come on top
    #[arg(long, value_name = "LINK")]
    link: Option<String>,
    #[command(flatten)]
    scenario: ScenarioFlags,
    /// The model's tokenizer.json: counts the tokens of sharegpt and custom prompts
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    #[command(flatten)]
    report: ReportFlags,
}

impl Args {
    /// True unless a required goodput is missed.
    #[expect(clippy::print_stderr, reason = "doubts go to stderr, the result to stdout")]
    pub(super) fn run(&self) -> Result<bool> {
        let inputs = Inputs::new(&self.scenario.scenario, self.link.as_deref(), self.profile.as_deref())?;
        let profile = &inputs.choice.profile;
        let engine = inputs.scenario.resolve(profile)?;
        let range = self.report.range_of(profile)?;
        let mut out = io::stdout().lock();
        if self.report.explain {
            let is_cpu = profile.hardware.device_type == DeviceType::Cpu;
            write!(out, "{}", explain(&engine, if is_cpu { "CPU" } else { "GPU" }))?;
            write!(out, "{}", explain_memory(profile))?;
        }
        for warning in &engine.warnings {
            eprintln!("warning: {warning}");
        }
        let Prepared { engine, workload, num_skipped, step_time, options } = self.prepare(&inputs)?;
        let options = self.report.on_top_of(options)?;
        if num_skipped > 0 {
            eprintln!("warning: {num_skipped} entries of the dataset ask for no token and are left out");
        }
        let workload_name = if inputs.is_default_trace {
            "first 1,000 requests of the Azure conversation trace of 2023 (Microsoft, CC-BY-4.0), at its own times"
                .to_owned()
        } else {
            format!("{} requests, seed and flags as given", workload.requests.len())
        };
        let keep = SimulationOptions { record_emissions: self.report.save_detailed };
        let result = run(&workload, &engine.config, &step_time, keep, self.report.quiet)?;
        let ends = range.map(|range| {
            let run = (&workload, &engine.config, &step_time);
            Ends::new(&range, &result, run, &options, self.report.quiet)
        });
        let ends = ends.transpose()?;
        // A million requests are 90 MB that the report does not need.
        drop(workload);
        let report = Report {
            choice: &inputs.choice,
            engine: &engine,
            workload_name: &workload_name,
            options: &options,
            result: &result,
            ends: ends.as_ref(),
        };
        if !self.report.quiet {
            writeln!(out, "{}", report.heading())?;
        }
        write!(out, "{}", report.body(self.report.quiet))?;
        report.write_files(&self.report)?;
        let num_unfinished = result.recording.requests.iter().filter(|request| !request.is_finished).count();
        ensure!(
            num_unfinished == 0,
            "{num_unfinished} requests can never be scheduled: their prefill exceeds the budget"
        );
        let Some(required) = self.report.require_goodput else { return Ok(true) };
        let share = report.goodput_share();
        writeln!(out, "Requests that meet every objective: {share:.4} (required: {required})")?;
        Ok(share >= required)
    }

    fn prepare(&self, inputs: &Inputs) -> Result<Prepared> {
        let needs_tokenizer = inputs.scenario.workload().dataset_name().needs_tokenizer();
        ensure!(
            self.tokenizer.is_none() || needs_tokenizer,
            "--tokenizer does nothing with --dataset-name {}; it is for sharegpt, custom",
            inputs.scenario.workload().dataset_name()
        );
        let counter = self.tokenizer.as_deref().map(load_token_counter).transpose()?;
        let counter = counter.as_ref().map(|count| count as TextTokens<'_>);
        let dataset = inputs.dataset.as_deref();
        let prepared = prepare(&inputs.scenario, &inputs.choice.profile, dataset, counter);
        let path = inputs.scenario.workload().dataset_path.clone();
        let mut prepared =
            match path.filter(|_| matches!(prepared, Err(sim_core::scenario::ScenarioError::Workload(_)))) {
                Some(path) => prepared.context(path)?,
                None => prepared?,
            };
        // A simulated run has no date of its own: as if it had begun now.
        let start = Zoned::now();
        prepared.date_rate_changes(&inputs.scenario.workload().traffic(), |time| {
            let time = start.saturating_add(Duration::from_nanos(time.as_nanos()));
            time.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string()
        })?;
        Ok(prepared)
    }
}

/// The drafter's flag, which is also written key by key.
const DRAFTER: &str = "--speculative-config";

/// A flag that may be shortened, as vLLM's parser takes it. One that was removed keeps its name, though that may begin
/// another's.
fn in_full(text: &str, own: &[String]) -> Result<String, FlagError> {
    let name = text.split_once('=').map_or(text, |(name, _)| name).replace('_', "-");
    if removed(&name).is_some() {
        return Ok(text.to_owned());
    }
    expanded(text, &[SERVE, BENCH_SERVE], &own.iter().map(String::as_str).collect::<Vec<_>>())
}

/// vLLM's short names in full; a parser of one-letter options would read them as `-t p`. `-q` with a value after it is
/// vLLM's, alone it is ours.
fn long(text: String, has_value: bool) -> String {
    if text == "-q" && has_value || text.starts_with("-q=") {
        return text.replacen("-q", "--quantization", 1);
    }
    match text.split_at_checked(3) {
        Some(("-sc", rest)) => format!("--speculative-config{rest}"),
        Some(("-tp", rest)) => format!("--tensor-parallel-size{rest}"),
        Some(("-pp", rest)) => format!("--pipeline-parallel-size{rest}"),
        Some(("-dp", rest)) if rest.is_empty() || rest.starts_with('=') => format!("--data-parallel-size{rest}"),
        Some(("-ep", "")) => "--enable-expert-parallel".to_owned(),
        _ => text,
    }
}

/// Takes those flags of vLLM out of a command line of `simulate`, `link` or `serve` that change nothing here, with a note, and refuses by
/// name those that are not simulated. What is left is for the parser.
#[expect(clippy::print_stderr, reason = "a flag that changes nothing is said so")]
pub(super) fn take_vllm_flags(arguments: Vec<OsString>) -> Result<Vec<OsString>> {
    let command = arguments.get(1).map(|command| command.to_string_lossy().into_owned()).unwrap_or_default();
    if !WITH_VLLM_FLAGS.contains(&command.as_str()) {
        return Ok(arguments);
    }
    let cli = super::Cli::command();
    let own = cli.find_subcommand(&command).map(|command| {
        command.get_arguments().filter_map(clap::Arg::get_long).map(|name| format!("--{name}")).collect::<Vec<_>>()
    });
    let own = own.unwrap_or_default();
    let mut kept = vec![];
    let mut drafter = Scenario::default();
    let mut rest = arguments.into_iter().peekable();
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy().into_owned();
        let has_value = rest.peek().is_some_and(|next| !next.to_string_lossy().starts_with('-'));
        let text = long(text, has_value);
        let text = if text.starts_with("--") { in_full(&text, &own)? } else { text };
        let name = text.split_once('=').map_or(text.as_str(), |(name, _)| name).replace('_', "-");
        if own.contains(&DRAFTER.to_owned()) && (name == DRAFTER || SpeculativeArgs::key_of_flag(&name).is_some()) {
            let inline = text.split_once('=').map(|(_, value)| value.to_owned());
            let value = inline.or_else(|| rest.next().map(|next| next.to_string_lossy().into_owned()));
            drafter.set(&name, value.as_deref())?;
            continue;
        }
        if !name.starts_with("--") || name == "--" || name == "--help" || own.contains(&name) {
            let inline = text.split_once('=').map(|(_, value)| format!("={value}")).unwrap_or_default();
            kept.push(if own.contains(&name) { OsString::from(format!("{name}{inline}")) } else { argument });
            continue;
        }
        let mut is_first = !text.contains('=');
        let mut values = vec![];
        while let Some(next) = rest.next_if(|next| {
            let is_own = is_first || arity(&name) == Arity::Several;
            is_own && !next.to_string_lossy().starts_with("--")
        }) {
            is_first = false;
            values.push(next.to_string_lossy().into_owned());
        }
        let value = values.first().map(|_| values.join(" "));
        match meaning(&text, value.as_deref()) {
            Err(FlagError::Unknown { .. }) => match removed(&name) {
                Some((why, _)) => eprintln!("note: {name} is set aside: vLLM no longer has this flag: {why}"),
                // The parser says what it does not know, and what is near.
                None => kept.extend(iter::once(argument).chain(values.into_iter().map(OsString::from))),
            },
            Err(error) => return Err(error.into()),
            Ok((effect, why)) => {
                ensure!(
                    effect != FlagEffect::Simulated,
                    "{name}: this flag of vLLM has no use in `profiler {command}`"
                );
                eprintln!("note: {name} is set aside: {why}");
            }
        }
    }
    // Its keys may each be a flag; the parser gets them as one.
    if let Some(whole) = drafter.get("speculative-config") {
        kept.insert(2, OsString::from(format!("{DRAFTER}={whole}")));
    }
    Ok(kept)
}
