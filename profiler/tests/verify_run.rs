//! `profiler verify-run` as a process: recorded runs beside their simulation.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use sim_core::profile::Profile;

/// Where the profiles are that these tests are about.
const FOLDERS: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/../www/profiles"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/profiles"),
];
const SETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/calibration");

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Runs in `folder`, so that messages hold no path of this machine.
fn profiler(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_profiler"));
    command.current_dir(folder).args(arguments).output().expect("the program starts")
}

/// An empty folder of this test's own, with these profiles in it.
fn scratch(name: &str, profiles: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verify_run").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an old folder of ours");
    }
    fs::create_dir_all(&folder).expect("a folder");
    for profile in profiles {
        let files = FOLDERS.map(|folder| Path::new(folder).join(profile));
        let file = files.iter().find(|file| file.exists()).expect("a profile");
        fs::copy(file, folder.join(profile)).expect("a copy");
    }
    folder
}

const RTX: &str = "rtx-pro-6000_llama-3.1-8b_bf16_tp1.json";
const H100: &str = "h100-sxm_llama-3.3-70b_fp8_tp4.json";
const EIGHT_B: &str = "h100-sxm_llama-3.1-8b_bf16_tp1.json";

/// The run of the calibration set, in `folder/run`, with its `meta.json` changed.
fn rtx_run(folder: &Path, change: impl FnOnce(&mut Value)) {
    let (from, to) = (Path::new(SETS).join("llmservingsim/run"), folder.join("run"));
    fs::create_dir_all(&to).expect("a folder");
    fs::copy(from.join("requests.jsonl"), to.join("requests.jsonl")).expect("a copy");
    let mut meta: Value = serde_json::from_slice(&fs::read(from.join("meta.json")).expect("a file")).expect("JSON");
    change(&mut meta);
    fs::write(to.join("meta.json"), meta.to_string()).expect("written");
}

#[test]
fn a_run_is_told_beside_its_simulation_and_kept_in_the_profile_if_asked() {
    let folder = scratch("told", &[RTX]);
    rtx_run(&folder, |meta| {
        meta["kv_cache"] = json!({"num_gpu_blocks": 31_000, "gpu_memory_utilization": 0.9});
    });
    let output = profiler(
        &folder,
        &["verify-run", "--profile", RTX, "--run", "run", "--output", "tried.json", "--note", "seen before"],
    );
    assert_eq!(text(&output.stderr), "");
    insta::assert_snapshot!("rtx", text(&output.stdout));
    // The number of blocks is made up, and beyond its limit.
    assert_eq!(output.status.code(), Some(1));
    let tried = Profile::from_json(&fs::read(folder.join("tried.json")).expect("a file")).expect("a profile");
    let before = Profile::from_json(&fs::read(folder.join(RTX)).expect("a file")).expect("a profile");
    let added = &tried.validation.runs[before.validation.runs.len()..];
    assert_eq!(
        added.iter().map(|run| run.metric.as_str()).collect::<Vec<_>>(),
        ["mean_ttft_ms", "mean_tpot_ms", "mean_e2el_ms"]
    );
    assert!(added.iter().all(|run| run.workload.ends_with("(seen before)")), "{added:?}");
}

#[test]
fn the_rows_of_a_list_that_are_the_profiles_are_simulated() {
    let folder = scratch("rows", &[H100]);
    let list = Path::new(SETS).join("inferencex/silicon_sample.csv");
    let output = profiler(&folder, &["verify-run", "--profile", H100, "--run", list.to_str().expect("UTF-8")]);
    let told = text(&output.stdout);
    assert_eq!(told.matches("mean_tpot_ms").count(), 15, "{told}");
    assert_eq!(told.matches("beyond").count() > 0, output.status.code() == Some(1), "{told}");
}

#[test]
fn what_the_simulator_wrote_itself_is_met() {
    let folder = scratch("itself", &[EIGHT_B]);
    let flags = ["--num-prompts", "40", "--request-rate", "4", "--max-num-seqs", "32"];
    let simulate =
        ["simulate", "--quiet", "--profile", EIGHT_B, "--save-result", "--save-detailed", "--result-dir", "."];
    let output = profiler(&folder, &[&simulate[..], &flags].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let is_result = |name: &String| name.ends_with(".json") && name != EIGHT_B;
    let entries = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let result = entries.map(|name| name.into_string().expect("UTF-8")).find(is_result).expect("a result");
    let output = profiler(&folder, &["verify-run", "--profile", EIGHT_B, "--run", &result, "--max-num-seqs", "32"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    // A file that says another latency, so that the comparison can fail.
    let file = fs::read_to_string(folder.join(&result)).expect("a file");
    let mut slower: Value = serde_json::from_str(&file).expect("JSON");
    slower["mean_tpot_ms"] = json!(slower["mean_tpot_ms"].as_f64().expect("a number") * 1.1);
    fs::write(folder.join(&result), slower.to_string()).expect("written");
    let output = profiler(&folder, &["verify-run", "--profile", EIGHT_B, "--run", &result]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
}

#[test]
fn runs_that_cannot_be_compared_are_refused_by_name() {
    let mut messages: BTreeMap<&str, String> = BTreeMap::new();
    let mut refused = |what: &'static str, folder: &Path, arguments: &[&str]| {
        let output = profiler(folder, &[&["verify-run"], arguments].concat());
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{what}: {stderr}");
        assert!(output.stdout.is_empty() && !stderr.contains("panicked"), "{what}: {stderr}");
        messages.insert(what, stderr.replace(SETS, "SETS"));
    };
    let plain = scratch("refused", &[RTX, EIGHT_B, H100]);
    rtx_run(&plain, |_| {});
    let list = format!("{SETS}/inferencex/silicon_sample.csv");
    refused("nothing there", &plain, &["--profile", RTX, "--run", "nothing"]);
    refused(
        "flags beside a recording that has them",
        &plain,
        &["--profile", RTX, "--run", "run", "--max-num-seqs", "8"],
    );
    refused("no rows for the device", &plain, &["--profile", RTX, "--run", &list]);
    refused("rows of another model", &plain, &["--profile", EIGHT_B, "--run", &list]);
    fs::write(plain.join("list.csv"), "id,backend\n1\n").expect("written");
    refused("a broken list", &plain, &["--profile", H100, "--run", "list.csv"]);
    fs::write(plain.join("result.json"), "{}").expect("written");
    refused("no result", &plain, &["--profile", RTX, "--run", "result.json"]);
    let other = scratch("another model", &[RTX]);
    rtx_run(&other, |meta| meta["model"] = json!("Qwen/Qwen3-32B"));
    refused("another model", &other, &["--profile", RTX, "--run", "run"]);
    let ranks = scratch("two ranks", &[RTX]);
    rtx_run(&ranks, |meta| meta["engine_kwargs"]["tensor_parallel_size"] = json!(2));
    refused("another number of ranks", &ranks, &["--profile", RTX, "--run", "run"]);
    let replicas = scratch("replicas", &[RTX]);
    rtx_run(&replicas, |meta| meta["engine_kwargs"]["data_parallel_size"] = json!(2));
    refused("replicas", &replicas, &["--profile", RTX, "--run", "run"]);
    let cache = scratch("cache", &[RTX]);
    rtx_run(&cache, |meta| meta["kv_cache"] = json!({"num_gpu_blocks": -1, "gpu_memory_utilization": 0.9}));
    refused("a wrong number of blocks", &cache, &["--profile", RTX, "--run", "run"]);
    let told: String = messages
        .iter()
        .map(|(what, message)| format!("{what}\n  {}\n", message.trim_end().replace('\n', "\n  ")))
        .collect();
    insta::assert_snapshot!("refused", told);
}
