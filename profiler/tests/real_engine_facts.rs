//! What the driver says of layers and drafters: taken over where the simulator makes the same of it, refused by name
//! where it does not, or where the facts are malformed.

#![cfg(unix)]

mod played_python;

use played_python::{HELLO, check_driver};
use serde_json::{Value, json};

/// A small engine with windows in two of three layers and a drafter by n-grams, as vLLM 0.32 describes it.
fn facts() -> Value {
    let layer = |kind: &str, n: u32, window: Option<u32>| {
        let mut layer = json!({"kind": kind, "n": n, "block_size": 32, "kv_heads": 1, "head_size": 64, "bytes": 256});
        if let Some(window) = window {
            layer["window"] = json!(window);
        }
        layer
    };
    let group = |spec: &str, layer: u32| json!({"spec": spec, "block_size": 32, "page": 8192, "layers": [format!("layer.{layer}")], "eagle": false});
    json!({
        "model": {
            "name": "m", "num_hidden_layers": 3, "hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 2,
            "num_key_value_heads": 1, "head_dim": 64, "vocab_size": 2048, "dtype": "bfloat16",
            "max_position_embeddings": 8192,
        },
        "engine": {
            "vllm_version": "0.32.0", "dtype": "bfloat16", "quantization": null, "kv_cache_dtype": "auto",
            "attention_backend": "CPU_ATTN", "tensor_parallel_size": 1, "pipeline_parallel_size": 1, "block_size": 32,
            "enforce_eager": true, "max_model_len": 400, "gpu_memory_utilization": 0.92, "max_num_seqs": 4,
            "max_num_batched_tokens": 100,
        },
        "scheduler": {
            "max_num_seqs": 4, "max_num_batched_tokens": 100, "max_num_scheduled_tokens": 100,
            "max_num_active_seqs": null, "block_size": 32, "num_gpu_blocks": 60, "max_model_len": 400,
            "enable_prefix_caching": true, "enable_chunked_prefill": true, "long_prefill_token_threshold": 0,
            "policy": "fcfs", "async_scheduling": false,
        },
        "planning": {
            "model": {
                "layers": [layer("window", 2, Some(96)), layer("full", 1, None)],
                "retention": 0,
                "speculative": {"method": "ngram", "num_speculative_tokens": 3, "proposes_as_scheduled": true},
            },
            "groups": {
                "groups": [
                    group("SlidingWindowSpec", 0), group("SlidingWindowSpec", 1), group("FullAttentionSpec", 2),
                ],
                "num_blocks": 60, "scheduler_block_size": 32, "hash_block_size": 32,
            },
            "speculative": {
                "k": 3, "lookahead": 0, "draft_slots": 0, "hash_lookahead": 0, "eagle_block_drop": false,
                "skips_drafts": false, "prefill_lookahead": 0,
            },
        },
        "capture_sizes": [],
        "hardware": {
            "device_type": "cpu", "name": "a processor", "num_devices": 1, "total_memory_bytes": 1000,
            "compute_capability": null,
        },
        "weight_bytes": 0,
        "host": "a machine",
        "versions": [["vllm", "0.32.0"]],
    })
}

/// The facts with another value at `place`; `null` takes what is there away.
fn with(place: &str, value: Value) -> String {
    let mut facts = facts();
    let (owner, name) = place.rsplit_once('/').expect("a pointer");
    let owner = facts.pointer_mut(owner).expect("a place");
    match (owner, value) {
        (Value::Object(owner), Value::Null) => drop(owner.remove(name)),
        (Value::Object(owner), value) => drop(owner.insert(name.to_owned(), value)),
        (Value::Array(owner), value) => owner[name.parse::<usize>().expect("a number")] = value,
        _ => panic!("{place} is in no object"),
    }
    json!({ "started": facts }).to_string()
}

/// Facts that are refused, and what is said.
#[track_caller]
fn refused(name: &str, place: &str, value: Value, expect: &[&str]) {
    check_driver(name, &[HELLO, &with(place, value)], expect);
}

#[test]
fn layers_and_drafter_that_the_simulator_plans_alike_are_taken() {
    // The engine is up, and the first run fails: that is what is said.
    let failed = r#"{"failed":{"kind":"engine","message":"the played engine cannot run"}}"#;
    let started = json!({ "started": facts() }).to_string();
    check_driver("facts-fine", &[HELLO, &started, failed], &["the played engine cannot run"]);
}

#[test]
fn groups_that_the_simulator_plans_otherwise_are_refused_with_both() {
    let expect = ["not simulated: vLLM put the layers into", "block_size: 64", "the simulator into", "block_size: 32"];
    refused("groups", "/planning/groups/groups/0/block_size", json!(64), &expect);
    refused("hash-size", "/planning/groups/hash_block_size", json!(16), &["hash_block_size: Some(16)"]);
    refused("blocks", "/planning/groups/num_blocks", json!(61), &["num_blocks: 61", "num_blocks: 60"]);
    refused("eagle", "/planning/groups/groups/2/eagle", json!(true), &["eagle: Some(true)", "eagle: Some(false)"]);
}

#[test]
fn drafters_are_never_assumed_away() {
    let expect = ["of the drafter vLLM made None", "the simulator Some(RecordedDrafting { k: 3"];
    refused("drafting", "/planning/speculative", Value::Null, &expect);
    refused("drafter", "/planning/model/speculative", Value::Null, &["made Some(RecordedDrafting { k: 3", "None"]);
    refused("lookahead", "/planning/speculative/lookahead", json!(3), &["lookahead: 3", "lookahead: 0"]);
    let medusa = ["speculative.method", "\"medusa\" is not simulated"];
    refused("method", "/planning/model/speculative/method", json!("medusa"), &medusa);
    for drafts in [0, 1025, u32::MAX] {
        let said = format!("speculative.num_speculative_tokens is {drafts}; it must be in 1..=1024");
        let name = format!("drafts-{drafts}");
        refused(&name, "/planning/model/speculative/num_speculative_tokens", json!(drafts), &[&said]);
    }
}

#[test]
fn facts_that_are_missing_are_named() {
    refused("no-planning", "/planning", Value::Null, &["the driver's answer is not understood"]);
    refused("no-groups", "/planning/groups", Value::Null, &["planning.groups is missing"]);
    refused("no-layers", "/planning/model/layers", Value::Null, &["planning.model.layers is missing"]);
    refused("no-window", "/planning/model/layers/0/window", Value::Null, &["a window's length is missing"]);
    refused("no-bytes", "/planning/model/layers/0/bytes", Value::Null, &["bytes is missing"]);
}

#[test]
fn facts_out_of_bounds_are_refused_and_never_allocated() {
    refused("kind", "/planning/model/layers/0/kind", json!("ring"), &["layers.kind: \"ring\" is none of full"]);
    refused("many", "/planning/model/layers/0/n", json!(u32::MAX), &["4294967296 layers; the limit is 4096"]);
    refused("none", "/planning/model/layers", json!([]), &["0 layers keep something"]);
    refused("no-tokens", "/planning/model/layers/1/block_size", json!(0), &["block_size is 0"]);
    refused("window-0", "/planning/model/layers/0/window", json!(0), &["layer 0: window or chunk is 0"]);
    refused("negative", "/planning/model/layers/0/window", json!(-1), &["the driver's answer is not understood"]);
    refused("no-pool", "/scheduler/num_gpu_blocks", json!(0), &["num_gpu_blocks is 0; it must be at least 2"]);
    let pool = ["engine.num_gpu_blocks is 4294967295; the limit is"];
    refused("pool", "/scheduler/num_gpu_blocks", json!(u32::MAX), &pool);
    let none = json!({"kind": "mamba", "n": 1, "block_size": 400, "bytes": 4096});
    let mut facts = facts();
    facts["planning"]["model"]["layers"][0] = none;
    facts["planning"]["model"]["mamba_mode"] = json!("all");
    let started = json!({ "started": facts }).to_string();
    check_driver("mamba-mode", &[HELLO, &started], &["mamba_mode: \"all\" is neither \"none\" nor \"align\""]);
}

#[test]
fn a_run_with_other_requests_than_asked_is_refused() {
    let started = json!({ "started": facts() }).to_string();
    let ran = r#"{"ran":{"passes":[],"outputs":[[5]]}}"#;
    check_driver("outputs", &[HELLO, &started, ran], &["ran.outputs has 1 entries for"]);
}
