//! What is left for the KV cache: vLLM's rule at start-up (`gpu_worker.py::determine_available_memory`).
//!
//! Of the share that vLLM may use go the weights, what else stays resident, the peak of a pass of
//! `max_num_batched_tokens` tokens, and the estimate for CUDA graphs; the rest becomes blocks.
//!
//! The estimates rest on start-up logs of vLLM 0.19 on H100 (llm-d-planner, `accuracy/results/v0.19.0/logs`, Apache-2.0):
//! 1024 requests and 8192 tokens a pass, one to four ranks, models from 2 to 72 billion parameters. The formula of the
//! activations has 16 of their peaks, from 0.75 to 3.63 GiB, within 0.075 GiB but for one (Mixtral-8x7B, 0.17 too much).
//! Before 0.17 vLLM counted more: 5.64 instead of 2.23 GiB for
//! Qwen3-14B.

use anyhow::{Result, ensure};
use sim_core::models::layers::ModelLayers;
use sim_core::models::{ComputeCapability, Dtype, KvCacheDtype, ModelSettings};
use sim_core::profile::schema::{Basis, Bytes, Engine, KvCacheLayers, Memory};

use super::gpus::Gpu;
use super::model_config::ModelConfig;
use super::version::Version;

const GIB: f64 = 1_073_741_824.0;
/// vLLM 0.32.0's default.
pub(crate) const GPU_MEMORY_UTILIZATION: f64 = 0.92;
/// vLLM's default on a GPU.
pub(crate) const BLOCK_SIZE: u32 = 16;
/// vLLM set memory aside for CUDA graphs from this version on; before, it captured them in what was left.
const FIRST_WITH_GRAPHS: &str = "0.21.0";
/// Bytes for each request and word of the vocabulary: logits in 16 and in 32 bits, probabilities, random numbers.
const SAMPLING_BYTES: f64 = 14.0;
/// What is on top of the activations that the formula counts.
const OTHER_ACTIVATION_GIB: f64 = 0.05;
/// What stays beside the weights of one rank without collectives.
const RANK_GIB: f64 = 0.29;
/// CUDA graphs of a layer at the default capture sizes: 0.021 to 0.026 GiB with models of 32 to 80 layers.
const GRAPHS_PER_LAYER_GIB: f64 = 0.024;

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
    Ok(Memory {
        weights: weights(config, storage),
        other_resident: other_resident(storage.tensor_parallel_size, gpu),
        activation_peak: activation_peak(config, storage, engine),
        cuda_graphs: cuda_graphs(config),
        kv_cache_per_token: kv_cache_per_token(&layers, storage),
        kv_cache_layers: layers.iter().map(KvCacheLayers::from).collect(),
        reported: None,
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

/// Memory as an engine of another version would count it: see [`FIRST_WITH_GRAPHS`].
pub(crate) fn of_version(memory: &mut Memory, vllm: &Version) {
    if Version::parse(FIRST_WITH_GRAPHS).is_some_and(|first| *vllm < first) {
        memory.cuda_graphs.bytes = 0;
    }
}

/// What several ranks keep for their collectives depends on the device: vLLM gives buffers to all-reduces over symmetric
/// memory (`device_communicators/symm_mem.py`) and to those fused with a norm (`config/vllm.py`,
/// `enable_allreduce_rms_fusion`) on capabilities 9.0 and 10.x only.
fn other_resident(tp: u32, gpu: &Gpu) -> Bytes {
    let has_buffers = gpu.compute_capability == "9.0" || gpu.compute_capability.starts_with("10.");
    let logs = "start-up logs of vLLM 0.19 on H100 (llm-d-planner)";
    let (gib, reason) = match (tp, has_buffers) {
        (1, _) => (RANK_GIB, format!("Library workspaces and the allocator's share, from {logs}.")),
        (2, true) => (2.10, format!("Library workspaces and the collectives' buffers, from {logs} with two ranks.")),
        (_, true) => (2.20, format!("Library workspaces and the collectives' buffers, from {logs} with four ranks.")),
        // `misc.nccl_mem` of aiconfigurator-core 0.12.0.
        (_, false) => (
            RANK_GIB + if tp == 2 { 342.0 } else { 392.0 } / 1024.0,
            format!("Library workspaces from {logs}, and NCCL's memory as aiconfigurator-core has it."),
        ),
    };
    Bytes { bytes: whole_bytes(gib * GIB), basis: Basis::Estimate, reason }
}

fn cuda_graphs(config: &ModelConfig) -> Bytes {
    Bytes {
        bytes: whole_bytes(GRAPHS_PER_LAYER_GIB * f64::from(config.model.num_hidden_layers) * GIB),
        basis: Basis::Estimate,
        reason: format!(
            "{GRAPHS_PER_LAYER_GIB} GiB a layer, from what vLLM 0.19 estimated on H100 for models of 32 to 80 layers at the \
             default capture sizes (llm-d-planner)."
        ),
    }
}

/// What activations are made of, on one rank.
struct Widths {
    hidden: u32,
    vocab: u32,
    /// Of the MLP; 0 with experts.
    intermediate: u32,
    /// Experts of a token, and the width of one.
    experts: (u32, u32),
}

impl Widths {
    /// The widest moment of a layer, or sampling for a full batch, whichever is more; and the workspace of experts, which
    /// stays.
    fn activation_bytes(&self, max_num_batched_tokens: u32, max_num_seqs: u32) -> f64 {
        let [hidden, vocab, intermediate] = [self.hidden, self.vocab, self.intermediate].map(f64::from);
        let [per_token, width] = [self.experts.0, self.experts.1].map(f64::from);
        let [tokens, requests] = [max_num_batched_tokens, max_num_seqs.min(max_num_batched_tokens)].map(f64::from);
        let layer = 2.0 * tokens * (3.0 * intermediate + 4.0 * hidden);
        let sampling = SAMPLING_BYTES * requests * vocab + 4.0 * hidden * tokens;
        let experts = 2.0 * tokens * per_token * (3.0 * width + hidden);
        layer.max(sampling) + experts + OTHER_ACTIVATION_GIB * GIB
    }
}

fn activation_peak(config: &ModelConfig, storage: Storage, engine: &Engine) -> Bytes {
    let tp = storage.tensor_parallel_size;
    let model = &config.model;
    let widths = Widths {
        hidden: model.hidden_size,
        vocab: model.vocab_size,
        intermediate: if config.experts.is_some() { 0 } else { model.intermediate_size / tp },
        experts: config.experts.map_or((0, 0), |experts| {
            (experts.num_experts_per_tok, experts.moe_intermediate_size / (tp / storage.expert_parallel_size))
        }),
    };
    Bytes {
        bytes: whole_bytes(widths.activation_bytes(engine.max_num_batched_tokens, engine.max_num_seqs)),
        basis: Basis::Estimate,
        reason: format!(
            "The larger of a layer's widest moment over max_num_batched_tokens and {SAMPLING_BYTES} bytes a word of the \
             vocabulary for each of max_num_seqs requests, the experts' workspace, and {OTHER_ACTIVATION_GIB} GiB: a \
             formula held against start-up logs of vLLM 0.19 on H100 (llm-d-planner)."
        ),
    }
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

    use super::{GIB, Storage, Widths, memory, of_version, weights};
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
        let peak = Widths { hidden, vocab, intermediate, experts }.activation_bytes(8192, 1024) / GIB;
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
        check_peak([2048, 151_936, 0], (4, 1408), 2.47, 0.075); // Qwen1.5-MoE-A2.7B
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
