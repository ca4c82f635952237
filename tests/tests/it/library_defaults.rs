//! What a `config.json` leaves out is as in the library: held against the whole configurations that transformers and
//! vLLM make of an empty file (`data/models/library_defaults.json`, by `recorder/record_config_defaults.py`).

use serde_json::{Map, Value, json};
use sim_core::models::{ModelConfig, ModelKvCache, ModelSettings, ModelShape};

use crate::profile_fixture::file;

/// Classes with their whole configurations.
fn recorded() -> Vec<(String, Map<String, Value>)> {
    let text = file("data/models/library_defaults.json");
    let record: Value = serde_json::from_slice(&text).expect("JSON");
    let classes = record["classes"].as_object().expect("classes").clone();
    let whole = |class: &str, entry: &Value| {
        let mut config = entry["config"].as_object().expect("an object").clone();
        config.insert("architectures".to_owned(), json!([class]));
        config
    };
    classes.iter().map(|(class, entry)| (class.clone(), whole(class, entry))).collect()
}

/// All that is read of a file, or why it is not.
fn read(config: &Map<String, Value>) -> Result<(ModelShape, ModelKvCache), String> {
    let bytes = serde_json::to_vec(config).expect("JSON");
    let settings = ModelSettings::default();
    let shape = ModelShape::from_json(&bytes, &settings).map_err(|error| error.to_string())?;
    Ok((shape, ModelKvCache::from_json(&bytes, &settings).map_err(|error| error.to_string())?))
}

/// The object with the language model's fields.
fn language(config: &mut Map<String, Value>) -> &mut Map<String, Value> {
    if config.get("text_config").is_some_and(Value::is_object) {
        return config.get_mut("text_config").and_then(Value::as_object_mut).expect("an object");
    }
    config
}

/// Fields without which our reader refuses a file, though the library makes something up: patterns of layers that no
/// published file leaves out.
const PATTERNS: [(&str, &str); 2] =
    [("NemotronHForCausalLM", "layers_block_type"), ("Zamba2ForCausalLM", "layers_block_type")];

/// Classes of which the library's own defaults lack what a model has: experts of a token (`num_experts_per_tok`), the
/// index, `kv_lora_rank`, heads of layers with a window, patterns of layers. Files say these.
const LEFT_TO_THE_FILE: [&str; 6] = [
    "DeepseekV2ForCausalLM",
    "DeepseekV32ForCausalLM",
    "KimiK3ForConditionalGeneration",
    "KimiLinearForCausalLM",
    "MiMoV2FlashForCausalLM",
    "Step3p5ForCausalLM",
];

fn is_pattern(class: &str, field: &str) -> bool {
    PATTERNS.contains(&(class, field))
}

#[test]
fn a_file_that_leaves_everything_out_is_the_library_s_model() {
    let mut faults = Vec::new();
    let mut num_read = 0;
    let mut not_read = Vec::new();
    for (class, whole) in recorded() {
        let expect = read(&whole);
        let mut least = whole.clone();
        let keep = ["architectures", "model_type", "hidden_size", "text_config"];
        let is_kept = |field: &str| keep.contains(&field) || is_pattern(&class, field);
        language(&mut least).retain(|field, _| is_kept(field));
        least.retain(|field, _| is_kept(field));
        match read(&least) {
            Ok(read) if Ok(&read) == expect.as_ref() => num_read += 1,
            Ok(read) => faults.push(format!("{class}:\n   {read:?}\n   {expect:?}")),
            Err(error) if expect == Err(error.clone()) => not_read.push(class),
            Err(error) => faults.push(format!("{class}: {error}")),
        }
    }
    assert!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(not_read, LEFT_TO_THE_FILE);
    assert!(num_read >= 55, "{num_read} classes");
}

#[test]
fn each_field_may_be_left_out() {
    let mut num_fields = 0;
    let mut faults = Vec::new();
    for (class, whole) in recorded() {
        let Ok(expect) = read(&whole) else { continue };
        let fields: Vec<String> = language(&mut whole.clone()).keys().cloned().collect();
        // Whether the embedding is shared stands in two objects of a file with pictures; the other's holds then.
        let skipped = [
            "architectures",
            "text_config",
            if whole.contains_key("text_config") { "tie_word_embeddings" } else { "" },
        ];
        for field in fields.iter().filter(|field| !skipped.contains(&field.as_str()) && !is_pattern(&class, field)) {
            let mut config = whole.clone();
            language(&mut config).remove(field);
            num_fields += 1;
            match read(&config) {
                Ok(read) if read == expect => {}
                Ok(read) => faults.push(format!("{class} without {field}:\n   {read:?}\n   {expect:?}")),
                Err(error) => faults.push(format!("{class} without {field}: {error}")),
            }
        }
    }
    assert!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults.join("\n"));
    assert!(num_fields > 900, "{num_fields} fields");
}

/// The file of this class and type with these fields of its language model is read as having these.
#[track_caller]
fn check(config: Value, expect: (u32, u32, u32, u32, u32)) {
    let read = ModelConfig::from_json(&serde_json::to_vec(&config).expect("JSON")).expect("a model");
    let got = (
        read.num_attention_heads,
        read.num_key_value_heads,
        read.head_dim,
        read.vocab_size,
        read.max_position_embeddings,
    );
    assert_eq!(got, expect, "{config}");
}

#[test]
fn published_files_with_gaps_are_read() {
    // As their publishers have them, but for fields that say nothing of sizes.
    check(
        json!({"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": {
            "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}}),
        (8, 4, 256, 262_208, 131_072),
    );
    check(
        json!({"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": {
            "hidden_size": 5376, "intermediate_size": 21504, "model_type": "gemma3_text", "num_attention_heads": 32,
            "num_hidden_layers": 62, "num_key_value_heads": 16, "sliding_window": 1024, "head_dim": 128,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"}}}),
        (32, 16, 128, 262_208, 131_072),
    );
    // A text model of another type inside: its own type's defaults.
    check(
        json!({"architectures": ["Mistral3ForConditionalGeneration"], "model_type": "mistral3", "text_config": {
            "model_type": "ministral3", "hidden_size": 4096, "num_hidden_layers": 34}}),
        (32, 8, 128, 131_072, 262_144),
    );
    // No class, only a type.
    check(json!({"model_type": "phi3", "hidden_size": 3072, "num_hidden_layers": 32}), (32, 32, 96, 32_064, 4096));
    check(
        json!({"architectures": ["MixtralForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32}),
        (32, 8, 128, 32_000, 131_072),
    );
    // As newer versions of transformers write it: experts under another name.
    check(
        json!({"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "hidden_size": 2048, "head_dim": 128,
            "num_hidden_layers": 48, "num_local_experts": 128, "max_position_embeddings": 40960}),
        (32, 4, 128, 151_936, 40_960),
    );
    check(
        json!({"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "hidden_size": 7168,
            "num_hidden_layers": 61, "head_dim": 56}),
        (128, 128, 192, 129_280, 4096),
    );
}

#[test]
fn latent_attention_has_the_heads_that_it_has() {
    let file = file("data/cases/15-model-config-without-defaults/deepseek-v3.config.json");
    let read = ModelConfig::from_json(&file).expect("a model");
    assert_eq!((read.head_dim, read.v_head_dim, read.kv_lora_rank, read.num_experts), (192, 128, 512, 256));
    assert_eq!(
        read.summary(),
        "61 layers of 7168, 128 heads of latent attention (queries and keys of 192, values of 128, 512 compressed), 256 experts, fp8"
    );
}

#[test]
fn a_type_that_is_not_known_is_named_before_any_field() {
    for (config, expect) in [
        (json!({"model_type": "gpt_neox", "hidden_size": "x"}), "architecture \"gpt_neox\" is not modelled"),
        (json!({"architectures": ["Phi3SmallForCausalLM"], "model_type": "phi3small"}), "Near it: Phi3ForCausalLM"),
        (
            json!({"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava"}),
            "model_type \"llava\", architecture",
        ),
        (json!({"architectures": ["Gemma5ForCausalLM"], "model_type": "gemma5"}), "Near it: Gemma"),
        (
            json!({"architectures": ["FalconForCausalLM"], "model_type": "falcon"}),
            "Near it: FalconH1ForCausalLM, FalconMambaForCausalLM",
        ),
    ] {
        let refused = ModelConfig::from_json(&serde_json::to_vec(&config).expect("JSON")).expect_err("not known");
        let text = refused.to_string();
        assert!(text.contains(expect) && text.contains("Known: "), "{text}\nlacks\n{expect}");
    }
}
