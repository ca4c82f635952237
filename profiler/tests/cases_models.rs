//! Models as people have them: names of files and folders, lengths that do not fit, formats of checkpoints, files with gaps,
//! each through every command that takes a model.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use serde_json::{Value, json};
use sim_core::profile::Profile;

/// An empty folder of this test's own.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cases_models").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an old folder of ours");
    }
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn case(path: &str) -> String {
    format!("{}/../tests/data/cases/{path}", env!("CARGO_MANIFEST_DIR"))
}

fn profiler(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_profiler"));
    command.current_dir(folder).args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What is said on standard error, without a panic.
#[track_caller]
fn told(folder: &Path, arguments: &[&str], code: i32) -> String {
    let output = profiler(folder, arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    stderr
}

/// The profile that is composed with these flags, and what is said on standard error.
#[track_caller]
fn composed(folder: &Path, flags: &[&str]) -> (Profile, String) {
    let stderr = told(folder, &[&["compose", "--output", "p.json"], flags].concat(), 0);
    (Profile::from_json(&fs::read(folder.join("p.json")).expect("a file")).expect("a profile"), stderr)
}

/// A file at `path` in `folder`, whose folders are made.
fn put(folder: &Path, path: &str, content: &[u8]) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    fs::write(path, content).expect("written");
}

fn llama_3b() -> Vec<u8> {
    fs::read(case("03-model-is-called-config/Llama-3.2-3B-Instruct/config.json")).expect("a file")
}

#[test]
fn a_model_has_a_name_wherever_its_file_lies() {
    let folder = scratch("names");
    let mut named: Value = serde_json::from_slice(&llama_3b()).expect("JSON");
    named["_name_or_path"] = json!("meta-llama/Llama-3.2-3B");
    let named = serde_json::to_vec(&named).expect("JSON");
    let cached = "models--meta-llama--Llama-3.2-3B/snapshots/13afe5124825b4f3751f836b40dafda64c1ed062/config.json";
    let cases: [(&str, &[u8], &[&str], &str); 9] = [
        ("Llama-3.2-3B-Instruct/config.json", &llama_3b(), &[], "Llama-3.2-3B-Instruct"),
        (cached, &llama_3b(), &[], "meta-llama/Llama-3.2-3B"),
        ("snapshots/config.json", &llama_3b(), &[], "Llama-3.2B"),
        ("snapshots/config.json", &named, &[], "meta-llama/Llama-3.2-3B"),
        ("607a30d783dfa663caf39e06633721c8d4cfcd7e/config.json", &llama_3b(), &[], "Llama-3.2B"),
        ("tmp/config.json", &llama_3b(), &["--model-name", "my/model"], "my/model"),
        ("opt/llama-3.2-3b.json", &llama_3b(), &[], "llama-3.2-3b"),
        ("ckpt/config (1).json", &named, &[], "meta-llama/Llama-3.2-3B"),
        ("Llama 3.2 (3B)/config.json", &llama_3b(), &[], "Llama 3.2 (3B)"),
    ];
    for (path, content, flags, expect) in cases {
        put(&folder, path, content);
        let (profile, stderr) = composed(&folder, &[&["--model", path], flags].concat());
        assert_eq!(profile.model.name, expect, "{path}");
        assert_eq!(stderr.contains("--model-name gives a name"), expect == "Llama-3.2B", "{path}: {stderr}");
    }
    // By its folder, and from inside it.
    let (profile, _) = composed(&folder, &["--model", "Llama-3.2-3B-Instruct"]);
    assert_eq!(profile.model.name, "Llama-3.2-3B-Instruct");
    let inside = folder.join("Llama-3.2-3B-Instruct");
    let (profile, _) = composed(&inside, &["--model", "./config.json"]);
    assert_eq!(profile.model.name, "Llama-3.2-3B-Instruct");
}

#[test]
fn every_command_that_takes_a_model_takes_its_name() {
    let folder = scratch("every command");
    put(&folder, "tmp/config.json", &llama_3b());
    let flags = ["--model", "tmp", "--model-name", "my/model"];
    let simulated = profiler(&folder, &[&["simulate", "--num-prompts", "3"], &flags[..]].concat());
    assert!(text(&simulated.stdout).contains("my/model"), "{}", text(&simulated.stderr));
    let link = profiler(&folder, &[&["link"], &flags[..]].concat());
    assert!(text(&link.stdout).contains("model=my/model&"), "{}", text(&link.stderr));
    let groups = profiler(&folder, &[&["groups"], &flags[..]].concat());
    assert!(groups.status.success(), "{}", text(&groups.stderr));
    for command in [
        &["simulate"][..],
        &["link"],
        &["compose"],
        &["groups"],
        &["serve"],
        &["import", "aiconfigurator"],
        &["import", "llmservingsim"],
        &["import", "vllm-bench"],
        &["verify-run"],
    ] {
        let help = text(&profiler(&folder, &[command, &["--help"]].concat()).stdout);
        assert!(help.contains("--model-name <NAME>"), "{command:?}");
    }
    let stderr = told(&folder, &["simulate", "--model", "Qwen/Qwen3-8B", "--model-name", "mine"], 2);
    assert!(stderr.contains("--model-name mine: it is for a model of a file"), "{stderr}");
}

/// A result of `vllm bench serve` of this model, beside the profile of `p.json`.
fn verify(folder: &Path, model: &str, flags: &[&str]) -> (Option<i32>, String) {
    let mut result: Value =
        serde_json::from_slice(&fs::read(case("03-model-is-called-config/result.json")).expect("a file"))
            .expect("JSON");
    result["model_id"] = json!(model);
    fs::write(folder.join("result.json"), result.to_string()).expect("written");
    let output = profiler(folder, &[&["verify-run", "--profile", "p.json", "--run", "result.json"], flags].concat());
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_run_is_compared_by_what_its_model_is() {
    let folder = scratch("runs");
    put(&folder, "03-model-is-called-config/config.json", &llama_3b());
    composed(&folder, &["--model", "03-model-is-called-config"]);
    let check = |model: &str, flags: &[&str], is_compared: bool, expect: &str| {
        let (code, told) = verify(&folder, model, flags);
        // 1 is beyond the limits of an error.
        assert_eq!(code != Some(2), is_compared, "{model} {flags:?}: {told}");
        assert!(
            told.contains(expect) && !told.contains("panicked"),
            "{model} {flags:?} says\n{told}\nwithout {expect}"
        );
    };
    check("meta-llama/Llama-3.2-3B-Instruct", &[], true, "mean_ttft_ms");
    check("unsloth/Llama-3.2-3B", &[], true, "mean_ttft_ms");
    check("/models/Llama-3.2-3B-Instruct", &[], true, "mean_ttft_ms");
    check(
        "RedHatAI/Llama-3.2-3B-Instruct-FP8",
        &[],
        false,
        "(fp8); the profile is of 03-model-is-called-config (weights that are not",
    );
    check("Qwen/Qwen3-8B", &[], false, "measured with model Qwen/Qwen3-8B (num_hidden_layers 36); the profile is of");
    check("/data/llm", &[], false, "/data/llm, which is not known; the profile is of");
    check("/data/llm", &[], false, "say so: --model-name 03-model-is-called-config");
    check("/data/llm", &["--model-name", "03-model-is-called-config"], true, "mean_ttft_ms");
    check("/data/llm", &["--model-name", "meta-llama/Llama-3.2-3B"], true, "mean_ttft_ms");
    check("/data/llm", &["--model-name", "meta-llama/Llama-3.2-1B"], false, "(num_hidden_layers 16)");
}

#[test]
fn a_length_is_a_flag_s_to_change() {
    let folder = scratch("lengths");
    let nemo = case("07-own-context-does-not-fit/config.json");
    let (profile, stderr) = composed(&folder, &["--model", &nemo]);
    assert_eq!(profile.engine.max_model_len, 1_024_000);
    assert!(stderr.contains("note: ") && stderr.contains("give --max-model-len at most 307088"), "{stderr}");
    for (given, expect) in [("32768", 32_768), ("32k", 32_000), ("auto", 307_088), ("-1", 307_088), ("307088", 307_088)]
    {
        let (profile, stderr) = composed(&folder, &["--model", &nemo, "--max-model-len", given]);
        assert_eq!((profile.engine.max_model_len, stderr.as_str()), (expect, ""), "{given}");
        let output = profiler(&folder, &["simulate", "--profile", "p.json", "--num-prompts", "3"]);
        assert!(output.status.success(), "{given}: {}", text(&output.stderr));
    }
    for (flags, expect) in [
        (&["compose", "--model", &nemo, "--max-model-len", "400000"][..], "give --max-model-len at most 307088"),
        (&["compose", "--model", &nemo, "--max-model-len", "2000000"], "max_model_len = 2000000 is above"),
        (&["compose", "--model", &nemo, "--max-model-len", "much"], "--max-model-len"),
        (&["simulate", "--model", &nemo, "--num-prompts", "3"], "give --max-model-len at most 307088"),
        (&["link", "--model", &nemo], "give --max-model-len at most 307088"),
    ] {
        let stderr = told(&folder, flags, 2);
        assert!(stderr.contains(expect), "{flags:?}: {stderr}");
    }
    for command in [
        &["simulate"][..],
        &["link"],
        &["compose"],
        &["groups"],
        &["serve"],
        &["import", "aiconfigurator"],
        &["import", "llmservingsim"],
        &["import", "vllm-bench"],
        &["verify-run"],
    ] {
        let help = text(&profiler(&folder, &[command, &["--help"]].concat()).stdout);
        assert!(help.contains("--max-model-len <N>"), "{command:?}");
    }
}

#[test]
fn no_flag_makes_one_format_of_another() {
    let folder = scratch("formats");
    let awq = case("10-awq-as-fp8/config.json");
    let (profile, _) = composed(&folder, &["--model", &awq]);
    // Four bits a number and its scales, and the embeddings.
    assert!(profile.memory.weights.bytes < 6_400_000_000, "{}", profile.memory.weights.bytes);
    assert_eq!(profile.engine.quantization.as_deref(), Some("awq_marlin"));
    for (flag, value, expect) in [
        ("--quantization", "fp8", "does not match the quantization method"),
        ("--quantization", "gptq", "does not match the quantization method"),
        ("--quantization", "compressed-tensors", "does not match the quantization method"),
        ("--dtype", "fp8", "one of auto, half, float16, bfloat16"),
        ("--dtype", "int4", "one of auto, half, float16, bfloat16"),
    ] {
        for command in ["compose", "simulate", "link"] {
            let stderr = told(&folder, &[command, "--model", &awq, flag, value], 2);
            assert!(stderr.contains(expect), "{command} {flag} {value}: {stderr}");
            assert!(!stderr.contains("--dtype fp8"), "an advice to another format: {stderr}");
        }
    }
    // Other methods that the file names itself.
    let plain: Value = serde_json::from_slice(&fs::read(&awq).expect("a file")).expect("JSON");
    for (words, expect) in [
        (
            json!({"quant_method": "bitsandbytes", "load_in_4bit": true}),
            "\"bitsandbytes\": weights of this method are not simulated",
        ),
        (json!({"quant_method": "gptq", "bits": 3}), "3"),
        (json!({"quant_method": "quark"}), "\"quark\": weights of this method are not simulated"),
        (json!({"bits": 4}), "quant_method is absent"),
    ] {
        let mut config = plain.clone();
        config["quantization_config"] = words;
        put(&folder, "own/config.json", config.to_string().as_bytes());
        let stderr = told(&folder, &["compose", "--model", "own/config.json", "--model-name", "x"], 2);
        assert!(stderr.contains(expect), "{stderr}\nlacks {expect}");
        let stderr =
            told(&folder, &["compose", "--model", "own/config.json", "--model-name", "x", "--quantization", "fp8"], 2);
        assert!(stderr.contains("quant"), "{stderr}");
    }
}

#[test]
fn files_with_gaps_are_composed_and_say_so() {
    let folder = scratch("gaps");
    let gemma = case("15-model-config-without-defaults/config.json");
    let (profile, _) = composed(&folder, &["--model", &gemma]);
    assert_eq!(profile.model.vocab_size, 262_208);
    let note = "The model's config.json leaves out what its class in transformers has: max_position_embeddings 131072, vocab_size 262208.";
    assert!(profile.provenance.notes.iter().any(|told| told == note), "{:?}", profile.provenance.notes);
    let deepseek = case("15-model-config-without-defaults/deepseek-v3.config.json");
    let (profile, _) = composed(&folder, &["--model", &deepseek, "-tp", "8", "--gpu", "h200-sxm"]);
    assert_eq!((profile.model.head_dim, profile.model.name.as_str()), (192, "deepseek-v3"));
    for (config, expect) in [
        (
            json!({"architectures": ["FalconForCausalLM"], "model_type": "falcon"}),
            "model_type \"falcon\", architecture \"FalconForCausalLM\" is not modelled. Near it: FalconH1",
        ),
        (json!({"model_type": "gpt_neox", "hidden_size": 6144}), "architecture \"gpt_neox\" is not modelled"),
        (
            json!({"architectures": ["WhisperForConditionalGeneration"], "is_encoder_decoder": true}),
            "is_encoder_decoder",
        ),
        (json!({"architectures": ["LlamaForCausalLM"]}), "num_attention_heads is absent"),
    ] {
        put(&folder, "own/config.json", config.to_string().as_bytes());
        let stderr = told(&folder, &["compose", "--model", "own", "--model-name", "x"], 2);
        assert!(stderr.contains(expect), "{stderr}\nlacks {expect}");
    }
}
