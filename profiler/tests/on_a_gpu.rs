//! `scripts/on-a-gpu.sh` as a process: on a machine without a GPU, and with a program that plays one and is the built
//! `profiler` in all else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PROFILER: &str = env!("CARGO_BIN_EXE_profiler");

/// What the played GPU does.
#[derive(Debug, Clone, Copy, Default)]
struct Played {
    /// Seconds that its check of kernels takes.
    kernels_s: u32,
    /// Whether its kernels are right.
    is_wrong: bool,
    /// Whether it fails in the middle of the operators.
    is_lost: bool,
}

/// A program beside the folder that is the GPU's part of `profiler`: it writes a pack and a profile that ship.
fn player(folder: &TempDir, played: Played) -> PathBuf {
    let Played { kernels_s, is_wrong, is_lost } = played;
    let verdict =
        if is_wrong { "attention  1.312  WRONG" } else { "first choice is 95 % of the best (target 90 %: reached)" };
    let text = format!(
        r#"#!/bin/sh
for word; do [ "$was" = --output ] && file=$word; was=$word; done
case "$*" in
*--check-kernels*) sleep {kernels_s}; echo "{verdict}"; exit {exit_kernels} ;;
*--operators*) [ {is_lost} = true ] && echo "error: the device fell off the bus" && exit 2
    echo "$*" >"$file.words"; cp {SOURCE}/www/packs/a100-sxm.json "$file" ;;
*"--engine cuda"*) echo "$*" >"$file.words"
    cp {SOURCE}/www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json "$file" ;;
*) exec {PROFILER} "$@" ;;
esac
"#,
        exit_kernels = u32::from(is_wrong)
    );
    let path = folder.path().join("player");
    fs::write(&path, text).expect("a program");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it may run");
    path
}

/// The script's end, and the first words of its summary's lines.
fn run(profiler: &Path, out: &Path, limits: &str) -> (Output, Vec<String>) {
    let output = Command::new("bash")
        .arg(format!("{SOURCE}/scripts/on-a-gpu.sh"))
        .arg(out)
        .env("PROFILER", profiler)
        .env("LIMITS", limits)
        // The driver of a machine that has one is not found.
        .env("LD_LIBRARY_PATH", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("bash");
    let summary = fs::read_to_string(out.join("summary.txt")).unwrap_or_default();
    let came = |line: &str| line.get(..25).unwrap_or(line).split_whitespace().collect::<Vec<_>>().join(" ");
    (output, summary.lines().map(came).collect())
}

#[track_caller]
fn check(played: Played, limits: &str, expect: [&str; 7]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let (output, summary) = run(&player(&folder, played), &folder.path().join("out"), limits);
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(summary, expect, "{told}");
    let is_ok = expect.iter().all(|line| line.ends_with(" ok"));
    assert_eq!(output.status.code(), Some(i32::from(!is_ok)), "{told}");
    folder
}

const ALL_OK: [&str; 7] =
    ["kernels ok", "pack ok", "profile ok", "see-pack ok", "see-profile ok", "run ok", "composed ok"];

fn but(name: &str, end: &'static str) -> [&'static str; 7] {
    ALL_OK.map(|line| if line == format!("{name} ok") { end } else { line })
}

#[test]
fn all_that_is_measured_is_left_in_one_folder() {
    let folder = check(Played::default(), "", ALL_OK);
    let out = folder.path().join("out");
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(read("kernels.txt").contains("target 90 %: reached"));
    assert!(read("pack.txt").contains("A100 SXM"), "{}", read("pack.txt"));
    assert!(read("run.txt").contains("Mean TTFT") && read("composed.txt").contains("Mean TTFT"), "{}", read("run.txt"));
    assert!(!read("gpu.txt").is_empty() && !read("profile.txt").is_empty());
    // What the engine is asked for: a load of products, and the budgets, which leave each step time to start.
    let words = read("pack.json.words");
    assert!(words.contains("--load-time 20s") && words.contains("--time-budget 95s"), "{words}");
    assert!(read("profile.json.words").contains("--model meta-llama/Llama-3.1-8B --time-budget 100s"));
}

#[test]
fn a_step_that_fails_or_takes_too_long_stops_no_other() {
    let wrong = Played { is_wrong: true, ..Played::default() };
    check(wrong, "", but("kernels", "kernels failed"));
    let slow = Played { kernels_s: 30, ..Played::default() };
    check(slow, "kernels=1", but("kernels", "kernels out of time"));
    let lost = Played { is_lost: true, ..Played::default() };
    let expect =
        ["kernels ok", "pack failed", "profile ok", "see-pack not run", "see-profile ok", "run ok", "composed not run"];
    let folder = check(lost, "", expect);
    let summary = fs::read_to_string(folder.path().join("out/summary.txt")).expect("a summary");
    assert!(summary.contains("fell off the bus") && summary.contains("there is no pack.json"), "{summary}");
}

#[test]
fn without_a_driver_nothing_is_claimed() {
    if Path::new("/proc/driver/nvidia/version").exists() {
        return;
    }
    let folder = TempDir::new().expect("a folder");
    let (output, summary) = run(Path::new(PROFILER), &folder.path().join("out"), "");
    let expect = [
        "kernels failed",
        "pack failed",
        "profile failed",
        "see-pack not run",
        "see-profile not run",
        "run not run",
        "composed not run",
    ];
    assert_eq!((output.status.code(), summary), (Some(1), expect.map(str::to_owned).to_vec()));
    let told = fs::read_to_string(folder.path().join("out/summary.txt")).expect("a summary");
    assert_eq!(told.matches("libcuda.so").count(), 3, "{told}");
}

#[test]
fn limits_are_of_known_steps() {
    let folder = TempDir::new().expect("a folder");
    let (output, summary) = run(Path::new(PROFILER), &folder.path().join("out"), "kernels=1 everything=1");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), summary.len()), (Some(2), 0));
    assert!(stderr.contains("everything=1 is no step's seconds"), "{stderr}");
}
