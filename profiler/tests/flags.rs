//! The flags of the built `profiler` as a process: taken as vLLM's own parser takes them, and judged by their value.

use std::process::{Command, Output};

fn profiler(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_profiler")).args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The fragment of the link for these flags, which says what would be simulated.
#[track_caller]
fn link(arguments: &[&str]) -> String {
    let output = profiler(&[&["link"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    let stdout = text(&output.stdout);
    stdout.split_once('#').map_or_else(|| stdout.clone(), |(_, fragment)| fragment.trim().to_owned())
}

/// The flags are the same run as `full`.
#[track_caller]
fn check_same(flags: &[&str], full: &[&str]) {
    assert_eq!(link(flags), link(full), "{flags:?}");
}

/// The flags change nothing, and each of `named` is said to be set aside.
#[track_caller]
fn check_aside(flags: &[&str], named: &[&str]) {
    let output = profiler(&[&["link", "--num-prompts", "3"], flags].concat());
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{flags:?}: {stderr}");
    for name in named {
        assert!(stderr.contains(&format!("note: {name} is set aside")), "{flags:?}: {stderr}");
    }
    check_same(&[&["--num-prompts", "3"], flags].concat(), &["--num-prompts", "3"]);
}

#[track_caller]
fn check_refused(command: &[&str], expect: &str) {
    let output = profiler(command);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{command:?}: {stderr}");
    assert!(stderr.contains(expect), "{command:?} says\n{stderr}\nwithout {expect:?}");
}

#[test]
fn beginnings_of_names_are_names() {
    check_same(&["--max-num-seq", "30"], &["--max-num-seqs", "30"]);
    check_same(&["--tensor-parallel", "1"], &["--tensor-parallel-size", "1"]);
    check_same(&["--max-num-batched", "4096"], &["--max-num-batched-tokens", "4096"]);
    check_same(&["--num-prompt", "34"], &["--num-prompts", "34"]);
    check_same(&["--random-input", "200"], &["--random-input-len", "200"]);
    check_same(&["--max-mod", "2k"], &["--max-model-len", "2k"]);
    check_same(&["--request-r=3"], &["--request-rate", "3"]);
    check_same(&["--no-enable-prefix"], &["--no-enable-prefix-caching"]);
    check_same(&["--disable-chunked-p"], &["--no-enable-chunked-prefill"]);
    check_same(&["--gpu-mem=0.8"], &["--gpu-memory-utilization", "0.8"]);
    check_same(
        &["--speculative-c.method=ngram", "--speculative-c.num_speculative_tokens", "2"],
        &["--speculative-config", r#"{"method":"ngram","num_speculative_tokens":2}"#],
    );
    check_refused(&["simulate", "--max-num", "3"], "--max-num could be each of --max-num-active-seqs, ");
}

#[test]
fn names_are_read_as_by_vllms_parser() {
    check_same(&["--max_num_seqs=30"], &["--max-num-seqs", "30"]);
    check_same(&["-tp", "2"], &["--tensor-parallel-size", "2"]);
    check_same(&["-tp=2"], &["--tensor-parallel-size", "2"]);
    check_same(&["-dp", "1", "-pp=1"], &["--data-parallel-size", "1", "--pipeline-parallel-size", "1"]);
    check_same(&["-q", "fp8"], &["--quantization", "fp8"]);
    check_same(&["-qfp8"], &["--quantization", "fp8"]);
    check_same(&["--device-memory-utilization", "0.5"], &["--gpu-memory-utilization", "0.5"]);
    check_same(&["--seed", "1", "--seed=2"], &["--seed", "2"]);
    check_same(&["--enable-prefix-caching", "False"], &["--no-enable-prefix-caching"]);
    check_same(&["--block-size", "16", "--kv-cache-memory-bytes", "None"], &["--block-size", "16"]);
    check_same(
        &["--spec-method", "ngram", "-sc.num_speculative_tokens", "2", "-sc.prompt_lookup_max=4"],
        &["--speculative-config", r#"{"method":"ngram","num_speculative_tokens":2,"prompt_lookup_max":4}"#],
    );
    check_same(
        &["-sc.method", "eagle3", "-sc.num_speculative_tokens=2", "-sc.method=ngram"],
        &["--speculative-config", r#"{"method":"ngram","num_speculative_tokens":2}"#],
    );
    check_refused(&["simulate", "-tp2"], "unexpected argument '-t");
    check_refused(&["simulate", "--max-num-seqs"], "--max-num-seqs \"\": a value is needed");
}

#[test]
fn a_flag_is_judged_by_its_value() {
    check_aside(&["--backend", "vllm"], &["--backend"]);
    check_aside(&["--backend", "openai"], &["--backend"]);
    check_aside(&["--backend=openai-chat", "--endpoint", "/v1/chat/completions"], &["--backend", "--endpoint"]);
    check_aside(&["--probe-request-rate", "0"], &["--probe-request-rate"]);
    check_aside(&["--no-enable-lora", "--stream-interval=1"], &["--no-enable-lora", "--stream-interval"]);
    check_aside(&["--ec-transfer-config", "None", "--runner", "generate"], &["--ec-transfer-config", "--runner"]);
    check_aside(&["-dcp", "1", "--extra-body", "{}"], &["-dcp", "--extra-body"]);
    check_aside(&["-O3", "--trust-remote", "--port=80"], &["--optimization-level", "--trust-remote-code", "--port"]);
    check_aside(&["--enable-lora", "--no-enable-lora"], &["--no-enable-lora"]);
    check_refused(&["simulate", "--backend", "openai-responses"], "--backend is not simulated: only the streamed");
    check_refused(&["simulate", "--backend", "tgi"], "--backend \"tgi\": one of infinity-embeddings, ");
    check_refused(&["simulate", "--probe-request-rate", "0.5"], "--probe-request-rate is not simulated");
    check_refused(&["simulate", "--enable-lora"], "--enable-lora is not simulated");
    check_refused(&["simulate", "--port", "eighty"], "--port \"eighty\": a whole number");
}

#[test]
fn every_command_with_flags_of_vllm_reads_them_so() {
    let groups = |flags: &[&str]| {
        let output = profiler(&[&["groups", "--model", "meta-llama/Llama-3.1-8B"], flags].concat());
        assert!(output.status.success(), "{flags:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(groups(&["-tp=2", "--block_s", "32"]), groups(&["--tensor-parallel-size", "2", "--block-size", "32"]));
    check_refused(&["verify-run", "--profile", "x.json", "--run", "y.json", "--max-num", "3"], "could be each of");
    check_refused(&["compose", "--tensor-par", "x"], "--tensor-parallel-size");
    check_refused(&["serve", "--max-num-seq", "0x"], "--max-num-seqs \"0x\"");
    check_refused(&["import", "vllm-bench", "--max-num", "3"], "could be each of");
    check_refused(&["groups", "--max-nun-seqs", "3"], "a similar argument exists: '--max-num-seqs'");
}
