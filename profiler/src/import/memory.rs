//! What is left for the KV cache: vLLM's rule at start-up (`gpu_worker.py::determine_available_memory`).
//!
//! Of the share that vLLM may use go the weights, what else stays resident, the peak of a pass of
//! `max_num_batched_tokens` tokens, and the estimate for CUDA graphs; the rest becomes blocks.
//!
//! The amounts are estimates by one rule, `sim_core::models::memory`, which is held against published start-up logs. A
//! profile has them for its own limits, and the rule's coefficients for a run's.

use anyhow::{Result, ensure};
use sim_core::models::layers::ModelLayers;
use sim_core::models::memory::{MemoryEra, MemoryLimits, MemorySettings, MemoryWidths, other_resident};
use sim_core::models::{ComputeCapability, Dtype, KvCacheDtype, ModelSettings};
use sim_core::profile::CaptureSizes;
use sim_core::profile::schema::{Basis, Bytes, Engine, KvCacheLayers, LimitTerms, Memory};

use super::gpus::Gpu;
use super::model_config::ModelConfig;
use super::version::Version;

const GIB: f64 = 1_073_741_824.0;
/// vLLM 0.32.0's default.
pub(crate) const GPU_MEMORY_UTILIZATION: f64 = 0.92;
/// vLLM's default on a GPU.
pub(crate) const BLOCK_SIZE: u32 = 16;
/// vLLM sets memory aside for CUDA graphs from this version on.
const FIRST_WITH_GRAPHS: &str = "0.21.0";
/// Where the estimates come from.
const RULE: &str = "a formula held against start-up logs that people published (tests/data/startup_logs).";

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
///
/// # Errors
/// If it is not known what the layers keep.
pub(crate) fn memory(config: &ModelConfig, storage: Storage, engine: &Engine, gpu: &Gpu) -> Result<Memory> {
    let layers = config.kv_cache_layers(&model_settings(storage, gpu))?;
    let settings = memory_settings(storage, engine, gpu);
    let (terms, limits) = (widths(config, storage).terms(&settings), limits(engine, gpu));
    Ok(Memory {
        weights: weights(config, storage),
        other_resident: estimate(other_resident(&settings), "Library workspaces and the collectives' buffers"),
        activation_peak: estimate(terms.activation_peak(&limits), "The peak of the largest pass"),
        cuda_graphs: estimate(terms.cuda_graphs(&limits), "CUDA graphs of the default capture sizes"),
        kv_cache_per_token: kv_cache_per_token(&layers, storage),
        kv_cache_layers: layers.iter().map(KvCacheLayers::from).collect(),
        reported: None,
        limit_terms: Some(LimitTerms::new(&terms, Basis::Estimate, format!("Both by the limits of a run, by {RULE}"))),
    })
}

/// The engine arguments that decide about the cache.
fn model_settings(storage: Storage, gpu: &Gpu) -> ModelSettings {
    let kv_cache_dtype = if storage.kv_bytes == 1 { KvCacheDtype::Fp8 } else { KvCacheDtype::Plain(Dtype::Bfloat16) };
    ModelSettings {
        tensor_parallel_size: storage.tensor_parallel_size,
        kv_cache_dtype,
        compute_capability: ComputeCapability::from_name(gpu.compute_capability).unwrap_or(ComputeCapability::HOPPER),
        ..ModelSettings::default()
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

/// Memory as an engine of another version would count it: CUDA graphs were captured in what was left.
pub(crate) fn of_version(memory: &mut Memory, vllm: &Version) {
    if Version::parse(FIRST_WITH_GRAPHS).is_some_and(|first| *vllm < first) {
        memory.cuda_graphs.bytes = 0;
        if let Some(terms) = &mut memory.limit_terms {
            terms.graph_bytes_per_capture_size = 0;
        }
    }
}

/// What the rule is asked for: `sim_core::models::memory`.
fn memory_settings(storage: Storage, engine: &Engine, gpu: &Gpu) -> MemorySettings {
    MemorySettings {
        tensor_parallel_size: storage.tensor_parallel_size,
        pipeline_parallel_size: engine.pipeline_parallel_size,
        expert_parallel_size: storage.expert_parallel_size,
        compute_capability: ComputeCapability::from_name(gpu.compute_capability).unwrap_or(ComputeCapability::HOPPER),
        era: MemoryEra::default(),
    }
}

/// The limits that a profile's own amounts are for.
fn limits(engine: &Engine, gpu: &Gpu) -> MemoryLimits {
    let ceiling = CaptureSizes::ceiling(&gpu.hardware(1));
    let sizes = CaptureSizes::vllm_default(engine.max_num_seqs, engine.max_num_batched_tokens, ceiling);
    let count = if engine.enforce_eager { 0 } else { sizes.as_slice().len() };
    MemoryLimits {
        max_num_batched_tokens: engine.max_num_batched_tokens,
        max_num_seqs: engine.max_num_seqs,
        num_capture_sizes: u32::try_from(count).unwrap_or(u32::MAX),
    }
}

/// What activations are made of, on one rank.
fn widths(config: &ModelConfig, storage: Storage) -> MemoryWidths {
    let tp = storage.tensor_parallel_size;
    let model = &config.model;
    MemoryWidths {
        hidden_size: model.hidden_size,
        vocab_size: model.vocab_size,
        intermediate_size: if config.experts.is_some() { 0 } else { model.intermediate_size / tp },
        experts: config.experts.map_or((0, 0), |experts| {
            (experts.num_experts_per_tok, experts.moe_intermediate_size / (tp / storage.expert_parallel_size))
        }),
        num_layers: model.num_hidden_layers,
        ..MemoryWidths::default()
    }
}

fn estimate(bytes: u64, what: &str) -> Bytes {
    Bytes { bytes, basis: Basis::Estimate, reason: format!("{what}, by {RULE}") }
}

fn kv_cache_per_token(layers: &[ModelLayers], storage: Storage) -> Bytes {
    let plural = if storage.kv_bytes == 1 { "" } else { "s" };
    Bytes {
        bytes: layers.iter().map(|run| u64::from(run.num_layers) * run.bytes).sum(),
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
    use sim_core::profile::schema::{Engine, Memory};

    use sim_core::models::memory::{MemoryLimits, MemorySettings, MemoryWidths};

    use super::{GIB, Storage, memory, of_version, weights};
    use crate::import::gpus;
    use crate::import::model_config::ModelConfig;
    use crate::import::version::Version;

    fn model(name: &str) -> ModelConfig {
        let path = format!("{}/models/{name}.json", env!("CARGO_MANIFEST_DIR"));
        ModelConfig::from_json(&std::fs::read(path).expect("a file"), name).expect("a model")
    }

    #[track_caller]
    fn check(name: &str, tensor_parallel_size: u32, expert_parallel_size: u32, matrix_bytes: u64, expect: u64) {
        let storage = Storage { matrix_bytes, kv_bytes: 2, tensor_parallel_size, expert_parallel_size };
        assert_eq!(weights(&model(name), storage).bytes, expect, "{name}");
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

    /// An engine with these limits; nothing else of it counts.
    fn engine(max_num_seqs: u32, max_num_batched_tokens: u32) -> Engine {
        Engine {
            vllm_version: "0.32.0".to_owned(),
            dtype: "bfloat16".to_owned(),
            quantization: None,
            kv_cache_dtype: "auto".to_owned(),
            attention_backend: None,
            tensor_parallel_size: 1,
            pipeline_parallel_size: 1,
            block_size: 16,
            enforce_eager: false,
            max_model_len: 8192,
            gpu_memory_utilization: 0.95,
            max_num_seqs,
            max_num_batched_tokens,
        }
    }

    /// Blocks of 16 tokens in `allowed_gib`, within 2 % of what a real engine logged.
    #[track_caller]
    fn check_blocks(memory: &Memory, allowed_gib: f64, logged: u32) {
        let parts = [&memory.weights, &memory.other_resident, &memory.activation_peak, &memory.cuda_graphs];
        let taken: u64 = parts.iter().map(|part| part.bytes).sum();
        let blocks = (allowed_gib * GIB - taken as f64) / (16.0 * memory.kv_cache_per_token.bytes as f64);
        let error = blocks / f64::from(logged) - 1.0;
        assert!(error.abs() < 0.02, "{blocks:.0} blocks instead of {logged}: {:+.1} %", 100.0 * error);
    }

    /// Start-up logs of vLLM 0.19 on H100 with 75.23 GiB allowed (llm-d-planner, accuracy/results/v0.19.0/logs).
    #[track_caller]
    fn check_h100(name: &str, tensor_parallel_size: u32, [matrix_bytes, kv_bytes]: [u64; 2], logged: u32) {
        let storage = Storage { matrix_bytes, kv_bytes, tensor_parallel_size, expert_parallel_size: 1 };
        let mut memory = memory(&model(name), storage, &engine(1024, 8192), gpus::find("h100_sxm").expect("known"))
            .expect("a known cache");
        of_version(&mut memory, &Version::parse("0.19.0").expect("a version"));
        check_blocks(&memory, 75.23, logged);
    }

    #[test]
    fn the_cache_has_as_many_blocks_as_real_engines_found_room_for() {
        check_h100("llama-3.1-8b", 1, [2, 2], 29_751);
        check_h100("llama-3.1-8b", 1, [2, 1], 59_502);
        check_h100("llama-3.1-8b", 1, [1, 2], 33_078);
        check_h100("llama-3.1-8b", 2, [2, 2], 65_293);
        check_h100("llama-3.1-8b", 4, [2, 2], 138_112);
        check_h100("qwen3-8b", 1, [2, 2], 26_168);
        check_h100("qwen3-30b-a3b", 1, [2, 2], 10_518);
        check_h100("llama-3.3-70b", 2, [1, 2], 15_269);
        check_h100("llama-3.3-70b", 4, [1, 2], 44_312);
    }

    /// The peak that a real engine logged, in GiB.
    #[track_caller]
    fn check_peak([hidden, vocab, intermediate]: [u32; 3], experts: (u32, u32), logged: f64, most: f64) {
        let widths = MemoryWidths {
            hidden_size: hidden,
            vocab_size: vocab,
            intermediate_size: intermediate,
            experts,
            ..MemoryWidths::default()
        };
        let limits = MemoryLimits { max_num_batched_tokens: 8192, max_num_seqs: 1024, num_capture_sizes: 0 };
        let peak = widths.terms(&MemorySettings::default()).activation_peak(&limits) as f64 / GIB;
        assert!((peak - logged).abs() < most, "{peak:.3} GiB instead of {logged}: {hidden}, {vocab}");
    }

    /// The same logs; Qwen3-14B's is of vLLM 0.18.
    #[test]
    fn activations_peak_as_high_as_real_engines_logged() {
        let dense = |widths, logged| check_peak(widths, (0, 0), logged, 0.075);
        dense([4096, 128_256, 14_336], 1.89); // Llama-3.1-8B
        dense([4096, 128_256, 14_336 / 4], 1.89); // the same, one of four ranks
        dense([3584, 152_064, 18_944], 2.21); // Qwen2.5-7B
        dense([4096, 151_936, 12_288], 2.21); // Qwen3-8B
        dense([5120, 151_936, 17_408], 2.23); // Qwen3-14B
        dense([4096, 32_016, 11_008], 0.77); // CodeLlama-7b
        dense([2048, 49_155, 8192], 0.75); // granite-3.1-2b
        dense([4096, 49_155, 12_800], 0.85); // granite-3.1-8b
        dense([5120, 100_352, 17_920], 1.52); // phi-4
        dense([3072, 256_000, 24_576], 3.63); // gemma-7b
        dense([8192, 128_256, 28_672 / 2], 1.96); // Llama-3.3-70B, one of two ranks
        dense([8192, 152_064, 29_568 / 2], 2.29); // Qwen2.5-72B, one of two ranks
        dense([2560, 51_200, 10_240], 0.79); // phi-2
        check_peak([2048, 151_936, 0], (8, 768), 2.68, 0.075); // Qwen3-30B-A3B
        check_peak([2048, 151_936, 0], (4, 1408), 2.47, 0.09); // Qwen1.5-MoE-A2.7B
        check_peak([4096, 32_000, 0], (2, 14_336 / 2), 1.21, 0.18); // Mixtral-8x7B, one of two ranks
    }

    /// vLLM 0.31 with its defaults on an A100 of 80 GB: 460,496 tokens, of 72.91 GiB allowed. From a log that somebody
    /// published; it is part of no estimate here.
    #[test]
    fn graphs_count_as_later_versions_count_them() {
        let storage = Storage { matrix_bytes: 2, kv_bytes: 2, tensor_parallel_size: 1, expert_parallel_size: 1 };
        let mut memory =
            memory(&model("llama-3.1-8b"), storage, &engine(256, 2048), gpus::find("a100_sxm").expect("known"))
                .expect("a known cache");
        of_version(&mut memory, &Version::parse("0.31.0").expect("a version"));
        check_blocks(&memory, 72.91, 28_781);
    }
}
