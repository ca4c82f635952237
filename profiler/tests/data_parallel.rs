//! `profiler simulate --data-parallel-size`: ranks behind vLLM's own front end, as a process tells of them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const DENSE: &str = "Qwen/Qwen3-8B";
const WITH_EXPERTS: &str = "Qwen/Qwen3-30B-A3B";

fn profiler(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_profiler")).args(arguments).output().expect("the program starts")
}

fn simulate(arguments: &[&str]) -> String {
    let output = profiler(&[&["simulate", "--num-prompts", "40"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What is written of ranks for programs.
fn ranks(name: &str, arguments: &[&str]) -> Value {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let file = path.to_str().expect("UTF-8");
    simulate(&[arguments, &["--replicas-json", file]].concat());
    serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON")
}

fn sum(told: &Value, field: &str) -> u64 {
    let ranks = told["ranks"].as_array().expect("ranks");
    ranks.iter().map(|rank| rank[field].as_u64().unwrap_or_else(|| panic!("{field}: {rank}"))).sum()
}

#[track_caller]
fn check_refused(command: &str, arguments: &[&str], expect: &str) {
    let output = profiler(&[&[command], arguments].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty() && !stderr.contains("panicked"), "{arguments:?}: {stderr}");
    assert!(stderr.contains(expect), "{arguments:?} says\n{stderr}\nwithout {expect:?}");
}

#[test]
fn one_rank_is_the_engine_that_stands_alone() {
    for model in [DENSE, WITH_EXPERTS] {
        let alone = simulate(&["--model", model]);
        assert_eq!(simulate(&["--model", model, "--data-parallel-size", "1"]), alone, "{model}");
        assert!(!alone.contains("ranks"), "{alone}");
    }
}

#[test]
fn ranks_of_a_dense_model_are_engines_behind_one_front_end() {
    let flags = ["--model", DENSE, "-dp", "4"];
    let text = simulate(&flags);
    assert!(
        text.contains("4 data-parallel ranks, independent of each other, behind vLLM's balancer in 4 API servers;"),
        "{text}"
    );
    let told = ranks("dense.json", &flags);
    assert_eq!((told["data_parallel_size"].as_u64(), told["api_server_count"].as_u64()), (Some(4), Some(4)));
    assert!(told["lockstep"].is_null(), "{told}");
    assert_eq!((sum(&told, "num_requests"), sum(&told, "num_dummy_batches")), (40, 0));
    // A burst is spread evenly, though nobody was told of anything yet.
    assert_eq!(told["imbalance"]["requests"], 1.0, "{told}");
    let told = ranks("one_server.json", &[&flags[..], &["--api-server-count", "1"]].concat());
    assert_eq!(told["api_server_count"], 1);
}

#[test]
fn ranks_of_a_model_with_experts_step_together() {
    let flags = ["--model", WITH_EXPERTS, "-dp", "2", "-ep", "--request-rate", "4"];
    let text = simulate(&flags);
    assert!(
        text.contains("2 data-parallel ranks, in lockstep, behind vLLM's balancer") && text.contains("Waves: "),
        "{text}"
    );
    let told = ranks("experts.json", &flags);
    assert_eq!(sum(&told, "num_requests"), 40);
    let num_steps = told["lockstep"]["num_steps"].as_u64().expect("steps");
    for rank in told["ranks"].as_array().expect("ranks") {
        let parts = ["num_passes", "num_dummy_batches"].map(|field| rank[field].as_u64().expect("a number"));
        assert_eq!(parts.iter().sum::<u64>(), num_steps, "{told}");
    }
    // Whoever asks more often idles on for less long.
    let asking = ranks("asking.json", &[&flags[..], &["--dp-sync-interval", "1"]].concat());
    assert!(sum(&asking, "num_dummy_batches") < sum(&told, "num_dummy_batches"), "{asking} {told}");
}

#[test]
fn a_router_outside_chooses_among_ranks_that_step_together() {
    let flags = ["--model", WITH_EXPERTS, "-dp", "2", "-ep", "-dpe", "--router", "least-loaded"];
    let text = simulate(&flags);
    assert!(text.contains("in lockstep, behind the router least-loaded, each with 1 API server;"), "{text}");
    let told = ranks("external.json", &flags);
    assert_eq!((told["router"].as_str(), sum(&told, "num_requests")), (Some("least-loaded"), 40));
    // Of a dense model they are replicas.
    let digest = |flags: &[&str]| {
        let text = simulate(&[&["--model", DENSE, "--router", "least-loaded"], flags].concat());
        text.lines().find(|line| line.starts_with("Digest of the run:")).expect("a digest").to_owned()
    };
    assert_eq!(digest(&["-dp", "3", "-dpe"]), digest(&["--replicas", "3"]));
}

#[test]
fn a_profile_of_one_engine_is_that_of_each_rank_of_a_dense_model() {
    let profile = format!("{}/../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json", env!("CARGO_MANIFEST_DIR"));
    let told = ranks("profile.json", &["--profile", &profile, "-dp", "2"]);
    assert_eq!(sum(&told, "num_requests"), 40);
    // What is sent before the measured requests is answered by ranks, too, and leaves them at rest.
    let told = ranks("warmed.json", &["--profile", &profile, "-dp", "2", "--num-warmups", "6"]);
    assert_eq!(sum(&told, "num_requests"), 40);
}

#[test]
fn what_is_not_simulated_of_ranks_is_refused_by_name() {
    check_refused("simulate", &["--model", DENSE, "-dp", "65"], "--data-parallel-size");
    check_refused("simulate", &["--model", DENSE, "-dp", "x"], "--data-parallel-size");
    check_refused("simulate", &["--model", DENSE, "-dp", "2", "--dp-sync-interval", "0"], "dp_sync_interval = 0");
    check_refused("simulate", &["--model", DENSE, "-dp", "4", "-dph"], "--data-parallel-size-local");
    check_refused(
        "simulate",
        &["--model", DENSE, "-dp", "4", "-dph", "-dpl", "3"],
        "a divisor of --data-parallel-size",
    );
    check_refused("simulate", &["--model", DENSE, "-dp", "4", "-dpl", "5"], "from 1 to --data-parallel-size");
    check_refused("simulate", &["--model", DENSE, "-dp", "4", "-dpe", "-dpl", "2"], "--data-parallel-size-local");
    check_refused(
        "simulate",
        &["--model", DENSE, "-dp", "4", "-dpe", "-dph", "-dpl", "2"],
        "--data-parallel-hybrid-lb",
    );
    check_refused(
        "simulate",
        &["--model", DENSE, "-dp", "2", "--chrome-trace", "x"],
        "--chrome-trace is of one engine",
    );
    check_refused("simulate", &["--replicas-json", "x"], "--replicas-json is of several");
    // A profile of a model with experts does not say how many ranks it is one of.
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join("experts.profile.json");
    let profile = profile.to_str().expect("UTF-8");
    assert!(profiler(&["compose", "--model", WITH_EXPERTS, "-dp", "2", "--output", profile]).status.success());
    check_refused("simulate", &["--profile", profile, "-dp", "2"], "ranks of a model with experts");
    // Where one engine is simulated, a rank of a dense model is one that stands alone.
    let flags = ["--model", DENSE, "-dp", "2", "--goodput", "ttft:500"];
    check_refused("capacity", &flags, "--data-parallel-size is not simulated");
}
