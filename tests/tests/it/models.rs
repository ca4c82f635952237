//! Models' layers and groups against those that vLLM 0.33.0 plans itself: `data/models`, whose README says how they were
//! recorded.

mod row;

use std::collections::BTreeSet;

use serde_json::Value;
use sim_core::config::{ConfigError, EngineArgs};
use sim_core::models::{ComputeCapability, DrafterLayers, KvCacheDtype, ModelConfigError, ModelKvCache, ModelSettings};
use sim_core::speculative::SpeculativeMethod;

use crate::profile_fixture::file;
use row::{Outcome, Row, config, rows};

const ATTENTION: &[&str] = &[
    "llama-3.1-8b",
    "llama-3.1-70b",
    "qwen3-8b",
    "qwen3-30b-a3b",
    "mixtral-8x7b",
    "minimax-m2.5",
    "glm-4.7",
    "phi-4",
    "nemotron-super-49b",
    "mistral-7b-v0.1",
];
const WINDOWS: &[&str] = &[
    "gpt-oss-20b",
    "gpt-oss-120b",
    "gemma-2-9b",
    "gemma-3-27b",
    "gemma-3-1b",
    "gemma-3n-e4b",
    "gemma-4-26b-a4b",
    "gemma-4-31b",
    "mimo-v2-flash",
    "step-3.5-flash",
    "llama-4-scout",
    "llama-4-maverick",
    "command-r7b",
    "olmo-3.1-32b",
    "exaone-4.0-32b",
    "trinity-nano",
];
const LATENT: &[&str] = &["deepseek-v2-lite", "deepseek-v3", "deepseek-v3.2", "kimi-k2", "glm-5", "glm-5.2", "glm-5.3"];
const STATES: &[&str] = &[
    "qwen3-next-80b-a3b",
    "qwen3.5-27b",
    "qwen3.5-35b-a3b",
    "qwen3.5-397b-a17b",
    "nemotron-h-56b",
    "nemotron-nano-9b-v2",
    "nemotron-3-nano-30b-a3b",
    "nemotron-3-ultra-550b-a55b",
    "jamba-1.5-mini",
    "granite-4.0-h-tiny",
    "kimi-linear-48b-a3b",
    "kimi-k3",
    "lfm2-1.2b",
    "falcon-h1-7b",
    "zamba2-7b",
    "codestral-mamba-7b",
    "falcon-mamba-7b",
];
const COMPRESSED: &[&str] = &["deepseek-v4-flash"];
/// Whose files are the published ones, by the README.
const PUBLISHED: &[&str] = &[
    "llama-3.1-8b",
    "llama-3.1-70b",
    "qwen3-8b",
    "qwen3-30b-a3b",
    "mixtral-8x7b",
    "minimax-m2.5",
    "nemotron-super-49b",
    "gpt-oss-20b",
    "gpt-oss-120b",
    "gemma-4-26b-a4b",
    "gemma-4-31b",
    "mimo-v2-flash",
    "llama-4-scout",
    "llama-4-maverick",
    "qwen3.5-27b",
    "qwen3.5-35b-a3b",
    "qwen3.5-397b-a17b",
    "nemotron-h-56b",
    "nemotron-3-nano-30b-a3b",
    "nemotron-3-ultra-550b-a55b",
    "kimi-k3",
    "deepseek-v3",
    "deepseek-v3.2",
    "kimi-k2",
    "glm-5",
    "glm-5.2",
    "glm-5.3",
];

/// Every row of `models` comes out as vLLM planned it; the last two are the rows that agree, and those that both refuse.
#[track_caller]
fn check(models: &[&str], agreeing: usize, refused: usize) {
    let mut complaints = Vec::new();
    let (mut num_agreeing, mut num_refused) = (0, 0);
    for row in rows().iter().filter(|row| models.contains(&row.model.as_str())) {
        match row.outcome() {
            Outcome::Agrees => num_agreeing += 1,
            Outcome::BothRefuse => num_refused += 1,
            Outcome::Differs(differences) => {
                complaints.push(format!("{} {}:\n    {}", row.model, row.settings, differences.join("\n    ")));
            }
        }
    }
    assert!(complaints.is_empty(), "{} rows differ:\n  {}", complaints.len(), complaints.join("\n  "));
    assert_eq!((num_agreeing, num_refused), (agreeing, refused), "rows of these models");
}

#[test]
fn layers_that_all_attend_alike() {
    check(ATTENTION, 47, 1);
}

#[test]
fn windows_and_chunks_among_full_attention() {
    check(WINDOWS, 74, 1);
}

#[test]
fn latent_attention_and_its_indices() {
    check(LATENT, 33, 0);
}

#[test]
fn states_alone_and_beside_attention() {
    check(STATES, 109, 2);
}

#[test]
fn every_recorded_row_is_looked_at() {
    let rows = rows();
    let recorded: BTreeSet<&str> = rows.iter().map(|row| row.model.as_str()).collect();
    let checked: BTreeSet<&str> =
        [ATTENTION, WINDOWS, LATENT, STATES, COMPRESSED].into_iter().flatten().copied().collect();
    assert_eq!(recorded, checked);
    assert_eq!((rows.len(), recorded.len()), (269, 51));
    let published = PUBLISHED.iter().filter(|model| recorded.contains(*model)).count();
    assert!(published >= 25, "only {published} of the models have their published files");
}

#[test]
fn deepseek_v4_is_refused_by_name() {
    let rows = rows();
    let compressed: Vec<&Row> = rows.iter().filter(|row| COMPRESSED.contains(&row.model.as_str())).collect();
    assert_eq!(compressed.len(), 2);
    for row in compressed {
        let refused = row.model_kv_cache().expect_err("its caches are not simulated");
        assert!(
            matches!(&refused, ModelConfigError::Architecture { name, why: Some(_), .. } if name == "DeepseekV4ForCausalLM")
        );
        let text = refused.to_string();
        assert!(text.contains("DeepseekV4ForCausalLM") && text.contains("compression"), "{text}");
    }
}

/// The message of the refusal of this file.
#[track_caller]
fn check_refused(config: &str, expect: &str) {
    let refused = ModelKvCache::from_json(config.as_bytes(), &ModelSettings::default());
    let text = refused.expect_err("it is refused").to_string();
    assert!(text.starts_with(expect), "{text}");
}

#[test]
fn refusals_name_the_field_and_what_it_must_be() {
    check_refused("", "config.json: the text ends where a value must stand at line 1 column 0");
    check_refused("[]", "config.json: found an array; it must be");
    check_refused("{}", "config.json: architectures is absent; it must be there");
    check_refused(
        r#"{"architectures": 3}"#,
        "config.json: architectures is 3; it must be a list that begins with a name",
    );
    let unknown = r#"config.json: architecture "CLIPModel" is not modelled. Known: LlamaForCausalLM, "#;
    check_refused(r#"{"architectures": ["CLIPModel"]}"#, unknown);
    let falcon =
        r#"config.json: model_type "falcon", architecture "FalconForCausalLM" is not modelled. Near it: FalconH1"#;
    check_refused(r#"{"architectures": ["FalconForCausalLM"], "model_type": "falcon", "hidden_size": {}}"#, falcon);
    check_refused(
        r#"{"model_type": "falcon"}"#,
        r#"config.json: architecture "falcon" is not modelled. Near it: Falcon"#,
    );
    let removed = r#"config.json: architecture "BambaForCausalLM" is not modelled: vLLM has no such model"#;
    check_refused(r#"{"architectures": ["BambaForCausalLM"]}"#, removed);
    check_refused(
        r#"{"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": true}"#,
        "config.json: is_encoder_decoder is true",
    );
    let llama = |rest: &str| format!(r#"{{"architectures": ["LlamaForCausalLM"]{rest}}}"#);
    check_refused(&llama(""), "config.json: num_attention_heads is absent; it must be there");
    // With a size in it a file is a model's, and what it leaves out is as in the library.
    let heads = r#", "num_attention_heads": 8, "hidden_size": 64"#;
    let read = ModelKvCache::from_json(llama(heads).as_bytes(), &ModelSettings::default()).expect("a model");
    assert_eq!((read.layers[0].num_layers, read.max_model_len), (32, 2048));
    check_refused(
        &llama(&format!(r#"{heads}, "num_hidden_layers": 1e9"#)),
        "config.json: num_hidden_layers is 1000000000.0; it must be a whole number from 0 to 1024",
    );
    check_refused(
        &llama(&format!(r#"{heads}, "num_hidden_layers": 4, "layer_types": ["full_attention"]"#)),
        "config.json: layer_types has 1 entries; the model has 4 layers, and each needs one",
    );
    let long = format!("{{{}}}", " ".repeat(1 << 20));
    check_refused(&long, "config.json: 1048578 bytes; the limit is 1048576");
}

#[test]
fn files_are_read_as_python_writes_them() {
    let text = file("data/models/nemotron-h-56b.config.json");
    assert!(text.windows(8).any(|word| word == b"Infinity"), "the published file has a number that JSON has none for");
    let model = ModelKvCache::from_json(&text, &ModelSettings::default()).expect("a model");
    assert_eq!(model.layers.iter().map(|run| run.num_layers).sum::<u32>(), 64);
}

/// The drafter of a model's file by a method.
fn drafter(model: &str, method: SpeculativeMethod, num_drafts: u32) -> Result<DrafterLayers, ModelConfigError> {
    DrafterLayers::from_json(&config(model), None, (method, num_drafts), &ModelSettings::default())
}

#[test]
fn drafters_that_are_not_known_are_refused() {
    let text = |result: Result<DrafterLayers, ModelConfigError>| result.expect_err("it is refused").to_string();
    let own_file = text(drafter("llama-3.1-8b", SpeculativeMethod::Eagle3, 3));
    assert_eq!(own_file, "method eagle3 needs the drafter's own config.json");
    let no_layers = text(drafter("llama-3.1-8b", SpeculativeMethod::Mtp, 1));
    assert!(
        no_layers.starts_with("method mtp with LlamaForCausalLM: the drafter's layers are not known"),
        "{no_layers}"
    );
    let odd = text(drafter("step-3.5-flash", SpeculativeMethod::Mtp, 4));
    assert!(odd.starts_with("num_speculative_tokens = 4 must be a multiple of the model's 3 layers"), "{odd}");
    assert_eq!(drafter("step-3.5-flash", SpeculativeMethod::Mtp, 6).map(|drafter| drafter.num_mtp_layers), Ok(3));
    assert!(drafter("llama-3.1-8b", SpeculativeMethod::Ngram, 4).is_ok_and(|drafter| drafter.layers.is_empty()));
}

#[test]
fn a_checkpoint_may_ask_for_a_cache_of_one_byte() {
    let bytes = |quantization: &str| {
        let mut file: Value = serde_json::from_slice(&config("llama-3.1-8b")).expect("JSON");
        file["quantization_config"] = serde_json::from_str(quantization).expect("JSON");
        let file = serde_json::to_vec(&file).expect("JSON");
        ModelKvCache::from_json(&file, &ModelSettings::default()).expect("a model").layers[0].bytes
    };
    assert_eq!(bytes(r#"{"quant_method": "fp8"}"#), 4096);
    assert_eq!(bytes(r#"{"quant_method": "modelopt", "kv_cache_quant_algo": "FP8"}"#), 2048);
    let scheme = r#"{"num_bits": 8, "type": "float", "dynamic": false}"#;
    assert_eq!(bytes(&format!(r#"{{"quant_method": "compressed-tensors", "kv_cache_scheme": {scheme}}}"#)), 2048);
}

/// Kernels of GPUs that were not recorded, from vLLM's source: the block sizes they take.
#[track_caller]
fn check_kernels(model: &str, capability: &str, kv_cache_dtype: KvCacheDtype, expect: (Option<u32>, u32, Option<u32>)) {
    let compute_capability = ComputeCapability::from_name(capability).expect("a capability");
    let settings = ModelSettings { compute_capability, kv_cache_dtype, ..ModelSettings::default() };
    let read = ModelKvCache::from_json(&config(model), &settings).expect("a model");
    let sizes = (read.default_block_size, read.kernel_block_size, read.max_kernel_block_size);
    assert_eq!(sizes, expect, "{model} on {capability}");
}

#[test]
fn kernels_follow_the_gpu() {
    check_kernels("llama-3.1-8b", "8.0", KvCacheDtype::Auto, (None, 16, None));
    check_kernels("llama-3.1-8b", "10.0", KvCacheDtype::Auto, (None, 16, Some(64)));
    check_kernels("deepseek-v3", "10.0", KvCacheDtype::Fp8, (Some(32), 32, Some(64)));
    check_kernels("deepseek-v3", "12.0", KvCacheDtype::Auto, (None, 16, None));
    let compute_capability = ComputeCapability { major: 10, minor: 0 };
    let settings = ModelSettings { compute_capability, ..ModelSettings::default() };
    let refused = ModelKvCache::from_json(&config("deepseek-v3.2"), &settings).expect_err("it was not recorded");
    assert!(refused.to_string().contains("on a GPU of compute capability 10.0"), "{refused}");
}

#[test]
fn chunks_and_a_drafter_cannot_be_asked_to_have_groups() {
    let rows = rows();
    let row = rows.iter().find(|row| row.model == "llama-4-scout" && row.settings.get("speculative_config").is_some());
    let row = row.expect("a row");
    let platform = row.platform().expect("a platform");
    let args = row.args();
    let asked = EngineArgs { disable_hybrid_kv_cache_manager: Some(false), ..args };
    assert_eq!(asked.resolve(&platform), Err(ConfigError::HybridKvCacheManager));
}
