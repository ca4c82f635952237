//! `profiler simulate --save-result`, then `verify-run` and `import vllm-bench` on the same profile, as processes: errors
//! of 0.0 %, or a refusal that names what is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const PROFILE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");
const BAILIAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/bench_serve/timed_trace_bailian.jsonl");

fn profiler(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_profiler"));
    command.current_dir(folder).args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// An empty folder of this test's own, with the profile in it.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("round_trips").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an old folder of ours");
    }
    fs::create_dir_all(&folder).expect("a folder");
    fs::copy(PROFILE, folder.join("p.json")).expect("a copy");
    folder
}

/// Writes `run.json` in `folder`.
fn simulate(folder: &Path, flags: &[&str]) {
    let save = ["--save-result", "--result-filename", "run.json", "--percentile-metrics", "ttft,tpot,itl,e2el"];
    let output = profiler(folder, &[&["simulate", "--quiet", "--profile", "p.json"][..], &save, flags].concat());
    assert!(output.status.success(), "{flags:?}: {}", text(&output.stderr));
}

/// Takes keys out of the object `simulation` of `run.json`; without any, the object itself.
fn forget(folder: &Path, keys: &[&str]) {
    let path = folder.join("run.json");
    let mut result: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
    let all = result.as_object_mut().expect("an object");
    match all.get_mut("simulation").filter(|_| !keys.is_empty()) {
        Some(simulation) => keys.iter().for_each(|&key| drop(simulation.as_object_mut().map(|all| all.remove(key)))),
        None => drop(all.remove("simulation")),
    }
    fs::write(path, result.to_string()).expect("written");
}

const VERIFY: [&str; 5] = ["verify-run", "--profile", "p.json", "--run", "run.json"];
const IMPORT: [&str; 6] = ["import", "vllm-bench", "--profile", "p.json", "--result", "run.json"];

/// What `verify-run` says is 0.0 % everywhere.
#[track_caller]
fn check_met(folder: &Path, flags: &[&str], told: &[&str]) {
    let output = profiler(folder, &[&VERIFY[..], flags].concat());
    let said = text(&output.stdout);
    assert!(output.status.success(), "{flags:?}: {said}{}", text(&output.stderr));
    let errors: Vec<&str> = said.lines().filter(|line| line.contains(" %")).collect();
    assert!(errors.len() >= 9, "{said}");
    for line in errors {
        assert!(line.contains("+0.0 %") || line.contains("-0.0 %"), "{flags:?}: {line}");
    }
    for part in told {
        assert!(said.contains(part), "{flags:?}\n{said}\nwithout {part}");
    }
}

/// Neither command repeats it, and both say why.
#[track_caller]
fn check_refused(folder: &Path, flags: &[&str], expect: &str) {
    for command in [&VERIFY[..], &IMPORT[..]] {
        let output = profiler(folder, &[command, flags].concat());
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command:?} {flags:?}: {}{stderr}", text(&output.stdout));
        assert!(output.stdout.is_empty() && !stderr.contains("panicked"), "{stderr}");
        assert!(stderr.contains(expect), "{command:?} {flags:?}\n{stderr}\nwithout {expect}");
    }
}

/// The same with and without details.
fn check_both(name: &str, flags: &[&str]) {
    let folder = scratch(name);
    simulate(&folder, flags);
    check_met(&folder, &[], &[]);
    simulate(&folder, &[flags, &["--save-detailed"]].concat());
    check_met(&folder, &[], &[]);
}

#[test]
fn what_was_simulated_is_met() {
    check_both("default", &[]);
    let lengths = ["--random-input-len", "600", "--random-output-len", "60", "--num-prompts", "40"];
    let ramp = ["--ramp-up-strategy", "linear", "--ramp-up-start-rps", "1", "--ramp-up-end-rps", "10"];
    check_both("ramp", &[&lengths[..], &ramp].concat());
    let random = ["--random-range-ratio", "0.9", "--random-prefix-len", "100", "--seed", "3", "--request-rate", "9"];
    check_both("random", &[&lengths[..], &random, &["--burstiness", "0.4", "--max-concurrency", "5"]].concat());
    let warm = ["--num-warmups", "2", "--num-earlier-runs", "1", "--max-num-seqs", "8", "--request-rate", "5"];
    check_both("warm", &[&lengths[..], &warm].concat());
    let prefixes = ["--dataset-name", "prefix_repetition", "--num-prompts", "40", "--no-async-scheduling"];
    check_both("prefixes", &[&prefixes[..], &["--goodput", "ttft:100"]].concat());
    check_both("trace", &["--dataset-name", "timed_trace", "--dataset-path", BAILIAN]);
}

#[test]
fn several_results_in_one_file_are_met() {
    let folder = scratch("appended");
    simulate(&folder, &["--num-prompts", "5"]);
    for rate in ["2", "20"] {
        simulate(&folder, &["--num-prompts", "20", "--request-rate", rate, "--append-result"]);
    }
    check_met(&folder, &[], &["--request-rate inf", "--request-rate 2\n", "--request-rate 20\n"]);
}

#[test]
fn a_file_that_does_not_say_its_flags_is_met_or_refused() {
    let folder = scratch("silent");
    let lengths = ["--random-input-len", "600", "--random-output-len", "60", "--num-prompts", "40"];
    let ramp = ["--ramp-up-strategy", "exponential", "--ramp-up-start-rps", "1", "--ramp-up-end-rps", "10"];
    simulate(&folder, &[&lengths[..], &ramp].concat());
    forget(&folder, &["flags"]);
    // The frozen profile is the one that the file was made with: what was assumed is known to be right.
    check_met(
        &folder,
        &[],
        &["taken as --dataset-name random with 600 prompt and 60 output tokens", "taken as vLLM's default, --seed 0"],
    );
    check_refused(&folder, &["--request-rate", "4"], "--request-rate 4 was given, and the file states inf");
    check_refused(&folder, &["--random-input-len", "500"], "total_input_tokens is 24000 in the file and 20000 by");
    check_refused(&folder, &["--max-num-seqs", "2"], "gives");
    simulate(&folder, &["--dataset-name", "azure", "--num-prompts", "50"]);
    forget(&folder, &["flags", "dataset"]);
    check_refused(&folder, &[], "the file does not say the lengths of its requests");
    check_refused(&folder, &["--dataset-name", "azure"], "give its file with --dataset-path");
    // Whole mean lengths, and shared prefixes.
    simulate(&folder, &["--dataset-name", "prefix_repetition", "--num-prompts", "40"]);
    forget(&folder, &["flags"]);
    check_refused(&folder, &[], "so that its dataset, seed or engine were others");
    check_met(&folder, &["--dataset-name", "prefix_repetition"], &[]);
    simulate(&folder, &["--dataset-name", "prefix_repetition", "--num-prompts", "40", "--save-detailed"]);
    forget(&folder, &["flags"]);
    check_refused(&folder, &[], "taken as having no tokens in common");
    // Of vLLM nothing is known but what it says.
    simulate(&folder, &[&lengths[..], &["--random-range-ratio", "0.5", "--seed", "4"]].concat());
    forget(&folder, &[]);
    check_refused(&folder, &[], "the file does not say the lengths of its requests");
    let ratio = ["--random-input-len", "600", "--random-output-len", "60", "--random-range-ratio", "0.5"];
    check_refused(&folder, &ratio, "by the workload that was simulated");
    check_met(&folder, &[&ratio[..], &["--seed", "4"]].concat(), &[]);
}

#[test]
fn a_trace_whose_file_is_gone_is_asked_for() {
    let folder = scratch("gone");
    fs::copy(BAILIAN, folder.join("trace.jsonl")).expect("a copy");
    simulate(&folder, &["--dataset-name", "timed_trace", "--dataset-path", "trace.jsonl", "--save-detailed"]);
    check_met(&folder, &[], &[]);
    fs::rename(folder.join("trace.jsonl"), folder.join("moved.jsonl")).expect("moved");
    check_refused(&folder, &[], "the requests are of --dataset-name timed_trace: give its file with --dataset-path");
    check_met(&folder, &["--dataset-path", "moved.jsonl"], &[]);
    fs::write(folder.join("moved.jsonl"), "{}").expect("written");
    check_refused(&folder, &["--dataset-path", "moved.jsonl"], "is not the one that the result was made with");
}

#[test]
fn an_import_repeats_what_it_fits_to() {
    let folder = scratch("import");
    simulate(&folder, &["--dataset-name", "azure", "--num-prompts", "60"]);
    let output = profiler(&folder, &IMPORT);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert!(said.contains("mean |error|: 0.0 % before"), "{said}");
}

#[test]
fn a_script_cannot_hold_what_was_before() {
    let folder = scratch("script");
    let flags = ["--num-prompts", "5", "--num-warmups", "1", "--queries-per-iter", "q.json"];
    let output = profiler(&folder, &[&["simulate", "--quiet", "--profile", "p.json"][..], &flags].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--queries-per-iter holds the measured requests only"));
}
