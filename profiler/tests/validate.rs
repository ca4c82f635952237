//! `profiler validate` as a process, on the gallery and on broken profiles.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const GALLERY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../www/profiles");

/// Runs in `folder`, so that what is printed holds no path of this machine.
fn validate(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_profiler"));
    command.current_dir(folder).arg("validate").args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn gallery() -> Vec<String> {
    let entries = fs::read_dir(GALLERY).expect("the gallery").map(|entry| entry.expect("an entry").file_name());
    let names = entries.map(|name| name.to_str().expect("UTF-8").to_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".json") && name != "index.json").collect();
    names.sort();
    names
}

/// A profile of the gallery with `change` made to it, in a folder of its own.
fn changed(name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("validate").join(name);
    fs::create_dir_all(&folder).expect("a folder");
    let file = fs::read(Path::new(GALLERY).join("amd-epyc-2-cores_llama-30m_bf16.json")).expect("a profile");
    let mut profile: Value = serde_json::from_slice(&file).expect("JSON");
    change(&mut profile);
    fs::write(folder.join("profile.json"), profile.to_string()).expect("written");
    folder
}

#[test]
fn every_profile_of_the_gallery_is_valid_and_says_what_it_cannot_answer() {
    for name in gallery() {
        let output = validate(Path::new(GALLERY), &[&name, "--json"]);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        let examination: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(examination["file"], name.as_str());
        assert_eq!(examination["coverage"].as_array().map(Vec::len), Some(6), "{name}");
        assert!(examination["cannot_answer"].as_array().is_some_and(|gaps| gaps.len() >= 3), "{name}");
    }
}

#[test]
fn a_measured_and_a_derived_profile_are_told_like_this() {
    let (measured, derived) = ("amd-epyc-2-cores_llama-30m_bf16.json", "h100-sxm_llama-3.1-8b_bf16_tp1.json");
    for name in [measured, derived] {
        let output = validate(Path::new(GALLERY), &[name]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        insta::assert_snapshot!(name.trim_end_matches(".json"), text(&output.stdout));
    }
}

#[test]
fn a_file_that_is_no_profile_fails_and_the_others_are_still_told() {
    let folder = changed("no_profile", |profile| profile["step_time"]["head"]["time_us"][0] = Value::from(1e6));
    fs::copy(Path::new(GALLERY).join("amd-epyc-2-cores_llama-30m_bf16.json"), folder.join("good.json"))
        .expect("copied");
    let output = validate(&folder, &["profile.json", "good.json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("$.step_time.head.time_us[1]"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("good.json: a valid profile"), "{}", text(&output.stdout));
    let output = validate(&folder, &["absent.json"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

/// What `--strict` finds after `change`, and its exit code.
#[track_caller]
fn check_strict(name: &str, change: impl FnOnce(&mut Value), expect: Option<&str>) {
    let folder = changed(name, change);
    let before = validate(&folder, &["profile.json"]);
    assert!(before.status.success(), "{name}: a valid profile: {}", text(&before.stderr));
    let output = validate(&folder, &["profile.json", "--strict", "--json"]);
    let examination: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let beyond = examination["beyond_limits"].to_string();
    match expect {
        Some(expect) => {
            assert!(beyond.contains(expect), "{name}: {beyond}");
            assert_eq!(output.status.code(), Some(1), "{name}: {beyond}");
        }
        None => assert!(output.status.success() && beyond == "[]", "{name}: {beyond}"),
    }
}

#[test]
fn strict_fails_for_what_is_beyond_a_limit_and_names_it() {
    // A profile within every limit: what is thin in the real one is made thick.
    let mend = |profile: &mut Value| {
        for table in ["non_attention", "head", "decode_attention", "prefill_attention"] {
            profile["step_time"][table]["num_samples"] = Value::Null;
            profile["step_time"][table]["spread_us"] = Value::Null;
        }
        profile["smoothing"] = Value::Array(vec![]);
        profile["validation"] = serde_json::json!({"steps": [], "runs": []});
    };
    check_strict("within", mend, None);
    let with = |change: fn(&mut Value)| {
        move |profile: &mut Value| {
            mend(profile);
            change(profile);
        }
    };
    let requests = with(|profile| profile["engine"]["max_num_seqs"] = Value::from(4096));
    check_strict("requests", requests, Some("decode_attention ends at num_seqs"));
    let smoothing = with(|profile| {
        profile["smoothing"] = serde_json::json!([{"table": "head", "method": "m", "num_changed": 9,
            "max_relative_change": 0.5, "mean_relative_change": 0.06}]);
    });
    check_strict("smoothing", smoothing, Some("head: changed by 6.0 % on average"));
    let run = |metric: &str, predicted: f64| serde_json::json!({"workload": "w", "metric": metric, "measured": 100.0, "predicted": predicted});
    let tpot = move |profile: &mut Value| {
        mend(profile);
        profile["validation"]["runs"] = Value::Array(vec![run("mean_tpot_ms", 104.0), run("mean_ttft_ms", 109.0)]);
    };
    check_strict("tpot", tpot, Some("mean_tpot_ms is off by 4.0 %"));
    let steps = with(|profile| {
        profile["validation"]["steps"] = serde_json::json!([{"prefill_chunks": [], "num_decodes": 1,
            "decode_context_tokens": 9, "measured_us": 100.0, "predicted_us": 92.0}]);
    });
    check_strict("steps", steps, Some("held-out passes: middling error 8.0 %"));
}

#[test]
fn a_pack_is_told_as_a_pack_and_a_broken_one_with_its_faults() {
    let packs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../www/packs"));
    let output = validate(packs, &["a100-sxm.json", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let examination: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(examination["gpu"][0], "a100-sxm");
    assert!(examination["models"].as_array().is_some_and(|models| models.len() >= 5), "{examination}");
    let output = validate(packs, &["a100-sxm.json"]);
    assert!(text(&output.stdout).starts_with("a100-sxm.json: a valid operator pack"), "{}", text(&output.stdout));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("validate-pack");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("pack.json"), "{\"pack_version\": 1}").expect("written");
    let output = validate(&folder, &["pack.json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).starts_with("pack.json: "), "{}", text(&output.stderr));
}
