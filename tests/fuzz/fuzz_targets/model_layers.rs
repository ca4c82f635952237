//! A model's `config.json`, read for what its layers keep: what is accepted is a cache that can be planned or is refused
//! by name, with any of the drafters that the file itself could be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::config::{Device, DrafterPlatform, EngineArgs, KvCacheMemory, Platform, UsageContext};
use sim_core::models::{DrafterLayers, KvCacheDtype, ModelConfigError, ModelKvCache, ModelSettings};
use sim_core::speculative::SpeculativeMethod;

/// Most layers that come of a file.
const MAX_LAYERS: u64 = 8192;

fuzz_target!(|bytes: &[u8]| {
    let tensor_parallel_size = u32::from(bytes.len().is_multiple_of(7)) * 7 + 1;
    let kv_cache_dtype = if bytes.len().is_multiple_of(3) { KvCacheDtype::Fp8 } else { KvCacheDtype::Auto };
    let settings = ModelSettings { tensor_parallel_size, kv_cache_dtype, ..ModelSettings::default() };
    let model = match ModelKvCache::from_json(bytes, &settings) {
        Ok(model) => model,
        Err(refused) => return check_refusal(&refused),
    };
    let num_layers: u64 = model.layers.iter().map(|run| u64::from(run.num_layers)).sum();
    assert!(model.max_model_len > 0 && (1..=MAX_LAYERS).contains(&num_layers), "{num_layers} layers");
    let mut drafters = Vec::new();
    for method in SpeculativeMethod::ALL {
        match DrafterLayers::from_json(bytes, Some(bytes), (method, 1), &settings) {
            Ok(DrafterLayers { layers, num_mtp_layers }) => {
                drafters.push(DrafterPlatform { method, layers, num_mtp_layers, memory_bytes: 0 });
            }
            Err(refused) => check_refusal(&refused),
        }
    }
    let name = "NVIDIA H100 80GB HBM3".to_owned();
    let platform = Platform {
        device: Device::Gpu { name, total_memory_bytes: 80 << 30, compute_capability: None },
        usage_context: UsageContext::OpenAiApiServer,
        model_max_len: model.max_model_len,
        tensor_parallel_size,
        pipeline_parallel_size: 1,
        default_block_size: model.default_block_size,
        kernel_block_size: model.kernel_block_size,
        max_kernel_block_size: model.max_kernel_block_size,
        layers: model.layers,
        drafters,
        kv_cache: KvCacheMemory::Measured { non_kv_cache_bytes: 16 << 30 },
    };
    if let Ok(engine) = EngineArgs::default().resolve(&platform) {
        assert!(engine.config.num_gpu_blocks > 1 && engine.config.kv_cache.bytes_per_block() > 0);
    }
});

fn check_refusal(refused: &ModelConfigError) {
    let text = refused.to_string();
    assert!(!text.is_empty() && text.len() < 4_000, "{} bytes: {text}", text.len());
}
