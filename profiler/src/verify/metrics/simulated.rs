//! The simulator's side: a script with the answers the engine gave, on the engine's configuration.

use anyhow::{Context as _, Result};
use sim_core::metrics::recorder::Recording;
use sim_core::profile::{CaptureSizes, Profile, StepTimeModel};
use sim_core::request_set::RequestSet;
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::workload::{Traffic, Workload};

use super::per_request::{Life, RequestTimes};
use crate::engine::step_times::step_time_settings;
use crate::engine::{EngineFacts, Script};
use crate::verify::replay::Admissions;

/// The profile's step times under the engine's settings.
///
/// # Errors
/// If the profile cannot answer for them.
pub(super) fn step_time_model(profile: &Profile, facts: &EngineFacts) -> Result<StepTimeModel> {
    let capture_sizes = if facts.capture_sizes.is_empty() {
        CaptureSizes::none()
    } else {
        CaptureSizes::explicit(&facts.capture_sizes, facts.config.max_num_batched_tokens)?
    };
    let settings = step_time_settings(&facts.config, capture_sizes);
    StepTimeModel::new(profile, &settings).context("the profile")
}

/// Simulates `script`, whose requests with their answers are `requests`.
///
/// # Errors
/// If the simulator refuses the workload.
pub(super) fn recording(
    facts: &EngineFacts,
    model: &StepTimeModel,
    script: &Script,
    requests: RequestSet,
) -> Result<Recording> {
    let Admissions { queries_per_iter, aborts } = super::script_requests::admissions(script);
    let traffic = Traffic::QueriesPerIter { queries_per_iter, join_order: vec![], aborts };
    let workload = Workload { requests, traffic, earlier: Vec::new() };
    Ok(simulate(&workload, &facts.config, model, SimulationOptions::default())?.recording)
}

/// The simulated times of each of `lives`, and the duration in seconds, as the engine's are taken: tokens count when the
/// engine core puts them out.
///
/// # Errors
/// If a request did not finish.
pub(super) fn times(lives: &[Life], recording: &Recording) -> Result<(Vec<RequestTimes>, f64)> {
    let (mut start, mut end) = (u64::MAX, 0);
    let mut times = Vec::with_capacity(lives.len());
    for life in lives {
        let record = recording.requests.get(life.request).context("an unknown request")?;
        let instants = recording.instants(record).context("an unfinished request")?;
        let [joined, first, last] =
            [instants.queued, instants.first_output, instants.last_output].map(|instant| instant.as_nanos());
        let request = RequestTimes::new(joined, first, last, life.num_output_tokens);
        times.push(request.context("simulated instants are out of order")?);
        (start, end) = (start.min(joined), end.max(last));
    }
    Ok((times, end.saturating_sub(start) as f64 / 1e9))
}

/// What of the profile was measured on something else than the engine that is up; nothing if all is the same.
pub(super) fn mismatches(profile: &Profile, facts: &EngineFacts) -> Vec<String> {
    let (of_profile, of_engine) = (&profile.engine, &facts.engine);
    let optional = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let pairs = [
        ("model", profile.model.name.clone(), facts.model.name.clone()),
        ("hardware", profile.hardware.name.clone(), facts.hardware.name.clone()),
        ("vllm_version", of_profile.vllm_version.clone(), of_engine.vllm_version.clone()),
        ("dtype", of_profile.dtype.clone(), of_engine.dtype.clone()),
        ("quantization", optional(&of_profile.quantization), optional(&of_engine.quantization)),
        ("kv_cache_dtype", of_profile.kv_cache_dtype.clone(), of_engine.kv_cache_dtype.clone()),
        ("attention_backend", optional(&of_profile.attention_backend), optional(&of_engine.attention_backend)),
        (
            "tensor_parallel_size",
            of_profile.tensor_parallel_size.to_string(),
            of_engine.tensor_parallel_size.to_string(),
        ),
        ("block_size", of_profile.block_size.to_string(), of_engine.block_size.to_string()),
        ("enforce_eager", of_profile.enforce_eager.to_string(), of_engine.enforce_eager.to_string()),
    ];
    let differing = pairs.into_iter().filter(|(_, of_profile, of_engine)| of_profile != of_engine);
    differing
        .map(|(field, of_profile, of_engine)| format!("{field}: the profile has {of_profile}, the engine {of_engine}"))
        .collect()
}
