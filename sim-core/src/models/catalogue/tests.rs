//! The list that ships: every entry is read, has its publisher's parameters, and is found by the names that people give.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use super::super::{ModelKvCache, ModelSettings, ModelShape, WeightSharing};
use super::{Catalogue, CatalogueError, UnknownModel, Variant};

const SHIPPED: &[u8] = include_bytes!("../../../../www/models.json");

fn shipped() -> Catalogue {
    Catalogue::from_json(SHIPPED).expect("the list that ships")
}

/// Parameters of `name` as its publisher counts them.
#[track_caller]
fn check_parameters(name: &str, parameters: u64) {
    let list = shipped();
    let found = list.find(name).expect("a model of the list");
    assert_eq!(found.variant, None, "{name}");
    let shape = ModelShape::from_json(&found.config_json(), &ModelSettings::default()).expect("a shape");
    assert_eq!(shape.num_parameters(), parameters, "{name}");
}

#[test]
fn models_have_the_parameters_that_their_publishers_count() {
    // `total_size` of model.safetensors.index.json, halved.
    check_parameters("meta-llama/Llama-3.1-8B", 8_030_261_248);
    check_parameters("meta-llama/Llama-3.1-70B", 70_553_706_496);
    check_parameters("meta-llama/Llama-3.1-405B", 405_853_388_800);
    check_parameters("mistralai/Mixtral-8x7B-v0.1", 46_702_792_704);
    check_parameters("Qwen/Qwen3-8B", 8_190_735_360);
    check_parameters("Qwen/Qwen3-14B", 14_768_307_200);
    check_parameters("Qwen/Qwen3-32B", 32_762_123_264);
    check_parameters("Qwen/Qwen3-30B-A3B", 30_532_122_624);
    check_parameters("Qwen/Qwen3-235B-A22B", 235_093_634_560);
    check_parameters("Qwen/Qwen3-VL-8B-Instruct", 8_767_123_696);
    check_parameters("Qwen/Qwen3.5-27B", 27_356_728_560);
    check_parameters("Qwen/Qwen3-Next-80B-A3B-Instruct", 79_674_391_296);
    check_parameters("deepseek-ai/DeepSeek-V2-Lite", 15_706_484_224);
    check_parameters("ai21labs/AI21-Jamba-1.5-Mini", 51_570_323_328);
    check_parameters("ByteDance-Seed/Seed-OSS-36B-Instruct", 36_151_104_512);
    // The Hub's `safetensors.total`, or a count of the weights without the layers for further tokens.
    check_parameters("meta-llama/Llama-3.2-1B", 1_235_814_400);
    check_parameters("meta-llama/Llama-3.2-3B", 3_212_749_824);
    check_parameters("meta-llama/Llama-4-Scout-17B-16E-Instruct", 108_641_793_536);
    check_parameters("mistralai/Mistral-7B-v0.3", 7_248_023_552);
    check_parameters("mistralai/Mistral-Nemo-Instruct-2407", 12_247_782_400);
    check_parameters("mistralai/Mistral-Small-3.2-24B-Instruct-2506", 24_011_361_280);
    check_parameters("mistralai/Ministral-8B-Instruct-2410", 8_019_808_256);
    check_parameters("mistralai/Ministral-3-3B-Instruct-2512", 3_849_090_048);
    check_parameters("Qwen/Qwen2.5-0.5B", 494_032_768);
    check_parameters("Qwen/Qwen2.5-1.5B", 1_543_714_304);
    check_parameters("Qwen/Qwen2.5-3B", 3_085_938_688);
    check_parameters("Qwen/Qwen2.5-7B", 7_615_616_512);
    check_parameters("Qwen/Qwen2.5-72B", 72_706_203_648);
    check_parameters("Qwen/Qwen3-4B", 4_022_468_096);
    check_parameters("google/gemma-2-2b", 2_614_341_888);
    check_parameters("google/gemma-2-9b", 9_241_705_984);
    check_parameters("google/gemma-2-27b", 27_227_128_320);
    check_parameters("google/gemma-3-1b-it", 999_885_952);
    check_parameters("google/gemma-3-4b-it", 4_300_079_472);
    check_parameters("google/gemma-3-12b-it", 12_187_325_040);
    check_parameters("google/gemma-3-27b-it", 27_432_406_640);
    check_parameters("microsoft/Phi-3-mini-4k-instruct", 3_821_079_552);
    check_parameters("microsoft/Phi-4-mini-instruct", 3_836_021_760);
    check_parameters("microsoft/phi-4", 14_659_507_200);
    check_parameters("openai/gpt-oss-20b", 20_914_757_184);
    check_parameters("openai/gpt-oss-120b", 116_829_156_672);
    check_parameters("deepseek-ai/DeepSeek-V3", 671_026_419_200);
    check_parameters("MiniMaxAI/MiniMax-M2.7", 228_689_764_864);
    check_parameters("zai-org/GLM-4.5-Air", 106_852_251_264);
    check_parameters("stepfun-ai/Step-3.5-Flash", 196_956_130_368);
    check_parameters("nvidia/NVIDIA-Nemotron-Nano-9B-v2", 8_888_227_328);
    check_parameters("ibm-granite/granite-4.0-h-small", 32_207_337_984);
    check_parameters("ibm-granite/granite-4.0-micro", 3_402_836_480);
}

#[test]
fn every_entry_is_found_by_its_own_names_and_has_a_shape_and_a_cache() {
    let list = shipped();
    assert!(list.entries().len() >= 100, "{} models", list.entries().len());
    for entry in list.entries() {
        let config = entry.config_json();
        let shape = ModelShape::from_json(&config, &ModelSettings::default());
        let cache = ModelKvCache::from_json(&config, &ModelSettings::default());
        assert!(shape.is_ok() && cache.is_ok(), "{}: {:?} {:?}", entry.name, shape.err(), cache.err());
        for name in core::iter::once(&entry.name).chain(&entry.aliases) {
            let found = list.find(name).expect("it is in the list");
            assert_eq!((found.entry.name.as_str(), found.variant), (entry.name.as_str(), None), "{name}");
        }
    }
}

/// `name` is `expect` of the list, which the name adds `variant` to.
#[track_caller]
fn check(name: &str, expect: &str, variant: Option<Variant>) {
    let list = shipped();
    let found = list.find(name).expect("a model of the list");
    assert_eq!((found.entry.name.as_str(), found.variant), (expect, variant), "{name}");
}

#[test]
fn a_name_is_recognised_however_it_is_written() {
    check("Qwen/Qwen3-32B-Instruct-FP8", "Qwen/Qwen3-32B-FP8", None);
    check("qwen3-32b", "Qwen/Qwen3-32B", None);
    check("/models/Qwen3-32B/", "Qwen/Qwen3-32B", None);
    check("C:\\models\\Qwen3-32B", "Qwen/Qwen3-32B", None);
    check("hub/models--openai--gpt-oss-120b/snapshots/b5c939de8f", "openai/gpt-oss-120b", None);
    check("unsloth/Meta-Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B", None);
    check("llama3.1-8b", "meta-llama/Llama-3.1-8B", None);
    check("nvidia/Llama-3.1-8B-Instruct-FP8", "meta-llama/Llama-3.1-8B", Some(Variant::Fp8));
    check("neuralmagic/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "meta-llama/Llama-3.1-8B", Some(Variant::Fp8));
    check("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-block", "meta-llama/Llama-3.1-8B", Some(Variant::Fp8Block));
    check("RedHatAI/Llama-3.3-70B-Instruct-quantized.w4a16", "meta-llama/Llama-3.3-70B-Instruct", Some(Variant::Int4));
    check("RedHatAI/Llama-3.3-70B-Instruct-quantized.w8a8", "meta-llama/Llama-3.3-70B-Instruct", Some(Variant::Int8));
    check("Qwen/Qwen2.5-7B-Instruct-AWQ", "Qwen/Qwen2.5-7B", Some(Variant::Awq));
    check("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4", "Qwen/Qwen2.5-72B", Some(Variant::Gptq));
    check("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int8", "Qwen/Qwen2.5-72B", Some(Variant::Int8));
    check("nvidia/Qwen3-30B-A3B-NVFP4", "Qwen/Qwen3-30B-A3B", Some(Variant::Nvfp4));
    check("nvidia/Qwen3-235B-A22B-NVFP4", "nvidia/Qwen3-235B-A22B-NVFP4", None);
    check("Qwen/Qwen3-30B-A3B-Instruct-2507", "Qwen/Qwen3-30B-A3B-Instruct-2507", None);
    check("Qwen/Qwen3-30B-A3B-Instruct-2507-FP8", "Qwen/Qwen3-30B-A3B-Instruct-2507", Some(Variant::Fp8Block));
    check("deepseek-ai/DeepSeek-R1-0528", "deepseek-ai/DeepSeek-V3", None);
    check("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "deepseek-ai/DeepSeek-R1-Distill-Llama-70B", None);
    check("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", None);
    check("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", None);
    check("unsloth/gpt-oss-20b-BF16", "openai/gpt-oss-20b", Some(Variant::Unquantized));
    check("google/gemma-3-27b-it", "google/gemma-3-27b-it", None);
    check("meta-llama/Llama-2-7b-chat-hf", "meta-llama/Llama-2-7b-hf", None);
}

/// `name` is not found, for this reason.
#[track_caller]
fn check_refused(name: &str, expect: &str) {
    let refused = shipped().find(name).expect_err("not a model of the list");
    assert!(refused.to_string().contains(expect), "{refused}");
}

#[test]
fn a_name_that_is_not_there_is_refused_with_the_nearest_ones() {
    check_refused("Qwen/Qwen3-33B", "Near it: Qwen/Qwen3-32B");
    check_refused("meta-llama/Llama-3.1-9B", "Near it: meta-llama/Llama-3.1-8B");
    check_refused("unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit", "bitsandbytes");
    check_refused("bartowski/Llama-3.1-8B-Q4_K_M.gguf", "GGUF");
    check_refused("mlx-community/Qwen3-8B-4bit", "how many bits");
    check_refused("yuhuili/EAGLE3-LLaMA3.1-Instruct-8B", "is not known");
    check_refused("", "is not known");
    check_refused(&"\u{1f980}-".repeat(100_000), "is not known");
}

/// A list of these bytes is refused with this text.
#[track_caller]
fn check_list(json: &str, expect: &str) {
    let refused = Catalogue::from_json(json.as_bytes()).expect_err("not a list");
    assert!(refused.to_string().contains(expect), "{refused}");
}

#[test]
fn a_list_says_what_it_lacks() {
    check_list("[]", "models.json");
    check_list("{}", "no list of models");
    check_list(r#"{"models": [{}]}"#, "needs a name");
    check_list(r#"{"models": [{"name": "a/b"}]}"#, "needs a source");
    check_list(r#"{"models": [{"name": "a/b", "source": "s"}]}"#, "needs either a config or a base");
    check_list(r#"{"models": [{"name": "a/b", "source": "s", "base": "c/d"}]}"#, "needs a base that stands before it");
    let long: Vec<u8> = alloc::vec![b' '; (1 << 20) + 1];
    assert_eq!(Catalogue::from_json(&long).err(), Some(CatalogueError::TooLarge { num_bytes: (1 << 20) + 1 }));
    assert!(matches!(Catalogue::default().find("a"), Err(UnknownModel::Unknown { .. })));
}

/// Weights of `name` on one of so many ranks, in bytes.
#[track_caller]
fn check_weights(name: &str, tensor_parallel_size: u32, expect: u64) {
    let list = shipped();
    let found = list.find(name).expect("a model of the list");
    let shape = ModelShape::from_json(&found.config_json(), &ModelSettings::default()).expect("a shape");
    assert_eq!(shape.weights(&WeightSharing::tensor_parallel(tensor_parallel_size)).total(), expect, "{name}");
}

#[test]
fn a_rank_holds_its_share_of_the_matrices_and_all_of_the_norms() {
    check_weights("meta-llama/Llama-3.1-8B", 1, 2 * 8_030_261_248);
    // Half of everything but 65 norms of 4096 numbers.
    check_weights("meta-llama/Llama-3.1-8B", 2, 8_030_261_248 + 65 * 4096);
    // The embedding and the logits keep 16 bits; a layer's matrices have a scale for each of 6144, 4096, 28672, 4096 rows.
    let scales = 32 * 4 * (6144 + 4096 + 28_672 + 4096);
    check_weights("nvidia/Llama-3.1-8B-Instruct-FP8", 1, 8_030_261_248 + 2 * 128_256 * 4096 + 65 * 4096 + scales);
    check_weights("Qwen/Qwen3-30B-A3B", 2, 30_544_916_480);
}
