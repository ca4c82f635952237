//! `profiler import llmservingsim`, `vllm-bench` and `calibrate` as processes, on the calibration sets and on broken files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use sim_core::profile::Profile;
use sim_core::profile::schema::Basis;

const SETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/calibration");
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/llama-3.1-8b.json");
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Runs in `folder`, so that messages hold no path of this machine.
fn profiler(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_profiler"));
    command.current_dir(folder).args(arguments).output().expect("the program starts")
}

/// An empty folder of this test's own.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("import_measured").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an old folder of ours");
    }
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Exit code 2, nothing on standard output, no panic; the message.
#[track_caller]
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = profiler(folder, arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed a result");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

fn snapshot(messages: &BTreeMap<&str, String>) -> String {
    messages.iter().map(|(what, message)| format!("{what}\n  {}\n", message.trim_end().replace('\n', "\n  "))).collect()
}

#[test]
fn layer_times_become_a_profile_that_says_where_it_comes_from() {
    let folder = Path::new(SETS);
    let flags = ["import", "llmservingsim", "llmservingsim", "--model", MODEL, "--date", "2026-11-24"];
    let output = profiler(folder, &flags);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let profile = Profile::from_json(&output.stdout).expect("a profile");
    let engine = &profile.engine;
    assert_eq!(
        (engine.vllm_version.as_str(), engine.max_num_seqs, engine.max_num_batched_tokens),
        ("0.19.0", 256, 2048)
    );
    assert_eq!(profile.provenance.sources[0].licence, "MIT");
    insta::assert_snapshot!("llmservingsim_notes", profile.provenance.notes.join("\n"));

    // 32 layers, one embedding and norm: the sum of dense.csv's times of 8 tokens, within what smoothing changes.
    let place = profile.step_time.non_attention.num_tokens.iter().position(|&tokens| tokens == 8).expect("8 tokens");
    let layers = 32.0 * (2.0 * 2.4 + 35.9 + 2.8 + 25.6 + 158.4 + 3.0 + 81.1) + 4.6 + 2.6;
    let time = profile.step_time.non_attention.time_us[place];
    assert!((time / layers - 1.0).abs() < 0.01, "{time} us instead of {layers}");
    // attention.csv: 64 decodes of 1024 tokens take 221.237 us a layer, 512 new tokens alone 24.9173 us.
    let attention = &profile.step_time.decode_attention;
    let row = attention.num_seqs.iter().position(|&requests| requests == 64).expect("64 requests");
    let column = attention.context_tokens.iter().position(|&tokens| tokens == 1024).expect("1024 tokens");
    let time = attention.time_us[row][column].expect("a time");
    assert!((time / (32.0 * 221.237) - 1.0).abs() < 0.01, "{time} us");
    let factor = profile.step_time.mixed_batch.expect("measured").decode_term_factor;
    assert!((1.7..1.9).contains(&factor), "{factor}");
}

/// The RTX folder with the text of one file changed.
fn with_file(name: &str, file: &str, change: impl FnOnce(String) -> Vec<u8>) -> PathBuf {
    let (source, folder) = (Path::new(SETS).join("llmservingsim"), scratch(name));
    for plain in ["dense.csv", "per_sequence.csv", "meta.yaml"] {
        fs::copy(source.join(plain), folder.join(plain)).expect("a copy");
    }
    let mut attention = String::new();
    let packed = File::open(source.join("attention.csv.gz")).expect("a file");
    GzDecoder::new(packed).read_to_string(&mut attention).expect("text");
    fs::write(folder.join("attention.csv"), attention).expect("a file");
    let before = fs::read_to_string(folder.join(file)).expect("text");
    fs::write(folder.join(file), change(before)).expect("a file");
    folder
}

#[test]
fn broken_layer_times_are_refused_with_file_and_line() {
    type Change = fn(String) -> Vec<u8>;
    let cases: [(&str, &str, Change); 16] = [
        ("an empty table", "dense.csv", |_| vec![]),
        ("only a header", "dense.csv", |_| b"layer,tokens,time_us\n".to_vec()),
        ("another table's columns", "dense.csv", |_| b"layer,sequences,time_us\na,1,2\n".to_vec()),
        ("a field too many", "dense.csv", |text| text.replacen("act_fn,2,2.848", "act_fn,2,2.848,9", 1).into_bytes()),
        ("a negative time", "dense.csv", |text| text.replacen("2.848", "-2.848", 1).into_bytes()),
        ("no number", "dense.csv", |text| text.replacen("2.848", "NaN", 1).into_bytes()),
        ("a count that is none", "dense.csv", |text| text.replacen("act_fn,2,", "act_fn,two,", 1).into_bytes()),
        ("two times for a count", "dense.csv", |text| text.replacen("act_fn,2,", "act_fn,1,", 1).into_bytes()),
        ("a layer that is absent", "dense.csv", |text| {
            text.lines().filter(|line| !line.starts_with("o_proj")).collect::<Vec<_>>().join("\n").into_bytes()
        }),
        ("a layer that is not counted", "dense.csv", |text| (text + "shared_expert,1,9.5\n").into_bytes()),
        ("one count of a layer", "dense.csv", |text| (text + "qk_norm,1,2.5\n").into_bytes()),
        ("no text", "per_sequence.csv", |_| vec![0xff, 0xfe, 0]),
        ("too long", "attention.csv", |_| vec![b'1'; (32 << 20) + 1]),
        ("no decodes alone", "attention.csv", |_| {
            b"prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n16,0,0,0,7\n16,16,0,0,8\n32,0,0,0,9\n32,16,0,0,10\n"
                .to_vec()
        }),
        ("another number format", "meta.yaml", |text| text.replace("variant: bf16", "variant: fp8").into_bytes()),
        ("an unknown device", "meta.yaml", |text| text.replace("gpu: NVIDIA RTX", "gpu: NVIDIA GTX").into_bytes()),
    ];
    let mut messages: BTreeMap<&str, String> = cases
        .into_iter()
        .map(|(what, file, change)| {
            let folder = with_file(what, file, change);
            (what, refused(&folder, &["import", "llmservingsim", ".", "--model", MODEL]))
        })
        .collect();
    let folder = scratch("nothing there");
    messages.insert("nothing there", refused(&folder, &["import", "llmservingsim", ".", "--model", MODEL]));
    insta::assert_snapshot!("broken_layer_times", snapshot(&messages));
}

/// The times of passes without attention that `profiler import llmservingsim` makes of a folder.
fn passes(folder: &Path, flags: &[&str]) -> BTreeMap<u32, f64> {
    let output = profiler(folder, &[&["import", "llmservingsim", ".", "--model", MODEL], flags].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = Profile::from_json(&output.stdout).expect("a profile").step_time.non_attention;
    table.num_tokens.into_iter().zip(table.time_us).collect()
}

#[test]
fn norms_of_queries_and_keys_count_twice_a_layer() {
    let plain = passes(&with_file("no norms", "meta.yaml", String::into_bytes), &[]);
    let norms: String = plain.keys().map(|tokens| format!("qk_norm,{tokens},2.5\n")).collect();
    let normed = passes(&with_file("norms", "dense.csv", |text| (text + &norms).into_bytes()), &[]);
    assert_eq!(plain.len(), normed.len());
    for (tokens, time) in normed {
        let added = time - plain[&tokens];
        assert!((added - 2.0 * 32.0 * 2.5).abs() < 0.02, "{added} us more for {tokens} tokens");
    }
}

/// The folder as that of one of four ranks, measured on a device whose all-reduces are in our sample of the package.
fn of_four_ranks(name: &str) -> PathBuf {
    let above = with_file(name, "meta.yaml", |text| {
        text.replace("gpu: NVIDIA RTX PRO 6000 Blackwell Server Edition", "gpu: NVIDIA B200").into_bytes()
    });
    let folder = above.join("tp4");
    fs::create_dir(&folder).expect("a folder");
    for file in ["dense.csv", "per_sequence.csv", "attention.csv"] {
        fs::rename(above.join(file), folder.join(file)).expect("moved");
    }
    folder
}

#[test]
fn layers_of_one_of_several_ranks_are_taken_with_their_all_reduces_only() {
    let package = Path::new(SETS).join("../aiconfigurator");
    let package = package.to_str().expect("UTF-8");
    let folder = of_four_ranks("four ranks");
    let message = refused(&folder, &["import", "llmservingsim", ".", "--model", MODEL]);
    assert!(message.contains("one of 4 ranks") && message.contains("--all-reduce"), "{message}");
    let alone = passes(&with_file("one rank", "meta.yaml", String::into_bytes), &[]);
    let reduced = passes(&folder, &["--all-reduce", package]);
    // 65 all-reduces, of some microseconds each.
    for (tokens, time) in reduced {
        let each = (time - alone[&tokens]) / 65.0;
        assert!((1.0..5000.0).contains(&each), "{each} us an all-reduce of {tokens} tokens");
    }
}

/// A profile, and a result that `simulate` wrote with it.
fn bench(name: &str, flags: &[&str]) -> PathBuf {
    let folder = scratch(name);
    fs::copy(SERVER, folder.join("truth.json")).expect("a copy");
    let simulate = ["simulate", "--quiet", "--profile", "truth.json", "--save-result", "--result-dir", "."];
    let output = profiler(&folder, &[&simulate, flags].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    folder
}

/// The errors' mean size before and after that the report ends with, in percent.
fn mean_errors(report: &str) -> (f64, f64) {
    let line = report.lines().find(|line| line.starts_with("mean |error|")).expect("a last line");
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
    (numbers.next().expect("before"), numbers.next().expect("after"))
}

#[test]
fn terms_that_were_changed_are_found_again() {
    // Synchronous scheduling shows host time; long and short prompts tell it from the front end.
    let flags = ["--no-async-scheduling", "--request-rate", "8", "--num-prompts", "60", "--save-detailed"];
    let lengths = ["--random-range-ratio", "0.9", "--percentile-metrics", "ttft,tpot,itl,e2el"];
    let folder = bench("terms", &[&flags[..], &lengths, &["--result-filename", "result.json"]].concat());
    let mut profile: Value =
        serde_json::from_slice(&fs::read(folder.join("truth.json")).expect("a file")).expect("JSON");
    profile["host"]["schedule"]["per_pass"]["time_us"] = json!(3000.0);
    profile["front_end"]["request_latency"]["per_request"]["time_us"] = json!(40_000.0);
    fs::write(folder.join("wrong.json"), profile.to_string()).expect("a file");
    let fit = ["import", "vllm-bench", "--profile", "wrong.json", "--result", "result.json"];
    let output = profiler(&folder, &[&fit[..], &["--no-async-scheduling", "--output", "fitted.json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (before, after) = mean_errors(&text(&output.stdout));
    assert!(before > 10.0 && after < 1.5, "{}", text(&output.stdout));
    let fitted = Profile::from_json(&fs::read(folder.join("fitted.json")).expect("a file")).expect("a profile");
    assert!(!fitted.validation.runs.is_empty(), "the runs are in the profile");
    let cost = &fitted.front_end.request_latency.per_request;
    assert_eq!(cost.basis, Basis::Estimate, "a fit is no measurement");
    assert!(cost.reason.contains("result.json"), "{}", cost.reason);
    insta::assert_snapshot!("fitted_terms", text(&output.stdout));
}

#[test]
fn a_front_end_that_works_longer_is_found_under_load() {
    let folder = scratch("work");
    let builtin = fs::read("../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json").expect("the profile that ships");
    let mut slow: Value = serde_json::from_slice(&builtin).expect("JSON");
    slow["front_end"]["work"]["per_request"]["time_us"] = json!(4000.0);
    fs::write(folder.join("slow.json"), slow.to_string()).expect("a file");
    fs::write(folder.join("usual.json"), &builtin).expect("a file");
    // Without load the latencies show, with much of it what is worked.
    let lengths = ["--random-input-len", "128", "--random-output-len", "4", "--save-result", "--save-detailed"];
    for (rate, num_prompts, file) in [("5", "40", "light.json"), ("200", "400", "heavy.json")] {
        let load =
            ["--request-rate", rate, "--num-prompts", num_prompts, "--result-dir", ".", "--result-filename", file];
        let run = ["simulate", "--quiet", "--profile", "slow.json"];
        let output = profiler(&folder, &[&run[..], &lengths, &load].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let results = ["--result", "light.json", "--result", "heavy.json"];
    let fit = ["import", "vllm-bench", "--profile", "usual.json", "--output", "fitted.json"];
    let output = profiler(&folder, &[&fit[..], &results].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (before, after) = mean_errors(&text(&output.stdout));
    assert!(before > 15.0 && after < 4.0, "{}", text(&output.stdout));
    let fitted = Profile::from_json(&fs::read(folder.join("fitted.json")).expect("a file")).expect("a profile");
    let cost = fitted.front_end.work.expect("a front end that queues").per_request;
    assert!((3600.0..4400.0).contains(&cost.time_us), "{} us instead of 4000", cost.time_us);
    assert_eq!(cost.basis, Basis::Estimate, "a fit is no measurement");
}

#[test]
fn a_result_without_details_is_repeated_from_its_totals() {
    let flags = ["--request-rate", "4", "--num-prompts", "40", "--result-filename", "result.json"];
    let folder = bench("totals", &flags);
    let fit = ["import", "vllm-bench", "--profile", "truth.json", "--result", "result.json"];
    let output = profiler(&folder, &fit);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (before, after) = mean_errors(&text(&output.stdout));
    // The same lengths and the same seed: only what the totals' rounding leaves.
    assert!(before < 1.0 && after <= before + 0.1, "{}", text(&output.stdout));
}

#[test]
fn broken_results_are_refused_with_field_and_value() {
    let folder = bench("broken", &["--num-prompts", "4", "--save-detailed", "--result-filename", "result.json"]);
    let good: Value = serde_json::from_slice(&fs::read(folder.join("result.json")).expect("a file")).expect("JSON");
    let with = |field: &str, value: Value| {
        let mut result = good.clone();
        result[field] = value;
        result.to_string().into_bytes()
    };
    let mut without = good.clone();
    without.as_object_mut().expect("an object").retain(|name, _| !name.ends_with("_ms"));
    let cases = [
        ("an empty file", vec![]),
        ("no JSON", b"Serving Benchmark Result".to_vec()),
        ("a list", b"[1]".to_vec()),
        ("something else", b"{}".to_vec()),
        ("failed requests", with("failed", json!(2))),
        ("fewer than asked for", with("completed", json!(3))),
        ("a rate of nothing", with("request_rate", json!(0))),
        ("a length too few", with("input_lens", json!([1, 2, 3]))),
        ("a length of 0", with("output_lens", json!([1, 0, 1, 1]))),
        ("a length that is none", with("input_lens", json!([1, "two", 1, 1]))),
        ("a time that is none", with("start_times", json!([0, -1, 0, 0]))),
        ("another model", with("model_id", json!("Qwen/Qwen3-8B"))),
        ("a latency that is none", with("mean_ttft_ms", json!("fast"))),
        ("no latency", without.to_string().into_bytes()),
    ];
    let fit = ["import", "vllm-bench", "--profile", "truth.json", "--result", "broken.json"];
    let mut messages: BTreeMap<&str, String> = BTreeMap::new();
    for (what, bytes) in cases {
        fs::write(folder.join("broken.json"), bytes).expect("a file");
        messages.insert(what, refused(&folder, &fit));
    }
    fs::write(folder.join("broken.json"), good.to_string()).expect("a file");
    let wider = [&fit[..], &["--tensor-parallel-size", "2"]].concat();
    messages.insert("an engine that is not the profile's", refused(&folder, &wider));
    insta::assert_snapshot!("broken_results", snapshot(&messages));
}

/// A calibration folder in which one file of the runs has other content.
fn with_run(name: &str, file: &str, change: impl FnOnce(String) -> String) -> PathBuf {
    let folder = scratch(name);
    for place in ["llmservingsim", "llmservingsim/run", "inferencex"] {
        fs::create_dir_all(folder.join(place)).expect("a folder");
        for entry in fs::read_dir(Path::new(SETS).join(place)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                fs::copy(&path, folder.join(place).join(path.file_name().expect("a name"))).expect("a copy");
            }
        }
    }
    let before = fs::read_to_string(folder.join(file)).expect("text");
    fs::write(folder.join(file), change(before)).expect("a file");
    folder
}

#[test]
fn broken_runs_are_refused_with_their_line() {
    type Change = fn(String) -> String;
    const REQUESTS: &str = "llmservingsim/run/requests.jsonl";
    const SAMPLE: &str = "inferencex/silicon_sample.csv";
    let cases: [(&str, &str, Change); 10] = [
        ("no requests", REQUESTS, |_| String::new()),
        ("a line that is cut off", REQUESTS, |text| text[..300].to_owned()),
        ("a request without tokens", REQUESTS, |text| text.replacen("\"output_toks\": 531", "\"output_toks\": 0", 1)),
        ("a negative length", REQUESTS, |text| text.replacen("\"input_toks\": 2358", "\"input_toks\": -1", 1)),
        ("times that go back", REQUESTS, |text| {
            text.replacen("\"first_token_ts\": 479748.510151426", "\"first_token_ts\": 1", 1)
        }),
        ("no arguments", "llmservingsim/run/meta.json", |_| "{}".to_owned()),
        ("only a header", SAMPLE, |text| text.lines().next().unwrap_or_default().to_owned()),
        ("a column that is absent", SAMPLE, |text| text.replace("silicon_tpot_ms", "tpot")),
        ("a concurrency that is none", SAMPLE, |text| text.replace(",16,4,1,1,4,1,", ",many,4,1,1,4,1,")),
        ("a time of 0", SAMPLE, |text| text.replace("13.192185948816437", "0")),
    ];
    let messages = cases
        .into_iter()
        .map(|(what, file, change)| (what, refused(&with_run(what, file, change), &["import", "calibrate", "."])))
        .collect();
    insta::assert_snapshot!("broken_runs", snapshot(&messages));
}
