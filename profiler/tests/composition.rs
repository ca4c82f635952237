//! `--model` and `--gpu` as people say them: every way of saying gives the same run, and what is not simulated is refused.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

fn profiler(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_profiler")).args(arguments).output().expect("the program starts")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// A folder of this test's own in the build folder.
fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&path).expect("a folder of ours");
    path
}

fn data(path: &str) -> String {
    format!("{}/../tests/data/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// The digest of a short run.
fn digest(arguments: &[&str]) -> String {
    let text = stdout(&profiler(&[&["simulate", "--num-prompts", "20"], arguments].concat()));
    let line = text.lines().find(|line| line.starts_with("Digest of the run:"));
    line.unwrap_or_else(|| panic!("{arguments:?} says\n{text}")).to_owned()
}

/// The whole text of a short run.
#[track_caller]
fn check_told(arguments: &[&str], expect: &[&str]) {
    let text = stdout(&profiler(&[&["simulate", "--num-prompts", "20"], arguments].concat()));
    for line in expect {
        assert!(text.contains(line), "{arguments:?} says\n{text}\nwithout {line:?}");
    }
}

#[track_caller]
fn check_refused(arguments: &[&str], expect: &str) {
    let output = profiler(&[&["simulate", "--num-prompts", "20"], arguments].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty() && !stderr.contains("panicked"), "{arguments:?}: {stderr}");
    assert!(stderr.contains(expect), "{arguments:?} says\n{stderr}\nwithout {expect:?}");
}

#[test]
fn a_model_is_the_same_however_it_is_said() {
    let name = digest(&["--model", "Qwen/Qwen3-8B", "--gpu", "h100-sxm"]);
    assert_eq!(digest(&["--model", "qwen3-8b"]), name, "without owner, and the GPU is the default");
    let folder = scratch("models/Qwen3-8B");
    fs::copy(format!("{}/models/qwen3-8b.json", env!("CARGO_MANIFEST_DIR")), folder.join("config.json"))
        .expect("a copy");
    let file = folder.join("config.json");
    let (folder, file) = (folder.to_str().expect("UTF-8"), file.to_str().expect("UTF-8"));
    assert_eq!(digest(&["--model", file]), name, "its config.json");
    assert_eq!(digest(&["--model", folder]), name, "a folder");
    assert_eq!(digest(&["-tp=1", "--dtype", "auto"]), digest(&["--model", "meta-llama/Llama-3.1-8B"]), "the default");
    let profile = scratch("composed").join("qwen3-8b.json");
    let profile = profile.to_str().expect("UTF-8");
    stdout(&profiler(&["compose", "--model", "Qwen/Qwen3-8B", "--output", profile]));
    assert_eq!(digest(&["--profile", profile]), name, "a profile that was composed before");
    assert_eq!(digest(&["--profile", profile, "--model", "Qwen/Qwen3-8B", "--gpu", "h100-sxm"]), name, "that agrees");
}

#[test]
fn each_flag_acts() {
    let model = ["--model", "Qwen/Qwen3-32B", "--gpu", "b200-sxm"];
    let mut seen = vec![digest(&model)];
    for flags in [
        &["--gpu", "h200-sxm"][..],
        &["-tp", "2"],
        &["--quantization", "fp8"],
        &["--kv-cache-dtype", "fp8"],
        &["--model", "Qwen/Qwen3-30B-A3B", "--tensor-parallel-size", "2"],
        &["--model", "Qwen/Qwen3-30B-A3B", "--tensor-parallel-size", "2", "--enable-expert-parallel"],
        &["--model", "Qwen/Qwen3-30B-A3B", "-dp", "2", "-ep"],
        &["--model", "Qwen/Qwen3-32B-AWQ"],
    ] {
        let this = digest(&[&model[..], flags].concat());
        assert!(!seen.contains(&this), "{flags:?} changes nothing");
        seen.push(this);
    }
    assert_eq!(digest(&[&model[..], &["-q", "fp8"]].concat()), seen[3], "in short");
}

#[test]
fn the_heading_says_what_was_composed_of_what() {
    let quantised = ["--model", "Qwen/Qwen3-32B-AWQ", "--tensor-parallel-size", "2"];
    check_told(
        &quantised,
        &[
            "h100-sxm_Qwen3-32B-AWQ_awq_marlin_tp2",
            "(Qwen/Qwen3-32B-AWQ, taken for Qwen/Qwen3-32B, AWQ, ",
            "KV cache auto, on 2 × NVIDIA H100 80GB HBM3;",
            "composed of operators measured by aiconfigurator-core",
        ],
    );
    let unmeasured = ["--model", "Qwen/Qwen3-8B", "--gpu", "rtx-4090", "--max-model-len", "8192"];
    check_told(
        &unmeasured,
        &[
            "on 1 × NVIDIA GeForce RTX 4090;",
            "Estimated: moved from another GPU's",
            "With passes that take 0.60 to 1.70 times as long:",
        ],
    );
    check_told(
        &[&quantised[..], &["--explain"]].concat(),
        &["weights  ", "peak of activations", "Note: No whole pass"],
    );
}

#[test]
fn a_link_carries_all_of_it() {
    let check = |arguments: &[&str], expect: &[&str]| {
        let flags = [&["--num-prompts", "20"], arguments].concat();
        let link = stdout(&profiler(&[&["link"], &flags[..]].concat()));
        for part in expect {
            assert!(link.contains(part), "{link} lacks {part}");
        }
        let linked = stdout(&profiler(&["simulate", "--link", link.trim()]));
        assert!(linked.contains(&digest(arguments)), "{link}");
    };
    check(
        &["--model", "Qwen/Qwen3-32B", "--gpu", "h200-sxm", "-tp", "2", "-q", "fp8", "--kv-cache-dtype=fp8"],
        &["model=Qwen/Qwen3-32B&gpu=h200-sxm&quantization=fp8&kv-cache-dtype=fp8&tensor-parallel-size=2"],
    );
    check(&["--model", "Qwen/Qwen3-30B-A3B", "-dp", "2", "-ep"], &["&data-parallel-size=2&enable-expert-parallel"]);
    let config = data("models/gemma-3-27b.config.json");
    check(&["--model", &config, "--max-model-len", "8192"], &["model=gemma-3-27b&", "&config-hash=", "&config-z="]);
    // A pack is too large for a link: its name and its fingerprint are in it, and whoever opens it gives the file.
    let pack = scratch("packs").join("mine.json");
    let text = fs::read_to_string(data("../../www/packs/a100-sxm.json")).expect("a pack");
    fs::write(&pack, text.replacen("\"key\":\"a100-sxm\"", "\"key\":\"mine\"", 1)).expect("a file of ours");
    let pack = pack.to_str().expect("UTF-8");
    let flags = ["--num-prompts", "20", "--gpu", pack];
    let link = stdout(&profiler(&[&["link"], &flags[..]].concat()));
    assert!(link.contains("gpu=mine&") && link.contains("&pack-hash="), "{link}");
    let linked = stdout(&profiler(&["simulate", "--link", link.trim(), "--gpu", pack]));
    assert!(linked.contains(&digest(&["--gpu", pack])), "{linked}");
}

#[test]
fn what_is_not_simulated_is_refused_by_name() {
    check_refused(&["--model", "Foo/Bar-7B"], "model \"Foo/Bar-7B\" is not known; give its config.json. Near it: ");
    check_refused(&["--model", "nowhere/config.json"], "nowhere/config.json");
    check_refused(&["--model", "./src"], "there is no config.json in this folder");
    check_refused(&["--gpu", "h1000"], "--gpu \"h1000\" is not known: give one of h100-sxm, h200-sxm");
    check_refused(&["--quantization", "bitsandbytes"], "--quantization bitsandbytes: weights of this method");
    check_refused(&["--quantization", "gguf"], "--quantization gguf");
    check_refused(&["--quantization", "marble"], "--quantization");
    check_refused(&["--quantization", "awq"], "Cannot find the config file for awq");
    check_refused(&["--model", "Qwen/Qwen3-8B-GGUF"], "Qwen3-8B-GGUF");
    check_refused(&["--kv-cache-dtype", "fp8_e5m2"], "--kv-cache-dtype fp8_e5m2");
    check_refused(&["--kv-cache-dtype", "nvfp4"], "--kv-cache-dtype nvfp4");
    check_refused(&["--dtype", "int8"], "--dtype");
    check_refused(&["--model", "Qwen/Qwen3-8B", "-tp", "3"], "which 3 ranks cannot divide");
    check_refused(&["--model", "Qwen/Qwen3-8B", "-tp", "0"], "tensor_parallel_size = 0: there is at least one rank");
    check_refused(&["--model", "Qwen/Qwen3-8B", "-dp", "x"], "--data-parallel-size");
}

#[test]
fn a_whole_pass_profile_holds_for_its_own_values() {
    let profile = data("../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");
    let check = |flags: &[&str], expect: &str| check_refused(&[&["--profile", &profile], flags].concat(), expect);
    check(&["--model", "Qwen/Qwen3-8B"], "--model Qwen/Qwen3-8B (num_hidden_layers 36): the profile is of ");
    check(&["--gpu", "h200-sxm"], "--gpu h200-sxm: the profile is of NVIDIA H100 80GB HBM3; choose --model and --gpu");
    check(&["--dtype", "float16"], "--dtype float16: the profile is of bfloat16");
    check(&["--quantization", "fp8"], "--quantization fp8: the profile is of weights that are not quantised");
    check(&["--kv-cache-dtype", "fp8"], "--kv-cache-dtype fp8: the profile is of auto");
    check(&["-tp", "2"], "--tensor-parallel-size 2: the profile is of 1");
    let agreeing = ["--profile", &profile, "--gpu", "h100-sxm", "--dtype", "bfloat16", "--kv-cache-dtype", "auto"];
    assert_eq!(digest(&agreeing), digest(&["--profile", &profile]), "flags that agree change nothing");
}

#[test]
fn models_and_gpus_are_listed() {
    let models = stdout(&profiler(&["models", "qwen3"]));
    assert!(models.contains("Qwen/Qwen3-32B ") && models.contains("Qwen3ForCausalLM, 64 layers"), "{models}");
    assert!(stdout(&profiler(&["models"])).lines().count() >= 60, "the list has at least 60 models");
    let gpus = stdout(&profiler(&["gpus"]));
    assert!(gpus.contains("h100-sxm       H100 SXM"), "{gpus}");
    assert!(gpus.contains("estimated from l40s"), "{gpus}");
}

#[test]
fn groups_are_of_a_name_too() {
    let text = stdout(&profiler(&["groups", "--model", "openai/gpt-oss-20b", "--gpu", "b200-sxm"]));
    assert!(text.contains("GptOssForCausalLM"), "{text}");
}

#[test]
fn what_once_went_wrong_stays_right() {
    let folder = data("cases/03-model-is-called-config/Llama-3.2-3B-Instruct/config.json");
    let profile = scratch("cases").join("llama-3.2-3b.json");
    let profile = profile.to_str().expect("UTF-8");
    stdout(&profiler(&["compose", "--model", &folder, "--gpu", "l40s", "--output", profile]));
    let result = data("cases/03-model-is-called-config/result.json");
    let run = profiler(&["verify-run", "--profile", profile, "--run", &result]);
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(told.contains("mean_ttft_ms"), "{told}{}", String::from_utf8_lossy(&run.stderr));

    let nemo = data("cases/07-own-context-does-not-fit/config.json");
    stdout(&profiler(&["compose", "--model", &nemo]));
    check_told(&["--model", &nemo, "--max-model-len", "32768"], &["Digest of the run:"]);
    check_refused(&["--model", &nemo, "--max-model-len", "1024000"], "give --max-model-len at most 307088");

    let heads = data("cases/08-heads-that-were-not-measured/config.json");
    for gpu in ["h100-sxm", "b200-sxm", "a100-sxm", "l40s"] {
        check_told(&["--model", &heads, "--gpu", gpu, "--explain"], &["The heads of attention were not measured"]);
    }

    let awq = data("cases/10-awq-as-fp8/config.json");
    check_refused(&["--model", &awq, "--quantization", "fp8"], "does not match the quantization method");
    check_told(&["--model", &awq], &["weights awq"]);

    let gemma = data("cases/15-model-config-without-defaults/config.json");
    check_told(&["--model", &gemma, "--max-model-len", "8192"], &["Digest of the run:"]);
}
