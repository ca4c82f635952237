//! `profiler simulate --range`: how far figures may be off, as a process prints and saves it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use serde_json::Value;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

fn profiler(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_profiler")).args(arguments).output().expect("the program starts")
}

/// A short run.
fn simulate(arguments: &[&str]) -> Output {
    profiler(&[&["simulate", "--quiet", "--num-prompts", "20"], arguments].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A file of this test's own in the build folder.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A figure's own value, its least and its most, of the lines that `--range` adds.
fn ranged(stdout: &str, name: &str) -> [f64; 3] {
    let (_, lines) = stdout.split_once("With passes that take 0.91 to 1.21 times as long").expect("the range");
    let line = lines.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}: {lines}"));
    let numbers: Vec<f64> = line.split([' ', '–']).filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|numbers| panic!("{numbers:?} in {line}"))
}

#[test]
fn a_range_is_added_to_what_is_printed_and_saved_and_only_when_asked() {
    let path = scratch("range.json");
    let save = ["--save-result", "--result-filename", path.to_str().expect("UTF-8")];
    let plain = text(&simulate(&save).stdout);
    let result = || -> Value { serde_json::from_str(&read(&path)).expect("JSON") };
    assert_eq!(result()["simulation"].get("range"), None, "nobody asked");
    let output = simulate(&[&save[..], &["--range"]].concat());
    let (stdout, result) = (text(&output.stdout), result());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(stdout.starts_with(&plain), "vLLM's table is the same:\n{stdout}");
    let range = &result["simulation"]["range"];
    assert_eq!((&range["low_factor"], &range["high_factor"]), (&0.91.into(), &1.21.into()));
    assert!(range["why"].as_str().is_some_and(|why| why.starts_with("Composed of single operators' times")), "{range}");
    for (key, name) in [
        ("mean_ttft_ms", "Mean TTFT (ms):"),
        ("p99_tpot_ms", "P99 TPOT (ms):"),
        ("duration", "Benchmark duration (s):"),
    ] {
        let [own, least, most] = ranged(&stdout, name);
        assert!(least < own && own < most, "{name} {least} < {own} < {most}");
        let saved = [&result[key], &range["figures"][key][0], &range["figures"][key][1]];
        for (printed, saved) in [own, least, most].into_iter().zip(saved) {
            assert!((printed - saved.as_f64().expect("a number")).abs() <= 0.005, "{name} {printed}, saved {saved}");
        }
    }
}

#[test]
fn draws_of_the_noise_are_in_the_range_and_it_says_so() {
    let noisy = text(&simulate(&["--range", "--pass-noise", "0.3,0.9"]).stdout);
    assert!(noisy.contains("times as long, and 3 draws of the noise at each end:"), "{noisy}");
    let width = |[_, least, most]: [f64; 3]| most - least;
    let plain = text(&simulate(&["--range"]).stdout);
    let [noisy, plain] = [noisy, plain].map(|stdout| width(ranged(&stdout, "P99 ITL (ms):")));
    assert!(noisy > plain, "{noisy} ms, without noise {plain} ms");
}

#[test]
fn an_estimate_has_its_range_unless_it_is_not_wanted() {
    let unmeasured = ["--model", "Qwen/Qwen3-8B", "--gpu", "rtx-4090", "--max-model-len", "8192"];
    let told = |flag: &[&str]| {
        let output = profiler(&[&["simulate", "--num-prompts", "20"], &unmeasured[..], flag].concat());
        text(&output.stdout)
    };
    for (flag, has_range) in [(&[][..], true), (&["--no-range"][..], false), (&["--no-range", "--range"][..], true)] {
        let said = told(flag);
        assert!(said.contains("Estimated: moved from another GPU's"), "{flag:?}: {said}");
        assert_eq!(said.contains("With passes that take 0.60 to 1.70 times as long:"), has_range, "{flag:?}: {said}");
    }
}

#[test]
fn a_profile_that_stands_for_no_device_has_no_range() {
    let path = scratch("synthetic.json");
    let mut profile: Value = serde_json::from_str(&read(Path::new(SHIPPED))).expect("JSON");
    profile["provenance"]["kind"] = "synthetic".into();
    fs::write(&path, profile.to_string()).expect("a file of ours");
    let output = simulate(&["--range", "--profile", path.to_str().expect("UTF-8")]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("--range: a synthetic profile stands for no device, so it has no range"), "{stderr}");
}
