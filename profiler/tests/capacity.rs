//! `profiler capacity` as a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn profiler(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_profiler")).args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

const WORKLOAD: [&str; 8] =
    ["--num-prompts", "200", "--random-input-len", "256", "--random-output-len", "32", "--goodput", "ttft:300 tpot:20"];

/// The answer as JSON, of a run in so many threads.
fn answer(name: &str, num_threads: &str, more: &[&str]) -> Value {
    let path = scratch(name);
    let file = path.to_str().expect("UTF-8");
    let arguments = [&["capacity", "--quiet", "--num-seeds", "3", "--output-json", file], &WORKLOAD[..], more].concat();
    let mut command = Command::new(env!("CARGO_BIN_EXE_profiler"));
    let output = command.env("RAYON_NUM_THREADS", num_threads).args(arguments).output().expect("the program starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn the_answer_is_the_same_on_any_number_of_cores_and_each_run_is_one_of_simulate() {
    let one = answer("capacity-1.json", "1", &[]);
    assert_eq!(answer("capacity-4.json", "4", &[]), one);
    let capacity = one["capacity"].as_f64().expect("something is carried");
    let [low, high] = [0, 1].map(|end| one["interval_95"][end].as_f64().expect("an interval"));
    assert!(low <= capacity && capacity <= high && one["is_limited"] == true, "{low}, {capacity}, {high}");
    let curve = one["curve"].as_array().expect("a list");
    let at = curve.iter().find(|point| point["load"] == one["capacity"]).expect("the capacity itself was tried");
    assert_eq!(at["trials"].as_array().map(Vec::len), Some(3));
    // A trial is the run that `simulate` does with the same flags.
    let rate = capacity.to_string();
    let path = scratch("capacity-run.json");
    let file = path.to_str().expect("UTF-8");
    let simulate = ["simulate", "--quiet", "--save-result", "--result-filename", file, "--request-rate", &rate];
    let output = profiler(&[&simulate[..], &WORKLOAD, &["--seed", "2"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result: Value = serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON");
    assert_eq!(at["trials"][2]["digest"], result["simulation"]["digest"], "seed 2");
}

#[test]
fn a_closed_loop_carries_a_whole_number_that_meets() {
    let answer = answer("capacity-concurrency.json", "2", &["--by", "concurrency"]);
    let capacity = answer["capacity"].as_f64().expect("something is carried");
    assert!(capacity >= 1.0 && capacity.fract() == 0.0, "{capacity}");
    assert_eq!(answer["load"], "max-concurrency");
}

#[track_caller]
fn check(arguments: &[&str], code: i32, expect: &str) {
    let output = profiler(&[&["capacity", "--quiet", "--num-prompts", "20", "--num-seeds", "2"], arguments].concat());
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(expect) && !told.contains("panicked"), "{told}");
}

#[test]
fn what_cannot_be_answered_is_said() {
    check(&["--goodput", "ttft:0.5"], 1, "Carries nothing with 99 % of requests within TTFT 0.5 ms: not even ");
    check(&["--goodput", "e2el:1e9"], 0, "before its queue stops emptying");
    check(&["--by", "concurrency"], 2, "--by concurrency and --by users need objectives");
    check(&["--by", "concurrency", "--goodput", "e2el:1e9"], 0, "nothing that was tried misses");
    check(&["--dataset-name", "azure"], 2, "--no-self-timed");
    check(&["--share", "1.5"], 2, "give a share from 0.01 to 1");
    check(&["--num-seeds", "0"], 2, "0 is not in 1..=100");
    check(&["--goodput", "ttft"], 2, "--goodput");
}

/// What `simulate` and `capacity` of these flags say a run costs.
#[track_caller]
fn check_cost(more: &[&str], expect: &[&str]) {
    let few = ["--quiet", "--num-prompts", "50", "--random-input-len", "256", "--random-output-len", "32"];
    let simulate = ["simulate", "--dataset-name", "random", "--request-rate", "4"];
    let capacity = ["capacity", "--num-seeds", "1", "--goodput", "ttft:300"];
    for command in [&simulate[..], &capacity] {
        let output = profiler(&[command, &few, more].concat());
        let told = text(&output.stdout);
        assert!(output.status.success(), "{told}{}", text(&output.stderr));
        for part in expect {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}

#[test]
fn a_price_that_is_given_says_what_a_run_costs() {
    check_cost(&["--price", "h100=2.5"], &["$2.50 an hour; $", "for a million output tokens, $", "a request"]);
    check_cost(&["--gpu", "l40s", "--price", "l40s=1"], &["$1.00 an hour"]);
    check_cost(&["--tensor-parallel-size", "2", "--price", "h100=2.5"], &["$5.00 an hour"]);
    check_cost(&["--price", "l40s=1"], &["price missing: it runs on h100-sxm", "give --price h100-sxm=USD"]);
    check_cost(&["--gpu", "l40s", "--price", "h100=1"], &["price missing: it runs on l40s"]);
}

#[test]
fn a_cost_is_the_price_over_what_is_answered() {
    let answer = answer("capacity-cost.json", "2", &["--price", "h100=3.6"]);
    let cost = |name: &str| answer["cost"][name].as_f64().expect("a cost");
    let capacity = answer["capacity"].as_f64().expect("something is carried");
    assert!((cost("usd_per_hour") - 3.6).abs() < 1e-9);
    assert!((cost("usd_per_request") - 0.001 / capacity).abs() < 1e-9 * cost("usd_per_request"), "{capacity}");
    // 32 tokens a request.
    assert!((cost("usd_per_million_output_tokens") / cost("usd_per_request") / 31_250.0 - 1.0).abs() < 1e-6);
}
