//! `profiler groups`.

use std::fmt::{Error as FormatError, Write as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sim_core::config::{Device, DrafterPlatform, EngineArgs, EngineConfig, KvCacheMemory, Platform, UsageContext};
use sim_core::kv_cache::spec::KvCacheConfig;
use sim_core::models::error::MAX_BYTES;
use sim_core::models::layers::{ModelLayerKind, ModelLayers};
use sim_core::models::{
    AttentionBackend, ComputeCapability, DrafterLayers, Dtype, KvCacheDtype, ModelKvCache, ModelSettings,
};
use sim_core::scenario::told;

use crate::input_file::{Wanted, explained, read_limited};
use crate::simulate::library::{catalogue, pack};
use crate::simulate::model_source::ModelName;
use crate::simulate::scenario_flags::EngineFlags;

/// Which model, and what of the engine decides about its cache.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The model, as --model takes it: a config.json, a folder that has one, or a name
    #[arg(value_name = "CONFIG.json", conflicts_with = "model")]
    config: Option<String>,
    /// The config.json of the drafter that --speculative-config names, if it has one of its own
    #[arg(long, value_name = "CONFIG.json")]
    drafter_config: Option<PathBuf>,
    /// Number format of a state's convolution [default: the weights']
    #[arg(long, value_parser = parser(Dtype::from_name))]
    mamba_cache_dtype: Option<Dtype>,
    /// Number format of a state's recurrent part [default: what the model asks for]
    #[arg(long, value_parser = parser(Dtype::from_name))]
    mamba_ssm_cache_dtype: Option<Dtype>,
    /// Attention kernels by vLLM's name [default: those it chooses on the GPU]
    #[arg(long, value_parser = parser(AttentionBackend::from_name))]
    attention_backend: Option<AttentionBackend>,
    /// Compute capability of the GPU, which decides about kernels [default: that of --gpu]
    #[arg(long, value_name = "X.Y", value_parser = parser(ComputeCapability::from_name))]
    compute_capability: Option<ComputeCapability>,
    #[command(flatten)]
    model_name: ModelName,
    #[command(flatten)]
    engine: EngineFlags,
}

/// A parser of clap's of names that a function knows.
fn parser<T: Clone + Send + Sync + 'static>(
    from_name: fn(&str) -> Option<T>,
) -> impl Fn(&str) -> Result<T, &'static str> + Clone + Send + Sync + 'static {
    move |name| from_name(name).ok_or("not a name that is known here")
}

impl Args {
    /// Prints layers, groups and sizes.
    pub(super) fn run(&self) -> Result<bool> {
        let mut args = self.engine.scenario.engine().clone();
        let has_memory = args.kv_cache_memory_bytes.is_some() || args.num_gpu_blocks_override.is_some();
        if !has_memory {
            // Groups do not depend on the number of blocks; as many as there can be let every length fit.
            args.num_gpu_blocks_override = Some(i64::from(u32::MAX));
        }
        let settings = self.settings(&args)?;
        let (name, config) = self.model()?;
        let name = || name.clone();
        let model = ModelKvCache::from_json(&config, &settings);
        let model = model.map_err(|fault| explained(Path::new(&name()), &config, Wanted::ModelConfig, fault))?;
        let drafter = self.drafter(&args, &config, &settings).with_context(name)?;
        let mut text = String::new();
        let ranks = settings.tensor_parallel_size;
        writeln!(text, "{}, for at most {} tokens\n", model.architecture, model.max_model_len)?;
        let drafter_runs = drafter.as_ref().map_or(&[][..], |drafter| &drafter.layers[..]);
        layers(&mut text, ranks, &model.layers, drafter_runs)?;
        let platform = platform(model, drafter, &settings);
        let engine = args.resolve(&platform)?.config;
        groups(&mut text, &engine)?;
        if has_memory {
            writeln!(text, "{:<33}{:>12}", "Blocks in all:", engine.num_gpu_blocks)?;
            writeln!(text, "{}", told::kv_cache_line(&engine, "GPU"))?;
        } else {
            writeln!(text, "For the number of blocks give --kv-cache-memory-bytes.")?;
        }
        write!(io::stdout().lock(), "{text}")?;
        Ok(true)
    }

    /// What the model is called here, and its `config.json`.
    fn model(&self) -> Result<(String, Vec<u8>)> {
        let given = self.config.as_deref().or_else(|| self.engine.scenario.get("model"));
        let given = given.context("give a model: a config.json, a folder that has one, or --model NAME")?;
        Ok(match self.model_name.file(given)? {
            Some(file) => (file.name, file.config),
            None => (given.to_owned(), catalogue()?.find(given)?.config_json()),
        })
    }

    /// The compute capability that was given, or the GPU's.
    fn compute_capability(&self) -> Result<ComputeCapability> {
        if let Some(given) = self.compute_capability {
            return Ok(given);
        }
        let Some(gpu) = self.engine.scenario.get("gpu") else { return Ok(ComputeCapability::HOPPER) };
        let name = pack(gpu)?.pack.gpu.compute_capability;
        ComputeCapability::from_name(&name).with_context(|| format!("{gpu}: compute capability {name}"))
    }

    fn settings(&self, args: &EngineArgs) -> Result<ModelSettings> {
        let ranks = args.tensor_parallel_size.unwrap_or(1);
        let composition = self.engine.scenario.composition();
        let kv_cache_dtype = self.engine.scenario.get("kv-cache-dtype").unwrap_or("auto");
        Ok(ModelSettings {
            tensor_parallel_size: u32::try_from(ranks).context("--tensor-parallel-size must be at least 1")?,
            dtype: composition.as_ref().and_then(|composition| composition.setup.dtype),
            kv_cache_dtype: KvCacheDtype::from_name(kv_cache_dtype)
                .with_context(|| format!("--kv-cache-dtype {kv_cache_dtype}: not a name that is known here"))?,
            mamba_cache_dtype: self.mamba_cache_dtype,
            mamba_ssm_cache_dtype: self.mamba_ssm_cache_dtype,
            attention_backend: self.attention_backend,
            compute_capability: self.compute_capability()?,
            quantization: composition.and_then(|composition| composition.setup.quantization),
        })
    }

    fn drafter(&self, args: &EngineArgs, config: &[u8], settings: &ModelSettings) -> Result<Option<DrafterPlatform>> {
        let Some(given) = &args.speculative_config else { return Ok(None) };
        let speculative = given.resolve()?;
        let own = self.drafter_config.as_ref().map(|path| read_limited(path, MAX_BYTES)).transpose()?;
        let how = (speculative.method, speculative.num_speculative_tokens);
        let DrafterLayers { layers, num_mtp_layers } = DrafterLayers::from_json(config, own.as_deref(), how, settings)?;
        Ok(Some(DrafterPlatform { method: speculative.method, layers, num_mtp_layers, memory_bytes: 0 }))
    }
}

/// The model on a large GPU, whose memory is not asked for.
fn platform(model: ModelKvCache, drafter: Option<DrafterPlatform>, settings: &ModelSettings) -> Platform {
    const BYTES: u64 = 80 << 30;
    Platform {
        device: Device::Gpu {
            name: "GPU".to_owned(),
            total_memory_bytes: BYTES,
            compute_capability: Some(settings.compute_capability.to_string()),
        },
        usage_context: UsageContext::OpenAiApiServer,
        model_max_len: model.max_model_len,
        tensor_parallel_size: settings.tensor_parallel_size,
        pipeline_parallel_size: 1,
        default_block_size: model.default_block_size,
        kernel_block_size: model.kernel_block_size,
        max_kernel_block_size: model.max_kernel_block_size,
        layers: model.layers,
        drafters: drafter.into_iter().collect(),
        kv_cache: KvCacheMemory::Measured { non_kv_cache_bytes: 0 },
    }
}

fn layers(text: &mut String, ranks: u32, model: &[ModelLayers], drafter: &[ModelLayers]) -> Result<(), FormatError> {
    let of = if ranks == 1 { String::new() } else { format!(", on one of {ranks} ranks") };
    writeln!(text, "Layers, in the order in which vLLM builds them{of}")?;
    stretches(text, model, "")?;
    stretches(text, drafter, ", the drafter's")?;
    writeln!(text)
}

/// Longest pattern of layers that is looked for.
const MAX_PERIOD: usize = 12;

/// The layers, a pattern that repeats written once.
fn stretches(text: &mut String, mut runs: &[ModelLayers], whose: &str) -> Result<(), FormatError> {
    while !runs.is_empty() {
        let (period, times) = repetition(runs);
        let (pattern, rest) = runs.split_at(period);
        let indent = if times > 1 { "       " } else { "" };
        if times > 1 {
            writeln!(text, "  {times:>4} times{whose}")?;
        }
        for run in pattern {
            let whose = if times > 1 { "" } else { whose };
            writeln!(text, "{indent}  {:>4} × {}{whose}", run.num_layers, layer(run))?;
        }
        runs = &rest[period * (times - 1)..];
    }
    Ok(())
}

/// The pattern at the beginning that covers the most when it is repeated: its length, and how often it comes.
fn repetition(runs: &[ModelLayers]) -> (usize, usize) {
    let times = |period: usize| runs.chunks_exact(period).take_while(|chunk| *chunk == &runs[..period]).count();
    let periods = (2..=MAX_PERIOD.min(runs.len())).map(|period| (period, times(period))).filter(|found| found.1 > 1);
    // Of those that cover the same the shortest.
    periods.rev().max_by_key(|(period, times)| period * times).unwrap_or((1, 1))
}

fn layer(run: &ModelLayers) -> String {
    let (heads, size, bytes) = (run.num_kv_heads, run.head_size, run.bytes);
    let keeps = match run.kind {
        ModelLayerKind::FullAttention => "full attention".to_owned(),
        ModelLayerKind::Mla => return format!("latent attention (MLA) or its index, {bytes} bytes a token"),
        ModelLayerKind::SlidingWindow(window) => format!("a sliding window of {window} tokens"),
        ModelLayerKind::ChunkedLocalAttention(chunk) => format!("attention in chunks of {chunk}"),
        ModelLayerKind::Mamba => return format!("a state of {bytes} bytes"),
    };
    format!("{keeps}, {heads} KV heads of {size}, {bytes} bytes a token")
}

fn groups(text: &mut String, engine: &EngineConfig) -> Result<(), FormatError> {
    let kv_cache: &KvCacheConfig = &engine.kv_cache;
    writeln!(text, "Groups, each with a block table of its own")?;
    let extent = engine.request_extent();
    for group in &kv_cache.groups {
        let spec = &group.spec;
        let drops = if group.is_eagle_group { ", gives up the last block of a hit" } else { "" };
        writeln!(
            text,
            "  {:>4} layers of {}: blocks of {} tokens and {} bytes, at most {} a request{drops}",
            group.layers.len(),
            told::layer_kind(&spec.kind),
            spec.block_size,
            group.bytes_per_block,
            spec.max_blocks_per_request(extent),
        )?;
    }
    let alignment = if engine.enable_prefix_caching && kv_cache.has_partial_hits() {
        kv_cache.hash_block_size
    } else {
        kv_cache.scheduler_block_size
    };
    let sizes = [
        ("Tokens of the scheduler's block:", u64::from(kv_cache.scheduler_block_size)),
        ("Tokens of a block's hash:", u64::from(kv_cache.hash_block_size)),
        ("Tokens that hits align to:", u64::from(alignment)),
        ("Bytes of a block:", kv_cache.bytes_per_block()),
        ("Blocks of the longest request:", kv_cache.max_blocks_per_request(extent)),
    ];
    writeln!(text)?;
    for (name, size) in sizes {
        writeln!(text, "{name:<33}{size:>12}")?;
    }
    Ok(())
}
