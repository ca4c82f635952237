//! The facts that stand beside a result: the profile, the engine's settings, what vLLM's log would say.

use sim_core::config::{EngineConfig, Reason, ResolvedEngine};
use sim_core::math;
use sim_core::metrics::distribution::Distribution;
use sim_core::metrics::summary::EngineSummary;
use sim_core::profile::Profile;
use sim_core::profile::schema::ProvenanceKind;
use sim_core::simulator::DeviceTime;

use crate::answer::{EngineField, KvCache, ProfileCard};

/// `measured`, `derived` or `synthetic`.
pub(crate) const fn provenance_kind(profile: &Profile) -> &'static str {
    match profile.provenance.kind {
        ProvenanceKind::Measured => "measured",
        ProvenanceKind::Derived => "derived",
        ProvenanceKind::Synthetic => "synthetic",
    }
}

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
    let share = |part: sim_core::time::SimDuration| {
        if time.total.as_nanos() == 0 { 0.0 } else { part.as_secs_f64() / time.total.as_secs_f64() }
    };
    ProfileCard {
        name: name.to_owned(),
        kind: provenance_kind(profile).to_owned(),
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
        measured_share: share(time.measured),
        extrapolated_share: share(time.extrapolated),
    }
}

/// Every setting with its reason, as `profiler simulate --explain` lists them.
pub(crate) fn engine_fields(engine: &ResolvedEngine) -> Vec<EngineField> {
    let field = |(field, value): (&'static str, String)| {
        let reason = engine.reason(field);
        EngineField {
            field: field.to_owned(),
            value,
            reason: match reason {
                Some(Reason::Given) => "given".to_owned(),
                Some(Reason::Default { why } | Reason::Overridden { why }) => why.clone(),
                None => String::new(),
            },
            is_given: reason == Some(&Reason::Given),
        }
    };
    field_values(&engine.config).into_iter().map(field).collect()
}

fn field_values(config: &EngineConfig) -> [(&'static str, String); 16] {
    [
        ("max_num_seqs", config.max_num_seqs.to_string()),
        ("max_num_active_seqs", config.max_num_active_seqs.to_string()),
        ("max_num_batched_tokens", config.max_num_batched_tokens.to_string()),
        ("max_num_scheduled_tokens", config.max_num_scheduled_tokens.to_string()),
        ("max_model_len", config.max_model_len.to_string()),
        ("block_size", config.block_size.to_string()),
        ("num_gpu_blocks", config.num_gpu_blocks.to_string()),
        ("enable_prefix_caching", config.enable_prefix_caching.to_string()),
        ("enable_chunked_prefill", config.enable_chunked_prefill.to_string()),
        ("long_prefill_token_threshold", config.long_prefill_token_threshold.to_string()),
        ("long_prefill_token_threshold_adaptive", config.long_prefill_token_threshold_adaptive.to_string()),
        ("policy", format!("{:?}", config.policy).to_lowercase()),
        ("scheduler_reserve_full_isl", config.scheduler_reserve_full_isl.to_string()),
        ("watermark_blocks", config.watermark_blocks.to_string()),
        ("async_scheduling", config.async_scheduling.to_string()),
        ("pipeline_parallel_size", config.pipeline_parallel_size.to_string()),
    ]
}

/// The KV cache as vLLM logs it (`vllm/v1/core/kv_cache_utils.py::get_kv_cache_capacity`): the null block counts.
pub(crate) fn kv_cache(config: &EngineConfig) -> KvCache {
    let blocks_per_request = config.max_model_len.div_ceil(config.block_size.max(1)).max(1);
    let max_concurrency = math::u32_to_f64(config.num_gpu_blocks) / math::u32_to_f64(blocks_per_request);
    let num_tokens = math::f64_to_u64(max_concurrency * math::u32_to_f64(config.max_model_len));
    KvCache { num_gpu_blocks: config.num_gpu_blocks, num_tokens, max_concurrency }
}

/// The engine's summary as `profiler simulate` prints it.
pub(crate) fn engine_lines(summary: &EngineSummary, extrapolated_share: f64) -> Vec<(String, String)> {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let lines = [
        ("Forward passes", summary.totals.num_passes.to_string()),
        ("Preemptions", summary.totals.num_preemptions.to_string()),
        ("Prefix cache hit rate", percent(summary.totals.prefix_cache_hit_rate())),
        ("Running requests, mean / most", format!("{:.1} / {}", summary.mean_running, summary.max_running)),
        ("Waiting requests, mean / most", format!("{:.1} / {}", summary.mean_waiting, summary.max_waiting)),
        (
            "KV cache usage, mean / most",
            format!("{} / {}", percent(summary.mean_kv_cache_usage), percent(summary.max_kv_cache_usage)),
        ),
        ("Device busy", percent(summary.device_busy_share)),
        ("Device time beyond the profile's samples", percent(extrapolated_share)),
    ];
    lines.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
