//! What is left for the KV cache: vLLM's rule at start-up (`gpu_worker.py::determine_available_memory`).
//!
//! Of the share that vLLM may use go the weights, what else stays resident, the peak of a pass of
//! `max_num_batched_tokens` tokens, and the estimate for CUDA graphs; the rest becomes blocks.

use anyhow::{Result, ensure};
use sim_core::profile::schema::{Basis, Bytes, Engine, Memory};

use super::gpus::Gpu;
use super::model_config::ModelConfig;

const GIB: f64 = 1_073_741_824.0;
/// vLLM 0.32.0's default.
pub(crate) const GPU_MEMORY_UTILIZATION: f64 = 0.92;
/// vLLM's default on a GPU.
pub(crate) const BLOCK_SIZE: u32 = 16;
/// The activations' formula gives 1.00 GiB where vLLM logged 1.26: the allocator's share.
const ACTIVATION_FACTOR: f64 = 1.26;

/// How the weights and the KV cache are stored, and over how many devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Storage {
    /// Bytes of a parameter of a layer's matrices.
    pub(crate) matrix_bytes: u64,
    /// Bytes of a number in the KV cache.
    pub(crate) kv_bytes: u64,
    pub(crate) tensor_parallel_size: u32,
    pub(crate) expert_parallel_size: u32,
}

/// Memory of one rank.
pub(crate) fn memory(config: &ModelConfig, storage: Storage, engine: &Engine) -> Memory {
    Memory {
        weights: weights(config, storage),
        other_resident: other_resident(storage.tensor_parallel_size),
        activation_peak: activation_peak(config, storage, engine),
        cuda_graphs: Bytes {
            bytes: whole_bytes(0.6 * GIB),
            basis: Basis::Estimate,
            reason: "Start-up logs of 8B models with default capture sizes name 0.4 to 0.7 GiB.".to_owned(),
        },
        kv_cache_per_token: kv_cache_per_token(config, storage),
        reported: None,
    }
}

/// Refuses an engine that would not start: one sequence of `max_model_len` must fit into the KV cache.
///
/// # Errors
/// If it does not; the message has all the amounts.
pub(crate) fn check_fit(memory: &Memory, gpu: &Gpu, engine: &Engine) -> Result<()> {
    let total = gpu.total_memory().bytes;
    let allowed = whole_bytes((total as f64 * engine.gpu_memory_utilization).ceil());
    let parts = [&memory.weights, &memory.other_resident, &memory.activation_peak, &memory.cuda_graphs];
    let taken: u64 = parts.iter().map(|part| part.bytes).sum();
    let per_token = memory.kv_cache_per_token.bytes;
    let block_size = u64::from(engine.block_size);
    let num_blocks = allowed.saturating_sub(taken) / (per_token * block_size).max(1);
    let fitting = num_blocks.saturating_sub(1) * block_size;
    let gib = |bytes: u64| bytes as f64 / GIB;
    ensure!(
        fitting >= u64::from(engine.max_model_len),
        "it does not fit: of {:.1} GiB on {} vLLM may use {:.1}, the weights of a rank take {:.1} and all but the KV \
         cache {:.1}; the rest holds {fitting} tokens, and max_model_len is {}. Use more devices \
         (--tensor-parallel-size)",
        gib(total),
        gpu.name,
        gib(allowed),
        gib(memory.weights.bytes),
        gib(taken),
        engine.max_model_len,
    );
    Ok(())
}

fn weights(config: &ModelConfig, storage: Storage) -> Bytes {
    let (tp, ep) = (storage.tensor_parallel_size, storage.expert_parallel_size);
    let model = &config.model;
    let layer = config.layer_parameters(tp, ep);
    let embeddings = if config.tie_word_embeddings { 1 } else { 2 };
    let vocabulary = embeddings * u64::from(model.vocab_size.div_ceil(tp)) * u64::from(model.hidden_size);
    let layers = u64::from(model.num_hidden_layers);
    let other = layers * layer.vectors + vocabulary + u64::from(model.hidden_size);
    let reason = if storage.matrix_bytes == 2 {
        format!("{} parameters on the rank, 2 bytes each.", layers * layer.matrices + other)
    } else {
        format!(
            "{} parameters of the layers' matrices in {} byte each, {other} others in 2 bytes; scales not counted.",
            layers * layer.matrices,
            storage.matrix_bytes
        )
    };
    let bytes = layers * layer.matrices * storage.matrix_bytes + other * 2;
    Bytes { bytes, basis: Basis::Derived, reason }
}

fn other_resident(tp: u32) -> Bytes {
    // `misc.nccl_mem` of aiconfigurator-core 0.12.0: 342 MiB for two devices, 392 for four and eight.
    let collectives = match tp {
        1 => 0.0,
        2 => 342.0 / 1024.0,
        _ => 392.0 / 1024.0,
    };
    let buffers = if tp > 1 { " and collectives' buffers" } else { "" };
    Bytes {
        bytes: whole_bytes((0.5 + collectives) * GIB),
        basis: Basis::Estimate,
        reason: format!(
            "CUDA context, library workspaces{buffers}, judged from start-up logs of similar engines{}",
            if tp > 1 { " and aiconfigurator-core's figures." } else { "." }
        ),
    }
}

/// The widest moment of a layer, or the logits of a full batch, whichever is more.
fn activation_peak(config: &ModelConfig, storage: Storage, engine: &Engine) -> Bytes {
    let tp = storage.tensor_parallel_size;
    let model = &config.model;
    let width = match config.experts {
        None => model.intermediate_size / tp,
        Some(experts) => {
            experts.num_experts_per_tok * experts.moe_intermediate_size / (tp / storage.expert_parallel_size)
        }
    };
    let heads = model.num_attention_heads / tp + 2 * config.kv_heads_per_rank(tp);
    let per_token = 3.0 * f64::from(width) + 4.0 * f64::from(model.hidden_size) + f64::from(heads * model.head_dim);
    let layer = 2.0 * per_token * f64::from(engine.max_num_batched_tokens);
    let logits = 6.0 * f64::from(model.vocab_size) * f64::from(engine.max_num_seqs);
    Bytes {
        bytes: whole_bytes(ACTIVATION_FACTOR * layer.max(logits)),
        basis: Basis::Estimate,
        reason: format!(
            "{ACTIVATION_FACTOR} × the larger of a layer's widest moment over max_num_batched_tokens and the logits of \
             max_num_seqs requests; the factor from vLLM's 1.26 GiB for Llama-3-8B on an 80 GB device (vllm-project/vllm \
             pull request 10511)."
        ),
    }
}

fn kv_cache_per_token(config: &ModelConfig, storage: Storage) -> Bytes {
    let model = &config.model;
    let heads = u64::from(config.kv_heads_per_rank(storage.tensor_parallel_size));
    let numbers = 2 * u64::from(model.num_hidden_layers) * heads * u64::from(model.head_dim);
    let plural = if storage.kv_bytes == 1 { "" } else { "s" };
    Bytes {
        bytes: numbers * storage.kv_bytes,
        basis: Basis::Derived,
        reason: format!(
            "Keys and values × layers × KV heads of a rank × head size × {} byte{plural}.",
            storage.kv_bytes
        ),
    }
}

/// A number of bytes from a formula, rounded.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what u64 and a profile hold")]
pub(crate) fn whole_bytes(bytes: f64) -> u64 {
    bytes.round().clamp(0.0, 1e15) as u64
}

#[cfg(test)]
mod tests {
    use super::{Storage, weights};
    use crate::import::model_config::ModelConfig;

    #[track_caller]
    fn check(model: &str, tensor_parallel_size: u32, expert_parallel_size: u32, matrix_bytes: u64, expect: u64) {
        let path = format!("{}/models/{model}.json", env!("CARGO_MANIFEST_DIR"));
        let config = ModelConfig::from_json(&std::fs::read(path).expect("a file"), model).expect("a model");
        let storage = Storage { matrix_bytes, kv_bytes: 2, tensor_parallel_size, expert_parallel_size };
        assert_eq!(weights(&config, storage).bytes, expect, "{model}");
    }

    #[test]
    fn a_rank_holds_its_share_of_the_matrices_and_all_of_the_norms() {
        check("llama-3.1-8b", 1, 1, 2, 2 * 8_030_261_248);
        // Half of everything but 65 norms of 4096 numbers.
        check("llama-3.1-8b", 2, 1, 2, 8_030_261_248 + 65 * 4096);
        // The embedding and the logits keep 16 bits.
        check("llama-3.1-8b", 1, 1, 1, 8_030_261_248 + 2 * 128_256 * 4096 + 65 * 4096);
        // Experts are spread either way: whole ones, or slices of each.
        check("qwen3-30b-a3b", 2, 2, 2, 30_544_916_480);
        check("qwen3-30b-a3b", 2, 1, 2, 30_544_916_480);
    }
}
