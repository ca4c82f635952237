//! Profiles from a formula: step times a test can compute by hand.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::schema::{
    Basis, Bytes, Cost, DecodeAttention, DeviceType, Engine, FrontEnd, Hardware, Host, KvCacheLayers, Memory, Model,
    OutputLatency, OverSeqs, OverTokens, PassCost, PrefillAttention, Profile, Provenance, ProvenanceKind,
    ReportedBlocks, RequestLatency, StepTimeTables, Validation,
};
use crate::math;

/// Where the synthetic tables end; times beyond follow the same lines.
const LARGEST: u32 = 1 << 20;

/// A pass takes `pass_us + token_us × tokens + request_us × requests + decode_context_token_us × context tokens of the
/// decodes`, exactly, for every batch of 1 to 2^20 tokens; everything else costs what is said here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SyntheticCosts {
    /// Device time of every pass.
    pub pass_us: f64,
    /// Device time of each token in it.
    pub token_us: f64,
    /// Device time of each request in it.
    pub request_us: f64,
    /// Device time of each token a decode attends to.
    pub decode_context_token_us: f64,
    /// Host time before every pass.
    pub schedule_us: f64,
    /// Host time after every pass.
    pub update_us: f64,
    /// Time from the client to the engine core.
    pub request_latency_us: f64,
    /// Time from the engine core to the client.
    pub output_latency_us: f64,
    /// KV blocks, the null block included.
    pub num_gpu_blocks: u32,
    /// Tokens per block.
    pub block_size: u32,
    /// Longest sequence.
    pub max_model_len: u32,
}

impl Default for SyntheticCosts {
    /// 10 ms a pass and nothing else; 10,001 blocks of 16 tokens.
    fn default() -> Self {
        Self {
            pass_us: 10_000.0,
            token_us: 0.0,
            request_us: 0.0,
            decode_context_token_us: 0.0,
            schedule_us: 0.0,
            update_us: 0.0,
            request_latency_us: 0.0,
            output_latency_us: 0.0,
            num_gpu_blocks: 10_001,
            block_size: 16,
            max_model_len: 131_072,
        }
    }
}

fn cost(time_us: f64) -> Cost {
    Cost { time_us, basis: Basis::Estimate, reason: "From a formula.".to_string() }
}

fn bytes(bytes: u64) -> Bytes {
    Bytes { bytes, basis: Basis::Estimate, reason: "From a formula.".to_string() }
}

/// The line `start_us + each_us × x` at the ends of the axis.
fn ends(start_us: f64, each_us: f64) -> Vec<f64> {
    vec![start_us + each_us, start_us + each_us * math::u32_to_f64(LARGEST)]
}

impl SyntheticCosts {
    /// The profile file of this formula, made with `enforce_eager` so that nothing is padded.
    #[must_use]
    pub fn profile(&self) -> Profile {
        Profile {
            version: Profile::VERSION,
            provenance: Provenance {
                kind: ProvenanceKind::Synthetic,
                tool: "sim-core".to_string(),
                tool_version: env!("CARGO_PKG_VERSION").to_string(),
                date: "2026-01-01".to_string(),
                sources: Vec::new(),
                host: None,
                range: None,
                notes: vec!["Step times follow a formula; no device was measured.".to_string()],
            },
            model: model(self.max_model_len),
            hardware: Hardware {
                device_type: DeviceType::Cuda,
                name: "formula".to_string(),
                num_devices: 1,
                total_memory: bytes(1 << 40),
                compute_capability: None,
            },
            engine: self.engine(),
            memory: Memory {
                weights: bytes(1),
                other_resident: bytes(0),
                activation_peak: bytes(0),
                cuda_graphs: bytes(0),
                kv_cache_per_token: bytes(1 << 17),
                kv_cache_layers: vec![KvCacheLayers::full_attention(32, 8, 128, 1 << 17)],
                reported: Some(ReportedBlocks {
                    num_gpu_blocks: self.num_gpu_blocks,
                    block_size: self.block_size,
                    gpu_memory_utilization: 1.0,
                }),
                limit_terms: None,
            },
            step_time: self.step_time(),
            drafters: Vec::new(),
            host: Host {
                schedule: PassCost { per_pass: cost(self.schedule_us), per_request: cost(0.0) },
                update: PassCost { per_pass: cost(self.update_us), per_request: cost(0.0) },
                between_passes: PassCost { per_pass: cost(0.0), per_request: cost(0.0) },
                outside_graphs: None,
                pass_noise: None,
            },
            front_end: FrontEnd {
                request_latency: RequestLatency {
                    per_request: cost(self.request_latency_us),
                    per_prompt_token: cost(0.0),
                },
                output_latency: OutputLatency { per_pass: cost(self.output_latency_us), per_token: cost(0.0) },
                work: None,
            },
            validation: Validation::default(),
            smoothing: Vec::new(),
        }
    }

    fn engine(&self) -> Engine {
        let none = || "none".to_string();
        Engine {
            vllm_version: none(),
            dtype: none(),
            quantization: None,
            kv_cache_dtype: none(),
            attention_backend: None,
            tensor_parallel_size: 1,
            pipeline_parallel_size: 1,
            block_size: self.block_size,
            enforce_eager: true,
            max_model_len: self.max_model_len,
            gpu_memory_utilization: 1.0,
            max_num_seqs: 256,
            max_num_batched_tokens: 8192,
        }
    }

    fn step_time(&self) -> StepTimeTables {
        let axis = || vec![1, LARGEST];
        let largest = math::u32_to_f64(LARGEST);
        let context = |num_seqs: f64| -> Vec<Option<f64>> {
            [1.0, largest].map(|context| Some(self.decode_context_token_us * num_seqs * context)).to_vec()
        };
        StepTimeTables {
            non_attention: OverTokens {
                num_tokens: axis(),
                time_us: ends(self.pass_us, self.token_us),
                num_samples: None,
                spread_us: None,
            },
            head: OverSeqs {
                num_seqs: axis(),
                time_us: ends(0.0, self.request_us),
                num_samples: None,
                spread_us: None,
            },
            decode_attention: DecodeAttention {
                // The product of requests and context is straight along both axes, so four corners give it exactly.
                num_seqs: vec![1, 1024],
                context_tokens: axis(),
                time_us: vec![context(1.0), context(1024.0)],
                num_samples: None,
                spread_us: None,
            },
            prefill_attention: PrefillAttention {
                chunk_tokens: axis(),
                prefix_tokens: vec![0, LARGEST],
                time_us: vec![vec![Some(0.0); 2]; 2],
                num_samples: None,
                spread_us: None,
            },
            verification_attention: Vec::new(),
            span_attention: Vec::new(),
            mixed_batch: None,
        }
    }
}

fn model(max_model_len: u32) -> Model {
    Model {
        name: String::from("formula"),
        num_hidden_layers: 32,
        hidden_size: 4096,
        intermediate_size: 14_336,
        num_attention_heads: 32,
        num_key_value_heads: 8,
        head_dim: 128,
        vocab_size: 128_256,
        dtype: String::from("none"),
        max_position_embeddings: max_model_len,
    }
}
