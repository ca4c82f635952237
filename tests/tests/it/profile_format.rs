//! The profile file: every shipped one and every old version loads, and every fault is named with its place.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use sim_core::profile::{Profile, ProfileError, StepTimeModel, StepTimeSettings};
use sim_core::time::SimDuration;

use crate::profile_fixture::{batch, changed, file, h100, h100_bytes, unpadded, v0};

#[track_caller]
fn check_refused(bytes: &[u8], expect: &str) {
    let error = Profile::from_json(bytes).expect_err("must be refused").to_string();
    assert_eq!(error, expect, "the message says where and what");
}

#[test]
fn every_shipped_profile_is_valid_and_laid_out_as_the_profiler_writes_it() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../www/profiles");
    let mut num_profiles = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Builds of the page put what is sent compressed beside it.
        let is_built = path.extension().is_some_and(|extension| extension == "gz" || extension == "br");
        if is_built || path.file_name().is_some_and(|name| name == "index.json") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let profile = Profile::from_json(text.as_bytes()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(profile.to_json().unwrap(), text, "{}", path.display());
        assert!(text.len() < 60_000, "{} is too long to read", path.display());
        let model = StepTimeModel::new(&profile, &StepTimeSettings::vllm_default(&profile, 256, 8192)).unwrap();
        assert!(model.predict(&batch([(1, 1023)])).duration > SimDuration::ZERO);
        num_profiles += 1;
    }
    assert!(num_profiles >= 1, "no profile is shipped");
}

#[test]
fn version_0_is_upgraded_and_its_one_host_cost_comes_before_the_pass() {
    let profile = v0();
    assert_eq!(profile.version, Profile::VERSION);
    let again = Profile::from_json(profile.to_json().unwrap().as_bytes()).unwrap();
    assert_eq!(again, profile);
    let model = unpadded(&profile);
    assert_eq!(model.host().schedule_time(10), SimDuration::from_nanos(1_000_000));
    assert_eq!(model.host().update_time(10), SimDuration::ZERO);
    assert_eq!(model.host().request_latency(1000), SimDuration::ZERO);
    assert!(profile.provenance.notes.iter().any(|note| note.contains("format version 0")));
}

#[test]
fn version_1_is_upgraded_and_has_no_time_between_passes() {
    let profile = Profile::from_json(&file("data/profiles/v1.json")).unwrap();
    assert_eq!(profile, h100());
    let between = [&profile.host.between_passes.per_pass, &profile.host.between_passes.per_request];
    for cost in between {
        assert!(cost.time_us.to_bits() == 0 && cost.reason.contains("Format version 1"), "{cost:?}");
    }
}

#[test]
fn version_2_is_upgraded_and_has_layers_of_one_kind_and_no_drafter() {
    let profile = Profile::from_json(&file("data/profiles/v2.json")).unwrap();
    assert_eq!(profile, h100());
    let [layers] = &profile.memory.kv_cache_layers[..] else { panic!("{:?}", profile.memory.kv_cache_layers) };
    assert_eq!((layers.num_layers, layers.num_kv_heads, layers.head_size, layers.bytes), (32, 8, 128, 4096));
    assert!(profile.drafters.is_empty());
}

#[test]
fn time_between_passes_keeps_tokens_and_the_next_pass_waiting() {
    let (plain, mut profile) = (v0(), v0());
    profile.host.between_passes.per_pass.time_us = 700.0;
    profile.host.between_passes.per_request.time_us = 3.0;
    let [plain, slow] = [&plain, &profile].map(unpadded);
    assert_eq!(slow.host().time_between_passes(10), SimDuration::from_nanos(730_000));
    assert_eq!(plain.host().time_between_passes(10), SimDuration::ZERO);
    // A pass itself takes as long as its tables say.
    assert_eq!(slow.predict(&batch([(1, 1023)])), plain.predict(&batch([(1, 1023)])));
}

#[test]
fn version_0_without_its_host_cost_is_refused_with_the_path() {
    let mut root: Value = serde_json::from_slice(&file("data/profiles/v0.json")).unwrap();
    root["host"] = json!({"per_pass_us": 900.0});
    check_refused(
        &serde_json::to_vec(&root).unwrap(),
        "the profile has format version 0 and cannot be upgraded: $.host.per_request_us: missing or not a number",
    );
}

#[test]
fn a_file_of_no_version_or_a_newer_one_is_refused_with_advice() {
    let no_version = "$.version: missing or not a whole number of at least 0; a profile is a JSON object with \"version\": 3 \
                      (is this another kind of file?)";
    check_refused(b"{}", no_version);
    check_refused(b"[1]", no_version);
    check_refused(br#"{"version": "1"}"#, no_version);
    check_refused(
        br#"{"version": 7}"#,
        "$.version: 7 is newer than 3, the newest this program reads; update the program, or write the profile with an \
         older profiler",
    );
    check_refused(b"{", "the profile is not JSON: the text ends within an object at line 1 column 1");
    check_refused(
        &vec![b' '; Profile::MAX_BYTES + 1],
        "the profile has 16777217 bytes; the limit is 16777216 (is this another kind of file?)",
    );
}

#[test]
fn a_wrong_type_or_name_is_refused_with_its_path() {
    check_refused(
        &changed("/step_time/decode_attention/time_us/3/2", json!("fast")),
        "$.step_time.decode_attention.time_us[3][2]: found string \"fast\"; it must be a number",
    );
    check_refused(
        &changed("/front_end/output_latency", json!({"per_pass": {"time_us": 1.0, "basis": "guess", "reason": "-"}})),
        "$.front_end.output_latency.per_pass.basis: unknown variant `guess`, expected one of `measured`, `derived`, \
         `estimate`",
    );
    check_refused(
        &changed("/validation", json!({"steps": [], "runs": [], "walks": []})),
        "$.validation.walks: unknown field `walks`, expected `steps` or `runs`",
    );
    // Unknown must be said, not left out.
    check_refused(
        &changed("/step_time/head", json!({"num_seqs": [1, 2], "time_us": [1.0, 2.0], "num_samples": null})),
        "$.step_time.head: missing field `spread_us`",
    );
}

#[test]
fn every_fault_is_listed_with_its_path() {
    let mut root: Value = serde_json::from_slice(&h100_bytes()).unwrap();
    root["provenance"]["date"] = json!("2026-13-01");
    root["hardware"]["num_devices"] = json!(2);
    root["step_time"]["non_attention"]["num_tokens"][2] = json!(2);
    root["step_time"]["head"]["num_samples"] = json!([1, 2]);
    root["step_time"]["decode_attention"]["time_us"][3][2] = json!(-4.0);
    root["step_time"]["prefill_attention"]["time_us"][0][3] = json!(null);
    root["host"]["update"]["per_pass"]["reason"] = json!("");
    let error = Profile::from_json(&serde_json::to_vec(&root).unwrap()).expect_err("must be refused");
    let ProfileError::Values(faults) = &error else { panic!("{error}") };
    let got: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let time = "$.step_time.decode_attention.time_us";
    let prefill = "$.step_time.prefill_attention.time_us";
    let expect = [
        "$.provenance.date: \"2026-13-01\" must be YYYY-MM-DD".to_string(),
        "$.hardware.num_devices: 2 must be tensor_parallel_size × pipeline_parallel_size, 1".to_string(),
        "$.step_time.non_attention.num_tokens[2]: 2 must be from 3 to 67108864: an axis grows from point to point"
            .into(),
        "$.step_time.head.num_samples: 2 entries; num_seqs has 10 points".to_string(),
        format!("{time}[3][2]: -4.0 must be above 0 and at most 1000000000.0 microseconds"),
        format!("{time}[3][2]: -4.0 must be at least 398.2, the time before along context_tokens: smooth the table"),
        format!("{time}[3][2]: -4.0 must be at least 404.63, the time before along num_seqs: smooth the table"),
        format!("{prefill}[0][4]: stands after a null; only the end of a row may be null"),
        format!("{prefill}[0][5]: stands after a null; only the end of a row may be null"),
        format!("{prefill}[0][6]: stands after a null; only the end of a row may be null"),
        format!("{prefill}[0][7]: stands after a null; only the end of a row may be null"),
        format!("{prefill}[1]: 8 values before the first null; must be at least 2 and no more than in the row above"),
        "$.host.update.per_pass.reason: must say why, as nobody measured it".to_string(),
    ];
    assert_eq!(got, expect);
    assert!(error.to_string().starts_with("the profile has 13 faults\n  $.provenance.date"));
}
