//! What this engine says of itself: sizes from a `config.json`, settings as vLLM 0.32.0 would resolve them on this
//! device, KV blocks from its memory.

use anyhow::{Context, Result, ensure};
use sim_core::config::{Device, EngineConfig, KvCacheMemory, Platform, UsageContext};
use sim_core::models::layers::ModelLayers;
use sim_core::profile::CaptureSizes;
use sim_core::profile::schema::{Basis, Bytes, DeviceType, Engine, Hardware, KvCacheLayers, Memory, Model};

use super::buffers::BufferSizes;
use super::device::DeviceProperties;
use super::flags::CudaFlags;
use super::number::Storage;
use super::shape::Shape;
use crate::engine::EngineFacts;
use crate::verify::recorded_groups::Planning;

/// vLLM's usual block size on a GPU.
const BLOCK_SIZE: u32 = 16;
const GPU_MEMORY_UTILIZATION: f64 = 0.92;
/// What start-up logs of vLLM name for CUDA graphs of models of 8 billion parameters: 0.4 to 0.7 GiB.
const CUDA_GRAPH_BYTES: u64 = (6 << 30) / 10;
/// First compute capability with the tensor-core instructions of the attention kernel.
pub(crate) const LEAST_CAPABILITY: (u32, u32) = (8, 0);
/// First compute capability that converts to e4m3 and multiplies in it.
pub(crate) const LEAST_FP8_CAPABILITY: (u32, u32) = (8, 9);

/// The facts of an engine for all of a model, `shape`, on a device and others like it; `name` is what the user called the
/// model.
///
/// # Errors
/// If the device is too old, or vLLM would not start with these flags on it.
pub(crate) fn facts(
    device: &DeviceProperties,
    shape: &Shape,
    flags: &CudaFlags,
    name: &str,
) -> Result<(EngineFacts, BufferSizes)> {
    let (major, minor) = device.compute_capability;
    ensure!(
        device.compute_capability >= LEAST_CAPABILITY,
        "{} has compute capability {major}.{minor}; the engine's attention kernel needs 8.0 or later",
        device.name
    );
    ensure!(
        !shape.uses_fp8() || device.compute_capability >= LEAST_FP8_CAPABILITY,
        "{} has compute capability {major}.{minor}; fp8 needs 8.9 or later here (vLLM keeps weights in fp8 on older \
         devices too, and multiplies in 16 bits)",
        device.name
    );
    let hardware = Hardware {
        device_type: DeviceType::Cuda,
        name: device.name.clone(),
        num_devices: flags.tensor_parallel_size(),
        total_memory: bytes(device.total_memory_bytes, Basis::Measured, "As the driver reports it."),
        compute_capability: Some(format!("{major}.{minor}")),
    };
    // What one rank has of the model is what one device's memory holds.
    let model = model_of(shape, name);
    let shape = &shape.rank(flags.tensor_parallel_size())?;
    // The buffers' size follows from the limits of a pass, which do not follow from the buffers' size.
    let without_buffers = resolve(device, shape, flags, &memory(device, shape, flags, 0))?;
    let sizes = buffer_sizes(&without_buffers, shape, device.num_multiprocessors);
    let memory = memory(device, shape, flags, sizes.bytes(shape));
    let config = resolve(device, shape, flags, &memory)?;
    let sizes = buffer_sizes(&config, shape, device.num_multiprocessors);
    let capture_sizes = if flags.enforce_eager {
        CaptureSizes::none()
    } else {
        let ceiling = CaptureSizes::ceiling(&hardware);
        CaptureSizes::vllm_default(config.max_num_seqs, config.max_num_batched_tokens, ceiling)
    };
    let facts = EngineFacts {
        model,
        engine: engine(shape, flags, &config),
        hardware,
        memory,
        capture_sizes: capture_sizes.as_slice().to_vec(),
        host: host(device),
        versions: device.versions.clone(),
        planning: Planning::default(),
        config,
    };
    Ok((facts, sizes))
}

fn bytes(bytes: u64, basis: Basis, reason: &str) -> Bytes {
    Bytes { bytes, basis, reason: reason.to_owned() }
}

fn memory(device: &DeviceProperties, shape: &Shape, flags: &CudaFlags, buffer_bytes: u64) -> Memory {
    let graphs = if flags.enforce_eager {
        bytes(0, Basis::Derived, "No CUDA graphs with enforce_eager.")
    } else {
        let reason = "Start-up logs of vLLM name 0.4 to 0.7 GiB for models of 8 billion parameters with default sizes.";
        bytes(CUDA_GRAPH_BYTES, Basis::Estimate, reason)
    };
    let bytes_per_token = shape.kv_bytes_per_token();
    Memory {
        weights: bytes(
            shape.weight_bytes(),
            Basis::Derived,
            "From the model's sizes, 2 bytes a weight; with fp8 1 byte in the layers' matrices.",
        ),
        other_resident: bytes(
            device.used_memory_bytes,
            Basis::Measured,
            "In use before the model was allocated: the context of profiler's process, and other programs. vLLM's is \
             about as large.",
        ),
        activation_peak: bytes(
            buffer_bytes,
            Basis::Derived,
            "The buffers of profiler's own operators for the largest pass; vLLM's peak is another.",
        ),
        cuda_graphs: graphs,
        kv_cache_per_token: bytes(
            bytes_per_token,
            Basis::Derived,
            "Keys and values × layers × key heads × width of a head × 2 bytes, or 1 with fp8.",
        ),
        kv_cache_layers: vec![KvCacheLayers::full_attention(
            shape.num_layers,
            shape.kv_heads,
            shape.head_dim,
            bytes_per_token,
        )],
        reported: None,
        limit_terms: None,
    }
}

/// vLLM's defaults and refusals for this device and memory.
fn resolve(device: &DeviceProperties, shape: &Shape, flags: &CudaFlags, memory: &Memory) -> Result<EngineConfig> {
    let parts = [&memory.weights, &memory.other_resident, &memory.activation_peak, &memory.cuda_graphs];
    let platform = Platform {
        device: Device::Gpu {
            name: device.name.clone(),
            total_memory_bytes: device.total_memory_bytes,
            compute_capability: None,
        },
        usage_context: UsageContext::OpenAiApiServer,
        model_max_len: shape.max_position_embeddings,
        tensor_parallel_size: flags.tensor_parallel_size(),
        pipeline_parallel_size: 1,
        default_block_size: Some(BLOCK_SIZE),
        kernel_block_size: BLOCK_SIZE,
        max_kernel_block_size: None,
        layers: vec![ModelLayers::full_attention(memory.kv_cache_per_token.bytes)],
        drafters: vec![],
        kv_cache: KvCacheMemory::Measured { non_kv_cache_bytes: parts.iter().map(|part| part.bytes).sum() },
    };
    Ok(flags.args.resolve(&platform).context("the engine's settings")?.config)
}

fn buffer_sizes(config: &EngineConfig, shape: &Shape, num_multiprocessors: u32) -> BufferSizes {
    let table_width = config.max_model_len.div_ceil(config.block_size());
    // A pass of fewer tokens may be padded up to the largest graph, which is no larger than this.
    let max_rows = config.max_num_batched_tokens;
    BufferSizes::new(shape, max_rows, config.max_num_seqs, table_width, num_multiprocessors)
}

fn model_of(shape: &Shape, name: &str) -> Model {
    Model {
        name: name.to_owned(),
        num_hidden_layers: shape.num_layers,
        hidden_size: shape.hidden,
        intermediate_size: shape.intermediate,
        num_attention_heads: shape.q_heads,
        num_key_value_heads: shape.kv_heads,
        head_dim: shape.head_dim,
        vocab_size: shape.vocab,
        dtype: shape.format.name().to_owned(),
        max_position_embeddings: shape.max_position_embeddings,
    }
}

fn engine(shape: &Shape, flags: &CudaFlags, config: &EngineConfig) -> Engine {
    Engine {
        vllm_version: config.vllm_version.to_string(),
        dtype: shape.format.name().to_owned(),
        quantization: flags.quantization.clone().or_else(|| (shape.linear == Storage::Fp8).then(|| "fp8".to_owned())),
        kv_cache_dtype: flags.kv_cache_dtype.clone().unwrap_or_else(|| "auto".to_owned()),
        attention_backend: Some("profiler's own kernels".to_owned()),
        tensor_parallel_size: flags.tensor_parallel_size(),
        pipeline_parallel_size: 1,
        block_size: config.block_size(),
        enforce_eager: flags.enforce_eager,
        max_model_len: config.max_model_len,
        gpu_memory_utilization: flags.args.gpu_memory_utilization.unwrap_or(GPU_MEMORY_UTILIZATION),
        max_num_seqs: config.max_num_seqs,
        max_num_batched_tokens: config.max_num_batched_tokens,
    }
}

fn host(device: &DeviceProperties) -> String {
    let copy = device
        .copy_bytes_per_s
        .map_or(String::new(), |rate| format!(", {:.0} GB/s copying (bytes read and written)", rate / 1e9));
    let versions: Vec<String> = device.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    format!("{}, {} multiprocessors{copy}; {}", device.name, device.num_multiprocessors, versions.join(", "))
}

#[cfg(test)]
mod tests {
    use super::facts;
    use crate::cuda::flags::tests::flags;
    use crate::cuda::mock::properties;
    use crate::cuda::shape::tests::{llama_8b, shape_of, shape_with};
    use crate::engine::EngineFacts;

    fn facts_of(words: &str) -> anyhow::Result<EngineFacts> {
        let shape = shape_with(&llama_8b(), words)?;
        Ok(facts(&properties(), &shape, &flags(words)?, "llama")?.0)
    }

    #[test]
    fn the_settings_are_those_of_vllm_on_such_a_device() {
        let facts = facts_of("").expect("an engine");
        let config = &facts.config;
        assert_eq!((config.max_num_seqs, config.max_num_batched_tokens, config.block_size()), (1024, 8192, 16));
        assert_eq!((config.max_model_len, config.async_scheduling), (131_072, false));
        assert_eq!(facts.capture_sizes.last(), Some(&512));
        assert_eq!(facts.hardware.compute_capability.as_deref(), Some("9.0"));
    }

    #[test]
    fn blocks_are_what_the_memory_leaves() {
        let facts = facts_of("--gpu-memory-utilization 0.5").expect("an engine");
        let memory = &facts.memory;
        let parts = [&memory.weights, &memory.other_resident, &memory.activation_peak, &memory.cuda_graphs];
        let taken: u64 = parts.iter().map(|part| part.bytes).sum();
        let requested = facts.hardware.total_memory.bytes.div_ceil(2);
        assert_eq!(u64::from(facts.config.num_gpu_blocks), (requested - taken) / (16 * 131_072));
        assert!(memory.activation_peak.bytes > 1 << 30, "{} bytes of buffers", memory.activation_peak.bytes);
    }

    #[test]
    fn without_graphs_there_are_no_sizes_and_no_memory_for_them() {
        let facts = facts_of("--enforce-eager").expect("an engine");
        assert_eq!((facts.capture_sizes.len(), facts.memory.cuda_graphs.bytes), (0, 0));
        assert!(facts.engine.enforce_eager, "not in the profile");
    }

    #[test]
    fn what_does_not_fit_is_refused_as_vllm_refuses_it() {
        let error = format!("{:#}", facts_of("--gpu-memory-utilization 0.2").expect_err("weights alone take more"));
        assert!(error.contains("gpu_memory_utilization"), "{error}");
        let mut old = properties();
        old.compute_capability = (7, 5);
        let shape = shape_of(&llama_8b()).expect("a model");
        let error = facts(&old, &shape, &flags("").expect("no flags"), "llama").expect_err("too old").to_string();
        assert!(error.contains("compute capability 7.5"), "{error}");
    }

    #[test]
    fn fp8_takes_less_memory_and_is_named() {
        let [half, eight] =
            ["", "--quantization fp8 --kv-cache-dtype fp8"].map(|words| facts_of(words).expect("facts"));
        let engine = &eight.engine;
        assert_eq!((engine.quantization.as_deref(), engine.kv_cache_dtype.as_str()), (Some("fp8"), "fp8"));
        assert_eq!((half.engine.quantization, half.engine.kv_cache_dtype.as_str()), (None, "auto"));
        assert_eq!(eight.memory.kv_cache_per_token.bytes * 2, half.memory.kv_cache_per_token.bytes);
        assert!(eight.memory.weights.bytes < half.memory.weights.bytes * 6 / 10, "{:?}", eight.memory.weights);
        assert!(eight.config.num_gpu_blocks > 2 * half.config.num_gpu_blocks, "{:?}", eight.config);
    }

    #[test]
    fn ranks_are_counted_and_memory_is_that_of_one() {
        let [one, four] = ["", "--tensor-parallel-size 4"].map(|words| facts_of(words).expect("facts"));
        assert_eq!((four.hardware.num_devices, four.engine.tensor_parallel_size), (4, 4));
        assert_eq!((one.hardware.num_devices, one.engine.tensor_parallel_size), (1, 1));
        assert_eq!(one.model, four.model);
        assert_eq!(four.memory.kv_cache_per_token.bytes * 4, one.memory.kv_cache_per_token.bytes);
        assert!(four.memory.weights.bytes * 39 / 10 < one.memory.weights.bytes, "{:?}", four.memory.weights);
        assert!(four.config.num_gpu_blocks > 4 * one.config.num_gpu_blocks, "{:?}", four.config);
    }

    #[test]
    fn fp8_needs_a_device_that_multiplies_in_it() {
        let mut old = properties();
        old.compute_capability = (8, 6);
        for words in ["--quantization fp8", "--kv-cache-dtype fp8"] {
            let shape = shape_with(&llama_8b(), words).expect("a model");
            let error = facts(&old, &shape, &flags(words).expect("flags"), "llama").expect_err("too old").to_string();
            assert!(error.contains("compute capability 8.6; fp8 needs 8.9"), "{error}");
        }
    }
}
