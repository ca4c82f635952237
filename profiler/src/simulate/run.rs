//! A simulated run, with progress for those who wait.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use sim_core::config::{EngineArgs, EngineConfig, EntryPoint, ResolvedEngine, UsageContext, admit};
use sim_core::profile::{CaptureSizes, Profile, StepTimeModel, StepTimeSettings};
use sim_core::simulator::{Simulation, SimulationOptions, SimulationResult};
use sim_core::workload::Workload;

use super::workload_flags::read_file;

/// The profile that is used when no other is asked for.
const DEFAULT_PROFILE: &[u8] = include_bytes!("../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

/// Iterations between two looks at the clock.
const ITERATIONS_PER_TICK: u32 = 20_000;

/// The profile at `path`, or the built-in one.
pub(crate) fn load_profile(path: Option<&Path>) -> Result<Profile> {
    match path {
        Some(path) => {
            let bytes = read_file(path, Profile::MAX_BYTES as u64)?;
            Profile::from_json(&bytes).with_context(|| path.display().to_string())
        }
        None => Profile::from_json(DEFAULT_PROFILE).context("the built-in profile"),
    }
}

/// The configuration that vLLM would start with on the profile's device.
pub(crate) fn resolve(args: &EngineArgs, profile: &Profile, context: UsageContext) -> Result<ResolvedEngine> {
    let platform = profile.platform(context, args)?;
    args.resolve(&platform).context("vLLM would not start with these engine arguments")
}

/// The profile's step times under `config`.
pub(crate) fn step_time_model(profile: &Profile, config: &EngineConfig, enforce_eager: bool) -> Result<StepTimeModel> {
    let mut settings = StepTimeSettings::vllm_default(profile, config.max_num_seqs, config.max_num_batched_tokens);
    if enforce_eager {
        settings.capture_sizes = CaptureSizes::none();
    }
    settings.pipeline_parallel_size = config.pipeline_parallel_size;
    Ok(StepTimeModel::new(profile, &settings)?)
}

/// Refuses a workload with a request that vLLM's front end would refuse, and says which.
pub(crate) fn check_admission(workload: &Workload, config: &EngineConfig, context: UsageContext) -> Result<()> {
    let entry_point = if context == UsageContext::LlmClass { EntryPoint::Llm } else { EntryPoint::Completions };
    for (index, request) in workload.requests.as_slice().iter().enumerate() {
        admit(config, entry_point, request.num_prompt_tokens, Some(request.max_tokens))
            .with_context(|| format!("request {index}"))?;
    }
    Ok(())
}

/// Runs `workload` to its end, with a progress bar on a terminal unless `quiet`.
pub(crate) fn run(
    workload: &Workload,
    config: &EngineConfig,
    step_time: &StepTimeModel,
    options: SimulationOptions,
    quiet: bool,
) -> Result<SimulationResult> {
    let mut simulation = Simulation::new(workload, config, step_time, options)?;
    let bar = if quiet || !std::io::stderr().is_terminal() {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(workload.requests.len() as u64).with_style(
            ProgressStyle::with_template("{bar:20} {pos}/{len} requests, {msg}, {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        )
    };
    let mut iterations = 0;
    while simulation.advance() {
        iterations += 1;
        if iterations == ITERATIONS_PER_TICK {
            iterations = 0;
            bar.set_message(format!("{:.0} s simulated", simulation.now().as_secs_f64()));
            bar.set_position(simulation.num_finished() as u64);
        }
    }
    bar.finish_and_clear();
    Ok(simulation.finish())
}
