//! The built `profiler` as a process where there is no CUDA: what it refuses, and how.

use std::process::{Command, Output};

fn profiler(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_profiler"))
        .args(arguments)
        // An empty folder: the libraries of a machine that has them are not found either, but those of its loader are.
        .env("LD_LIBRARY_PATH", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("the program starts")
}

#[track_caller]
fn check_refused(arguments: &[&str], expect: &str) {
    let output = profiler(&[&["profile", "--engine", "cuda"], arguments].concat());
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed a result");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(stderr.contains(expect), "{arguments:?} says\n{stderr}\nwithout {expect:?}");
}

fn output() -> String {
    format!("{}/cuda-never-written.json", env!("CARGO_TARGET_TMPDIR"))
}

/// Whether this machine has NVIDIA's driver; then the refusal is about something else.
fn has_driver() -> bool {
    std::path::Path::new("/proc/driver/nvidia/version").exists()
}

#[test]
fn without_a_driver_the_library_and_the_remedy_are_named() {
    if has_driver() {
        return;
    }
    for arguments in [
        &["--check-kernels"][..],
        &["--output", &output()],
        &["--model", "llama-30m", "--output", &output()],
        &["--operators", "--output", &output(), "--gpu-key", "my-gpu"],
    ] {
        check_refused(arguments, "libcuda.so, NVIDIA's driver, was not found; install the driver");
    }
    assert!(!std::path::Path::new(&output()).exists(), "a profile of nothing was written");
}

#[test]
fn what_is_wrong_with_model_or_flags_is_told_before_a_device_is_asked_for() {
    for flags in [["--tensor-parallel-size", "3"], ["--quantization", "awq"], ["--kv-cache-dtype", "fp8_e5m2"]] {
        check_refused(&[&["--output", &output(), "--"], &flags[..]].concat(), &flags.join(" "));
    }
    check_refused(&["--output", &output(), "--model", "no-such-model"], "no-such-model");
    check_refused(&["--output", &output(), "--", "--dtype", "float32"], "dtype float32");
    check_refused(&[], "--output");
}

#[test]
fn operators_are_timed_by_this_engine_and_without_a_models_flags() {
    check_refused(
        &["--operators", "--output", &output(), "--", "--max-num-seqs", "8"],
        "--max-num-seqs 8: --operators takes no",
    );
    check_refused(&["--output", &output(), "--gpu-key", "my-gpu"], "--operators");
    let refused = profiler(&["profile", "--operators", "--output", &output()]);
    let stderr = String::from_utf8(refused.stderr).expect("UTF-8");
    assert!(refused.status.code() == Some(2) && stderr.contains("--operators is for --engine cuda"), "{stderr}");
}

#[test]
fn checking_kernels_is_for_this_engine() {
    let output = profiler(&["profile", "--check-kernels"]);
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.code() == Some(2) && stderr.contains("--check-kernels is for --engine cuda"), "{stderr}");
}
