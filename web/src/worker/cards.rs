//! The facts that stand beside a result: the profile, the engine's settings, what vLLM's log would say.

use sim_core::config::{EngineConfig, ResolvedEngine};
use sim_core::math;
use sim_core::metrics::distribution::Distribution;
use sim_core::profile::Profile;
use sim_core::scenario::told::{self, EngineSetting};
use sim_core::simulation_result::DeviceTime;

use crate::answer::{EngineField, KvCache, ProfileCard};

/// What a profile says of itself; `time` is the device time of a run with it, if there was one.
pub(crate) fn profile_card(profile: &Profile, name: &str, time: &DeviceTime) -> ProfileCard {
    let (hardware, provenance) = (&profile.hardware, &profile.provenance);
    let count = if hardware.num_devices == 1 { String::new() } else { format!("{} × ", hardware.num_devices) };
    let source = |source: &sim_core::profile::schema::Source| {
        [source.name.clone(), source.version.clone(), source.licence.clone(), source.url.clone()]
    };
    let runs = profile.validation.runs.iter();
    let errors: Vec<f64> = profile
        .validation
        .steps
        .iter()
        .filter(|step| step.measured_us > 0.0)
        .map(|step| {
            let difference = step.predicted_us - step.measured_us;
            math::max(difference, -difference) / step.measured_us
        })
        .collect();
    let num_steps = math::usize_to_u32(errors.len());
    let median = (num_steps > 0).then(|| (num_steps, Distribution::from_samples(errors).median()));
    let measured_share =
        if time.total.as_nanos() == 0 { 0.0 } else { time.measured.as_secs_f64() / time.total.as_secs_f64() };
    ProfileCard {
        name: name.to_owned(),
        kind: provenance.kind.name().to_owned(),
        model: profile.model.name.clone(),
        hardware: format!("{count}{}", hardware.name),
        vllm_version: profile.engine.vllm_version.clone(),
        date: provenance.date.clone(),
        sources: provenance.sources.iter().map(source).collect(),
        notes: provenance.notes.clone(),
        validation_runs: runs
            .map(|run| (run.workload.clone(), run.metric.clone(), run.measured, run.predicted))
            .collect(),
        validation_steps: median,
        measured_share,
        extrapolated_share: told::extrapolated_share(time),
        estimated: told::estimated(profile).unwrap_or_default(),
    }
}

/// Every setting with its reason, as `profiler simulate --explain` lists them.
pub(crate) fn engine_fields(engine: &ResolvedEngine) -> Vec<EngineField> {
    let field = |EngineSetting { field, value, reason, is_given }| EngineField {
        field: String::from(field),
        value,
        reason,
        is_given,
    };
    told::engine_settings(engine).map(field).collect()
}

/// The KV cache as vLLM logs it (`vllm/v1/core/kv_cache_utils.py::get_kv_cache_capacity`): the null block counts.
pub(crate) fn kv_cache(config: &EngineConfig) -> KvCache {
    KvCache {
        num_gpu_blocks: config.num_gpu_blocks,
        num_tokens: config.kv_cache_size_tokens(),
        max_concurrency: config.max_concurrency(),
        groups: told::several_groups(&config.kv_cache).unwrap_or_default(),
    }
}
