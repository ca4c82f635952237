//! `profiler groups` as a process: what vLLM plans for a model, told.

use std::process::{Command, Output};

fn groups(model: &str, arguments: &[&str]) -> Output {
    let config = format!("{}/../tests/data/models/{model}.config.json", env!("CARGO_MANIFEST_DIR"));
    let arguments: Vec<&str> = ["groups", &config].into_iter().chain(arguments.iter().copied()).collect();
    Command::new(env!("CARGO_BIN_EXE_profiler")).args(arguments).output().expect("the program starts")
}

/// The whole text for these arguments.
#[track_caller]
fn check(model: &str, arguments: &[&str], expect: &[&str]) {
    let output = groups(model, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for line in expect {
        assert!(text.contains(line), "{text}\nlacks {line:?}");
    }
}

#[test]
fn a_dense_model_has_one_group() {
    check(
        "llama-3.1-8b",
        &["--kv-cache-memory-bytes", "16G", "--max-model-len", "8k"],
        &[
            "LlamaForCausalLM, for at most 131072 tokens",
            "    32 × full attention, 8 KV heads of 128, 4096 bytes a token",
            "    32 layers of full attention: blocks of 16 tokens and 2097152 bytes, at most 500 a request",
            "Blocks in all:                           8192",
            "GPU KV cache size: 131,072 tokens, Maximum concurrency for 8,000 tokens per request: 16.38x",
        ],
    );
}

#[test]
fn flags_of_vllm_serve_decide_about_groups() {
    check(
        "qwen3-next-80b-a3b",
        &["-tp=2", "--speculative-config", r#"{"method": "mtp", "num_speculative_tokens": 3}"#],
        &[
            "Layers, in the order in which vLLM builds them, on one of 2 ranks",
            "     1 × full attention, 1 KV heads of 256, 1024 bytes a token, the drafter's",
            "layers of states: blocks of",
            "gives up the last block of a hit",
            "For the number of blocks give --kv-cache-memory-bytes.",
        ],
    );
    check(
        "gemma-3-27b",
        &["--kv-cache-dtype", "fp8", "--disable-hybrid-kv-cache-manager"],
        &["    62 layers of attention to 1024 tokens, all kept: blocks of 16 tokens"],
    );
    check(
        "gpt-oss-20b",
        &[],
        &[
            "    12 times\n            1 × a sliding window of 128 tokens, 8 KV heads of 64",
            "    12 layers of a sliding window of 128 tokens: blocks of 16 tokens",
        ],
    );
    check(
        "llama-3.1-8b",
        &["--attention-backend", "FLASHINFER", "--uvicorn-log-level", "info"],
        &["Bytes of a block:"],
    );
}

/// Exit code 2, nothing on stdout, and what the user reads.
#[track_caller]
fn check_refused(model: &str, arguments: &[&str], expect: &str) {
    let output = groups(model, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(output.stdout.is_empty() && stderr.contains(expect), "{stderr}\nwithout {expect:?}");
}

#[test]
fn what_is_not_known_is_refused() {
    check_refused("deepseek-v4-flash", &[], r#"architecture "DeepseekV4ForCausalLM" is not modelled"#);
    check_refused("nothing", &[], "nothing.config.json cannot be opened");
    check_refused("llama-3.1-8b", &["--kv-cache-dtype", "int3"], "not a name that is known here");
    check_refused("llama-3.1-8b", &["--prefix-match-unit", "8"], "prefix_match_unit");
    let eagle = r#"{"method": "eagle3", "num_speculative_tokens": 3, "model": "x"}"#;
    check_refused("llama-3.1-8b", &["--speculative-config", eagle], "needs the drafter's own config.json");
}
