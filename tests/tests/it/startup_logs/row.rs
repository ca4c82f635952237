//! A row of the table of start-up logs.

use serde_json::{Map, Value};
use sim_core::config::EngineArgs;
use sim_core::models::memory::{MemoryEra, MemorySettings};
use sim_core::models::{ComputeCapability, Dtype, KvCacheDtype, ModelSettings, Quantization};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/startup_logs/");

/// A log: what was asked of an engine, and what it said of its memory.
pub(super) struct Row {
    pub(super) source: String,
    pub(super) vllm_version: String,
    pub(super) model: String,
    /// The model's `config.json`, or its sizes.
    pub(super) config: Vec<u8>,
    pub(super) gpu: String,
    total_memory_gib: f64,
    pub(super) tensor_parallel_size: u32,
    pub(super) pipeline_parallel_size: u32,
    dtype: Option<String>,
    quantization: Option<String>,
    kv_cache_dtype: String,
    pub(super) max_model_len: u32,
    pub(super) max_num_seqs: u32,
    pub(super) max_num_batched_tokens: u32,
    gpu_memory_utilization: f64,
    pub(super) enforce_eager: bool,
    enable_prefix_caching: bool,
    pub(super) logged: Value,
    pub(super) note: Option<String>,
}

/// A file of the table.
pub(super) fn json(name: &str) -> Value {
    let bytes = std::fs::read(format!("{FOLDER}{name}")).expect("a file of the table");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The rows whose models are known.
pub(super) fn rows() -> Vec<Row> {
    let models = json("models.json");
    let rows = json("logs.json");
    let rows = rows.as_array().expect("rows").iter();
    rows.filter_map(|row| Row::read(row, &models[row["model"].as_str().expect("a model")])).collect()
}

/// The bytes of a model's configuration; `None` if its class is not known.
fn config(model: &Value) -> Option<Vec<u8>> {
    if let Some(name) = model["file"].as_str() {
        let path = format!("{}/data/models/{name}.config.json", env!("CARGO_MANIFEST_DIR"));
        return Some(std::fs::read(path).expect("a configuration"));
    }
    let config = model.get("config")?;
    Some(config.to_string().into_bytes())
}

impl Row {
    fn read(row: &Value, model: &Value) -> Option<Self> {
        let config = config(model)?;
        let text = |name: &str| row[name].as_str().map(str::to_owned);
        let count = |name: &str| row[name].as_u64().and_then(|count| u32::try_from(count).ok()).expect("a count");
        Some(Self {
            source: text("source").expect("a source"),
            vllm_version: text("vllm_version").expect("a version"),
            model: text("model").expect("a model"),
            config,
            gpu: text("gpu").expect("a GPU"),
            total_memory_gib: row["total_memory_gib"].as_f64().expect("an amount"),
            tensor_parallel_size: count("tensor_parallel_size"),
            pipeline_parallel_size: count("pipeline_parallel_size"),
            dtype: text("dtype"),
            quantization: text("quantization"),
            kv_cache_dtype: text("kv_cache_dtype").unwrap_or_else(|| "auto".to_owned()),
            max_model_len: count("max_model_len"),
            max_num_seqs: count("max_num_seqs"),
            max_num_batched_tokens: count("max_num_batched_tokens"),
            gpu_memory_utilization: row["gpu_memory_utilization"].as_f64().expect("a share"),
            enforce_eager: row["enforce_eager"].as_bool().unwrap_or(false),
            enable_prefix_caching: row["enable_prefix_caching"].as_bool().unwrap_or(true),
            logged: row["logged"].clone(),
            note: text("note"),
        })
    }

    /// Whether the rule's constants rest on it: by the last bit of a hash (FNV-1a) of its source.
    pub(super) fn is_fitted(&self) -> bool {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.source.bytes().fold(0xcbf2_9ce4_8422_2325, step).is_multiple_of(2)
    }

    pub(super) fn total_memory_bytes(&self) -> u64 {
        sim_core::math::f64_to_u64(self.total_memory_gib * f64::from(1 << 30))
    }

    pub(super) fn compute_capability(&self) -> ComputeCapability {
        let (major, minor) = match self.gpu.as_str() {
            name if name.contains("H100") || name.contains("H200") => (9, 0),
            name if name.contains("A100") => (8, 0),
            name if name.contains("3090") => (8, 6),
            name if name.contains("4090") || name.contains("L4") => (8, 9),
            name if name.contains("GB10") => (12, 1),
            name if name.contains("T4") => (7, 5),
            name => panic!("no capability of {name}"),
        };
        ComputeCapability { major, minor }
    }

    fn era(&self) -> MemoryEra {
        MemoryEra::of_version(&self.vllm_version).expect("a version")
    }

    pub(super) fn sorts_vocabulary(&self) -> bool {
        self.era() == MemoryEra::SortedSampling
    }

    pub(super) fn memory_settings(&self) -> MemorySettings {
        MemorySettings {
            tensor_parallel_size: self.tensor_parallel_size,
            pipeline_parallel_size: self.pipeline_parallel_size,
            expert_parallel_size: 1,
            compute_capability: self.compute_capability(),
            era: self.era(),
        }
    }

    pub(super) fn model_settings(&self) -> ModelSettings {
        let config: Value = serde_json::from_slice(&self.config).expect("JSON");
        // What a checkpoint says of itself needs no flag, and has another name in the log.
        let online = self.quantization.as_deref().filter(|_| config.get("quantization_config").is_none());
        ModelSettings {
            tensor_parallel_size: self.tensor_parallel_size,
            dtype: self.dtype.as_deref().and_then(Dtype::from_name),
            kv_cache_dtype: KvCacheDtype::from_name(&self.kv_cache_dtype).expect("a format"),
            compute_capability: self.compute_capability(),
            quantization: online.and_then(Quantization::from_name),
            ..ModelSettings::default()
        }
    }

    pub(super) fn args(&self) -> EngineArgs {
        let mut args = Map::new();
        args.insert("max_model_len".to_owned(), self.max_model_len.into());
        args.insert("max_num_seqs".to_owned(), self.max_num_seqs.into());
        args.insert("max_num_batched_tokens".to_owned(), self.max_num_batched_tokens.into());
        args.insert("gpu_memory_utilization".to_owned(), self.gpu_memory_utilization.into());
        args.insert("enable_prefix_caching".to_owned(), self.enable_prefix_caching.into());
        serde_json::from_value(Value::Object(args)).expect("arguments")
    }

    /// Tokens as logged: of a cache of several groups by the logged concurrency, as what older versions call the cache's
    /// size is another figure there.
    pub(super) fn logged_tokens(&self, num_groups: usize) -> f64 {
        let logged = |name: &str| self.logged[name].as_f64();
        let tokens = if num_groups == 1 { logged("kv_tokens") } else { None };
        tokens.or_else(|| Some(logged("concurrency")? * logged("concurrency_tokens")?)).expect("tokens")
    }
}
