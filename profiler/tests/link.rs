//! `profiler link` and `simulate --link` as processes: a link is the run that it was made from.

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

fn scratch(name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).expect("a file of ours");
    path
}

/// The table, digest included, without the heading that names files.
fn table(output: &Output) -> String {
    let text = stdout(output);
    let start = text.find("============ Serving Benchmark Result").expect("the table");
    text[start..].to_owned()
}

/// The link of `arguments` runs as `arguments` do, and has `expect` in it.
#[track_caller]
fn check(arguments: &[&str], expect: &str) {
    let link = stdout(&profiler(&[&["link"], arguments].concat()));
    assert!(link.starts_with("http://127.0.0.1:3000/#v=1&"), "{link}");
    assert!(link.contains(expect), "{link} lacks {expect}");
    let direct = table(&profiler(&[&["simulate"], arguments].concat()));
    assert!(direct.contains("Digest of the run:"), "{direct}");
    assert_eq!(table(&profiler(&["simulate", "--link", link.trim()])), direct, "{link}");
}

#[test]
fn a_link_runs_as_the_flags_it_was_made_from() {
    check(&[], "&dataset-name=azure");
    check(
        &["--num-prompts", "50", "--request-rate", "8", "--goodput", "ttft:500", "tpot:50"],
        "goodput=ttft:500,tpot:50",
    );
    check(&["--num-prompts", "50", "--no-enable-prefix-caching", "-tp=1"], "&no-enable-prefix-caching");
    check(&["--num-prompts", "50", "--uvicorn-log-level", "info"], "num-prompts=50");
}

#[test]
fn own_files_travel_inside() {
    let profile =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json"));
    let profile = profile.expect("the built-in profile").replace("NVIDIA H100 80GB HBM3", "My GPU");
    let profile = scratch("my-gpu.json", profile.as_bytes());
    let trace =
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,374,44\n2023-11-16 18:15:50.9,396,109\n";
    let trace = scratch("two.csv", trace.as_bytes());
    let (profile, trace) = (profile.to_str().expect("UTF-8"), trace.to_str().expect("UTF-8"));
    check(&["--profile", profile, "--dataset-name", "azure", "--dataset-path", trace], "&profile-z=");
}

/// `arguments` are refused with a message that has `expect` in it.
#[track_caller]
fn check_refused(arguments: &[&str], expect: &str) {
    let output = profiler(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(stderr.contains(expect), "{arguments:?} says\n{stderr}\nwithout {expect:?}");
}

#[test]
fn what_a_link_cannot_say_is_refused() {
    check_refused(&["simulate", "--link", "#v=7"], "newer version");
    check_refused(&["simulate", "--link", "http://127.0.0.1/"], "#v=1");
    check_refused(&["simulate", "--link", "#v=1&profile=b200_something"], "b200_something");
    check_refused(&["simulate", "--link", "#v=1&profile-hash=0000000000000000"], "another version of profile");
    check_refused(&["link", "--max-num-seqs", "many"], "--max-num-seqs");
    check_refused(&["link", "--enable-lora"], "--enable-lora is not simulated");
    let many = "2023-11-16 18:15:46.68,374,44\n2023-11-16 18:15:47.1,1,9\n".repeat(20_000);
    let large = scratch("large.csv", format!("TIMESTAMP,ContextTokens,GeneratedTokens\n{many}").as_bytes());
    let path = large.to_str().expect("UTF-8");
    check_refused(&["link", "--dataset-name", "azure", "--dataset-path", path], "send the file instead");
}
