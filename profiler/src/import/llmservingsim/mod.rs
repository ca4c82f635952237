//! `profiler import llmservingsim`: a folder of layer times as LLMServingSim's profiler writes it (casys-kaist, MIT).
//!
//! The folder holds `dense.csv` (layers over tokens), `per_sequence.csv` (logits and sampler over requests) and
//! `attention.csv` (a grid over new tokens, earlier tokens, decodes and their context), and `meta.yaml` beside them or
//! one level up. The times are those of kernels of one layer inside vLLM, without gaps, in microseconds. A folder `tpN`
//! holds those of one of N ranks, measured on a single device; what the ranks' all-reduces take must come from elsewhere.

mod csv;
mod meta;
mod mixed;
pub(crate) mod run;
mod tables;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sim_core::models::ModelConfig as CoreConfig;
use sim_core::operators::gpu_table;
use sim_core::profile::schema::{Engine, Source};

use super::aiconfigurator::AllReduces;
use super::assemble::DerivedParts;
use super::gpus;
use super::memory::{GPU_MEMORY_UTILIZATION, Storage, memory};
use super::model_config::ModelConfig;
use crate::input_file::read_limited;
use crate::measure::outliers::{median, quantile};

pub(crate) use meta::Meta;
pub(crate) use tables::Files;

/// Over how many devices a layer is divided, and what their all-reduces take.
#[derive(Debug, Default)]
pub(crate) struct Ranks<'a> {
    /// 0 or 1 is one rank.
    pub(crate) tensor_parallel_size: u32,
    /// The Python package aiconfigurator-core, installed or as wheel, whose all-reduce times of the same device are
    /// taken.
    pub(crate) all_reduce: Option<&'a Path>,
}

/// The bytes of a profile folder.
#[derive(Debug)]
pub(crate) struct Folder {
    /// From the folder's name: `tp2` is 2, any other 1.
    num_ranks: u32,
    meta: Vec<u8>,
    dense: Vec<u8>,
    per_sequence: Vec<u8>,
    attention: Vec<u8>,
}

impl Folder {
    /// Reads the files, plain or gzipped (`.gz`).
    ///
    /// # Errors
    /// If one is absent or too long.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let table = |name: &str| read_plain_or_gzipped(&folder.join(name), csv::MAX_BYTES);
        let beside = folder.join("meta.yaml");
        let above: PathBuf = folder.join("..").join("meta.yaml");
        let meta = if beside.exists() || !above.exists() { beside } else { above };
        Ok(Self {
            num_ranks: num_ranks(folder)?,
            meta: read_limited(&meta, meta::MAX_BYTES)?,
            dense: table("dense.csv")?,
            per_sequence: table("per_sequence.csv")?,
            attention: table("attention.csv")?,
        })
    }

    /// What makes a profile of `config`, the `config.json` of the model that the folder was measured with. `all_reduce` is
    /// [`Ranks::all_reduce`].
    ///
    /// # Errors
    /// If a file is not what it should be, or is about another model, or there are several ranks and no all-reduces.
    pub(crate) fn import(&self, config: &[u8], all_reduce: Option<&Path>) -> Result<DerivedParts> {
        let meta = Meta::from_yaml(&self.meta).context("meta.yaml")?;
        let files = Files { dense: &self.dense, per_sequence: &self.per_sequence, attention: &self.attention };
        import(&meta, files, config, &Ranks { tensor_parallel_size: self.num_ranks, all_reduce })
    }
}

fn num_ranks(folder: &Path) -> Result<u32> {
    let whole = folder.canonicalize().with_context(|| format!("{} cannot be opened", folder.display()))?;
    let name = whole.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let Some(digits) = name.strip_prefix("tp").filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit())) else {
        return Ok(1);
    };
    let number = digits.parse().ok().filter(|number| (1..=64).contains(number));
    number.with_context(|| format!("{name}: a folder of layer times is named tp1, tp2, … by its ranks, up to tp64"))
}

fn read_plain_or_gzipped(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let mut gzipped = path.as_os_str().to_owned();
    gzipped.push(".gz");
    let gzipped = PathBuf::from(gzipped);
    if path.exists() || !gzipped.exists() {
        return read_limited(path, limit);
    }
    let bytes = read_limited(&gzipped, limit)?;
    inflate(&bytes, limit).with_context(|| gzipped.display().to_string())
}

/// Unpacks gzipped bytes, `limit` of them at most.
pub(crate) fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let mut plain = vec![];
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    flate2::read::GzDecoder::new(bytes).take(most).read_to_end(&mut plain)?;
    anyhow::ensure!(plain.len() <= limit, "more than {limit} bytes, the limit");
    Ok(plain)
}

/// The parts of a profile, from the bytes of all files.
///
/// # Errors
/// See [`Folder::import`].
pub(crate) fn import(meta: &Meta, files: Files<'_>, config: &[u8], ranks: &Ranks<'_>) -> Result<DerivedParts> {
    let tp = ranks.tensor_parallel_size.max(1);
    let note_on_defaults = CoreConfig::note_on_defaults(config)?;
    let config = ModelConfig::from_json(config, &meta.model)?;
    if config.experts.is_some() {
        bail!("config.json: a mixture of experts; the folder's layers are those of a dense model");
    }
    let quantization = match meta.variant.as_str() {
        "bf16" => None,
        other => bail!("meta.yaml: variant is {other:?}; only bf16 can be imported"),
    };
    let Some(gpu) = &gpus::of_name(&meta.gpu) else {
        let known: Vec<String> = gpu_table::known().into_iter().map(|gpu| gpu.name).collect();
        bail!("meta.yaml: gpu is {:?}; its memory is unknown. Known are: {}", meta.gpu, known.join(", "));
    };
    let num_layers = config.model.num_hidden_layers;
    let reduced = match ranks.all_reduce {
        _ if tp == 1 => None,
        Some(package) => Some(AllReduces::read(package, gpu, tp).context("--all-reduce")?),
        None => bail!(
            "the layers are those of one of {tp} ranks, and their all-reduces are not in the folder: --all-reduce takes \
             them from aiconfigurator-core's tables of the same device"
        ),
    };
    let reduced_us = |num_tokens: u32| {
        reduced.as_ref().map_or(0.0, |times| times.of_pass_us(num_layers, config.model.hidden_size, num_tokens))
    };
    let tables = tables::step_time(files, num_layers, &reduced_us)?;
    let engine = Engine {
        vllm_version: meta.vllm_version.clone(),
        dtype: "bfloat16".to_owned(),
        quantization,
        kv_cache_dtype: "auto".to_owned(),
        attention_backend: None,
        tensor_parallel_size: tp,
        pipeline_parallel_size: 1,
        block_size: meta.block_size,
        enforce_eager: false,
        max_model_len: config.model.max_position_embeddings,
        gpu_memory_utilization: GPU_MEMORY_UTILIZATION,
        max_num_seqs: meta.max_num_seqs,
        max_num_batched_tokens: meta.max_num_batched_tokens,
    };
    let storage = Storage { matrix_bytes: 2, kv_bytes: 2, tensor_parallel_size: tp, expert_parallel_size: 1 };
    let mut sources = vec![Source {
        name: "LLMServingSim".to_owned(),
        version: meta.date.as_ref().map_or_else(|| "unknown".to_owned(), |date| format!("profile of {date}")),
        licence: "MIT".to_owned(),
        url: "https://github.com/casys-kaist/LLMServingSim".to_owned(),
    }];
    let mut notes = notes(meta, &tables);
    notes.extend(note_on_defaults);
    if let Some(reduced) = reduced {
        notes.push(reduced.note(tp));
        sources.push(reduced.source);
    }
    Ok(DerivedParts {
        memory: memory(&config, storage, &engine, gpu)?,
        hardware: gpus::hardware(gpu, tp),
        model: config.model,
        engine,
        notes,
        step_time: tables.step_time,
        smoothing: tables.smoothing,
        sources,
    })
}

fn notes(meta: &Meta, tables: &tables::Tables) -> Vec<String> {
    let mut notes = vec![
        format!(
            "No whole pass was measured: times are sums of the kernels of single layers under vLLM {}, each the result \
             of {} runs.",
            meta.vllm_version, meta.measurement_iterations
        ),
        "Times of a layer are multiplied by the model's number of layers; a table has the points that all of its layers \
         have. CUDA graphs were off when the layers were measured; kernels take as long in a graph."
            .to_owned(),
        format!(
            "max_num_seqs {} and max_num_batched_tokens {} are those of the engine that was measured, not vLLM's defaults \
             for the device: the tables end there.",
            meta.max_num_seqs, meta.max_num_batched_tokens
        ),
    ];
    if let Some(fit) = &tables.mixed {
        let percent = |errors: &[f64], share: f64| {
            let mut sizes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
            sizes.sort_unstable_by(f64::total_cmp);
            100.0 * quantile(&sizes, share).unwrap_or(0.0)
        };
        let errors = &fit.held_out_errors;
        notes.push(format!(
            "mixed_batch.decode_term_factor was fitted to every second of {} measured passes with decodes and a prompt \
             part. For the others, the error of attention, as a share of the whole pass, is {:.1} % in the median and \
             {:.1} % at the 90th percentile, {:+.1} % in the signed median; just adding the two terms would give {:.1} % \
             and {:.1} %.",
            tables.num_mixed,
            percent(errors, 0.5),
            percent(errors, 0.9),
            100.0 * median(errors.clone()).unwrap_or(0.0),
            percent(&fit.errors_of_sum, 0.5),
            percent(&fit.errors_of_sum, 0.9),
        ));
    }
    notes
}
