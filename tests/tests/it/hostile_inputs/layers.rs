//! Profiles of several kinds of layers and a drafter, with one thing broken each.

use serde_json::{Value, json};
use sim_core::profile::Profile;

use super::profiles::check;
use crate::profile_fixture::layered;

const LAYERS: &str = "/memory/kv_cache_layers";
const WINDOW: &str = "/memory/kv_cache_layers/1";
const SPAN: &str = "/step_time/span_attention/0";
const DRAFTER: &str = "/drafters/0";

/// The profile with the value at a place replaced.
fn with(place: &str, value: Value) -> Vec<u8> {
    let mut root = layered();
    *root.pointer_mut(place).unwrap_or_else(|| panic!("no {place}")) = value;
    serde_json::to_vec(&root).expect("JSON")
}

/// The profile with one element of a list twice.
fn twice(list: &str) -> Vec<u8> {
    let mut root = layered();
    let list = root.pointer_mut(list).and_then(Value::as_array_mut).expect("a list");
    list.push(list[0].clone());
    serde_json::to_vec(&root).expect("JSON")
}

#[test]
fn what_is_broken_below_is_whole_before() {
    let profile = Profile::from_json(&serde_json::to_vec(&layered()).expect("JSON")).expect("a profile");
    assert_eq!((profile.memory.kv_cache_layers.len(), profile.drafters.len()), (2, 1));
}

#[test]
fn layers_that_keep_nothing_possible_are_refused() {
    let check = |name: &str, file: &[u8]| check(&format!("layers_{name}"), file);
    check("none", &with(LAYERS, json!([])));
    check("no_list", &with(LAYERS, json!({})));
    check("null", &with(LAYERS, Value::Null));
    check("none_of_a_kind", &with(&format!("{WINDOW}/num_layers"), json!(0)));
    check("more_than_can_be", &with(&format!("{WINDOW}/num_layers"), json!(u32::MAX)));
    check("no_heads", &with(&format!("{WINDOW}/num_kv_heads"), json!(0)));
    check("no_bytes", &with(&format!("{WINDOW}/bytes"), json!(0)));
    check("absurdly_many_bytes", &with(&format!("{WINDOW}/bytes"), json!(u64::MAX)));
    check("other_bytes_together", &with(&format!("{WINDOW}/bytes"), json!(4097)));
    check("window_of_nothing", &with(&format!("{WINDOW}/span_tokens"), json!(0)));
    check("window_without_length", &with(&format!("{WINDOW}/span_tokens"), Value::Null));
    check("full_attention_with_length", &with(&format!("{LAYERS}/0/span_tokens"), json!(7)));
    check("length_beyond_32_bits", &with(&format!("{WINDOW}/span_tokens"), json!(1_u64 << 32)));
    check("unknown_kind", &with(&format!("{WINDOW}/kind"), json!("slidingwindow")));
    let checkpoint = json!({"alignment": 0, "at_block_ends": false});
    check("checkpoint_at_nothing", &with(&format!("{WINDOW}/prefill_checkpoint"), checkpoint));
}

#[test]
fn tables_of_spans_that_do_not_fit_are_refused() {
    let check = |name: &str, file: &[u8]| check(&format!("span_{name}"), file);
    check("of_nothing", &with(&format!("{SPAN}/num_tokens"), json!(0)));
    check("unknown_kind", &with(&format!("{SPAN}/kind"), json!("full_attention")));
    check("twice", &twice("/step_time/span_attention"));
    check("rows_missing", &with(&format!("{SPAN}/decode_attention/time_us"), json!([[1.0]])));
    check("axis_falls", &with(&format!("{SPAN}/decode_attention/num_seqs"), json!([2, 1])));
    check("axis_empty", &with(&format!("{SPAN}/prefill_attention/chunk_tokens"), json!([])));
    check("axis_of_another_table", &with(&format!("{SPAN}/prefill_attention/prefix_tokens"), json!([0, 1])));
    check("no_rows_of_a_verification", &with("/step_time/verification_attention/0/num_rows", json!(0)));
    check("one_row_of_a_verification", &with("/step_time/verification_attention/0/num_rows", json!(1)));
    check("verification_twice", &twice("/step_time/verification_attention"));
}

#[test]
fn drafters_that_cannot_be_are_refused() {
    let check = |name: &str, file: &[u8]| check(&format!("drafter_{name}"), file);
    check("unknown_method", &with(&format!("{DRAFTER}/method"), json!("medusa")));
    check("without_method", &with(&format!("{DRAFTER}/method"), Value::Null));
    check("twice", &twice("/drafters"));
    check("no_list", &with("/drafters", json!("eagle3")));
    check("layers_of_nothing", &with(&format!("{DRAFTER}/kv_cache_layers/0/num_layers"), json!(0)));
    check("absurdly_large", &with(&format!("{DRAFTER}/memory/bytes"), json!(u64::MAX)));
    check("negative_time", &with(&format!("{DRAFTER}/first_run/time_us/0"), json!(-1.0)));
    check("times_missing", &with(&format!("{DRAFTER}/next_run/time_us"), json!([])));
}
