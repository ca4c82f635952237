//! `profiler simulate`.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Zoned;
use sim_core::config::EngineConfig;
use sim_core::fleet::{FleetResult, ReplicaResult};
use sim_core::profile::StepTimeModel;
use sim_core::profile::schema::DeviceType;
use sim_core::scenario::link::fingerprint;
use sim_core::scenario::repeat::stated_flags;
use sim_core::scenario::{Prepared, TextTokens, prepare_fleet};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{Simulation, SimulationOptions};
use sim_core::workload::Workload;

use super::given::Given;
use crate::simulate::disaggregated::{Roles, run_disaggregated};
use crate::simulate::ends::Ends;
use crate::simulate::fleet;
use crate::simulate::inputs::Inputs;
use crate::simulate::memory;
use crate::simulate::report::{Report, explain, explain_memory};
use crate::simulate::report_flags::ReportFlags;
use crate::simulate::run::run;
use crate::simulate::token_counter::load_token_counter;

/// What is simulated, and what is reported.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A whole-pass profile of the step times [default: composed of --model and --gpu; without these a built-in one,
    /// Llama-3.1-8B bf16 on one H100, derived]
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
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
        let needs_records = range.is_some() || self.report.needs_records();
        if let Some(num_prompts) = inputs.scenario.get("num-prompts").and_then(|text| text.parse().ok()) {
            memory::check(num_prompts, needs_records)?;
        }
        let Prepared { engine, workload, num_skipped, notes, classes, step_time, options } = self.prepare(&inputs)?;
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
        let fleet_args = inputs.scenario.fleet();
        let has_range = range.is_some();
        let (result, replicas, roles) = self.run_engines(&inputs, of_run, (has_range, needs_records))?;
        let ends = range.map(|range| Ends::new(&range, &result, of_run, &options, self.report.quiet));
        let ends = ends.transpose()?;
        // A million requests are 70 MB that the report does not need.
        drop(workload);
        let report = Report {
            choice: &inputs.choice,
            engine: &engine,
            workload_name: &workload_name,
            options: &options,
            flags: &stated_flags(&inputs.scenario),
            dataset: inputs.dataset.as_deref().map(fingerprint),
            result: &result,
            ends: ends.as_ref(),
            classes: classes.as_ref(),
            roles: roles.as_ref(),
            fleet: (!replicas.is_empty()).then_some((&fleet_args, replicas.as_slice())),
        };
        if !self.report.quiet {
            writeln!(out, "{}", report.heading())?;
        }
        write!(out, "{}", report.body(self.report.quiet))?;
        report.write_files(&self.report)?;
        let num_unfinished = report.num_unfinished();
        ensure!(
            num_unfinished == 0,
            "{num_unfinished} requests can never be scheduled: their prefill exceeds the budget"
        );
        let Some(required) = self.report.require_goodput else { return Ok(true) };
        let share = report.goodput_share();
        writeln!(out, "Requests that meet every objective: {share:.4} (required: {required})")?;
        Ok(share >= required)
    }

    /// The run on as many engines as the scenario has: of all, of each replica, of roles where these have engines of their
    /// own.
    fn run_engines(
        &self,
        inputs: &Inputs,
        of_run: (&Workload, &EngineConfig, &StepTimeModel),
        (has_range, needs_records): (bool, bool),
    ) -> Result<(SimulationResult, Vec<ReplicaResult>, Option<Roles>)> {
        let seed = u64::from(inputs.scenario.workload().seed());
        let (fleet_args, disaggregation) = (inputs.scenario.fleet(), inputs.scenario.disaggregation());
        if disaggregation.is_on() {
            fleet::check_flags(&self.report, has_range)?;
            let num_devices = inputs.choice.profile.hardware.num_devices;
            let of_fleet = (&disaggregation, &fleet_args, seed);
            let (result, roles) = run_disaggregated(of_fleet, of_run, num_devices, &self.report)?;
            return Ok((result, Vec::new(), Some(roles)));
        }
        if fleet_args.replicas > 1 {
            fleet::check_flags(&self.report, has_range)?;
            let FleetResult { whole, replicas, .. } = fleet::run_fleet(&fleet_args, of_run, seed, &self.report)?;
            return Ok((whole, replicas, None));
        }
        ensure!(
            self.report.replicas_json.is_none(),
            "--replicas-json is of several; give --replicas above 1, or --prefill-replicas and --decode-replicas"
        );
        Ok((self.run_one(of_run, needs_records)?, Vec::new(), None))
    }

    /// A run of one engine, of which no more is kept than the report needs.
    fn run_one(
        &self,
        (workload, config, step_time): (&Workload, &EngineConfig, &StepTimeModel),
        needs_records: bool,
    ) -> Result<SimulationResult> {
        let keep = SimulationOptions { record_emissions: self.report.save_detailed };
        let mut simulation = Simulation::new(workload, config, step_time, keep)?;
        if !needs_records {
            simulation = simulation.keeping_figures();
        } else if self.report.queries_per_iter.is_none() {
            simulation = simulation.without_input();
        }
        Ok(run(simulation, workload.requests.len(), self.report.quiet))
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
