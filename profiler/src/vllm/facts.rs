//! What the driver says of the engine it has started, and what the profiler makes of it.

use anyhow::Result;
use serde::Deserialize;
use sim_core::profile::schema::{Basis, Bytes, DeviceType, Engine, Hardware, Memory, Model, ReportedBlocks};

use super::kv_layers::{bytes_per_token, kv_cache_layers};
use crate::engine::EngineFacts;
use crate::engine::version::simulated_version;
use crate::verify::recorded_engine::RecordedEngine;
use crate::verify::recorded_groups::Planning;

/// As the driver writes them.
#[derive(Debug, Deserialize)]
pub(super) struct Facts {
    model: ModelFacts,
    engine: EngineArguments,
    scheduler: RecordedEngine,
    capture_sizes: Vec<u32>,
    hardware: HardwareFacts,
    /// 0 where the weights are in another process.
    weight_bytes: u64,
    planning: Planning,
    host: String,
    versions: Vec<(String, String)>,
}

#[derive(Debug, Deserialize)]
struct ModelFacts {
    num_hidden_layers: u32,
    hidden_size: u32,
    intermediate_size: u32,
    num_attention_heads: u32,
    num_key_value_heads: u32,
    head_dim: u32,
    vocab_size: u32,
    dtype: String,
    max_position_embeddings: u32,
}

#[derive(Debug, Deserialize)]
struct EngineArguments {
    vllm_version: String,
    dtype: String,
    quantization: Option<String>,
    kv_cache_dtype: String,
    attention_backend: Option<String>,
    tensor_parallel_size: u32,
    pipeline_parallel_size: u32,
    block_size: u32,
    enforce_eager: bool,
    max_model_len: u32,
    gpu_memory_utilization: f64,
    max_num_seqs: u32,
    max_num_batched_tokens: u32,
}

#[derive(Debug, Deserialize)]
struct HardwareFacts {
    device_type: String,
    name: String,
    num_devices: u32,
    total_memory_bytes: u64,
    compute_capability: Option<String>,
}

impl ModelFacts {
    /// Bytes of a decoder of these sizes with gated MLPs, embeddings counted once.
    fn weight_bytes(&self, dtype: &str) -> u64 {
        let [hidden, intermediate, head_dim] = [self.hidden_size, self.intermediate_size, self.head_dim].map(u64::from);
        let heads = u64::from(self.num_attention_heads + self.num_key_value_heads) * 2;
        let layer = hidden * (heads * head_dim + 3 * intermediate);
        let parameters = u64::from(self.num_hidden_layers) * layer + u64::from(self.vocab_size) * hidden;
        parameters * if dtype == "float32" { 4 } else { 2 }
    }
}

impl Facts {
    /// In the profiler's types; `model_name` is what the user called the model.
    pub(super) fn into_engine_facts(self, model_name: &str) -> Result<EngineFacts> {
        let version = simulated_version(&self.engine.vllm_version)?;
        let config = self.planning.config(&self.scheduler, version)?;
        let memory = self.memory(config.num_gpu_blocks)?;
        let (model, engine, hardware) = (self.model, self.engine, self.hardware);
        let device_type = if hardware.device_type == "cpu" { DeviceType::Cpu } else { DeviceType::Cuda };
        Ok(EngineFacts {
            config,
            planning: self.planning,
            model: Model {
                name: model_name.to_owned(),
                num_hidden_layers: model.num_hidden_layers,
                hidden_size: model.hidden_size,
                intermediate_size: model.intermediate_size,
                num_attention_heads: model.num_attention_heads,
                num_key_value_heads: model.num_key_value_heads,
                head_dim: model.head_dim,
                vocab_size: model.vocab_size,
                dtype: model.dtype,
                max_position_embeddings: model.max_position_embeddings,
            },
            hardware: Hardware {
                device_type,
                name: hardware.name,
                num_devices: hardware.num_devices,
                total_memory: measured(hardware.total_memory_bytes, "As vLLM's platform reports it."),
                compute_capability: hardware.compute_capability,
            },
            engine: Engine {
                vllm_version: engine.vllm_version,
                dtype: engine.dtype,
                quantization: engine.quantization,
                kv_cache_dtype: engine.kv_cache_dtype,
                attention_backend: engine.attention_backend,
                tensor_parallel_size: engine.tensor_parallel_size,
                pipeline_parallel_size: engine.pipeline_parallel_size,
                block_size: engine.block_size,
                enforce_eager: engine.enforce_eager,
                max_model_len: engine.max_model_len,
                gpu_memory_utilization: engine.gpu_memory_utilization,
                max_num_seqs: engine.max_num_seqs,
                max_num_batched_tokens: engine.max_num_batched_tokens,
            },
            memory,
            capture_sizes: self.capture_sizes,
            host: self.host,
            versions: self.versions,
        })
    }

    fn memory(&self, num_gpu_blocks: u32) -> Result<Memory> {
        let block_size = self.engine.block_size;
        let unmeasured = |what: &str| Bytes {
            bytes: 0,
            basis: Basis::Estimate,
            reason: format!("{what} was not measured; the number of blocks that the engine reported is used instead."),
        };
        let from_sizes = self.model.weight_bytes(&self.engine.dtype);
        // vLLM's CPU backend packs matrices into memory of its own, where they are not counted.
        let are_packed = self.hardware.device_type == "cpu" && self.weight_bytes < from_sizes;
        let weights = if are_packed || self.weight_bytes == 0 {
            let reason =
                "From the model's sizes, embeddings counted once: not all weights can be counted where they are.";
            Bytes { bytes: from_sizes, basis: Basis::Derived, reason: reason.to_owned() }
        } else {
            measured(self.weight_bytes, "Sum over the parameters of the first rank.")
        };
        let kv_cache_layers = kv_cache_layers(&self.planning.model)?;
        Ok(Memory {
            weights,
            other_resident: unmeasured("Other resident memory"),
            activation_peak: unmeasured("The peak of the activations"),
            cuda_graphs: unmeasured("The memory of CUDA graphs"),
            kv_cache_per_token: measured(
                bytes_per_token(&kv_cache_layers),
                "Bytes of a token in all layers that keep tokens, as vLLM's workers say.",
            ),
            kv_cache_layers,
            reported: Some(ReportedBlocks {
                num_gpu_blocks,
                block_size,
                gpu_memory_utilization: self.engine.gpu_memory_utilization,
            }),
            limit_terms: None,
        })
    }
}

fn measured(bytes: u64, reason: &str) -> Bytes {
    Bytes { bytes, basis: Basis::Measured, reason: reason.to_owned() }
}
