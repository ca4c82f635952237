//! Whether a run's model is a profile's: names written in every way against profiles of several models and formats.

use sim_core::compose::{Setup, compose};
use sim_core::models::catalogue::Catalogue;
use sim_core::models::settings::Quantization;
use sim_core::operators::Pack;
use sim_core::profile::Profile;
use sim_core::scenario::{OtherModel, Scenario, check_same_config, check_same_model};

use crate::profile_fixture::file;

fn catalogue() -> Catalogue {
    Catalogue::from_json(&file("../www/models.json")).expect("the list of models")
}

/// The profile of the list's model `of`, called `name`, on one H100 or several.
fn profile(of: &str, name: &str, quantization: Option<&str>) -> Profile {
    let pack = Pack::from_json(&file("../www/packs/h100-sxm.json")).expect("a pack");
    let config = catalogue().find(of).expect("a model of the list").config_json();
    let quantization = quantization.and_then(Quantization::from_name);
    let setup = Setup { quantization, tensor_parallel_size: 8, ..Setup::default() };
    compose(&pack, name, &config, &setup).expect("a profile")
}

/// What is said of a run of model `name` and the profile: empty for the same, else what is in doubt or differs.
fn told(name: &str, profile: &Profile) -> String {
    match check_same_model(name, profile, &catalogue()) {
        Ok(None) => String::new(),
        Ok(Some(doubt)) => format!("note: {doubt}"),
        Err(other) => other.to_string(),
    }
}

/// Of each name and profile this is said.
#[track_caller]
fn check(profile: &Profile, cases: &[(&str, &str)]) {
    for (name, expect) in cases {
        let told = told(name, profile);
        let is_it = if expect.is_empty() { told.is_empty() } else { told.contains(expect) };
        assert!(is_it, "{name} and {}: {told:?} instead of {expect:?}", profile.model.name);
    }
}

#[test]
fn the_same_model_passes_whatever_it_is_called() {
    let base = profile("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B", None);
    check(
        &base,
        &[
            ("meta-llama/Llama-3.1-8B", ""),
            ("meta-llama/Llama-3.1-8B-Instruct", ""),
            ("meta-llama/Meta-Llama-3.1-8B-Instruct", ""),
            ("/models/Llama-3.1-8B-Instruct", ""),
            ("~/.cache/huggingface/hub/models--meta-llama--Llama-3.1-8B/snapshots/d04e592bb4f6", ""),
            ("unsloth/llama3.1-8b", ""),
            ("NousResearch/Meta-Llama-3.1-8B-bf16", ""),
        ],
    );
    // A profile of a file of the user's own is called after a folder.
    let own = profile("meta-llama/Llama-3.2-3B", "03-model-is-called-config", None);
    check(&own, &[("meta-llama/Llama-3.2-3B-Instruct", ""), ("/data/03-model-is-called-config/", "")]);
    let fp8 = profile("Qwen/Qwen3-32B-FP8", "config", None);
    check(&fp8, &[("Qwen/Qwen3-32B-FP8", ""), ("RedHatAI/Qwen3-32B-FP8-dynamic", "")]);
    let experts = profile("deepseek-ai/DeepSeek-V3", "deepseek-v3", None);
    check(&experts, &[("deepseek-ai/DeepSeek-R1-0528", ""), ("deepseek-ai/DeepSeek-V3", "")]);
}

#[test]
fn another_size_class_or_format_does_not_pass() {
    let base = profile("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", None);
    check(
        &base,
        &[
            (
                "Qwen/Qwen3-8B-FP8",
                "model Qwen/Qwen3-8B-FP8 (fp8); the profile is of Qwen/Qwen3-8B (weights that are not",
            ),
            ("Qwen/Qwen3-8B-AWQ", "(whole numbers of 4 bits); the profile is of"),
            ("RedHatAI/Qwen3-8B-quantized.w8a8", "(int8); the profile is of"),
            ("nvidia/Qwen3-8B-NVFP4", "(nvfp4); the profile is of"),
            ("Qwen/Qwen3-8B-GPTQ-Int4", "(whole numbers of 4 bits)"),
            ("/models/Qwen3-8B-FP8", "(fp8)"),
            ("Qwen/Qwen3-14B", "(num_hidden_layers 40); the profile is of Qwen/Qwen3-8B (num_hidden_layers 36)"),
            ("meta-llama/Llama-3.1-8B", "(num_hidden_layers 32)"),
        ],
    );
    let awq = profile("Qwen/Qwen3-8B-AWQ", "Qwen/Qwen3-8B-AWQ", None);
    check(
        &awq,
        &[
            ("Qwen/Qwen3-8B", "(weights that are not quantised)"),
            ("Qwen/Qwen3-8B-FP8", "(fp8)"),
            ("x/Qwen3-8B-AWQ", ""),
        ],
    );
    let fp8 = profile("Qwen/Qwen3-32B-FP8", "Qwen/Qwen3-32B-FP8", None);
    check(&fp8, &[("Qwen/Qwen3-32B", "(weights that are not quantised); the profile is of Qwen/Qwen3-32B-FP8 (fp8)")]);
    // Same sizes, another class: DeepSeek's distillation of Llama has Llama's, Mistral's 7B has not Llama 3.1's vocabulary.
    let llama = profile("meta-llama/Llama-3.1-8B", "my-finetune", None);
    check(
        &llama,
        &[("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", ""), ("mistralai/Mistral-7B-v0.3", "vocab_size 32768")],
    );
}

#[test]
fn what_the_server_s_flags_alone_could_tell_is_a_doubt() {
    let online = profile("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", Some("fp8"));
    check(
        &online,
        &[
            ("Qwen/Qwen3-8B", ""),
            (
                "/models/Qwen3-8B",
                "note: /models/Qwen3-8B is a checkpoint that is not quantised, and the profile's weights are fp8",
            ),
            ("Qwen/Qwen3-8B-FP8", ""),
            ("Qwen/Qwen3-8B-AWQ", "(whole numbers of 4 bits)"),
        ],
    );
}

#[test]
fn a_name_that_nobody_knows_neither_passes_nor_is_another() {
    let base = profile("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", None);
    for name in ["/data/llm", "my-model", "config", "", "gpt-5", "Qwen3-8B-mine-v2"] {
        let other = check_same_model(name, &base, &catalogue()).expect_err("not known");
        assert!(matches!(other, OtherModel::Unknown { .. }), "{name}: {other}");
        assert!(other.to_string().contains("which is not known; the profile is of Qwen/Qwen3-8B"), "{other}");
    }
    check(&base, &[("mlx-community/Qwen3-8B-4bit", "4bit"), ("bartowski/Qwen3-8B-GGUF", "GGUF")]);
}

#[test]
fn a_config_is_compared_by_what_it_says() {
    let profile = profile("meta-llama/Llama-3.2-3B", "a profile", None);
    let config = file("data/cases/03-model-is-called-config/Llama-3.2-3B-Instruct/config.json");
    assert_eq!(check_same_config("config", &config, &profile, &catalogue()), Ok(None));
    let other = file("data/cases/10-awq-as-fp8/config.json");
    let told = check_same_config("config", &other, &profile, &catalogue()).expect_err("another").to_string();
    assert!(told.contains("config (num_hidden_layers 36)"), "{told}");
}

/// `--model` beside a whole profile.
#[track_caller]
fn check_flag(model: &str, profile: &Profile, expect: &str) {
    let scenario = Scenario::from_flags([("model", Some(model))]).expect("a flag");
    let told = scenario.check_profile(profile, &catalogue()).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(if expect.is_empty() { told.is_empty() } else { told.contains(expect) }, "{model}: {told}");
}

#[test]
fn the_flag_beside_a_profile_goes_by_the_same_rule() {
    let base = profile("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", None);
    check_flag("Qwen/Qwen3-8B", &base, "");
    check_flag("qwen3-8b", &base, "");
    check_flag("Qwen/Qwen3-8B-FP8", &base, "--model Qwen/Qwen3-8B-FP8 (fp8): the profile is of Qwen/Qwen3-8B (weights");
    check_flag("Qwen/Qwen3-14B", &base, "(num_hidden_layers 40)");
    check_flag(
        "nobody/knows-it",
        &base,
        "--model nobody/knows-it, which is not known: the profile is of Qwen/Qwen3-8B",
    );
}
