//! How many tokens the KV cache holds, by the rule for a model's memory, against start-up logs that people published.

mod row;

use serde_json::Value;
use sim_core::config::{Device, EngineArgs, KvCacheMemory, Platform, UsageContext};
use sim_core::kv_cache::spec::{KvCacheConfig, RequestExtent};
use sim_core::models::memory::{MemoryTerms, other_resident};
use sim_core::models::shape::ModelShape;
use sim_core::models::{ModelKvCache, WeightSharing};

use row::{Row, rows};

/// What is predicted for a row, and how far off it is.
struct Outcome {
    row: Row,
    /// Bytes of the weights, predicted.
    weights: u64,
    /// Bytes for the KV cache, predicted.
    available: u64,
    /// Predicted over logged tokens, less 1.
    error: f64,
}

/// The last stage's layers: the last so many of a model's.
fn stage(mut cache: ModelKvCache, stages: u32) -> ModelKvCache {
    let all: u32 = cache.layers.iter().map(|run| run.num_layers).sum();
    let mut drop = all - all / stages;
    for run in &mut cache.layers {
        let gone = drop.min(run.num_layers);
        run.num_layers -= gone;
        drop -= gone;
    }
    cache.layers.retain(|run| run.num_layers > 0);
    cache
}

/// Bytes of the weights on one rank; of a pipeline, on that of the last stage.
fn weights(row: &Row, shape: &ModelShape) -> u64 {
    let sharing = WeightSharing {
        compute_capability: row.compute_capability(),
        ..WeightSharing::tensor_parallel(row.tensor_parallel_size)
    };
    let bytes = shape.weights(&sharing);
    if row.pipeline_parallel_size == 1 {
        return bytes.total();
    }
    let layers = bytes.mixers + bytes.mlps + bytes.experts;
    layers / u64::from(row.pipeline_parallel_size) + bytes.lm_head + bytes.other
}

/// Tokens of requests of `max_model_len` that the cache holds at once, as vLLM logs them: of one group, whole blocks;
/// of several, by how many such requests it holds.
fn tokens(row: &Row, kv_cache: &KvCacheConfig, num_blocks: u32, max_in_flight_tokens: u32) -> f64 {
    let [only] = kv_cache.groups.as_slice() else {
        let extent = RequestExtent { max_model_len: row.max_model_len, max_in_flight_tokens };
        let blocks: u32 = kv_cache.groups.iter().map(|group| group.spec.max_blocks_per_request(extent)).sum();
        return f64::from(num_blocks) / f64::from(blocks) * f64::from(row.max_model_len);
    };
    f64::from(num_blocks) * f64::from(only.spec.block_size)
}

fn outcome(row: Row) -> Result<Outcome, String> {
    let settings = row.model_settings();
    let text = |refused: &dyn core::fmt::Display| format!("{}: {refused}", row.source);
    let shape = ModelShape::from_json(&row.config, &settings).map_err(|refused| text(&refused))?;
    let cache = ModelKvCache::from_json(&row.config, &settings).map_err(|refused| text(&refused))?;
    let cache = stage(cache, row.pipeline_parallel_size);
    let memory = row.memory_settings();
    let weights = weights(&row, &shape);
    let platform = Platform {
        device: Device::Gpu {
            name: row.gpu.clone(),
            total_memory_bytes: row.total_memory_bytes(),
            compute_capability: Some(row.compute_capability().to_string()),
        },
        usage_context: UsageContext::OpenAiApiServer,
        model_max_len: cache.max_model_len.max(row.max_model_len),
        tensor_parallel_size: row.tensor_parallel_size,
        pipeline_parallel_size: row.pipeline_parallel_size,
        default_block_size: cache.default_block_size,
        kernel_block_size: cache.kernel_block_size,
        max_kernel_block_size: cache.max_kernel_block_size,
        layers: cache.layers,
        drafters: vec![],
        kv_cache: KvCacheMemory::ByLimits {
            resident_bytes: weights + other_resident(&memory),
            terms: MemoryTerms::of(&shape, &memory),
            capture_ceiling: if row.enforce_eager { 0 } else { 512 },
        },
    };
    let args: EngineArgs = row.args();
    let config = args.resolve(&platform).map_err(|refused| text(&refused))?.config;
    let predicted = tokens(&row, &config.kv_cache, config.num_gpu_blocks, row.max_num_batched_tokens);
    let bytes_per_block: u64 = config.kv_cache.groups.iter().map(|group| group.bytes_per_block).max().unwrap_or(0);
    let logged = row.logged_tokens(config.kv_cache.groups.len());
    Ok(Outcome {
        weights,
        available: u64::from(config.num_gpu_blocks) * bytes_per_block,
        error: predicted / logged - 1.0,
        row,
    })
}

/// The value that a share of sorted values is not above.
fn quantile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100).saturating_sub(1)]
}

/// The median and the 90th percentile of the errors' sizes.
fn summary<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> (usize, f64, f64) {
    let mut sizes: Vec<f64> = outcomes.map(|outcome| outcome.error.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    (sizes.len(), quantile(&sizes, 50), quantile(&sizes, 90))
}

fn line(outcome: &Outcome) -> String {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let row = &outcome.row;
    let logged = |name: &str| row.logged[name].as_f64().unwrap_or(f64::NAN);
    format!(
        "{:+6.1} % {} | weights {:.2} for {:.2}, available {:.2} for {:.2} GiB | {} {} tp{} {} {}",
        100.0 * outcome.error,
        if row.is_fitted() { "fitted" } else { "held  " },
        gib(outcome.weights),
        logged("weights_gib"),
        gib(outcome.available),
        logged("available_gib"),
        row.vllm_version,
        row.model,
        row.tensor_parallel_size,
        row.gpu,
        row.note.as_deref().unwrap_or(""),
    )
}

/// All rows of models that are known, with their errors.
fn outcomes() -> Vec<Outcome> {
    rows().into_iter().map(|row| outcome(row).unwrap_or_else(|refused| panic!("{refused}"))).collect()
}

/// The table, the worst row last, and what it comes to: the figures that the README states.
fn table(outcomes: &[Outcome], subsets: &[(&str, (usize, f64, f64))]) -> String {
    let mut sorted: Vec<&Outcome> = outcomes.iter().collect();
    sorted.sort_by(|a, b| a.error.abs().total_cmp(&b.error.abs()));
    let mut lines: Vec<String> = sorted.into_iter().map(line).collect();
    lines.extend(subsets.iter().map(|(name, (count, median, p90))| {
        format!("{name}: {count} rows, median {:.2} %, 90 % within {:.2} %", 100.0 * median, 100.0 * p90)
    }));
    lines.join("\n")
}

#[test]
fn as_many_tokens_fit_as_real_engines_logged() {
    let outcomes = outcomes();
    let subset = |keep: &dyn Fn(&Row) -> bool| summary(outcomes.iter().filter(|outcome| keep(&outcome.row)));
    let subsets = [
        ("all", subset(&|_| true)),
        ("fitted", subset(&Row::is_fitted)),
        ("held out", subset(&|row| !row.is_fitted())),
        ("since 0.17", subset(&|row| !row.sorts_vocabulary())),
        ("not of the large sweep", subset(&|row| !row.source.starts_with("llm-d-incubation"))),
    ];
    let table = table(&outcomes, &subsets);
    println!("{table}");
    assert!(outcomes.len() >= 80, "{table}");
    for (name, (_, median, p90)) in subsets {
        assert!(median <= 0.03 && p90 <= 0.08, "{name}\n{table}");
    }
    let is_unexplained = |outcome: &&Outcome| outcome.error.abs() > 0.03 && outcome.row.note.is_none();
    let unexplained: Vec<String> = outcomes.iter().filter(is_unexplained).map(line).collect();
    assert!(unexplained.is_empty(), "beyond 3 % and not explained:\n{}", unexplained.join("\n"));
}

#[test]
fn rows_that_are_left_out_are_of_unknown_models() {
    let models: Value = row::json("models.json");
    let unknown = models.as_object().expect("models").values().filter_map(|model| model["unknown"].as_str());
    for name in unknown {
        let config = format!(r#"{{"architectures": ["{name}"], "hidden_size": 8}}"#);
        assert!(ModelShape::from_json(config.as_bytes(), &Default::default()).is_err(), "{name} is known now");
    }
}
