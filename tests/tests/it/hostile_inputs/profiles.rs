//! Profiles with one thing broken each: the shipped one, changed.

use serde_json::{Map, Value, json};
use sim_core::profile::Profile;

use super::check_text;
use crate::profile_fixture::{changed, h100_bytes};

#[track_caller]
pub(super) fn check(name: &str, file: &[u8]) {
    let error = Profile::from_json(file).expect_err("must be refused");
    check_text(&format!("profile_{name}"), &error);
}

/// The shipped profile after `edit`.
fn edited(edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut root = serde_json::from_slice(&h100_bytes()).expect("JSON");
    edit(&mut root);
    serde_json::to_vec(&root).expect("JSON")
}

fn object<'a>(root: &'a mut Value, pointer: &str) -> &'a mut Map<String, Value> {
    root.pointer_mut(pointer).and_then(Value::as_object_mut).unwrap_or_else(|| panic!("no object {pointer}"))
}

fn without(pointer: &str, field: &str) -> Vec<u8> {
    edited(|root| assert!(object(root, pointer).remove(field).is_some(), "no {field}"))
}

fn with(pointer: &str, field: &str, value: Value) -> Vec<u8> {
    edited(|root| assert!(object(root, pointer).insert(field.to_owned(), value).is_none(), "{field} is there"))
}

/// The shipped profile's text with `from`, which it holds, replaced by what JSON may not hold.
fn replaced(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(h100_bytes()).expect("text");
    assert!(text.contains(from), "no {from}");
    text.replacen(from, to, 1).into_bytes()
}

const TIMES: &str = "/step_time/decode_attention/time_us";

#[test]
fn a_file_that_is_no_profile_is_refused() {
    check("empty_file", b"");
    check("white_space", b" \n\n\t");
    check("empty_object", b"{}");
    check("array", b"[{\"version\": 1}]");
    check("number", b"1");
    check("html", b"<!DOCTYPE html>\n<html>404</html>");
    check("csv", b"TIMESTAMP,ContextTokens,GeneratedTokens\n");
    check("binary", &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    check("not_utf8", b"{\"version\": 2, \"model\": \"M\xe4dchen\"}");
    check("byte_order_mark", &[b"\xef\xbb\xbf", h100_bytes().as_slice()].concat());
    check("truncated", &h100_bytes()[..3000]);
    check("trailing_comma", &replaced("\"version\": 3,", "\"version\": 3,,"));
    check("two_documents", &h100_bytes().repeat(2));
    check("17_mib", &vec![b' '; 17 << 20]);
    check("deep_nesting", "[".repeat(1 << 20).as_bytes());
    check("deep_nesting_inside", &replaced("\"mixed_batch\": null", &format!("\"mixed_batch\": {}", "[".repeat(200))));
}

#[test]
fn a_version_that_cannot_be_read_is_refused() {
    check("missing_version", &without("", "version"));
    check("version_99", &changed("/version", json!(99)));
    check("version_as_text", &changed("/version", json!("1")));
    check("version_negative", &changed("/version", json!(-1)));
    check("version_with_fraction", &changed("/version", json!(1.5)));
    check("version_null", &changed("/version", json!(null)));
    check("version_0_without_costs", &changed("/version", json!(0)));
}

#[test]
fn a_field_of_the_wrong_shape_is_refused() {
    check("missing_field", &without("/model", "head_dim"));
    check("missing_section", &without("", "host"));
    check("unknown_field", &with("/engine", "max_num_sequences", json!(3)));
    check("unknown_section", &with("", "comment", json!("mine")));
    check("unknown_kind", &changed("/provenance/kind", json!("guessed")));
    check("field_twice", &replaced("\"head_dim\": 128", "\"head_dim\": 128, \"head_dim\": \"x\""));
    check("text_for_number", &changed("/engine/block_size", json!("16")));
    check("fraction_for_count", &changed("/engine/block_size", json!(16.5)));
    check("negative_count", &changed("/model/num_hidden_layers", json!(-32)));
    check("count_too_large_to_read", &changed("/model/vocab_size", json!(1_u64 << 40)));
    check("number_for_text", &changed("/model/name", json!(8)));
    check("text_for_switch", &changed("/engine/enforce_eager", json!("no")));
    check("object_for_table", &changed(TIMES, json!({"0": [1.0]})));
    check("flat_table", &changed(TIMES, json!([1.0, 2.0])));
    check("null_in_curve", &changed("/step_time/head/time_us/3", json!(null)));
    check("text_for_section", &changed("/host", json!("fast")));
}

#[test]
fn a_time_that_no_device_takes_is_refused() {
    check("negative_time", &changed("/step_time/decode_attention/time_us/3/2", json!(-4.0)));
    check("zero_time", &changed("/step_time/head/time_us/0", json!(0.0)));
    check("nan_as_text", &changed("/step_time/head/time_us/0", json!("NaN")));
    check("nan_literal", &replaced("\"time_us\": [5377.9", "\"time_us\": [NaN"));
    check("infinity_literal", &replaced("\"time_us\": [5377.9", "\"time_us\": [Infinity"));
    check("number_out_of_range", &replaced("\"time_us\": [5377.9", "\"time_us\": [1e999"));
    check("huge_time", &changed("/step_time/head/time_us/9", json!(1e300)));
    check("negative_host_cost", &changed("/host/schedule/per_pass/time_us", json!(-1.0)));
}

#[test]
fn a_table_of_the_wrong_shape_is_refused() {
    let axis = "/step_time/head/num_seqs";
    check("unsorted_axis", &changed(axis, json!([1, 2, 8, 4, 16, 32, 64, 128, 256, 512])));
    check("duplicate_axis_point", &changed("/step_time/head/num_seqs/2", json!(2)));
    check("axis_from_0", &changed("/step_time/head/num_seqs/0", json!(0)));
    check("axis_beyond_limit", &changed("/step_time/head/num_seqs/9", json!(4_000_000_000_u32)));
    check("empty_axis", &changed(axis, json!([])));
    check(
        "one_point_axis",
        &edited(|root| {
            root["step_time"]["head"]["num_seqs"] = json!([1]);
            root["step_time"]["head"]["time_us"] = json!([100.0]);
        }),
    );
    check(
        "axis_too_long",
        &edited(|root| {
            root["step_time"]["head"]["num_seqs"] = (1..=4097).collect();
            root["step_time"]["head"]["time_us"] = (1..=4097).map(f64::from).collect();
        }),
    );
    check(
        "ragged_table",
        &edited(|root| {
            root["step_time"]["decode_attention"]["time_us"][9].as_array_mut().expect("a row").pop();
        }),
    );
    check(
        "row_missing",
        &edited(|root| {
            root["step_time"]["decode_attention"]["time_us"].as_array_mut().expect("rows").pop();
        }),
    );
    check("null_in_the_middle", &changed("/step_time/prefill_attention/time_us/10/6", json!(null)));
    check(
        "row_of_nulls",
        &changed("/step_time/prefill_attention/time_us/10", json!([null, null, null, null, null, null, null, null])),
    );
    check("falls_along_a_row", &changed("/step_time/decode_attention/time_us/0/11", json!(1.0)));
    check("falls_down_a_column", &changed("/step_time/decode_attention/time_us/9/0", json!(1.0)));
    check("sample_counts_of_another_table", &changed("/step_time/head/num_samples", json!([1, 2, 3])));
}

#[test]
fn a_value_that_no_engine_has_is_refused() {
    check("zero_block_size", &changed("/engine/block_size", json!(0)));
    check("utilization_above_1", &changed("/engine/gpu_memory_utilization", json!(92)));
    check("no_memory", &changed("/hardware/total_memory/bytes", json!(0)));
    check("more_memory_than_exists", &changed("/memory/weights/bytes", json!(u64::MAX)));
    check("devices_disagree", &changed("/engine/tensor_parallel_size", json!(8)));
    check("impossible_date", &changed("/provenance/date", json!("24.11.2026")));
    check("no_source", &changed("/provenance/sources", json!([])));
    check("unnamed_model", &changed("/model/name", json!(" ")));
    check("estimate_without_reason", &changed("/host/update/per_pass/reason", json!("")));
    check("compute_capability", &changed("/hardware/compute_capability", json!("Hopper")));
    check(
        "several_faults",
        &edited(|root| {
            root["engine"]["block_size"] = json!(0);
            root["model"]["head_dim"] = json!(0);
            root["step_time"]["head"]["time_us"][1] = json!(-1.0);
            root["memory"]["kv_cache_per_token"]["bytes"] = json!(0);
        }),
    );
}
