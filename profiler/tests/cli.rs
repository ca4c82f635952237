//! The built `profiler` as a process: what it prints, writes, refuses, and exits with.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use serde_json::Value;

fn profiler(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_profiler")).args(arguments).output().expect("the program starts")
}

/// A short run.
const SHORT: [&str; 4] = ["simulate", "--quiet", "--num-prompts", "20"];

fn simulate(arguments: &[&str]) -> Output {
    profiler(&[&SHORT[..], arguments].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A file of this test's own in the build folder.
fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.exists() {
        fs::remove_file(&path).expect("an old file of ours");
    }
    path
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Exit code 2, nothing on stdout, and the one line that the user reads.
#[track_caller]
fn check_refused(arguments: &[&str], expect: &str) {
    let output = simulate(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed a result");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(stderr.contains(expect), "{arguments:?} says\n{stderr}\nwithout {expect:?}");
}

#[test]
fn without_arguments_it_simulates_a_real_trace_and_says_that_it_is_simulated() {
    let output = profiler(&["simulate"]);
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(stdout.starts_with("SIMULATED, not measured."), "{stdout}");
    assert!(stdout.contains("Azure conversation trace"), "{stdout}");
    assert!(stdout.contains("derived from aiconfigurator-core"), "{stdout}");
    assert!(stdout.contains("Successful requests:                     1000"), "{stdout}");
}

/// A drafter is one JSON object, or its keys behind a dot, or vLLM's short names, in any order.
#[test]
fn a_drafter_is_the_same_however_it_is_written() {
    let link = |drafter: &[&str]| {
        let output = profiler(&[&["link", "--spec-acceptance-length", "2"], drafter].concat());
        assert!(output.status.success(), "{drafter:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let whole = link(&["--speculative-config", r#"{"method":"ngram","num_speculative_tokens":3}"#]);
    assert!(whole.contains("speculative-config="), "{whole}");
    for written in [
        &["--speculative-config.method", "ngram", "--speculative-config.num_speculative_tokens=3"][..],
        &["-sc.num_speculative_tokens", "3", "-sc.method=ngram"],
        &["--speculative_config.num_speculative_tokens", "3", "--speculative-config.method=ngram"],
        &["--spec-method", "ngram", "--spec-tokens", "3"],
        &["-sc", r#"{"method":"ngram","num_speculative_tokens":3}"#],
    ] {
        assert_eq!(link(written), whole, "{written:?}");
    }
    // Under each name one object, of which the last counts.
    let keys = ["--speculative-config.method=ngram", "--speculative-config.num-speculative-tokens", "3"];
    check_refused(&[&keys[..], &["-sc.method=ngram"]].concat(), "num_speculative_tokens is not given");
    assert!(link(&keys).contains("num-speculative-tokens%22:3"), "a key with dashes");
    check_refused(&["--speculative-config.metod", "ngram"], "metod");
    check_refused(&["--speculative-config.method"], "a value is needed");
}

#[test]
fn any_workload_flag_replaces_the_built_in_trace() {
    for flag in [["--request-rate", "20"], ["--random-input-len", "64"], ["--max-concurrency", "8"]] {
        let output = profiler(&["simulate", flag[0], flag[1]]);
        let stdout = text(&output.stdout);
        assert!(output.status.success() && !stdout.contains("Azure"), "{flag:?}: {stdout}");
    }
}

#[test]
fn the_same_command_gives_the_same_output() {
    let arguments = ["--request-rate", "5", "--seed", "3"];
    assert_eq!(simulate(&arguments).stdout, simulate(&arguments).stdout);
    assert_ne!(simulate(&arguments).stdout, simulate(&["--request-rate", "5", "--seed", "4"]).stdout);
}

#[test]
fn flags_that_are_not_simulated_are_refused_by_name() {
    for (arguments, expect) in [
        (&["--enable-lora"][..], "--enable-lora is not simulated"),
        (&["--speculative-config", "{\"method\": \"suffix\"}"], "method \"suffix\" is not simulated"),
        (&["--ec-transfer-config", "{}"], "--ec-transfer-config is not simulated"),
        (&["--data-parallel-start-rank", "4"], "--data-parallel-start-rank is not simulated"),
        (&["--stream-interval", "4"], "--stream-interval is not simulated"),
        (&["--probe-request-rate", "3"], "--probe-request-rate is not simulated"),
        (&["--use-beam-search"], "--use-beam-search is not simulated"),
        (&["--performance-mode", "interactivity"], "interactivity"),
        (&["--no-such-flag", "1"], "--no-such-flag"),
    ] {
        check_refused(arguments, expect);
    }
}

#[test]
fn wrong_engine_flags_name_the_field_and_the_value() {
    for (arguments, expect) in [
        (&["--max-num-seqs", "many"][..], "--max-num-seqs \"many\""),
        (&["--max-num-seqs", "0"], "max_num_seqs"),
        (&["--max-num-seqs", "9000", "--max-num-batched-tokens", "100"], "max_num_batched_tokens"),
        (&["--max-num-active-seqs", "9999"], "max_num_active_seqs"),
        (&["--max-model-len", "999999999"], "max_model_len"),
        (&["--block-size", "0"], "block_size"),
        (&["--watermark", "1"], "watermark"),
        (&["--gpu-memory-utilization", "1.5"], "gpu_memory_utilization"),
        (&["--gpu-memory-utilization", "0.1"], "gpu_memory_utilization"),
        (&["--num-gpu-blocks-override", "10"], "max_model_len"),
        (&["--tensor-parallel-size", "3"], "3 ranks cannot divide"),
        (&["--scheduling-policy", "lifo"], "--scheduling-policy"),
        (&["--no-enable-chunked-prefill", "--max-num-batched-tokens", "2048"], "max_num_batched_tokens"),
        (&["--long-prefill-token-threshold", "999999"], "long_prefill_token_threshold"),
        (&["--prefix-match-unit", "5"], "prefix_match_unit"),
    ] {
        check_refused(arguments, expect);
    }
}

#[test]
fn wrong_workload_flags_name_the_field_and_the_value() {
    for (arguments, expect) in [
        (&["--request-rate", "0"][..], "request_rate"),
        (&["--request-rate", "-1"], "request"),
        (&["--burstiness", "0", "--request-rate", "1"], "burstiness"),
        (&["--max-concurrency", "0"], "max_concurrency"),
        (&["--ramp-up-strategy", "linear"], "ramp_up"),
        (&["--random-input-len", "0"], "random_input_len"),
        (&["--random-range-ratio", "1.5"], "range"),
        (&["--random-input-len", "200000"], "max_model_len"),
        (&["--random-output-len", "200", "--max-model-len", "100", "--random-input-len", "9"], "request 0: max_tokens"),
        (&["--random-input-len", "100", "--max-model-len", "100"], "request 0: "),
        (
            &[
                "--no-enable-chunked-prefill",
                "--max-num-scheduled-tokens",
                "512",
                "--long-prefill-token-threshold",
                "99",
            ],
            "request 0: ",
        ),
        (&["--dataset-name", "sharegpt"], "--dataset-path"),
        (&["--dataset-name", "custom", "--dataset-path", "../tests/data/bench_serve/custom.jsonl"], "--tokenizer"),
        (&["--dataset-name", "timed_trace", "--dataset-path", "no/such/file"], "no/such/file"),
        (&["--dataset-name", "azure", "--dataset-path", "Cargo.toml"], "TIMESTAMP"),
        (&["--dataset-name", "nothing"], "nothing"),
        (&["--dataset-name", "azure", "--random-input-len", "9"], "--random-input-len does nothing"),
        (&["--dataset-name", "azure", "--request-rate", "9"], "--no-self-timed"),
        (&["--dataset-path", "trace.csv"], "trace.csv cannot be opened"),
        (&["--dataset-path", "trace.csv", "--dataset-name", "random"], "--dataset-path does nothing"),
        (&["--tokenizer", "tokenizer.json"], "--tokenizer does nothing"),
        (&["--profile", "no/such/profile.json"], "no/such/profile.json"),
        (&["--profile", "Cargo.toml"], "Cargo.toml"),
    ] {
        check_refused(arguments, expect);
    }
}

#[test]
fn wrong_report_flags_name_the_field_and_the_value() {
    for (arguments, expect) in [
        (&["--goodput", "ttft"][..], "goodput"),
        (&["--goodput", "speed:3"], "speed"),
        (&["--require-goodput", "0.5"], "--goodput"),
        (&["--goodput", "ttft:500", "--require-goodput", "2"], "--require-goodput 2"),
        (&["--percentile-metrics", "ttft,speed"], "\"speed\""),
        (&["--metric-percentiles", "101"], "\"101\""),
        (&["--metadata", "novalue"], "KEY=VALUE"),
        (&["--save-result", "--metadata", "backend=vllm"], "backend"),
        (&["--per-request-csv", "no/such/folder/a.csv"], "no/such/folder/a.csv"),
    ] {
        let output = simulate(arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expect), "{arguments:?} says\n{stderr}\nwithout {expect:?}");
    }
}

#[test]
fn a_flag_that_changes_nothing_is_set_aside_with_a_note() {
    let output = simulate(&["--uvicorn-log-level", "info", "--num_prompts=5"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("--uvicorn-log-level is set aside"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("Successful requests:                     5 "), "{}", text(&output.stdout));
}

#[test]
fn flags_may_be_shortened_and_old_ones_are_set_aside_as_in_a_pasted_command() {
    let output = simulate(&["--max-num-seq", "30", "--num-prompt", "5", "--random-input", "200", "--backend", "vllm"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("--backend is set aside"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("Successful requests:                     5 "), "{}", text(&output.stdout));
    let output = simulate(&["--num-prompts", "5", "--num-scheduler-steps", "8", "--device", "cuda"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("it has no equivalent"), "{}", text(&output.stderr));
    let output = simulate(&["--max-num", "5"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("--max-num could be each of --max-num-active-seqs"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_missed_goodput_exits_with_1_and_a_met_one_with_0() {
    let with = |objective: &str| simulate(&["--goodput", objective, "--require-goodput", "0.9"]).status.code();
    assert_eq!(with("e2el:1"), Some(1));
    assert_eq!(with("e2el:1000000"), Some(0));
}

#[test]
fn results_are_written_in_the_format_of_vllm_and_say_that_they_are_simulated() {
    let path = scratch("result.json");
    let name = path.to_str().expect("UTF-8");
    let output = simulate(&["--save-result", "--save-detailed", "--result-filename", name, "--label", "mine"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result: Value = serde_json::from_str(&read(&path)).expect("JSON");
    assert_eq!(result["backend"], "simulated");
    assert_eq!(result["label"], "simulated-mine");
    assert_eq!(result["completed"], 20);
    assert_eq!(result["simulation"]["provenance"], "derived");
    let itls = result["itls"].as_array().expect("a list per request");
    assert_eq!(itls.len(), 20);
    assert_eq!(itls[0].as_array().expect("a list").len(), 127);
}

#[test]
fn results_are_appended_one_a_line() {
    let path = scratch("appended.json");
    let name = path.to_str().expect("UTF-8");
    for _ in 0..2 {
        assert!(simulate(&["--append-result", "--result-filename", name]).status.success());
    }
    let text = read(&path);
    let completed = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["completed"].clone();
    assert_eq!(text.lines().map(completed).collect::<Vec<_>>(), [20, 20]);
}

#[test]
fn the_chrome_trace_holds_every_pass_and_request() {
    let (trace, csv) = (scratch("trace.json"), scratch("requests.csv"));
    let (trace_name, csv_name) = (trace.to_str().expect("UTF-8"), csv.to_str().expect("UTF-8"));
    let output = simulate(&["--chrome-trace", trace_name, "--per-request-csv", csv_name]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let trace: Value = serde_json::from_str(&read(&trace)).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("a list");
    let count = |phase: &str, category: &str| {
        events.iter().filter(|event| event["ph"] == phase && event["cat"] == category).count()
    };
    assert!(count("X", "pass") >= 128);
    // The request and its four phases, each with a beginning and an end.
    assert_eq!((count("b", "request"), count("e", "request")), (100, 100));
    assert_eq!(read(&csv).lines().count(), 21);
}

#[test]
fn the_engines_input_is_written_with_every_request_once() {
    let path = scratch("input.json");
    let output = simulate(&["--request-rate", "50", "--queries-per-iter", path.to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let input: Value = serde_json::from_str(&read(&path)).expect("JSON");
    let numbers = |key: &str| -> Vec<u64> {
        input[key].as_array().expect("a list").iter().map(|number| number.as_u64().expect("a number")).collect()
    };
    assert_eq!(numbers("queries_per_iter").iter().sum::<u64>(), 20);
    let mut order = numbers("join_order");
    order.sort_unstable();
    assert_eq!(order, (0..20).collect::<Vec<_>>());
}

#[test]
fn every_engine_setting_is_explained() {
    let stdout = text(&simulate(&["--explain", "--max-num-seqs", "64"]).stdout);
    for expect in ["max_num_seqs                                 64  given", "async_scheduling", "num_gpu_blocks"] {
        assert!(stdout.contains(expect), "{stdout}\nlacks {expect:?}");
    }
}

#[test]
fn the_schema_is_one_of_profiles() {
    let output = profiler(&["schema"]);
    let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(schema["properties"]["step_time"].is_object(), "{schema}");
}

#[test]
fn the_recorded_schedules_of_vllm_are_identical() {
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/traces");
    let output = profiler(&["verify-tokens", "--recorded", recorded]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    let stdout = text(&output.stdout);
    let (identical, all) = stdout.lines().last().and_then(|line| line.split_once(" of ")).expect("a count");
    let all = all.strip_suffix(" traces identical").expect("a count");
    assert_eq!(identical, all, "{stdout}");
    assert!(all.parse::<u32>().is_ok_and(|count| count >= 500), "{stdout}");
}

#[test]
fn recorded_runs_of_the_real_engine_are_identical() {
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/engine_runs");
    let output = profiler(&["verify-tokens", "--recorded", recorded]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert!(text(&output.stdout).trim_end().ends_with("10 of 10 traces identical"), "{}", text(&output.stdout));
}

#[test]
fn a_changed_recording_is_named_with_its_first_difference() {
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/traces");
    let mut files: Vec<_> = fs::read_dir(recorded).expect("the recordings").flatten().map(|file| file.path()).collect();
    files.sort();
    let file = files.iter().find(|file| file.extension().is_some_and(|ext| ext == "gz")).expect("a recording");
    let mut json = String::new();
    let reader = fs::File::open(file).expect("the recording");
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(reader), &mut json).expect("gzip");
    let mut trace: Value = serde_json::from_str(&json).expect("JSON");
    let free = trace["iterations"][1]["free"].as_u64().expect("free blocks");
    trace["iterations"][1]["free"] = (free + 1).into();
    let changed = scratch("changed.json");
    fs::write(&changed, trace.to_string()).expect("a file of ours");
    let output = profiler(&["verify-tokens", "--recorded", changed.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    let expect =
        format!("iteration 1, free blocks after scheduling (free): expected Some({}), found Some({free})", free + 1);
    assert!(text(&output.stdout).contains(&expect), "{}", text(&output.stdout));
}

#[test]
fn texts_are_counted_with_the_models_tokenizer() {
    let (tokenizer, prompts) = (scratch("tokenizer.json"), scratch("prompts.jsonl"));
    // Whole words are tokens; those unknown are one, too.
    let words = r#"{"version":"1.0","added_tokens":[],"pre_tokenizer":{"type":"Whitespace"},
        "model":{"type":"WordLevel","vocab":{"[UNK]":0},"unk_token":"[UNK]"}}"#;
    fs::write(&tokenizer, words).expect("a file of ours");
    fs::write(&prompts, "{\"prompt\": \"one two three\"}\n{\"prompt\": \"four five\"}\n").expect("a file of ours");
    let (tokenizer, prompts) = (tokenizer.to_str().expect("UTF-8"), prompts.to_str().expect("UTF-8"));
    let dataset = ["--dataset-name", "custom", "--dataset-path", prompts, "--num-prompts", "2"];
    let output = simulate(&[&dataset[..], &["--tokenizer", tokenizer, "--custom-output-len", "7"]].concat());
    let stdout = text(&output.stdout);
    assert!(stdout.contains("Total input tokens:                      5 "), "{stdout}{}", text(&output.stderr));
    assert!(stdout.contains("Total generated tokens:                  14 "), "{stdout}");
}

#[test]
fn a_ramp_up_reports_each_whole_rate_that_it_passes() {
    let path = scratch("ramp.json");
    let ramp = ["--ramp-up-strategy", "linear", "--ramp-up-start-rps", "2", "--ramp-up-end-rps", "5"];
    let output =
        simulate(&[&ramp[..], &["--save-result", "--result-filename", path.to_str().expect("UTF-8")]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result: Value = serde_json::from_str(&read(&path)).expect("JSON");
    let events = result["rps_change_events"].as_array().expect("a list");
    let of = |key: &str| events.iter().map(|event| event[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("rps"), [2, 3, 4, 5]);
    assert!(of("timestamp").iter().map(Value::as_str).is_sorted(), "{events:?}");
}
