//! `profiler recommend` and `profiler gpus-needed` as processes.

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

const GRID: [&str; 14] = [
    "--vary",
    "gpu=h100-sxm,l40s",
    "--vary",
    "tensor-parallel-size=1,2",
    "--vary",
    "max-num-seqs=32,default",
    "--num-prompts",
    "200",
    "--num-seeds",
    "2",
    "--max-model-len",
    "4096",
    "--goodput",
    "ttft:500 tpot:40",
];

/// The answer as JSON, of a run in so many threads.
fn answer(command: &str, name: &str, num_threads: &str, more: &[&str]) -> Value {
    let path = scratch(name);
    let file = path.to_str().expect("UTF-8");
    let arguments = [&[command, "--quiet", "--output-json", file], more].concat();
    let mut command = Command::new(env!("CARGO_BIN_EXE_profiler"));
    let output = command.env("RAYON_NUM_THREADS", num_threads).args(arguments).output().expect("the program starts");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn a_recommendation_is_the_same_on_any_number_of_cores_and_its_command_carries_what_it_says() {
    let one = answer("recommend", "recommend-1.json", "1", &GRID);
    assert_eq!(answer("recommend", "recommend-4.json", "4", &GRID), one);
    let best = &one["ranked"][0];
    // `capacity` with the flags of the best finds what the recommendation says.
    let flags: Vec<String> = best["flags"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|flag| {
            let (name, value) = (flag[0].as_str().expect("a name"), flag[1].as_str().expect("a value"));
            [format!("--{name}"), value.to_owned()]
        })
        .collect();
    let flags: Vec<&str> =
        [["--num-seeds", "2"].as_slice(), &flags.iter().map(String::as_str).collect::<Vec<_>>()].concat();
    let capacity = answer("capacity", "recommend-capacity.json", "2", &flags);
    assert_eq!(capacity["capacity"], best["capacity"]);
    let command = best["command"].as_str().expect("a command");
    assert!(
        command.starts_with("vllm serve meta-llama/Llama-3.1-8B") && command.contains("--max-model-len 4096"),
        "{command}"
    );
    assert!(!command.contains("--gpu ") && !command.contains("--goodput"), "only vLLM's flags: {command}");
}

#[test]
fn costs_follow_from_prices_that_are_given() {
    let fixed =
        ["--gpu", "h100-sxm", "--tensor-parallel-size", "1", "--quantization", "fp8", "--kv-cache-dtype", "auto"];
    let fixed =
        [&fixed[..], &["--max-num-seqs", "64", "--num-prompts", "100", "--num-seeds", "1", "--goodput", "ttft:500"]]
            .concat();
    let more = |price: &'static str| [&fixed[..], &["--price", price]].concat();
    let [one, two] = [("2", "p1.json"), ("4", "p2.json")].map(|(usd, name)| {
        let price = if usd == "2" { "h100=2" } else { "h100=4" };
        answer("recommend", name, "2", &more(price))
    });
    let cost =
        |answer: &Value| answer["ranked"][0]["operating"]["usd_per_million_output_tokens"].as_f64().expect("a cost");
    assert!((cost(&two) / cost(&one) - 2.0).abs() < 1e-9, "{} {}", cost(&one), cost(&two));
    let operating = &one["ranked"][0]["operating"];
    let tokens = operating["tokens_per_second_per_gpu"].as_f64().expect("a number");
    assert!((cost(&one) - 2.0 / 3600.0 / tokens * 1e6).abs() < 1e-9, "{operating}");
    assert_eq!(one["ranked"][0]["price"]["source"], "given");
}

#[track_caller]
fn check(arguments: &[&str], code: i32, expect: &str) {
    let output = profiler(arguments);
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(expect) && !told.contains("panicked"), "{told}");
}

#[track_caller]
fn check_recommend(more: &[&str], code: i32, expect: &str) {
    let few = ["recommend", "--quiet", "--num-prompts", "50", "--num-seeds", "1", "--tensor-parallel-size", "1"];
    check(&[&few[..], more].concat(), code, expect);
}

#[test]
fn what_cannot_be_recommended_is_said() {
    let small = ["--vary", "max-num-seqs=32", "--vary", "max-num-batched-tokens=2048", "--quantization", "fp8"];
    let with = |more: &[&'static str]| [&small[..], more].concat();
    check_recommend(&with(&["--gpu", "h100-sxm", "--goodput", "ttft:0.01"]), 1, "the objectives cannot be met");
    check_recommend(
        &with(&["--gpu", "gb300", "--goodput", "ttft:500"]),
        1,
        "prices missing for all GPUs that were tried",
    );
    check_recommend(
        &with(&["--gpu", "gb300", "--goodput", "ttft:500", "--for", "throughput"]),
        0,
        "prices missing: gb300",
    );
    check_recommend(
        &with(&["--gpu", "h100-sxm", "--request-rate", "1e6", "--goodput", "ttft:500"]),
        1,
        "no setup carries 1000000",
    );
    check_recommend(
        &with(&["--gpu", "t4", "--goodput", "ttft:500", "--price", "t4=1"]),
        1,
        "do not fit into the GPU's memory",
    );
    check_recommend(&["--for", "latency"], 2, "give --request-rate");
    check_recommend(&["--by", "concurrency"], 2, "--by concurrency and --by users need objectives");
    check_recommend(&["--dataset-name", "azure"], 2, "--no-self-timed");
    check_recommend(&["--vary", "gpu=h1000"], 2, "\"h1000\" is not known");
    check_recommend(&["--vary", "max-num-seqs"], 2, "give FLAG=VALUES");
    check_recommend(&["--price", "h100"], 2, "is not GPU=USD");
    check_recommend(&["--prices", "no-such-file.json"], 2, "no-such-file.json");
    let values: Vec<String> = (1..=1000).map(|value: u32| value.to_string()).collect();
    let vary =
        ["max-num-seqs", "max-num-batched-tokens", "max-model-len"].map(|flag| format!("{flag}={}", values.join(",")));
    let vary: Vec<&str> = vary.iter().flat_map(|axis| ["--vary", axis]).collect();
    check_recommend(&vary, 2, "the limit is 20000: ");
    check_recommend(
        &["--speculative-config", r#"{"method": "ngram", "num_speculative_tokens": 3}"#, "--gpu", "h100-sxm"],
        2,
        "how many of the 3 drafts are accepted depends on the text",
    );
}

#[test]
fn formats_that_are_auto_are_settled_and_stay_out_of_vllms_command() {
    let settled = ["--quantization", "auto", "--kv-cache-dtype", "auto", "--num-prompts", "100", "--num-seeds", "1"];
    let grid = ["--gpu", "h100-sxm", "--tensor-parallel-size", "1", "--vary", "max-num-seqs=default,16"];
    let one = ["--vary", "max-num-batched-tokens=default", "--goodput", "ttft:500"];
    let answer = answer("recommend", "recommend-auto.json", "2", &[&settled[..], &grid, &one].concat());
    let ranked = answer["ranked"].as_array().expect("a list");
    assert!(!ranked.is_empty());
    for command in ranked.iter().map(|setup| setup["command"].as_str().expect("a command")) {
        assert!(command.contains("--kv-cache-dtype auto") && !command.contains("--quantization"), "{command}");
    }
}

#[test]
fn a_choice_that_is_worth_nothing_is_not_made() {
    // So few requests at once never fill 512 places, nor the cache: what more there is of both changes nothing.
    let flags = ["--gpu", "h100-sxm", "--tensor-parallel-size", "1", "--quantization", "auto", "--goodput", "tpot:8"];
    let grid = ["--vary", "kv-cache-dtype=default", "--vary", "max-num-seqs=512,default", "--num-prompts", "200"];
    let grid = [&grid[..], &["--vary", "max-num-batched-tokens=9000,default", "--num-seeds", "2"]].concat();
    let answer = answer("recommend", "recommend-simple.json", "2", &[&flags[..], &grid].concat());
    let command = answer["ranked"][0]["command"].as_str().expect("a command");
    assert!(!command.contains("--max-num-seqs") && !command.contains("--max-num-batched-tokens"), "{command}");
    for one in answer["comparisons"].as_array().expect("a list").iter().filter(|one| one["is_step"] == false) {
        assert!(one["gain"].as_f64().is_none_or(|gain| gain >= 0.004_9), "{one}");
    }
}

#[test]
fn a_trace_needs_as_many_replicas_as_its_windows_show() {
    let flags = ["--goodput", "ttft:500", "tpot:30", "--window", "30", "--num-seeds", "2", "--max-num-seqs", "4"];
    let one = answer("gpus-needed", "needed-1.json", "1", &flags);
    assert_eq!(answer("gpus-needed", "needed-4.json", "4", &flags), one);
    let windows = one["windows"].as_array().expect("a list");
    let number = |value: &Value| value.as_f64().expect("a number");
    assert!((windows.iter().map(|window| number(&window["num_requests"])).sum::<f64>() - 1000.0).abs() < 1e-9);
    assert!(windows.iter().all(|window| number(&window["share_good"]) >= 0.99), "verified");
    let (own, bound) = (&one["verified_by_simulation"], &one["by_capacity_alone"]);
    let hours = windows.iter().map(|window| number(&window["replicas"]) * 30.0 / 3600.0).sum::<f64>();
    assert!((number(&own["gpu_hours"]) - hours).abs() < 1e-9 && number(&own["peak_replicas"]) >= 2.0, "{own}");
    assert!(number(&bound["gpu_hours"]) > 0.0, "{bound}");
    // Starting takes time, and a target utilisation asks for more.
    let slower = answer("gpus-needed", "needed-slow.json", "2", &[&flags[..], &["--startup-delay", "60"]].concat());
    assert!(number(&slower["verified_by_simulation"]["gpu_hours"]) > hours);
    let spare =
        answer("gpus-needed", "needed-spare.json", "2", &[&flags[..], &["--target-utilisation", "0.5"]].concat());
    for (window, spare) in windows.iter().zip(spare["windows"].as_array().expect("a list")) {
        assert!(number(&spare["replicas"]) >= number(&spare["replicas_by_capacity"]), "{spare}");
        assert!(number(&spare["replicas_by_capacity"]) >= number(&window["replicas_by_capacity"]), "{spare}");
    }
}

#[test]
fn what_a_trace_cannot_say_is_said() {
    let path = scratch("no-output.jsonl");
    fs::write(&path, "{\"timestamp\": 0, \"input_length\": 10, \"hash_ids\": [1]}\n").expect("writable");
    let file = path.to_str().expect("UTF-8");
    let goodput = ["--goodput", "ttft:500"];
    let check_needed = |more: &[&str], code, expect: &str| {
        check(&[&["gpus-needed", "--quiet", "--num-seeds", "1"], more].concat(), code, expect);
    };
    check_needed(&["--trace", file, goodput[0], goodput[1]], 2, "output_length is absent");
    check_needed(&[], 2, "give --goodput");
    check_needed(&["--goodput", "ttft:0.01"], 2, "the objectives cannot be met");
    check_needed(&["--dataset-name", "random", goodput[0], goodput[1]], 2, "has no times of its own");
    check_needed(&["--request-rate", "3", goodput[0], goodput[1]], 2, "the trace says when its requests come");
    check_needed(&["--window", "0.001", goodput[0], goodput[1]], 2, "the limit is 100000: make them longer");
    check_needed(&["--window", "0", goodput[0], goodput[1]], 2, "give seconds");
}

#[test]
fn windows_go_to_a_table() {
    let path = scratch("needed.csv");
    let file = path.to_str().expect("UTF-8");
    let flags = ["gpus-needed", "--goodput", "ttft:2000", "--window", "60", "--num-seeds", "1", "--output-csv", file];
    let output = profiler(&flags);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = fs::read_to_string(path).expect("a file");
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("start_s,end_s,requests,requests_per_s,replicas_by_capacity,replicas,share_good"));
    let told = text(&output.stdout);
    assert!(told.contains("theoretical lower bound") && told.contains("GPU hours"), "{told}");
    assert!(lines.all(|line| line.split(',').count() == 7), "{table}");
}
