//! From a JSON value to the types of [`super::schema`], with the path of what does not fit.
//!
//! Written out by one small macro instead of derived: generic visitors for every type of the file would be a tenth of
//! the page's module.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::error::Fault;
use super::schema::{
    Basis, Bytes, Cost, DeviceType, Engine, Hardware, KvCacheLayerKind, KvCacheLayers, LimitTerms, Memory, Model,
    PrefillCheckpoint, Profile, Provenance, ProvenanceKind, ReportedBlocks, Source, TimeRange,
};
use super::schema_tables::{
    DecodeAttention, Drafter, FrontEnd, FrontEndWork, Host, MixedBatch, MixedSample, OutputLatency, OutsideGraphs,
    OverSeqs, OverTokens, PassCost, PassNoise, PrefillAttention, RequestLatency, Smoothing, SpanAttention, SpanKind,
    StepTimeTables, Validation, ValidationRun, ValidationStep, VerificationAttention,
};

/// Something that is read from a JSON value.
pub(crate) trait FromJson: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// The first thing that does not fit; the path is relative to `value`.
    fn from_json(value: Value) -> Result<Self, Fault>;
}

impl Fault {
    fn here(message: String) -> Self {
        Self { path: String::new(), message }
    }

    /// The fault as seen from one step further out.
    #[cold]
    pub(crate) fn inside(mut self, step: &str) -> Self {
        self.path.insert_str(0, step);
        self
    }
}

/// `value` is not what it must be.
#[cold]
fn unfit(value: &Value, wanted: &str) -> Fault {
    let found = match value {
        Value::Null => "null".to_string(),
        Value::Bool(switch) => format!("boolean `{switch}`"),
        Value::Number(number) => format!("number `{number}`"),
        Value::String(text) => format!("string {text:?}"),
        Value::Array(_) => "an array".to_string(),
        Value::Object(_) => "an object".to_string(),
    };
    Fault::here(format!("found {found}; it must be {wanted}"))
}

/// The fields of a JSON object, taken out one by one.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// The fields of `value`, which may have no others than `names`.
    pub(crate) fn new(value: Value, names: &[&str]) -> Result<Self, Fault> {
        let Value::Object(fields) = value else { return Err(unfit(&value, "an object")) };
        match fields.keys().find(|field| !names.contains(&field.as_str())) {
            Some(field) => Err(unknown("field", field, names).inside(&format!(".{field}"))),
            None => Ok(Self(fields)),
        }
    }

    /// With this value for a field that is absent.
    pub(crate) fn with_default(mut self, name: &str, value: Value) -> Self {
        self.0.entry(name).or_insert(value);
        self
    }

    fn take(&mut self, name: &str) -> Result<Value, Fault> {
        self.0.remove(name).ok_or_else(|| Fault::here(format!("missing field `{name}`")))
    }

    pub(crate) fn read<T: FromJson>(&mut self, name: &str) -> Result<T, Fault> {
        T::from_json(self.take(name)?).map_err(|fault| fault.inside(&format!(".{name}")))
    }
}

/// A name that is none of `names`.
#[cold]
pub(crate) fn unknown(what: &str, name: &str, names: &[&str]) -> Fault {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let expected = match quoted.as_slice() {
        [one, other] => format!("{one} or {other}"),
        all => format!("one of {}", all.join(", ")),
    };
    Fault::here(format!("unknown {what} `{name}`, expected {expected}"))
}

impl FromJson for String {
    fn from_json(value: Value) -> Result<Self, Fault> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(unfit(&other, "a string")),
        }
    }
}

impl FromJson for bool {
    fn from_json(value: Value) -> Result<Self, Fault> {
        value.as_bool().ok_or_else(|| unfit(&value, "true or false"))
    }
}

impl FromJson for f64 {
    fn from_json(value: Value) -> Result<Self, Fault> {
        value.as_f64().ok_or_else(|| unfit(&value, "a number"))
    }
}

impl FromJson for u64 {
    fn from_json(value: Value) -> Result<Self, Fault> {
        value.as_u64().ok_or_else(|| unfit(&value, "a whole number of at least 0"))
    }
}

impl FromJson for u32 {
    fn from_json(value: Value) -> Result<Self, Fault> {
        let number = value.as_u64().and_then(|number| Self::try_from(number).ok());
        number.ok_or_else(|| unfit(&value, "a whole number from 0 to 4294967295"))
    }
}

/// `null` says "unknown"; a missing field says "forgotten" and is refused.
impl<T: FromJson> FromJson for Option<T> {
    fn from_json(value: Value) -> Result<Self, Fault> {
        if value.is_null() { Ok(None) } else { T::from_json(value).map(Some) }
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(value: Value) -> Result<Self, Fault> {
        let Value::Array(items) = value else { return Err(unfit(&value, "an array")) };
        let mut list = Self::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            list.push(T::from_json(item).map_err(|fault| fault.inside(&format!("[{place}]")))?);
        }
        Ok(list)
    }
}

/// A prompt part: new tokens, earlier tokens.
impl FromJson for (u32, u32) {
    fn from_json(value: Value) -> Result<Self, Fault> {
        match Vec::<u32>::from_json(value)?.as_slice() {
            &[first, second] => Ok((first, second)),
            other => Err(Fault::here(format!("found an array of {}; it must be an array of 2", other.len()))),
        }
    }
}

/// Its last field is absent in files of before it was known.
impl FromJson for Memory {
    fn from_json(value: Value) -> Result<Self, Fault> {
        let mut fields = Fields::new(
            value,
            &[
                "weights",
                "other_resident",
                "activation_peak",
                "cuda_graphs",
                "kv_cache_per_token",
                "kv_cache_layers",
                "reported",
                "limit_terms",
            ],
        )?;
        fields.0.entry("limit_terms").or_insert(Value::Null);
        Ok(Self {
            weights: fields.read("weights")?,
            other_resident: fields.read("other_resident")?,
            activation_peak: fields.read("activation_peak")?,
            cuda_graphs: fields.read("cuda_graphs")?,
            kv_cache_per_token: fields.read("kv_cache_per_token")?,
            kv_cache_layers: fields.read("kv_cache_layers")?,
            reported: fields.read("reported")?,
            limit_terms: fields.read("limit_terms")?,
        })
    }
}

/// Its last fields are absent in files of before they were known.
impl FromJson for Host {
    fn from_json(value: Value) -> Result<Self, Fault> {
        let mut fields = Fields::new(value, &["schedule", "update", "between_passes", "outside_graphs", "pass_noise"])?;
        for name in ["outside_graphs", "pass_noise"] {
            fields.0.entry(name).or_insert(Value::Null);
        }
        Ok(Self {
            schedule: fields.read("schedule")?,
            update: fields.read("update")?,
            between_passes: fields.read("between_passes")?,
            outside_graphs: fields.read("outside_graphs")?,
            pass_noise: fields.read("pass_noise")?,
        })
    }
}

/// Its last field is absent in files of before it was known.
impl FromJson for FrontEnd {
    fn from_json(value: Value) -> Result<Self, Fault> {
        let mut fields = Fields::new(value, &["request_latency", "output_latency", "work"])?;
        fields.0.entry("work").or_insert(Value::Null);
        Ok(Self {
            request_latency: fields.read("request_latency")?,
            output_latency: fields.read("output_latency")?,
            work: fields.read("work")?,
        })
    }
}

macro_rules! objects {
    ($($type:ident { $($field:ident),+ $(,)? })+) => { $(
        impl $crate::profile::from_json::FromJson for $type {
            fn from_json(value: serde_json::Value) -> Result<Self, $crate::profile::Fault> {
                let mut fields = $crate::profile::from_json::Fields::new(value, &[$(stringify!($field)),+])?;
                Ok(Self { $($field: fields.read(stringify!($field))?),+ })
            }
        }
    )+ };
}

macro_rules! names {
    ($($type:ident { $($name:literal => $variant:ident),+ $(,)? })+) => { $(
        impl $crate::profile::from_json::FromJson for $type {
            fn from_json(value: serde_json::Value) -> Result<Self, $crate::profile::Fault> {
                let name = <alloc::string::String as $crate::profile::from_json::FromJson>::from_json(value)?;
                match name.as_str() {
                    $($name => Ok(Self::$variant),)+
                    other => Err($crate::profile::from_json::unknown("variant", other, &[$($name),+])),
                }
            }
        }
    )+ };
}

pub(crate) use {names, objects};

names! {
    ProvenanceKind {
        "measured" => Measured, "derived" => Derived, "estimated" => Estimated, "synthetic" => Synthetic,
    }
    DeviceType { "cuda" => Cuda, "cpu" => Cpu }
    KvCacheLayerKind {
        "full_attention" => FullAttention, "mla" => Mla, "sliding_window" => SlidingWindow,
        "chunked_local_attention" => ChunkedLocalAttention, "mamba" => Mamba,
    }
    SpanKind { "sliding_window" => SlidingWindow, "chunked_local_attention" => ChunkedLocalAttention }
    Basis { "measured" => Measured, "derived" => Derived, "estimate" => Estimate }
}

objects! {
    Profile {
        version, provenance, model, hardware, engine, memory, step_time, drafters, host, front_end, validation, smoothing,
    }
    Provenance { kind, tool, tool_version, date, sources, host, range, notes }
    TimeRange { low, high }
    Source { name, version, licence, url }
    Model {
        name, num_hidden_layers, hidden_size, intermediate_size, num_attention_heads, num_key_value_heads, head_dim,
        vocab_size, dtype, max_position_embeddings,
    }
    Hardware { device_type, name, num_devices, total_memory, compute_capability }
    Engine {
        vllm_version, dtype, quantization, kv_cache_dtype, attention_backend, tensor_parallel_size,
        pipeline_parallel_size, block_size, enforce_eager, max_model_len, gpu_memory_utilization, max_num_seqs,
        max_num_batched_tokens,
    }
    Bytes { bytes, basis, reason }
    Cost { time_us, basis, reason }
    LimitTerms {
        layer_bytes_per_token, sampling_bytes_per_seq, residual_bytes_per_token, encoder_bytes, workspace_bytes_per_token,
        fixed_bytes, graph_bytes_per_capture_size, basis, reason,
    }
    PrefillCheckpoint { alignment, at_block_ends }
    KvCacheLayers {
        num_layers, kind, span_tokens, num_kv_heads, head_size, bytes, bytes_per_draft_token, prefill_checkpoint,
    }
    ReportedBlocks { num_gpu_blocks, block_size, gpu_memory_utilization }
    StepTimeTables {
        non_attention, head, decode_attention, prefill_attention, verification_attention, span_attention, mixed_batch,
    }
    OverTokens { num_tokens, time_us, num_samples, spread_us }
    OverSeqs { num_seqs, time_us, num_samples, spread_us }
    DecodeAttention { num_seqs, context_tokens, time_us, num_samples, spread_us }
    PrefillAttention { chunk_tokens, prefix_tokens, time_us, num_samples, spread_us }
    VerificationAttention { num_rows, num_seqs, context_tokens, time_us, num_samples, spread_us }
    SpanAttention { kind, num_tokens, decode_attention, prefill_attention, verification_attention }
    Drafter { method, model, kv_cache_layers, memory, first_run, next_run }
    MixedBatch { decode_term_factor, samples }
    MixedSample { prefill_chunks, num_decodes, decode_context_tokens, time_us, num_samples, spread_us }
    OutsideGraphs { per_pass, share }
    PassCost { per_pass, per_request }
    PassNoise { sigma, correlation, long_share, long_us, basis, reason }
    FrontEndWork { per_request, per_prompt_token, per_pass, per_token, per_chunk }
    RequestLatency { per_request, per_prompt_token }
    OutputLatency { per_pass, per_token }
    Validation { steps, runs }
    ValidationStep { prefill_chunks, num_decodes, decode_context_tokens, measured_us, predicted_us }
    ValidationRun { workload, metric, measured, predicted }
    Smoothing { table, method, num_changed, max_relative_change, mean_relative_change }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check<T: FromJson + core::fmt::Debug>(value: Value, expect: &str) {
        let fault = T::from_json(value).expect_err("does not fit");
        assert_eq!(format!("{}|{}", fault.path, fault.message), expect);
    }

    #[test]
    fn the_path_leads_to_what_does_not_fit() {
        check::<Vec<Vec<u32>>>(
            json!([[1], [2, "3"]]),
            "[1][1]|found string \"3\"; it must be a whole number from 0 to 4294967295",
        );
        check::<PassCost>(json!({"per_pass": 1.5}), ".per_pass|found number `1.5`; it must be an object");
        check::<Validation>(json!({"steps": [], "more": []}), ".more|unknown field `more`, expected `steps` or `runs`");
        check::<Validation>(json!({"steps": []}), "|missing field `runs`");
        check::<(u32, u32)>(json!([1, 2, 3]), "|found an array of 3; it must be an array of 2");
        check::<Basis>(json!("guess"), "|unknown variant `guess`, expected one of `measured`, `derived`, `estimate`");
        check::<bool>(json!({}), "|found an object; it must be true or false");
    }
}
