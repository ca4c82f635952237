//! `profiler simulate`.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Zoned;
use sim_core::profile::schema::DeviceType;
use sim_core::scenario::link::fingerprint;
use sim_core::scenario::repeat::stated_flags;
use sim_core::scenario::{Prepared, TextTokens, prepare_fleet, routers_json};
use sim_core::simulation_result::never_end;
use sim_core::workload::Workload;

use super::given::Given;
use crate::simulate::compare;
use crate::simulate::ends::Ends;
use crate::simulate::engines::{OfRun, run_engines};
use crate::simulate::fleet;
use crate::simulate::inputs::Inputs;
use crate::simulate::memory;
use crate::simulate::report::{Report, explain, explain_memory, write_file};
use crate::simulate::report_flags::ReportFlags;
use crate::simulate::roles::RoleProfiles;
use crate::simulate::token_counter::load_token_counter;

/// What is simulated, and what is reported.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A whole-pass profile of the step times [default: composed of --model and --gpu; without these a built-in one,
    /// Llama-3.1-8B bf16 on one H100, derived]
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    role_profiles: RoleProfiles,
    #[command(flatten)]
    given: Given,
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
        let inputs = self.given.inputs(self.profile.as_deref())?;
        let profile = &inputs.choice.profile;
        let mut engine = inputs.scenario.resolve(profile)?;
        let ranks = inputs.scenario.ranks(inputs.choice.is_of_lockstep)?;
        ranks.apply(&mut engine);
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
        let needs_records = range.is_some() || self.report.needs_records();
        if let Some(num_prompts) = inputs.scenario.get("num-prompts").and_then(|text| text.parse().ok()) {
            memory::check(num_prompts, needs_records)?;
        }
        let mut prepared = self.prepare(&inputs)?;
        ranks.apply(&mut prepared.engine);
        let has_roles = inputs.scenario.disaggregation().is_on();
        self.role_profiles.check(has_roles)?;
        let roles = has_roles.then(|| self.role_profiles.engines(&inputs, (&prepared, ranks))).transpose()?;
        let Prepared { engine, workload, num_skipped, notes, classes, step_time, options } = prepared;
        let options = self.report.on_top_of(options)?;
        self.tell_dataset(&notes, num_skipped);
        let workload_name = workload_name(inputs.is_default_trace, &workload);
        // Classes are told from the requests.
        let needs_records = needs_records || classes.is_some();
        ensure!(
            self.report.queries_per_iter.is_none() || workload.earlier.is_empty(),
            "--queries-per-iter holds the measured requests only, and would not repeat the cache that --num-warmups, \
             --ready-check-timeout-sec or --num-earlier-runs leave: leave these out"
        );
        let of_run = (&workload, &engine.config, &step_time);
        if let Some(routers) = &self.report.compare_routers {
            fleet::check_flags(&self.report, range.is_some())?;
            write!(out, "{}", self.compare(routers, &inputs, of_run)?)?;
            return Ok(true);
        }
        let needs = (needs_records, range.is_some());
        let (result, engines) = run_engines((&inputs, roles.as_ref()), of_run, &self.report, needs)?;
        let ends = range.map(|range| Ends::new(&range, &result, of_run, &options, self.report.quiet));
        let ends = ends.transpose()?;
        // A million requests are 70 MB that the report does not need.
        drop(workload);
        let report = Report {
            choice: &inputs.choice,
            // Of two roles what is told of passes is of those that answer.
            engine: roles.as_ref().map_or(&engine, |[_, decode]| &decode.engine),
            workload_name: &workload_name,
            options: &options,
            flags: &stated_flags(&inputs.scenario),
            dataset: inputs.dataset.as_deref().map(fingerprint),
            result: &result,
            ends: ends.as_ref(),
            classes: classes.as_ref(),
            engines: engines.as_ref(),
            scenario: &inputs.scenario,
        };
        self.tell(&report, &mut out)
    }

    /// Prints and writes what came of the run; false if a required goodput is missed.
    fn tell(&self, report: &Report<'_>, out: &mut impl io::Write) -> Result<bool> {
        if !self.report.quiet {
            writeln!(out, "{}", report.heading())?;
        }
        write!(out, "{}", report.body(self.report.quiet))?;
        report.write_files(&self.report)?;
        let num_unfinished = report.num_unfinished();
        ensure!(num_unfinished == 0, "{}", never_end(num_unfinished));
        let Some(required) = self.report.require_goodput else { return Ok(true) };
        let share = report.goodput_share();
        writeln!(out, "Requests that meet every objective: {share:.4} (required: {required})")?;
        Ok(share >= required)
    }

    /// The table of several routers; the same as JSON where that is asked for.
    fn compare(&self, routers: &str, inputs: &Inputs, of_run: OfRun<'_>) -> Result<String> {
        let routers = compare::routers(routers)?;
        compare::check_flags(&self.report)?;
        let args = inputs.scenario.fleet();
        ensure!(args.replicas > 1, "--compare-routers needs replicas to choose from; give --replicas above 1");
        let life = inputs.scenario.life()?;
        let ranks = inputs.scenario.ranks(inputs.choice.is_of_lockstep)?;
        let compared =
            compare::compare(&routers, (&args, &life, ranks), of_run, inputs.scenario.fleet_seed(), &self.report)?;
        if let Some(path) = &self.report.replicas_json {
            write_file(path, |out| writeln!(out, "{}", routers_json(&compared)))?;
        }
        Ok(compare::table(&compared))
    }

    /// Says what was taken for what, and what was left out.
    #[expect(clippy::print_stderr, reason = "doubts go to stderr, the result to stdout")]
    fn tell_dataset(&self, notes: &[String], num_skipped: u32) {
        for note in notes.iter().filter(|_| !self.report.quiet) {
            eprintln!("note: {note}");
        }
        if num_skipped > 0 {
            eprintln!("warning: {num_skipped} entries of the dataset ask for no token and are left out");
        }
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
        let prepared = prepare_fleet(&inputs.scenario, &inputs.choice.profile, dataset, counter);
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

/// What the heading says of the workload.
fn workload_name(is_default_trace: bool, workload: &Workload) -> String {
    let name = if is_default_trace {
        "first 1,000 requests of the Azure conversation trace of 2023 (Microsoft, CC-BY-4.0), at its own times"
            .to_owned()
    } else {
        format!("{} requests, seed and flags as given", workload.num_measured())
    };
    match workload.requests.len() - workload.num_measured() {
        0 => name,
        count => format!("{name}; {count} sent before them and not measured"),
    }
}
