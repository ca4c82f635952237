//! `profiler simulate` with prefill and decode replicas, as a process.

use std::process::{Command, Output};

use serde_json::Value;

const WORKLOAD: &[&str] = &[
    "--dataset-name=random",
    "--random-input-len=2000",
    "--random-output-len=50",
    "--num-prompts=60",
    "--request-rate=6",
    "--seed=3",
    "--no-range",
];
const ROLES: &[&str] = &["--prefill-replicas=2", "--decode-replicas=1"];

fn profiler(command: &str, arguments: &[&[&str]]) -> Output {
    let program = env!("CARGO_BIN_EXE_profiler");
    Command::new(program).arg(command).args(arguments.concat()).output().expect("the program starts")
}

fn simulate(arguments: &[&[&str]]) -> Output {
    profiler("simulate", arguments)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What is printed, and what `--replicas-json` has.
#[track_caller]
fn told(name: &str, arguments: &[&[&str]]) -> (String, Value) {
    let path = std::env::temp_dir().join(format!("disaggregated-{name}-{}.json", std::process::id()));
    let json = format!("--replicas-json={}", path.display());
    let output = simulate(&[arguments, &[&[json.as_str()]]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    let told = std::fs::read(&path).expect("the file is there");
    std::fs::remove_file(&path).expect("it can be removed");
    (text(&output.stdout), serde_json::from_slice(&told).expect("JSON"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The figure behind `name` in the report.
fn figure(report: &str, name: &str) -> f64 {
    let line = report.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in\n{report}"));
    line.split_whitespace().last().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{line:?}"))
}

#[track_caller]
fn check_figure(report: &str, name: &str, expect: f64) {
    assert!((figure(report, name) - expect).abs() < 1e-6, "{name} is not {expect}:\n{report}");
}

#[track_caller]
fn check_refused(arguments: &[&[&str]], expect: &[&str]) {
    check_refusal(&simulate(arguments), expect);
}

#[track_caller]
fn check_refusal(output: &Output, expect: &[&str]) {
    let stderr = text(&output.stderr);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    for expect in expect {
        assert!(stderr.contains(expect), "it says\n{stderr}\nwithout {expect:?}");
    }
}

#[test]
fn either_role_does_its_part_and_transfers_take_what_they_take() {
    let (report, told) = told("parts", &[WORKLOAD, ROLES, &["--kv-transfer-bandwidth=10", "--kv-transfer-latency=2"]]);
    assert!(report.contains("2 prefill and 1 decode replicas behind the router round-robin"), "{report}");
    let of_role = |role: &str, what: &str| -> Vec<f64> {
        told[role]["replicas"].as_array().expect("replicas").iter().map(|replica| number(&replica[what])).collect()
    };
    assert_eq!(of_role("prefill", "num_requests"), [30.0, 30.0], "in turn");
    assert_eq!(of_role("prefill", "num_output_tokens"), [30.0, 30.0], "one token each");
    assert_eq!(of_role("decode", "num_output_tokens"), [3000.0], "all tokens of the answers");
    let transfers = &told["transfers"];
    assert_eq!((number(&transfers["num"]), number(&transfers["num_failed"])), (60.0, 0.0));
    // 2,000 tokens are 125 blocks of 16, of 128 KiB a token: 32 layers of 8 heads of 128 numbers of 2 bytes, twice.
    let megabytes = 125.0 * 16.0 * 131_072.0 / 1e6;
    assert!((number(&transfers["mean_megabytes"]) - megabytes).abs() < 1e-6, "{transfers}");
    // At 10 GB/s and after 2 ms, if it is alone; and few are.
    let alone_ms = 2.0 + megabytes / 10.0;
    let p50 = number(&transfers["duration_ms"]["p50"]);
    assert!(p50 >= alone_ms - 1e-5 && p50 < 1.5 * alone_ms, "{p50} ms for {alone_ms}");
    for role in ["prefill", "decode"] {
        let utilisation = number(&told[role]["utilisation"]);
        assert!(utilisation > 0.05 && utilisation < 1.0, "{role}: {utilisation}");
    }
}

#[test]
fn what_happens_to_replicas_of_either_role_is_told() {
    let fails: &[&str] = &["--prefill-replica-fails=0@2..5", "--decode-replica-fails=1@4..6"];
    let (report, told) = told("fails", &[WORKLOAD, ROLES, &["--decode-replicas=2"], fails]);
    for said in ["Prefill replicas that took requests: 1 to 2", "Decode replicas that took requests: 1 to 2"] {
        assert!(report.contains(said), "no {said} in\n{report}");
    }
    let life = &told["life"];
    let (losses, failed) = (number(&life["num_losses"]), number(&life["num_failed"]));
    assert!(losses > 0.0 && number(&life["num_retries"]) + failed >= losses, "{life}");
    check_figure(&report, "Failed requests", failed);
    check_figure(&report, "Successful requests", 60.0 - failed);
    // One GPU each: what replicas that are to come back keep.
    let end = figure(&report, "Benchmark duration");
    let hours = [&life["prefill"], &life["decode"]].map(|role| number(&role["gpu_hours"]));
    assert!(hours.iter().all(|hours| (hours - 2.0 * end / 3600.0).abs() < 0.01 * hours), "{hours:?} in {end} s");
    let (report, told) =
        self::told("scaled", &[WORKLOAD, ROLES, &["--prefill-autoscaler=planner-load:interval=1,startup-time=1"]]);
    assert!(report.contains("Decode replicas that took requests: 1 to 1"), "{report}");
    assert_eq!(told["prefill"]["replicas"].as_array().map(Vec::len), Some(8), "as many as there may be");
    check_refused(
        &[WORKLOAD, ROLES, &["--prefill-replica-fails=2@1..2"]],
        &["--prefill-replica-fails", "no replica 2"],
    );
    check_refused(&[WORKLOAD, ROLES, &["--autoscaler=saturation"]], &["--autoscaler", "--prefill-autoscaler"]);
    check_refused(&[WORKLOAD, &["--decode-replica-fails=0@1..2"]], &["--decode-replica-fails", "--decode-replicas"]);
}

#[test]
fn decode_is_calmer_and_the_first_token_comes_later() {
    let together = text(&simulate(&[WORKLOAD, &["--replicas=2"]]).stdout);
    let at = |bandwidth: &str| {
        let bandwidth = format!("--kv-transfer-bandwidth={bandwidth}");
        let output = simulate(&[WORKLOAD, &["--prefill-replicas=1", "--decode-replicas=1", &bandwidth]]);
        text(&output.stdout)
    };
    let (fast, slow) = (at("inf"), at("4"));
    for report in [&together, &fast, &slow] {
        check_figure(report, "Total generated tokens", 3000.0);
    }
    let p99_itl = |report: &str| figure(report, "P99 ITL");
    assert!(p99_itl(&fast) < 0.6 * p99_itl(&together), "no prompt is computed between two tokens");
    let ttft = |report: &str| figure(report, "Median TTFT");
    assert!(ttft(&fast) > ttft(&together), "somebody else computes the first token again");
    // 262 MB at 4 GB/s.
    assert!(ttft(&slow) > ttft(&fast) + 60.0, "{} ms after {}", ttft(&slow), ttft(&fast));
}

#[test]
fn failed_transfers_are_told() {
    let failing = &["--kv-transfer-failure-rate=0.2"];
    let (report, told) = told("failing", &[WORKLOAD, ROLES, failing]);
    let num_failed = number(&told["transfers"]["num_failed"]);
    assert!(num_failed > 0.0 && num_failed < 30.0, "{num_failed} of 60");
    check_figure(&report, "Successful requests", 60.0 - num_failed);
    assert!(report.contains("these requests ended with an error"), "{report}");
    let recomputed = simulate(&[WORKLOAD, ROLES, failing, &["--kv-load-failure-policy=recompute"]]);
    let report = text(&recomputed.stdout);
    assert!(report.contains("computed instead"), "{report}");
    check_figure(&report, "Successful requests", 60.0);
}

#[test]
fn what_has_no_meaning_is_refused_by_name() {
    check_refused(&[WORKLOAD, &["--prefill-replicas=1"]], &["--prefill-replicas", "--decode-replicas"]);
    check_refused(&[WORKLOAD, &["--decode-replicas=1"]], &["--decode-replicas", "--prefill-replicas"]);
    check_refused(&[WORKLOAD, ROLES, &["--replicas=2"]], &["--replicas"]);
    check_refused(&[WORKLOAD, &["--kv-transfer-latency=3"]], &["--prefill-replicas"]);
    check_refused(&[WORKLOAD, ROLES, &["--kv-transfer-bandwidth=0"]], &["--kv-transfer-bandwidth", "above 0"]);
    check_refused(&[WORKLOAD, ROLES, &["--chrome-trace=trace.json"]], &["--chrome-trace"]);
    let of_windows = &["--model=openai/gpt-oss-20b", "--gpu=h100-sxm"];
    check_refused(&[WORKLOAD, ROLES, of_windows], &["KV connector", "full attention"]);
    check_refused(
        &[WORKLOAD, &[r#"--kv-transfer-config={"kv_connector": "NixlConnector"}"#]],
        &["--kv-transfer-config"],
    );
    check_refused(&[WORKLOAD, ROLES, &["--kv-offloading-size=4"]], &["--kv-offloading-size", "--prefill-replicas"]);
    check_refusal(
        &profiler("capacity", &[ROLES, &["--goodput=ttft:500"]]),
        &["--prefill-replicas", "profiler simulate"],
    );
    check_refusal(&profiler("emulate", &[ROLES, &["--port=0"]]), &["--prefill-replicas", "profiler simulate"]);
}
