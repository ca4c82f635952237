//! `profiler import aiconfigurator`: operator times that NVIDIA's aiconfigurator measured, composed into step tables.
//!
//! The Python package `aiconfigurator-core` (PyPI, Apache-2.0) carries parquet tables of single operators, measured in
//! real vLLM layers: matrix products, attention, all-reduce, experts. [`package`] finds them in an installed package or
//! a wheel, [`columns`] reads them under limits, [`measured`] takes the median of versions and repeats. [`gemm`],
//! [`attention`] and [`layer`] make the operators of one model of them, and [`step_tables`] sums those up.
//! [`cold`] takes back what a warm cache did to decodes' attention, [`mixed`] says what such passes take that were not
//! measured, and [`noise`] refuses what the data cannot support. [`all_reduce`] serves importers of layers of one rank.
//!
//! The package's own rules are followed where it measured nothing, so that a comparison with its own estimates checks
//! the reading: `bytes / (0.8 × bandwidth) + 3 us` for what only moves memory, utilisation of the nearest shapes for
//! a matrix shape, `(s² − p²) / s²` of a whole prompt's attention for a part over `p` earlier tokens.

pub(crate) mod columns;
mod all_reduce;
mod attention;
mod cold;
mod footer;
mod gemm;
mod guard;
mod layer;
pub(crate) mod measured;
mod mixed;
mod noise;
mod notes;
pub(crate) mod package;
mod series;
mod step_tables;
mod thrift;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use sim_core::profile::schema::{Engine, Source};

pub(crate) use self::all_reduce::AllReduces;
use self::attention::Attention;
use self::package::{Package, TableFile, Versions};
use super::assemble::DerivedParts;
use super::gpus::{self, Gpu};
use super::memory::{self, BLOCK_SIZE, GPU_MEMORY_UTILIZATION, Storage};
use super::model_config::ModelConfig;
use super::version::Version;

/// Number format of the matrices, by aiconfigurator's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Dtype {
    /// 16 bits, as most checkpoints have it.
    #[default]
    Bfloat16,
    /// 8 bits, one scale per tensor or channel.
    Fp8,
    /// 8 bits, one scale per block of 128 × 128.
    Fp8Block,
}

/// Number format of the KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum KvCacheDtype {
    /// The model's own, 16 bits.
    #[default]
    Auto,
    /// 8 bits.
    Fp8,
}

/// How tokens spread over experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum MoeDistribution {
    /// Each expert gets as many.
    #[value(name = "balanced")]
    Balanced,
    /// Some get more.
    #[value(name = "power_law_1.01")]
    PowerLaw101,
    /// Some get much more; the package's own default.
    #[default]
    #[value(name = "power_law_1.2")]
    PowerLaw12,
}

impl Dtype {
    /// As in the tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bfloat16 => "bfloat16",
            Self::Fp8 => "fp8",
            Self::Fp8Block => "fp8_block",
        }
    }

    pub(crate) const fn bytes(self) -> u32 {
        match self {
            Self::Bfloat16 => 2,
            Self::Fp8 | Self::Fp8Block => 1,
        }
    }
}

impl KvCacheDtype {
    /// As in the tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Auto => "bfloat16",
            Self::Fp8 => "fp8",
        }
    }

    pub(crate) const fn bytes(self) -> u32 {
        match self {
            Self::Auto => 2,
            Self::Fp8 => 1,
        }
    }
}

impl MoeDistribution {
    /// As in the tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::PowerLaw101 => "power_law_1.01",
            Self::PowerLaw12 => "power_law_1.2",
        }
    }
}

/// What a profile is wanted for.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) config: ModelConfig,
    pub(crate) system: String,
    /// The version of vLLM whose tables are read; the newest with all tables if `None`.
    pub(crate) vllm_version: Option<String>,
    pub(crate) dtype: Dtype,
    pub(crate) kv_cache_dtype: KvCacheDtype,
    pub(crate) tensor_parallel_size: u32,
    /// Ranks that the experts are spread over; the others of `tensor_parallel_size` share each expert.
    pub(crate) expert_parallel_size: u32,
    pub(crate) moe_distribution: MoeDistribution,
}

/// The tables of one system, up to one version, newest first.
struct Tables {
    gemm: Vec<TableFile>,
    context_attention: Vec<TableFile>,
    generation_attention: Vec<TableFile>,
    allreduce: Vec<TableFile>,
    moe: Vec<TableFile>,
}

/// Reads the package at `data` and composes the tables that `options` want.
///
/// # Errors
/// If the package cannot be read, has not what is needed, its data are refused, or the model does not fit the devices.
pub(crate) fn import(data: &Path, options: &Options) -> Result<DerivedParts> {
    let gpu = gpus::find(&options.system)?;
    check_options(options, gpu)?;
    let mut package = Package::open(data, &options.system)?;
    let Versions { engine: vllm, tables: version } = package.choose_versions(options.vllm_version.as_deref())?;
    let mut engine = engine(options, gpu, &vllm);
    let memory = memory::memory(&options.config, storage(options), &engine, gpu)?;
    memory::check_fit(&memory, gpu, &engine)?;
    let tables = Tables::read(&mut package, options, &version)?;
    let attention = Attention::new(&tables.context_attention, &tables.generation_attention, options, gpu)?;
    engine.attention_backend = attention.backend();
    let layer = layer::Layer::new(&tables.gemm, &tables.allreduce, &tables.moe, options, gpu)?;
    let num_layers = options.config.model.num_hidden_layers;
    let (step_time, smoothing) =
        step_tables::compose(&layer, &attention, num_layers, gpu).with_context(|| cell(options))?;
    let mixed_batch = step_time.mixed_batch.clone();
    let mut sources = vec![source(&package)];
    sources.extend(mixed_batch.is_some().then(mixed::source));
    Ok(DerivedParts {
        model: options.config.model.clone(),
        hardware: gpu.hardware(options.tensor_parallel_size),
        engine,
        memory,
        step_time,
        smoothing,
        notes: notes::notes(options, [&vllm, &version], gpu, &layer, mixed_batch.as_ref()),
        sources,
    })
}

fn source(package: &Package) -> Source {
    let package = package.identity();
    Source {
        name: package.name.clone(),
        version: package.version.clone(),
        licence: "Apache-2.0".to_owned(),
        url: format!("https://pypi.org/project/{}/{}/", package.name, package.version),
    }
}

impl Tables {
    fn read(package: &mut Package, options: &Options, version: &Version) -> Result<Self> {
        let mut needed = |table: &str| -> Result<Vec<TableFile>> {
            let files = package.read(table, version)?;
            let has = files.first().is_some_and(|file| file.version == *version);
            ensure!(has, "{table} of vLLM {version} is not in the package; it must be there");
            Ok(files)
        };
        let gemm = needed("gemm_perf")?;
        let context_attention = needed("context_attention_perf")?;
        let generation_attention = needed("generation_attention_perf")?;
        // Not measured anew for every version: what an older one has still holds.
        let mut older = |table: &str, is_needed: bool| -> Result<Vec<TableFile>> {
            let files = if is_needed { package.read(table, version)? } else { vec![] };
            ensure!(
                !is_needed || !files.is_empty(),
                "{table} of vLLM {version} or older is not in the package; it must be there"
            );
            Ok(files)
        };
        let allreduce = older("custom_allreduce_perf", options.tensor_parallel_size > 1)?;
        let moe = older("moe_perf", options.config.experts.is_some())?;
        Ok(Self { gemm, context_attention, generation_attention, allreduce, moe })
    }
}

/// Which of all profiles this is, for messages.
fn cell(options: &Options) -> String {
    let (model, dtype, number) = (&options.config.model.name, options.dtype.name(), options.tensor_parallel_size);
    format!("{model} {dtype} on {number} × {}", options.system)
}

/// What cannot be divided, and what the device or the checkpoint does not have.
fn check_options(options: &Options, gpu: &Gpu) -> Result<()> {
    let (config, tp, ep) = (&options.config, options.tensor_parallel_size, options.expert_parallel_size);
    let model = &config.model;
    ensure!(matches!(tp, 1 | 2 | 4 | 8), "--tensor-parallel-size {tp} was not measured; must be 1, 2, 4 or 8");
    let divided = [
        ("num_attention_heads", model.num_attention_heads),
        ("intermediate_size", model.intermediate_size),
        ("num_key_value_heads", model.num_key_value_heads.max(tp)),
    ];
    for (field, value) in divided {
        ensure!(value % tp == 0, "--tensor-parallel-size {tp} must divide {field}, {value}");
    }
    if let Some(experts) = config.experts {
        ensure!(ep > 0 && tp % ep == 0, "--expert-parallel-size {ep} must divide --tensor-parallel-size {tp}");
        for (field, value, ranks) in [
            ("num_experts", experts.num_experts, ep),
            ("moe_intermediate_size", experts.moe_intermediate_size, tp / ep),
        ] {
            ensure!(value % ranks == 0, "{ranks} ranks must divide {field}, {value}");
        }
    } else {
        ensure!(ep == 1, "--expert-parallel-size {ep}: the model has no experts; must be 1");
    }
    if let (Some(method), Dtype::Bfloat16) = (&config.quantization, options.dtype) {
        anyhow::bail!("config.json: quantization_config is {method}; give --dtype fp8 or fp8_block, or another file");
    }
    let can_fp8 = gpu.fp8_flops > 0.0;
    ensure!(
        options.dtype == Dtype::Bfloat16 || can_fp8,
        "--dtype {}: {} has no fp8 units",
        options.dtype.name(),
        gpu.name
    );
    Ok(())
}

fn storage(options: &Options) -> Storage {
    Storage {
        matrix_bytes: u64::from(options.dtype.bytes()),
        kv_bytes: u64::from(options.kv_cache_dtype.bytes()),
        tensor_parallel_size: options.tensor_parallel_size,
        expert_parallel_size: options.expert_parallel_size,
    }
}

fn engine(options: &Options, gpu: &Gpu, version: &Version) -> Engine {
    let (max_num_seqs, max_num_batched_tokens) = gpu.batch_defaults();
    Engine {
        vllm_version: version.to_string(),
        dtype: "bfloat16".to_owned(),
        quantization: (options.dtype != Dtype::Bfloat16).then(|| "fp8".to_owned()),
        kv_cache_dtype: if options.kv_cache_dtype == KvCacheDtype::Fp8 { "fp8" } else { "auto" }.to_owned(),
        attention_backend: None,
        tensor_parallel_size: options.tensor_parallel_size,
        pipeline_parallel_size: 1,
        block_size: BLOCK_SIZE,
        enforce_eager: false,
        max_model_len: options.config.model.max_position_embeddings,
        gpu_memory_utilization: GPU_MEMORY_UTILIZATION,
        max_num_seqs,
        max_num_batched_tokens,
    }
}

/// Reads the model's `config.json`, named after its file if it does not say.
///
/// # Errors
/// If it cannot be read or is none that can be composed.
pub(crate) fn read_model(path: &Path) -> Result<ModelConfig> {
    let limit = sim_core::scenario::ModelConfig::MAX_BYTES;
    let bytes = super::read_limited(path, limit)?;
    let name = path.file_stem().map_or_else(|| "model".into(), |stem| stem.to_string_lossy());
    ModelConfig::from_json(&bytes, &name)
}
