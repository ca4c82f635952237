//! What a run says of its engine in words and rounded numbers: the same on the command line and on the page.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::config::{EngineConfig, Reason, ResolvedEngine};
use crate::kv_cache::spec::{KvCacheConfig, LayerKind};
use crate::metrics::recorder::SpecDecodingTotals;
use crate::metrics::summary::{EngineSummary, EngineTotals};
use crate::profile::Profile;
use crate::profile::schema::TimeRange;
use crate::profile::uncertainty::{DERIVED_TTFT_COVERAGE, Grounds, NUM_DERIVED_ROWS, StatedRange};
use crate::simulation_result::{DeviceTime, SimulationResult};
use crate::speculative::SpeculativeConfig;

/// A setting of the engine, with the reason for its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSetting {
    /// vLLM's name, with underscores.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// `given`, or why the default holds.
    pub reason: String,
    /// Whether the user gave it and it holds.
    pub is_given: bool,
}

/// Every setting of `engine` that vLLM's scheduler and KV cache look at.
pub fn engine_settings(engine: &ResolvedEngine) -> impl Iterator<Item = EngineSetting> {
    field_values(&engine.config).into_iter().map(|(field, value)| {
        let reason = engine.reason(field);
        let told = match reason {
            Some(Reason::Given) => "given".to_string(),
            Some(Reason::Default { why } | Reason::Overridden { why }) => why.clone(),
            None => String::new(),
        };
        EngineSetting { field, value, reason: told, is_given: reason == Some(&Reason::Given) }
    })
}

fn field_values(config: &EngineConfig) -> Vec<(&'static str, String)> {
    let mut fields = alloc::vec![
        ("max_num_seqs", config.max_num_seqs.to_string()),
        ("max_num_active_seqs", config.max_num_active_seqs.to_string()),
        ("max_num_batched_tokens", config.max_num_batched_tokens.to_string()),
        ("max_num_scheduled_tokens", config.max_num_scheduled_tokens.to_string()),
        ("max_model_len", config.max_model_len.to_string()),
        ("block_size", config.block_size().to_string()),
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
        ("vllm_version", config.vllm_version.to_string()),
        ("use_v2_model_runner", config.use_v2_model_runner.to_string()),
        ("prefill_schedule_interval", config.prefill_schedule_interval.to_string()),
        ("api_server_count", config.api_server_count.to_string()),
        ("enable_mamba_shared_prefix_checkpoint", config.enable_mamba_shared_prefix_checkpoint.to_string()),
        ("speculative_config", speculative(config.speculative.as_ref())),
    ];
    if let Some(offloading) = &config.kv_offloading {
        fields.push(("kv_offloading", format!("{} chunks", offloading.num_chunks)));
    }
    if config.kv_cache.groups.len() > 1 {
        fields.push(("kv_cache_groups", groups(&config.kv_cache)));
    }
    fields
}

/// The drafter in one phrase.
#[must_use]
pub fn speculative(config: Option<&SpeculativeConfig>) -> String {
    config.map_or_else(
        || "none".to_string(),
        |config| match &config.num_speculative_tokens_per_batch_size {
            None => format!("{}, {} drafts", config.method, config.num_speculative_tokens),
            Some(_) => format!("{}, up to {} drafts", config.method, config.num_speculative_tokens),
        },
    )
}

/// The KV cache in the words of vLLM's log; `device` is `GPU` or `CPU`. Source:
/// `kv_cache_utils.py::update_kv_cache_capacity`.
#[must_use]
pub fn kv_cache_line(config: &EngineConfig, device: &str) -> String {
    format!(
        "{device} KV cache size: {} tokens, Maximum concurrency for {} tokens per request: {:.2}x",
        with_commas(config.kv_cache_size_tokens()),
        with_commas(u64::from(config.max_model_len)),
        config.max_concurrency()
    )
}

/// A whole number with a comma before every third digit from the right.
fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The groups in one phrase: layers, kind and tokens of a block of each.
#[must_use]
pub fn groups(config: &KvCacheConfig) -> String {
    let mut told: Vec<(String, usize)> = Vec::new();
    for group in &config.groups {
        let (kind, layers) = (layer_kind(&group.spec.kind), group.layers.len());
        let block = group.spec.block_size;
        let text = format!("{layers} layers of {kind} with blocks of {block} tokens");
        match told.last_mut().filter(|(last, _)| *last == text) {
            Some((_, count)) => *count += 1,
            None => told.push((text, 1)),
        }
    }
    let parts: Vec<String> =
        told.into_iter().map(|(text, count)| if count > 1 { format!("{count} × {text}") } else { text }).collect();
    parts.join("; ")
}

/// [`groups`], where there are several.
#[must_use]
pub fn several_groups(config: &KvCacheConfig) -> Option<String> {
    (config.groups.len() > 1).then(|| format!("{} block tables: {}", config.groups.len(), groups(config)))
}

/// A kind of layer in words.
#[must_use]
pub fn layer_kind(kind: &LayerKind) -> String {
    match *kind {
        LayerKind::FullAttention { sliding_window: Some(window), .. } => {
            format!("attention to {window} tokens, all kept")
        }
        LayerKind::FullAttention { attention_chunk_size: Some(chunk), .. } => {
            format!("attention in chunks of {chunk}, all kept")
        }
        LayerKind::FullAttention { .. } => "full attention".to_string(),
        LayerKind::Mla => "latent attention (MLA)".to_string(),
        LayerKind::SlidingWindow { sliding_window, .. } => format!("a sliding window of {sliding_window} tokens"),
        LayerKind::ChunkedLocal { attention_chunk_size } => format!("attention in chunks of {attention_chunk_size}"),
        LayerKind::Mamba(_) => "states".to_string(),
    }
}

/// What the engine of `config` did in the run `result`.
#[must_use]
pub fn engine_summary(config: &EngineConfig, result: &SimulationResult) -> EngineSummary {
    EngineSummary::new(&result.recording, engine_totals(result), config.num_gpu_blocks)
}

/// The same, and the run's digest: cheaper together than one after the other.
#[must_use]
pub fn engine_summary_and_digest(config: &EngineConfig, result: &SimulationResult) -> (EngineSummary, u64) {
    EngineSummary::with_digest(&result.recording, engine_totals(result), config.num_gpu_blocks)
}

fn engine_totals(result: &SimulationResult) -> EngineTotals {
    let stats = result.stats;
    EngineTotals {
        num_passes: u64::try_from(result.recording.passes.len()).unwrap_or(u64::MAX),
        num_preemptions: stats.num_preemptions,
        prefix_cache_queries: stats.prefix_cache_queries,
        prefix_cache_hits: stats.prefix_cache_hits,
        preempted_queries: stats.preempted_queries,
        preempted_hits: stats.preempted_hits,
        num_evictions: result.num_evictions,
    }
}

/// What became of the drafts, in a sentence; `None` if none was verified. That they were accepted is part of the
/// workload, which the sentence says.
#[must_use]
pub fn spec_decoding(config: &EngineConfig, totals: &SpecDecodingTotals) -> Option<String> {
    let rate = totals.acceptance_rate()?;
    let rates = totals.per_position_acceptance_rates();
    let by_position: Vec<String> = rates.iter().map(|rate| format!("{:.1}", 100.0 * rate)).collect();
    let acceptance = totals.acceptance_length();
    Some(format!(
        "{}: {acceptance:.2} tokens a verification, {rate:.1} % of the drafts accepted (by position {} %), as the \
         workload says",
        speculative(config.speculative.as_ref()),
        by_position.join(", ")
    ))
}

/// Those of [`engine_lines`] that follow one engine's passes through time: of several engines they say nothing, whose
/// passes stand one engine after another in a recording.
pub const OF_ONE_ENGINE: [&str; 3] =
    ["Running requests, mean / most", "Waiting requests, mean / most", "KV cache usage, mean / most"];

/// The lines of `summary`, name and value; `extrapolated_share`: see [`extrapolated_share`].
#[must_use]
pub fn engine_lines(summary: &EngineSummary, extrapolated_share: f64) -> [(&'static str, String); 8] {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    [
        ("Forward passes", summary.totals.num_passes.to_string()),
        ("Preemptions", summary.totals.num_preemptions.to_string()),
        ("Prefix cache hit rate", percent(summary.totals.prefix_cache_hit_rate())),
        (OF_ONE_ENGINE[0], format!("{:.1} / {}", summary.mean_running, summary.max_running)),
        (OF_ONE_ENGINE[1], format!("{:.1} / {}", summary.mean_waiting, summary.max_waiting)),
        (
            OF_ONE_ENGINE[2],
            format!("{} / {}", percent(summary.mean_kv_cache_usage), percent(summary.max_kv_cache_usage)),
        ),
        ("Device busy", percent(summary.device_busy_share)),
        ("Device time beyond the profile's samples", percent(extrapolated_share)),
    ]
}

/// How far a run's step times may be off, and what says so: a sentence without full stop.
#[must_use]
pub fn stated_range(stated: &StatedRange) -> String {
    let TimeRange { low, high } = stated.range;
    let less_to_more = format!("{:.0} % less to {:.0} % more", 100.0 * (1.0 - low), 100.0 * (high - 1.0));
    match stated.grounds {
        Grounds::Estimate => format!(
            "Estimated: moved from another GPU's measurements by what the makers say of both; a pass may take \
             {less_to_more}"
        ),
        Grounds::Runs(count) => format!(
            "Against a running engine: of {count} latencies, eight in ten were {less_to_more} than this profile predicts"
        ),
        Grounds::Passes(count) => format!(
            "Against an engine's timed passes: of {count}, eight in ten took {less_to_more} than this profile predicts"
        ),
        Grounds::Composed => format!(
            "Composed of single operators' times: in {NUM_DERIVED_ROWS} published runs, eight in ten had a TPOT \
             {less_to_more} than such profiles predict; TTFT lay in its range in {DERIVED_TTFT_COVERAGE} % of them"
        ),
        Grounds::Measured => format!(
            "Measured, but never compared with a run: a pass may take {less_to_more}, as others' comparisons showed"
        ),
    }
}

/// What must be said beside every figure of a device that nobody measured; `None` of others.
#[must_use]
pub fn estimated(profile: &Profile) -> Option<String> {
    let stated = StatedRange::of(profile).filter(|stated| stated.grounds == Grounds::Estimate);
    stated.map(|stated| stated_range(&stated))
}

/// Share of the device time that lies beyond the profile's samples; 0 if there was none.
#[must_use]
pub fn extrapolated_share(time: &DeviceTime) -> f64 {
    if time.total.as_nanos() == 0 { 0.0 } else { time.extrapolated.as_secs_f64() / time.total.as_secs_f64() }
}
