//! The profile file, format version 3: what is in it, in the words of the file.
//!
//! One file is one (model, hardware, engine setting). Units stand in the field names (`_us`, `_bytes`). A number that
//! nobody measured is never a default: it is `null` where the format allows that, or labelled [`Basis::Estimate`].

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

/// For the JSON schema, too, every field must be written out.
#[cfg(feature = "schema")]
pub(super) fn require_all(schema: &mut schemars::Schema) {
    if let Some(properties) = schema.get("properties").and_then(serde_json::Value::as_object) {
        let names: Vec<serde_json::Value> = properties.keys().map(|name| name.as_str().into()).collect();
        schema.insert("required".into(), names.into());
    }
}

/// The same, but for the range, which a file without estimates lacks.
#[cfg(feature = "schema")]
fn require_all_but_range(schema: &mut schemars::Schema) {
    require_all(schema);
    if let Some(required) = schema.get_mut("required").and_then(serde_json::Value::as_array_mut) {
        required.retain(|name| name.as_str() != Some("range"));
    }
}

/// Between which factors of the step times the device's own are expected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct TimeRange {
    /// Of the fastest; above 0 and at most 1.
    pub low: f64,
    /// Of the slowest; at least 1.
    pub high: f64,
}

/// A whole profile file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Profile {
    /// Format version: 3.
    pub version: u32,
    /// Where the numbers come from.
    pub provenance: Provenance,
    /// The model.
    pub model: Model,
    /// The devices of one engine.
    pub hardware: Hardware,
    /// The engine arguments the tables hold for.
    pub engine: Engine,
    /// What the number of KV blocks follows from.
    pub memory: Memory,
    /// Device time of a forward pass.
    pub step_time: StepTimeTables,
    /// Drafters that were measured beside the model; empty if none was.
    pub drafters: Vec<Drafter>,
    /// Host time of the engine core around a pass.
    pub host: Host,
    /// Time between the client and the engine core.
    pub front_end: FrontEnd,
    /// How well the profile predicts what it was not made from; empty if nobody has checked.
    pub validation: Validation,
    /// What was changed in the tables to make them monotone; empty if nothing.
    pub smoothing: Vec<Smoothing>,
}

/// How the step times were obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProvenanceKind {
    /// Whole passes of a real engine were timed.
    Measured,
    /// Composed from measurements of single operators.
    Derived,
    /// Composed from measurements of another GPU's operators, moved to this one by what the makers say of both.
    Estimated,
    /// From a formula: for tests and demonstrations.
    Synthetic,
}

impl ProvenanceKind {
    /// As it stands in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Derived => "derived",
            Self::Estimated => "estimated",
            Self::Synthetic => "synthetic",
        }
    }
}

/// Where the numbers come from; shown wherever results are shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = require_all_but_range))]
pub struct Provenance {
    /// How the step times were obtained.
    pub kind: ProvenanceKind,
    /// Program that wrote the file.
    pub tool: String,
    /// Its version.
    pub tool_version: String,
    /// Day on which it ran, `YYYY-MM-DD`.
    pub date: String,
    /// What the numbers were made from.
    pub sources: Vec<Source>,
    /// The machine that was measured (processor, driver, clocks); `null` if none or unknown.
    pub host: Option<String>,
    /// How far estimated step times may be off; `null` or absent, and not written, unless `kind` is `estimated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<TimeRange>,
    /// What a reader must know before trusting the numbers.
    pub notes: Vec<String>,
}

/// Something the profile was made from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an SPDX expression.
    pub licence: String,
    /// Where it is published.
    pub url: String,
}

/// The facts of the model's `config.json` that times and memory depend on, with that file's names.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Model {
    /// The model's name as given to vLLM.
    pub name: String,
    /// Layers.
    pub num_hidden_layers: u32,
    /// Width of the residual stream.
    pub hidden_size: u32,
    /// Width of the MLP.
    pub intermediate_size: u32,
    /// Query heads.
    pub num_attention_heads: u32,
    /// Key and value heads.
    pub num_key_value_heads: u32,
    /// Width of one head.
    pub head_dim: u32,
    /// Tokens in the vocabulary.
    pub vocab_size: u32,
    /// Number format of the weights in the checkpoint.
    pub dtype: String,
    /// Longest sequence the model was made for.
    pub max_position_embeddings: u32,
}

/// What vLLM runs on, in its words (`vllm/platforms/interface.py::Platform.device_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeviceType {
    /// GPUs.
    Cuda,
    /// The processor: vLLM's CPU backend.
    Cpu,
}

/// The devices of one engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = require_all))]
pub struct Hardware {
    /// vLLM's platform: several of its defaults depend on it.
    pub device_type: DeviceType,
    /// Name of the device as its driver reports it.
    pub name: String,
    /// Devices of one engine: tensor × pipeline parallel.
    pub num_devices: u32,
    /// Memory of one device, as the driver reports it to a program.
    pub total_memory: Bytes,
    /// CUDA compute capability, such as `9.0`; `null` if the device is none.
    pub compute_capability: Option<String>,
}

/// The engine arguments the tables hold for, with vLLM's names.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = require_all))]
pub struct Engine {
    /// Version of vLLM that the profile is for: the one that was measured, unless the notes say otherwise.
    pub vllm_version: String,
    /// Number format of weights and activations.
    pub dtype: String,
    /// Quantisation method; `null` if none.
    pub quantization: Option<String>,
    /// Number format of the KV cache.
    pub kv_cache_dtype: String,
    /// Attention kernels; `null` if unknown.
    pub attention_backend: Option<String>,
    /// Devices that share each layer.
    pub tensor_parallel_size: u32,
    /// Stages the layers are divided into.
    pub pipeline_parallel_size: u32,
    /// Tokens per KV block.
    pub block_size: u32,
    /// Whether CUDA graphs were off.
    pub enforce_eager: bool,
    /// Longest sequence, prompt and output together: the default offered to a user.
    pub max_model_len: u32,
    /// Share of the device memory vLLM was allowed. A run has vLLM's own default unless it says otherwise.
    pub gpu_memory_utilization: f64,
    /// Most requests in a pass when the tables were made. A run has vLLM's own default unless it says otherwise.
    pub max_num_seqs: u32,
    /// Most tokens in a pass when the tables were made. A run has vLLM's own default unless it says otherwise.
    pub max_num_batched_tokens: u32,
}

/// What a number rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// It was measured.
    Measured,
    /// It follows from known facts by arithmetic.
    Derived,
    /// Somebody judged it.
    Estimate,
}

/// An amount of memory and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Bytes {
    /// The amount.
    pub bytes: u64,
    /// What it rests on.
    pub basis: Basis,
    /// One sentence: how it was measured, computed or judged.
    pub reason: String,
}

/// A time and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Cost {
    /// The time, in microseconds; at least 0.
    pub time_us: f64,
    /// What it rests on.
    pub basis: Basis,
    /// One sentence: how it was measured, computed or judged.
    pub reason: String,
}

/// What the number of KV blocks follows from; all amounts are those of one rank.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = require_all_but_terms))]
pub struct Memory {
    /// Weights.
    pub weights: Bytes,
    /// What else stays resident: the CUDA context's share, communication buffers.
    pub other_resident: Bytes,
    /// Peak above the resident memory of vLLM's profiling pass of `max_num_batched_tokens` tokens.
    pub activation_peak: Bytes,
    /// What vLLM sets aside for CUDA graphs; 0 with `enforce_eager`.
    pub cuda_graphs: Bytes,
    /// KV cache of one token in all layers of the rank that keep tokens.
    pub kv_cache_per_token: Bytes,
    /// What each layer keeps, in the model's order.
    pub kv_cache_layers: Vec<KvCacheLayers>,
    /// What a real engine reported; wins over the rule where the settings are the same. `null` if nobody looked.
    pub reported: Option<ReportedBlocks>,
    /// By which `activation_peak` and `cuda_graphs`, which are those of the profile's own limits, become those of a run's;
    /// absent or `null` if only they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_terms: Option<LimitTerms>,
}

/// What a layer keeps in the KV cache, by vLLM's class of it (`vllm/v1/kv_cache_interface.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KvCacheLayerKind {
    /// Keys and values of all tokens.
    FullAttention,
    /// One latent vector of each token.
    Mla,
    /// Keys and values of the last `span_tokens` tokens.
    SlidingWindow,
    /// Keys and values of the tokens since the last multiple of `span_tokens`.
    ChunkedLocalAttention,
    /// A state: Mamba and linear attention.
    Mamba,
}

/// Layers that follow each other and keep the same, on one rank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = require_all))]
pub struct KvCacheLayers {
    /// How many.
    pub num_layers: u32,
    /// What they keep.
    pub kind: KvCacheLayerKind,
    /// Length of the window or chunk; `null` if they have none.
    pub span_tokens: Option<u32>,
    /// Key and value heads; 1 for `mla` and `mamba`.
    pub num_kv_heads: u32,
    /// Elements of a head; 0 for `mamba`.
    pub head_size: u32,
    /// Bytes of one token in one layer; for `mamba`, of one state.
    pub bytes: u64,
    /// Bytes by which a state grows for each draft that is verified at once; 0 but for `mamba`.
    pub bytes_per_draft_token: u64,
    /// Where inside a chunk a pass can save a state; `null` if it cannot, or for layers without states.
    pub prefill_checkpoint: Option<PrefillCheckpoint>,
}

/// Where inside a chunk a pass can save a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct PrefillCheckpoint {
    /// Tokens at whose multiples it can.
    pub alignment: u32,
    /// Whether it does so only at ends of blocks, and only with prefix caching.
    pub at_block_ends: bool,
}

impl KvCacheLayers {
    /// `num_layers` equal layers of full attention that take `bytes_per_token` together.
    #[must_use]
    pub fn full_attention(num_layers: u32, num_kv_heads: u32, head_size: u32, bytes_per_token: u64) -> Self {
        let is_even = num_layers > 0 && bytes_per_token.is_multiple_of(u64::from(num_layers));
        let num_layers = if is_even { num_layers } else { 1 };
        Self {
            num_layers,
            kind: KvCacheLayerKind::FullAttention,
            span_tokens: None,
            num_kv_heads,
            head_size,
            bytes: bytes_per_token / u64::from(num_layers),
            bytes_per_draft_token: 0,
            prefill_checkpoint: None,
        }
    }
}

/// The number of KV blocks a real engine reported at start, and the settings it did so under.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ReportedBlocks {
    /// Blocks, the null block included.
    pub num_gpu_blocks: u32,
    /// Tokens per block.
    pub block_size: u32,
    /// Share of the device memory vLLM was allowed.
    pub gpu_memory_utilization: f64,
}

pub use super::schema_memory::LimitTerms;
#[cfg(feature = "schema")]
use super::schema_memory::require_all_but_terms;
pub use super::schema_tables::{
    DecodeAttention, Drafter, FrontEnd, FrontEndWork, Host, MixedBatch, MixedSample, OutputLatency, OutsideGraphs,
    OverSeqs, OverTokens, PassCost, PassNoise, PrefillAttention, RequestLatency, Smoothing, SpanAttention, SpanKind,
    StepTimeTables, Validation, ValidationRun, ValidationStep, VerificationAttention,
};
