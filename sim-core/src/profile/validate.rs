//! Every value of a profile, checked; every fault reported with its place in the file.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use super::error::Fault;
use super::schema::{
    Basis, Bytes, Cost, Engine, Hardware, KvCacheLayerKind, KvCacheLayers, LimitTerms, Model, Profile, Provenance,
    ProvenanceKind,
};
use super::{validate_layers, validate_tables};

/// Most faults listed; a broken file of 16 MiB could have millions.
const MAX_FAULTS: usize = 1000;
/// Longest time a cost or a sample may have: 1000 seconds.
const MAX_TIME_US: f64 = 1e9;
/// Largest count of tokens, requests, heads, …: above every model's and small enough to multiply.
pub(super) const MAX_COUNT: u32 = 1 << 26;
/// Largest factor that an estimate may be off by: beyond it nothing is estimated.
const MAX_RANGE: f64 = 100.0;
/// Largest amount of memory: 1 PiB.
const MAX_BYTES: u64 = 1 << 50;

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    list: Vec<Fault>,
}

impl Faults {
    /// Notes a fault at `path` unless `holds`. Arguments are formatted only for a fault.
    pub(super) fn require(&mut self, holds: bool, path: fmt::Arguments<'_>, message: fmt::Arguments<'_>) {
        if holds || self.list.len() > MAX_FAULTS {
            return;
        }
        let message = if self.list.len() == MAX_FAULTS {
            format!("{message}; more faults follow, these {MAX_FAULTS} come first")
        } else {
            message.to_string()
        };
        self.list.push(Fault { path: path.to_string(), message });
    }

    /// A time in microseconds: finite, above 0 (or at least 0 if `may_be_zero`), at most [`MAX_TIME_US`].
    pub(super) fn time(&mut self, time_us: f64, may_be_zero: bool, path: fmt::Arguments<'_>) {
        let bound = if may_be_zero { "at least 0" } else { "above 0" };
        let holds = time_us <= MAX_TIME_US && (time_us > 0.0 || may_be_zero && time_us >= 0.0);
        self.require(holds, path, format_args!("{time_us:?} must be {bound} and at most {MAX_TIME_US:?} microseconds"));
    }

    /// A count: from `min` to [`MAX_COUNT`].
    pub(super) fn count(&mut self, value: u32, min: u32, path: fmt::Arguments<'_>) {
        let holds = (min..=MAX_COUNT).contains(&value);
        self.require(holds, path, format_args!("{value} must be from {min} to {MAX_COUNT}"));
    }

    fn text(&mut self, text: &str, path: fmt::Arguments<'_>) {
        self.require(!text.trim().is_empty(), path, format_args!("must not be empty"));
    }

    pub(super) fn bytes(&mut self, amount: &Bytes, min: u64, path: &str) {
        let bytes = amount.bytes;
        let holds = (min..=MAX_BYTES).contains(&bytes);
        self.require(holds, format_args!("{path}.bytes"), format_args!("{bytes} must be from {min} to {MAX_BYTES}"));
        self.text(&amount.reason, format_args!("{path}.reason"));
    }

    fn cost(&mut self, cost: &Cost, path: &str) {
        self.time(cost.time_us, true, format_args!("{path}.time_us"));
        let has_reason = cost.basis == Basis::Measured || !cost.reason.trim().is_empty();
        self.require(has_reason, format_args!("{path}.reason"), format_args!("must say why, as nobody measured it"));
    }
}

/// All faults of a profile, in file order.
pub(super) fn faults(profile: &Profile) -> Vec<Fault> {
    let mut faults = Faults::default();
    let version = profile.version;
    faults.require(
        version == Profile::VERSION,
        format_args!("$.version"),
        format_args!("{version} must be {}", Profile::VERSION),
    );
    provenance(&profile.provenance, &mut faults);
    model(&profile.model, &mut faults);
    hardware(&profile.hardware, &profile.engine, &mut faults);
    engine(&profile.engine, &mut faults);
    memory(profile, &mut faults);
    validate_tables::step_time(profile, &mut faults);
    validate_layers::drafters(&profile.drafters, &mut faults);
    costs(profile, &mut faults);
    validate_tables::validation(&profile.validation, &mut faults);
    validate_tables::smoothing(&profile.smoothing, &mut faults);
    faults.list
}

fn provenance(provenance: &Provenance, faults: &mut Faults) {
    faults.text(&provenance.tool, format_args!("$.provenance.tool"));
    faults.text(&provenance.tool_version, format_args!("$.provenance.tool_version"));
    let date = &provenance.date;
    faults.require(is_date(date), format_args!("$.provenance.date"), format_args!("{date:?} must be YYYY-MM-DD"));
    faults.require(
        !matches!(provenance.kind, ProvenanceKind::Derived | ProvenanceKind::Estimated)
            || !provenance.sources.is_empty(),
        format_args!("$.provenance.sources"),
        format_args!("must name what a derived profile was made from"),
    );
    range(provenance, faults);
    for (i, source) in provenance.sources.iter().enumerate() {
        faults.text(&source.name, format_args!("$.provenance.sources[{i}].name"));
        faults.text(&source.version, format_args!("$.provenance.sources[{i}].version"));
        faults.text(&source.licence, format_args!("$.provenance.sources[{i}].licence"));
        faults.text(&source.url, format_args!("$.provenance.sources[{i}].url"));
    }
}

/// An estimate says how far off it may be, and nothing else does.
fn range(provenance: &Provenance, faults: &mut Faults) {
    let is_estimated = provenance.kind == ProvenanceKind::Estimated;
    let path = "$.provenance.range";
    faults.require(
        provenance.range.is_some() == is_estimated,
        format_args!("{path}"),
        format_args!("must be there exactly if kind is estimated"),
    );
    if let Some(range) = provenance.range {
        let (low, high) = (range.low, range.high);
        faults.require(
            low > 0.0 && low <= 1.0 && (1.0..=MAX_RANGE).contains(&high),
            format_args!("{path}"),
            format_args!("{low:?} to {high:?} must enclose 1, above 0 and up to {MAX_RANGE:?}"),
        );
    }
}

fn is_date(date: &str) -> bool {
    date.len() == 10
        && date.bytes().enumerate().all(|(i, byte)| if i == 4 || i == 7 { byte == b'-' } else { byte.is_ascii_digit() })
        && date.get(5..7).is_some_and(|month| ("01"..="12").contains(&month))
        && date.get(8..10).is_some_and(|day| ("01"..="31").contains(&day))
}

fn model(model: &Model, faults: &mut Faults) {
    faults.text(&model.name, format_args!("$.model.name"));
    faults.count(model.num_hidden_layers, 1, format_args!("$.model.num_hidden_layers"));
    faults.count(model.hidden_size, 1, format_args!("$.model.hidden_size"));
    faults.count(model.intermediate_size, 1, format_args!("$.model.intermediate_size"));
    faults.count(model.num_attention_heads, 1, format_args!("$.model.num_attention_heads"));
    faults.count(model.num_key_value_heads, 1, format_args!("$.model.num_key_value_heads"));
    faults.count(model.head_dim, 1, format_args!("$.model.head_dim"));
    faults.count(model.vocab_size, 1, format_args!("$.model.vocab_size"));
    faults.text(&model.dtype, format_args!("$.model.dtype"));
    faults.count(model.max_position_embeddings, 1, format_args!("$.model.max_position_embeddings"));
}

fn hardware(hardware: &Hardware, engine: &Engine, faults: &mut Faults) {
    faults.text(&hardware.name, format_args!("$.hardware.name"));
    let wanted = u64::from(engine.tensor_parallel_size) * u64::from(engine.pipeline_parallel_size);
    let num_devices = hardware.num_devices;
    faults.require(
        u64::from(num_devices) == wanted,
        format_args!("$.hardware.num_devices"),
        format_args!("{num_devices} must be tensor_parallel_size × pipeline_parallel_size, {wanted}"),
    );
    faults.bytes(&hardware.total_memory, 1, "$.hardware.total_memory");
    if let Some(version) = &hardware.compute_capability {
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        faults.require(
            version.split_once('.').is_some_and(|(major, minor)| is_digits(major) && is_digits(minor)),
            format_args!("$.hardware.compute_capability"),
            format_args!("{version:?} must be like \"9.0\""),
        );
    }
}

fn engine(engine: &Engine, faults: &mut Faults) {
    faults.text(&engine.vllm_version, format_args!("$.engine.vllm_version"));
    faults.text(&engine.dtype, format_args!("$.engine.dtype"));
    faults.text(&engine.kv_cache_dtype, format_args!("$.engine.kv_cache_dtype"));
    faults.count(engine.tensor_parallel_size, 1, format_args!("$.engine.tensor_parallel_size"));
    faults.count(engine.pipeline_parallel_size, 1, format_args!("$.engine.pipeline_parallel_size"));
    faults.count(engine.block_size, 1, format_args!("$.engine.block_size"));
    faults.count(engine.max_model_len, 1, format_args!("$.engine.max_model_len"));
    utilization(engine.gpu_memory_utilization, format_args!("$.engine.gpu_memory_utilization"), faults);
    faults.count(engine.max_num_seqs, 1, format_args!("$.engine.max_num_seqs"));
    faults.count(engine.max_num_batched_tokens, 1, format_args!("$.engine.max_num_batched_tokens"));
}

fn utilization(share: f64, path: fmt::Arguments<'_>, faults: &mut Faults) {
    faults.require(share > 0.0 && share <= 1.0, path, format_args!("{share:?} must be above 0 and at most 1"));
}

fn memory(profile: &Profile, faults: &mut Faults) {
    let memory = &profile.memory;
    faults.bytes(&memory.weights, 1, "$.memory.weights");
    faults.bytes(&memory.other_resident, 0, "$.memory.other_resident");
    faults.bytes(&memory.activation_peak, 0, "$.memory.activation_peak");
    faults.bytes(&memory.cuda_graphs, 0, "$.memory.cuda_graphs");
    let keeps_tokens = |layers: &KvCacheLayers| layers.kind != KvCacheLayerKind::Mamba;
    let min = u64::from(memory.kv_cache_layers.is_empty() || memory.kv_cache_layers.iter().any(keeps_tokens));
    faults.bytes(&memory.kv_cache_per_token, min, "$.memory.kv_cache_per_token");
    validate_layers::layers(profile, faults);
    if let Some(terms) = &memory.limit_terms {
        limit_terms(terms, faults);
    }
    if let Some(reported) = &memory.reported {
        let path = "$.memory.reported";
        faults.require(
            reported.num_gpu_blocks >= 2,
            format_args!("{path}.num_gpu_blocks"),
            format_args!("{} must be at least 2: one is the null block", reported.num_gpu_blocks),
        );
        faults.count(reported.block_size, 1, format_args!("{path}.block_size"));
        utilization(reported.gpu_memory_utilization, format_args!("{path}.gpu_memory_utilization"), faults);
    }
}

fn limit_terms(terms: &LimitTerms, faults: &mut Faults) {
    let path = "$.memory.limit_terms";
    for (field, bytes) in [
        ("layer_bytes_per_token", terms.layer_bytes_per_token),
        ("sampling_bytes_per_seq", terms.sampling_bytes_per_seq),
        ("residual_bytes_per_token", terms.residual_bytes_per_token),
        ("encoder_bytes", terms.encoder_bytes),
        ("workspace_bytes_per_token", terms.workspace_bytes_per_token),
        ("fixed_bytes", terms.fixed_bytes),
        ("graph_bytes_per_capture_size", terms.graph_bytes_per_capture_size),
    ] {
        let path = format_args!("{path}.{field}");
        faults.require(bytes <= MAX_BYTES, path, format_args!("{bytes} must be from 0 to {MAX_BYTES}"));
    }
    faults.text(&terms.reason, format_args!("{path}.reason"));
}

fn costs(profile: &Profile, faults: &mut Faults) {
    let (host, front_end) = (&profile.host, &profile.front_end);
    faults.cost(&host.schedule.per_pass, "$.host.schedule.per_pass");
    faults.cost(&host.schedule.per_request, "$.host.schedule.per_request");
    faults.cost(&host.update.per_pass, "$.host.update.per_pass");
    faults.cost(&host.update.per_request, "$.host.update.per_request");
    faults.cost(&host.between_passes.per_pass, "$.host.between_passes.per_pass");
    faults.cost(&host.between_passes.per_request, "$.host.between_passes.per_request");
    if let Some(outside) = &host.outside_graphs {
        faults.cost(&outside.per_pass, "$.host.outside_graphs.per_pass");
        let share = outside.share;
        let path = format_args!("$.host.outside_graphs.share");
        faults.require((0.0..=10.0).contains(&share), path, format_args!("{share:?} must be from 0 to 10"));
    }
    if let Some(noise) = &host.pass_noise {
        for (field, value, most) in [
            ("sigma", noise.sigma, 2.0),
            ("correlation", noise.correlation, 0.999),
            ("long_share", noise.long_share, 0.5),
            ("long_us", noise.long_us, 1e8),
        ] {
            let path = format_args!("$.host.pass_noise.{field}");
            faults.require((0.0..=most).contains(&value), path, format_args!("{value:?} must be from 0 to {most:?}"));
        }
        faults.text(&noise.reason, format_args!("$.host.pass_noise.reason"));
    }
    let (request, output) = (&front_end.request_latency, &front_end.output_latency);
    faults.cost(&request.per_request, "$.front_end.request_latency.per_request");
    faults.cost(&request.per_prompt_token, "$.front_end.request_latency.per_prompt_token");
    faults.cost(&output.per_pass, "$.front_end.output_latency.per_pass");
    faults.cost(&output.per_token, "$.front_end.output_latency.per_token");
    if let Some(work) = &front_end.work {
        faults.cost(&work.per_request, "$.front_end.work.per_request");
        faults.cost(&work.per_prompt_token, "$.front_end.work.per_prompt_token");
        faults.cost(&work.per_pass, "$.front_end.work.per_pass");
        faults.cost(&work.per_token, "$.front_end.work.per_token");
        faults.cost(&work.per_chunk, "$.front_end.work.per_chunk");
    }
}
