//! Models' files with keys lost, values of other types and numbers beyond reason: layers come of them, or a refusal that
//! says where; never a panic, and never more layers than a model can have.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sim_core::config::{Device, DrafterPlatform, EngineArgs, KvCacheMemory, Platform, UsageContext};
use sim_core::models::layers::ModelLayers;
use sim_core::models::{
    ComputeCapability, DrafterLayers, KvCacheDtype, ModelConfigError, ModelKvCache, ModelSettings, ModelShape,
    WeightSharing,
};
use sim_core::speculative::SpeculativeMethod;

use crate::draws::draws;
use crate::profile_fixture::file;

/// One of each family.
const MODELS: [&str; 20] = [
    "llama-3.1-8b",
    "qwen3-8b",
    "nemotron-super-49b",
    "gpt-oss-20b",
    "gemma-3-27b",
    "gemma-3n-e4b",
    "gemma-4-26b-a4b",
    "mimo-v2-flash",
    "step-3.5-flash",
    "llama-4-scout",
    "command-r7b",
    "deepseek-v3",
    "glm-5.2",
    "qwen3.5-35b-a3b",
    "nemotron-3-nano-30b-a3b",
    "jamba-1.5-mini",
    "falcon-h1-7b",
    "zamba2-7b",
    "kimi-linear-48b-a3b",
    "lfm2-1.2b",
];
/// Most layers that come of a file, drafter and all.
const MAX_LAYERS: u32 = 8192;

/// A value that a key is not meant to have, mostly.
fn wrong_value() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        (0_u64..300).prop_map(|number| Some(json!(number))),
        any::<u64>().prop_map(|number| Some(json!(number))),
        any::<i64>().prop_map(|number| Some(json!(number))),
        (0_u32..40).prop_map(|bits| Some(json!(1_u64 << bits))),
        any::<f64>().prop_map(|number| Some(json!(number))),
        any::<bool>().prop_map(|switch| Some(json!(switch))),
        "[a-zM*_-]{0,12}".prop_map(|text| Some(json!(text))),
        (0_usize..6000).prop_map(|len| Some(json!(vec![1; len]))),
        (0_usize..2000).prop_map(|len| Some(json!(vec!["full_attention"; len]))),
        Just(Some(json!({}))),
        Just(Some(json!({"head_dim": 1}))),
    ]
}

/// Changes the `at`-th key of the file, objects inside included.
fn change(object: &mut Map<String, Value>, at: &mut usize, value: Option<&Value>) -> bool {
    for key in object.keys().cloned().collect::<Vec<_>>() {
        if *at == 0 {
            match value {
                Some(value) => object.insert(key, value.clone()),
                None => object.remove(&key),
            };
            return true;
        }
        *at -= 1;
        if let Some(Value::Object(inner)) = object.get_mut(&key)
            && change(inner, at, value)
        {
            return true;
        }
    }
    false
}

fn changed(model: &str, changes: &[(usize, Option<Value>)]) -> Vec<u8> {
    let text = String::from_utf8(file(&format!("data/models/{model}.config.json"))).expect("a text");
    let mut config: Map<String, Value> = serde_json::from_str(&text.replace("Infinity", "null")).expect("an object");
    for (at, value) in changes {
        change(&mut config, &mut at.clone(), value.as_ref());
    }
    serde_json::to_vec(&config).expect("JSON")
}

fn check_refusal(refused: &ModelConfigError) {
    let text = refused.to_string();
    assert!(!text.is_empty() && text.len() < 4_000, "{} bytes: {text}", text.len());
}

fn num_layers(layers: &[ModelLayers]) -> u32 {
    layers.iter().map(|run| run.num_layers).sum()
}

/// What is accepted has weights, and no token meets more of them than there are.
fn check_shape(config: &[u8], settings: &ModelSettings) {
    let shape = match ModelShape::from_json(config, settings) {
        Ok(shape) => shape,
        Err(refused) => return check_refusal(&refused),
    };
    let (all, active) = (shape.num_parameters(), shape.num_active_parameters());
    assert!(0 < active && active <= all, "{active} of {all}");
    let sharing = WeightSharing::tensor_parallel(settings.tensor_parallel_size.max(1));
    assert!(shape.weights(&sharing).total() > 0, "{shape:?}");
    assert!(shape.layers.iter().map(|run| run.num_layers).sum::<u32>() <= MAX_LAYERS, "{shape:?}");
}

/// Plans the model's cache as an engine would, with every drafter that it has.
fn check(config: &[u8], settings: &ModelSettings) {
    let model = match ModelKvCache::from_json(config, settings) {
        Ok(model) => model,
        Err(refused) => return check_refusal(&refused),
    };
    assert!(model.max_model_len > 0 && (1..=MAX_LAYERS).contains(&num_layers(&model.layers)), "{model:?}");
    for method in SpeculativeMethod::ALL {
        let drafter = match DrafterLayers::from_json(config, Some(config), (method, 2), settings) {
            Ok(drafter) => drafter,
            Err(refused) => {
                check_refusal(&refused);
                continue;
            }
        };
        assert!(num_layers(&drafter.layers) <= MAX_LAYERS, "{drafter:?}");
        let drafter =
            DrafterPlatform { method, layers: drafter.layers, num_mtp_layers: drafter.num_mtp_layers, memory_bytes: 0 };
        let platform = Platform {
            device: Device::Gpu {
                name: "NVIDIA H100 80GB HBM3".to_owned(),
                total_memory_bytes: 80 << 30,
                compute_capability: None,
            },
            usage_context: UsageContext::OpenAiApiServer,
            model_max_len: model.max_model_len,
            tensor_parallel_size: 1,
            pipeline_parallel_size: 1,
            default_block_size: model.default_block_size,
            kernel_block_size: model.kernel_block_size,
            max_kernel_block_size: model.max_kernel_block_size,
            layers: model.layers.clone(),
            drafters: vec![drafter],
            kv_cache: KvCacheMemory::Measured { non_kv_cache_bytes: 16 << 30 },
        };
        let given = json!({"speculative_config": {"method": method.name(), "num_speculative_tokens": 2, "model": "d"}});
        let args: EngineArgs = serde_json::from_value(given).expect("arguments");
        for disable_hybrid_kv_cache_manager in [None, Some(true)] {
            if let Ok(engine) = (EngineArgs { disable_hybrid_kv_cache_manager, ..args.clone() }).resolve(&platform) {
                let (blocks, bytes) = (engine.config.num_gpu_blocks, engine.config.kv_cache.bytes_per_block());
                assert!(blocks > 1 && bytes > 0, "{blocks} blocks of {bytes} bytes");
            }
        }
    }
}

proptest! {
    #![proptest_config(draws(400))]

    #[test]
    fn a_damaged_file_gives_layers_or_a_refusal(
        model in prop::sample::select(&MODELS[..]),
        changes in prop::collection::vec((0_usize..100, wrong_value()), 1..5),
        tensor_parallel_size in prop_oneof![1_u32..9, any::<u32>()],
        kv_cache_dtype in prop_oneof![Just(KvCacheDtype::Auto), Just(KvCacheDtype::Fp8)],
        major in 8_u32..13,
    ) {
        let compute_capability = ComputeCapability { major, minor: 0 };
        let settings =
            ModelSettings { tensor_parallel_size, kv_cache_dtype, compute_capability, ..ModelSettings::default() };
        check(&changed(model, &changes), &settings);
        check_shape(&changed(model, &changes), &settings);
    }
}

#[test]
fn bytes_that_are_no_file_at_all_are_refused() {
    let refused = |bytes: &[u8]| ModelKvCache::from_json(bytes, &ModelSettings::default()).is_err();
    let nested = [b"[".repeat(1 << 16), b"]".repeat(1 << 16)].concat();
    assert!(refused(&nested) && refused(b"\xff\xfe") && refused(b"NaN") && refused(b"{\"NaN\": NaN"));
}
