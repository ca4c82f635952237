//! The way in: a profile of a pack and a model.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;

use super::attention::Attention;
use super::error::ComposeError;
use super::layers::{Layers, Parts};
use super::rank::Ranks;
use super::setup::Setup;
use super::{drafter, formats, host, memory, mixed, notes, tables};
use crate::models::layers::ModelLayerKind;
use crate::models::shape::Mlp;
use crate::models::{ComputeCapability, KvCacheDtype, ModelConfig, ModelKvCache, ModelSettings, ModelShape};
use crate::operators::{Pack, sustained};
use crate::profile::schema::{
    Basis, Bytes, DeviceType, Engine, Hardware, Model, Profile, Provenance, ProvenanceKind, Validation,
};

/// vLLM's default share of a GPU's memory.
const GPU_MEMORY_UTILIZATION: f64 = 0.92;
/// vLLM's default tokens of a block on a GPU.
const BLOCK_SIZE: u32 = 16;

/// The profile of the model of `config` (a `config.json`), called `name`, on the GPU of `pack`, run as `setup` says. With
/// several data-parallel engines it is that of one of them.
///
/// # Errors
/// See [`ComposeError`].
pub fn compose(pack: &Pack, name: &str, config: &[u8], setup: &Setup) -> Result<Profile, ComposeError> {
    let settings = model_settings(pack, setup);
    let shape = ModelShape::from_json(config, &settings)?;
    let kv_cache = ModelKvCache::from_json(config, &settings)?;
    let ranks = Ranks::new(setup, &shape)?;
    let parts = Parts { pack, shape: &shape, ranks, setup };
    let is_fp8 = keeps_fp8(&kv_cache, &shape, setup);
    let layers = Layers::new(&parts)?;
    let attention = Attention::new(&parts, is_fp8)?;
    let step_time = tables::tables(&layers, &attention, &parts)?;
    let engine = engine(&parts, &kv_cache, &attention, is_fp8);
    let hardware = hardware(pack, ranks.tensor);
    let drafters = match &setup.drafter {
        Some(given) => vec![drafter::drafter(given, config, &parts, &settings, is_fp8)?],
        None => vec![],
    };
    let (mut host, front_end) = host::rule(&hardware);
    host.outside_graphs = Some(host::outside_graphs(memory::num_layers(&shape), keeps_up(&parts)));
    let mut notes = notes::notes(&parts, &layers, &attention, step_time.mixed_batch.as_ref());
    notes.extend(ModelConfig::note_on_defaults(config)?);
    let mut sources = pack.provenance.sources.clone();
    sources.extend(sustained::source(pack));
    sources.extend(step_time.mixed_batch.is_some().then(mixed::source));
    let profile = Profile {
        version: Profile::VERSION,
        provenance: Provenance {
            kind: ProvenanceKind::Derived,
            tool: "profiler".to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            date: pack.provenance.date.clone(),
            sources,
            host: None,
            range: None,
            notes,
        },
        model: model(name, &shape, &kv_cache),
        memory: memory::memory(&parts, &kv_cache.layers, &engine, &hardware),
        hardware,
        engine,
        step_time,
        drafters,
        host,
        front_end,
        validation: Validation::default(),
        smoothing: vec![],
    };
    profile.validate()?;
    Ok(profile)
}

/// Whether the products that most of a long pass consists of are at a rate that the GPU keeps up. Experts are not.
fn keeps_up(parts: &Parts<'_>) -> bool {
    let has_experts = parts.shape.layers.iter().any(|run| matches!(run.layer.mlp, Mlp::Experts(_)));
    !has_experts && sustained::flops(parts.pack, formats::of(parts.shape.formats.mlp)).is_some()
}

/// What decides about a model's layers and formats.
fn model_settings(pack: &Pack, setup: &Setup) -> ModelSettings {
    ModelSettings {
        dtype: setup.dtype,
        quantization: setup.quantization,
        kv_cache_dtype: setup.kv_cache_dtype,
        tensor_parallel_size: setup.tensor_parallel_size,
        compute_capability: ComputeCapability::from_name(&pack.gpu.compute_capability)
            .unwrap_or(ComputeCapability::HOPPER),
        ..ModelSettings::default()
    }
}

/// Whether keys and values have one byte a number: asked for, or by the checkpoint.
fn keeps_fp8(kv_cache: &ModelKvCache, shape: &ModelShape, setup: &Setup) -> bool {
    if setup.kv_cache_dtype != KvCacheDtype::Auto {
        return setup.kv_cache_dtype == KvCacheDtype::Fp8;
    }
    let full = kv_cache.layers.iter().find(|run| !run.is_mamba());
    full.is_some_and(|run| {
        let numbers = if run.kind == ModelLayerKind::Mla { 1 } else { 2 };
        let wide = u64::from(run.num_kv_heads) * u64::from(run.head_size) * numbers;
        run.kind != ModelLayerKind::Mla && run.bytes < wide.saturating_mul(shape.dtype.num_bytes())
            || run.kind == ModelLayerKind::Mla && run.bytes <= wide.saturating_mul(5) / 4
    })
}

fn hardware(pack: &Pack, num_devices: u32) -> Hardware {
    let gpu = &pack.gpu;
    Hardware {
        device_type: DeviceType::Cuda,
        name: gpu.name.clone(),
        num_devices,
        total_memory: Bytes { bytes: gpu.memory_bytes, basis: Basis::Estimate, reason: gpu.memory_reason.clone() },
        compute_capability: Some(gpu.compute_capability.clone()),
    }
}

fn engine(parts: &Parts<'_>, kv_cache: &ModelKvCache, attention: &Attention, is_fp8: bool) -> Engine {
    let (pack, shape, setup) = (parts.pack, parts.shape, parts.setup);
    let (max_num_seqs, max_num_batched_tokens) = pack.gpu.batch_defaults();
    Engine {
        vllm_version: setup.vllm_version.clone().unwrap_or_else(|| pack.provenance.vllm_version.clone()),
        dtype: dtype_name(shape).to_owned(),
        quantization: formats::quantization(shape.main_format()).map(ToOwned::to_owned),
        kv_cache_dtype: if is_fp8 { "fp8" } else { "auto" }.to_owned(),
        attention_backend: backend(&attention.kernels),
        tensor_parallel_size: parts.ranks.tensor,
        pipeline_parallel_size: 1,
        block_size: kv_cache.default_block_size.unwrap_or(BLOCK_SIZE),
        enforce_eager: false,
        max_model_len: kv_cache.max_model_len,
        gpu_memory_utilization: GPU_MEMORY_UTILIZATION,
        max_num_seqs,
        max_num_batched_tokens,
    }
}

const fn dtype_name(shape: &ModelShape) -> &'static str {
    match shape.dtype {
        crate::models::Dtype::Float32 => "float32",
        crate::models::Dtype::Float16 => "float16",
        crate::models::Dtype::Bfloat16 => "bfloat16",
    }
}

/// vLLM's name of the kernels; `None` if it is unclear.
fn backend(kernels: &[String]) -> Option<String> {
    let names = [("flash_attn", "FLASH_ATTN"), ("flashinfer", "FLASHINFER"), ("triton", "TRITON_ATTN")];
    let all = |part: &str| !kernels.is_empty() && kernels.iter().all(|kernel| kernel.contains(part));
    names.iter().find(|(part, _)| all(part)).map(|(_, name)| (*name).to_owned())
}

fn model(name: &str, shape: &ModelShape, kv_cache: &ModelKvCache) -> Model {
    let config = ModelConfig::of_layers(&shape.layers);
    Model {
        name: name.to_owned(),
        num_hidden_layers: config.num_hidden_layers,
        hidden_size: shape.hidden_size,
        intermediate_size: if config.intermediate_size == 0 { shape.hidden_size } else { config.intermediate_size },
        num_attention_heads: config.num_attention_heads,
        num_key_value_heads: config.num_key_value_heads,
        head_dim: config.head_dim,
        vocab_size: shape.vocab_size,
        dtype: dtype_name(shape).to_owned(),
        max_position_embeddings: kv_cache.max_model_len,
    }
}
