//! The number of KV blocks follows a run's own limits where a profile says how its memory does.

use serde_json::{Value, json};
use sim_core::config::{EngineArgs, UsageContext};
use sim_core::profile::Profile;
use sim_core::profile::schema::{Basis, LimitTerms};

use crate::profile_fixture::{h100, h100_bytes};

const MIB: u64 = 1 << 20;

/// The frozen profile with these terms.
fn with_terms(terms: Value) -> Result<Profile, String> {
    let mut root: Value = serde_json::from_slice(&h100_bytes()).expect("JSON");
    root["memory"]["limit_terms"] = terms;
    Profile::from_json(&serde_json::to_vec(&root).expect("JSON")).map_err(|refused| refused.to_string())
}

fn terms() -> Value {
    json!({
        "layer_bytes_per_token": 100 * 1024,
        "sampling_bytes_per_seq": MIB,
        "residual_bytes_per_token": 10 * 1024,
        "encoder_bytes": 0,
        "workspace_bytes_per_token": 1024,
        "fixed_bytes": MIB,
        "graph_bytes_per_capture_size": MIB,
        "basis": "estimate",
        "reason": "For a test.",
    })
}

fn blocks(profile: &Profile, max_num_seqs: i64, max_num_batched_tokens: i64) -> u64 {
    let args = EngineArgs {
        max_num_seqs: Some(max_num_seqs),
        max_num_batched_tokens: Some(max_num_batched_tokens),
        ..EngineArgs::default()
    };
    let platform = profile.platform(UsageContext::OpenAiApiServer, &args).expect("a platform");
    u64::from(args.resolve(&platform).expect("an engine").config.num_gpu_blocks)
}

/// Blocks of so many more bytes, give or take the one that is cut.
#[track_caller]
fn check_more(more: u64, fewer: u64, bytes: u64) {
    let block = 16 * h100().memory.kv_cache_per_token.bytes;
    let expect = bytes / block;
    assert!((more - fewer).abs_diff(expect) <= 1, "{more} and {fewer} blocks; {expect} more were to be");
}

#[test]
fn fewer_requests_and_tokens_leave_more_blocks() {
    let profile = with_terms(terms()).expect("a profile");
    let of = |seqs, tokens| blocks(&profile, seqs, tokens);
    // Sampling decides: 1 MiB a request. Up to 512 tokens are captured, so both have the same graphs.
    check_more(of(1024, 4096), of(2048, 4096), 1024 * MIB);
    // A layer decides: 101 KiB a token.
    check_more(of(256, 8192), of(256, 16384), 8192 * 101 * 1024);
    // 8 requests have the sizes 1, 2, 4, 8 and 16, 256 have 51.
    check_more(of(8, 8192), of(256, 8192), 46 * MIB);
}

#[test]
fn an_engine_without_graphs_sets_none_aside() {
    let mut profile = with_terms(terms()).expect("a profile");
    let with_graphs = blocks(&profile, 256, 8192);
    profile.engine.enforce_eager = true;
    check_more(blocks(&profile, 256, 8192), with_graphs, 51 * MIB);
}

#[test]
fn a_profile_without_terms_has_its_own_amounts_whatever_the_limits() {
    let profile = h100();
    assert_eq!(profile.memory.limit_terms, None);
    assert_eq!(blocks(&profile, 8, 2048), blocks(&profile, 1024, 8192));
    assert!(!profile.to_json().expect("text").contains("limit_terms"), "the file is as it was");
    assert_eq!(with_terms(Value::Null), Ok(profile));
}

#[test]
fn terms_are_written_as_they_are_read() {
    let profile = with_terms(terms()).expect("a profile");
    let again = Profile::from_json(profile.to_json().expect("text").as_bytes()).expect("a profile");
    assert_eq!(again, profile);
    let read = profile.memory.limit_terms.expect("terms");
    assert_eq!(LimitTerms::new(&read.terms(), Basis::Estimate, read.reason.clone()), read);
}

#[test]
fn terms_that_nobody_accounts_for_are_refused() {
    let mut silent = terms();
    silent["reason"] = json!(" ");
    assert!(with_terms(silent).expect_err("refused").contains("$.memory.limit_terms.reason: must not be empty"));
    let mut short = terms();
    short.as_object_mut().expect("terms").remove("fixed_bytes");
    assert!(with_terms(short).expect_err("refused").contains("$.memory.limit_terms: missing field `fixed_bytes`"));
    let mut huge = terms();
    huge["fixed_bytes"] = json!(u64::MAX);
    assert!(with_terms(huge).expect_err("refused").contains("$.memory.limit_terms.fixed_bytes"));
}
