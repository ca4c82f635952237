//! Workloads that people bring, on the command line: tables, sessions, mixtures; and what is said of bad ones.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

fn profiler(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_profiler")).args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A file of this test's own.
fn file(name: &str, content: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("own_workloads");
    fs::create_dir_all(&folder).expect("a folder");
    let path: PathBuf = folder.join(format!("{}-{name}", std::process::id()));
    fs::write(&path, content).expect("a file");
    path.to_string_lossy().into_owned()
}

/// What a run prints, and the digest in it.
#[track_caller]
fn run(arguments: &[&str], says: &[&str]) -> String {
    let output = profiler(&[&["simulate"], arguments].concat());
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    for part in says {
        assert!(told.contains(part), "{arguments:?} says\n{told}\nwithout {part:?}");
    }
    let line = told.lines().find(|line| line.contains("Digest of the run")).expect("a digest");
    line.rsplit(' ').next().expect("a word").to_owned()
}

/// Exit code 2, and one message that says `expect`.
#[track_caller]
fn check_refused(arguments: &[&str], expect: &str) {
    let output = profiler(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(
        stderr.contains(expect) && !stderr.contains("panicked"),
        "{arguments:?} says\n{stderr}\nwithout {expect:?}"
    );
    assert!(stderr.len() < 1000, "{} bytes: {stderr}", stderr.len());
}

const VIDUR: &str = "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n4.314579,396,109\n4.541877,879,55\n";

#[test]
fn a_table_is_known_by_its_columns_or_said() {
    let vidur = file("vidur.csv", VIDUR);
    let columns =
        "columns: time from arrived_at (seconds), prompt from num_prefill_tokens, output from num_decode_tokens";
    let known = run(&["--dataset-path", &vidur], &[columns]);
    let azure = VIDUR
        .replace("arrived_at,num_prefill_tokens,num_decode_tokens", "TIMESTAMP,ContextTokens,GeneratedTokens")
        .replace("\n0.0,", "\n2023-11-16 18:15:46.0000000,")
        .replace("\n4.314579,", "\n2023-11-16 18:15:50.3145790,")
        .replace("\n4.541877,", "\n2023-11-16 18:15:50.5418770,");
    let azure = file("azure.csv", &azure);
    assert_eq!(known, run(&["--dataset-path", &azure, "--dataset-name", "azure"], &[]), "the same requests");
    let own = file("own.csv", &VIDUR.replace("arrived_at,num_prefill_tokens,num_decode_tokens", "when,in,answer"));
    let said = ["--dataset-name", "table", "--columns", "time=when,prompt=in,output=answer"];
    assert_eq!(known, run(&[&["--dataset-path", &own], &said[..]].concat(), &["time from when (seconds)"]));
    check_refused(&["simulate", "--dataset-path", &own], "--dataset-name table --columns time=COLUMN,prompt=COLUMN");
    check_refused(
        &["simulate", "--dataset-path", &own, "--dataset-name", "table"],
        "no column is known to be the length of a prompt in tokens; the columns are when, in, answer",
    );
    check_refused(
        &["simulate", "--dataset-path", &own, "--dataset-name", "timed_trace"],
        "this is no JSON; --dataset-name timed_trace is read from JSON lines",
    );
    check_refused(&["simulate", "--dataset-name", "table"], "--dataset-name table needs a file");
    check_refused(
        &["simulate", "--dataset-path", &vidur, "--request-rate", "3"],
        "--dataset-name table has its own times",
    );
    let bad = file("bad.csv", &VIDUR.replace("879", "many"));
    check_refused(
        &["simulate", "--dataset-path", &bad],
        "line 4: num_prefill_tokens is many; it must be a whole number",
    );
    run(&["--dataset-path", &vidur, "--request-rate", "3", "--no-self-timed"], &[]);
}

#[test]
fn sessions_run_and_are_searched_and_linked() {
    let sessions =
        ["--dataset-name", "sessions", "--num-sessions", "20", "--num-users", "4", "--session-turns", "2..4"];
    let digest = run(&sessions, &["Prefix cache"]);
    let link = profiler(&[&["link"], &sessions[..]].concat());
    assert!(link.status.success(), "{}", text(&link.stderr));
    let link = text(&link.stdout).trim().to_owned();
    assert_eq!(digest, run(&["--link", &link], &[]), "a link is the same run");
    let capacity =
        [&["capacity", "--by", "users", "--goodput", "ttft:300", "tpot:9", "--num-seeds", "1"], &sessions[..]];
    let output = profiler(&capacity.concat());
    let told = text(&output.stdout);
    assert!(output.status.success() && told.contains(" users with 99 % of requests"), "{told}{}", text(&output.stderr));
    check_refused(&["capacity", "--by", "users"], "--by users need objectives");
    check_refused(
        &["capacity", "--by", "users", "--goodput", "ttft:300", "--dataset-name", "random"],
        "--num-users does nothing with --dataset-name random; it is for sessions",
    );
}

#[test]
fn a_mixture_is_told_class_by_class_and_in_the_result() {
    let classes = file(
        "classes.json",
        r#"{"classes": [{"name": "chat", "share": 0.7, "goodput": "ttft:500 tpot:50", "flags": {"random-input-len": 300}},
            {"name": "batch", "share": 0.3, "priority": 5, "flags": {"random-input-len": 3000}}]}"#,
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("own_workloads");
    let folder = folder.to_string_lossy();
    let name = format!("{}-result.json", std::process::id());
    let rest = ["--num-prompts", "100", "--request-rate", "10", "--scheduling-policy", "priority"];
    let save = ["--save-result", "--result-dir", &folder, "--result-filename", &name];
    let says = ["class", "chat ", "batch ", "all "];
    run(&[&["--dataset-path", &classes], &rest[..], &save].concat(), &says);
    // A quiet run keeps no more of its requests than its table needs; this one needs them.
    let quiet = profiler(&[&["simulate", "--quiet", "--dataset-path", &classes], &rest[..]].concat());
    assert!(says.iter().all(|word| text(&quiet.stdout).contains(word)), "{}", text(&quiet.stdout));
    let result = fs::read_to_string(Path::new(&*folder).join(&name)).expect("a result");
    let result: serde_json::Value = serde_json::from_str(&result).expect("JSON");
    let of = &result["simulation"]["classes"];
    let numbers: Vec<_> = (0..3).map(|place| of[place]["num_requests"].as_u64()).collect();
    assert_eq!(numbers, [Some(70), Some(30), Some(100)], "{of}");
    assert_eq!((of[0]["goodput_ttft_ms"].as_f64(), &of[1]["goodput_ttft_ms"]), (Some(500.0), &serde_json::Value::Null));
    // Within a millisecond, the class without objectives of its own does not meet those of all; the other has its own.
    let required = ["simulate", "--dataset-path", &classes, "--goodput", "e2el:1", "--require-goodput", "0.7"];
    let required = profiler(&[&required, &rest[..]].concat());
    assert_eq!(required.status.code(), Some(0), "{}{}", text(&required.stdout), text(&required.stderr));
    assert!(text(&required.stdout).contains("Requests that meet every objective: 0.7000 (required: 0.7)"));
    let bad = file("bad.json", r#"{"classes": [{"name": "chat", "share": 0.7, "flags": {"request-rate": 3}}]}"#);
    check_refused(&["simulate", "--dataset-path", &bad], "a class of the mixture is \"chat\" with request-rate");
}
