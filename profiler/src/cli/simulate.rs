//! `profiler simulate`.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{CommandFactory as _, ValueEnum};
use jiff::Zoned;
use sim_core::config::UsageContext;
use sim_core::config::flags::{FlagEffect, FlagError, bench_serve_flag, serve_flag};
use sim_core::metrics::bench_serve::{BenchServeOptions, RampUp};
use sim_core::simulator::SimulationOptions;
use sim_core::time::SimTime;
use sim_core::workload::arrival::{RampUpStrategy, TrafficOptions};
use sim_core::workload::{Traffic, Workload};

use crate::simulate::engine_flags::EngineFlags;
use crate::simulate::report::{Report, explain};
use crate::simulate::report_flags::ReportFlags;
use crate::simulate::run::{check_admission, load_profile, resolve, run, step_time_model};
use crate::simulate::workload_flags::WorkloadFlags;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Context {
    /// `vllm serve`
    Server,
    /// Python's `LLM`
    Llm,
}

/// What is simulated, and what is reported.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Profile of the step times [default: built in, Llama-3.1-8B bf16 on one H100, derived]
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
    /// Whose defaults the engine has
    #[arg(long, value_enum, default_value = "server")]
    usage_context: Context,
    /// Run without CUDA graphs
    #[arg(long)]
    enforce_eager: bool,
    #[command(flatten)]
    engine: EngineFlags,
    #[command(flatten)]
    workload: WorkloadFlags,
    #[command(flatten)]
    report: ReportFlags,
}

impl Args {
    /// True unless a required goodput is missed.
    #[expect(clippy::print_stderr, reason = "doubts go to stderr, the result to stdout")]
    pub(super) fn run(&self) -> Result<bool> {
        let profile = load_profile(self.profile.as_deref())?;
        let usage_context = match self.usage_context {
            Context::Server => UsageContext::OpenAiApiServer,
            Context::Llm => UsageContext::LlmClass,
        };
        let engine = resolve(&self.engine.args, &profile, usage_context)?;
        let options = self.report.options(&profile.model.name)?;
        let mut out = io::stdout().lock();
        if self.report.explain {
            write!(out, "{}", explain(&engine))?;
        }
        for warning in &engine.warnings {
            eprintln!("warning: {warning}");
        }
        let (workload, num_skipped) = self.workload.build()?;
        let options = with_traffic(options, &self.workload.traffic(), &workload)?;
        if num_skipped > 0 {
            eprintln!("warning: {num_skipped} entries of the dataset ask for no token and are left out");
        }
        let workload_name = if self.workload.is_default() {
            "first 1,000 requests of the Azure conversation trace of 2023 (Microsoft, CC-BY-4.0), at its own times"
                .to_owned()
        } else {
            format!("{} requests, seed and flags as given", workload.requests.len())
        };
        check_admission(&workload, &engine.config, usage_context)?;
        let step_time = step_time_model(&profile, &engine.config, self.enforce_eager)?;
        let keep = SimulationOptions { record_emissions: self.report.save_detailed };
        let result = run(&workload, &engine.config, &step_time, keep, self.report.quiet)?;
        // A million requests are 90 MB that the report does not need.
        drop(workload);
        let report = Report {
            profile: &profile,
            profile_name: &self.profile_name(),
            engine: &engine,
            workload_name: &workload_name,
            options: &options,
            result: &result,
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

    fn profile_name(&self) -> String {
        let stem = self.profile.as_ref().and_then(|path| path.file_stem());
        stem.map_or_else(|| "h100-sxm_llama-3.1-8b_bf16_tp1".to_owned(), |stem| stem.to_string_lossy().into_owned())
    }
}

fn with_traffic(
    options: BenchServeOptions,
    traffic: &TrafficOptions,
    workload: &Workload,
) -> Result<BenchServeOptions> {
    let changes = traffic.rps_changes(workload.requests.len())?;
    let start = (!changes.is_empty()).then(Zoned::now).unwrap_or_default();
    let events = changes.iter().map(|&(rps, request)| {
        // A simulated run has no date of its own: as if it had begun now.
        let sent = start.saturating_add(std::time::Duration::from_nanos(send_time(workload, request).as_nanos()));
        (rps, sent.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string())
    });
    let rps_change_events = events.collect();
    let ramp_up = traffic.ramp_up_strategy.map(|strategy| RampUp {
        strategy: match strategy {
            RampUpStrategy::Linear => "linear".to_owned(),
            RampUpStrategy::Exponential => "exponential".to_owned(),
        },
        start_rps: traffic.ramp_up_start_rps.unwrap_or(0),
        end_rps: traffic.ramp_up_end_rps.unwrap_or(0),
        rps_change_events,
    });
    Ok(BenchServeOptions {
        request_rate: traffic.request_rate,
        burstiness: traffic.burstiness,
        max_concurrency: traffic.max_concurrency,
        ramp_up,
        ..options
    })
}

/// When the client means to send a request.
fn send_time(workload: &Workload, request: usize) -> SimTime {
    match &workload.traffic {
        Traffic::Timed { send_times, .. } => send_times.get(request).copied().unwrap_or_default(),
        Traffic::QueriesPerIter { .. } => SimTime::ZERO,
    }
}

/// Takes those flags of vLLM out of a `simulate` command line that change nothing here, with a note, and refuses by
/// name those that are not simulated. What is left is for the parser.
#[expect(clippy::print_stderr, reason = "a flag that changes nothing is said so")]
pub(super) fn take_vllm_flags(arguments: Vec<OsString>) -> Result<Vec<OsString>> {
    if arguments.get(1).is_none_or(|command| command != "simulate") {
        return Ok(arguments);
    }
    let cli = super::Cli::command();
    let own = cli.find_subcommand("simulate").map(|command| {
        command.get_arguments().filter_map(clap::Arg::get_long).map(|name| format!("--{name}")).collect::<Vec<_>>()
    });
    let own = own.unwrap_or_default();
    let mut kept = vec![];
    let mut rest = arguments.into_iter().peekable();
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy().into_owned();
        let name = text.split_once('=').map_or(text.as_str(), |(name, _)| name).replace('_', "-");
        if !name.starts_with("--") || name == "--" || name == "--help" || own.contains(&name) {
            let inline = text.split_once('=').map(|(_, value)| format!("={value}")).unwrap_or_default();
            kept.push(if own.contains(&name) { OsString::from(format!("{name}{inline}")) } else { argument });
            continue;
        }
        let value = rest.peek().map(|next| next.to_string_lossy().into_owned());
        let value = value.filter(|next| !next.starts_with("--") && !text.contains('='));
        match look_up(&text, value.as_deref()) {
            // The parser says what it does not know, and what is near.
            Err(FlagError::Unknown { .. }) => kept.push(argument),
            Err(error) => return Err(error.into()),
            Ok((effect, why)) => {
                ensure!(effect != FlagEffect::Simulated, "{name}: this flag of vLLM has no use in `profiler simulate`");
                eprintln!("note: {name} is set aside: {why}");
                if value.is_some() {
                    rest.next();
                }
            }
        }
    }
    Ok(kept)
}

/// What a flag of either command means here.
fn look_up(flag: &str, value: Option<&str>) -> Result<(FlagEffect, &'static str), FlagError> {
    match serve_flag(flag, value) {
        Err(FlagError::Unknown { .. }) => bench_serve_flag(flag, value),
        found => found,
    }
}
