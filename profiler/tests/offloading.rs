//! `profiler simulate` with KV blocks in host memory, as a process.

use std::process::{Command, Output};

use serde_json::Value;

/// Forty documents that the device's cache does not hold together, each asked about four times.
const WORKLOAD: &[&str] = &[
    "--dataset-name=prefix_repetition",
    "--prefix-repetition-num-prefixes=40",
    "--num-prompts=160",
    "--prefix-repetition-prefix-len=8000",
    "--prefix-repetition-suffix-len=100",
    "--prefix-repetition-output-len=20",
    "--request-rate=2",
    "--num-gpu-blocks-override=6000",
    "--max-model-len=9000",
    "--no-range",
];
const HOST: &[&str] = &["--kv-offloading-size=64"];
/// Host memory for 15 of the documents, and all of them in files or objects.
const FILES: &str = r#"--kv-transfer-config={"kv_connector": "OffloadingConnector", "kv_role": "kv_both",
    "kv_connector_extra_config": {"cpu_bytes_to_use": 16000000000, "spec_name": "TieringOffloadingSpec",
    "secondary_tiers": [{"type": "fs", "root_dir": "/kv"}]}}"#;
const OBJECTS: &str = r#"--kv-transfer-config={"kv_connector": "OffloadingConnector", "kv_role": "kv_both",
    "kv_connector_extra_config": {"cpu_bytes_to_use": 16000000000, "spec_name": "TieringOffloadingSpec",
    "secondary_tiers": [{"type": "obj", "store_config": {"bucket": "kv"}}]}}"#;
/// The same host memory with nothing behind it.
const SMALL_HOST: &str = r#"--kv-transfer-config={"kv_connector": "OffloadingConnector", "kv_role": "kv_both",
    "kv_connector_extra_config": {"cpu_bytes_to_use": 16000000000}}"#;
const NO_TIERS: &str = r#"--kv-transfer-config={"kv_connector": "OffloadingConnector", "kv_role": "kv_both",
    "kv_connector_extra_config": {"cpu_bytes_to_use": 16000000000, "spec_name": "TieringOffloadingSpec",
    "secondary_tiers": []}}"#;

fn profiler(command: &str, arguments: &[&[&str]]) -> Output {
    let program = env!("CARGO_BIN_EXE_profiler");
    Command::new(program).arg(command).args(arguments.concat()).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[track_caller]
fn report(arguments: &[&[&str]]) -> String {
    let output = profiler("simulate", arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What the report has behind `name`.
#[track_caller]
fn line<'a>(report: &'a str, name: &str) -> &'a str {
    let line = report.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in\n{report}"));
    line[name.len()..].trim_start_matches(':').trim()
}

#[track_caller]
fn number(report: &str, name: &str) -> f64 {
    line(report, name).split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{name}"))
}

#[track_caller]
fn check_refused(command: &str, arguments: &[&[&str]], expect: &[&str]) {
    let output = profiler(command, arguments);
    let stderr = text(&output.stderr);
    assert!(!output.status.success(), "{arguments:?}: {}", text(&output.stdout));
    for expect in expect {
        assert!(stderr.contains(expect), "{arguments:?}: it says\n{stderr}\nwithout {expect:?}");
    }
}

#[test]
fn transfer_time_against_computation_decides() {
    let ttft = |more: &[&str]| number(&report(&[WORKLOAD, more]), "Mean TTFT (ms)");
    let (without, with) = (ttft(&[]), ttft(HOST));
    assert!(with < 0.6 * without, "{with} ms instead of {without}");
    let slow = ttft(&["--kv-offloading-size=64", "--kv-offloading-bandwidth=2"]);
    assert!(slow > 1.2 * without, "{slow} ms instead of {without}");
}

#[test]
fn a_tier_that_is_never_asked_changes_hardly_a_figure() {
    // Every prompt is another, and all fit.
    let plain = &["--num-prompts=40", "--request-rate=3", "--no-range", "--random-input-len=500"];
    let (without, with) = (report(&[plain]), report(&[plain, HOST]));
    for name in ["Total generated tokens", "Preemptions", "Prefix cache hit rate"] {
        assert_eq!(line(&with, name), line(&without, name), "{name}");
    }
    assert_eq!(line(&with, "Prompt tokens found, GPU / CPU"), "0.0 % / 0.0 %");
    assert_eq!(line(&with, "Passes waited for saves"), "0.0 ms");
    // An engine at rest but for its saves looks every millisecond who has come.
    let mean = |report: &str| number(report, "Mean TTFT (ms)");
    assert!((mean(&with) - mean(&without)).abs() < 1.5, "{with}");
}

#[test]
fn hits_and_transfers_are_told_for_people_and_programs() {
    let path = std::env::temp_dir().join(format!("offloading-{}.json", std::process::id()));
    let save = ["--save-result".to_owned(), format!("--result-filename={}", path.display())];
    let save: Vec<_> = save.iter().map(String::as_str).collect();
    let told = report(&[WORKLOAD, HOST, &save]);
    let json: Value = serde_json::from_slice(&std::fs::read(&path).expect("a result")).expect("JSON");
    std::fs::remove_file(&path).expect("it can be removed");
    let tiers = &json["simulation"]["kv_offloading"];
    let field = |name: &str| tiers[name].as_f64().unwrap_or_else(|| panic!("no {name} in {tiers}"));
    let share = |name: &str| format!("{:.1} %", 100.0 * field(name) / field("queried_tokens"));
    let hits = format!("{} / {}", share("gpu_hit_tokens"), share("cpu_hit_tokens"));
    assert_eq!(line(&told, "Prompt tokens found, GPU / CPU"), hits);
    assert!(field("cpu_hit_tokens") > 0.2 * field("queried_tokens"), "{tiers}");
    // Of 128 KiB a token: 32 layers of 8 heads of 128 numbers of 2 bytes, twice; whole blocks of 16 tokens.
    assert!((field("load_bytes") / field("cpu_hit_tokens") - 131_072.0).abs() < 1e-6, "{tiers}");
    let seconds = field("load_bytes") / 55e9 + 20e-6 * field("loads");
    assert!((field("load_seconds") - seconds).abs() < 1e-6 * field("loads"), "{tiers}");
    // Each document is stored once, and beside it what is asked about it: 506 blocks and more of 2 MiB.
    let blocks = field("store_bytes") / 2_097_152.0;
    assert!((40.0 * 500.0..40.0 * 500.0 + 160.0 * 7.0).contains(&blocks), "{blocks} blocks");
    let flags = json["simulation"]["flags"].as_object().expect("flags");
    assert_eq!(flags["kv-offloading-size"], "64");
}

#[test]
fn what_is_not_simulated_is_refused_by_name() {
    let config = |text: &str| format!("--kv-transfer-config={text}");
    let extra = |text: &str| {
        config(&format!(
            r#"{{"kv_connector": "OffloadingConnector", "kv_role": "kv_both", "kv_connector_extra_config": {text}}}"#
        ))
    };
    let tiers = |text: &str| {
        extra(&format!(
            r#"{{"cpu_bytes_to_use": 99999999, "spec_name": "TieringOffloadingSpec", "secondary_tiers": {text}}}"#
        ))
    };
    for (flags, expect) in [
        (&["--kv-offloading-size=0"][..], &["kv_offloading_size", "above 0"][..]),
        (&["--kv-offloading-size=8", "--kv-offloading-backend=lmcache"], &["LMCache"]),
        (&["--kv-offloading-bandwidth=20"], &["--kv-offloading-size"]),
        (&["--kv-offloading-size=8", "--kv-offloading-bandwidth=0"], &["--kv-offloading-bandwidth", "0.001"]),
        (&["--kv-offloading-size=8", "--data-parallel-size=2"], &["--kv-offloading-size", "--data-parallel-size"]),
        (&["--kv-offloading-size=8", "--model=openai/gpt-oss-20b"], &["kv_offloading_size", "one kind of layers"]),
        (&[config("[]").as_str()], &["--kv-transfer-config", "JSON object"]),
        (&[config("{}").as_str()], &["kv_transfer_config", "kv_connector"]),
        (&[config(r#"{"kv_connector": "LMCacheConnectorV1"}"#).as_str()], &["LMCacheConnectorV1", "not simulated"]),
        (&[extra("{}").as_str()], &["cpu_bytes_to_use"]),
        (&[extra(r#"{"cpu_bytes_to_use": 0}"#).as_str()], &["cpu_bytes_to_use", "above 0"]),
        (&[extra(r#"{"cpu_bytes_to_use": 9, "block_size": 24}"#).as_str()], &["block_size", "multiple"]),
        (&[extra(r#"{"cpu_bytes_to_use": 9, "store_threshold": 2}"#).as_str()], &["store_threshold"]),
        (&[extra(r#"{"spec_name": "OtherSpec"}"#).as_str()], &["OtherSpec", "TieringOffloadingSpec"]),
        (&[tiers(r#"[{"type": "p2p"}]"#).as_str()], &["secondary_tiers[0].type", "p2p", "not simulated", "fs"]),
        (&[tiers(r#"[{"type": "kvcr"}]"#).as_str()], &["secondary_tiers[0].type", "kvcr", "not simulated"]),
        (&[tiers(r#"[{"type": "example"}]"#).as_str()], &["secondary_tiers[0].type", "example", "not simulated"]),
        (&[tiers(r#"[{"type": "Mine", "module_path": "mine"}]"#).as_str()], &["secondary_tiers[0].type", "Mine"]),
        (&[tiers(r#"[{"type": "fs"}]"#).as_str()], &["secondary_tiers[0].root_dir", "must be"]),
        (&[tiers(r#"[{"type": "obj", "prefix": "a"}]"#).as_str()], &["secondary_tiers[0].store_config", "must be"]),
        (&[tiers(r#"[{"type": "fs", "root_dir": "/a", "size": 3}]"#).as_str()], &["secondary_tiers[0].size"]),
        (&[tiers(r#"[{"type": "fs", "root_dir": "/a", "backpressure": {}}]"#).as_str()], &["EMABackpressureDetector"]),
        (&[tiers(r#"{"type": "fs"}"#).as_str()], &["secondary_tiers", "list"]),
        (
            &[extra(r#"{"cpu_bytes_to_use": 1e9, "secondary_tiers": [{"type": "fs", "root_dir": "/a"}]}"#).as_str()],
            &["cpu_bytes_to_use"],
        ),
        (
            &[extra(r#"{"cpu_bytes_to_use": 99999999, "secondary_tiers": [{"type": "fs", "root_dir": "/a"}]}"#)
                .as_str()],
            &["secondary_tiers", "TieringOffloadingSpec"],
        ),
        (&[extra(r#"{"cpu_bytes_to_use": 9, "spec_name": "TieringOffloadingSpec"}"#).as_str()], &["hold no chunk"]),
        (&["--kv-offloading-size=8", "--kv-tier-latency=1"], &["--kv-tier-*", "secondary_tiers"]),
        (&[FILES, "--kv-tier-read-bandwidth=0"], &["--kv-tier-read-bandwidth", "0.001"]),
        (&[OBJECTS, "--replicas=2"], &["--kv-transfer-config", "--replicas"]),
    ] {
        check_refused("simulate", &[WORKLOAD, flags], expect);
    }
    let events = r#"--kv-events-config={"enable_kv_cache_events": true}"#;
    check_refused("emulate", &[HOST, &[events, "--port=0"]], &["--kv-events-config", "host memory"]);
    check_refused("emulate", &[HOST, &["--kv-tier-latency=1", "--port=0"]], &["--kv-tier-*", "secondary_tiers"]);
    check_refused("emulate", &[&["--kv-offloading-bandwidth=9", "--port=0"]], &["--kv-offloading-size"]);
}

/// vLLM would start with an `LMCache` server; it is this program that does not. Without a size of the tier it would not.
#[test]
fn a_refusal_of_vllm_is_called_one_and_no_other_is() {
    let drafter = r#"--speculative-config={"method": "ngram", "num_speculative_tokens": 3}"#;
    let no_size = r#"--kv-transfer-config={"kv_connector": "OffloadingConnector", "kv_role": "kv_both"}"#;
    for (flags, says, is_vllms) in [
        (&["--kv-offloading-size=8", "--kv-offloading-backend=lmcache"][..], "an LMCache server", false),
        (&["--kv-offloading-size=2000000"], "1000000 GiB", false),
        (&["--kv-offloading-size=8", drafter, "--spec-acceptance-length=2"], "without speculative decoding", false),
        (&["--performance-mode=interactivity"], "interactivity is not simulated", false),
        (&["--kv-offloading-size=-1"], "above 0 GiB", true),
        (&[no_size], "cpu_bytes_to_use", true),
        (&["--max-num-seqs=0"], "max_num_seqs", true),
    ] {
        let output = profiler("simulate", &[WORKLOAD, flags]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {stderr}");
        assert!(stderr.contains(says), "{flags:?}: it says\n{stderr}\nwithout {says:?}");
        assert_eq!(stderr.contains("vLLM would not start"), is_vllms, "{flags:?}: {stderr}");
    }
}

#[test]
fn both_spellings_are_one_run_and_replicas_have_a_tier_each() {
    let json = r#"{"kv_connector": "OffloadingConnector", "kv_role": "kv_both",
        "kv_connector_extra_config": {"cpu_bytes_to_use": 68719476736, "block_size": 16}}"#;
    let long = report(&[WORKLOAD, &[&format!("--kv-transfer-config={json}")]]);
    assert_eq!(line(&long, "Digest of the run"), line(&report(&[WORKLOAD, HOST]), "Digest of the run"));
    let two = report(&[WORKLOAD, HOST, &["--replicas=2"]]);
    assert!(line(&two, "Prompt tokens found, GPU / CPU").ends_with('%'), "{two}");
}

#[test]
fn without_tiers_their_spec_is_host_memory_alone() {
    let of = |flag: &str| line(&report(&[WORKLOAD, &[flag]]), "Digest of the run").to_owned();
    assert_eq!(of(NO_TIERS), of(SMALL_HOST), "the same run");
}

#[test]
fn files_behind_a_small_host_memory_are_read_and_told_of() {
    let path = std::env::temp_dir().join(format!("tiers-{}.json", std::process::id()));
    let save = ["--save-result".to_owned(), format!("--result-filename={}", path.display())];
    let save: Vec<_> = save.iter().map(String::as_str).collect();
    let alone = report(&[WORKLOAD, &[SMALL_HOST]]);
    let told = report(&[WORKLOAD, &[FILES], &save]);
    let json: Value = serde_json::from_slice(&std::fs::read(&path).expect("a result")).expect("JSON");
    std::fs::remove_file(&path).expect("it can be removed");
    let tiers = &json["simulation"]["kv_offloading"];
    let field = |at: &str| tiers.pointer(at).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {at} in {tiers}"));
    let num_tokens = field("/tier_hit_tokens");
    let share = format!("{:.1} %", 100.0 * num_tokens / field("/queried_tokens"));
    assert_eq!(line(&told, "Of CPU's, brought from tiers behind"), share);
    assert!(num_tokens > 0.0 && num_tokens <= field("/cpu_hit_tokens"), "{tiers}");
    // Blocks of 2 MiB, each written once, and as many found there as hits need.
    let chunk = 2_097_152.0;
    let written = field("/tiers/0/write_bytes") / chunk;
    assert!((written - field("/tiers/0/chunks")).abs() < 0.5, "{tiers}");
    assert!(field("/tiers/0/read_bytes") / chunk * 16.0 >= num_tokens, "{tiers}");
    let quickest = field("/tiers/0/read_bytes") / 7e9 + 1e-4 * field("/tiers/0/read_bytes") / chunk;
    assert!(field("/tiers/0/read_seconds") >= quickest - 1e-6, "alone or shared: {tiers}");
    let ttft = |report: &str| number(report, "Mean TTFT (ms)");
    let quick = ttft(&report(&[WORKLOAD, &[FILES, "--kv-tier-read-bandwidth=50", "--kv-tier-latency=0.01"]]));
    assert!(quick < 0.8 * ttft(&alone), "{quick} ms instead of {}", ttft(&alone));
    assert!(!alone.contains("tier"), "nothing of tiers: {alone}");
    let slow = ttft(&report(&[WORKLOAD, &[FILES, "--kv-tier-read-bandwidth=3"]]));
    assert!(slow > 1.2 * ttft(&told), "{slow} ms instead of {}", ttft(&told));
}
