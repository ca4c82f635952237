//! `profiler sweep` as a process: what it runs, refuses, and leaves behind when it is ended.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;

fn profiler(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_profiler")).args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A folder of this test's own, empty.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sweep-{name}"));
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an old folder of ours");
    }
    folder
}

const WORKLOAD: [&str; 6] = ["--dataset-name", "random", "--num-prompts", "30", "--random-output-len", "12"];
/// Eight points, of which two are refused.
const GRID: [&str; 3] = ["--grid", "max-num-seqs=4,8,16,99999", "request-rate=5,inf"];

fn sweep(folder: &Path, more: &[&str]) -> Output {
    let folder = folder.to_str().expect("UTF-8");
    profiler(&[&["sweep", "--quiet", "-o", folder], &WORKLOAD[..], more].concat())
}

#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Both tables.
#[track_caller]
fn tables(folder: &Path) -> [Vec<u8>; 2] {
    ["results.csv", "results.parquet"].map(|name| fs::read(folder.join(name)).expect("a table"))
}

/// The rows of the CSV file, by column. No cell of these tests but the error has a comma.
fn rows(folder: &Path) -> Vec<BTreeMap<String, String>> {
    let csv = fs::read_to_string(folder.join("results.csv")).expect("a table");
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().expect("a heading").split(',').collect();
    let row = |line: &str| {
        names.iter().map(|name| (*name).to_owned()).zip(line.splitn(names.len(), ',').map(str::to_owned)).collect()
    };
    lines.map(row).collect()
}

#[test]
fn each_row_is_the_run_that_simulate_does_and_a_refused_point_is_a_row() {
    let folder = scratch("rows");
    let told = done(&sweep(&folder, &[&GRID[..], &["--goodput", "ttft:500"]].concat()));
    assert!(told.contains("8 points: 4 max-num-seqs × 2 request-rate") && told.contains("8 rows, 2 refused"), "{told}");
    let rows = rows(&folder);
    for (place, (seqs, rate)) in
        [("4", "5"), ("4", "inf"), ("8", "5"), ("8", "inf"), ("16", "5"), ("16", "inf")].iter().enumerate()
    {
        let row = &rows[place];
        assert_eq!([&row["point"], &row["max_num_seqs"], &row["request_rate"]], [&place.to_string(), *seqs, *rate]);
        let file = folder.join("run.json");
        let flags = ["--max-num-seqs", seqs, "--request-rate", rate, "--goodput", "ttft:500"];
        let save = ["simulate", "--quiet", "--save-result", "--result-filename", file.to_str().expect("UTF-8")];
        done(&profiler(&[&save[..], &WORKLOAD, &flags].concat()));
        let result: Value = serde_json::from_slice(&fs::read(file).expect("a file")).expect("JSON");
        assert_eq!(Some(row["digest"].as_str()), result["simulation"]["digest"].as_str());
        for key in
            ["duration", "request_goodput", "completed", "mean_ttft_ms", "p99_tpot_ms", "max_concurrent_requests"]
        {
            assert_eq!(row[key].parse::<f64>().ok(), result[key].as_f64(), "{key} of point {place}");
        }
        assert_eq!(row["error"], "");
    }
    for row in &rows[6..] {
        assert!(row["error"].contains("below max_num_seqs = 99999") && row["digest"].is_empty(), "{row:?}");
    }
    // Parquet has the same cells.
    let file = SerializedFileReader::new(File::open(folder.join("results.parquet")).expect("a file")).expect("Parquet");
    let read: Vec<BTreeMap<String, String>> = file
        .get_row_iter(None)
        .expect("rows")
        .map(|row| row.expect("a row").get_column_iter().map(|(name, cell)| (name.clone(), shown(cell))).collect())
        .collect();
    let unquoted = |(name, cell): (&String, &String)| (name.clone(), cell.trim_matches('"').to_owned());
    let rows: Vec<BTreeMap<String, String>> = rows.iter().map(|row| row.iter().map(unquoted).collect()).collect();
    assert_eq!(read, rows);
}

fn shown(cell: &Field) -> String {
    match cell {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Double(number) => number.to_string(),
        Field::Long(number) => number.to_string(),
        other => panic!("no cell of ours: {other:?}"),
    }
}

#[test]
fn any_shards_in_any_order_give_the_same_bytes() {
    let whole = scratch("whole");
    done(&sweep(&whole, &GRID));
    let folder = scratch("shards");
    let shard =
        |index: &str, count: &str| done(&sweep(&folder, &[&GRID[..], &["--shards", count, "--shard", index]].concat()));
    shard("2", "3");
    shard("0", "3");
    let output = profiler(&["sweep", "merge", folder.to_str().expect("UTF-8")]);
    assert!(text(&output.stderr).contains("3 of 8 parts are missing (1, 4, 7)"), "{}", text(&output.stderr));
    // Another division goes on with what is there; a shard without parts is none the worse.
    shard("0", "2");
    let told = shard("1", "2");
    assert!(told.contains("2 of 4 parts were there"), "{told}");
    shard("9", "10");
    done(&profiler(&["sweep", "merge", folder.to_str().expect("UTF-8")]));
    assert_eq!(tables(&folder), tables(&whole));
    let told = done(&sweep(&whole, &GRID));
    assert!(told.contains("8 of 8 parts were there"), "{told}");
}

#[test]
fn what_was_done_stays_when_the_program_is_killed() {
    let grid = ["--grid", "seed=1..40", "--random-output-len", "400", "--num-prompts", "400", "--request-rate", "20"];
    let folder = scratch("killed");
    let arguments = [&["sweep", "-o", folder.to_str().expect("UTF-8"), "--dataset-name", "random"], &grid[..]].concat();
    let start = || Command::new(env!("CARGO_BIN_EXE_profiler")).env("RAYON_NUM_THREADS", "1").args(&arguments).spawn();
    let num_parts = || {
        fs::read_dir(folder.join("parts")).map_or(0, |parts| parts.filter(|part| is_part(part.as_ref().ok())).count())
    };
    let mut running = start().expect("the program starts");
    let begun = Instant::now();
    while num_parts() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(120), "nothing is written");
        std::thread::sleep(Duration::from_millis(1));
    }
    running.kill().expect("it runs");
    running.wait().expect("it ended");
    let kept = num_parts();
    assert!((3..40).contains(&kept), "{kept} parts: it was to be killed in the middle");
    assert!(!folder.join("results.csv").exists(), "no table of a part of the points");
    let told = done(&profiler(&[&arguments[..], &["--quiet"]].concat()));
    assert!(told.contains(&format!("{kept} of 40 parts were there")), "{told}");
    let whole = scratch("not-killed");
    let arguments = [&["sweep", "-o", whole.to_str().expect("UTF-8"), "--dataset-name", "random"], &grid[..]].concat();
    done(&profiler(&arguments));
    assert_eq!(tables(&folder), tables(&whole));
}

fn is_part(entry: Option<&fs::DirEntry>) -> bool {
    entry.is_some_and(|entry| entry.file_name().to_string_lossy().starts_with("part-"))
}

#[test]
fn parameter_files_of_vllm_are_crossed_and_linked() {
    let folder = scratch("files");
    fs::create_dir_all(&folder).expect("writable");
    let file = |name: &str, contents: &str| {
        let path = folder.join(name);
        fs::write(&path, contents).expect("writable");
        path.to_str().expect("UTF-8").to_owned()
    };
    let serve = file(
        "serve.json",
        r#"[{"max_num_seqs": 4, "enable_prefix_caching": false}, {"max-num-seqs": 8, "port": 8001}]"#,
    );
    let bench =
        file("bench.json", r#"{"slow": {"request_rate": 2, "max_concurrency": 4}, "all": {"max_concurrency": 8}}"#);
    let files = ["--serve-params", &serve, "--bench-params", &bench];
    let out = folder.join("crossed");
    done(&sweep(&out, &[&files[..], &["--grid", "seed=1,2"]].concat()));
    let pick = |out: &Path, names: &[&str]| -> Vec<String> {
        rows(out).iter().map(|row| names.iter().map(|name| row[*name].as_str()).collect::<Vec<_>>().join(" ")).collect()
    };
    let names =
        ["max_num_seqs", "enable_prefix_caching", "port", "_benchmark_name", "request_rate", "max_concurrency", "seed"];
    let expect = [
        "4 false  slow 2 4 1",
        "4 false  slow 2 4 2",
        "4 false  all  8 1",
        "4 false  all  8 2",
        "8  8001 slow 2 4 1",
        "8  8001 slow 2 4 2",
        "8  8001 all  8 1",
        "8  8001 all  8 2",
    ];
    assert_eq!(pick(&out, &names), expect);
    let out = folder.join("linked");
    done(&sweep(&out, &[&files[..], &["--link-vars", "max_num_seqs=max_concurrency"]].concat()));
    assert_eq!(pick(&out, &["max_num_seqs", "_benchmark_name"]), ["4 slow", "8 all"]);
    let out = folder.join("zipped");
    done(&sweep(&out, &["--zip", "max-num-seqs=4,8", "seed=1,2", "--grid", "request-rate=1..3/2"]));
    assert_eq!(pick(&out, &["max_num_seqs", "seed", "request_rate"]), ["4 1 1", "4 1 3", "8 2 1", "8 2 3"]);
}

#[test]
fn models_gpus_and_what_is_left_alone_are_those_of_simulate() {
    let folder = scratch("models");
    done(&sweep(
        &folder,
        &["--grid", "gpu=default,b200-sxm,t4", "tensor-parallel-size=default,2", "max-num-seqs=default,8"],
    ));
    let rows = rows(&folder);
    assert_eq!(rows.len(), 12);
    for row in &rows {
        let file = folder.join("run.json");
        let save = ["simulate", "--quiet", "--save-result", "--result-filename", file.to_str().expect("UTF-8")];
        let given: Vec<String> = ["gpu", "tensor_parallel_size", "max_num_seqs"]
            .iter()
            .filter(|name| !row[**name].is_empty())
            .map(|name| format!("--{name}={}", row[*name]))
            .collect();
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let output = profiler(&[&save[..], &WORKLOAD, &given].concat());
        if row["error"].is_empty() {
            done(&output);
            let result: Value = serde_json::from_slice(&fs::read(file).expect("a file")).expect("JSON");
            assert_eq!(Some(row["digest"].as_str()), result["simulation"]["digest"].as_str(), "{given:?}");
        } else {
            let told = text(&output.stderr);
            assert!(told.contains(row["error"].trim_matches('"')), "{given:?}: {told}\n{}", row["error"]);
        }
    }
    let digests: std::collections::BTreeSet<&String> = rows.iter().map(|row| &row["digest"]).collect();
    assert!(digests.len() > 6, "{digests:?}");
}

#[track_caller]
fn check_refused(folder: &Path, arguments: &[&str], expect: &str) {
    let output = sweep(folder, arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(
        stderr.contains(expect) && !stderr.contains("panicked"),
        "{arguments:?} says\n{stderr}\nwithout {expect:?}"
    );
}

#[test]
fn what_is_no_grid_is_refused_before_anything_runs() {
    let folder = scratch("refused");
    let check = |arguments: &[&str], expect: &str| check_refused(&folder, arguments, expect);
    check(&["--grid", "max-num-sqs=1,2"], "--max-num-sqs: vLLM 0.33.0 has no such flag");
    check(&["--grid", "max-num-seqs=1,many"], "--grid max-num-seqs=1,many: --max-num-seqs \"many\": not an integer");
    check(&["--grid", "max-num-seqs"], "write FLAG=VALUES");
    check(&["--grid", "no-async-scheduling=true"], "write async-scheduling=true,false");
    check(
        &["--grid", "seed=1..1000", "max-num-seqs=1..1000", "request-rate=1..1000"],
        "the grid has 1000000000 points (1000 seed × ",
    );
    check(&["--grid", "seed=1..1000000000"], "has 1000000000 values, and a sweep has at most 1000000 points");
    check(&["--grid", "seed=1,2", "--grid", "seed=3"], "seed varies twice");
    check(&["--zip", "seed=1,2", "request-rate=1,2,3"], "there are 2 seed, 3 request-rate");
    check(&[], "nothing varies");
    check(&["--grid", "lora-modules=a"], "--lora-modules is not simulated");
    check(&["--grid", "gpu=x,y"], "--gpu \"x\" is not known");
    check(&["--grid", "seed=1", "--profile", "no.json"], "no.json cannot be opened");
    check(&["--grid", "seed=1", "--bench-params", "no.json"], "no.json cannot be opened");
    check(&["--grid", "seed=1", "--shards", "2"], "--shard <I>");
    check(&["--grid", "seed=1", "--shards", "2", "--shard", "2"], "shards are numbered from 0 to 1");
    assert!(!folder.exists(), "nothing is left behind");
    let output = profiler(&["sweep", "merge", "no-such-folder"]);
    assert!(text(&output.stderr).contains("no sweep was begun here"), "{}", text(&output.stderr));
}

#[test]
fn a_folder_is_of_one_sweep() {
    let folder = scratch("one-sweep");
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");
    let own = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sweep-profile.json");
    fs::copy(&profile, &own).expect("copied");
    let with_profile = ["--grid", "seed=1,2", "--profile", own.to_str().expect("UTF-8")];
    done(&sweep(&folder, &with_profile));
    check_refused(
        &folder,
        &["--grid", "seed=1,3", "--profile", own.to_str().expect("UTF-8")],
        "values of 2 seed are others",
    );
    check_refused(
        &folder,
        &["--grid", "seed=1,2,3", "--profile", own.to_str().expect("UTF-8")],
        "the grid was 2 seed, and is 3 seed",
    );
    check_refused(&folder, &[&with_profile[..], &["--max-num-seqs", "3"]].concat(), "flags were ");
    let mut changed: Value = serde_json::from_slice(&fs::read(&profile).expect("a file")).expect("JSON");
    changed["front_end"]["request_latency"]["per_request"]["time_us"] = Value::from(1234.5);
    fs::write(&own, changed.to_string()).expect("writable");
    check_refused(&folder, &with_profile, "another profile sweep-profile was used");
}

#[test]
fn a_merge_takes_nothing_that_is_not_the_plans() {
    let folder = scratch("merge");
    done(&sweep(&folder, &["--grid", "seed=1..3"]));
    let part = |number: u32| folder.join("parts").join(format!("part-{number:05}.json"));
    let merge = |expect: &str| {
        let output = profiler(&["sweep", "merge", folder.to_str().expect("UTF-8")]);
        assert!(!output.status.success() && text(&output.stderr).contains(expect), "{}", text(&output.stderr));
    };
    let first = fs::read(part(0)).expect("a part");
    let whole = tables(&folder);
    fs::copy(part(1), part(0)).expect("copied");
    merge("part-00000.json: it has 1 points from 1, where 1 from 0 belong");
    fs::write(part(0), &first[..first.len() / 2]).expect("writable");
    merge("part-00000.json");
    let other = text(&first).replacen("{\"plan\":\"", "{\"plan\":\"0", 1);
    fs::write(part(0), other).expect("writable");
    merge("it is of another plan");
    // What is not the plan's is made again.
    let told = done(&sweep(&folder, &["--grid", "seed=1..3"]));
    assert!(told.contains("2 of 3 parts were there"), "{told}");
    assert_eq!(tables(&folder), whole);
    fs::copy(part(0), part(3)).expect("copied");
    merge("part-00003.json is no part of this sweep");
}
