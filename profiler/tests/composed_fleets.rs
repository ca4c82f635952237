//! Replicas, data-parallel ranks and roles together, as a process tells of them; and which split of GPUs carries most.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const DENSE: &str = "Qwen/Qwen3-8B";
const WITH_EXPERTS: &str = "Qwen/Qwen3-30B-A3B";
const WORKLOAD: [&str; 6] =
    ["--input-len=400", "--output-len=40", "--num-prompts=60", "--request-rate=30", "--seed=3", "--no-range"];

fn profiler(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_profiler")).args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[track_caller]
fn simulate(arguments: &[&str]) -> String {
    let output = profiler(&[&["simulate"], &WORKLOAD[..], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What is printed, and what `--replicas-json` has.
#[track_caller]
fn told(name: &str, arguments: &[&str]) -> (String, Value) {
    let path = scratch(name);
    let report = simulate(&[arguments, &["--replicas-json", path.to_str().expect("UTF-8")]].concat());
    (report, serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON"))
}

#[track_caller]
fn check_refused(arguments: &[&str], expect: &[&str]) {
    let output = profiler(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    for expect in expect {
        assert!(stderr.contains(expect) && !stderr.contains("panicked"), "it says\n{stderr}\nwithout {expect:?}");
    }
}

fn line<'a>(report: &'a str, name: &str) -> &'a str {
    report.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in\n{report}"))
}

fn numbers(told: &Value, field: &str) -> Vec<u64> {
    let engines = told["replicas"].as_array().expect("replicas");
    engines.iter().map(|engine| engine[field].as_u64().unwrap_or_else(|| panic!("{field}: {engine}"))).collect()
}

#[test]
fn replicas_are_ranks() {
    let flags = ["--model", WITH_EXPERTS, "--replicas=3", "-dp", "2", "-ep", "--price", "h100-sxm=2"];
    let (report, told) = told("replicas-of-ranks.json", &flags);
    assert!(
        report.contains("3 replicas of 2 data-parallel ranks, in lockstep, behind the router round-robin"),
        "{report}"
    );
    assert!(line(&report, "Cost:").contains("$12.0 an hour"), "six GPUs are paid for: {report}");
    let requests = numbers(&told, "num_requests");
    // Replicas in turn, their ranks by vLLM's balancer.
    assert_eq!(requests.chunks(2).map(|ranks| ranks.iter().sum()).collect::<Vec<u64>>(), [20, 20, 20], "{told}");
    assert_eq!(told["data_parallel_size"], 2, "{told}");
    // No rank has a part in fewer steps than the other.
    let dummies = told["lockstep"]["num_dummy_batches"].as_array().expect("a list").iter();
    let parts: Vec<u64> = dummies
        .zip(numbers(&told, "num_passes"))
        .map(|(dummies, passes)| dummies.as_u64().expect("a number") + passes)
        .collect();
    assert!(parts.chunks(2).all(|ranks| ranks[0] == ranks[1]), "{parts:?}");
    assert_eq!(Some(parts.iter().sum::<u64>() / 2), told["lockstep"]["num_steps"].as_u64(), "{told}");
}

#[test]
fn a_level_with_one_is_no_level() {
    let digest = |flags: &[&str]| {
        let report = simulate(&[&["--model", DENSE, "--router=least-loaded"], flags].concat());
        line(&report, "Digest of the run:").to_owned()
    };
    let replicas = digest(&["--replicas=3"]);
    assert_eq!(digest(&["--replicas=3", "-dp", "1"]), replicas);
    // A router that sees ranks sees no difference between replicas and ranks of a dense model.
    assert_eq!(digest(&["--replicas=1", "-dp", "3", "-dpe"]), replicas);
    assert_eq!(digest(&["--replicas=3", "-dp", "2", "-dpe"]), digest(&["--replicas=6"]));
    assert_eq!(digest(&["-dp", "6", "-dph", "-dpl", "1"]), digest(&["--replicas=6"]));
    assert_eq!(digest(&["-dp", "6", "-dph", "-dpl", "6"]), digest(&["-dp", "6"]));
    assert_ne!(digest(&["-dp", "6", "-dph", "-dpl", "2"]), digest(&["-dp", "6"]), "nodes balance by themselves");
}

#[test]
fn a_replica_of_ranks_dies_as_a_whole() {
    let flags = ["--model", DENSE, "--replicas=2", "-dp", "2", "--replica-fails", "0@0.2..1.0"];
    let (report, told) = told("ranks-that-fail.json", &flags);
    let lost = told["life"]["num_losses"].as_u64().expect("a number");
    assert!(lost >= 2, "both ranks had requests: {told}");
    let finished: u64 = numbers(&told, "num_requests").iter().sum();
    assert_eq!(finished + told["life"]["num_failed"].as_u64().expect("a number"), 60, "{report}");
    let phases = told["life"]["replicas_over_time"].as_array().expect("phases");
    assert_eq!(phases.iter().filter_map(|phase| phase["ready"].as_u64()).collect::<Vec<_>>(), [2, 1, 2]);
}

#[test]
fn roles_have_ranks_and_engines_of_their_own() {
    let flags = [
        "--model",
        WITH_EXPERTS,
        "--prefill-replicas=2",
        "--decode-replicas=1",
        "-dp",
        "2",
        "-ep",
        "--prefill-args=--max-num-batched-tokens 16384",
        "--decode-args",
        "--data-parallel-size 4 --max-num-seqs 64",
        "--price",
        "h100-sxm=2",
    ];
    let (report, told) = told("roles-of-ranks.json", &flags);
    assert!(report.contains("2 prefill and 1 decode replicas of 2 and 4 data-parallel ranks behind"), "{report}");
    assert!(line(&report, "Cost:").contains("$16.0 an hour"), "eight GPUs are paid for: {report}");
    assert_eq!(
        (numbers(&told["prefill"], "num_requests").len(), numbers(&told["decode"], "num_requests").len()),
        (4, 4)
    );
    for role in ["prefill", "decode"] {
        assert_eq!(numbers(&told[role], "num_requests").iter().sum::<u64>(), 60, "{role}: {told}");
        assert!(told[role]["lockstep"]["num_steps"].as_u64() > Some(0), "{role}: {told}");
    }
    assert_eq!(told["num_gpus"], serde_json::json!({"prefill": 4, "decode": 4}));
}

#[test]
fn a_roles_own_engine_is_that_of_no_other() {
    let roles = ["--model", DENSE, "--prefill-replicas=1", "--decode-replicas=1"];
    let run = |more: &[&str]| simulate(&[&roles[..], more].concat());
    let figure = |report: &str, name: &str| -> f64 {
        line(report, name).split_whitespace().last().and_then(|word| word.parse().ok()).expect("a number")
    };
    let (alike, wider) = (run(&[]), run(&["--prefill-args=-tp 4"]));
    assert!(figure(&wider, "Median TTFT") < 0.8 * figure(&alike, "Median TTFT"), "four GPUs compute the prompts");
    assert!(wider.contains("200 GB/s out of one and 50 GB/s into one"), "{wider}");
    // Without flags of its own a role is as all are.
    assert_eq!(run(&["--prefill-args=--max-num-seqs 256", "--max-num-seqs=256"]), run(&["--max-num-seqs=256"]));
    // A profile of its own: the one that all have changes nothing.
    let profile = scratch("role.profile.json");
    let file = profile.to_str().expect("UTF-8");
    assert!(profiler(&["compose", "--model", DENSE, "--output", file]).status.success());
    let digest = |report: &str| line(report, "Digest of the run:").to_owned();
    assert_eq!(digest(&run(&["--decode-profile", file])), digest(&alike));
}

#[test]
fn what_a_role_cannot_have_is_said_of_the_role() {
    let roles = ["simulate", "--model", DENSE, "--prefill-replicas=1", "--decode-replicas=1", "--num-prompts=4"];
    let with = |more: &[&str], expect: &[&str]| check_refused(&[&roles[..], more].concat(), expect);
    with(&["--prefill-args=--max-num-seqs none"], &["--prefill-args", "--max-num-seqs"]);
    with(&["--decode-args=--request-rate 3"], &["--decode-args", "--request-rate"]);
    with(&["--prefill-args=--block-size 32"], &["--prefill-args", "tokens of a KV block", "32"]);
    with(&["--decode-args=--kv-cache-dtype fp8"], &["--prefill-args", "format of keys and values"]);
    with(&["--decode-args=--max-model-len 1000"], &["--decode-args, decode replicas", "max_model_len"]);
    with(&["--decode-profile=/no/such/file"], &["decode replicas", "/no/such/file"]);
    with(&["--replica-fails", "0@1..2"], &["--replica-fails"]);
    check_refused(&["simulate", "--prefill-args=--max-num-seqs 8"], &["--prefill-args", "--prefill-replicas"]);
    check_refused(&["simulate", "--decode-profile=x"], &["--decode-profile", "--decode-replicas"]);
    check_refused(&["simulate", "--model", DENSE, "--replicas=600", "-dp", "2"], &["--replicas", "1024"]);
}

#[test]
fn the_split_that_carries_most_is_found_by_any_number_of_cores() {
    let answer = |num_threads: &str, more: &[&str]| -> (String, Value) {
        let path = scratch(&format!("splits-{num_threads}-{}.json", more.len()));
        let flags = [
            "recommend",
            "--disaggregated",
            "--quiet",
            "--num-gpus=4",
            "--num-seeds=2",
            "--num-prompts=120",
            "--input-len=2000",
            "--output-len=60",
            "--model",
            DENSE,
            "--goodput=ttft:1000 tpot:12",
            "--price=h100-sxm=2",
            "--output-json",
            path.to_str().expect("UTF-8"),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_profiler"));
        let output = command.env("RAYON_NUM_THREADS", num_threads).args([&flags[..], more].concat()).output();
        let output = output.expect("the program starts");
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
        (text(&output.stdout), serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON"))
    };
    let (report, told) = answer("1", &[]);
    assert_eq!(answer("4", &[]), (report.clone(), told.clone()), "the answer depends on no core");
    let splits = told["splits"].as_array().expect("splits");
    assert_eq!(splits.len(), 4, "together, 1 + 3, 2 + 2, 3 + 1: {told}");
    let capacity = |split: &Value| split["capacity"].as_f64().unwrap_or(0.0);
    let best = &splits[told["best"].as_u64().and_then(|place| usize::try_from(place).ok()).expect("a place")];
    let most = splits.iter().map(capacity).fold(0.0, f64::max);
    assert!(capacity(best) > 0.98 * most && most > 0.0, "{told}");
    assert!(report.contains("Recommended: ") && report.contains("an hour"), "{report}");
    // A simulation of the best with that load meets what is asked, and with half as much again it does not.
    let flags = ["replicas", "prefill_replicas", "decode_replicas"]
        .into_iter()
        .filter_map(|name| Some(format!("--{}={}", name.replace('_', "-"), best[name].as_u64()?)));
    let flags: Vec<String> = flags.collect();
    let meets = |load: f64| {
        let rate = format!("--request-rate={load}");
        let mut arguments =
            vec!["simulate", "--model", DENSE, "--num-prompts=120", "--input-len=2000", "--output-len=60"];
        arguments.extend(["--goodput=ttft:1000 tpot:12", "--require-goodput=0.9", "--no-range", &rate]);
        arguments.extend(flags.iter().map(String::as_str));
        profiler(&arguments).status.success()
    };
    assert!(meets(0.9 * capacity(best)) && !meets(2.0 * capacity(best)), "{report}");
}

#[test]
fn what_no_split_can_be_is_said() {
    let with = |more: &[&str], expect: &[&str]| {
        check_refused(
            &[&["recommend", "--disaggregated", "--model", DENSE, "--num-prompts=20"], more].concat(),
            expect,
        );
    };
    with(&["--num-gpus=1", "-tp", "2"], &["--num-gpus 1", "nothing fits"]);
    with(&["--num-gpus=200"], &["--num-gpus", "64"]);
    with(&["--vary", "max-num-seqs=1,2"], &["--vary"]);
    with(&["--for=latency", "--request-rate=3"], &["--disaggregated", "latency"]);
    with(&["--prefill-args=--max-num-seqs x"], &["--prefill-args"]);
}
