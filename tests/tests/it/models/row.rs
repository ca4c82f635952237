//! A recorded row, and the simulator's answer to the same settings.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sim_core::config::{Device, DrafterPlatform, EngineArgs, KvCacheMemory, Platform, ResolvedEngine, UsageContext};
use sim_core::kv_cache::spec::{KvCacheConfig, KvCacheGroup, LayerKind, RequestExtent};
use sim_core::models::{
    AttentionBackend, DrafterLayers, Dtype, KvCacheDtype, ModelConfigError, ModelKvCache, ModelSettings,
};

use crate::profile_fixture::file;

/// With it, the manager of groups is off for Llama 4 unless it is asked for, which is then refused.
const CHUNKS_ENV: &str = "VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE";

/// A row of `kv_cache_groups.json`.
pub(super) struct Row {
    pub(super) model: String,
    pub(super) settings: Value,
    whole: Value,
}

/// How ours compares.
pub(super) enum Outcome {
    Agrees,
    BothRefuse,
    Differs(Vec<String>),
}

/// All rows.
pub(super) fn rows() -> Vec<Row> {
    let whole: Vec<Value> = serde_json::from_slice(&file("data/models/kv_cache_groups.json")).expect("a list of rows");
    let row = |whole: Value| Row {
        model: whole["model"].as_str().expect("a name").to_owned(),
        settings: whole["settings"].clone(),
        whole,
    };
    whole.into_iter().map(row).collect()
}

/// A model's file, without what the rows were recorded without.
pub(super) fn config(model: &str) -> Vec<u8> {
    let text = String::from_utf8(file(&format!("data/models/{model}.config.json"))).expect("a text");
    // Python's word for a number that JSON has none for.
    let text = text.replace("Infinity", "null");
    let mut config: Map<String, Value> = serde_json::from_str(&text).expect("a model's file");
    config.remove("quantization_config");
    serde_json::to_vec(&config).expect("JSON")
}

impl Row {
    fn text(&self, setting: &str) -> Option<&str> {
        self.settings.get(setting).map(|value| value.as_str().unwrap_or_else(|| panic!("{setting} is {value}")))
    }

    fn model_settings(&self) -> ModelSettings {
        let dtype = |setting| self.text(setting).map(|name| Dtype::from_name(name).expect("a number format"));
        let tensor_parallel_size = self.settings.get("tensor_parallel_size").map_or(1, count);
        ModelSettings {
            tensor_parallel_size,
            dtype: dtype("dtype"),
            kv_cache_dtype: KvCacheDtype::from_name(self.text("kv_cache_dtype").unwrap_or("auto")).expect("known"),
            mamba_ssm_cache_dtype: dtype("mamba_ssm_cache_dtype"),
            attention_backend: self
                .text("attention_backend")
                .map(|name| AttentionBackend::from_name(name).expect(name)),
            ..ModelSettings::default()
        }
    }

    /// The engine's arguments among the settings.
    pub(super) fn args(&self) -> EngineArgs {
        const OF_THE_MODEL: [&str; 6] =
            ["dtype", "kv_cache_dtype", "mamba_ssm_cache_dtype", "attention_backend", "env", "kv_sharing_fast_prefill"];
        let mut args = self.settings.as_object().expect("an object").clone();
        args.retain(|name, _| !OF_THE_MODEL.contains(&name.as_str()));
        let is_off = self.settings["env"][CHUNKS_ENV] == "0";
        if is_off {
            args.entry("disable_hybrid_kv_cache_manager").or_insert(Value::Bool(true));
        }
        if let Some(available) = self.whole.get("num_blocks") {
            args.insert("kv_cache_memory_bytes".to_owned(), available[0].clone());
        }
        serde_json::from_value(Value::Object(args)).expect("simulated arguments")
    }

    pub(super) fn model_kv_cache(&self) -> Result<ModelKvCache, ModelConfigError> {
        ModelKvCache::from_json(&config(&self.model), &self.model_settings())
    }

    fn drafter(&self, args: &EngineArgs) -> Result<Option<DrafterPlatform>, ModelConfigError> {
        let Some(given) = &args.speculative_config else { return Ok(None) };
        let method = given.method.expect("a method");
        let num_drafts = u32::try_from(given.num_speculative_tokens.expect("a number")).expect("a small one");
        let own = given.model.as_ref().map(|name| config(name));
        let settings = self.model_settings();
        let drafter = DrafterLayers::from_json(&config(&self.model), own.as_deref(), (method, num_drafts), &settings)?;
        let DrafterLayers { layers, num_mtp_layers } = drafter;
        Ok(Some(DrafterPlatform { method, layers, num_mtp_layers, memory_bytes: 0 }))
    }

    /// An H100 that serves the model.
    pub(super) fn platform(&self) -> Result<Platform, ModelConfigError> {
        let model = self.model_kv_cache()?;
        Ok(Platform {
            device: Device::Gpu {
                name: "NVIDIA H100 80GB HBM3".to_owned(),
                total_memory_bytes: 80 << 30,
                compute_capability: Some("9.0".to_owned()),
            },
            usage_context: UsageContext::OpenAiApiServer,
            model_max_len: model.max_model_len,
            tensor_parallel_size: self.model_settings().tensor_parallel_size,
            pipeline_parallel_size: 1,
            default_block_size: model.default_block_size,
            kernel_block_size: model.kernel_block_size,
            max_kernel_block_size: model.max_kernel_block_size,
            layers: model.layers,
            drafters: self.drafter(&self.args())?.into_iter().collect(),
            kv_cache: KvCacheMemory::Measured { non_kv_cache_bytes: 0 },
        })
    }

    fn resolved(&self) -> Result<ResolvedEngine, String> {
        if self.settings["env"][CHUNKS_ENV] == "0" && self.settings["disable_hybrid_kv_cache_manager"] == false {
            return Err("an environment variable, which the simulator has none of".to_owned());
        }
        let platform = self.platform().map_err(|refused| refused.to_string())?;
        self.args().resolve(&platform).map_err(|refused| refused.to_string())
    }

    pub(super) fn outcome(&self) -> Outcome {
        let refused = self.whole.get("refused");
        match (self.resolved(), refused) {
            (Err(_), Some(_)) => Outcome::BothRefuse,
            (Err(ours), None) => Outcome::Differs(vec![format!("ours refuses: {ours}")]),
            (Ok(_), Some(theirs)) => Outcome::Differs(vec![format!("vLLM refuses: {theirs}")]),
            (Ok(ours), None) => match self.differences(&ours) {
                differences if differences.is_empty() => Outcome::Agrees,
                differences => Outcome::Differs(differences),
            },
        }
    }

    /// What is not as recorded.
    fn differences(&self, engine: &ResolvedEngine) -> Vec<String> {
        let config = &engine.config;
        let kv_cache = &config.kv_cache;
        let extent = RequestExtent {
            max_model_len: config.max_model_len,
            max_in_flight_tokens: config.request_extent().max_in_flight_tokens,
        };
        let alignment = if config.enable_prefix_caching && kv_cache.has_partial_hits() {
            kv_cache.hash_block_size
        } else {
            kv_cache.scheduler_block_size
        };
        let whole = &self.whole;
        let resolved = &whole["resolved"];
        let mut compared = vec![
            ("max_model_len".to_owned(), json!(config.max_model_len), resolved["max_model_len"].clone()),
            ("in flight".to_owned(), json!(extent.max_in_flight_tokens), resolved["max_in_flight_tokens"].clone()),
            ("caching".to_owned(), json!(config.enable_prefix_caching), resolved["enable_prefix_caching"].clone()),
            ("bytes_per_block".to_owned(), json!(kv_cache.bytes_per_block()), whole["bytes_per_block"].clone()),
            ("num_blocks".to_owned(), json!(config.num_gpu_blocks), whole["num_blocks"][1].clone()),
            (
                "blocks_of_one_request".to_owned(),
                json!(kv_cache.max_blocks_per_request(extent)),
                whole["blocks_of_one_request"].clone(),
            ),
            ("scheduler".to_owned(), json!(kv_cache.scheduler_block_size), whole["scheduler_block_size"].clone()),
            ("hash".to_owned(), json!(kv_cache.hash_block_size), whole["hash_block_size"].clone()),
            ("alignment".to_owned(), json!(alignment), whole["cache_hit_alignment_tokens"].clone()),
            ("block_size".to_owned(), json!(kv_cache.block_size()), whole["cache_config_block_size"].clone()),
        ];
        compared.extend(groups(kv_cache, whole["groups"].as_array().expect("groups"), extent));
        let differs = |(what, ours, theirs): (String, Value, Value)| {
            (ours != theirs).then(|| format!("{what}: {ours}, vLLM {theirs}"))
        };
        compared.into_iter().filter_map(differs).collect()
    }
}

fn count(value: &Value) -> u32 {
    value.as_u64().and_then(|count| u32::try_from(count).ok()).expect("a count")
}

fn groups(ours: &KvCacheConfig, theirs: &[Value], extent: RequestExtent) -> Vec<(String, Value, Value)> {
    let mut compared = vec![("groups".to_owned(), json!(ours.groups.len()), json!(theirs.len()))];
    for (number, (ours, theirs)) in ours.groups.iter().zip(theirs).enumerate() {
        for (field, (ours, theirs)) in group(ours, theirs, extent) {
            compared.push((format!("group {number} {field}"), ours, theirs));
        }
    }
    compared
}

/// A group's fields, ours and theirs. vLLM has a class of its own for layers of one type and several sizes.
fn group(ours: &KvCacheGroup, theirs: &Value, extent: RequestExtent) -> BTreeMap<&'static str, (Value, Value)> {
    let spec = &ours.spec;
    let is_uniform = theirs["class"] == "UniformTypeKVCacheSpecs";
    let members: Vec<u32> = theirs["layers"].as_array().expect("runs").iter().flat_map(members).collect();
    let page = if is_uniform { ours.bytes_per_block } else { spec.page_size_bytes() };
    let mut fields = BTreeMap::from([
        ("layers", (json!(ours.layers), json!(members))),
        ("block_size", (json!(spec.block_size), theirs["block_size"].clone())),
        ("page", (json!(page), theirs["page_size_bytes"].clone())),
        ("eagle", (json!(ours.is_eagle_group), theirs["is_eagle_group"].clone())),
        ("blocks", (json!(spec.max_blocks_per_request(extent)), theirs["blocks_of_one_request"].clone())),
    ]);
    let classes = theirs["layers_of"].as_array().expect("classes");
    if is_uniform {
        let class = json!(spec.kind.vllm_class());
        fields.insert("class", (json!(classes.contains(&class)), json!(true)));
        return fields;
    }
    fields.insert("class", (json!(spec.kind.vllm_class()), theirs["class"].clone()));
    let optional = |value: Option<u32>| value.map_or(Value::Null, |value| json!(value));
    let nonzero = |value: u32| optional(Some(value).filter(|&value| value > 0));
    let mut add = |field: &'static str, value: Value| fields.insert(field, (value, theirs[field].clone()));
    match spec.kind {
        LayerKind::FullAttention { sliding_window, attention_chunk_size } => {
            add("sliding_window", optional(sliding_window));
            add("attention_chunk_size", optional(attention_chunk_size));
        }
        LayerKind::SlidingWindow { sliding_window, extra_retained_tokens } => {
            add("sliding_window", json!(sliding_window));
            add("extra_retained_tokens", nonzero(extra_retained_tokens));
        }
        LayerKind::ChunkedLocal { attention_chunk_size } => {
            add("attention_chunk_size", json!(attention_chunk_size));
        }
        LayerKind::Mamba(state) => {
            add("num_speculative_blocks", nonzero(state.num_speculative_blocks));
            add("num_prefill_checkpoint_blocks", nonzero(state.num_prefill_checkpoint_blocks));
            add("prefill_checkpoint_alignment", optional(state.prefill_checkpoint_alignment));
            add("state_bytes", json!(spec.state_bytes));
        }
        LayerKind::Mla => {}
    }
    if !spec.kind.is_mamba() {
        add("num_kv_heads", json!(spec.num_kv_heads));
        add("head_size", json!(spec.head_size));
    }
    fields
}

/// The positions of `[first, count, step]`.
fn members(run: &Value) -> Vec<u32> {
    let [first, number, step] = [0, 1, 2].map(|part| count(&run[part]));
    (0..number).map(|place| first + place * step).collect()
}
