//! Number formats and weights of small files that are written like published ones.

use alloc::format;
use alloc::string::{String, ToString as _};

use super::shape::{ModelShape, WeightFormat, WeightFormats};
use super::{ModelSettings, Quantization, WeightSharing};

use WeightFormat::{Fp8, Fp8Block, Int4, Int8, Mxfp4, Nvfp4, Unquantized};

/// A model with a dense layer and seven of experts, one of them shared, that is quantised like this.
fn file(quantization: &str) -> String {
    format!(
        r#"{{"architectures": ["Glm4MoeForCausalLM"], "hidden_size": 256, "num_hidden_layers": 8, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 512, "moe_intermediate_size": 128,
        "n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 1, "first_k_dense_replace": 1,
        "vocab_size": 1000, "max_position_embeddings": 4096 {quantization}}}"#
    )
}

fn formats(file: &str, quantization: Option<&str>) -> Result<WeightFormats, String> {
    let quantization = quantization.map(|name| Quantization::from_name(name).expect("a method"));
    let settings = ModelSettings { quantization, ..ModelSettings::default() };
    ModelShape::from_json(file.as_bytes(), &settings).map(|shape| shape.formats).map_err(|refused| refused.to_string())
}

/// What a `quantization_config` makes of mixers, MLPs, experts, shared experts and logits.
#[track_caller]
fn check(quantization: &str, expect: [WeightFormat; 5]) {
    let found = formats(&file(&format!(r#", "quantization_config": {quantization}"#)), None).expect("formats");
    let found = [found.mixer, found.mlp, found.experts, found.shared_experts, found.lm_head];
    assert_eq!(found, expect, "{quantization}");
}

#[test]
fn a_checkpoint_says_which_matrices_have_which_format() {
    let whole = |format| [format, format, format, format, Unquantized];
    let only_experts = |format| [Unquantized, Unquantized, format, Unquantized, Unquantized];
    check(r#"{"quant_method": "fp8", "weight_block_size": [128, 128]}"#, whole(Fp8Block));
    check(r#"{"quant_method": "fp8", "weight_block_size": null}"#, whole(Fp8));
    check(r#"{"quant_method": "fp8", "modules_to_not_convert": ["gate", "lm_head"]}"#, whole(Fp8));
    check(r#"{"quant_method": "fp8", "modules_to_not_convert": ["model.layers.0.self_attn.q_proj"]}"#, whole(Fp8));
    check(r#"{"quant_method": "awq", "bits": 4, "group_size": 128}"#, whole(Int4 { group: 128 }));
    check(r#"{"quant_method": "gptq", "bits": 4, "group_size": -1}"#, whole(Int4 { group: 1 << 20 }));
    check(r#"{"quant_method": "gptq", "bits": 8, "group_size": 128}"#, whole(Int8));
    check(r#"{"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]}"#, only_experts(Mxfp4));
    check(r#"{"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head"]}"#, whole(Nvfp4));
    check(r#"{"quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]}}"#, whole(Fp8));
    check(
        r#"{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": {"targets":
        ["Linear"], "weights": {"num_bits": 4, "type": "int", "group_size": 32}}}, "ignore": ["lm_head", "re:.*self_attn.*",
        "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|gate_up|down)_proj.*"]}"#,
        only_experts(Int4 { group: 32 }),
    );
    check(
        r#"{"quant_method": "compressed-tensors", "config_groups": {"group_0": {"format": "float-quantized", "targets":
        ["re:.*self_attn.*"], "weights": {"num_bits": 8, "type": "float"}}, "group_1": {"format": "nvfp4-pack-quantized",
        "targets": ["re:.*mlp.*"], "weights": {"num_bits": 4, "type": "float", "group_size": 16}}}}"#,
        [Fp8, Nvfp4, Nvfp4, Nvfp4, Unquantized],
    );
    check(
        r#"{"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {"model.layers.*.mlp.experts":
        {"quant_algo": "NVFP4"}, "model.layers.*.self_attn.o_proj": {"quant_algo": "FP8"}, "lm_head": {"quant_algo":
        "W4A16_NVFP4"}}}"#,
        [Fp8, Unquantized, Nvfp4, Unquantized, Nvfp4],
    );
}

#[test]
fn a_majority_of_layers_decides() {
    let without = |numbers: core::ops::Range<u32>| {
        let names = numbers.map(|number| format!(r#""model.layers.{number}.self_attn*""#));
        let names = names.collect::<alloc::vec::Vec<_>>().join(",");
        format!(r#"{{"quant_method": "modelopt", "quant_algo": "NVFP4", "exclude_modules": [{names}]}}"#)
    };
    check(&without(0..4), [Nvfp4, Nvfp4, Nvfp4, Nvfp4, Unquantized]);
    check(&without(0..5), [Unquantized, Nvfp4, Nvfp4, Nvfp4, Unquantized]);
}

/// What is refused says so.
#[track_caller]
fn check_refused(checkpoint: &str, given: Option<&str>, expect: &str) {
    let refused = formats(&file(checkpoint), given).expect_err("no formats");
    assert!(refused.contains(expect), "{refused}");
}

#[test]
fn other_weights_are_refused_by_name() {
    let bits = r#", "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true}"#;
    check_refused(bits, None, r#"quantization "bitsandbytes""#);
    let awq = r#", "quantization_config": {"quant_method": "awq", "bits": 4}"#;
    check_refused(awq, Some("fp8"), "Quantization method specified in the model config (awq) does not match");
    check_refused("", Some("awq"), "Cannot find the config file for awq");
    check_refused(r#", "quantization_config": {"quant_method": "gptq", "bits": 3}"#, None, "bits is 3");
    check_refused(r#", "quantization_config": {"bits": 4}"#, None, "quant_method is absent");
    assert_eq!(formats(&file(awq), Some("awq_marlin")).expect("the same weights").mixer, Int4 { group: 128 });
    assert_eq!(formats(&file(""), Some("fp8")), Ok(WeightFormats::all(Fp8)));
}

/// Weights of one of so many ranks, in bytes.
#[track_caller]
fn check_weights(quantization: &str, sharing: &WeightSharing, expect: u64) {
    let shape = ModelShape::from_json(file(quantization).as_bytes(), &ModelSettings::default()).expect("a shape");
    assert_eq!(shape.weights(sharing).total(), expect, "{quantization} {sharing:?}");
}

#[test]
fn a_rank_holds_its_share_with_scales_and_padding() {
    // Of one layer: queries, keys and values 512 × 256, output 256 × 256; an MLP of 3 × 512 × 256; an expert of 3 × 128 × 256.
    const ATTENTION: u64 = 512 * 256 + 256 * 256;
    const EXPERT: u64 = 3 * 128 * 256;
    // Two norms a layer and one behind; the router in 32 bits and its bias; a vocabulary of 1000 words padded to 1024.
    const OTHER: u64 = 2 * (17 * 256 + 7 * 8) + 7 * 8 * 256 * 4 + 2 * 2 * 1024 * 256;
    const MATRICES: u64 = 8 * ATTENTION + 3 * 512 * 256 + 7 * 9 * EXPERT;
    check_weights("", &WeightSharing::ALONE, 2 * MATRICES + OTHER);
    let half = OTHER - 2 * 2 * 512 * 256;
    check_weights("", &WeightSharing::tensor_parallel(2), MATRICES + half);
    let spread = WeightSharing { enable_expert_parallel: true, ..WeightSharing::tensor_parallel(2) };
    check_weights("", &spread, MATRICES + half);
    // Four ranks and two heads of keys and values: each has one, and two ranks the same.
    let quarter = OTHER - 3 * (2 * 2 * 256 * 256);
    check_weights("", &WeightSharing::tensor_parallel(4), MATRICES / 2 + 8 * 2 * 64 * 256 + quarter);
    // Four bytes for each block of 128 × 128.
    let blocks = r#", "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}"#;
    check_weights(blocks, &WeightSharing::ALONE, MATRICES + MATRICES / 128 / 128 * 4 + OTHER);
}

/// A file that leaves out what its class has by default is of a model with so many parameters.
#[track_caller]
fn check_defaults(file: &str, parameters: u64) {
    let shape = ModelShape::from_json(file.as_bytes(), &ModelSettings::default()).expect("a shape");
    assert_eq!(shape.num_parameters(), parameters, "{shape:?}");
}

#[test]
fn published_files_leave_out_what_their_class_has_by_default() {
    check_defaults(
        r#"{"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {"hidden_size": 5376, "intermediate_size":
        21504, "num_attention_heads": 32, "num_hidden_layers": 62, "num_key_value_heads": 16, "sliding_window": 1024,
        "head_dim": 128}, "vision_config": {"hidden_size": 1152}}"#,
        27_432_406_640,
    );
    check_defaults(
        r#"{"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {"hidden_size": 2560, "intermediate_size":
        10240, "num_hidden_layers": 34, "sliding_window": 1024}, "vision_config": {}}"#,
        4_300_079_472,
    );
    check_defaults(
        r#"{"architectures": ["DeepseekV3ForCausalLM"], "hidden_size": 7168, "intermediate_size": 18432,
        "moe_intermediate_size": 2048, "num_hidden_layers": 61, "q_lora_rank": 1536, "n_routed_experts": 256,
        "num_experts_per_tok": 8, "max_position_embeddings": 163840}"#,
        671_026_419_200,
    );
}
