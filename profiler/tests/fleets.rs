//! `profiler simulate --replicas` as a process: routers, what happens to replicas, and what is told of both.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use serde_json::Value;

/// A short run that three replicas are enough for.
const SHORT: [&str; 9] = [
    "simulate",
    "--num-prompts",
    "120",
    "--dataset-name",
    "prefix_repetition",
    "--request-rate",
    "20",
    "--replicas",
    "3",
];

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_profiler")).args(SHORT).args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// What it prints, and the file of `--replicas-json`.
fn told(name: &str, arguments: &[&str]) -> (String, Value) {
    let path = scratch(name);
    let output = simulate(&[&["--replicas-json", path.to_str().expect("UTF-8")], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    let json = fs::read_to_string(&path).expect("a file");
    (text(&output.stdout), serde_json::from_str(&json).expect("JSON"))
}

fn digest(stdout: &str) -> String {
    let line = stdout.lines().find(|line| line.starts_with("Digest of the run:")).expect("a digest");
    line.rsplit(' ').next().expect("its number").to_owned()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number: {value}"))
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a count: {value}"))
}

/// How many replicas took requests, one after the other.
fn ready(json: &Value) -> Vec<u64> {
    let phases = json["life"]["replicas_over_time"].as_array().expect("phases");
    phases.iter().map(|phase| count(&phase["ready"])).collect()
}

/// Refused with a message that has all of `expect`.
fn refused(arguments: &[&str], expect: &[&str]) {
    let output = simulate(arguments);
    let stderr = text(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} is taken");
    assert!(expect.iter().all(|expect| stderr.contains(expect)), "{arguments:?}: {stderr}");
}

#[test]
fn replicas_share_what_is_sent() {
    let (stdout, json) = told("fleets_shared.json", &[]);
    assert!(stdout.contains("3 replicas behind the router round-robin:"), "{stdout}");
    let of_each = |key: &str| -> Vec<u64> {
        json["replicas"].as_array().expect("replicas").iter().map(|replica| count(&replica[key])).collect()
    };
    assert_eq!(of_each("num_requests"), [40; 3], "in turn");
    assert_eq!(of_each("num_output_tokens").iter().sum::<u64>(), 120 * 128, "all tokens");
    assert_eq!(json["life"], Value::Null, "nothing happens to them");
    // One replica is no fleet: the same run as without the flag.
    let one = |arguments: &[&str]| {
        let arguments = [&SHORT[..7], arguments].concat();
        digest(&text(&Command::new(env!("CARGO_BIN_EXE_profiler")).args(arguments).output().expect("it starts").stdout))
    };
    assert_eq!(one(&["--replicas", "1"]), one(&[]), "one engine");
    assert_ne!(one(&[]), digest(&stdout), "three are not one");
}

#[test]
fn a_table_has_each_router_as_its_own_run_has_it() {
    let (stdout, json) = told("fleets_compared.json", &["--compare-routers", "random,prefix-aware,kv-cost"]);
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines.len(), 4, "a heading and three routers:\n{stdout}");
    let routers = json["routers"].as_array().expect("routers");
    for (router, line) in routers.iter().zip(&lines[1..]) {
        let name = router["router"].as_str().expect("a name");
        assert!(line.starts_with(name), "{name}: {line}");
        let (alone, of_it) = told("fleets_alone.json", &["--router", name]);
        assert_eq!(router["digest"].as_str(), Some(digest(&alone).as_str()), "{name} is the run of --router {name}");
        assert_eq!(router["imbalance"]["output_tokens"], of_it["imbalance"]["output_tokens"], "{name}");
        assert!(
            number(&router["latencies"]["ttft"]["p50_s"]) <= number(&router["latencies"]["ttft"]["p99_s"]),
            "{name}"
        );
    }
    let hit_rate = |place: usize| number(&routers[place]["prefix_cache_hit_rate"]);
    assert!(hit_rate(1) > hit_rate(0), "prefixes are found again where they were sent: {json}");
    let all = text(&simulate(&["--compare-routers", "all"]).stdout);
    assert_eq!(all.lines().count(), 10, "nine routers:\n{all}");
}

#[test]
fn requests_of_a_replica_that_dies_are_told() {
    let outage = ["--replica-fails", "0@2..4"];
    let (stdout, json) = told("fleets_failed.json", &outage);
    let life = &json["life"];
    let failed = count(&life["num_failed"]);
    assert!(failed >= 1 && count(&life["num_tokens_of_failed"]) >= 1, "streams end with their replica: {life}");
    let num_losses = count(&life["num_losses"]);
    assert_eq!(num_losses, failed + count(&life["num_retries"]), "each was sent again or failed: {life}");
    assert!(stdout.contains(&format!("Failed requests:                         {failed}")), "{stdout}");
    assert!(stdout.contains("Requests that lost their replica:"), "{stdout}");
    assert_eq!(ready(&json), [3, 2, 3], "away for two seconds");
    // With migration nothing fails, though another one dies meanwhile.
    let (_, json) = told("fleets_migrated.json", &["--replica-fails", "0@2..4", "1@3..5", "--migration-limit", "2"]);
    assert_eq!(count(&json["life"]["num_failed"]), 0, "{}", json["life"]);
    assert!(count(&json["life"]["num_migrations"]) >= failed, "{}", json["life"]);
    assert_eq!(ready(&json), [3, 2, 1, 2, 3], "both are away from 3 to 4");
}

#[test]
fn an_autoscaler_starts_replicas_and_says_what_they_cost() {
    let scaling = "saturation:max-replicas=5,startup-time=1,interval=0.5,metrics-interval=0.25,queueLengthThreshold=1,\
                   queueSpareTrigger=1,kvCacheThreshold=0.06,kvSpareTrigger=0.05";
    let (stdout, json) = told("fleets_scaled.json", &["--autoscaler", scaling, "--request-rate", "60"]);
    let phases = json["life"]["replicas_over_time"].as_array().expect("phases");
    assert!(ready(&json).into_iter().max() > Some(3), "{phases:?}");
    let hours: f64 = phases
        .iter()
        .map(|phase| {
            let count = number(&phase["ready"]) + number(&phase["coming"]) + number(&phase["draining"]);
            count * (number(&phase["until_s"]) - number(&phase["from_s"])) / 3600.0
        })
        .sum();
    assert!((hours - number(&json["life"]["gpu_hours"])).abs() < 1e-9, "{hours}: {json}");
    assert!(stdout.contains(" GPU hours of all"), "{stdout}");
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    refused(&["--replica-fails", "3@1..2"], &["--replica-fails", "there is no replica 3", "0 to 2"]);
    refused(&["--replica-fails", "1@5"], &["--replica-fails", "REPLICA@FROM..UNTIL"]);
    refused(&["--retry-max-retries", "1000"], &["--retry-max-retries", "from 0 to 100"]);
    refused(&["--autoscaler", "fast"], &["--autoscaler", "saturation or planner-load"]);
    refused(&["--autoscaler", "saturation:max-replicas=2"], &["--replicas", "\"3\"", "max-replicas, 2"]);
    refused(&["--router-args", "cache-threshold=2", "--router", "cache-aware"], &["--router-args", "from 0 to 1"]);
    refused(&["--router-args", "cache-threshold=0.2"], &["--router-args", "cache-aware"]);
    refused(&["--compare-routers", "random,fast"], &["--compare-routers", "fast", "there are round-robin"]);
    refused(&["--compare-routers", "random,random"], &["random is there twice"]);
    refused(&["--compare-routers", "all", "--router", "random"], &["--compare-routers", "--router"]);
    refused(&["--compare-routers", "all", "--save-result"], &["--save-result", "--compare-routers"]);
    let capacity = ["capacity", "--goodput", "ttft:500", "--replica-fails", "0@1..2"];
    let output = Command::new(env!("CARGO_BIN_EXE_profiler")).args(capacity).output().expect("the program starts");
    assert!(text(&output.stderr).contains("--replica-fails is not simulated"), "{}", text(&output.stderr));
}
