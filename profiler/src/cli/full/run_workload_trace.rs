//! `profiler run-workload-trace`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use sim_core::metrics::bench_outputs::RecordedOutputs;
use sim_core::metrics::bench_serve::{BenchmarkMetrics, Latencies};
use sim_core::metrics::bench_table::table;
use sim_core::metrics::chrome_trace::write_chrome_trace;
use sim_core::metrics::request_csv::write_request_csv;
use sim_core::workload::Traffic;

use crate::engine::requests::scripted_requests;
use crate::engine::{Engine as _, Run, Script};
use crate::input_file::read_limited;
use crate::output_file::write_whole;
use crate::simulate::dataset::MAX_DATASET_BYTES;
use crate::simulate::scenario_flags::WorkloadFlags;
use crate::verify::live_trace::{self, write_json};
use crate::verify::measured_recording::measured_recording;
use crate::verify::metrics::{workload_file, workloads};
use crate::verify::recorded_trace::RecordedTrace;
use crate::verify::tokens::compare;
use crate::vllm::{EngineOptions, VllmEngine};

/// What is run, and what is written.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Run the workload in this JSON file: requests, and how many join before each iteration
    #[arg(long, value_name = "FILE", conflicts_with = "generated")]
    workload: Option<PathBuf>,
    /// Run this one of the workloads that `verify-metrics` generates
    #[arg(long, value_name = "NAME")]
    generated: Option<String>,
    /// Write what was scheduled and when, pass by pass, to this file; `.gz` compresses
    #[arg(long, value_name = "FILE")]
    output_trace: Option<PathBuf>,
    /// Write one line per request to this file
    #[arg(long, value_name = "FILE")]
    per_request_csv: Option<PathBuf>,
    /// Write passes and requests for Perfetto to this file
    #[arg(long, value_name = "FILE")]
    chrome_trace: Option<PathBuf>,
    #[command(flatten)]
    traffic: WorkloadFlags,
    #[command(flatten)]
    engine: EngineOptions,
}

/// A trace and the instants of its iterations.
#[derive(Debug, Serialize)]
struct TimedTrace<'a> {
    #[serde(flatten)]
    trace: &'a RecordedTrace,
    /// Per iteration: begin, step function called, scheduled, tokens there, updated, end; since the run began.
    instants_ns: Vec<[u64; 6]>,
    /// When each request was to join, if it joined by the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    send_times_ns: Option<&'a [u64]>,
}

impl Args {
    /// True if the simulator would have scheduled the same passes.
    pub(super) fn run(&self) -> Result<bool> {
        let mut engine = VllmEngine::start(&self.engine)?;
        let (script, run, send_times_ns) = self.run_on(&mut engine)?;
        let facts = engine.facts();
        let trace = RecordedTrace::of_run(facts, &script, &run);
        if let Some(path) = &self.output_trace {
            let instants_ns = run.passes.iter().map(|pass| live_trace::instants(pass.instants)).collect();
            write_json(path, &TimedTrace { trace: &trace, instants_ns, send_times_ns: send_times_ns.as_deref() })?;
        }
        let mut out = io::stdout().lock();
        if let Some(difference) = compare(&trace)? {
            writeln!(out, "the simulator schedules otherwise, so no request's times are told: {difference}")?;
            return Ok(false);
        }
        let recording = measured_recording(facts, &script, &run, send_times_ns.as_deref())?;
        let options = self.traffic.scenario.report().options(facts.model.name.clone());
        let outputs = RecordedOutputs::new(&recording);
        writeln!(
            out,
            "MEASURED on {}: {} of vLLM {}, in-process, without front end.",
            facts.host, facts.model.name, facts.engine.vllm_version
        )?;
        writeln!(out, "{}", table(&BenchmarkMetrics::new(&outputs, &Latencies::new(&outputs), &options), &options))?;
        writeln!(out, "Forward passes:                          {}", recording.passes.len())?;
        if let Some(path) = &self.per_request_csv {
            let mut text = String::new();
            write_request_csv(&mut text, &recording, &options.goodput)?;
            write_whole(path, &text)?;
        }
        if let Some(path) = &self.chrome_trace {
            let mut text = String::new();
            let title = format!("vLLM {} engine, measured", facts.engine.vllm_version);
            write_chrome_trace(&mut text, &recording, &title, facts.config.num_gpu_blocks - 1)?;
            write_whole(path, &text)?;
        }
        Ok(true)
    }

    /// What was run, what came of it, and the send times of requests that joined by the clock.
    fn run_on(&self, engine: &mut VllmEngine) -> Result<(Script, Run, Option<Vec<u64>>)> {
        let facts = engine.facts().clone();
        let is_scripted = self.workload.is_some() || self.generated.is_some();
        ensure!(
            !is_scripted || self.traffic.scenario.flags().is_empty(),
            "--workload and --generated say all that is sent; flags of `vllm bench serve` have no use with them"
        );
        let script = match (&self.workload, &self.generated) {
            (Some(path), _) => workload_file::read(path, &facts, 0)?.script,
            (None, Some(name)) => {
                let mut made = workloads::generate(&facts, std::slice::from_ref(name), 400, 0)?;
                made.pop().with_context(|| format!("--generated {name}: this engine cannot run it"))?.script
            }
            (None, None) => return self.run_timed(engine),
        };
        let run = engine.run(&script)?;
        Ok((script, run, None))
    }

    fn run_timed(&self, engine: &mut VllmEngine) -> Result<(Script, Run, Option<Vec<u64>>)> {
        let scenario = &self.traffic.scenario;
        let name = scenario.workload().dataset_name();
        ensure!(
            !name.needs_file() || scenario.workload().dataset_path.is_some(),
            "--dataset-name {name} needs --dataset-path"
        );
        let dataset = scenario.workload().dataset_path.as_ref();
        let dataset = dataset.map(|path| read_limited(Path::new(path), MAX_DATASET_BYTES)).transpose()?;
        let sample = scenario.workload().sample(dataset.as_deref(), None)?;
        let workload = sample.into_workload(&scenario.workload().traffic())?;
        let Traffic::Timed { send_times, max_concurrency } = &workload.traffic else {
            bail!("--dataset-name {name}: its requests wait for answers; in-process requests join at their times");
        };
        ensure!(max_concurrency.is_none(), "--max-concurrency needs a client; in-process requests join at their times");
        let requests = scripted_requests(&workload.requests, engine.facts().model.vocab_size)?;
        let max_model_len = engine.facts().config.max_model_len;
        for (index, request) in requests.iter().enumerate() {
            let num_tokens = request.prompt_token_ids.len() + request.max_tokens as usize;
            ensure!(
                num_tokens <= max_model_len as usize,
                "request {index} has {num_tokens} tokens, prompt and output; the engine's max_model_len is {max_model_len}"
            );
        }
        let send_times_ns: Vec<u64> = send_times.iter().map(|time| time.as_nanos()).collect();
        let (script, run) = engine.run_timed(requests, &send_times_ns)?;
        Ok((script, run, Some(send_times_ns)))
    }
}
