//! The measured part of the profile file: tables, costs, and how good they are.
//!
//! A table holds medians. Beside them stand, in the same shape, the number of samples and their spread (the distance
//! between the first and third quartile), or `null` where the source of the table does not say.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

#[cfg(feature = "schema")]
use super::schema::require_all;
use super::schema::{Basis, Bytes, Cost, KvCacheLayers};

/// Device time of a forward pass, as a sum of terms; collectives are inside them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = require_all))]
pub struct StepTimeTables {
    /// Everything but attention and the head. Mamba and linear-attention layers are in it: what they take depends on
    /// the tokens of the pass, wherever these stand.
    pub non_attention: OverTokens,
    /// Logits and sampling.
    pub head: OverSeqs,
    /// Attention of the requests with one new token, in the layers that look at all tokens.
    pub decode_attention: DecodeAttention,
    /// Attention of one prompt part, in the same layers.
    pub prefill_attention: PrefillAttention,
    /// Attention of the requests that verify drafts, in the same layers; empty if nobody measured it.
    pub verification_attention: Vec<VerificationAttention>,
    /// Attention of the layers that look at fewer tokens; empty if the model has none.
    pub span_attention: Vec<SpanAttention>,
    /// How attention behaves when a pass holds both kinds; `null` if nobody measured it: then the two terms add up.
    pub mixed_batch: Option<MixedBatch>,
}

/// A device time over the tokens of the pass.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = require_all))]
pub struct OverTokens {
    /// Tokens that the device computes: those of the pass, padded to the CUDA graph.
    pub num_tokens: Vec<u32>,
    /// Time of each.
    pub time_us: Vec<f64>,
    /// Samples behind each time.
    pub num_samples: Option<Vec<u32>>,
    /// Spread of those samples.
    pub spread_us: Option<Vec<f64>>,
}

/// A device time over the requests of the pass; for logits and sampling, over the rows they are computed for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = require_all))]
pub struct OverSeqs {
    /// Requests of the pass.
    pub num_seqs: Vec<u32>,
    /// Time of each.
    pub time_us: Vec<f64>,
    /// Samples behind each time.
    pub num_samples: Option<Vec<u32>>,
    /// Spread of those samples.
    pub spread_us: Option<Vec<f64>>,
}

/// Device time of attention, all layers, for requests with one new token each.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = require_all))]
pub struct DecodeAttention {
    /// Requests: one row of the table each.
    pub num_seqs: Vec<u32>,
    /// Tokens each of them attends to, the new one included: one column each.
    pub context_tokens: Vec<u32>,
    /// Times; the end of a row may be `null` where the KV cache was too small to measure it.
    pub time_us: Vec<Vec<Option<f64>>>,
    /// Samples behind each time.
    pub num_samples: Option<Vec<Vec<u32>>>,
    /// Spread of those samples.
    pub spread_us: Option<Vec<Vec<f64>>>,
}

/// Device time of attention, all layers, for one prompt part.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = require_all))]
pub struct PrefillAttention {
    /// New tokens: one row of the table each.
    pub chunk_tokens: Vec<u32>,
    /// Earlier tokens they also attend to: one column each.
    pub prefix_tokens: Vec<u32>,
    /// Times; the end of a row may be `null` where it could not be measured.
    pub time_us: Vec<Vec<Option<f64>>>,
    /// Samples behind each time.
    pub num_samples: Option<Vec<Vec<u32>>>,
    /// Spread of those samples.
    pub spread_us: Option<Vec<Vec<f64>>>,
}

/// Device time of attention for requests with one new token and some drafts each.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = require_all))]
pub struct VerificationAttention {
    /// Rows of each request: one and its drafts.
    pub num_rows: u32,
    /// Requests: one row of the table each.
    pub num_seqs: Vec<u32>,
    /// Tokens each of them attends to, the new ones included: one column each.
    pub context_tokens: Vec<u32>,
    /// Times; the end of a row may be `null` where the KV cache was too small to measure it.
    pub time_us: Vec<Vec<Option<f64>>>,
    /// Samples behind each time.
    pub num_samples: Option<Vec<Vec<u32>>>,
    /// Spread of those samples.
    pub spread_us: Option<Vec<Vec<f64>>>,
}

/// What limits the tokens that a layer looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// The last `num_tokens`.
    SlidingWindow,
    /// Those since the last multiple of `num_tokens`.
    ChunkedLocalAttention,
}

/// Device time of attention in the layers of one span. Contexts and prefixes are the tokens that are looked at, so they
/// end at the span's length.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct SpanAttention {
    /// What limits the tokens.
    pub kind: SpanKind,
    /// Length of the span.
    pub num_tokens: u32,
    /// Of the requests with one new token.
    pub decode_attention: DecodeAttention,
    /// Of one prompt part.
    pub prefill_attention: PrefillAttention,
    /// Of the requests that verify drafts; empty if nobody measured it.
    pub verification_attention: Vec<VerificationAttention>,
}

/// A drafter beside the model: what it keeps and how long it runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = require_all))]
pub struct Drafter {
    /// vLLM's name of the method (`SpeculativeConfig.method`).
    pub method: String,
    /// The draft model as given to vLLM; `null` if there is none.
    pub model: Option<String>,
    /// Its layers' part of the KV cache, on one rank; empty if it has none.
    pub kv_cache_layers: Vec<KvCacheLayers>,
    /// Its weights and what else it keeps on one rank.
    pub memory: Bytes,
    /// Its first run behind a pass, which also takes in the pass's tokens.
    pub first_run: OverTokens,
    /// Each further run, over the requests of the pass; `null` if it never has one.
    pub next_run: Option<OverSeqs>,
}

/// How attention behaves when a pass holds decodes and prompt parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct MixedBatch {
    /// `f` in: attention = the prompt parts' term + `f` × the decodes' term. 1 adds the two; more, because the kernels
    /// for mixed passes share a decode's context among fewer units than those for decodes alone; less, where decodes
    /// run beside prompt parts.
    pub decode_term_factor: f64,
    /// The passes `f` was fitted to.
    pub samples: Vec<MixedSample>,
}

/// A measured pass with decodes and prompt parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct MixedSample {
    /// Its prompt parts: new tokens, earlier tokens.
    pub prefill_chunks: Vec<(u32, u32)>,
    /// Its requests with one new token.
    pub num_decodes: u32,
    /// Tokens those attend to, summed.
    pub decode_context_tokens: u64,
    /// Median device time of the whole pass.
    pub time_us: f64,
    /// Samples behind it.
    pub num_samples: u32,
    /// Spread of those samples.
    pub spread_us: f64,
}

/// Time of the engine core around one pass. With synchronous scheduling it adds to the device time; with
/// asynchronous scheduling the pass is prepared while the one before runs, so only the longer of the two
/// counts; device time between passes counts with both.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Host {
    /// From the start of `schedule()` until the device can begin: the decision, the inputs, the launch.
    pub schedule: PassCost,
    /// From the device's end until the outputs leave the engine core: the token copy and `update_from_output()`.
    pub update: PassCost,
    /// Device time after a pass that no table holds, before its tokens can be copied and the next pass can begin:
    /// sampling, kernels that gather inputs, waiting. 0 where step times were measured with it.
    pub between_passes: PassCost,
    /// What a pass that no CUDA graph holds takes beyond its tables. Absent or `null` where step times were measured with
    /// it, or nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside_graphs: Option<OutsideGraphs>,
    /// By how much passes of the same batch differ. Absent or `null` where nobody measured it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_noise: Option<PassNoise>,
}

/// By how much passes of the same batch differ from each other. A run has it only when asked (`--pass-noise`): without
/// it every pass takes what the tables say, which is the expectation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct PassNoise {
    /// Standard deviation of the natural logarithm of a pass's time, long passes aside.
    pub sigma: f64,
    /// Correlation of that logarithm from one pass to the next.
    pub correlation: f64,
    /// Share of passes that are interrupted: by a collection of garbage, by other processes.
    pub long_share: f64,
    /// The time that an interruption takes in the mean, in microseconds.
    pub long_us: f64,
    /// What these rest on.
    pub basis: Basis,
    /// One sentence: how they were measured.
    pub reason: String,
}

/// What a pass that no CUDA graph holds takes on the device beyond its operators: kernels that are launched one by one,
/// and clocks that fall under long computations.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct OutsideGraphs {
    /// Once per pass.
    pub per_pass: Cost,
    /// Of the operators' time, as a share of it.
    pub share: f64,
}

/// A cost that every pass has, and one for each request in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct PassCost {
    /// Once per pass.
    pub per_pass: Cost,
    /// For each request of the pass.
    pub per_request: Cost,
}

/// Time between the client and the engine core.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct FrontEnd {
    /// From the client's sending until the request stands in the engine core's waiting queue.
    pub request_latency: RequestLatency,
    /// From the engine core's output until the client holds the tokens.
    pub output_latency: OutputLatency,
    /// The part of both in which an API-server process can do nothing else. Absent or `null` where nobody knows: then
    /// requests pass through it side by side, however many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work: Option<FrontEndWork>,
}

/// What one API-server process computes, one thing after the other: Python's event loop is a single thread
/// (`vllm/v1/engine/async_llm.py`). Without load the latencies hold and these are hidden in them; under load what comes
/// while the process is busy waits.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct FrontEndWork {
    /// Once per request: HTTP, validation, the message to the engine core, the end of the response.
    pub per_request: Cost,
    /// For each token of its prompt: tokenisation and copies.
    pub per_prompt_token: Cost,
    /// Once per message of the engine core, which brings all tokens of a pass.
    pub per_pass: Cost,
    /// For each token in it: detokenisation.
    pub per_token: Cost,
    /// For each chunk sent to a client: a token's, or those of all messages that waited together
    /// (`output_processor.py::RequestOutputCollector`).
    pub per_chunk: Cost,
}

/// From the client's sending until the request stands in the engine core's waiting queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct RequestLatency {
    /// Once per request.
    pub per_request: Cost,
    /// For each token of its prompt.
    pub per_prompt_token: Cost,
}

/// From the engine core's output until the client holds the tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct OutputLatency {
    /// Once per pass.
    pub per_pass: Cost,
    /// For each token the pass delivers.
    pub per_token: Cost,
}

/// How well the profile predicts what it was not made from.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Validation {
    /// Single passes.
    pub steps: Vec<ValidationStep>,
    /// Whole runs.
    pub runs: Vec<ValidationRun>,
}

/// A pass that was held out, measured and predicted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ValidationStep {
    /// Its prompt parts: new tokens, earlier tokens.
    pub prefill_chunks: Vec<(u32, u32)>,
    /// Its requests with one new token.
    pub num_decodes: u32,
    /// Tokens those attend to, summed.
    pub decode_context_tokens: u64,
    /// Median device time that was measured.
    pub measured_us: f64,
    /// Device time the profile gives.
    pub predicted_us: f64,
}

/// A run of a real engine that was repeated in the simulator.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ValidationRun {
    /// What was asked, in words a reader can repeat.
    pub workload: String,
    /// What was compared, as `vllm bench serve` names it (`median_ttft_ms`).
    pub metric: String,
    /// The real engine's value.
    pub measured: f64,
    /// The simulator's value.
    pub predicted: f64,
}

/// What was changed in a table to make it monotone.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Smoothing {
    /// The table, as its field is called.
    pub table: String,
    /// What was done, and why.
    pub method: String,
    /// Points that changed.
    pub num_changed: u32,
    /// Largest change of a point, relative to its value before.
    pub max_relative_change: f64,
    /// Mean change over all points of the table, relative.
    pub mean_relative_change: f64,
}
