//! Files given to the command line for what they are not, and datasets that are known by their content.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
const PROFILE: &str = "www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json";
const RESULT: &str = "tests/data/bench_serve_table/defaults.result.json";
const AZURE: &str = "www/datasets/azure_llm_2023_conv_first_1000.csv";
const MOONCAKE: &str = "tests/data/bench_serve/timed_trace_mooncake.jsonl";
const BAILIAN: &str = "tests/data/bench_serve/timed_trace_bailian.jsonl";
const BURSTGPT: &str = "tests/data/bench_serve/burstgpt.csv";
const SHAREGPT: &str = "tests/data/bench_serve/sharegpt.json";

fn profiler(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_profiler")).args(arguments).current_dir(ROOT).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A file of this test's own.
fn file(name: &str, content: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong_files");
    fs::create_dir_all(&folder).expect("a folder");
    let path: PathBuf = folder.join(format!("{}-{name}", std::process::id()));
    fs::write(&path, content).expect("a file");
    path.to_string_lossy().into_owned()
}

/// Exit code 2 and one message, which names the file and says `expect`.
#[track_caller]
fn check_refused(arguments: &[&str], path: &str, expect: &str) {
    let output = profiler(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty() && !stderr.contains("panicked"), "{arguments:?}: {stderr}");
    let name = path.rsplit('/').next().unwrap_or(path);
    assert!(stderr.contains(name) && stderr.contains(expect), "{arguments:?} says\n{stderr}\nwithout {expect:?}");
    assert!(stderr.len() < 1000, "{} bytes: {stderr}", stderr.len());
}

/// What every argument says of files that are none of its.
#[test]
fn each_file_argument_says_what_the_file_is() {
    let files = [
        ("a.json.gz", b"\x1f\x8b\x08\0\0".to_vec(), "this is a gzip file; unpack it first"),
        ("a.zip", b"PK\x03\x04\0\0".to_vec(), "this is a zip file; unpack it first"),
        ("utf16.json", b"\xff\xfe{\0\"\0".to_vec(), "the text is UTF-16; save it as UTF-8"),
        ("empty.json", Vec::new(), "there is nothing in it"),
        ("picture.json", b"\x89PNG\r\n\x1a\n\0\0\0".to_vec(), "a binary file is not"),
        ("rates.csv", b"rate,ttft,tpot\n1,2,3\n".to_vec(), "a CSV with the columns \"rate,ttft,tpot\" is not"),
        ("serve.sh", b"vllm serve m --max-num-seqs 8\n".to_vec(), "this is a command, where"),
        ("prompts.json", br#"[{"prompt": "a"}]"#.to_vec(), "this is a JSON list, each entry a prompt, where"),
    ];
    for (name, content, expect) in files {
        let path = file(name, &content);
        for arguments in [
            &["simulate", "--profile", &path][..],
            &["simulate", "--model", &path],
            &["simulate", "--model", "Qwen/Qwen3-8B", "--gpu", &path],
            &["groups", &path],
            &["verify-run", "--profile", PROFILE, "--run", &path],
            &["verify-run", "--profile", &path, "--run", RESULT],
            &["import", "vllm-bench", "--profile", PROFILE, "--result", &path],
        ] {
            // A list of published runs and a name on Hugging Face are other arguments of the same flags.
            let is_another =
                name.ends_with(".csv") && arguments.contains(&"--run") && arguments.last() == Some(&path.as_str());
            let is_name = Path::new(name).extension().is_none_or(|end| end != "json") && arguments.contains(&"--gpu");
            if !is_another && !is_name {
                check_refused(arguments, &path, expect);
            }
        }
        let output = profiler(&["validate", &path]);
        let stderr = text(&output.stderr);
        assert!(!output.status.success() && stderr.contains(expect), "validate {name}: {stderr}");
    }
}

#[test]
fn a_file_of_another_kind_is_named() {
    let config = file("config.json", br#"{"model_type": "llama", "num_hidden_layers": 2}"#);
    let run = ["verify-run", "--profile", PROFILE, "--run"];
    check_refused(
        &[&run[..], &[PROFILE]].concat(),
        PROFILE,
        "this is a profile, where a result of vllm bench serve is wanted",
    );
    check_refused(&[&run[..], &[MOONCAKE]].concat(), MOONCAKE, "this is a Mooncake trace, where a result");
    check_refused(
        &["verify-run", "--profile", RESULT, "--run", RESULT],
        RESULT,
        "this is a result of vllm bench serve, where a profile",
    );
    check_refused(&["simulate", "--profile", AZURE], AZURE, "this is an Azure trace, where a profile is wanted");
    check_refused(
        &["simulate", "--profile", &config],
        &config,
        "this is a model's config.json, where a profile is wanted",
    );
    check_refused(
        &["simulate", "--model", PROFILE],
        PROFILE,
        "this is a profile, where a model's config.json is wanted",
    );
    check_refused(&["simulate", "--gpu", PROFILE], PROFILE, "this is a profile, where a pack of operators is wanted");
    check_refused(
        &["simulate", "--profile", SHAREGPT],
        SHAREGPT,
        "this is a ShareGPT dataset, where a profile is wanted",
    );
    let import = ["import", "vllm-bench", "--profile", PROFILE, "--result"];
    check_refused(&[&import[..], &[&config]].concat(), &config, "this is a model's config.json, where a result");
}

/// The digest of a run.
#[track_caller]
fn digest(arguments: &[&str]) -> String {
    let output = profiler(&[&["simulate"], arguments].concat());
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    let line = stdout.lines().find(|line| line.contains("Digest of the run")).expect("a digest");
    line.rsplit(' ').next().expect("a word").to_owned()
}

#[test]
fn a_dataset_is_known_by_its_content_as_on_the_page() {
    let mooncake = ["--timed-trace-chunk-hash-size", "512", "--timed-trace-sec-multiplier", "0.001"];
    for (path, flags) in [
        (AZURE, &["--dataset-name", "azure"][..]),
        (BURSTGPT, &["--dataset-name", "burstgpt_timed"]),
        (BAILIAN, &["--dataset-name", "timed_trace"]),
        (MOONCAKE, &[&["--dataset-name", "timed_trace"], &mooncake[..]].concat()),
    ] {
        let rest = ["--dataset-path", path, "--num-prompts", "20"];
        assert_eq!(digest(&rest), digest(&[&rest[..], flags].concat()), "{path}");
    }
    // What is given besides holds.
    let rest = ["--dataset-path", MOONCAKE, "--num-prompts", "20"];
    let slower = [&rest[..], &["--timed-trace-sec-multiplier", "0.01"]].concat();
    let named = [&slower[..], &["--dataset-name", "timed_trace", "--timed-trace-chunk-hash-size", "512"]].concat();
    assert_eq!(digest(&slower), digest(&named));
    assert_ne!(digest(&slower), digest(&rest));
    check_refused(&["simulate", "--dataset-path", SHAREGPT], "", "--tokenizer PATH/tokenizer.json");
}

#[test]
fn a_dataset_that_is_another_than_its_name_is_named() {
    let list = file("list.json", br#"[{"timestamp": 1, "input_length": 5, "output_length": 6, "hash_ids": [1]}]"#);
    let csv = file("lengths.csv", b"when,prompt tokens,answer tokens\n1,2,3\n4,5,6\n");
    let packed = file("trace.jsonl.gz", b"\x1f\x8b\x08\0");
    let hello = file("hello.txt", b"hello there");
    for (name, path, expect) in [
        (Some("azure"), MOONCAKE, "this is a Mooncake trace: its name is --dataset-name timed_trace"),
        (Some("timed_trace"), AZURE, "this is an Azure trace: its name is --dataset-name azure"),
        (Some("timed_trace"), BURSTGPT, "this is a BurstGPT trace: its name is --dataset-name burstgpt_timed"),
        (Some("azure"), SHAREGPT, "this is a ShareGPT dataset: its name is --dataset-name sharegpt"),
        (Some("sharegpt"), AZURE, "this is an Azure trace: its name is --dataset-name azure"),
        (Some("timed_trace"), RESULT, "this is a result of vllm bench serve, not a dataset"),
        (None, PROFILE, "this is a profile, not a dataset"),
        (Some("timed_trace"), &csv, "this is no JSON; --dataset-name timed_trace is read from JSON lines"),
        (Some("timed_trace"), &csv, "a CSV with the columns \"when,prompt tokens,answer tokens\""),
        (
            Some("timed_trace"),
            &list,
            "a JSON list, each entry a request of a timed trace; this is read from JSON lines",
        ),
        (None, &list, "a JSON list, each entry a request of a timed trace; this is read from JSON lines"),
        (Some("custom"), &packed, "this is a gzip file; unpack it first"),
        (None, &packed, "this is a gzip file; unpack it first"),
        (None, &csv, "by its content it is no dataset that is known"),
        (None, &hello, "\"hello there\": by its content it is no dataset that is known"),
    ] {
        let named = name.map(|name| ["--dataset-name", name]);
        let named = named.iter().flatten().copied();
        let arguments: Vec<&str> = ["simulate", "--dataset-path", path].into_iter().chain(named).collect();
        check_refused(&arguments, path, expect);
    }
    // Both readers of BurstGPT's table take it.
    digest(&["--dataset-path", BURSTGPT, "--dataset-name", "burstgpt", "--num-prompts", "9", "--request-rate", "1"]);
}
